"""Staff who may do one thing can do that, and do not come from there to all others.

Each form is sent as a person would send it who knows every name of a field and every address.
"""

import re
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.core import mail
from django.db.models import Model
from django.urls import reverse

from securitygroups.models import AccountEvent, Project, User
from tests.admin.pages import MODELS, fresh, lines, sent, url
from tests.factories import make_user

DEEDS = ("view", "add", "change", "delete")
ALONE = ["support", *(f"{deed}_{model._meta.model_name}" for model in (User, Group) for deed in DEEDS)]
"""The rights that are about people, their groups and customers' projects as a whole."""
OTHERS = [f"{deed}_{model._meta.model_name}" for model in MODELS if model is not User for deed in DEEDS]
# Whoever has all others has each of them, and may look at least where who may only look does.
RIGHTS = {one: [one] for one in ALONE} | {
    "all others": OTHERS,
    "a look at all others": [one for one in OTHERS if one.startswith("view_")],
}
LATE = settings.ACCOUNT_REAUTHENTICATION_TIMEOUT + 1
RAISED = {"is_superuser": "on", "is_staff": "on", "is_active": "on"}


def permission(codename: str) -> Permission:
    return Permission.objects.get(content_type__app_label__in=["securitygroups", "auth"], codename=codename)


def staff_with(*codenames: str, name: str = "lone") -> User:
    person = make_user(name, is_staff=True)
    person.user_permissions.set([permission(codename) for codename in codenames])
    return person


def group_url(page: str, *arguments: object) -> str:
    return reverse(f"admin:auth_group_{page}", args=arguments)


def standing(*but: str) -> dict[str, Any]:
    """Of everybody: what they are called and reached by, their rights, and what their groups give."""
    return {
        person.username: {
            "is": (person.email, person.password, person.is_active, person.is_staff, person.is_superuser),
            "may": sorted(person.user_permissions.values_list("codename", flat=True)),
            "in": sorted(
                (group.name, *sorted(group.permissions.values_list("codename", flat=True)))
                for group in person.groups.all()
            ),
        }
        for person in User.objects.exclude(username__in=but)
    }


@pytest.fixture
def root(admin: User) -> User:
    """A superuser of the same groups as somebody of the staff, so that each way to them is there."""
    group = Group.objects.create(name="desk")
    group.user_set.add(admin, make_user("colleague", "delete_rule", is_staff=True))
    return admin


