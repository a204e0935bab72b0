"""Which VMs a filter finds, whatever way their addresses are written."""

import pytest
from django.http import QueryDict

from securitygroups.answers.addresses import spans
from securitygroups.answers.machine_filter import MachineFilter
from securitygroups.models import Project
from tests.factories import make_machine


@pytest.fixture
def fleet(project: Project) -> Project:
    make_machine(project, "web-1", ipv4="10.0.1.11", ipv6="2001:db8:10:1::11")
    make_machine(project, "web-2", ipv4="10.0.1.12", ipv6="2001:db8:10:1:a:b:c:d")
    make_machine(project, "db-1", ipv4="10.0.10.11", ipv6="2001:db8:10:2::11", description="Orders of the shop")
    make_machine(project, "old", ipv4="110.0.1.5")
    make_machine(project, "dark")
    return project


def found(project: Project, query: str) -> str:
    return " ".join(vm.name for vm in MachineFilter.from_query(QueryDict(query)).of(project))


@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("10.0.1.0/24", "web-1 web-2"),
        ("10.0.1.0/255.255.255.0", "web-1 web-2"),
        ("10.0.1.", "web-1 web-2"),
        ("10.0.1.*", "web-1 web-2"),
        ("10.0.1.x", "web-1 web-2"),
        ("10.0.*.*", "db-1 web-1 web-2"),
        ("10.0.1", "db-1 web-1 web-2"),
        ("10.", "db-1 web-1 web-2"),
        ("10.0.1.11/24", "web-1"),
        ("10.0.1.11", "web-1"),
        ("10.0.1.12-10.0.1.40", "web-2"),
        ("10.0.1.12–40", "web-2"),
        ("10.0.1.1-10.0.10.255", "db-1 web-1 web-2"),
        ("::ffff:10.0.1.11", "web-1"),
        ("2001:db8:10:1::/64", "web-1 web-2"),
        ("2001:db8:10:1:", "web-1 web-2"),
        ("2001:db8:10:1::", "web-1 web-2"),
        ("2001:DB8:10:1::11", "web-1"),
        ("2001:db8:10:1::11/64", "web-1"),
        ("2001:db8:10", "db-1 web-1 web-2"),
        ("2001:db8:10:1:*", "web-1 web-2"),
        ("2001:db8:10:1::1-2001:db8:10:1::ff", "web-1"),
        ("(10.0.1.11)", "web-1"),
        ("web 10.0.1.", "web-1 web-2"),
        ("shop orders", "db-1"),
        ("10.0.1. 10.0.1.11", "web-1"),
        ("0.0.0.0/0", "db-1 old web-1 web-2"),
        ("10.0.1.11:22", "web-1"),
        ("https://10.0.1.11:8443/login", "web-1"),
        ("[2001:db8:10:1::11]:443", "web-1"),
        ("[2001:db8:10:1::11]", "web-1"),
        ("10.0.1.0 255.255.255.0", "web-1 web-2"),
        ("10.0.1.11, 10.0.10.11", "db-1 web-1"),
        ("web-1,dark ,, old", "dark old web-1"),
        ("web 10.0.1.12,10.0.10.11", "web-2"),
        ("10.0.1.0 0.0.0.255", "web-1 web-2"),
        ("10.0.1.0 / 24", "web-1 web-2"),
        ("10.0.1.12 - 10.0.1.40", "web-2"),
        ("10.0.1.12 to 40", "web-2"),
        ("10.0.1.11 10.0.10.11", "db-1 web-1"),
        ("10.0.1.11 and 10.0.10.11", "db-1 web-1"),
        ("10.0.1.11 2001:db8:10:1::11", "web-1"),
        ("root@10.0.1.11", "web-1"),
        ("IP: 10.0.1.11", "web-1"),
        ("10.0.1.11\u200b", "web-1"),
        ("web-1 or db-1", "db-1 web-1"),
        ("“web-1”", "web-1"),
        ("web\u20111.", "web-1"),
        (",", "dark db-1 old web-1 web-2"),
        ("999.0.1.", ""),
        ("10.0.1.0/33", ""),
        ("10.0.1.-", ""),
        ("x.y.", ""),
    ],
)
def test_a_word_finds_vms_by_name_or_by_the_addresses_it_can_mean(q: str, names: str, fleet: Project) -> None:
    query = QueryDict(mutable=True)
    query["q"] = q
    assert found(fleet, query.urlencode()) == names


def test_a_beginning_without_its_dot_means_every_number_that_begins_so() -> None:
    assert [span.ends for span in spans("10.0.1")] == [
        ("10.0.1.0", "10.0.1.255"),
        ("10.0.10.0", "10.0.19.255"),
        ("10.0.100.0", "10.0.199.255"),
    ]
    assert [span.ends for span in spans("10.0.3")] == [("10.0.3.0", "10.0.3.255"), ("10.0.30.0", "10.0.39.255")]
    assert [span.ends for span in spans("10.0.0")] == [("10.0.0.0", "10.0.0.255")]


def test_a_filter_is_the_same_again_from_its_own_query() -> None:
    wanted = MachineFilter.from_query(QueryDict("q=10.0.1.0%2F24++web&page=3&what=ever"))
    assert wanted.query() == "q=10.0.1.0%2F24+web"
    assert MachineFilter.from_query(QueryDict(wanted.query())) == wanted
    assert MachineFilter.from_query({}).query() == ""
