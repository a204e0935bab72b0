"""History: every revision is there, any two can be compared, and any can be brought back after a look."""

from typing import Any

import pytest
from django.test import Client

from securitygroups import operations
from securitygroups.firewall import lists
from securitygroups.firewall.values import RuleList
from securitygroups.models import Project, SecurityGroup, User, VirtualMachine, values
from securitygroups.operations import By
from securitygroups.web.views import history
from tests.factories import make_group, make_machine, ports, rule
from tests.operations.state import attached, rules_of
from tests.web.pages import Page, messages, say_yes


@pytest.fixture
def storied(project: Project, erin: User) -> SecurityGroup:
    """1: TCP 1, 2, 3. 2: 3 before the others. 3: without 2. 4: 4 at the end, 1 off."""
    group = make_group(project, "storied", ports(1, 2, 3))
    make_machine(project, "vm", [group])

    def commit(rules: RuleList, reason: str) -> None:
        operations.commit_rules(group=group, rules=rules, base=group.revision, by=By(erin, reason=reason))

    now = lists.move(operations.rules_at(group, 1), [3], 1)
    commit(now, "Order")
    commit(lists.remove(now, [3]), "")
    commit((*lists.switch(lists.remove(now, [3]), [2], False), *ports(4)), "<b>Bold</b>")
    return group


def url(group: SecurityGroup, rest: str = "") -> str:
    return f"{group.get_absolute_url()}{rest}"


def list_of(group: SecurityGroup) -> list[tuple[int | None, bool]]:
    return list(group.rules.in_order().values_list("port_start", "enabled"))


def stored(group: SecurityGroup, number: int) -> list[tuple[int | None, bool]]:
    return [(rule.port_start, rule.enabled) for rule in operations.rules_at(group, number)]


def test_the_revisions_stand_there_newest_first_with_who_and_why(as_bob: Client, storied: SecurityGroup) -> None:
    page = Page(as_bob.get(url(storied, "history/")))
    for words in ("Created with 3 rules. alice", "Moved rule 3 to 1. Order erin", "Removed rule 3. erin"):
        assert words in page.text
    assert page.text.index("Added rule 3.") < page.text.index("Removed rule 3.") < page.text.index("Created with")
    assert "<b>Bold</b>" in page.text
    assert "Restore…" not in page.text


