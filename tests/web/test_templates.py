"""Templates: a group's rules to start others from; a project's own, the platform's, and the built-in starters."""

import pytest
from django.test import Client

from securitygroups import operations
from securitygroups.firewall.decide import decide
from securitygroups.firewall.formats.documents import rule_to_json
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Packet, parse_address
from securitygroups.models import Event, GroupTemplate, Project, SecurityGroup, User, values
from securitygroups.operations import By
from securitygroups.starters import STARTERS
from tests.factories import make_group, ports, rule
from tests.web.pages import Page, messages, say_yes


def save(group: SecurityGroup) -> str:
    return f"{group.get_absolute_url()}template/"


def create(project: Project) -> str:
    return f"/p/{project.slug}/groups/new/"


def listing(project: Project) -> str:
    return f"/p/{project.slug}/templates/"


def rules_of(group: SecurityGroup) -> tuple[object, ...]:
    return values(list(group.rules.in_order()))


@pytest.fixture
def template(group: SecurityGroup, alice: User) -> GroupTemplate:
    return operations.save_template(group=group, name="Our web", description="How we do it", by=By(alice))


def test_a_group_becomes_a_template(as_erin: Client, group: SecurityGroup, project: Project) -> None:
    form = Page(as_erin.get(save(group))).form_with("description")
    assert (form.fields["name"], form.fields["description"]) == (["web"], ["Public web servers"])
    assert form.send(as_erin, name="Our web").status_code == 302
    assert "Our web is a template now" in messages(as_erin)
    page = Page(as_erin.get(listing(project)))
    assert "Our web Public web servers 5" in page.text
    assert Event.objects.filter(project=project, verb="template.saved", group=group).count() == 1


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "two\nlines", "our WEB"])
def test_a_bad_name_is_told_at_its_field(
    name: str, as_erin: Client, group: SecurityGroup, template: GroupTemplate
) -> None:
    response = as_erin.post(save(group), {"name": name, "description": "Kept"})
    page = Page(response)
    assert response.status_code == 422
    assert page.errors.get("name") or "There is a template of this name already" in page.text
    assert page.form_with("description").fields["description"] == ["Kept"]
    assert GroupTemplate.objects.count() == 1


def test_a_group_made_from_it_is_its_own_from_then_on(
    as_erin: Client, group: SecurityGroup, template: GroupTemplate, project: Project
) -> None:
    operations.commit_rules(group=group, rules=(), base=1, by=By())
    page = Page(as_erin.get(create(project), {"template": f"own-{template.pk}"}))
    assert "Our web How we do it" in page.text
    form = page.form_with("template")
    assert form.fields["template"] == [f"own-{template.pk}"]
    assert form.send(as_erin, name="second").status_code == 302
    second = SecurityGroup.objects.get(name="second")
    assert second.rules.count() == 5, "as the group was when it was saved"
    assert second.revisions.get().summary == "Started from the template Our web, 5 rules."
    assert as_erin.post(f"{listing(project)}{template.pk}/delete/").status_code == 302
    assert second.rules.count() == 5
    assert "No templates" in Page(as_erin.get(listing(project))).text
    assert Event.objects.filter(project=project, verb="template.deleted").count() == 1


@pytest.mark.parametrize("starter", STARTERS, ids=lambda starter: starter.key)
def test_a_group_from_each_starter_has_its_rules(starter: object, as_erin: Client, project: Project) -> None:
    chosen = next(one for one in STARTERS if one is starter)
    page = Page(as_erin.get(create(project)))
    assert chosen.about in page.text
    page.form_with("template").send(as_erin, name="made", template=chosen.key)
    made = SecurityGroup.objects.get(name="made")
    assert rules_of(made) == chosen.rules
    assert made.revisions.get().summary == f"Started from the template {chosen.name}, {len(chosen.rules)} rules."


