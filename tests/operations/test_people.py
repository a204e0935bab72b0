"""Accounts: nobody gives, takes or takes over what they do not have, and each change is on record."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client as Browser

from securitygroups import operations
from securitygroups.models import AccountEvent, Project, User
from securitygroups.operations import By, Client
from tests.factories import PASSWORD, make_user

Verb = AccountEvent.Verb
HERE = Client("192.0.2.9", "Browser")


def permission(codename: str) -> Permission:
    return Permission.objects.get(content_type__app_label="securitygroups", codename=codename)


def rights_group(name: str, *codenames: str, members: Iterable[User] = ()) -> Group:
    group = Group.objects.create(name=name)
    group.permissions.set([permission(codename) for codename in codenames])
    group.user_set.set(members)
    return group


def off(person: User) -> User:
    person.is_active = False
    person.save()
    return person


def noted(verb: AccountEvent.Verb) -> AccountEvent:
    return AccountEvent.objects.get(verb=verb)


def on(user: User) -> Browser:
    """A browser that the person signed in at, as people do."""
    browser = Browser()
    browser.post("/sign-in/", {"login": user.username, "password": PASSWORD})
    return browser


@pytest.fixture
def editor(db: None) -> User:
    """Staff who may change accounts and look for support, and no more."""
    return make_user("editor", "change_user", "add_user", "support", is_staff=True)


# ── Who may touch whom ────────────────────────────────────────────────────────

HIGHER: dict[str, Callable[[User], Any]] = {
    "a superuser": lambda person: User.objects.filter(pk=person.pk).update(is_superuser=True),
    "a permission more": lambda person: person.user_permissions.set([permission("delete_rule")]),
    "a permission more by a group": lambda person: rights_group("rules", "delete_rule", members=[person]),
    "a superuser who is switched off": lambda person: User.objects.filter(pk=person.pk).update(
        is_superuser=True, is_active=False
    ),
    "a permission of who is switched off": lambda person: rights_group("rules", "delete_rule", members=[off(person)]),
    "a permission of who is no staff": lambda person: person.user_permissions.set([permission("change_project")]),
}


@pytest.mark.parametrize("has", HIGHER)
def test_who_has_a_right_more_is_not_touched(editor: User, has: str) -> None:
    person = make_user("person")
    HIGHER[has](person)
    before = User.objects.filter(pk=person.pk).values().get()

    deeds: list[Callable[[], object]] = [
        lambda: operations.change_person(person=person, about={"email": "mine@example.com"}, by=By(editor)),
        lambda: operations.change_person(person=person, about={"username": "other"}, by=By(editor)),
        lambda: operations.change_person(person=person, about={"is_active": not person.is_active}, by=By(editor)),
        lambda: operations.set_rights(person=person, rights={"is_staff": True}, by=By(editor)),
        lambda: operations.set_rights(person=person, rights={"user_permissions": [], "groups": []}, by=By(editor)),
        lambda: operations.remove_factors(person=person, by=By(editor)),
    ]
    assert not operations.may_touch(editor, person)
    for deed in deeds:
        with pytest.raises(PermissionDenied):
            deed()
    assert User.objects.filter(pk=person.pk).values().get() == before
    assert not AccountEvent.objects.exists()


def test_who_has_the_same_rights_or_fewer_is_touched(editor: User, admin: User) -> None:
    same = make_user("same", "support", "change_user", is_staff=True)
    fewer = make_user("fewer")
    grouped = make_user("grouped", is_staff=True)
    rights_group("support", "support", members=[grouped])

    for person in (same, fewer, grouped):
        assert operations.may_touch(editor, person)
        operations.change_person(person=person, about={"first_name": "New"}, by=By(editor))
    assert User.objects.filter(first_name="New").count() == 3
    assert operations.may_touch(admin, make_user("root", is_superuser=True))


@pytest.mark.parametrize(
    "rights",
    [
        {"is_superuser": True},
        {"user_permissions": ["delete_rule"]},
        {"user_permissions": ["support", "delete_rule"]},
        {"groups": ["rules"]},
        {"is_staff": True, "groups": ["rules"]},
    ],
    ids=str,
)
def test_nobody_gives_what_they_do_not_have(editor: User, rights: dict[str, Any]) -> None:
    rights_group("rules", "support", "delete_rule")
    found = {
        name: [permission(each) for each in value] if name == "user_permissions"
        else list(Group.objects.filter(name__in=value)) if name == "groups" else value
        for name, value in rights.items()
    }  # fmt: skip
    person = make_user("person")

    with pytest.raises(PermissionDenied):
        operations.set_rights(person=person, rights=found, by=By(editor))
    with pytest.raises(PermissionDenied):
        operations.make_person(about={"username": "new", "email": "new@example.com"}, rights=found, by=By(editor))

    person.refresh_from_db()
    assert (person.is_staff, person.is_superuser, person.groups.count()) == (False, False, 0)
    assert not person.user_permissions.exists()
    assert not User.objects.filter(username="new").exists()
    assert not AccountEvent.objects.exists()


def test_what_somebody_has_they_give_and_take_on_record(editor: User) -> None:
    person, group = make_user("person"), rights_group("support", "support")
    rights = {"is_staff": True, "groups": [group], "user_permissions": [permission("change_user")]}

    operations.set_rights(person=person, rights=rights, by=By(editor, staff=True), client=HERE)
    operations.set_rights(person=person, rights=rights, by=By(editor, staff=True), client=HERE)

    event = noted(Verb.RIGHTS_CHANGED)
    assert (event.user, event.actor, event.address, event.agent) == (person, editor, "192.0.2.9", "Browser")
    assert event.detail == {"before": [], "after": ["staff", "group support", "securitygroups.change_user"]}
    taken = {"is_staff": False, "groups": [], "user_permissions": []}
    operations.set_rights(person=person, rights=taken, by=By(editor, staff=True))
    assert User.objects.get(pk=person.pk).get_all_permissions() == set()
    assert AccountEvent.objects.latest("pk").detail["after"] == []


@pytest.mark.parametrize("who", ["editor", "admin"])
def test_nobody_changes_their_own_rights_nor_switches_themselves_off(request: pytest.FixtureRequest, who: str) -> None:
    me: User = request.getfixturevalue(who)
    own: list[dict[str, Any]] = [{"is_staff": False}, {"is_superuser": not me.is_superuser}, {"user_permissions": []}]
    own = own if who == "editor" else own[:2]

    for rights in (*own, {"groups": [rights_group("empty")]}):
        with pytest.raises(PermissionDenied):
            operations.set_rights(person=me, rights=rights, by=By(me))
    with pytest.raises(PermissionDenied):
        operations.change_person(person=me, about={"is_active": False}, by=By(me))
    with pytest.raises(PermissionDenied):
        operations.remove_factors(person=me, by=By(me))
    operations.change_person(person=me, about={"first_name": "Me"}, by=By(me))
    operations.set_rights(person=me, rights={"is_staff": True}, by=By(me))
    me.refresh_from_db()
    assert (me.first_name, me.is_active, me.is_staff) == ("Me", True, True)


@pytest.mark.parametrize("gone", [{"is_active": False}, {"is_staff": False}])
def test_who_was_staff_a_moment_ago_writes_nothing(editor: User, gone: dict[str, bool]) -> None:
    """What they may is asked of the account as it is now, not as it was when the page was opened."""
    person = make_user("person")
    User.objects.filter(pk=editor.pk).update(**gone)

    with pytest.raises(PermissionDenied):
        operations.change_person(person=person, about={"first_name": "New"}, by=By(editor))
    with pytest.raises(PermissionDenied):
        operations.make_person(about={"username": "new"}, rights={}, by=By(editor))
    with pytest.raises(PermissionDenied):
        operations.write_rights_group(group=Group(name="new"), permissions=[], by=By(editor))


def test_who_lost_the_superusers_right_a_moment_ago_gives_it_to_nobody(admin: User) -> None:
    person = make_user("person")
    User.objects.filter(pk=admin.pk).update(is_superuser=False)

    with pytest.raises(PermissionDenied):
        operations.set_rights(person=person, rights={"is_superuser": True}, by=By(admin))


# ── Groups of permissions ─────────────────────────────────────────────────────


def test_a_group_is_the_same_door_with_the_same_rule(editor: User, admin: User) -> None:
    own = rights_group("own", "support", members=[editor])
    above = rights_group("above", "support", "delete_rule")
    with_above = rights_group("with above", "support", members=[admin])
    lower = rights_group("lower", "support", members=[make_user("person", is_staff=True)])

    for group, chosen in (
        (own, ["support", "change_user"]), (own, []), (above, ["support"]), (with_above, []),
        (lower, ["support", "delete_rule"]), (Group(name="new"), ["delete_rule"]),
    ):  # fmt: skip
        with pytest.raises(PermissionDenied):
            operations.write_rights_group(group=group, permissions=[permission(each) for each in chosen], by=By(editor))
    for group in (own, above, with_above):
        with pytest.raises(PermissionDenied):
            operations.delete_rights_group(group=group, by=By(editor))
        assert not operations.may_touch_group(editor, group)
    assert not AccountEvent.objects.exists()
    assert set(Group.objects.values_list("name", flat=True)) == {"own", "above", "with above", "lower"}
    assert operations.may_touch_group(editor, lower)
    assert operations.may_touch_group(admin, with_above)


def test_a_change_of_a_group_is_on_the_record_of_each_member(editor: User) -> None:
    people = [make_user(name, is_staff=True) for name in ("one", "two")]
    group = rights_group("desk", "support", members=people)

    operations.write_rights_group(
        group=group, permissions=[permission("change_user")], by=By(editor, staff=True), client=HERE
    )

    lines = AccountEvent.objects.filter(verb=Verb.RIGHTS_CHANGED).order_by("user")
    assert [line.user for line in lines] == people
    assert lines[0].detail == {
        "group": "desk", "before": ["securitygroups.support"], "after": ["securitygroups.change_user"],
    }  # fmt: skip
    operations.delete_rights_group(group=group, by=By(editor, staff=True))
    assert AccountEvent.objects.count() == 4
    operations.write_rights_group(group=Group(name="new"), permissions=[], by=By(editor, staff=True))
    assert AccountEvent.objects.latest("pk").user is None


# ── Accounts ──────────────────────────────────────────────────────────────────


def test_an_account_is_made_without_a_password(editor: User) -> None:
    about = {"username": "New", "email": "New@Example.com", "first_name": "N"}

    person = operations.make_person(about=about, rights={"is_staff": True}, by=By(editor, staff=True), client=HERE)

    person.refresh_from_db()
    assert (person.username, person.email, person.is_staff) == ("new", "new@example.com", True)
    assert not person.has_usable_password()
    event = noted(Verb.ACCOUNT_MADE)
    assert (event.user, event.actor, event.address) == (person, editor, "192.0.2.9")
    assert noted(Verb.RIGHTS_CHANGED).detail["after"] == ["staff"]


@pytest.mark.parametrize(
    ("about", "at"),
    [
        ({"username": "ALICE", "email": "new@example.com"}, "username"),
        ({"username": "new", "email": "Alice@example.com"}, "__all__"),
        ({"username": "new", "email": "second@example.com"}, "email"),
        ({"username": "a b", "email": "new@example.com"}, "username"),
        ({"username": "new", "email": "x"}, "email"),
    ],
)
def test_a_name_and_an_address_are_somebodys_once(alice: User, editor: User, about: dict[str, Any], at: str) -> None:
    EmailAddress.objects.create(user=alice, email="second@example.com", verified=True)

    with pytest.raises(ValidationError) as refusal:
        operations.make_person(about=about, rights={}, by=By(editor))

    assert list(refusal.value.message_dict) == [at]
    with pytest.raises(ValidationError):
        operations.change_person(person=make_user("person"), about=about, by=By(editor))


def test_a_change_is_on_record_with_before_and_after(editor: User) -> None:
    person = make_user("person")
    about = {"username": "renamed", "first_name": "P", "last_name": "", "is_active": True}

    operations.change_person(person=person, about=about, by=By(editor, staff=True), client=HERE)
    operations.change_person(person=person, about=about, by=By(editor, staff=True), client=HERE)

    event = noted(Verb.ACCOUNT_CHANGED)
    assert event.detail == {
        "before": {"username": "person", "first_name": ""}, "after": {"username": "renamed", "first_name": "P"},
    }  # fmt: skip
    assert (event.actor, event.address) == (editor, "192.0.2.9")


def test_a_new_address_is_told_to_the_old_one_and_takes_what_was_proved_along(
    editor: User, django_capture_on_commit_callbacks: Any
) -> None:
    person = make_user("person")
    EmailAddress.objects.create(user=person, email="person@example.com", verified=True, primary=True)

    with django_capture_on_commit_callbacks(execute=True):
        operations.change_person(person=person, about={"email": "New@example.com"}, by=By(editor, staff=True))
        operations.change_person(person=person, about={"email": "new@Example.com"}, by=By(editor, staff=True))

    assert noted(Verb.ADDRESS_CHANGED).detail == {"before": "person@example.com", "after": "new@example.com"}
    assert not EmailAddress.objects.filter(user=person).exists()
    (message,) = mail.outbox
    assert message.to == ["person@example.com"]
    assert "was changed to another one. This was done by your platform's staff." in message.body
    assert "new@example.com" not in message.body


def test_the_address_of_a_member_takes_what_it_takes_to_make_somebody_a_member(
    editor: User, project: Project, alice: User
) -> None:
    """Whoever gets the link to set alice's password owns her project."""
    with pytest.raises(PermissionDenied):
        operations.change_person(person=alice, about={"email": "mine@example.com"}, by=By(editor))
    operations.change_person(person=alice, about={"first_name": "A"}, by=By(editor))

    for codename in ("change_project", "add_membership"):
        editor.user_permissions.add(permission(codename))
    operations.change_person(person=alice, about={"email": "new@example.com"}, by=By(editor))

    alice.refresh_from_db()
    assert alice.email == "new@example.com"


