"""The form of a rule: quiet until asked, several rules at once, one after the other, and in the list itself."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from securitygroups.models import SecurityGroup, VirtualMachine
from tests.web.pages import HTMX, Page, messages, say_yes
from tests.web.test_rules import TCP, four, list_of, revision, uid, url

__all__ = ["four"]

CASES = Path(__file__).parents[1] / "cases"
TYPED = [json.loads(line) for line in (CASES / "public" / "ports.jsonl").read_text().splitlines()]


def previewed(client: Client, at: str, sent: dict[str, Any]) -> Any:
    return client.post(at, {**sent, "preview": "1"}, headers=HTMX)


def seen_in(preview: Any) -> str:
    found = re.search(r'name="seen" value="(\w+)"', preview.content.decode())
    assert found, "the preview says that it was seen"
    return found[1]


# ── One port ──────────────────────────────────────────────────────────────────


def test_a_single_port_stands_in_the_first_field_alone(as_alice: Client, four: SecurityGroup) -> None:
    one = url(four, f"{uid(four, 2)}/")
    form = Page(as_alice.get(one)).form_with("protocol")
    assert (form.fields["port_start"], form.fields["port_end"]) == (["2"], [""])
    assert say_yes(as_alice, form.send(as_alice, port_start="2222")).status_code == 302
    rule = four.rules.get(position=2)
    assert (rule.port_start, rule.port_end) == (2222, 2222), "the end went along"


def test_a_service_fills_in_its_port_once(as_alice: Client, four: SecurityGroup) -> None:
    form = Page(as_alice.post(url(four, "new/"), TCP | {"service": "tcp-443", "fill": "1"})).form_with("protocol")
    assert (form.fields["port_start"], form.fields["port_end"]) == (["443"], [""])


@pytest.mark.parametrize(
    ("typed", "offer", "kept"),
    [
        ({"port_start": "80-443"}, "port_start=80-443", ("80", "443")),
        ({"port_start": "8000:8010"}, "port_start=8000-8010", ("8000", "8010")),
        ({"port_start": "22 - 22"}, "port_start=22", ("22", "")),
        ({"port_start": "https"}, "port_start=443", ("443", "")),
        ({"port_end": "80–90"}, "port_end=80-90", ("80", "90")),
    ],
)
def test_what_is_read_out_of_a_port_is_shown_before_it_counts(
    typed: dict[str, str], offer: str, kept: tuple[str, str], as_alice: Client, four: SecurityGroup
) -> None:
    refused = as_alice.post(url(four, "new/"), TCP | typed)
    assert refused.status_code == 422
    assert f'name="suggest" value="{offer}"' in refused.content.decode()
    form = Page(refused).form_with("protocol")
    assert (form.fields["port_start"][0], form.fields["port_end"][0]) == kept, "filled in as it was read"
    say_yes(as_alice, form.send(as_alice))
    assert four.rules.get(position=1).port_start == int(kept[0])


@pytest.mark.parametrize("case", TYPED, ids=lambda case: case["id"])
def test_what_people_type_for_ports_is_one_click_from_what_they_mean(
    case: dict[str, Any], as_alice: Client, four: SecurityGroup
) -> None:
    refused = as_alice.post(url(four, "new/"), TCP | case["fields"])
    assert refused.status_code == 422
    assert f'name="suggest" value="{case["suggest"]}"' in refused.content.decode()
    assert revision(four) == 1


@pytest.mark.parametrize(
    ("start", "errors"),
    [("80-90", ["port_start"]), ("22,443", ["port_start"]), ("80-65536", ["port_end"])],
)
def test_of_two_ports_that_are_one_range_one_thing_is_said(
    start: str, errors: list[str], as_alice: Client, four: SecurityGroup
) -> None:
    refused = as_alice.post(url(four, "new/"), TCP | {"port_start": start})

    assert {name: len(told) for name, told in refused.context["form"].errors.items()} == dict.fromkeys(errors, 1)


@pytest.mark.parametrize("start", ["!22", "! 22", "--dport ! 22", "dport != 22", "not 22", "neq 22", "all but 22"])
def test_every_port_but_one_is_not_offered_as_that_one(start: str, as_alice: Client, four: SecurityGroup) -> None:
    refused = as_alice.post(url(four, "new/"), TCP | {"port_start": start})

    assert refused.status_code == 422
    assert 'value="port_start=' not in refused.content.decode()


@pytest.mark.parametrize("place", ["1_0", "+1", "\u0661", "9" * 30])
def test_a_place_is_written_in_plain_digits(place: str, as_alice: Client, four: SecurityGroup) -> None:
    for at, name in (("new/", "place"), (f"{four.rules.get(position=2).uid}/move/", "position")):
        refused = as_alice.post(url(four, at), TCP | {name: place})

        assert refused.status_code == 422
        assert "digits" in Page(refused).errors[name]


def test_a_list_in_the_form_of_one_rule_is_one_click_from_each_of_it(as_alice: Client, four: SecurityGroup) -> None:
    rule = four.rules.get(position=1)

    refused = as_alice.post(url(four, f"{rule.uid}/"), TCP | {"port_start": "80,443"})

    assert refused.status_code == 422
    for port in ("80", "443"):
        assert f'name="suggest" value="port_start={port}"' in refused.content.decode()


def test_who_has_seen_in_the_preview_how_it_was_read_is_not_asked(as_alice: Client, four: SecurityGroup) -> None:
    sent = TCP | {"source": "10.0.0.0/8", "port_start": "80-443"}
    preview = previewed(as_alice, url(four, "new/"), sent)
    assert "inbound TCP 80–443" in Page(preview).text
    assert as_alice.post(url(four, "new/"), sent | {"seen": seen_in(preview)}).status_code == 302
    rule = four.rules.get(position=1)
    assert (rule.port_start, rule.port_end) == (80, 443)


# ── Several at once ───────────────────────────────────────────────────────────

LISTS = TCP | {"source": "198.51.100.0/24, 203.0.113.7", "port_start": "22,80-90, https"}


def test_lists_make_several_rules_and_one_revision(as_alice: Client, four: SecurityGroup) -> None:
    preview = previewed(as_alice, url(four, "new/"), LISTS)
    assert '"deed": "Add 6 rules"' in preview["HX-Trigger"]
    assert as_alice.post(url(four, "new/"), LISTS | {"seen": seen_in(preview)}).status_code == 302
    made = [(str(row.source), row.port_start, row.port_end) for row in four.rules.in_order()[:6]]
    assert made == [
        (source, *ports)
        for source in ("198.51.100.0/24", "203.0.113.7/32")
        for ports in ((22, 22), (80, 90), (443, 443))
    ]
    assert list_of(four)[6:] == [1, 2, 3, 4]
    assert revision(four) == 2
    assert f"/undo/{revision(four)}/" in messages(as_alice), "one click takes all of them back"


def test_without_script_several_are_made_by_one_click_after_a_look(as_alice: Client, four: SecurityGroup) -> None:
    refused = as_alice.post(url(four, "new/"), LISTS)
    page = Page(refused)
    assert refused.status_code == 422
    assert "These are 6 rules" in page.errors["port_start"]
    assert '<button type="submit" class="btn btn-primary" name="rules" value="6">' in refused.content.decode()
    question = page.form_with("protocol").send(as_alice, rules="6")
    assert Page(question).text.count("Accept inbound TCP") >= 6
    assert say_yes(as_alice, question).status_code == 302
    assert (len(list_of(four)), revision(four)) == (10, 2)


def test_each_of_several_addresses_is_offered_alone_too(as_alice: Client, four: SecurityGroup) -> None:
    sent = TCP | {"source": "203.0.113.0/24\n198.51.100.0/24", "port_start": "22"}
    content = as_alice.post(url(four, "new/"), sent).content.decode()
    assert 'name="suggest" value="source=203.0.113.0/24"' in content
    assert 'name="suggest" value="source=198.51.100.0/24"' in content


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"port_start": "22,8_0"}, "port_start", "“8_0” is not a port"),
        ({"source": "10.0.0.1, 10.0.0.5/24", "port_start": "22"}, "source", "10.0.0.0/24 for the whole network"),
        ({"port_start": "22,70000", "rules": "2"}, "port_start", "70000 is not a port"),
    ],
)
def test_a_wrong_one_of_several_is_named_and_none_is_made(
    typed: dict[str, str], field: str, words: str, as_alice: Client, four: SecurityGroup
) -> None:
    response = as_alice.post(url(four, "new/"), TCP | typed)
    assert response.status_code == 422
    assert words in Page(response).errors[field]
    assert revision(four) == 1


def test_more_than_a_hundred_at_once_are_refused(as_alice: Client, four: SecurityGroup) -> None:
    response = as_alice.post(url(four, "new/"), TCP | {"port_start": ",".join(map(str, range(1, 102)))})
    assert response.status_code == 422
    assert "These are 101 rules, and 100 at once is the most" in Page(response).text


def test_an_edit_with_a_list_says_so_and_makes_two_with_one_click(as_alice: Client, four: SecurityGroup) -> None:
    one = uid(four, 2)
    refused = as_alice.post(url(four, f"{one}/"), TCP | {"port_start": "22,443"})
    assert refused.status_code == 422
    assert "Make 2 rules" in Page(refused).text
    question = Page(refused).form_with("protocol").send(as_alice, rules="2")
    assert say_yes(as_alice, question).status_code == 302
    assert list_of(four) == [1, 22, 443, 3, 4]
    assert uid(four, 2) == one, "the first of them is the rule that was edited"


def test_lists_of_both_families_make_no_rule_between_them(as_alice: Client, four: SecurityGroup) -> None:
    both = "203.0.113.7, 2001:db8::7"
    sent = TCP | {"protocol": "ip", "source": both, "destination": both, "rules": "2"}
    say_yes(as_alice, as_alice.post(url(four, "new/"), sent))
    made = [(str(row.source), str(row.destination)) for row in four.rules.in_order()[:2]]
    assert made == [(one, one) for one in ("203.0.113.7/32", "2001:db8::7/128")]


# ── Quiet until asked ─────────────────────────────────────────────────────────


def test_an_untouched_form_warns_of_nothing(as_alice: Client, machine: VirtualMachine) -> None:
    group = SecurityGroup.objects.get(name="web")
    page = as_alice.get(url(group, "new/"))
    form = Page(page).form_with("protocol")
    sent = {name: texts[0] for name, texts in form.fields.items()}
    preview = Page(previewed(as_alice, url(group, "new/"), sent))
    assert preview.text == "Type a port, or leave it empty for every port: what the rule lets through is shown here."
    assert preview.text in Page(page).text, "nothing moves when the form is there"
    dropped = Page(previewed(as_alice, url(group, "new/"), sent | {"action": "drop"}))
    assert "What this changes" in dropped.text


def test_what_is_rarely_used_is_folded_until_it_matters(as_alice: Client, four: SecurityGroup) -> None:
    def opened(response: Any) -> bool:
        return '<details class="more" open>' in response.content.decode()

    assert not opened(as_alice.get(url(four, "new/")))
    assert opened(as_alice.get(url(four, "new/?place=2")))
    assert opened(as_alice.post(url(four, "new/"), TCP | {"port_start": "9", "place": "77"}))
    assert opened(as_alice.post(url(four, "new/"), TCP | {"port_start": "x", "place": "5", "reason": "Ticket 9"}))
    assert not opened(as_alice.post(url(four, "new/"), TCP | {"port_start": "x", "place": "5"}))


def test_the_focus_waits_in_the_source(as_alice: Client, four: SecurityGroup) -> None:
    for address in (url(four, "new/"), url(four, f"{uid(four, 1)}/")):
        content = as_alice.get(address).content.decode()
        assert content.count("autofocus") == 1
        assert re.search(r'<input[^>]*name="source"[^>]*autofocus', content)
    refused = as_alice.post(url(four, "new/"), TCP | {"port_start": "x"})
    assert b"autofocus" not in refused.content, "it goes to the errors"


# ── One after the other ───────────────────────────────────────────────────────


def test_another_rule_follows_with_the_same_action_direction_and_protocol(
    as_alice: Client, four: SecurityGroup
) -> None:
    sent = TCP | {"action": "drop", "direction": "out", "protocol": "udp", "port_start": "53", "place": "3"}
    answer = as_alice.post(url(four, "new/"), sent | {"another": "1"})
    assert answer.status_code == 302
    page = as_alice.get(answer["location"])
    fields = Page(page).form_with("protocol").fields
    assert [fields[name][0] for name in ("action", "direction", "protocol", "place")] == ["drop", "out", "udp", "4"]
    assert (fields["port_start"], fields["description"]) == ([""], [""])
    shown = page.content.decode()
    assert "Rule 3 was added." in shown
    assert "/undo/2/" in shown


def test_another_after_a_question_comes_back_to_the_form(as_alice: Client, machine: VirtualMachine) -> None:
    group = SecurityGroup.objects.get(name="web")
    question = as_alice.post(url(group, "new/"), TCP | {"port_start": "22", "another": "1"})
    answer = say_yes(as_alice, question)
    assert answer.status_code == 302
    assert "/rules/new/?" in answer["location"]


# ── In the list ───────────────────────────────────────────────────────────────


def test_a_rule_is_edited_in_the_place_of_its_row(as_alice: Client, four: SecurityGroup) -> None:
    one = uid(four, 2)
    part = as_alice.get(f"{four.get_absolute_url()}?edit={one}", headers=HTMX)
    form = Page(part).form_with("protocol")
    assert form.action == url(four, f"{one}/")
    assert form.fields["port_start"] == ["2"]
    answer = as_alice.post(form.action, {**form.fields, "description": "Here"}, headers=HTMX)
    assert answer.content.decode().lstrip().startswith('<section id="rules"'), "the list again"
    assert four.rules.get(position=2).description == "Here"


def test_what_is_refused_in_the_list_stays_there(as_alice: Client, four: SecurityGroup) -> None:
    one = uid(four, 2)
    refused = as_alice.post(url(four, f"{one}/"), TCP | {"port_start": "x"}, headers=HTMX)
    assert refused.status_code == 422
    assert refused["HX-Retarget"] == "#rule-fields"
    assert refused.content.decode().lstrip().startswith('<div id="rule-fields"')


@pytest.mark.parametrize("in_list", [True, False])
def test_a_duplicate_is_a_form_below_the_row_filled_in(in_list: bool, as_alice: Client, four: SecurityGroup) -> None:
    """The same once more would be a rule that no packet reaches, so there is something to change first."""
    one = uid(four, 2)
    at = f"{four.get_absolute_url()}?copy={one}" if in_list else url(four, f"new/?copy={one}")
    form = Page(as_alice.get(at)).form_with("protocol")
    assert (form.fields["port_start"], form.fields["place"]) == (["2"], ["3"])
    to = url(four, f"new/?copy={one}")
    untouched = Page(previewed(as_alice, to, form.fields))
    assert "an exact copy would never act" in untouched.text
    say_yes(as_alice, as_alice.post(to, {**form.fields, "port_start": "22"}))
    assert list_of(four) == [1, 2, 22, 3, 4]


def test_who_may_only_look_gets_no_form_in_the_list(as_bob: Client, as_alice: Client, four: SecurityGroup) -> None:
    for query in (f"edit={uid(four, 2)}", f"copy={uid(four, 2)}"):
        assert b'id="rule-fields"' not in as_bob.get(f"{four.get_absolute_url()}?{query}").content
    for nothing in ("edit=0123456789ab", "copy=", "copy=" + "x" * 300):
        page = as_alice.get(f"{four.get_absolute_url()}?{nothing}")
        assert page.status_code == 200
        assert b'id="rule-fields"' not in page.content


def test_cancel_in_the_list_leads_back_to_the_filtered_row(as_alice: Client, four: SecurityGroup) -> None:
    one = uid(four, 3)
    page = as_alice.get(f"{four.get_absolute_url()}?q=tcp&edit={one}").content.decode()
    assert f'href="{four.get_absolute_url()}?q=tcp#rule-{one}" data-row-cancel' in page
