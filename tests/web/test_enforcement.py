"""The VM's page with the platform's lines and findings, its compiled ruleset, and the help page about it."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from securitygroups.answers.platform import platform
from securitygroups.enforcement import check as nft
from securitygroups.firewall.platform import Target
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.models import Placement, Project, SecurityGroup, VirtualMachine
from securitygroups.web.views import enforcement
from tests.factories import make_group, make_host, make_machine, place


def text(client: Client, url: str, status: int = 200) -> str:
    """The page's own words, blanks as one."""
    response = client.get(url)
    assert response.status_code == status, response
    return " ".join(response.content.decode().split())


def url(machine: VirtualMachine) -> str:
    return f"{machine.get_absolute_url()}ruleset/"


@pytest.fixture
def tapped(project: Project, group: SecurityGroup) -> VirtualMachine:
    return make_machine(project, "web-9", [group], ipv4="10.0.1.19", tap="tap9")


# ── The VM's page ─────────────────────────────────────────────────────────────


def test_the_platforms_lines_are_folded_into_one_above_the_rules(as_bob: Client, machine: VirtualMachine) -> None:
    page = text(as_bob, machine.get_absolute_url())
    folded = page[page.index('<details class="platform-lines">') :].partition("</details>")[0]
    assert f"{len(platform())} lines of the platform come first" in folded
    assert all(line.why in folded for line in platform())
    assert page.index(folded) < page.index("Public HTTPS")


@pytest.mark.parametrize("target", Target)
def test_each_platform_line_is_said_once(target: Target) -> None:
    lines = platform(target)
    reasons = [line.why for line in lines]
    assert len(reasons) == len(set(reasons))
    assert all(line.directions == (Direction.IN, Direction.OUT) for line in lines)
    (replies,) = (line for line in lines if line.why.startswith("Replies"))
    assert replies.action is Action.ACCEPT


def test_findings_name_group_and_rule(as_bob: Client, project: Project) -> None:
    groups = [make_group(project, "first", ["drop in tcp"]), make_group(project, "second", ["accept in tcp 22"])]
    machine = make_machine(project, "vm", groups, ipv4="10.0.0.1")
    page = text(as_bob, machine.get_absolute_url())
    assert "first, rule 1 takes all of it" in page
    assert "1 rule that no packet reaches" in page
    assert 'href="#place-1"' in page
    assert "/fix/" not in page


def test_a_vm_page_asks_no_more_for_more_vms(as_bob: Client, project: Project, machine: VirtualMachine) -> None:
    counts = []
    for first, last in ((1, 1), (2, 59)):
        for number in range(first, last + 1):
            make_machine(project, f"vm-{number}", ipv4=f"10.9.0.{number}")
        for page in (machine.get_absolute_url(), url(machine)):
            with CaptureQueriesContext(connection) as queries:
                assert as_bob.get(page).status_code == 200
            counts.append(len(queries))
    assert counts[:2] == counts[2:]


# ── The ruleset ───────────────────────────────────────────────────────────────


def test_the_ruleset_is_shown(as_bob: Client, tapped: VirtualMachine) -> None:
    page = text(as_bob, url(tapped))
    assert "table bridge karenpanel" in page
    assert "&quot;tap9&quot; : jump" in page
    assert "interface is not known here" not in page
    assert "table inet karenpanel" in text(as_bob, url(tapped) + "?target=inet")


def test_without_an_interface_it_says_who_knows_it(as_alice: Client, machine: VirtualMachine) -> None:
    page = text(as_alice, url(machine))
    assert "The VM's interface is not known here.</strong> Its host says it, or who runs the hosts." in page
    assert "&quot;tap0&quot; : jump" in page


def test_of_a_vm_on_a_host_it_holds_what_it_may_send_as(as_bob: Client, tapped: VirtualMachine) -> None:
    """Where nobody who runs the hosts has said more than its interface, it is not held: a ruleset that is loaded by hand stays
    as it was."""
    own = "52:54:00:12:34:56"
    assert "spoof" not in text(as_bob, url(tapped))

    place(tapped, make_host(), "tap5", mac=own, addresses=("10.0.1.77",))
    page = text(as_bob, url(tapped))
    assert "&quot;tap5&quot; : jump" in page
    assert own in page
    assert "10.0.1.77" in page

    place(tapped, Placement.objects.get().host, "tap5", mac=own, held=False)
    assert own not in text(as_bob, url(tapped))


def test_the_file_is_the_whole_ruleset(as_bob: Client, tapped: VirtualMachine) -> None:
    response = as_bob.get(url(tapped) + "?target=inet&download=1")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Disposition"] == f'attachment; filename="{tapped.public_id}-inet.nft"'
    assert response.content.startswith(b"table inet karenpanel")


def test_a_long_ruleset_is_cut_on_the_page_alone(
    as_bob: Client, tapped: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enforcement, "SHOWN_LINES", 10)
    whole = as_bob.get(url(tapped) + "?download=1").content.decode().count("\n")
    assert f"{whole - 10} further lines are in the download" in text(as_bob, url(tapped))


def test_an_unknown_target_is_the_bridge(as_bob: Client, tapped: VirtualMachine) -> None:
    assert "table bridge karenpanel" in text(as_bob, url(tapped) + "?target=ebtables")


def test_a_tap_of_libvirt_brings_its_pattern(as_bob: Client, project: Project, group: SecurityGroup) -> None:
    machine = make_machine(project, "v", [group], tap="vnet3")
    assert "&quot;vnet*&quot;" in text(as_bob, url(machine))


def test_a_tap_outside_the_pattern_is_refused_in_words(as_bob: Client, project: Project, group: SecurityGroup) -> None:
    machine = make_machine(project, "e", [group], tap="eth7")
    page = text(as_bob, url(machine))
    assert "the tap eth7 is not one of tap*" in page
    assert "is not a tap pattern" in text(as_bob, url(machine) + "?taps=*", status=422)
    assert "&quot;eth7&quot; : jump" in text(as_bob, url(machine) + "?taps=eth7*")
    assert as_bob.get(url(machine) + "?taps=x&download=1").status_code == 422


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (nft.Check(nft.Answer.OK), "nft takes the ruleset."),
        (nft.Check(nft.Answer.REFUSED, "line 7: <b>syntax error"), "line 7: &lt;b&gt;syntax error"),
        (nft.Check(nft.Answer.UNAVAILABLE, "nft is not installed here."), "nft could not be asked here."),
    ],
)
def test_nft_is_asked_on_request(
    as_bob: Client, tapped: VirtualMachine, monkeypatch: pytest.MonkeyPatch, answer: nft.Check, words: str
) -> None:
    asked: list[float] = []

    def check(ruleset: str, *, limit: float) -> nft.Check:
        assert "tap9" in ruleset
        asked.append(limit)
        return answer

    monkeypatch.setattr(nft, "check", check)
    assert words not in text(as_bob, url(tapped))
    assert asked == []
    assert words in text(as_bob, url(tapped) + "?check=1")
    assert asked == [enforcement.CHECK_SECONDS]


def test_strangers_find_nothing(as_charlie: Client, tapped: VirtualMachine) -> None:
    for query in ("", "?download=1", "?check=1"):
        assert as_charlie.get(url(tapped) + query).status_code == 404


# ── Help ──────────────────────────────────────────────────────────────────────


def test_help_tells_how_rules_are_enforced(as_charlie: Client) -> None:
    assert "How rules are enforced" in text(as_charlie, "/help/enforcement/")
    assert 'href="/help/enforcement/"' in text(as_charlie, "/help/")
