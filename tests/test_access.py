"""Who may do what, for every address of the panel.

The addresses are read from the URL configuration, so that a new one fails here until RIGHTS says who may open it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import time_machine
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.contrib.auth.models import Permission
from django.core.mail import EmailMessage
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from karenpanel import demo_mails
from securitygroups import operations
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.models import (
    Event,
    Membership,
    Project,
    Role,
    SavedView,
    SecurityGroup,
    Traffic,
    User,
    VirtualMachine,
)
from securitygroups.operations import By, Lot, Regrouping
from tests import provider
from tests.conftest import SignIn
from tests.factories import (
    make_delivery,
    make_group,
    make_machine,
    make_project,
    make_token,
    make_user,
    of_hosts,
    reviewed,
    webhook_pages,
)

OWNERS = frozenset({"alice"})
EDITORS = OWNERS | {"erin"}
MEMBERS = EDITORS | {"bob"}
# Support staff before they named a reason, one of them after, and one whose visit has ended; a superuser is nothing
# more here.
AT_THE_DOOR = frozenset({"staff", "admin", "expired"})
VISITORS = frozenset({"visitor"})
SUPPORT = AT_THE_DOOR | VISITORS
EVERYBODY = MEMBERS | SUPPORT | {"charlie"}


@dataclass(frozen=True)
class Rights:
    """Who gets an answer to GET and to POST; None where the method is wrong. `public`: also without signing in."""

    get: frozenset[str] | None = None
    post: frozenset[str] | None = None
    public: bool = False


LOOK = Rights(get=MEMBERS | VISITORS)
# Viewers only where an owner lets them.
TRAFFIC = Rights(get=EDITORS | VISITORS)
REPLAYS = ("group_replay", "machine_replay", "project_replay")
WRITE = Rights(get=EDITORS, post=EDITORS)
SEND = Rights(post=EDITORS)
ACCOUNT = Rights(get=EVERYBODY, post=EVERYBODY)

MINE = Rights(get=EVERYBODY)
ENTRY = Rights(get=EVERYBODY, post=EVERYBODY, public=True)

RIGHTS = {
    "account_login": ENTRY,
    "mfa_login_webauthn": ENTRY,
    "mfa_authenticate": ENTRY,
    "account_signup": ENTRY,
    "account_reset_password": ENTRY,
    "account_reset_password_done": Rights(get=EVERYBODY, public=True),
    "account_reset_password_from_key": ENTRY,
    "account_confirm_email": ENTRY,
    "invitation": ENTRY,
    "account_logout": ACCOUNT,
    "account_change_password": ACCOUNT,
    "account_reauthenticate": ACCOUNT,
    "account_email": ACCOUNT,
    "account": MINE,
    "account_time_zone": ACCOUNT,
    "usersessions_list": MINE,
    "signed_in": MINE,
    "typed": MINE,
    "session_end": Rights(post=EVERYBODY),
    "mfa_index": MINE,
    "mfa_activate_totp": ACCOUNT,
    "mfa_deactivate_totp": ACCOUNT,
    "mfa_view_recovery_codes": MINE,
    "mfa_generate_recovery_codes": ACCOUNT,
    "mfa_add_webauthn": ACCOUNT,
    "mfa_remove_webauthn": ACCOUNT,
    "mfa_reauthenticate": ACCOUNT,
    "mfa_reauthenticate_webauthn": ACCOUNT,
    "openid_connect_login": Rights(post=EVERYBODY, public=True),
    "openid_connect_callback": Rights(get=EVERYBODY, public=True),
    "socialaccount_connections": ACCOUNT,
    "demo_mails": Rights(get=EVERYBODY, public=True),
    "demo_mail": Rights(get=EVERYBODY, public=True),
    "home": Rights(get=EVERYBODY),
    "find": Rights(get=EVERYBODY),
    "help": Rights(get=EVERYBODY),
    "help_enforcement": Rights(get=EVERYBODY),
    "help_import": Rights(get=EVERYBODY),
    "help_use": Rights(get=EVERYBODY),
    "support": Rights(get=SUPPORT),
    "support_enter": Rights(get=SUPPORT, post=SUPPORT),
    "support_cases": Rights(get=SUPPORT),
    "visit_stay": Rights(post=VISITORS),
    "visit_leave": Rights(post=VISITORS),
    "case_open": Rights(post=VISITORS),
    "case_step": Rights(post=VISITORS),
    "cases": LOOK,
    "case": LOOK,
    "case_note": Rights(post=EDITORS | VISITORS),
    "templates": LOOK,
    "template_save": WRITE,
    "template_delete": WRITE,
    "group_start": WRITE,
    "overview": LOOK,
    "reached": LOOK,
    "activity": LOOK,
    "members": Rights(get=MEMBERS | VISITORS, post=OWNERS),
    "member_factor": Rights(post=OWNERS),
    "member_traffic": Rights(post=OWNERS),
    "member_invitation_end": Rights(post=OWNERS),
    "member_role": Rights(post=OWNERS),
    "member_remove": Rights(get=OWNERS, post=OWNERS),
    "own_tokens": MINE,
    "own_token_new": ACCOUNT,
    "own_token_revoke": ACCOUNT,
    "tokens": Rights(get=OWNERS),
    "token_new": Rights(get=OWNERS, post=OWNERS),
    "token_revoke": Rights(get=OWNERS, post=OWNERS),
    "webhooks": Rights(get=OWNERS),
    "webhook_new": Rights(get=OWNERS, post=OWNERS),
    "webhook_deliveries": Rights(get=OWNERS),
    "webhook_edit": Rights(get=OWNERS, post=OWNERS),
    "webhook_secret": Rights(get=OWNERS),
    "webhook_rotate": Rights(get=OWNERS, post=OWNERS),
    "webhook_switch": Rights(post=OWNERS),
    "webhook_test": Rights(post=OWNERS),
    "webhook_delete": Rights(get=OWNERS, post=OWNERS),
    "webhook_delivery": Rights(get=OWNERS),
    "webhook_again": Rights(post=OWNERS),
    "groups": LOOK,
    "project_rules": LOOK,
    "groups_list": LOOK,
    "groups_export": LOOK,
    "machines_list": LOOK,
    "machine_choices": LOOK,
    "rules_list": LOOK,
    "activity_list": LOOK,
    "view_new": Rights(get=MEMBERS | VISITORS, post=MEMBERS),
    "view_edit": WRITE,
    "view_delete": WRITE,
    "first_steps": SEND,
    "group_create": WRITE,
    "group_import_new": WRITE,
    "group_import_undo": SEND,
    "group": LOOK,
    "group_edit": WRITE,
    "group_edit_undo": SEND,
    "group_duplicate": WRITE,
    "group_delete": WRITE,
    "group_machines": LOOK,
    "group_attach": Rights(get=EDITORS),
    "group_test": LOOK,
    "group_in_force": LOOK,
    "group_undo": SEND,
    "group_bring_back": SEND,
    "group_unmake": SEND,
    **dict.fromkeys(REPLAYS, Rights(get=MEMBERS | VISITORS, post=MEMBERS | VISITORS)),
    "group_history": LOOK,
    "group_revision": LOOK,
    "group_restore": WRITE,
    "group_import": WRITE,
    "group_export": LOOK,
    "rule_add": WRITE,
    "rule_drop": SEND,
    "rules_bulk": SEND,
    "rule_edit": WRITE,
    "rule_menu": LOOK,
    "rule_move": WRITE,
    "rule_delete": WRITE,
    "rule_fix": WRITE,
    "rule_change": SEND,
    "machines": LOOK,
    "machine_create": WRITE,
    "machine": LOOK,
    "machine_settings": WRITE,
    "machine_delete": WRITE,
    "machine_test": LOOK,
    "machine_in_force": LOOK,
    "machine_history": LOOK,
    "machine_revision": LOOK,
    "machine_restore": WRITE,
    "machine_open": WRITE,
    "machine_order": SEND,
    "machine_undo": SEND,
    "machine_bring_back": SEND,
    "machine_ruleset": LOOK,
    "machine_dropped": TRAFFIC,
    "project_dropped": TRAFFIC,
    "dropped_packet": TRAFFIC,
    "machine_groups": WRITE,
    "machine_groups_undo": WRITE,
    "exposure": LOOK,
    "project_test": LOOK,
    "project_find": LOOK,
    "review": Rights(get=MEMBERS | VISITORS, post=EDITORS),
    "review_sign": WRITE,
    "review_drop": WRITE,
    "review_interval": Rights(post=OWNERS),
    "review_records": LOOK,
    "review_record": LOOK,
    "review_export": LOOK,
}
OTHER_METHODS = ("HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
# What a person who is let in may be told: shown, done, to be corrected, or changed by somebody else meanwhile.
LET_IN = {200, 302, 409, 422}
# What else these say to everybody: the provider is not there, and nobody comes back from where they have not been.
WITHOUT_PROVIDER = {
    ("openid_connect_login", "POST"): {424},
    ("openid_connect_callback", "GET"): {400},
    ("openid_connect_callback", "HEAD"): {405},
}
# Signing out reads the session and then deletes it, which looks like asking for the same thing twice.
SESSION = [{"model": "sessions.Session"}]


def patterns(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, set[str]]]:
    """(name, names of its parameters) of every address below the resolver, the admin's and those of programs and agents apart."""
    for entry in resolver.url_patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            if entry.namespace not in ("admin", "agent", "api"):
                yield from patterns(entry, route)
        elif isinstance(entry, URLPattern):
            assert entry.name, f"{route} has no name"
            yield entry.name, set(re.findall(r"<(?:\w+:)?(\w+)>", route))


