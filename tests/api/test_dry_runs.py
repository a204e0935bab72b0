"""`?dry_run=1` stands at every operation that writes: it answers with the preview, and nothing is written or sent."""

from typing import Any

import pytest
from django.apps import apps
from django.core import mail

from securitygroups import operations
from securitygroups.api.schema import api
from securitygroups.models import GroupTemplate, Project, Scope, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.api.conftest import Program, secret_of
from tests.factories import ports

WRITING = {Scope.WRITE, Scope.MEMBERS, Scope.INVENTORY}
ROOT = "/projects/shop"
# What says when and from where a token was last used, or counts requests, is no change of anything.
ASIDE = {"ApiToken"}

Asked = tuple[str, str, Any, dict[str, str]]


@pytest.fixture
def asked(project: Project, group: SecurityGroup, machine: VirtualMachine, alice: User, bob: User) -> dict[str, Asked]:
    """One good request for each operation that writes: its method, path, body and headers."""
    by = By(alice)
    # What has changed since is not undone: so another VM, with another group.
    plain = operations.create_group(project=project, name="plain", description="", rules=ports(80), by=by)
    second = operations.create_machine(
        project=project, fields={"name": "second", "ipv4": "10.0.1.9"}, groups=[plain], by=by
    )
    operations.attach_groups(machine=second, groups=[], base=second.revision, by=by)
    operations.commit_rules(group=group, rules=ports(1), base=group.revision, by=by)
    group.refresh_from_db()
    gone = operations.create_group(project=project, name="gone", description="", rules=ports(25), by=by)
    off = operations.create_machine(project=project, fields={"name": "off", "ipv4": "10.0.1.99"}, groups=[plain], by=by)
    operations.delete_group(group=gone, base=gone.revision, by=by)
    operations.delete_machine(machine=off, by=by)
    kept = operations.save_template(group=group, name="kept", description="", by=by)
    invitation, _ = operations.invite(project=project, email="new@example.com", role="viewer", by=by)
    member = project.memberships.get(user=bob)
    document = {"format": "karenpanel.group/1", "name": "new", "rules": []}
    one, vm = f"{ROOT}/groups/{group.public_id}", f"{ROOT}/machines/{second.public_id}"
    on_group, on_vm = {"If_Match": f'"{group.revision}"'}, {"If_Match": f'"{second.revision}"'}
    entry = {"name": "brought", "ipv4": "10.0.1.50"}
    listed = {"machines": [entry | {"external_id": "i-1"}]}
    return {
        "make_group": ("POST", f"{ROOT}/groups", document, {}),
        "rename_group": ("PATCH", one, {"name": "other"}, {}),
        "delete_group": ("DELETE", one, None, {}),
        "put_rules": ("PUT", f"{one}/rules", {"rules": []}, on_group),
        "restore_group_revision": ("POST", f"{one}/revisions/1/restore", {}, on_group),
        "undo_group_revision": ("POST", f"{one}/undo", {}, on_group),
        "bring_group_back": ("POST", f"{ROOT}/groups/{gone.public_id}/bring-back", {}, {}),
        "make_machine": ("POST", f"{ROOT}/machines", entry | {"groups": [group.public_id]}, {}),
        "change_machine": ("PATCH", vm, {"ipv4": "10.0.1.12"}, {}),
        "delete_machine": ("DELETE", f"{ROOT}/machines/{machine.public_id}", None, {}),
        "bring_machine_back": ("POST", f"{ROOT}/machines/{off.public_id}/bring-back", {}, {}),
        "put_machine": ("PUT", f"{ROOT}/machines/by-external-id/i-1", entry, {}),
        "put_machine_groups": ("PUT", f"{vm}/groups", {"groups": [plain.public_id]}, on_vm),
        "restore_machine_revision": ("POST", f"{vm}/revisions/1/restore", {}, on_vm),
        "undo_machine_revision": ("POST", f"{vm}/undo", {}, on_vm),
        "put_inventory": ("PUT", f"{ROOT}/inventory", listed, {}),
        "put_inventories": ("PUT", "/inventory", {"projects": {"shop": listed["machines"]}}, {}),
        "make_template": ("POST", f"{ROOT}/templates", {"group": group.public_id, "name": "t"}, {}),
        "delete_template": ("DELETE", f"{ROOT}/templates/{kept.pk}", None, {}),
        "change_member": ("PATCH", f"{ROOT}/members/{member.pk}", {"role": "editor"}, {}),
        "remove_member": ("DELETE", f"{ROOT}/members/{member.pk}", None, {}),
        "invite_member": ("POST", f"{ROOT}/invitations", {"email": "more@example.com", "role": "viewer"}, {}),
        "withdraw_invitation": ("DELETE", f"{ROOT}/invitations/{invitation.pk}", None, {}),
    }