def attacks(me: User, root: User) -> list[tuple[str, dict[str, Any]]]:
    """Everything that could give `me` more, or take it from others: an address and what is sent there."""
    every: Any = [row.pk for row in Permission.objects.all()]
    desk, colleague = Group.objects.get(name="desk"), User.objects.get(username="colleague")
    about = {"username": me.username, "email": me.email, "first_name": "", "last_name": ""}
    dates = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00", "password": "x", "initial-date_joined_0": ""}
    powers: dict[str, Any] = RAISED | {"user_permissions": every, "groups": [desk.pk]}
    password: dict[str, Any] = {
        "password1": "another horse entirely",
        "password2": "another horse entirely",
        "set-password": "1",
    }
    found: list[tuple[str, dict[str, Any]]] = []
    for query in ("", "?_popup=1", "?_changelist_filters=x", f"?is_superuser=1&groups={desk.pk}"):
        found += [
            (url(User, "change", me.pk) + query, about | dates | powers),
            (url(User, "add") + query, {"username": "mine", "email": "mine@example.com"} | password | powers),
        ]
    for person in (root, colleague):
        address = url(User, "change", person.pk)
        theirs: dict[str, Any] = {"username": person.username, "is_active": "on"}
        found += [
            (address, theirs | dates | {"email": "mine@example.com"}),
            (address, theirs | dates | {"username": "mine", "email": person.email}),
            (address, dates | {"username": person.username, "email": person.email}),
            (address, theirs | powers | {"_saveasnew": "1", "username": "copy", "email": "copy@example.com"}),
            (f"/admin/securitygroups/user/{person.pk}/password/", password | {"usable_password": "true"}),
            (f"/admin/securitygroups/user/{person.pk}/link/", {}),
            (f"/admin/securitygroups/user/{person.pk}/factors/", {}),
            (url(User, "delete", person.pk), {"post": "yes"}),
        ]
    found += [
        (f"/admin/securitygroups/user/{me.pk}/password/", password | {"usable_password": "true"}),
        (f"/admin/securitygroups/user/{me.pk}/factors/", {}),
        (url(User), {"action": "delete_selected", "_selected_action": [root.pk, colleague.pk], "post": "yes"}),
        (
            url(User),
            {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": me.pk, "form-0-is_superuser": "on", "_save": "Save"},
        ),
        (group_url("add"), {"name": "mine", "permissions": every}),
        (group_url("change", desk.pk), {"name": "desk", "permissions": every}),
        (group_url("change", desk.pk), {"name": "taken", "permissions": []}),
        (group_url("delete", desk.pk), {"post": "yes"}),
        (group_url("changelist"), {"action": "delete_selected", "_selected_action": [desk.pk], "post": "yes"}),
        ("/admin/login/", {"username": root.username, "password": "x"}),
        ("/admin/password_change/", {"old_password": "x", "new_password1": "y", "new_password2": "y"}),
        ("/admin/account/emailaddress/add/", {"user": me.pk, "email": root.email, "verified": "on", "primary": "on"}),
        ("/admin/mfa/authenticator/", {"action": "delete_selected"}),
        ("/admin/usersessions/usersession/", {"action": "delete_selected"}),
        ("/admin/socialaccount/socialaccount/add/", {"user": root.pk, "provider": "x", "uid": "mine"}),
    ]  # fmt: skip
    return found


@pytest.mark.parametrize("codenames", RIGHTS.values(), ids=RIGHTS)
def test_whoever_has_some_permissions_comes_to_no_other(root: User, codenames: list[str]) -> None:
    me = staff_with(*codenames)
    before = standing("lone")
    browser = fresh(me)

    for address, data in attacks(me, root):
        response = browser.post(address, data)
        assert response.status_code in (200, 302, 403, 404, 405), (address, response.status_code)

    assert standing("lone", "mine") == before
    assert standing()["lone"]["may"] == sorted(codenames)
    me.refresh_from_db()
    assert (me.is_superuser, me.groups.count()) == (False, 0)
    assert not User.objects.filter(is_superuser=True).exclude(pk=root.pk).exists()
    assert mail.outbox == []


def test_whoever_may_change_people_and_groups_gives_and_keeps_what_they_have_and_no_more(root: User) -> None:
    own = [
        "view_user",
        "add_user",
        "change_user",
        "delete_user",
        "view_group",
        "add_group",
        "change_group",
        "delete_group",
        "support",
    ]
    me = staff_with(*own)
    before = standing()
    browser = fresh(me)

    for address, data in attacks(me, root):
        assert browser.post(address, data).status_code in (200, 302, 403, 404, 405), address

    assert standing() == before
    assert Group.objects.get().name == "desk"
    assert not lines().exists()
    assert mail.outbox == []


def test_rights_of_ones_own_are_given_and_others_are_not_on_offer(root: User) -> None:
    me = staff_with("view_user", "add_user", "change_user", "support")
    low, high = Group.objects.create(name="low"), Group.objects.create(name="high")
    low.permissions.add(permission("support"))
    high.permissions.add(permission("support"), permission("delete_rule"))
    person = make_user("person")
    address = url(User, "change", person.pk)
    browser = fresh(me)

    form = browser.get(address).context["adminform"].form
    assert "is_superuser" not in form.fields
    assert set(form.fields["user_permissions"].queryset) == set(me.user_permissions.all())
    assert set(form.fields["groups"].queryset) == {low, Group.objects.get(name="desk")}
    data = sent(browser, address)
    for wrong in (
        {"groups": [high.pk]}, {"user_permissions": [permission("delete_rule").pk]},
        {"groups": [low.pk], "user_permissions": [permission("support").pk, permission("add_rule").pk]},
    ):  # fmt: skip
        response = browser.post(address, data | wrong)
        assert response.status_code == 200
        assert "Select a valid choice" in str(response.context["adminform"].form.errors)
    assert not lines().exists()

    good = {"is_staff": "on", "is_superuser": "on", "groups": [low.pk], "user_permissions": [permission("support").pk]}
    assert browser.post(address, data | good).status_code == 302

    assert standing()["person"]["may"] == ["support"]
    assert standing()["person"]["in"] == [("low", "support")]
    person.refresh_from_db()
    assert (person.is_staff, person.is_superuser) == (True, False)
    event = AccountEvent.objects.get(verb=AccountEvent.Verb.RIGHTS_CHANGED)
    assert (event.user, event.actor) == (person, me)


@pytest.mark.parametrize("who", ["root", "colleague"])
def test_an_account_with_more_rights_can_be_looked_at_only(root: User, who: str) -> None:
    browser = fresh(staff_with("view_user", "change_user"))
    person = root if who == "root" else User.objects.get(username="colleague")
    address = url(User, "change", person.pk)

    response = browser.get(address)

    assert (response.status_code, list(response.context["adminform"].form.fields)) == (200, [])
    page = response.content.decode()
    assert 'name="_save"' not in page
    assert f"/user/{person.pk}/link/" not in page
    assert f"/user/{person.pk}/factors/" not in page
    assert browser.post(address, {"username": "mine"}).status_code == 403


def test_ones_own_rights_are_shown_and_not_to_be_changed(root: User) -> None:
    me = staff_with("view_user", "change_user")
    for person, browser in ((me, fresh(me)), (root, fresh(root))):
        address = url(User, "change", person.pk)
        fields = browser.get(address).context["adminform"].form.fields
        assert set(fields) == {"username", "email", "first_name", "last_name"}
        data = sent(browser, address) | {"first_name": "Me", "is_active": "", "is_staff": ""}
        assert browser.post(address, data).status_code == 302
        person.refresh_from_db()
        assert (person.first_name, person.is_active, person.is_staff) == ("Me", True, True)


def test_the_address_of_a_customer_is_not_the_way_to_the_customers_projects(
    root: User, project: Project, alice: User
) -> None:
    me = staff_with("view_user", "change_user")
    browser, address = fresh(me), url(User, "change", alice.pk)
    assert "email" not in browser.get(address).context["adminform"].form.fields

    browser.post(address, sent(browser, address) | {"email": "mine@example.com", "first_name": "A"})
    alice.refresh_from_db()
    assert (alice.email, alice.first_name) == ("alice@example.com", "A")

    me.user_permissions.add(permission("change_project"), permission("add_membership"))
    browser.post(address, sent(browser, address) | {"email": "new@example.com"})
    alice.refresh_from_db()
    assert alice.email == "new@example.com"


def test_of_a_group_of_permissions_the_same_rule_holds(root: User) -> None:
    me = staff_with("view_group", "add_group", "change_group", "delete_group", "support")
    above = Group.objects.create(name="above")
    above.permissions.add(permission("delete_rule"))
    own = Group.objects.create(name="own")
    own.user_set.add(me)
    browser = fresh(me)

    for group in (above, own, Group.objects.get(name="desk")):
        page = browser.get(group_url("change", group.pk)).content.decode()
        assert 'name="_save"' not in page
        assert not re.search(r'<(input|select|textarea)[^>]* name="(name|permissions)"', page)
        assert browser.post(group_url("change", group.pk), {"name": "x"}).status_code == 403
        assert browser.post(group_url("delete", group.pk), {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [group.pk], "post": "yes"}
        browser.post(group_url("changelist"), chosen)
    assert set(Group.objects.values_list("name", flat=True)) == {"above", "own", "desk"}

    data = {"name": "mine", "permissions": [permission("support").pk]}
    assert browser.post(group_url("add"), data).status_code == 302
    mine = Group.objects.get(name="mine")
    more = data | {"permissions": [permission("support").pk, permission("delete_rule").pk]}
    assert "Select a valid choice" in str(
        browser.post(group_url("change", mine.pk), more).context["adminform"].form.errors
    )
    assert [row.codename for row in mine.permissions.all()] == ["support"]
    assert browser.post(group_url("delete", mine.pk), {"post": "yes"}).status_code == 302
    details = [event.detail for event in lines().order_by("pk")]
    assert details == [
        {"group": "mine", "before": [], "after": ["securitygroups.support"]},
        {"group": "mine", "before": ["securitygroups.support"], "after": []},
    ]


DANGEROUS = ["add", "change", "link", "factors", "group add", "group change", "group delete", "group delete_selected"]


@pytest.mark.parametrize("what", DANGEROUS)
def test_what_makes_others_powerful_is_sent_freshly_signed_in_only(root: User, what: str) -> None:
    person, group = make_user("person"), Group.objects.create(name="empty")
    addresses = {
        "add": url(User, "add"), "change": url(User, "change", person.pk),
        "link": f"/admin/securitygroups/user/{person.pk}/link/",
        "factors": f"/admin/securitygroups/user/{person.pk}/factors/",
        "group add": group_url("add"), "group change": group_url("change", group.pk), "group delete": group_url("delete", group.pk),
        "group delete_selected": group_url("changelist"),
    }  # fmt: skip
    data = {
        "username": "new", "email": "new@example.com", "name": "new", "post": "yes", "is_active": "on",
        "action": "delete_selected", "_selected_action": [group.pk],
    }  # fmt: skip
    before = (User.objects.count(), Group.objects.count(), lines().count())

    response = fresh(root, seconds_ago=LATE).post(addresses[what], data)

    assert (response.status_code, response["Location"].partition("?")[0]) == (302, "/sign-in/again/")
    assert (User.objects.count(), Group.objects.count(), lines().count()) == before
    assert mail.outbox == []
    if what not in ("link", "factors"):
        assert fresh(root, seconds_ago=LATE).get(addresses[what]).status_code == 200
    assert fresh(root).post(addresses[what], data)["Location"].partition("?")[0] != "/sign-in/again/"


def test_no_page_of_a_person_shows_what_signs_in(root: User, everything: dict[type[Model], Model]) -> None:
    person = make_user("person")
    for browser in (fresh(root), fresh(staff_with("view_user"))):
        for address in (url(User), url(User, "change", person.pk), url(User, "history", person.pk)):
            page = browser.get(address).content.decode()
            assert person.password.rpartition("$")[2] not in page
            assert not re.search(r"md5|pbkdf2|argon2", page)
