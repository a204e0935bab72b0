"""Dropped packets: who sees them, what they say, and the way to the rule that lets one in."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from securitygroups import demo, operations
from securitygroups.answers.dropped import explain
from securitygroups.models import Host, Project, SecurityGroup, Traffic, TrafficHour, User, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group, make_host, make_machine, place, ports, sample, sign_in_at, told


@pytest.fixture
def host(machine: VirtualMachine) -> Host:
    """The VM stands here."""
    host = make_host("kvm-1")
    place(machine, host, "tap0")
    return host


def address(machine: VirtualMachine, query: str = "") -> str:
    return f"/p/{machine.project.slug}/machines/{machine.public_id}/dropped/{query}"


def shown(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, answer.status_code
    return re.sub(r"\s+", " ", answer.content.decode())


def rows(client: Client, url: str) -> list[Traffic]:
    return list(client.get(url).context["page"].object_list)


# ── Who sees them ─────────────────────────────────────────────────────────────


def test_viewers_see_them_only_where_an_owner_lets_them(
    host: Host, machine: VirtualMachine, as_alice: Client, as_bob: Client
) -> None:
    told(host, sample(machine))
    pages = [address(machine), "/p/shop/dropped/", f"/p/shop/dropped/{Traffic.objects.get().pk}/"]
    for page in pages:
        refused = as_bob.get(page)
        assert refused.status_code == 403
        assert "203.0.113.9" not in refused.content.decode()
        assert "An owner can let viewers see them" in refused.content.decode()

    assert as_bob.post("/p/shop/members/traffic/", {"let": "yes"}).status_code == 403
    assert as_alice.post("/p/shop/members/traffic/", {"let": "yes"}).status_code == 302
    assert all("203.0.113.9" in shown(as_bob, page) for page in pages)

    as_alice.post("/p/shop/members/traffic/", {"let": "no"})
    assert as_bob.get(pages[0]).status_code == 403
    said = machine.project.events.filter(verb="project.changed").values_list("summary", flat=True)
    assert list(said) == ["Viewers do not see dropped packets any more.", "Viewers see dropped packets."]


def test_no_customer_sees_anothers(host: Host, machine: VirtualMachine, as_charlie: Client, bakery: Project) -> None:
    told(host, sample(machine))
    row = Traffic.objects.get()

    for page in (address(machine), "/p/shop/dropped/", f"/p/shop/dropped/{row.pk}/", f"/p/bakery/dropped/{row.pk}/"):
        assert as_charlie.get(page).status_code == 404
    assert rows(as_charlie, "/p/bakery/dropped/?verdict=all") == []


def test_what_was_before_a_move_stays_with_whose_it_was(
    host: Host, machine: VirtualMachine, as_alice: Client, as_charlie: Client, bakery: Project
) -> None:
    told(host, sample(machine))
    row = Traffic.objects.get()
    operations.move_machine(machine=machine, target=bakery, by=By(reason="They asked"))
    machine = VirtualMachine.objects.select_related("project").get(pk=machine.pk)
    operations.update_machine(machine=machine, fields={"name": "secret name"}, by=By())
    told(host, sample(machine, source="198.51.100.1"))

    page = shown(as_alice, "/p/shop/dropped/") + shown(as_alice, f"/p/shop/dropped/{row.pk}/")
    assert "203.0.113.9" in page
    assert "moved to another project" in page
    assert "secret name" not in page
    assert [row.peer for row in rows(as_charlie, address(machine))] == ["198.51.100.1"]
    assert [row.peer for row in rows(as_charlie, "/p/bakery/dropped/")] == ["198.51.100.1"]


def test_support_sees_them_on_a_visit_on_record(host: Host, machine: VirtualMachine, staff: User) -> None:
    told(host, sample(machine))
    client = Client()
    sign_in_at(client, staff)
    assert client.get(address(machine)).status_code == 302

    operations.open_visit(project=machine.project, staff=staff, reason="They asked", ticket="T-1")

    page = shown(client, address(machine))
    assert "203.0.113.9" in page
    assert "Add a rule" not in shown(client, f"/p/shop/dropped/{Traffic.objects.get().pk}/")
    assert machine.project.events.filter(verb="support.look", detail__page=address(machine)).exists()


# ── What the list says ────────────────────────────────────────────────────────


def test_a_list_says_what_was_dropped_and_what_is_left_out(
    host: Host, machine: VirtualMachine, as_alice: Client
) -> None:
    told(host, sample(machine, times=1234), sample(machine, reason="spoofed", direction="out"), missed=77)
    told(host, sample(machine, verdict="accept", reason="accept", port=443))
    TrafficHour.objects.update(beyond=4321)

    page = shown(as_alice, address(machine))

    assert "In TCP, port 22 (SSH)" in page
    assert "1,234" in page
    assert "no rule matches" in page
    assert "not sent as itself" in page
    assert "port 443" not in page
    assert "<strong>4,321 packets more</strong>" in page
    assert "kvm-1 could not tell of some of its VMs" in page, "how many is other customers' matter too"
    assert "web-1" in shown(as_alice, "/p/shop/dropped/")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [22, 53, 23]),
        ("?verdict=all", [22, 53, 443, 23]),
        ("?verdict=accept", [443]),
        ("?verdict=magic&why=magic&way=up&hours=x", [22, 53, 23]),
        ("?way=out", [53]),
        ("?why=rule", [23]),
        ("?rule=%s", [23]),
        ("?peer=203.0.113.9", [22, 23]),
        ("?peer=203.0.113.0/24&verdict=all", [22, 443, 23]),
        ("?peer=2001:db8::/32", [53]),
        ("?port=22", [22]),
        ("?hours=720", [22, 53, 23, 25]),
        ("?hours=99999", [22, 53, 23]),
        ("?peer=nonsense", []),
        ("?port=99999", []),
        ("?port=7", []),
    ],
)
def test_a_list_is_filtered(
    host: Host, machine: VirtualMachine, group: SecurityGroup, as_alice: Client, query: str, found: list[int]
) -> None:
    uid, now = group.rules.in_order()[0].uid, timezone.now()
    six = {"version": 6, "source": "2001:db8::1", "destination": "2001:db8::2"}
    told(
        host,
        sample(machine, at=now),
        sample(
            machine,
            at=now - timedelta(minutes=1),
            direction="out",
            port=53,
            **six | {"source": "2001:db8::2", "destination": "2001:db8::1"},
        ),
        sample(machine, at=now - timedelta(minutes=2), verdict="accept", reason="accept", port=443),
        sample(machine, at=now - timedelta(minutes=3), reason="rule", rule=uid, port=23),
    )
    old = now - timedelta(days=3)
    Traffic.objects.create(
        project=machine.project, machine=machine, hour=old, key="0" * 32, direction="in", verdict="drop", reason="none",
        port=25, packets=1, first_at=old, last_at=old,
    )  # fmt: skip

    listed = rows(as_alice, address(machine, query.replace("%s", uid)))

    assert [row.port for row in listed] == found


def test_what_cannot_be_looked_for_is_said(machine: VirtualMachine, as_alice: Client) -> None:
    assert "This is no address: type one such as" in shown(as_alice, address(machine, "?peer=x"))
    assert "This is no port: type a number" in shown(as_alice, address(machine, "?port=x"))


def test_where_there_is_nothing_it_is_said_why(machine: VirtualMachine, as_alice: Client) -> None:
    assert "On no host" in shown(as_alice, address(machine))
    place(machine, make_host("kvm-9", log=None), "tap0")
    assert "kvm-9 tells of no packets" in shown(as_alice, address(machine))
    place(machine, make_host("kvm-8"), "tap0")
    assert "Nothing was dropped" in shown(as_alice, address(machine))
    assert "Nothing of this kind" in shown(as_alice, address(machine, "?port=7"))
    assert "Nothing was dropped" in shown(as_alice, "/p/shop/dropped/")


def test_a_page_costs_the_same_however_many_rows_there_are(
    host: Host, machine: VirtualMachine, as_alice: Client
) -> None:
    def queries(url: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert as_alice.get(url).status_code == 200
        return len(seen)

    told(host, sample(machine))
    as_alice.get(address(machine))
    before = [queries(url) for url in (address(machine), "/p/shop/dropped/?port=22")]
    for number in range(3):
        vm = make_machine(machine.project, groups=[make_group(machine.project, rules=["drop in tcp 1"])])
        place(vm, host, f"tap{number + 3}")
        told(host, *(sample(vm, port=22, source=f"203.0.113.{n}") for n in range(30)))

    assert [queries(url) for url in (address(machine), "/p/shop/dropped/?port=22")] == before


# ── One packet ────────────────────────────────────────────────────────────────


def test_a_packet_is_traced_over_the_list_of_then_and_of_now(
    host: Host, machine: VirtualMachine, group: SecurityGroup, as_alice: Client
) -> None:
    operations.commit_rules(group=group, rules=ports(80), base=group.revision, by=By())
    told(host, sample(machine, port=8443))
    row = Traffic.objects.get()
    page = shown(as_alice, f"/p/shop/dropped/{row.pk}/")
    assert f"web, revision {group.revision}" in page
    assert "The list is the same now." in page
    assert "Denied" in page
    assert "Add a rule that accepts it" in page

    operations.commit_rules(group=group, rules=ports(80, 8443), base=group.revision, by=By())

    page = shown(as_alice, f"/p/shop/dropped/{row.pk}/")
    assert "The list has changed since." in page
    assert page.index("Denied") < page.index("The list has changed since.") < page.index("Accepted")
    assert "Add a rule that accepts it" not in page


def test_from_a_dropped_packet_to_the_rule_that_accepts_it_are_two_clicks(
    host: Host, machine: VirtualMachine, as_alice: Client
) -> None:
    told(host, sample(machine, port=8443))
    page = as_alice.get(f"/p/shop/dropped/{Traffic.objects.get().pk}/").content.decode()
    link = re.search(r'href="(/p/shop/groups/[^"]+/rules/new/\?[^"]+)"', page)
    assert link

    form = as_alice.get(link[1].replace("&amp;", "&"))

    assert form.status_code == 200
    assert form.context["form"]["port_start"].value() in (8443, "8443")
    assert str(form.context["form"]["source"].value()).startswith("203.0.113.9")


def test_a_packet_that_the_platform_dropped_says_so(host: Host, machine: VirtualMachine, as_alice: Client) -> None:
    told(host, sample(machine, reason="spoofed", direction="out", source="10.9.9.9", destination="198.51.100.1"))

    page = shown(as_alice, f"/p/shop/dropped/{Traffic.objects.get().pk}/")

    assert "Denied by the platform, before any rule" in page
    assert "from an address that is none of its own" in page
    assert "Add a rule" not in page


@pytest.mark.parametrize(
    "fields",
    [
        {"version": None, "protocol": None, "source": "", "destination": "", "port": None, "reason": "vlan"},
        {"protocol": None, "source": "", "destination": "", "port": None},
        {"port": None},
        {"protocol": 1, "port": None, "kind": 8},
        {"protocol": 47, "port": None},
        {"vector": None},
        {"reason": "strange"},
        {"reason": "rule", "rule": "0" * 12},
        {"verdict": "accept", "reason": "accept", "port": 9},
    ],
)
def test_whatever_a_host_told_there_is_a_page(
    host: Host, machine: VirtualMachine, as_alice: Client, fields: dict[str, object]
) -> None:
    told(host, sample(machine, **fields))

    assert len(rows(as_alice, address(machine, "?verdict=all"))) == 1
    shown(as_alice, f"/p/shop/dropped/{Traffic.objects.get().pk}/")


def test_a_host_that_did_otherwise_than_the_list_says_is_found_out(
    host: Host, machine: VirtualMachine, as_alice: Client
) -> None:
    told(host, sample(machine, verdict="accept", reason="accept", port=9))

    page = shown(as_alice, f"/p/shop/dropped/{Traffic.objects.get().pk}/")

    assert "The host and the panel do not agree on this packet." in page


def test_of_deleted_vms_and_groups_it_is_still_told(host: Host, machine: VirtualMachine, as_alice: Client) -> None:
    group = make_group(machine.project, "short-lived", rules=["drop in tcp 22"])
    vm = make_machine(machine.project, "brief", [group])
    place(vm, host, "tap5")
    told(host, sample(vm, reason="rule", rule=group.rules.get().uid))
    operations.delete_machine(machine=vm, by=By())
    group.refresh_from_db()
    operations.delete_group(group=group, base=group.revision, by=By())

    assert "by a rule that is gone" in shown(as_alice, "/p/shop/dropped/")
    page = shown(as_alice, f"/p/shop/dropped/{Traffic.objects.get().pk}/")
    assert "short-lived (deleted), revision 1" in page
    assert "The virtual machine has been deleted" in page


def test_the_desk_and_a_case_lead_there(
    host: Host, machine: VirtualMachine, staff: User, as_staff: Client, as_alice: Client
) -> None:
    found = as_staff.get("/support/", {"q": machine.public_id}).content.decode()
    assert f'href="{address(machine)}"' in found
    line = as_staff.get("/support/", {"q": f"tcp 203.0.113.9 > {machine.ipv4}:22"}).content.decode()
    assert "peer=203.0.113.9&amp;port=22" in line


def test_the_demo_has_packets_that_its_lists_explain(db: None) -> None:
    demo.create("correct horse battery staple")

    rows = Traffic.objects.select_related("machine", "made_of")
    assert {row.verdict for row in rows} == {"drop", "accept"}
    assert all(row.made_of and explain(row).agrees for row in rows)
