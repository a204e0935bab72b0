"""The review: rules with all there is to know of them, what becomes of each, and the record that is signed."""

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from securitygroups import operations
from securitygroups.models import (
    DecidedRule,
    Event,
    Project,
    Review,
    Role,
    Rule,
    SecurityGroup,
    SignedReview,
    User,
    VirtualMachine,
)
from securitygroups.operations import By
from tests.conftest import SignIn
from tests.factories import make_group, make_user, ports, reviewed, rule
from tests.web.pages import Form, Page, form_at

URL = "/p/shop/review/"


def form(client: Client, url: str = URL) -> Form:
    return next(one for one in Page(client.get(url)).forms if "0-row" in one.fields)


def number_of(sent: Form, group: SecurityGroup, place: int) -> str:
    uid = group.rules.get(position=place).uid
    return next(
        name.partition("-")[0]
        for name, [value] in sent.fields.items()
        if name.endswith("-row") and value.startswith(f"{group.public_id} {uid} ")
    )


def choose(client: Client, group: SecurityGroup, *chosen: tuple[int, str], url: str = URL, **more: str) -> Any:
    """Send the page's form with these decisions, by place; `more` are fields of the first of them."""
    sent = form(client, url)
    changes = {f"{number_of(sent, group, place)}-verdict": verdict for place, verdict in chosen}
    first = number_of(sent, group, chosen[0][0]) if chosen else ""
    return sent.send(client, **changes, **{f"{first}-{name}": value for name, value in more.items()})


def decided() -> dict[int, str]:
    places = dict(Rule.objects.values_list("uid", "position"))
    return {places[one.uid]: one.verdict for one in DecidedRule.objects.all()}


def sign(client: Client, **fields: str) -> Any:
    return form_at(client, f"{URL}sign/").send(client, **fields)


def test_a_rule_says_since_when_it_is_there_by_whom_why_and_on_which_vms(
    as_bob: Client, group: SecurityGroup, machine: VirtualMachine, erin: User
) -> None:
    one, *rest = (row.as_value() for row in group.rules.in_order())
    new = rule("drop in ip from 192.0.2.0/24", "Abuse", uid=one.uid)
    operations.commit_rules(group=group, rules=[new, *rest], base=1, by=By(erin, reason="Ticket 9"))

    page = Page(as_bob.get(URL))

    assert "web On 1 VM: web-1" in page.text
    assert "Inbound IP from 192.0.2.0/24 Abuse Changed just now by erin: “Ticket 9” · Added just now by alice" in (
        page.text
    )
    assert "Inbound TCP to port 443 (HTTPS) from anywhere Anywhere Public HTTPS Added just now by" in page.text
    assert "Not decided" in page.text
    assert not [one for one in page.forms if "0-row" in one.fields]


def test_decisions_are_saved_for_all_to_see_and_change_nothing(
    as_alice: Client, as_erin: Client, as_bob: Client, group: SecurityGroup
) -> None:
    answer = choose(as_alice, group, (1, "remove"), (2, "keep"), remark="Our shop")

    assert (answer.status_code, answer["Location"]) == (302, URL)
    page = Page(as_bob.get(URL))
    assert "2 of 5 rules decided: keep 1, remove 1" in page.text
    assert "Remove Our shop By alice" in page.text
    again = form(as_erin)
    at = number_of(again, group, 1)
    assert (again.fields[f"{at}-verdict"], again.fields[f"{at}-remark"]) == (["remove"], ["Our shop"])
    assert group.rules.count() == 5


def test_one_click_keeps_all_that_nobody_has_decided(as_erin: Client, group: SecurityGroup) -> None:
    choose(as_erin, group, (3, "off"))

    sent = form(as_erin)
    sent.send(as_erin, **{f"{number_of(sent, group, 1)}-verdict": "remove"}, keep_rest="1")

    assert decided() == {1: "remove", 2: "keep", 3: "off", 4: "keep", 5: "keep"}


