"""What is on record can be read, and nothing else."""

from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from securitygroups import operations
from securitygroups.models import AccountEvent, Event, Invitation, Project, SupportCase, User, VirtualMachine
from tests.admin.pages import READ_ONLY, fresh, label, newest, said, url
from tests.factories import make_user


@pytest.mark.parametrize("model", READ_ONLY, ids=label)
def test_what_is_a_record_can_be_read_only(
    everything: dict[type[Model], Model], as_admin: Client, model: type[Model]
) -> None:
    def rows() -> list[dict[str, Any]]:
        # Looking itself is on record.
        return [each for each in model._default_manager.order_by("pk").values() if each.get("verb") != "support.look"]

    before = rows()
    row = everything[model]

    assert as_admin.post(url(model, "add"), {}).status_code == 403
    assert as_admin.post(url(model, "change", row.pk), {}).status_code == 403
    assert as_admin.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    as_admin.post(url(model), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert rows() == before


@pytest.mark.parametrize("asked", ["alice", "192.0.2.9", "192.0.2", "STAFF"])
def test_the_record_of_accounts_is_searched_by_name_and_by_address(
    as_admin: Client, alice: User, staff: User, asked: str
) -> None:
    by, client = operations.By(staff, staff=True), operations.Client("192.0.2.9", "Browser")
    operations.note(AccountEvent.Verb.LINK_SENT, user=alice, by=by, client=client)
    operations.note(AccountEvent.Verb.SIGNED_IN, user=make_user("other"), client=operations.Client("198.51.100.1"))

    found = as_admin.get(url(AccountEvent), {"q": asked}).context["cl"].result_list

    assert [(event.user_name, event.actor_name, event.address) for event in found] == [("alice", "staff", "192.0.2.9")]


def test_the_list_says_a_browser_in_words_and_the_page_what_it_sent(as_admin: Client, alice: User) -> None:
    sent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
    operations.note(AccountEvent.Verb.SIGNED_IN, user=alice, client=operations.Client("192.0.2.9", sent))
    event = AccountEvent.objects.get(user=alice)

    shown = as_admin.get(url(AccountEvent)).content.decode()

    assert "Chrome on Linux" in shown
    assert "Mozilla" not in shown
    assert sent in as_admin.get(url(AccountEvent, "change", event.pk)).content.decode()


def test_a_list_without_rows_says_so_once_and_offers_nothing_to_do_with_them(as_admin: Client) -> None:
    empty = as_admin.get(url(Invitation)).content.decode()
    unfit = as_admin.get(url(Invitation), {"q": "nobody"}).content.decode()

    assert "No invitations yet" in empty
    assert "Show all invitations" in unfit
    for page in (empty, unfit):
        assert "of 0 selected" not in page
        assert "0 invitations" not in page


def test_staff_without_a_right_read_who_gives_them(staff: User) -> None:
    page = fresh(staff).get(reverse("admin:index")).content.decode()

    assert "an administrator gives you as staff roles" in page
    assert 'name="q"' not in page


def test_the_secret_of_an_invitation_is_neither_shown_nor_to_be_guessed(
    as_admin: Client, project: Project, alice: User
) -> None:
    invitation = Invitation.objects.create(
        project=project, email="new@example.com", digest="5ec2e7" * 10, by=alice, by_name="alice", until=timezone.now()
    )

    for page in (url(Invitation), url(Invitation, "change", invitation.pk)):
        assert "5ec2e7" not in as_admin.get(page).content.decode()
    for lookup in ("digest", "digest__startswith", "digest__regex"):
        assert as_admin.get(url(Invitation), {lookup: "5"}).status_code == 400


def test_an_invitation_is_withdrawn_by_who_may_and_the_project_reads_of_it(
    as_admin: Client, project: Project, alice: User
) -> None:
    invitation, _ = operations.invite(project=project, email="new@example.com", role="viewer", by=operations.By(alice))
    chosen = {"action": "withdraw", "_selected_action": [invitation.pk]}
    looker = fresh(make_user("looker", "view_invitation", "change_invitation", is_staff=True))

    looker.post(url(Invitation), chosen)
    assert Invitation.objects.count() == 1
    assert said(as_admin.post(url(Invitation), chosen, follow=True)) == ["1 invitation(s) withdrawn."]

    assert not Invitation.objects.exists()
    assert (newest().project, newest().verb, newest().by_staff) == (project, "invitation.ended", True)


@pytest.mark.parametrize("model", READ_ONLY, ids=label)
def test_a_record_is_read_in_words_with_its_time(
    everything: dict[type[Model], Model], as_admin: Client, model: type[Model]
) -> None:
    row = everything[model]
    page = as_admin.get(url(model, "change", row.pk)).content.decode()

    assert "{&quot;" not in page
    assert "&#x27;: " not in page
    for field in model._meta.fields:
        if field.get_internal_type() == "DateTimeField" and (moment := getattr(row, field.name)):
            assert f"{moment:%-d %b %Y, %H:%M}" in page


def test_a_case_says_its_packet_and_its_rules_as_the_panel_does(
    everything: dict[type[Model], Model], as_admin: Client
) -> None:
    page = as_admin.get(url(SupportCase, "change", everything[SupportCase].pk)).content.decode()

    assert "frame that is not IP" in page
    assert "web, rule 1: " in page
    assert "No rule: denied by default" in page


def test_the_page_of_an_event_says_what_support_looked_at_as_its_project_reads_it(
    as_admin: Client, machine: VirtualMachine, staff: User
) -> None:
    visit = operations.open_visit(project=machine.project, staff=staff, reason="Asked", ticket="T-1")
    operations.record_look(visit=visit, page=machine.get_absolute_url())
    event = Event.objects.filter(summary__contains="/p/shop/").latest("pk")

    page = as_admin.get(url(Event, "change", event.pk)).content.decode()

    assert "Looked at web-1." in page