ADDRESSES = dict(patterns(get_resolver()))


def test_every_address_says_here_who_may_open_it() -> None:
    assert set(ADDRESSES) == set(RIGHTS)


@dataclass
class Stage:
    """The cast in their browsers, and the parameters that lead to alice's things."""

    browsers: dict[str, Client]
    parameters: dict[str, str | int]
    of_one: dict[str, dict[str, str | int]]

    def url(self, name: str, **instead: str | int) -> str:
        parameters = self.parameters | self.of_one.get(name, {}) | instead
        kwargs = {parameter: parameters[parameter] for parameter in ADDRESSES[name]}
        return reverse(name, kwargs=kwargs)


@pytest.fixture
def stage(db: None, request: pytest.FixtureRequest) -> Stage:
    return make_stage(request)


def everything_on(settings: Any, folder: Path) -> None:
    provider.use(settings, "http://127.0.0.1:9")  # nobody listens there
    settings.DEMO_MAILS = str(folder)
    demo_mails.keep(EmailMessage("Hello", to=["alice@example.com"]))


def change_of_many(machine: VirtualMachine, group: SecurityGroup) -> Event:
    """What was done to the groups of several VMs at once, as its undo knows it."""
    change = Regrouping(machine.pk, 1, (), (group.pk,))
    lot = Lot(machine.project, (change,), {group.pk: 1}, "Attached many to")
    return operations.regroup_machines(lot=lot, by=By())