def test_a_page_that_stood_open_overwrites_nothing(as_alice: Client, as_erin: Client, group: SecurityGroup) -> None:
    old = form(as_alice)
    choose(as_erin, group, (1, "remove"), (2, "keep"))

    changes = {f"{number_of(old, group, 1)}-verdict": "keep", f"{number_of(old, group, 3)}-verdict": "off"}
    page = Page(old.send(as_alice, **changes))
    page = Page(as_alice.get(URL))

    assert decided() == {1: "remove", 2: "keep", 3: "off"}
    assert "erin has decided about a rule of web in the meantime: Remove. Yours was not saved" in page.text


def test_a_rule_that_was_changed_while_the_page_stood_open_is_looked_at_again(
    as_alice: Client, group: SecurityGroup, erin: User
) -> None:
    old = form(as_alice)
    one, two, *rest = (row.as_value() for row in group.rules.in_order())
    new = rule("drop in ip from 192.0.2.0/24", uid=one.uid)
    operations.commit_rules(group=group, rules=[new, *rest], base=1, by=By(erin))

    changes = {f"{number}-verdict": "keep" for number in "012"}
    old.send(as_alice, **changes)

    assert decided() == {2: "keep"}
    text = Page(as_alice.get(URL)).text
    assert "A rule of web was decided about or changed in the meantime." in text
    assert "1 of the rules is not there any more." in text
    assert two.uid not in DecidedRule.objects.values_list("uid", flat=True)


REFUSED = [
    ({"source": "203.0.113.5/24"}, "source", "is an address inside a network. Type 203.0.113.5/32"),
    (
        {"source": "198.51.100.0/24"},
        "source",
        "This is more than the rule takes now: type a network within 203.0.113.0/24",
    ),
    ({"source": ""}, "source", "This is more than the rule takes now"),
    ({"source": "203.0.113.0/24"}, "source", "Type a smaller network or fewer ports: this is the rule as it is."),
    ({"source": "nonsense"}, "source", "is not an IP address or network"),
    ({"port_start": "23"}, "port_start", "These are more ports than the rule takes now: stay with 22."),
    ({"port_start": "99999"}, "port_start", "65535"),
    ({"port_start": "22", "port_end": "20"}, "port", "Did you mean 20–22"),
]


@pytest.mark.parametrize(("typed", "field", "words"), REFUSED)
def test_a_narrower_rule_is_narrower_or_says_what_to_type(
    as_alice: Client, group: SecurityGroup, typed: dict[str, str], field: str, words: str
) -> None:
    answer = choose(as_alice, group, (3, "narrow"), (1, "remove"), remark="Kept", **typed)

    assert answer.status_code == 422
    page = Page(answer)
    [(name, message)] = page.errors.items()
    assert field in name
    assert words in message
    assert page.title.startswith("Error:")
    assert "web, rule 3: " in page.text
    again = next(one for one in page.forms if "0-row" in one.fields)
    at = number_of(again, group, 3)
    assert again.fields[f"{at}-remark"] == ["Kept"]
    assert {name: again.fields[f"{at}-{name}"] for name in typed} == {name: [text] for name, text in typed.items()}
    assert not Review.objects.exists()


def test_a_suggestion_fills_the_field_without_script(as_alice: Client, group: SecurityGroup) -> None:
    page = Page(choose(as_alice, group, (3, "narrow"), source="203.0.113.5/24"))
    again = next(one for one in page.forms if "0-row" in one.fields)
    at = number_of(again, group, 3)

    taken = Page(again.send(as_alice, suggest=f"{at}-source=203.0.113.5/32"))
    filled = next(one for one in taken.forms if "0-row" in one.fields)
    filled.send(as_alice)

    assert DecidedRule.objects.get().narrowed == {"source": "203.0.113.5/32", "port_start": 22, "port_end": 22}