@pytest.fixture
def mine(alice: User) -> Program:
    return Program(secret_of(alice))


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the app."""
    models = [model for model in apps.get_app_config("securitygroups").get_models() if model.__name__ not in ASIDE]
    return {model.__name__: sorted(model._default_manager.values_list(), key=repr) for model in models}


def tried(program: Program, request: Asked) -> Any:
    method, path, sent, headers = request
    return program.ask(method, f"{path}?dry_run=1", sent, **headers)


def test_every_operation_that_writes_can_be_tried(asked: dict[str, Asked]) -> None:
    writing = {
        told["operationId"]: {one["name"] for one in told.get("parameters", ())}
        for methods in api.get_openapi_schema(path_prefix="/")["paths"].values()
        for told in methods.values()
        if told["x-scope"] in WRITING
    }
    writing = {name: takes for name, takes in writing.items() if not name.startswith(("list_", "read_"))}

    assert [name for name, takes in writing.items() if "dry_run" not in takes] == []
    assert writing.keys() == asked.keys()


def test_nothing_is_written_and_the_preview_is_answered(asked: dict[str, Asked], mine: Program) -> None:
    before = everything()
    mail.outbox.clear()

    answers = {name: tried(mine, request) for name, request in asked.items()}

    assert {name: answer.content for name, answer in answers.items() if answer.status_code != 200} == {}
    assert everything() == before
    assert mail.outbox == []
    told = {name: answer.json() for name, answer in answers.items()}
    assert {name for name, one in told.items() if "changes_traffic" not in one} == {"put_inventory", "put_inventories"}
    quiet = {name for name, one in told.items() if one.get("changes_traffic") is False}
    assert quiet == {
        *("rename_group", "change_machine", "make_template", "delete_template", "put_machine"),
        *("change_member", "remove_member", "invite_member", "withdraw_invitation", "make_group"),
    }  # fmt: skip


def test_and_what_was_told_is_what_is_done_then(asked: dict[str, Asked], mine: Program) -> None:
    """What takes something back tells the same as a whole list, or whole groups, that say the same."""
    undone, restored = (tried(mine, asked[name]).json() for name in ("undo_group_revision", "restore_group_revision"))
    assert undone["effects"] == restored["effects"] != []
    assert undone["alarms"] == restored["alarms"]

    undone, restored = (
        tried(mine, asked[name]).json() for name in ("undo_machine_revision", "restore_machine_revision")
    )
    assert undone["effects"] == restored["effects"] != []


def test_a_group_that_is_brought_back_tells_of_the_vms_that_get_it(
    mine: Program, group: SecurityGroup, machine: VirtualMachine, alice: User
) -> None:
    operations.commit_rules(group=group, rules=ports(25), base=group.revision, by=By(alice))
    group.refresh_from_db()
    operations.delete_group(group=group, base=group.revision, by=By(alice))
    path = f"{ROOT}/groups/{group.public_id}/bring-back"

    told = mine.post(f"{path}?dry_run=1", {}).json()

    assert [vm["name"] for effect in told["effects"] for vm in effect["machines"]] == ["web-1"]
    assert any("25" in line for effect in told["effects"] for line in effect["newly_allowed"])
    assert not SecurityGroup.objects.live().filter(pk=group.pk).exists()
    assert mine.post(path, {}).status_code == 200
    machine.refresh_from_db()
    assert machine.attachments.filter(group=group).exists()


def test_what_could_not_be_done_cannot_be_tried(asked: dict[str, Asked], mine: Program, project: Project) -> None:
    owner = project.memberships.get(role="owner")
    last = mine.ask("PATCH", f"{ROOT}/members/{owner.pk}?dry_run=1", {"role": "viewer"})
    old = mine.post(f"{asked['undo_group_revision'][1]}?dry_run=1", {}, If_Match='"1"')
    taken = mine.post(f"{ROOT}/templates?dry_run=1", asked["make_template"][2] | {"name": "kept"})

    assert (last.status_code, old.status_code, taken.status_code) == (422, 412, 422)
    assert GroupTemplate.objects.filter(name="kept").count() == 1
