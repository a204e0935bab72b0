"""Pages are as light as their content: bytes of HTML, before compression. tests/weigh.py also tells the time they take."""

import pytest
from django.test import Client

from securitygroups import operations
from securitygroups.models import Project, SecurityGroup, User
from securitygroups.operations import By
from tests.conftest import SignIn
from tests.factories import make_group, make_machine, ports, reviewed, rule

FRAME = 20_000
"""What stands around a list: the panel's head and menu, the page's own head, a form."""


@pytest.fixture
def long_list(project: Project) -> SecurityGroup:
    """1,000 rules with networks and descriptions, none of them remarkable."""
    rules = [rule(f"accept in tcp 443 from 10.{n // 200}.{n % 200}.0/24", f"Customer {n}") for n in range(1_000)]
    return make_group(project, "long", rules)


def weight(client: Client, url: str) -> int:
    response = client.get(url)
    assert response.status_code == 200
    return len(response.content)


def test_a_rule_weighs_little_more_than_a_kilobyte(
    as_alice: Client, as_bob: Client, project: Project, long_list: SecurityGroup
) -> None:
    few = make_group(project, "few", ports(1, 2, 3, 4, 5))
    assert weight(as_alice, few.get_absolute_url()) < FRAME + 5 * 1_300
    assert weight(as_alice, long_list.get_absolute_url()) < 150_000
    assert weight(as_alice, f"{long_list.get_absolute_url()}?q=tcp&page=7") < 160_000
    assert weight(as_bob, long_list.get_absolute_url()) < FRAME + 100 * 850


def test_that_rules_were_reviewed_weighs_little(as_alice: Client, long_list: SecurityGroup, alice: User) -> None:
    keep = [operations.Wish(long_list.pk, row.uid, "keep", 1, 0) for row in long_list.rules.filter(position__gt=1)]
    operations.decide(project=long_list.project, wishes=keep, by=By(alice))
    reviewed(long_list, alice)

    assert weight(as_alice, long_list.get_absolute_url()) < 150_000


def test_other_lists_of_rules_are_light_too(as_alice: Client, project: Project, long_list: SecurityGroup) -> None:
    machine = make_machine(project, "heavy", [long_list], ipv4="10.9.0.1")
    packet = "test/?test=1&direction=in&protocol=tcp&source=203.0.113.9&destination=10.9.0.1&port=25"
    assert weight(as_alice, machine.get_absolute_url()) < FRAME + 100 * 850
    assert weight(as_alice, long_list.get_absolute_url() + packet) < FRAME + 1_000 * 330
    assert weight(as_alice, f"{long_list.get_absolute_url()}history/") < FRAME
    assert weight(as_alice, f"{long_list.get_absolute_url()}rules/new/") < FRAME
    assert weight(as_alice, "/p/shop/rules/?q=tcp") < FRAME + 50 * 700


def test_a_list_of_groups_or_vms_is_light(sign_in: SignIn, project: Project, as_alice: Client) -> None:
    groups = [make_group(project, f"g{n}") for n in range(50)]
    for n in range(50):
        make_machine(project, f"vm{n}", groups[n % 10 : n % 10 + 3], ipv4=f"10.9.0.{n + 1}")
    assert weight(as_alice, "/p/shop/groups/") < FRAME + 50 * 1_500
    assert weight(as_alice, "/p/shop/machines/") < FRAME + 50 * 1_500


def test_a_page_of_a_review_is_light(sign_in: SignIn, project: Project, as_alice: Client, as_bob: Client) -> None:
    rules = [rule(f"accept in tcp {port} from 10.0.{port % 200}.0/24", f"Customer {port}") for port in range(1, 400)]
    make_group(project, "long", rules)
    assert weight(as_alice, "/p/shop/review/") < 130_000
    assert weight(as_bob, "/p/shop/review/?page=3") < FRAME + 40 * 900