def test_who_may_edit_is_offered_every_revision_but_the_newest(as_erin: Client, storied: SecurityGroup) -> None:
    content = as_erin.get(url(storied, "history/")).content.decode()
    assert [f"history/{number}/restore/" in content for number in (1, 2, 3, 4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("number", "since", "texts"),
    [
        (1, None, ["Rule 1: Accept inbound TCP to port 1", "Rule 3: Accept inbound TCP to port 3", "Newly allowed: inbound TCP 1–3"]),
        (2, None, ["Rule 3 to place 1", "No traffic changes"]),
        (3, None, ["Rule 3: Accept inbound TCP to port 2", "Newly denied: inbound TCP 2 "]),
        (4, None, ["Accept inbound TCP to port 1 from anywhere (switched off) Traffic", "Newly allowed: inbound TCP 4", "Newly denied: inbound TCP 1 "]),
        (4, 1, ["Newly denied: inbound TCP 1–2", "Newly allowed: inbound TCP 4"]),
        (1, 4, ["Newly allowed: inbound TCP 1–2", "Newly denied: inbound TCP 4"]),
        (2, 2, ["No rule differs.", "No traffic changes"]),
        (4, 0, ["Newly allowed: inbound TCP 3–4"]),
    ],
)  # fmt: skip
def test_any_two_revisions_can_be_compared(
    number: int, since: int | None, texts: list[str], as_bob: Client, storied: SecurityGroup
) -> None:
    response = as_bob.get(url(storied, f"history/{number}/") + ("" if since is None else f"?from={since}"))
    page = Page(response)
    for text in texts:
        assert text in page.text
    assert page.form_with("from").fields["from"] == [str(number - 1 if since is None else since)]


def test_of_very_many_revisions_the_number_is_typed(
    as_bob: Client, storied: SecurityGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "REVISIONS", 3)
    page = Page(as_bob.get(url(storied, "history/4/"), {"from": 1}))
    assert page.form_with("from").fields["from"] == ["1"]
    assert "revision 1 to 4; 0 is an empty list" in page.text
    assert "Newly allowed: inbound TCP 4" in page.text


@pytest.mark.parametrize("since", ["", "x", "-1", "99", "9" * 30, "1.5", "٢"])
def test_a_revision_to_compare_with_that_is_none_does_no_harm(
    since: str, as_bob: Client, storied: SecurityGroup
) -> None:
    assert as_bob.get(url(storied, "history/2/"), {"from": since}).status_code == 200


@pytest.mark.parametrize(
    "rest", ["history/99/", "history/99/restore/", f"history/{'9' * 30}/", f"history/{'9' * 30}/restore/", "history/0/"]
)
def test_a_revision_that_never_was_is_not_found(rest: str, as_alice: Client, storied: SecurityGroup) -> None:
    assert as_alice.get(url(storied, rest)).status_code == 404


@pytest.mark.parametrize("number", [1, 2, 3])
def test_restoring_shows_what_it_changes_and_then_is_a_revision_of_its_own(
    number: int, as_erin: Client, storied: SecurityGroup
) -> None:
    question = as_erin.get(url(storied, f"history/{number}/restore/"))
    assert Page(question).title.startswith("Change storied?")
    assert "Newly denied: inbound TCP 4" in Page(question).text
    assert SecurityGroup.objects.get(pk=storied.pk).revision == 4
    assert say_yes(as_erin, question).status_code == 302
    assert f"Restored the rules of revision {number}." in messages(as_erin)
    assert list_of(storied) == stored(storied, number) == stored(storied, 5)
    before, after = operations.rules_at(storied, number), operations.rules_at(storied, 5)
    assert [rule.uid for rule in before] == [rule.uid for rule in after], "they are the same rules as then"


def test_a_restore_by_post_alone_is_asked_about_as_well(as_erin: Client, storied: SecurityGroup) -> None:
    response = as_erin.post(url(storied, "history/1/restore/"), {"base": 4})
    assert Page(response).title.startswith("Change storied?")
    assert as_erin.post(url(storied, "history/1/restore/")).status_code == 409
    assert SecurityGroup.objects.get(pk=storied.pk).revision == 4


def test_restoring_what_is_there_already_writes_nothing(as_erin: Client, storied: SecurityGroup) -> None:
    assert as_erin.post(url(storied, "history/4/restore/"), {"base": 4}).status_code == 302
    assert "Nothing was changed." in messages(as_erin)
    assert SecurityGroup.objects.get(pk=storied.pk).revision == 4


def test_undo_goes_back_step_by_step_and_can_be_undone(as_erin: Client, storied: SecurityGroup) -> None:
    """Each undo is a new revision; undoing that brings back what was undone."""
    assert as_erin.post(url(storied, "undo/4/")).status_code == 302
    assert list_of(storied) == stored(storied, 3)
    assert as_erin.post(url(storied, "undo/5/")).status_code == 302
    assert list_of(storied) == stored(storied, 4)
    assert storied.revisions.latest("number").summary == "Undid revision 5."


@pytest.mark.parametrize("number", [1, 2, 3, 99, 10**20])
def test_only_the_newest_revision_can_be_undone(number: int, as_erin: Client, storied: SecurityGroup) -> None:
    assert as_erin.post(url(storied, f"undo/{number}/")).status_code == 409
    assert SecurityGroup.objects.get(pk=storied.pk).revision == 4


def test_the_first_revision_has_nothing_to_go_back_to(as_erin: Client, project: Project) -> None:
    group = make_group(project, "new", ports(1))
    assert as_erin.post(url(group, "undo/1/")).status_code == 302
    assert "The first revision has nothing before it." in messages(as_erin)
    assert list_of(group) == [(1, True)]


def test_who_may_only_look_restores_and_undoes_nothing(
    as_bob: Client, as_charlie: Client, client: Client, storied: SecurityGroup
) -> None:
    for rest in ("history/1/restore/", "undo/4/"):
        assert as_bob.post(url(storied, rest), {"base": 4}).status_code == 403
        assert as_charlie.post(url(storied, rest), {"base": 4}).status_code == 404
        assert client.post(url(storied, rest), {"base": 4}).status_code == 302
    assert as_bob.get(url(storied, "history/1/restore/")).status_code == 403
    for rest in ("history/", "history/1/"):
        assert as_charlie.get(url(storied, rest)).status_code == 404
    assert SecurityGroup.objects.get(pk=storied.pk).revision == 4


def test_a_long_history_is_paged_and_costs_no_more(
    as_bob: Client, storied: SecurityGroup, erin: User, settings: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(5, 13):
        now = values(list(storied.rules.in_order()))
        operations.commit_rules(group=storied, rules=(*now, *ports(number)), base=storied.revision, by=By(erin))
    settings.PAGE_SIZE = 5
    with django_assert_max_num_queries(15):
        page = Page(as_bob.get(url(storied, "history/")))
    last = Page(as_bob.get(url(storied, "history/?page=3")))
    assert "Added rule 11." in page.text
    assert "Created with 3 rules." not in page.text
    assert "Created with 3 rules." in last.text


def test_a_vm_s_history_tells_its_groups_then(
    as_bob: Client, as_charlie: Client, machine: VirtualMachine, erin: User
) -> None:
    groups = [attachment.group for attachment in machine.attachments.select_related("group")]
    operations.attach_groups(machine=machine, groups=groups[::-1], base=1, by=By(erin, reason="Order"))
    operations.attach_groups(machine=machine, groups=[], base=2, by=By(erin))
    page = Page(as_bob.get(f"{machine.get_absolute_url()}history/"))
    for words in ("web, then outbound", "outbound, then web", "No group: everything is denied", "Order"):
        assert words in page.text
    assert as_charlie.get(f"{machine.get_absolute_url()}history/").status_code == 404


# ── A VM's groups ─────────────────────────────────────────────────────────────


@pytest.fixture
def grouped(project: Project, erin: User) -> VirtualMachine:
    """1: a, b. 2: b, a. 3: a, c. 4: none."""
    a, b, c = (make_group(project, name, rules) for name, rules in {"a": ["accept in tcp 1"], "b": ["drop in tcp 1", "accept in tcp 2"], "c": ["accept in tcp 3"]}.items())  # fmt: skip
    machine = make_machine(project, "vm", [a, b], ipv4="10.0.0.5")
    for base, groups in enumerate(([b, a], [a, c], []), 1):
        operations.attach_groups(machine=machine, groups=groups, base=base, by=By(erin, reason=f"Reason {base}"))
    return machine


def groups_of(machine: VirtualMachine) -> list[str]:
    return [a.group.name for a in machine.attachments.select_related("group").order_by("position")]


def of_vm(machine: VirtualMachine, rest: str = "") -> str:
    return f"{machine.get_absolute_url()}history/{rest}"


def delete(name: str) -> None:
    group = SecurityGroup.objects.select_related("project").get(name=name)
    operations.delete_group(group=group, base=group.revision, by=By())


@pytest.mark.parametrize(
    ("number", "since", "texts"),
    [
        (1, None, ["a, at place 1", "b, at place 2", "Newly allowed: inbound TCP 1–2 "]),
        (2, None, ["b from place 2 to 1", "a from place 1 to 2", "Newly denied: inbound TCP 1 ", "decided by b, rule 1, was accepted by a, rule 1"]),
        (3, None, ["c, at place 2", "b, from place 1", "Newly allowed: inbound TCP 1", "Newly denied: inbound TCP 2 "]),
        (4, None, ["No group: everything is denied", "a, from place 1", "Newly denied: inbound TCP 1"]),
        (3, 1, ["c, at place 2", "b, from place 2", "Newly allowed: inbound TCP 3"]),
        (1, 4, ["a, at place 1", "Newly allowed: inbound TCP 1–2"]),
        (2, 2, ["The same groups in the same order.", "No traffic changes"]),
        (3, 0, ["a, at place 1", "c, at place 2", "Newly allowed: inbound TCP 1 and 3"]),
    ],
)  # fmt: skip
def test_any_two_revisions_of_a_vm_s_groups_can_be_compared(
    number: int, since: int | None, texts: list[str], as_bob: Client, grouped: VirtualMachine
) -> None:
    page = Page(as_bob.get(of_vm(grouped, f"{number}/") + ("" if since is None else f"?with={since}")))
    for text in texts:
        assert text in page.text
    assert "With the rules that these groups have now." in page.text
    assert page.form_with("with").fields["with"] == [str(number - 1 if since is None else since)]
    assert "Restore…" not in page.text


@pytest.mark.parametrize("since", ["", "x", "-1", "99", "9" * 30, "1.5", "٢"])
def test_a_revision_of_a_vm_to_compare_with_that_is_none_does_no_harm(
    since: str, as_bob: Client, grouped: VirtualMachine
) -> None:
    response = as_bob.get(of_vm(grouped, "2/"), {"with": since})
    assert response.status_code == 200


@pytest.mark.parametrize("rest", ["99/", "99/restore/", f"{'9' * 30}/", f"{'9' * 30}/restore/", "0/", "0/restore/"])
def test_a_revision_of_a_vm_that_never_was_is_not_found(rest: str, as_alice: Client, grouped: VirtualMachine) -> None:
    assert as_alice.get(of_vm(grouped, rest)).status_code == 404


def test_the_groups_of_a_revision_are_restored_after_a_look(as_erin: Client, grouped: VirtualMachine) -> None:
    content = as_erin.get(of_vm(grouped)).content.decode()
    assert [f"history/{number}/restore/" in content for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert f'href="{of_vm(grouped, "2/restore/")}"' in as_erin.get(of_vm(grouped, "2/")).content.decode()
    asked = as_erin.get(of_vm(grouped, "2/restore/"))
    page = Page(asked)
    assert page.title.startswith("Change the groups of vm?")
    for words in ("b, at place 1", "a, at place 2", "Newly allowed: inbound TCP 2 "):
        assert words in page.text
    assert groups_of(grouped) == []
    assert say_yes(as_erin, asked)["Location"] == grouped.get_absolute_url()
    assert groups_of(grouped) == ["b", "a"]
    assert grouped.revisions.get(number=5).reason == "Restored revision 2."
    said = messages(as_erin)
    assert "vm has the groups of revision 2 again." in said
    assert as_erin.post(f"{grouped.get_absolute_url()}undo/5/").status_code == 302
    assert groups_of(grouped) == []


def test_a_restore_by_post_alone_or_of_what_is_there_writes_nothing(as_erin: Client, grouped: VirtualMachine) -> None:
    assert Page(as_erin.post(of_vm(grouped, "1/restore/"), {"base": 4})).title.startswith("Change the groups of vm?")
    for base in ("3", "", "x", "9" * 30):
        assert as_erin.post(of_vm(grouped, "1/restore/"), {"base": base}).status_code == 302
        assert "Nothing was changed: the groups of vm were changed by somebody else" in messages(as_erin)
    assert as_erin.post(of_vm(grouped, "4/restore/"), {"base": 4}).status_code == 302
    assert "Nothing was changed." in messages(as_erin)
    grouped.refresh_from_db()
    assert (grouped.revision, groups_of(grouped)) == (4, [])


def test_a_revision_with_a_deleted_group_says_so_and_is_not_restored(as_erin: Client, grouped: VirtualMachine) -> None:
    delete("b")
    response = as_erin.get(of_vm(grouped))
    listed = response.content.decode()
    assert [f"history/{number}/restore/" in listed for number in (1, 2, 3)] == [False, False, True]
    assert "b deleted" in Page(response).text
    page = as_erin.get(of_vm(grouped, "1/"))
    assert "b has been deleted since, so this revision cannot be restored." in Page(page).text
    assert "/restore/" not in page.content.decode()
    assert "Newly allowed: inbound TCP 1–2" in Page(page).text
    for send in (as_erin.get, as_erin.post):
        assert send(of_vm(grouped, "1/restore/"), {"base": 4})["Location"] == of_vm(grouped, "1/")
        assert "Revision 1 cannot be restored: one of its groups has been deleted." in messages(as_erin)
    assert groups_of(grouped) == []


def test_who_may_only_look_restores_no_groups(as_bob: Client, as_charlie: Client, grouped: VirtualMachine) -> None:
    assert as_bob.get(of_vm(grouped, "1/restore/")).status_code == 403
    assert as_bob.post(of_vm(grouped, "1/restore/"), {"base": 4}).status_code == 403
    for rest in ("", "1/", "1/restore/"):
        assert as_charlie.get(of_vm(grouped, rest)).status_code == 404


def test_then_leads_to_a_packet_test_as_of_that_time(as_bob: Client, grouped: VirtualMachine) -> None:
    response = as_bob.get(of_vm(grouped, "4/"))
    (address,) = [part.split('"')[0] for part in response.content.decode().split('href="') if part.startswith(f"{grouped.get_absolute_url()}test/?at=")]  # fmt: skip
    assert as_bob.get(address).context["moment"] > grouped.revisions.get(number=4).at


def test_what_an_undo_would_give_back_is_looked_at_where_others_have_changed_what_decides_there(
    as_erin: Client, group: SecurityGroup, machine: VirtualMachine, project: Project
) -> None:
    before = rules_of(group)
    operations.commit_rules(group=group, rules=[], base=1, by=By())
    make_machine(project, "later", [group])

    asked = as_erin.post(f"{group.get_absolute_url()}undo/2/", follow=True)

    assert asked.redirect_chain[-1][0] == f"{group.get_absolute_url()}history/1/restore/"
    page = Page(asked)
    assert "Nothing was undone yet. The VMs that have the group, or other rules on them" in page.text
    assert "Newly allowed" in page.text
    assert rules_of(group) == ()
    page.form_with("sure").send(as_erin)
    assert rules_of(group) == before


def test_groups_that_have_other_rules_by_now_are_looked_at_before_a_vm_gets_them_back(
    as_erin: Client, group: SecurityGroup, machine: VirtualMachine
) -> None:
    had = attached(machine)
    operations.attach_groups(machine=machine, groups=[], base=1, by=By())
    operations.commit_rules(group=group, rules=[rule("accept in all")], base=1, by=By())

    asked = as_erin.post(f"{machine.get_absolute_url()}undo/2/", follow=True)

    page = Page(asked)
    assert "Nothing was undone yet. The rules of web have been changed since." in page.text
    assert "Newly allowed" in page.text
    assert attached(machine) == []
    page.form_with("sure").send(as_erin)
    assert attached(machine) == had


def test_the_newest_change_of_a_group_is_undone_from_its_record_after_a_look(
    as_erin: Client, as_bob: Client, group: SecurityGroup
) -> None:
    at = group.get_absolute_url()
    assert "Undo…" not in as_erin.get(f"{at}history/").content.decode(), "before the first there was no list"
    uids = [row.uid for row in group.rules.in_order()]
    data = {"base": "1", "rule": uids[:2], "do": "delete", "reason": "Spring"}
    asked = as_erin.post(f"{at}rules/bulk/", data)
    as_erin.post(f"{at}rules/bulk/", {**data, "sure": asked.context["token"]})
    assert group.rules.count() == 3

    undo = f'href="{at}history/1/restore/"'
    for page in (f"{at}history/", f"{at}history/2/"):
        assert undo in as_erin.get(page).content.decode()
        assert undo not in as_bob.get(page).content.decode()
    assert f'href="{at}history/2/"' in as_bob.get("/p/shop/activity/").content.decode()
    question = as_erin.get(f"{at}history/1/restore/")
    assert "Newly" in question.content.decode()
    as_erin.post(f"{at}history/1/restore/", {"base": "2", "sure": question.context["token"]})
    assert [row.uid for row in group.rules.in_order()] == uids