def test_the_filters_find_what_they_say(
    as_alice: Client, group: SecurityGroup, project: Project, alice: User, sign_in: SignIn
) -> None:
    gone = make_user("gone")
    member = operations.add_member(project=project, user=gone, role=Role.EDITOR, by=By(alice))
    operations.commit_rules(group=group, rules=[row.as_value() for row in group.rules.in_order()], base=1, by=By(gone))
    with time_machine.travel(timezone.now() - timedelta(days=400)):
        old = operations.create_group(
            project=project, name="old", rules=[rule("accept in tcp 1 from 10.0.0.0/8")], by=By(gone)
        )
    operations.commit_rules(
        group=old, rules=[*(row.as_value() for row in old.rules.all()), rule("drop in tcp 1 from 10.1.0.0/16")],
        base=1, by=By(alice),
    )  # fmt: skip
    operations.remove_member(member=member, by=By(alice))
    choose(as_alice, group, (1, "keep"))

    def found(show: str) -> set[tuple[str, int]]:
        sent = form(as_alice, f"{URL}?show={show}")
        rows = [value[0].split()[:2] for name, value in sent.fields.items() if name.endswith("-row")]
        return {
            (one.group.name, one.position)
            for one in Rule.objects.select_related("group")
            if [one.group.public_id, one.uid] in rows
        }

    assert found("old") == found("gone") == {("old", 1)}
    assert found("world") == {("web", 2)}
    assert found("findings") == {("old", 2)}
    assert found("undecided") == {("web", 2), ("web", 3), ("web", 4), ("web", 5), ("old", 1), ("old", 2)}
    assert len(found("unreviewed")) == 7
    assert len(found("nonsense")) == 7
    only = form(as_alice, f"{URL}?group={old.public_id}&show=old")
    assert [name for name in only.fields if name.endswith("-row")] == ["0-row"]
    assert as_alice.get(f"{URL}?group=sg-0000000000").status_code == 404


def test_a_rule_says_with_which_others_its_order_matters(as_alice: Client, project: Project) -> None:
    crossing = make_group(
        project,
        "crossing",
        ["accept in tcp 22 from 10.0.0.0/8", "drop in tcp 20-30 from 10.1.0.0/16", "drop in tcp 1-80 from 10.1.2.3/32",
         "accept in tcp 443"],
    )  # fmt: skip
    make_group(project, "plain", ["accept in tcp 443"])

    page = Page(as_alice.get(f"{URL}?show=order"))

    assert "Order matters: it partly overlaps rule 2 and 1 more rule, which do the opposite." in page.text
    assert page.text.count("Order matters: it partly overlaps rule 1, which does the opposite.") == 2
    assert sum(name.endswith("-row") for one in page.forms for name in one.fields) == 3
    assert "Order matters:" not in Page(as_alice.get(crossing.get_absolute_url())).text
    assert "No rule is like that" in Page(as_alice.get(f"{URL}?show=findings")).text


def test_all_pages_together_have_every_rule_once(as_alice: Client, project: Project) -> None:
    for name, size in (("a", 30), ("b", 5), ("c", 95), ("d", 0), ("e", 3), ("f", 40)):
        make_group(project, name, ports(*range(1, size + 1)))
    seen: list[str] = []
    for number in range(1, 9):
        page = as_alice.get(f"{URL}?page={number}")
        if page.context["page"].number == number:
            seen += [row.line.row.uid for _, rows in page.context["parts"] for row in rows]
            assert sum(len(rows) for _, rows in page.context["parts"]) <= 40
    assert len(seen) == len(set(seen)) == 173
    assert "1–35 of 173" in Page(as_alice.get(URL)).text
    assert "76–115 of 173" in Page(as_alice.get(f"{URL}?page=3")).text


