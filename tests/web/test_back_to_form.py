"""Forms are drawn again as they were typed, and nothing is changed by that."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from karenpanel import sent_again
from securitygroups import operations
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import make_packet, parse_address
from securitygroups.models import Event, SecurityGroup, User, VirtualMachine
from tests.factories import make_delivery, reviewed
from tests.web.pages import Page, form_at


def views(resolver: URLResolver) -> Iterator[tuple[str, Any]]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from views(entry)
        elif isinstance(entry, URLPattern) and entry.name:
            yield entry.name, entry.callback


DRAWN_AGAIN = {
    "group_create": "/p/shop/groups/new/",
    "group_import_new": "/p/shop/groups/import/",
    "group_duplicate": "{group}duplicate/",
    "group_edit": "{group}edit/",
    "group_import": "{group}import/",
    "group_start": "{group}start/",
    "template_save": "{group}template/",
    "rule_add": "{group}rules/new/",
    "rule_edit": "{group}rules/{uid}/",
    "rule_move": "{group}rules/{uid}/move/",
    "rules_bulk": "{group}rules/bulk/",
    "machine_create": "/p/shop/machines/new/",
    "machine_settings": "{machine}settings/",
    "machine_open": "{machine}open/",
    "members": "/p/shop/members/",
    "token_new": "/p/shop/tokens/new/",
    "own_token_new": "/account/tokens/new/",
    "webhook_new": "/p/shop/webhooks/new/",
    "webhook_edit": "/p/shop/webhooks/{webhook}/edit/",
    "review": "/p/shop/review/",
    "review_sign": "/p/shop/review/sign/",
    "case_note": "/p/shop/cases/{case}/note/",
}
TYPED = {
    "name": "typed <name>",
    "description": "typed",
    "text": "typed, and no document",
    "reason": "typed reason",
    "source": "10.0.0.5/24",
    "protocol": "tcp",
    "port_start": "90",
    "port_end": "80",
    "place": "99",
    "position": "3",
    "email": "typed@example.com",
    "role": "editor",
    "template": "web",
    "ipv4": "no address",
    "base": "1",
    "ports": "https, typed",
}


def test_every_form_that_is_drawn_again_is_in_the_list() -> None:
    # Of many VMs the form is about those that were ticked: test_fleet goes back to it.
    every = {*DRAWN_AGAIN, "machine_groups"}
    assert {name for name, view in views(get_resolver()) if sent_again.draws_again_of(view)} == every


@pytest.mark.parametrize("name", DRAWN_AGAIN)
def test_a_form_is_drawn_again_unchecked_and_nothing_is_changed(
    name: str, as_alice: Client, group: SecurityGroup, machine: VirtualMachine, staff: User, alice: User
) -> None:
    uid = group.rules.in_order()[1].uid
    packet = make_packet(Direction.IN, "tcp", parse_address("192.0.2.1"), parse_address("10.0.1.11"), 80)
    case = operations.open_case(about=machine, packet=packet, staff=staff, ticket="T-1", note="")
    things = {"group": group.get_absolute_url(), "machine": machine.get_absolute_url(), "case": case.public_id}
    things["webhook"] = str(make_delivery(group.project, alice).webhook_id)
    url = DRAWN_AGAIN[name].format(**things, uid=uid)
    reviewed(group, alice)
    row = {"0-row": f"{group.public_id} {uid} 1 0 {'0' * 12}", "0-verdict": "narrow", "0-source": "10.0.0.5/24"}
    events, revisions = Event.objects.count(), group.revisions.count()
    for sure in ({}, {"sure": "x", "seen": "x", "do": "delete"}):
        answer = as_alice.post(url, {**TYPED, **row, **sure, "rule": uid, "back": "1"})
        assert answer.status_code == 200, name
        page = Page(answer)
        assert not page.errors
        assert "There is a problem" not in page.text
        assert "typed" in answer.content.decode() or "10.0.0.5/24" in answer.content.decode() or name == "rule_move"
    assert (Event.objects.count(), group.revisions.count()) == (events, revisions)


def test_a_page_that_knows_nothing_of_going_back_is_opened_and_not_obeyed(
    as_alice: Client, group: SecurityGroup, machine: VirtualMachine
) -> None:
    uid = group.rules.in_order()[1].uid
    for url in (
        f"{group.get_absolute_url()}delete/",
        f"{machine.get_absolute_url()}delete/",
        f"{group.get_absolute_url()}rules/{uid}/delete/",
        f"{group.get_absolute_url()}rules/{uid}/off/",
    ):
        answer = as_alice.post(url, {"base": "1", "back": "1"})
        assert (answer.status_code, answer["Location"]) == (302, url)
    group.refresh_from_db()
    machine.refresh_from_db()
    assert (group.deleted_at, machine.deleted_at, group.revision) == (None, None, 1)


def test_the_question_brings_the_rule_back_as_it_was_typed(
    as_alice: Client, group: SecurityGroup, machine: VirtualMachine
) -> None:
    url = f"{group.get_absolute_url()}rules/new/"
    form = form_at(as_alice, url)
    asked = Page(form.send(as_alice, source="0.0.0.0/0", port_start="22", description="For a day", reason="Ticket 7"))
    question = next(each for each in asked.forms if "sure" in each.fields)
    back = Page(question.send(as_alice, back="1"))
    again = next(each for each in back.forms if "port_start" in each.fields)
    for name, value in {
        "source": "0.0.0.0/0",
        "port_start": "22",
        "description": "For a day",
        "reason": "Ticket 7",
    }.items():
        assert again.fields[name] == [value], name
    assert "sure" not in again.fields
    assert len(again.fields["once"]) == 1


def test_a_bulk_edit_and_an_import_come_back_from_their_questions(
    as_alice: Client, group: SecurityGroup, machine: VirtualMachine
) -> None:
    uids = [row.uid for row in group.rules.in_order()][:2]
    bulk = f"{group.get_absolute_url()}rules/bulk/"
    asked = Page(as_alice.post(bulk, {"rule": uids, "do": "source", "source": "198.51.100.0/24", "base": "1"}))
    question = next(each for each in asked.forms if "sure" in each.fields)
    again = next(each for each in Page(question.send(as_alice, back="1")).forms if "do" in each.fields)
    assert (again.fields["do"], again.fields["source"]) == (["source"], ["198.51.100.0/24"])
    assert sorted(again.fields["rule"]) == sorted(uids)

    document = as_alice.get(f"{group.get_absolute_url()}export.json").content.decode()
    asked = Page(as_alice.post("/p/shop/groups/import/", {"text": document, "name": "brought"}))
    question = next(each for each in asked.forms if "sure" in each.fields)
    again = next(each for each in Page(question.send(as_alice, back="1")).forms if "text" in each.fields)
    assert again.fields["name"] == ["brought"]
    assert "Office SSH" in again.fields["text"][0]
