"""What a page asks of the database is the same for 2 rows and for 200; the numbers are pinned."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from securitygroups import operations
from securitygroups.models import (
    Attachment,
    Delivery,
    Event,
    Membership,
    Project,
    Role,
    Rule,
    SecurityGroup,
    User,
    VirtualMachine,
)
from securitygroups.operations import By
from tests.factories import make_delivery, make_group, make_machine, make_project, make_user, ports, reviewed

Fill = Callable[[str, int], str]


@pytest.fixture
def fill(project: Project, alice: User) -> Fill:
    """Makes so many rows for a page, and gives the page's address."""

    # Past operations, which take their time for each: here only the number of rows counts.
    def groups(number: int) -> list[SecurityGroup]:
        made = SecurityGroup.objects.bulk_create(SecurityGroup(project=project, name=f"g{n}") for n in range(number))
        Rule.objects.bulk_create(Rule(group=group, position=place) for group in made for place in (1, 2))
        return made

    def machines(number: int) -> VirtualMachine:
        shared = groups(3)
        made = VirtualMachine.objects.bulk_create(
            VirtualMachine(project=project, name=f"vm{n}", ipv4=f"10.0.0.{n + 1}") for n in range(number)
        )
        Attachment.objects.bulk_create(
            Attachment(machine=vm, group=group, position=place) for vm in made for place, group in enumerate(shared, 1)
        )
        return made[0]

    def many_rules(number: int) -> SecurityGroup:
        return make_group(project, "many", ports(*range(1, number + 1)))

    def on_one(number: int) -> VirtualMachine:
        return make_machine(project, "one", [make_group(project, n, ports(*range(1, number // 2 + 1))) for n in "ab"])

    def page(name: str, number: int) -> str:
        if name == "home":
            for n in range(number):
                make_project(alice, f"Project {n}")
            return "/"
        if name in ("overview", "activity", "activity of bob", "activity file"):
            for n in range(number // 2):
                group = make_group(project, f"g{n}")
                operations.update_group(group=group, name=f"h{n}", description="", by=By(alice))
            if name == "overview":
                make_machine(project, "one", [group])
            return {
                "overview": "/p/shop/",
                "activity": "/p/shop/activity/",
                "activity file": "/p/shop/activity/list.xlsx",
            }.get(name, "/p/shop/activity/?who=bob")
        if name in ("review", "review undecided", "review with findings", "review sign", "review record"):
            group = many_rules(number)
            wishes = [
                operations.Wish(group.pk, row.uid, "off" if row.position == 1 else "keep", 1, 0)
                for row in group.rules.all()
            ]
            operations.decide(project=project, wishes=wishes, by=By(alice))
            # The first on the page, before those that nobody on record has made; of findings these have some.
            SecurityGroup.objects.filter(pk=group.pk).update(name="z" if "findings" in name else "a")
            groups(number)
            ends = {
                "review undecided": "?show=undecided",
                "review with findings": "?show=findings",
                "review sign": "sign/",
            }
            if name != "review record":
                return f"/p/shop/review/{ends.get(name, '')}"
            operations.drop_review(project=project, by=By(alice))
            return reviewed(group, alice).get_absolute_url()
        if name == "members":
            for n in range(number):
                Membership.objects.create(project=project, user=make_user(f"user{n}"), role=Role.VIEWER)
            return "/p/shop/members/"
        if name in ("webhook", "webhooks"):
            webhook = make_delivery(project, alice).webhook
            sent = Event.objects.bulk_create(
                Event(project=project, verb="rules.changed", summary="x") for _ in range(number)
            )
            Delivery.objects.bulk_create(Delivery(webhook=webhook, event=event, attempts=1) for event in sent)
            return "/p/shop/webhooks/" + (f"{webhook.pk}/" if name == "webhook" else "")
        if name in ("groups", "groups found", "groups file", "rules file"):
            groups(number)
            ends = {"groups found": "groups/?q=g", "groups file": "groups/list.xlsx", "rules file": "rules/list.xlsx"}
            return "/p/shop/" + ends.get(name, "groups/")
        if name in ("machines", "machines file", "group machines", "group delete", "machine groups", "group attach"):
            group_url = machines(number).groups.all()[0].get_absolute_url()
            return {
                "machines": "/p/shop/machines/",
                "machines file": "/p/shop/machines/list.xlsx",
                "group machines": f"{group_url}machines/",
                "machine groups": "/p/shop/machines/groups/",
                "group delete": f"{group_url}delete/",
            }.get(name) or f"{make_group(project, 'new').get_absolute_url()}machines/attach/"
        if name in ("machine replay", "project replay"):
            one = on_one(number)
            machines(number)
            VirtualMachine.objects.filter(pk=one.pk).update(ipv4="10.9.0.1")
            return f"{one.get_absolute_url()}replay/" if name == "machine replay" else "/p/shop/replay/"
        if name in ("machine", "machine test", "machine ruleset"):
            test = "test/?test=1&direction=in&protocol=tcp&source=203.0.113.9&destination=10.0.0.5&port=22"
            rest = {"machine": "", "machine test": test}.get(name, "ruleset/")
            return on_one(number).get_absolute_url() + rest
        if name == "project test":
            machines(number)
            VirtualMachine.objects.filter(name="vm0").update(ipv4="10.9.0.1")
            return "/p/shop/test/?test=1&direction=in&protocol=tcp&source=203.0.113.9&destination=10.9.0.1&port=22"
        if name in ("machine new", "machine settings", "machine open"):
            one = make_machine(project, "one", groups(number)[:2])
            rest = "open/" if name == "machine open" else "settings/"
            return "/p/shop/machines/new/" if name == "machine new" else f"{one.get_absolute_url()}{rest}"
        url = many_rules(number).get_absolute_url()
        if name == "group reviewed":
            reviewed(SecurityGroup.objects.get(name="many"), alice)
        if name == "group test":
            return f"{url}test/?test=1&direction=in&protocol=tcp&source=203.0.113.9&destination=10.0.0.5&port=22"
        if name in ("rule edit", "rule delete", "rule move"):
            uid = SecurityGroup.objects.get(name="many").rules.get(position=2).uid
            return f"{url}rules/{uid}/{name.replace('rule edit', '').replace('rule ', '')}" + (
                "/" if name != "rule edit" else ""
            )
        return (
            url
            + {
                "group": "",
                "group reviewed": "",
                "rule new": "rules/new/",
                "export": "export.json",
                "history": "history/",
            }[name]
        )

    return page


# Four each are for the session, the person, the membership and the menu of projects. The overview looks whether what the
# internet reaches is known (two), and whether it still holds once it was found (one); known, it reads no VM and no rule.
# A VM's page, a group's and the list of VMs ask where the rules are in force (one).
# It also notes, once a minute, when the member was here (one), and says when the rules were reviewed last (one).
QUERIES = {
    "home": 5,
    "overview": 18,
    "activity": 7,
    "activity of bob": 5,
    "activity file": 5,
    "members": 7,
    "webhooks": 6,
    "webhook": 9,
    "review": 16,
    "review undecided": 16,
    "review with findings": 17,
    "review sign": 15,
    "review record": 10,  # the groups by their keys: joined, those of all projects would be read
    "groups": 8,
    "groups found": 9,
    "groups file": 5,
    "rules file": 5,
    "group": 9,
    "group reviewed": 10,
    "group test": 7,
    "group machines": 7,
    "group delete": 15,
    "history": 8,
    "export": 5,
    "rule new": 6,
    "rule edit": 8,
    "rule move": 6,
    "rule delete": 9,
    "machines": 9,
    "machines file": 5,
    "machine": 8,
    "machine test": 9,
    "machine replay": 5,
    "machine ruleset": 8,
    "project test": 8,
    "project replay": 5,
    "machine new": 5,
    # With two groups or more it looks which of them stand below one that denies all (two).
    "machine settings": 9,
    # Its groups with their VMs, which of them act, and a name that is free (four).
    "machine open": 10,
    "machine groups": 8,
    "group attach": 9,
}


@pytest.mark.parametrize("rows", [2, 200])
@pytest.mark.parametrize("name", QUERIES)
def test_a_page_asks_as_much_for_2_rows_as_for_200(
    name: str, rows: int, fill: Fill, as_alice: Client, django_assert_num_queries: Any
) -> None:
    url = fill(name, rows)
    with django_assert_num_queries(QUERIES[name]):
        assert as_alice.get(url).status_code == 200


def test_a_group_of_a_thousand_rules_asks_as_much_as_a_small_one(
    fill: Fill, as_alice: Client, django_assert_num_queries: Any
) -> None:
    url = fill("group", 1_000)
    # The first look asks whether the findings of a long list are kept.
    with django_assert_num_queries(QUERIES["group"] + 1):
        assert as_alice.get(url).status_code == 200
    for asked in (url, f"{url}?page=10", f"{url}?q=99"):
        with django_assert_num_queries(QUERIES["group"]):
            assert as_alice.get(asked).status_code == 200


def test_a_small_edit_of_a_long_list_writes_little(
    fill: Fill, as_alice: Client, django_assert_max_num_queries: Any
) -> None:
    counts = []
    for rows in (3, 300):
        SecurityGroup.objects.filter(name="many").update(name=f"old {rows}")
        url = fill("group", rows)
        uid = SecurityGroup.objects.get(name="many").rules.get(position=1).uid
        with django_assert_max_num_queries(40) as queries:
            assert as_alice.post(f"{url}rules/{uid}/move/", {"base": 1, "position": rows}).status_code == 302
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert Event.objects.filter(verb=Event.Verb.RULES_CHANGED).count() == 2


def test_a_rule_form_asks_the_database_for_no_constraint(
    fill: Fill, as_alice: Client, django_assert_max_num_queries: Any
) -> None:
    """The protocol table has told what they refuse; ten queries said it again."""
    url = fill("group", 20)
    sent = {"base": 1, "action": "accept", "direction": "in", "protocol": "tcp", "place": 1, "preview": "1"}
    sent |= {"port_start": "9"}  # an untouched form is not previewed
    with django_assert_max_num_queries(12) as queries:
        assert b"What this changes" in as_alice.post(f"{url}rules/new/", sent, headers={"HX-Request": "true"}).content
    assert not [query for query in queries if "_check" in query["sql"]]


@pytest.mark.parametrize("rows", [2, 200])
def test_a_change_of_many_vms_asks_as_much_for_2_as_for_200(
    rows: int, fill: Fill, as_alice: Client, project: Project, django_assert_num_queries: Any
) -> None:
    fill("machines", rows)
    url = "/p/shop/machines/groups/"
    for name in ("first", "second"):
        group = make_group(project, name, ports(443))
        data = {"all": "1", "do": "attach", "group": group.public_id, "place": "first"}
        with django_assert_num_queries(18):
            asked = as_alice.post(url, data)
        with django_assert_num_queries(21):
            as_alice.post(url, {**data, "sure": asked.context["token"]})
        assert group.attachments.count() == rows
        as_alice.get("/p/shop/groups/")  # says what was done
    line = Event.objects.order_by("-pk")[0]
    # What it gives back is looked at first, and then looked at again under its locks.
    with django_assert_num_queries(23):
        as_alice.post(f"{url}undo/{line.pk}/")
    assert not group.attachments.exists()