def test_who_is_switched_off_is_signed_out_everywhere_and_stays_so(editor: User) -> None:
    person, other = make_user("person"), make_user("other")
    browsers, others = [on(person), on(person)], on(other)
    assert [browser.get("/help/").status_code for browser in (*browsers, others)] == [200, 200, 200]

    operations.change_person(person=person, about={"is_active": False}, by=By(editor))
    operations.change_person(person=person, about={"is_active": True}, by=By(editor))

    assert [browser.get("/help/").status_code for browser in (*browsers, others)] == [302, 302, 200]
    assert list(UserSession.objects.values_list("user", flat=True)) == [other.pk]
    assert Session.objects.count() == 1


def test_the_last_active_owner_is_not_switched_off(editor: User, project: Project, alice: User, erin: User) -> None:
    operations.change_role(member=project.memberships.get(user=erin), role="owner", by=By(alice))
    operations.change_person(person=erin, about={"is_active": False}, by=By(editor))

    with pytest.raises(ValidationError, match="last owner of Shop: make somebody else an owner there first"):
        operations.change_person(person=alice, about={"is_active": False}, by=By(editor))
    with pytest.raises(ValidationError, match="last owner"):
        operations.remove_member(member=project.memberships.get(user=alice), by=By(alice))

    alice.refresh_from_db()
    assert alice.is_active


def test_lost_factors_are_removed_with_the_sessions_and_the_person_is_told(
    editor: User, django_capture_on_commit_callbacks: Any
) -> None:
    person, other = make_user("person"), make_user("other")
    browser = on(person)
    for user, kind in ((person, "totp"), (person, "recovery_codes"), (other, "totp")):
        Authenticator.objects.create(user=user, type=kind, data={"secret": "s3cret"})
    assert browser.get("/help/").status_code == 200

    with django_capture_on_commit_callbacks(execute=True):
        operations.remove_factors(person=person, by=By(editor, staff=True), client=HERE)

    assert list(Authenticator.objects.values_list("user", flat=True)) == [other.pk]
    assert browser.get("/help/").status_code == 302
    event = noted(Verb.FACTOR_REMOVED)
    assert (event.user, event.actor, event.detail) == (person, editor, {"kinds": ["recovery_codes", "totp"]})
    (message,) = mail.outbox
    assert (message.to, "All second factors of your account person were removed." in message.body) == (
        ["person@example.com"], True,
    )  # fmt: skip
    with pytest.raises(ValidationError, match="no second factor"):
        operations.remove_factors(person=person, by=By(editor))
