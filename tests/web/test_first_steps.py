"""Somebody who begins is led in three steps, and nobody else is."""

from django.test import Client

from securitygroups.models import Membership, Project, User
from tests.factories import make_group, make_machine
from tests.web.pages import Page

OVERVIEW, STEPS = "/p/shop/", "/p/shop/first-steps/"


def shown(client: Client) -> str:
    text = Page(client.get(OVERVIEW)).text
    return text.partition("Your first steps")[2]


def test_an_empty_project_is_led_from_a_template_to_a_vm_to_a_test(as_alice: Client, project: Project) -> None:
    assert "Or start from a template: Web server" in shown(as_alice)
    answer = as_alice.post(STEPS, {"do": "group", "template": "web"})
    assert answer["Location"] == "/p/shop/groups/new/?template=web"

    group = make_group(project, "web", ["accept in tcp 443"])
    assert "Create a Security Group" in shown(as_alice)
    assert "Create Virtual Machine Skip" in shown(as_alice)
    to = as_alice.post(STEPS, {"do": "attach"})["Location"]
    assert to == f"/p/shop/machines/new/?group={group.public_id}"
    assert Page(as_alice.get(to)).form_with("ipv4").fields["group"][0] == group.public_id, "it is chosen already"

    make_machine(project, "vm")
    assert as_alice.post(STEPS, {"do": "attach"})["Location"] == f"{group.get_absolute_url()}machines/attach/"
    make_machine(project, "on", [group])

    assert "Test a packet Skip" in shown(as_alice)
    assert as_alice.post(STEPS, {"do": "test"})["Location"] == "/p/shop/test/"
    assert not shown(as_alice)


def test_a_step_that_is_skipped_makes_way_for_the_next(as_alice: Client, project: Project) -> None:
    as_alice.post(STEPS, {"skip": "group"})

    assert "Skipped" in shown(as_alice)
    assert "Create Virtual Machine Skip" in shown(as_alice)
    as_alice.post(STEPS, {"skip": "attach"})
    as_alice.post(STEPS, {"skip": "test"})
    assert not shown(as_alice)


def test_they_are_dismissed_for_one_person_and_one_project(as_alice: Client, as_erin: Client, project: Project) -> None:
    as_alice.post(STEPS, {"dismiss": "1"})

    assert not shown(as_alice)
    assert shown(as_erin)


def test_a_viewer_and_who_works_here_already_are_not_led(
    as_alice: Client, as_bob: Client, project: Project, alice: User
) -> None:
    assert not shown(as_bob)
    make_machine(project, "vm", [make_group(project, "web")])
    assert not shown(as_alice)


def test_nonsense_and_two_clicks_keep_nothing_twice(as_alice: Client, project: Project, alice: User) -> None:
    for sent in ({"do": "group", "template": "none"}, {"do": "test"}, {"do": "test"}, {"skip": "x" * 99}):
        assert as_alice.post(STEPS, sent).status_code == 302

    kept = Membership.objects.get(project=project, user=alice).first_steps
    assert kept == ["begun", "test"]
