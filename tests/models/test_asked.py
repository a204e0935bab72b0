"""A query that is put into SQL once finds what the same query finds, and takes its values as values."""

from typing import Any

from django.db.models import Count

from securitygroups.models import Asked, Given, GroupRevision, Membership, Project, Rule, SecurityGroup, User
from tests.factories import make_group


def test_it_finds_what_the_query_finds(group: SecurityGroup, project: Project, alice: User, bob: User) -> None:
    asked = Asked(lambda: Membership.objects.select_related("project").filter(user=Given("user")))

    for user in (alice, bob, alice):
        assert asked(user=user.pk) == list(Membership.objects.filter(user=user))
    assert asked.one(user=0) is None


def test_what_is_joined_is_there_without_another_query(
    project: Project, alice: User, django_assert_num_queries: Any
) -> None:
    asked = Asked(lambda: Membership.objects.select_related("project").filter(user=Given("user")))

    with django_assert_num_queries(1):
        assert asked.one(user=alice.pk).project == project


def test_what_is_left_out_is_fetched_when_it_is_needed(group: SecurityGroup, django_assert_num_queries: Any) -> None:
    asked = Asked(lambda: GroupRevision.objects.filter(group=Given("group")).defer("rules"))

    with django_assert_num_queries(2):
        assert len(asked.one(group=group.pk).rules) == 5


def test_columns_come_as_the_fields_read_them(group: SecurityGroup) -> None:
    columns = Rule.objects.order_by("position").values_list("position", "source", "enabled", "description")
    asked = Asked(lambda: columns.filter(group=Given("group")))

    assert asked(group=group.pk) == list(columns.filter(group=group))


def test_it_counts(group: SecurityGroup, project: Project) -> None:
    asked = Asked(lambda: SecurityGroup.objects.filter(pk=Given("pk")).values_list(Count("rules")))

    assert asked.one(pk=group.pk)[0] == 5
    assert asked.one(pk=make_group(project).pk)[0] == 0


def test_a_value_is_never_part_of_the_text(group: SecurityGroup) -> None:
    asked = Asked(lambda: SecurityGroup.objects.filter(name=Given("name")))

    for name in ("web' OR 'x' = 'x", "%s", "%(name)s", "web\\"):
        assert asked(name=name) == []
    assert asked(name="web") == [group]