@pytest.mark.parametrize(
    ("key", "packet", "accepted"),
    [
        ("web", "in 443 198.51.100.1", True),
        ("web", "in 22 198.51.100.1", False),
        ("web", "out 443 10.0.0.5", True),
        ("database", "in 5432 10.0.0.7", True),
        ("database", "in 5432 10.0.1.7", False),
        ("bastion", "in 22 203.0.113.9", True),
        ("bastion", "in 22 198.51.100.1", False),
        ("bastion", "out 22 10.0.0.5", True),
        ("mail", "in 25 198.51.100.1", True),
        ("mail", "in 143 198.51.100.1", False),
        ("deny", "in 443 198.51.100.1", False),
        ("deny", "out 443 10.0.0.5", False),
    ],
)
def test_a_starter_does_what_it_says(key: str, packet: str, accepted: bool) -> None:
    direction, port, source = packet.split()
    tcp = Packet(Direction(direction), 4, 6, parse_address(source)[1], parse_address("10.0.0.5")[1], int(port))
    rules = next(starter.rules for starter in STARTERS if starter.key == key)
    assert (decide(rules, tcp).action is Action.ACCEPT) is accepted


def test_no_starter_opens_a_management_port_to_the_world_or_breaks_a_rule_s_shape() -> None:
    for starter in STARTERS:
        assert starter.about.endswith(".")
        for one in starter.rules:
            assert not one.problems()
            assert one.description
            assert not (
                one.source is None
                and one.action is Action.ACCEPT
                and one.direction is Direction.IN
                and one.port_start == 22
            )


@pytest.mark.parametrize("key", ["nothing", "own-", "own-x", "own-0", "own-٣", "own-99999999999999999999", "WEB", "'"])
def test_a_template_that_is_none_makes_no_group(key: str, as_erin: Client, project: Project) -> None:
    response = as_erin.post(create(project), {"name": "plain", "template": key})
    assert response.status_code == 422
    assert "This template has been deleted in the meantime: choose another, or none." in Page(response).text
    assert not SecurityGroup.objects.filter(name="plain").exists()


def test_the_platform_s_templates_are_for_every_project_and_nobody_s_to_delete(
    as_alice: Client, project: Project
) -> None:
    shared = GroupTemplate.objects.create(name="Hardened", rules=[rule_to_json(one) for one in ports(1, 2)])
    form = Page(as_alice.get(create(project))).form_with("template")
    form.send(as_alice, name="made", template=f"own-{shared.pk}")
    assert SecurityGroup.objects.get(name="made").rules.count() == 2
    assert "Hardened" not in Page(as_alice.get(listing(project))).text
    assert as_alice.post(f"{listing(project)}{shared.pk}/delete/").status_code == 404
    assert GroupTemplate.objects.filter(pk=shared.pk).exists()


def test_a_template_of_another_project_is_neither_used_nor_deleted(
    as_alice: Client, project: Project, bakery: Project
) -> None:
    oven = make_group(bakery, "oven", [rule("accept in tcp 99", "Secret")])
    theirs = operations.save_template(group=oven, name="Bakery's", description="", by=By())
    assert "Bakery" not in Page(as_alice.get(create(project))).text
    as_alice.post(create(project), {"name": "mine", "template": f"own-{theirs.pk}"})
    assert not SecurityGroup.objects.filter(name="mine").exists()
    assert as_alice.post(f"{listing(project)}{theirs.pk}/delete/").status_code == 404
    assert GroupTemplate.objects.filter(pk=theirs.pk).exists()


def test_a_template_with_more_rules_than_the_quota_makes_no_group(
    as_erin: Client, template: GroupTemplate, project: Project
) -> None:
    project.max_rules = 4
    operations.update_project(project=project, by=By())
    response = as_erin.post(create(project), {"name": "much", "template": f"own-{template.pk}"})
    assert response.status_code == 422
    assert "can have 4 rules, this would be 5" in Page(response).text
    assert not SecurityGroup.objects.filter(name="much").exists()