def make_stage(request: pytest.FixtureRequest) -> Stage:
    """The whole cast on alice's project, with one of each thing that an address can lead to.

    What only some installations have is switched on; that it is a 404 elsewhere is held where it is tested.
    """
    everything_on(request.getfixturevalue("settings"), request.getfixturevalue("tmp_path"))
    sign_in: SignIn = request.getfixturevalue("sign_in")
    cast: list[User] = [request.getfixturevalue(n) for n in ("alice", "erin", "bob", "charlie", "staff", "admin")]
    alice = cast[0]
    project: Project = request.getfixturevalue("project")
    group: SecurityGroup = request.getfixturevalue("group")
    machine: VirtualMachine = request.getfixturevalue("machine")
    other = operations.add_member(project=project, user=make_user("dora"), role=Role.VIEWER, by=By(alice))
    template = operations.save_template(group=group, name="Web", description="", by=By(alice))
    view = SavedView(project=project, kind="machines", name="Closed", query="is=alone")
    operations.write_view(view=view, by=By(alice))
    gone, gone_machine = make_group(project, "gone"), make_machine(project, "gone")
    operations.delete_machine(machine=gone_machine, by=By(alice))
    operations.delete_group(group=gone, base=1, by=By(alice))
    visitor = make_user("visitor", "support", is_staff=True)
    operations.open_visit(project=project, staff=visitor, reason="They asked", ticket="T-1")
    expired = make_user("expired", "support", is_staff=True)
    with time_machine.travel(timezone.now() - timedelta(minutes=operations.VISIT_MINUTES + 1)):
        operations.open_visit(project=project, staff=expired, reason="They asked", ticket="T-1")
    lot = change_of_many(make_machine(project, "of many"), make_group(project, "on many"))
    invitation, secret = operations.invite(project=project, email="charlie@example.com", role=Role.VIEWER, by=By(alice))
    dora = User.objects.get(username="dora")
    packet = Packet(Direction.IN, 4, 6, 1, 2, 443)
    case = operations.open_case(about=group, packet=packet, staff=visitor)
    reviewed(group, alice)
    token, own = (make_token(alice, of=of) for of in (project, None))
    delivery = make_delivery(project, alice)
    of_hosts(machine)
    return Stage(
        {user.username: sign_in(user) for user in (*cast, visitor, expired)},
        {
            "slug": project.slug,
            "group_id": group.public_id,
            "machine_id": machine.public_id,
            "event": 1,
            "uid": group.rules.in_order()[1].uid,
            "do": "down",
            "mend": "remove",
            "kind": "json",
            "suffix": "xlsx",
            "number": 1,
            "case_id": case.public_id,
            "pk": other.pk,
            "secret": secret,
            "uidb36": user_pk_to_url_str(dora),
            "key": default_token_generator.make_token(dora),
        },
        {
            "member_invitation_end": {"pk": invitation.pk},
            "template_delete": {"pk": template.pk},
            "view_edit": {"pk": view.pk},
            "view_delete": {"pk": view.pk},
            **webhook_pages(delivery),
            "group_bring_back": {"group_id": gone.public_id},
            "machine_bring_back": {"machine_id": gone_machine.public_id},
            "demo_mail": {"number": demo_mails.numbers()[0]},
            "machine_groups_undo": {"event": lot.pk},
            "token_revoke": {"pk": token.pk},
            "dropped_packet": {"pk": Traffic.objects.get().pk},
            "own_token_revoke": {"pk": own.pk},
        },
    )