def test_findings_of_very_many_rules_want_a_group(
    as_alice: Client, group: SecurityGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("securitygroups.answers.review.FINDINGS_MOST", 4)
    text = Page(as_alice.get(f"{URL}?show=findings")).text
    assert "5 rules are too many to look for findings in all of them at once" in text


def test_signing_shows_first_what_changes_and_asks_again_when_that_is_another_thing(
    as_alice: Client, as_erin: Client, group: SecurityGroup, machine: VirtualMachine
) -> None:
    choose(as_alice, group, (2, "remove"), (3, "keep"))
    asked = form_at(as_erin, f"{URL}sign/")
    text = Page(as_erin.get(f"{URL}sign/")).text
    assert "2 of 7 rules decided: keep 1, remove 1. 5 are left, which the record says." in text
    assert "Newly denied: inbound TCP 443 (HTTPS) from" in text
    assert "1 rule in 1 group web Rule 2: Accept inbound TCP to port 443 (HTTPS) from anywhere" in text
    choose(as_alice, group, (1, "remove"))

    late = asked.send(as_erin, name="Erin Miller", remark="Spring")

    assert late.status_code == 409
    assert "Something was decided or changed since you looked. Nothing was signed" in Page(late).text
    assert not SignedReview.objects.exists()
    again = next(one for one in Page(late).forms if "sure" in one.fields)
    assert (again.fields["name"], again.fields["remark"]) == (["Erin Miller"], ["Spring"])
    done = again.send(as_erin)
    assert done["Location"] == f"{URL}signed/1/"
    assert list(group.rules.in_order().values_list("description", flat=True)) == [
        *("Office SSH", "Not yet", "Everything out"),
    ]


def test_a_removed_drop_that_opens_to_the_world_is_an_alarm(
    as_alice: Client, project: Project, machine: VirtualMachine
) -> None:
    risky = make_group(project, "risky", [rule("drop in tcp 22"), rule("accept in tcp 22", "Oops")])
    operations.attach_groups(machine=machine, groups=[risky], base=machine.revision, by=By())
    choose(as_alice, risky, (1, "remove"))

    page = Page(as_alice.get(f"{URL}sign/"))

    assert "This opens SSH (TCP 22) to every address on the internet." in page.text
    assert "Apply it all the same and sign off" in page.text


def test_a_name_is_asked_for(as_alice: Client, group: SecurityGroup) -> None:
    choose(as_alice, group, (1, "keep"))
    answer = sign(as_alice, name=" ")
    assert answer.status_code == 422
    assert Page(answer).errors == {"name": "Type your name: it signs the review."}
    assert not SignedReview.objects.exists()


def test_what_was_signed_is_read_printed_and_taken_along(
    as_alice: Client, as_bob: Client, group: SecurityGroup, machine: VirtualMachine
) -> None:
    choose(as_alice, group, (3, "narrow"), (1, "off"), (2, "keep"), source="203.0.113.64/26", remark="=1+1")
    sign(as_alice, name="Alice Smith", remark="Spring")

    text = Page(as_bob.get(f"{URL}signed/1/")).text
    assert "Alice Smith (signed in as alice)" in text
    assert "3 of 7 decided, 2 of them changed, 4 left" in text
    assert "web 3 Accept inbound TCP to port 22 (SSH) from 203.0.113.0/24 Office SSH Narrow Now: Accept inbound" in text
    assert "Review 1 Spring Alice Smith alice" in Page(as_bob.get(f"{URL}signed/")).text
    document = json.loads(b"".join(as_bob.get(f"{URL}signed/1.json")))
    assert (document["name"], document["signed_by"], document["decided"]) == ("Alice Smith", "alice", 3)
    assert [(one["place"], one["decision"]) for one in document["decisions"]] == [
        (1, "off"),
        (2, "keep"),
        (3, "narrow"),
    ]
    assert {one["name"]: (one["reviewed_revision"], one["revision"]) for one in document["groups"]} == {
        "web": (1, 2),
        "outbound": (1, 1),
    }
    lines = list(csv.DictReader(io.StringIO(b"".join(as_bob.get(f"{URL}signed/1.csv")).decode())))
    assert [(one["group_name"], one["rule"], one["decision"], one["by"]) for one in lines] == [
        *(("web", "1", "off", "alice"), ("web", "2", "keep", "alice"), ("web", "3", "narrow", "alice")),
    ]
    assert lines[2]["remark"] == "'=1+1"
    page = Page(as_bob.get(URL))
    assert "by alice: keep" in page.text
    assert "Last review:" in page.text
    assert Event.objects.filter(verb="rules.changed").get().detail["reason"].startswith("Review of ")


def test_a_rule_that_was_changed_after_its_review_says_so(as_alice: Client, group: SecurityGroup, alice: User) -> None:
    reviewed(group, alice)
    one, *rest = (row.as_value() for row in group.rules.in_order())
    new = rule("drop in ip from 192.0.2.0/24", uid=one.uid)
    operations.commit_rules(group=group, rules=[new, *rest], base=1, by=By(alice))

    text = Page(as_alice.get(URL)).text

    assert "by alice: keep; changed since" in text
    assert "alice decided “Keep”, but the rule was changed afterwards: decide again." in text
    assert "1 decision no longer holds" in text


def test_the_groups_own_page_marks_what_was_reviewed_and_is_still_the_same(
    as_bob: Client, group: SecurityGroup, alice: User
) -> None:
    at = group.get_absolute_url()
    uid = group.rules.get(position=1).uid
    signed = reviewed(group, alice)
    day = f"{signed.at:%-d %b %Y}"
    page = Page(as_bob.get(at))
    assert f"Reviewed and not changed since: 1 rule by alice on {day}" in page.text
    assert marked(as_bob, group) == [uid]
    menu = as_bob.get(f"{at}rules/{uid}/menu/").content.decode()
    assert f"Reviewed {day} by alice" in menu
    assert signed.get_absolute_url() in menu

    moved = [row.as_value() for row in group.rules.in_order()][::-1]
    operations.commit_rules(group=group, rules=moved, base=1, by=By(alice))
    assert marked(as_bob, group) == [uid], "where it stands does not matter"
    changed = rule("accept in tcp 1", uid=uid)
    operations.commit_rules(group=group, rules=[*moved[:-1], changed], base=2, by=By(alice))
    assert marked(as_bob, group) == []
    assert "Reviewed" not in Page(as_bob.get(at)).text
    assert "Reviewed" not in as_bob.get(f"{at}rules/{uid}/menu/").content.decode()


def marked(client: Client, group: SecurityGroup) -> list[str]:
    """The rules whose rows say that they were reviewed."""
    rows = client.get(group.get_absolute_url()).content.decode().split("<tr id=rule-")[1:]
    return [row[:12] for row in rows if "description seen" in row]


def test_an_owner_says_when_the_next_review_is_due(
    as_alice: Client, as_bob: Client, group: SecurityGroup, alice: User, sign_in: SignIn
) -> None:
    as_alice.post(f"{URL}interval/", {"months": "6"})
    assert "The rules were never reviewed. Next due:" in Page(as_bob.get(URL)).text

    with time_machine.travel(timezone.now() + timedelta(days=200), tick=False):
        assert "The next review has been due since" in Page(sign_in(alice).get(URL)).text
    as_alice.post(f"{URL}interval/", {"months": "5"})
    assert "Choose one of 1, 3, 6, 12, 24 months." in Page(as_alice.get(URL)).text
    as_alice.post(f"{URL}interval/", {"months": ""})
    assert "Next due" not in Page(as_bob.get(URL)).text


def test_a_review_is_dropped_after_a_question(as_alice: Client, group: SecurityGroup) -> None:
    choose(as_alice, group, (1, "remove"))
    assert "1 decision will be forgotten" in Page(as_alice.get(f"{URL}drop/")).text
    as_alice.post(f"{URL}drop/")
    assert not Review.objects.exists()
    for page in ("drop/", "sign/"):
        assert as_alice.get(f"{URL}{page}")["Location"] == URL


@pytest.mark.parametrize(
    "row", ["", "x", "sg-1 00 1 1 1", "sg-0000000000 " + "0" * 12 + " 1 0 " + "0" * 12, "\u0663" * 9]
)
def test_rows_that_no_page_has_drawn_are_nothing(as_alice: Client, group: SecurityGroup, row: str) -> None:
    answer = as_alice.post(URL, {"0-row": row, "0-verdict": "remove"})
    assert answer.status_code == 302
    assert not Review.objects.exists()


def test_a_decision_that_is_none_is_refused(as_alice: Client, group: SecurityGroup) -> None:
    assert choose(as_alice, group, (1, "explode")).status_code == 422
    assert not Review.objects.exists()
