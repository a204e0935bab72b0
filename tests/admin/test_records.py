"""What is on record can be read, and nothing else."""

from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from securitygroups import operations
from securitygroups.models import AccountEvent, ApiToken, Event, Invitation, Project, SupportCase, User, VirtualMachine
from tests.admin.pages import READ_ONLY, answer, fresh, label, newest, said, url
from tests.factories import make_token, make_user


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


# ── API tokens ────────────────────────────────────────────────────────────────


def names(client: Client, **query: str) -> list[str]:
    return sorted(row.name for row in client.get(url(ApiToken), query).context["cl"].result_list)


def test_tokens_are_found_by_their_state_their_name_and_their_person(
    as_admin: Client, project: Project, alice: User
) -> None:
    gone = make_user("gone")
    for user, of, name in ((alice, None, "mine"), (alice, project, "deploy"), (gone, None, "asleep")):
        make_token(user, of=of, name=name)
    operations.revoke_token(token=make_token(alice, name="lost"), by=operations.By(alice))
    User.objects.filter(pk=gone.pk).update(is_active=False)

    assert names(as_admin, state="good") == ["deploy", "mine"]
    assert names(as_admin, state="off") == ["asleep"]
    assert names(as_admin, state="ended") == ["lost"]
    assert names(as_admin, q="depl") == ["deploy"]
    assert names(as_admin, q="gone") == ["asleep"]
    assert names(as_admin, user__id__exact=str(gone.pk)) == ["asleep"]


def test_the_digest_of_a_token_is_neither_shown_nor_to_be_guessed(as_admin: Client, alice: User) -> None:
    token = make_token(alice)

    for page in (url(ApiToken), url(ApiToken, "change", token.pk)):
        assert token.digest not in as_admin.get(page).content.decode()
    for lookup in ("digest", "digest__startswith", "digest__regex"):
        assert as_admin.get(url(ApiToken), {lookup: "5"}).status_code == 400


def test_tokens_are_revoked_after_a_question_and_with_a_reason(as_admin: Client, project: Project, alice: User) -> None:
    deploy, own = make_token(alice, of=project, name="deploy"), make_token(alice, name="mine")
    chosen = {"action": "revoke", "_selected_action": [deploy.pk, own.pk]}
    looker = fresh(make_user("looker", "view_apitoken", "change_apitoken", is_staff=True))

    looker.post(url(ApiToken), chosen)
    question = as_admin.post(url(ApiToken), chosen)

    assert ApiToken.objects.good().count() == 2
    text = question.content.decode()
    assert "Revoke 2 tokens?" in text
    assert f"Deploy (…{deploy.ending})" in text
    assert "never used" in text
    unsaid = as_admin.post(url(ApiToken), answer(question, reason=""))
    assert "Type why this is changed" in unsaid.content.decode()
    assert ApiToken.objects.good().count() == 2

    as_admin.post(url(ApiToken), answer(question, reason="Found in a public repository"))

    assert not ApiToken.objects.good().exists()
    assert (newest().project, newest().verb, newest().by_staff) == (project, "token.revoked", True)
    assert newest().detail["reason"] == "Found in a public repository"
    event = AccountEvent.objects.get(verb="token.revoked")
    assert (event.user_name, event.actor_name, event.detail["reason"]) == (
        "alice", "admin", "Found in a public repository",
    )  # fmt: skip
    again = as_admin.post(url(ApiToken), chosen, follow=True)
    assert said(again)[-1] == "These are revoked already. Nothing was done."


@pytest.mark.parametrize("is_active", [True, False])
def test_a_persons_page_says_what_becomes_of_their_tokens(as_admin: Client, alice: User, is_active: bool) -> None:
    make_token(alice)
    User.objects.filter(pk=alice.pk).update(is_active=is_active)

    page = as_admin.get(url(User, "change", alice.pk)).content.decode()

    assert f'href="{url(ApiToken)}?user__id__exact={alice.pk}"' in page
    assert ("They open nothing while the person is switched off." in page) is not is_active
    assert ("okens of projects that they made stay good." in page) is True


def test_the_record_says_the_token_in_the_administration_too(as_admin: Client, project: Project, alice: User) -> None:
    who = operations.By(alice, token=make_token(alice, "members", of=project, name="nightly"))
    event = operations.record(project, Event.Verb.PROJECT_CHANGED, "Changed the quota.", by=who)

    for page in (url(Event), url(Event, "change", event.pk)):
        assert "alice, API token “nightly”" in as_admin.get(page).content.decode()