def test_who_may_only_look_sees_templates_and_changes_none(
    as_bob: Client, as_charlie: Client, group: SecurityGroup, template: GroupTemplate, project: Project
) -> None:
    content = as_bob.get(listing(project)).content.decode()
    assert "Our web" in content
    assert "/delete/" not in content
    assert as_charlie.get(listing(project)).status_code == 404
    for client, status in ((as_bob, 403), (as_charlie, 404)):
        assert client.post(save(group), {"name": "x"}).status_code == status
        assert client.post(f"{listing(project)}{template.pk}/delete/").status_code == status
    assert GroupTemplate.objects.count() == 1


def test_names_are_text(as_alice: Client, group: SecurityGroup, project: Project) -> None:
    evil = "<img src=x onerror=alert(1)>"
    operations.save_template(group=group, name=evil, description=evil, by=By())
    for address in (listing(project), create(project)):
        assert evil not in as_alice.get(address).content.decode()


def test_a_deletion_is_asked_about(as_erin: Client, template: GroupTemplate, project: Project) -> None:
    assert f"{listing(project)}{template.pk}/delete/" in as_erin.get(listing(project)).content.decode()
    asked = as_erin.get(f"{listing(project)}{template.pk}/delete/")
    assert "confirm" in Page(asked).ids
    assert GroupTemplate.objects.filter(pk=template.pk).exists()
    (form,) = [form for form in Page(asked).forms if form.method == "post" and "/delete/" in form.action]
    assert form.send(as_erin).status_code == 302
    assert not GroupTemplate.objects.filter(pk=template.pk).exists()


def test_templates_are_found_from_the_list_of_groups(as_bob: Client, project: Project) -> None:
    assert f'href="{listing(project)}"' in as_bob.get(f"/p/{project.slug}/groups/").content.decode()


def test_an_empty_group_starts_from_a_template_after_a_look(
    as_erin: Client, template: GroupTemplate, project: Project
) -> None:
    empty = make_group(project, "empty")
    start = f"{empty.get_absolute_url()}start/"
    assert f'href="{start}"' in as_erin.get(empty.get_absolute_url()).content.decode()
    form = Page(as_erin.get(start)).form_with("base")
    for key in ("", "nothing", "own-0"):
        response = form.send(as_erin, template=key, reason="Ticket 9")
        assert response.status_code == 422
        assert "There is a problem" in Page(response).text
        assert Page(response).form_with("base").fields["reason"] == ["Ticket 9"]
    response = say_yes(as_erin, form.send(as_erin, template=f"own-{template.pk}", reason="Ticket 9"))
    assert response.status_code == 302
    assert [rule_to_json(one) for one in values(list(empty.rules.in_order()))] == template.rules
    assert empty.revisions.latest("number").reason == "Ticket 9"
    assert "5 rules came from the template Our web." in messages(as_erin)
    assert form.send(as_erin, template=STARTERS[0].key).status_code == 409, "somebody was quicker"


def test_more_templates_than_fit_are_counted_with_the_way_to_them(
    as_erin: Client, template: GroupTemplate, project: Project
) -> None:
    GroupTemplate.objects.bulk_create(GroupTemplate(project=project, name=f"A {n:03}") for n in range(101))
    page = as_erin.get(create(project))
    assert "And 2 more: all templates of this project" in Page(page).text
    assert "Our web" not in Page(page).text
    chosen = Page(as_erin.get(f"{create(project)}?template=own-{template.pk}"))
    assert "And 1 more:" in chosen.text
    assert chosen.form_with("template").fields["template"] == [f"own-{template.pk}"]


def test_no_template_is_a_choice_that_the_address_does_not_overrule(as_erin: Client, project: Project) -> None:
    address = f"{create(project)}?template=web"
    assert as_erin.post(address, {"name": "plain", "template": ""}).status_code == 302
    assert SecurityGroup.objects.get(name="plain").rules.count() == 0
