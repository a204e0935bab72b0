"""People: nobody leaves a project without an owner."""

from django.test import Client

from securitygroups import operations
from securitygroups.models import Project, User
from securitygroups.operations import By
from tests.admin.pages import refused, url
from tests.factories import make_user


def test_the_last_owner_is_not_switched_off(as_admin: Client, project: Project, alice: User, bob: User) -> None:
    form = as_admin.get(url(User, "change", alice.pk)).context["adminform"].form
    names = ("username", "email", "first_name", "last_name")
    data = {name: form.initial[name] for name in names} | {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}

    response = as_admin.post(url(User, "change", alice.pk), data)

    assert "last owner of Shop: make somebody else an owner" in refused(response)
    alice.refresh_from_db()
    assert alice.is_active
    operations.add_member(project=project, user=make_user("dora"), role="owner", by=By(alice))
    assert as_admin.post(url(User, "change", alice.pk), data).status_code == 302
    alice.refresh_from_db()
    assert not alice.is_active


def test_people_are_switched_off_and_never_deleted(as_admin: Client, project: Project, alice: User) -> None:
    lonely = make_user("lonely")

    for person in (alice, lonely):
        assert as_admin.post(url(User, "delete", person.pk), {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [person.pk], "post": "yes"}
        as_admin.post(url(User), chosen)

    assert set(User.objects.values_list("username", flat=True)) == {"alice", "lonely", "admin"}
    assert project.memberships.get().user == alice
