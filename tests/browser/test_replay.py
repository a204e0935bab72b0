"""A flow log in a browser: how far it has come, and the way from what is denied to the rule that would accept it."""

import time
from typing import Any

import pytest
from playwright.sync_api import expect

from securitygroups.answers import replay
from securitygroups.models import User, VirtualMachine
from tests.browser.conftest import Browse, Look

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]

HEAD = "direction,protocol,source,destination,port,action\n"
LOG = HEAD + "in,tcp,198.51.100.7,10.0.1.11,443,ACCEPT\n" + "in,tcp,198.51.100.8,10.0.1.11,22,ACCEPT\n" * 3


def choose(page: Any, text: str) -> None:
    page.get_by_label("Flow log").set_input_files(
        {"name": "flows.csv", "mimeType": "text/csv", "buffer": text.encode()}
    )


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading takes its time, as with a long log."""
    read = replay._Timed.read

    def slow(self: Any, size: int, /) -> bytes:
        time.sleep(0.25)
        return read(self, size)

    monkeypatch.setattr(replay._Timed, "read", slow)
    monkeypatch.setattr("securitygroups.firewall.flows.logs._CHUNK", 4_000)


def test_a_long_log_shows_how_far_it_is_read_and_then_the_report(
    slowly: None, browse: Browse, alice: User, machine: VirtualMachine
) -> None:
    page = browse(alice)
    page.goto(f"{machine.get_absolute_url()}replay/")
    choose(page, LOG + "in,tcp,198.51.100.7,10.0.1.11,443,ACCEPT\n" * 1_000)
    page.get_by_role("button", name="Replay", exact=True).click()

    bar = page.get_by_role("progressbar", name="Replay")
    expect(page.locator("#live")).to_have_text("The log has been sent and is being read.")
    expect(page.get_by_text("Reading: ")).to_contain_text("of 0.0 MiB")
    assert bar.evaluate("(bar) => 0 < bar.position && bar.position < 1")
    expect(page.get_by_role("button", name="Replaying…")).to_have_attribute("aria-busy", "true")
    expect(page.get_by_text("flows judged of 1,004 records")).to_be_visible()
    expect(page.get_by_role("heading", name="Result of the replay")).to_be_focused()
    expect(page.get_by_role("button", name="Replay", exact=True)).to_be_enabled()


def test_reading_can_be_cancelled_and_begun_again(
    slowly: None, browse: Browse, alice: User, machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = browse(alice)
    page.goto("/p/shop/replay/")
    choose(page, LOG + "in,tcp,198.51.100.7,10.0.1.11,443,ACCEPT\n" * 1_000)
    button = page.get_by_role("button", name="Replay", exact=True)
    button.click()
    page.get_by_role("button", name="Cancel").click()

    expect(button).to_be_focused()
    expect(page.locator("#live")).to_have_text("Stopped. Nothing was kept.")
    expect(page.get_by_role("progressbar", name="Replay")).to_be_hidden()
    monkeypatch.undo()
    # Not before the first one's turn is given back.
    page.wait_for_timeout(1_000)
    button.click()
    expect(page.get_by_text("flows judged")).to_be_visible()


def test_a_refused_log_stays_chosen_with_its_error(browse: Browse, alice: User, machine: VirtualMachine) -> None:
    page = browse(alice)
    page.goto("/p/shop/replay/")
    choose(page, LOG + "in,tcp\n")
    page.get_by_role("button", name="Replay", exact=True).click()

    expect(page.locator(".error-summary")).to_be_focused()
    expect(page.locator(".error-summary")).to_contain_text("line 6: It has 2 fields instead of 6.")
    assert page.title().startswith("Error:")
    assert page.get_by_label("Flow log").evaluate("(input) => input.files[0].name") == "flows.csv"


@pytest.mark.parametrize("script", [True, False])
def test_from_a_log_to_a_rule_for_what_was_denied(
    script: bool, browse: Browse, alice: User, machine: VirtualMachine, look: Look
) -> None:
    page = browse(alice, script=script)
    page.goto("/p/shop/")
    page.get_by_role("link", name="Test a packet", exact=True).first.click()
    page.get_by_role("link", name="Replay a flow log").click()
    choose(page, LOG)
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.get_by_role("heading", name="Denied flows 3")).to_be_visible()
    denied = page.get_by_role("region", name="Denied flows 3")
    if script:
        look(page, "a report")
        denied.get_by_role("link", name="Add Rule").click()
    else:
        denied.get_by_role("link", name="198.51.100.8 → 10.0.1.11", exact=True).click()
        page.get_by_role("link", name="Add a rule that accepts it…").click()

    expect(page.get_by_label("Source IP Address")).to_have_value("198.51.100.8/32")
    expect(page.get_by_label("Start port")).to_have_value("22")


def test_back_from_a_test_the_report_stands_there_again(
    browse: Browse, alice: User, machine: VirtualMachine, look: Look
) -> None:
    page = browse(alice)
    page.goto(f"{machine.get_absolute_url()}replay/")
    choose(page, LOG)
    page.get_by_role("button", name="Replay", exact=True).click()
    denied = page.get_by_role("region", name="Denied flows 3")
    denied.get_by_role("link", name="198.51.100.8 → 10.0.1.11", exact=True).click()
    page.get_by_role("link", name="Add a rule that accepts it…").click()
    page.go_back()
    page.go_back()

    expect(denied).to_be_visible()
    expect(page.get_by_text("by the rules of that moment")).to_be_visible()
    look(page, "a report that came back")
    page.reload()
    expect(denied).to_be_visible()
    page.goto(f"{machine.get_absolute_url()}replay/")
    expect(denied).to_be_hidden()
    page.get_by_role("button", name="Show the last report").click()
    expect(page.get_by_role("heading", name="Result of the replay")).to_be_focused()
    choose(page, HEAD + "in,tcp,198.51.100.7,192.0.2.9,443,ACCEPT\n")
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.get_by_text("No flow of the log could be judged.")).to_be_visible()
    look(page, "a report of another VM's log")


def test_a_report_is_for_nobody_else_at_this_browser(browse: Browse, alice: User, machine: VirtualMachine) -> None:
    page = browse(alice)
    page.goto(f"{machine.get_absolute_url()}replay/")
    choose(page, LOG)
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.get_by_text("flows judged")).to_be_visible()
    kept = "JSON.parse(sessionStorage.getItem('karenpanel.report'))"
    assert page.evaluate(f"{kept}.person") == page.evaluate("document.body.dataset.person")
    page.evaluate(f"sessionStorage.setItem('karenpanel.report', JSON.stringify({{...{kept}, person: 'another'}}))")
    page.reload()

    expect(page.get_by_role("button", name="Replay", exact=True)).to_be_visible()
    expect(page.get_by_text("flows judged")).to_be_hidden()
    assert page.evaluate(kept) is None