@contextmanager
def taken_back() -> Iterator[None]:
    """What is written inside is taken back, so that the next request finds everything as it was."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def expected(name: str, who: str, method: str) -> set[int]:
    rights = RIGHTS[name]
    if name == "invitation" and method == "POST":
        return {302} if who == "charlie" else {403}
    if (name, method) in WITHOUT_PROVIDER:
        return WITHOUT_PROVIDER[name, method]
    may = rights.get if method in ("GET", "HEAD") else rights.post if method == "POST" else None
    if may is None:
        return {405}
    if who in may:
        return LET_IN | {404} if name in OF_ONES_OWN else LET_IN
    if name in SUPPORT_DESK:
        return {302} if who in AT_THE_DOOR else {404}
    if who in AT_THE_DOOR:
        return {302}
    return {404} if who == "charlie" else {403}


# A person's own things, which the cast has not.
OF_ONES_OWN = frozenset(
    {
        *("mfa_deactivate_totp", "mfa_view_recovery_codes", "mfa_remove_webauthn", "account_confirm_email"),
        "own_token_revoke",
    }
)
SUPPORT_DESK = frozenset(
    {"support", "support_enter", "support_cases", "visit_stay", "visit_leave", "case_open", "case_step"}
)


# A stage takes longer to make than an address to try.
BUNDLES = 6


@pytest.mark.parametrize("bundle", range(BUNDLES))
def test_each_address_answers_each_person_and_method_as_it_should(bundle: int, stage: Stage, settings: Any) -> None:
    settings.ZEAL_ALLOWLIST = SESSION
    for name in [*RIGHTS][bundle::BUNDLES]:
        answers_as_it_should(name, stage)


def answers_as_it_should(name: str, stage: Stage) -> None:
    url = stage.url(name)
    # What is looked for by what is sent has to be there; all else may be missing.
    sent = {"target": stage.parameters["group_id"]} if name == "case_open" else {}
    for who, browser in stage.browsers.items():
        cookies = {cookie: morsel.value for cookie, morsel in browser.cookies.items()}
        for method in ("GET", "POST", *(OTHER_METHODS if who == "alice" and name != "account_login" else ())):
            with taken_back():
                response = browser.post(url, sent) if method == "POST" else browser.generic(method, url)
            # Also after they have signed out.
            browser.cookies = SimpleCookie(cookies)
            assert response.status_code in expected(name, who, method), f"{who}: {method} {url}"
            if response.status_code == 405:
                assert method not in response["Allow"]
            elif who in AT_THE_DOOR and "slug" in ADDRESSES[name] and name != "support_enter":
                assert response["Location"].startswith("/support/shop/"), "without a reason nobody comes in"


def test_nobody_gets_anywhere_without_signing_in(stage: Stage, client: Client) -> None:
    for name in RIGHTS:
        url = stage.url(name)
        if RIGHTS[name].public:
            method = "GET" if RIGHTS[name].get else "POST"
            answer = client.generic(method, url)
            # Some lead on to where they begin.
            assert answer.status_code in WITHOUT_PROVIDER.get((name, method), {200, 302}), name
            assert not answer.get("Location", "").startswith("/sign-in/?"), name
            continue
        # Signing out again does no harm and leads to the sign-in page by itself.
        to = "/sign-in/" if name == "account_logout" else f"/sign-in/?next={url}"
        for method in ("GET", "POST"):
            response = client.generic(method, url)
            assert (response.status_code, response["Location"]) == (302, to), f"{method} {url}"
            # Something may be typed into the page that asks for a part, so it stays, and one signs in beside it.
            part = client.generic(method, url, headers={"HX-Request": "true"})
            if name == "account_logout":
                assert (part.status_code, part["HX-Redirect"]) == (204, to), f"{method} {url}"
            else:
                beside = (401, "/sign-in/?next=/signed-in/")
                assert (part.status_code, part["Sign-In"]) == beside, f"{method} {url}"
            assert "no-store" in part["Cache-Control"]


# ── Never a hint ──────────────────────────────────────────────────────────────

IN_A_PROJECT = [name for name in RIGHTS if "slug" in ADDRESSES.get(name, ()) and name not in SUPPORT_DESK]


def without_request_id(body: bytes) -> str:
    return re.sub(r"<code>[0-9a-f]{12}</code>", "", body.decode())


def test_a_stranger_cannot_tell_what_exists_from_what_does_not(stage: Stage) -> None:
    nothing = {"slug": "no-such-project", "group_id": "sg-0000000000", "machine_id": "vm-0000000000", "uid": "0" * 12}
    for name in IN_A_PROJECT:
        method = "GET" if RIGHTS[name].get else "POST"
        real = stage.browsers["charlie"].generic(method, stage.url(name))
        made_up = stage.browsers["charlie"].generic(method, stage.url(name, **nothing, pk=2**62, case_id="case-0"))
        assert real.status_code == made_up.status_code == 404
        assert without_request_id(real.content) == without_request_id(made_up.content)
        assert "Shop" not in real.content.decode()
        assert set(real.headers) == set(made_up.headers)


def test_things_of_another_project_are_not_found_in_this_one(
    stage: Stage, bakery: Project, charlie: User, staff: User
) -> None:
    """alice's project, where she may do everything, with the group, VM or membership of charlie's project."""
    oven = make_group(bakery, "oven", ["accept in tcp 99"])
    theirs: dict[str, str | int] = {
        "group_id": oven.public_id,
        "machine_id": make_machine(bakery, "oven-1", [oven]).public_id,
        "pk": bakery.memberships.get().pk,
        "case_id": operations.open_case(
            about=oven,
            packet=Packet(Direction.IN, 4, 6, 1, 2, 99),
            staff=staff,
        ).public_id,
    }
    template = operations.save_template(group=oven, name="Oven", description="", by=By(charlie)).pk
    for name in IN_A_PROJECT:
        for parameter in ADDRESSES[name] & theirs.keys():
            value = template if name == "template_delete" else theirs[parameter]
            for method, may in (("GET", RIGHTS[name].get), ("POST", RIGHTS[name].post)):
                if may is not None:
                    response = stage.browsers["alice"].generic(method, stage.url(name, **{parameter: value}))
                    assert response.status_code == 404, f"{method} {name} with charlie's {parameter}"
                    assert "oven" not in response.content.decode()
    oven.refresh_from_db()
    assert (oven.revision, oven.deleted_at) == (1, None)


def test_being_a_member_of_both_projects_does_not_mix_them_up(stage: Stage, alice: User) -> None:
    cafe = make_project(alice, "Cafe")
    menu = make_group(cafe, "menu", ["accept in tcp 99"])
    for name in IN_A_PROJECT:
        if "group_id" in ADDRESSES[name]:
            method = "GET" if RIGHTS[name].get else "POST"
            assert stage.browsers["alice"].generic(method, stage.url(name, group_id=menu.public_id)).status_code == 404
    menu.refresh_from_db()
    assert (menu.revision, menu.deleted_at) == (1, None)


def test_what_was_deleted_is_found_by_nobody(
    stage: Stage, alice: User, group: SecurityGroup, machine: VirtualMachine
) -> None:
    operations.delete_machine(machine=machine, by=By(alice))
    operations.delete_group(group=group, base=1, by=By(alice))
    for name in IN_A_PROJECT:
        for method, may in (("GET", RIGHTS[name].get), ("POST", RIGHTS[name].post)):
            if may is not None and {"group_id", "machine_id"} & ADDRESSES[name] and "bring_back" not in name:
                assert stage.browsers["alice"].generic(method, stage.url(name)).status_code == 404, f"{method} {name}"


def test_a_rule_of_another_group_is_not_found_in_this_one(stage: Stage, project: Project) -> None:
    other = make_group(project, "other", ["accept in tcp 99"])
    browser = stage.browsers["alice"]
    for name in IN_A_PROJECT:
        if "uid" in ADDRESSES[name]:
            url = stage.url(name, uid=other.rules.get().uid)
            if RIGHTS[name].get:
                # A repair that is not offered any more leads back to the list, which says so.
                assert browser.get(url).status_code == (302 if name == "rule_fix" else 404), name
            # What somebody sends about a rule that is gone is a conflict: they had it before their eyes.
            if RIGHTS[name].post:
                assert browser.post(url, {"base": 1, "position": 1}).status_code == 409, name
    other.refresh_from_db()
    assert other.revision == 1


# ── Membership ────────────────────────────────────────────────────────────────


def test_a_viewer_is_told_who_can_give_more_rights(stage: Stage) -> None:
    page = stage.browsers["bob"].get(stage.url("rule_add")).content.decode()
    assert "You can look at this project and test packets, but not change it." in page
    assert "Ask an owner for the editor role." in page
    page = stage.browsers["erin"].post(stage.url("members"), {"person": "charlie", "role": "viewer"}).content.decode()
    assert "Only owners of the project can change its members" in page


def test_a_viewer_changes_nothing_however_complete_the_form_is(stage: Stage, group: SecurityGroup) -> None:
    complete = {
        "base": 1, "action": "accept", "direction": "in", "protocol": "tcp", "place": 1, "enabled": "on", "name": "x",
        "role": "owner", "person": "bob", "position": 1, "rule": stage.parameters["uid"], "do": "off",
    }  # fmt: skip
    for name in IN_A_PROJECT:
        # What they keep for themselves changes nothing of the project's.
        if RIGHTS[name].post and name not in (*REPLAYS, "view_new"):
            assert stage.browsers["bob"].post(stage.url(name), complete).status_code == 403, name
    group.refresh_from_db()
    assert (group.revision, group.name, group.deleted_at) == (1, "web", None)
    assert Membership.objects.get(user__username="bob").role == Role.VIEWER


def test_everybody_may_leave_and_is_out_at_once(stage: Stage, project: Project) -> None:
    for who in ("bob", "erin"):
        mine = project.memberships.get(user__username=who).pk
        assert stage.browsers[who].get(stage.url("member_remove", pk=mine)).status_code == 200
        assert stage.browsers[who].post(stage.url("member_remove", pk=mine)).status_code == 302
        assert stage.browsers[who].get(stage.url("overview")).status_code == 404


def test_who_is_removed_or_given_less_feels_it_with_the_next_request(stage: Stage, project: Project) -> None:
    erin = project.memberships.get(user__username="erin")
    assert stage.browsers["erin"].get(stage.url("group_edit")).status_code == 200
    assert stage.browsers["alice"].post(stage.url("member_role", pk=erin.pk), {"role": "viewer"}).status_code == 302
    assert stage.browsers["erin"].get(stage.url("group_edit")).status_code == 403
    assert stage.browsers["alice"].post(stage.url("member_remove", pk=erin.pk)).status_code == 302
    assert stage.browsers["erin"].get(stage.url("group")).status_code == 404


def test_who_is_switched_off_is_signed_out_everywhere(stage: Stage, erin: User) -> None:
    erin.is_active = False
    erin.save()
    response = stage.browsers["erin"].get(stage.url("group"))
    assert response.status_code == 302
    assert response["Location"].startswith("/sign-in/")


# ── The admin ─────────────────────────────────────────────────────────────────


def admin_addresses() -> list[str]:
    """Every address of the admin, with numbers and words that fit its parameters; its catch-all only adds slashes."""
    urls = set()
    for route, resolver in (get_resolver().namespace_dict["admin"],):
        for key in resolver.reverse_dict:
            for possibilities, _, _, _ in resolver.reverse_dict.getlist(key):
                for template, parameters in possibilities:
                    values = {name: "securitygroups" if name == "app_label" else "1" for name in parameters}
                    urls.add(f"/{route}{template % values}")
    return sorted(urls - {"/admin/login/", "/admin/logout/", "/admin/1"})


def test_the_admin_is_closed_to_everybody_who_is_not_of_the_staff(stage: Stage, client: Client) -> None:
    urls = admin_addresses()
    assert len(urls) > 40
    for url in urls:
        # Some ask for staff themselves and some leave it to the sign-in that every page asks for; each closes the door.
        doors = ("/admin/login/?next=", "/sign-in/?next=")
        response = client.get(url)
        assert response.status_code == 302, url
        assert response["Location"].startswith(doors), url
        response = stage.browsers["alice"].get(url)
        assert (response.status_code, response.get("Location", "")[:19]) == (302, doors[0]), url
    assert client.get("/admin/", follow=True).redirect_chain[-1][0].startswith("/sign-in/?")
    assert stage.browsers["alice"].get("/admin/", follow=True).status_code == 403


def test_staff_without_permissions_see_nothing_in_the_admin(stage: Stage, group: SecurityGroup) -> None:
    for url in ("/admin/securitygroups/project/", f"/admin/securitygroups/securitygroup/{group.pk}/change/"):
        assert stage.browsers["staff"].get(url).status_code == 403
    assert "Shop" not in stage.browsers["staff"].get("/admin/").content.decode()


# ── Support ───────────────────────────────────────────────────────────────────


def test_every_page_that_support_sees_is_in_the_customers_record(stage: Stage, project: Project) -> None:
    def looks() -> int:
        return project.events.filter(verb=Event.Verb.SUPPORT_LOOK, actor__username="visitor").count()

    before = looks()
    shown = [stage.url(name) for name in IN_A_PROJECT if "visitor" in (RIGHTS[name].get or ())]
    # A list without a filter has nothing to keep as a view.
    shown[shown.index(stage.url("view_new"))] += "?q=web"
    # A form that is sent back shows the group around it.
    shown.append(stage.url("group_test") + "?test=1&source=nonsense")
    for url in shown:
        assert stage.browsers["visitor"].get(url).status_code in (200, 422), url
    assert looks() - before == len(shown)
    assert "Looked at" in stage.browsers["bob"].get(stage.url("activity")).content.decode()


def test_support_at_the_door_sees_nothing_and_leaves_no_record(stage: Stage, project: Project) -> None:
    before = project.events.count()
    response = stage.browsers["staff"].get(stage.url("group"))
    assert unquote(response["Location"]) == f"/support/shop/?next={stage.url('group')}"
    part = stage.browsers["staff"].get(stage.url("group"), headers={"HX-Request": "true"})
    assert (part.status_code, part.content) == (204, b"")
    assert project.events.count() == before


def test_a_visit_ends_and_opens_one_project_only(stage: Stage, project: Project, bakery: Project) -> None:
    assert stage.browsers["visitor"].get("/p/shop/").status_code == 200
    door = stage.browsers["visitor"].get("/p/bakery/")["Location"]
    assert unquote(door) == "/support/bakery/?next=/p/bakery/"
    with time_machine.travel(timezone.now() + timedelta(minutes=operations.VISIT_MINUTES + 1)):
        door = stage.browsers["visitor"].get("/p/shop/")["Location"]
        assert unquote(door) == "/support/shop/?next=/p/shop/"


def test_support_without_the_permission_any_more_is_a_stranger_at_once(stage: Stage) -> None:
    User.objects.get(username="visitor").user_permissions.clear()
    assert stage.browsers["visitor"].get("/p/shop/").status_code == 404


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/admin/", "/p/\\\\evil", "javascript:x"])
def test_the_door_leads_only_into_projects(target: str, stage: Stage) -> None:
    entry = {"reason": "They asked", "ticket": "T-2", "next": target}
    response = stage.browsers["staff"].post(stage.url("support_enter"), entry)
    assert response.status_code == 302
    assert response["Location"].startswith("/p/")
    assert not urlsplit(response["Location"]).netloc


def test_a_support_visit_changes_nothing_but_its_own_record(stage: Stage, staff: User, group: SecurityGroup) -> None:
    assert staff.has_perm("securitygroups.support")
    assert not staff.has_perm("securitygroups.change_securitygroup")
    assert Permission.objects.filter(user=staff).count() == 1
    for name in IN_A_PROJECT:
        if RIGHTS[name].post:
            # An empty note, and no log: told at the field.
            allowed = 422 if name in ("case_note", *REPLAYS) else 403
            assert stage.browsers["visitor"].post(stage.url(name), {"base": 1}).status_code == allowed, name
    group.refresh_from_db()
    assert group.revision == 1
