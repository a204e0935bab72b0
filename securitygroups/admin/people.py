"""People, their accounts, and the groups of permissions that staff are put into.

Who may touch whom is decided in operations/rights.py; here it is shown, and asked before a form is.
"""

from smtplib import SMTPException
from typing import Any, cast

import structlog
from allauth.account import app_settings
from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.widgets import FilteredSelectMultiple
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from securitygroups import operations
from securitygroups.admin.base import ThroughOperations, by, client_of, freshly
from securitygroups.admin.columns import link
from securitygroups.admin.forms import PersonForm
from securitygroups.fields import LineFormField, one_alphabet
from securitygroups.models import AccountEvent, User
from securitygroups.operations.people import ABOUT, RIGHTS

logger = structlog.get_logger()

PROJECTS_SHOWN = 50
# Beside security groups nobody should have to think about which groups are meant. The name is shown and not stored.
Group._meta.verbose_name, Group._meta.verbose_name_plural = "staff role", "staff roles"


class StaffRoleFilter(admin.RelatedFieldListFilter):
    """The roles under the name that they have everywhere else."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "staff role"


def _editor(request: HttpRequest) -> User:
    return cast(User, request.user)


class GivesRights(ThroughOperations):
    """Choices of rights are those that the person who chooses has."""

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "groups":
            kwargs["queryset"] = operations.rights_groups_of(_editor(request)).order_by("name")
            kwargs |= {"label": "Staff roles", "help_text": "The person has every permission of each of these roles."}
            kwargs["widget"] = FilteredSelectMultiple("staff roles", False)
        else:
            kwargs["queryset"] = operations.permissions_of(_editor(request)).select_related("content_type")
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    @freshly
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().changeform_view(request, *args, **kwargs)

    @freshly
    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().delete_view(request, *args, **kwargs)

    @freshly
    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().changelist_view(request, *args, **kwargs)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Written already, by the operation."""


@admin.register(User)
class PersonAdmin(GivesRights):
    """People are switched off and never deleted: they are on record. Nobody types a password for them."""

    form = PersonForm
    change_form_template = "admin/person.html"
    list_display = ("username", "email", "first_name", "last_name", "is_active", "is_staff", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active", ("groups", StaffRoleFilter))
    search_fields = ("^username", "^first_name", "^last_name", "^email")
    search_help_text = "The beginning of a name or of the address."
    ordering = sortable_by = ("username",)
    filter_horizontal = ("groups", "user_permissions")
    readonly_fields = ("has_password", "second_factors", "api_tokens", "last_login", "date_joined")

    @admin.display(description="Member of")
    def projects(self, person: User) -> SafeString:
        """Links to the person's projects, each with the role."""
        rows = list(person.memberships.select_related("project").order_by("pk")[: PROJECTS_SHOWN + 1])
        links = ((link(row.project), row.get_role_display()) for row in rows[:PROJECTS_SHOWN])
        more = SafeString(", …") if len(rows) > PROJECTS_SHOWN else ""
        return format_html("{}{}", format_html_join(", ", "{} ({})", links), more) if rows else SafeString("No project")

    @admin.display(description="Staff roles")
    def roles(self, person: User) -> str:
        """Where they are not to be changed. Django calls them groups."""
        return ", ".join(person.groups.order_by("name").values_list("name", flat=True)) or "None"

    @admin.display(description="Rights beside them")
    def permissions(self, person: User) -> str:
        rows = person.user_permissions.select_related("content_type").order_by("pk")
        return ", ".join(row.name for row in rows) or "None"

    @admin.display(description="Has a password", boolean=True)
    def has_password(self, person: User) -> bool:
        return person.has_usable_password()

    @admin.display(description="Second factors")
    def second_factors(self, person: User) -> str:
        """Their kinds, and nothing of what they hold."""
        rows = Authenticator.objects.filter(user=person).order_by("pk")
        return ", ".join(str(row.get_type_display()) for row in rows) or "None"

    @admin.display(description="API tokens")
    def api_tokens(self, person: User) -> SafeString:
        """How many of their own are good, and what becomes of them with the person."""
        number = person.tokens.good().filter(project=None).count()
        address = f"{reverse('admin:securitygroups_apitoken_changelist')}?user__id__exact={person.pk}"
        if not person.is_active:
            said = "They open nothing while the person is switched off. Tokens of projects that they made stay good."
        else:
            said = "Switched off, the person has none that opens anything; tokens of projects that they made stay good."
        return format_html('{} good: <a href="{}">all of theirs</a>. {}', number, address, said)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        about = ABOUT if obj else tuple(name for name in ABOUT if name != "is_active")
        fixed = obj and (obj.pk == request.user.pk or not self.has_change_permission(request, obj))
        rights = tuple({"groups": "roles", "user_permissions": "permissions"}.get(name, name) for name in RIGHTS)
        shown = [(None, {"fields": about}), ("Rights", {"fields": rights if fixed else RIGHTS})]
        more = [("Projects", {"fields": ("projects",)}), ("Sign-in", {"fields": self.readonly_fields})]
        return [*shown, *more] if obj else shown

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        editor = _editor(request)
        fixed: set[str] = set()
        if not editor.is_superuser:
            fixed.add("is_superuser")
        if obj and obj.pk == editor.pk:
            fixed |= {"is_active", *RIGHTS}
        if obj and not operations.may_readdress(editor, obj):
            fixed.add("email")
        return (
            *self.readonly_fields,
            "projects",
            "roles",
            "permissions",
            *(name for name in ABOUT + RIGHTS if name in fixed),
        )

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        return not lookup.startswith("password") and super().lookup_allowed(lookup, value, request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or operations.may_touch(_editor(request), obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        about = {name: form.cleaned_data[name] for name in ABOUT if name in form.cleaned_data}
        rights = {name: form.cleaned_data[name] for name in RIGHTS if name in form.cleaned_data}
        who, client = by(request), client_of(request)
        if not change:
            made = operations.make_person(about=about, rights=rights, by=who, client=client)
            obj.pk, obj.username, obj.email = made.pk, made.username, made.email
            obj._state.adding = False
            request.made = made  # type: ignore[attr-defined]
            return
        # `obj` has the form's values already; what is written is the difference to what is stored.
        before = User.objects.get(pk=obj.pk)
        operations.change_person(person=before, about=about, by=who, client=client)
        operations.set_rights(person=before, rights=rights, by=who, client=client)

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().add_view(request, *args, **kwargs)
        # Behind the transaction that made the account: a mail that cannot be sent takes nothing back.
        made = getattr(request, "made", None)
        if made is not None:
            self._send(request, made, first=True)
        return response

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().change_view(request, object_id, *args, **kwargs)
        context = getattr(response, "context_data", None)
        person = (context or {}).get("original")
        if context is not None and isinstance(person, User):
            context["in_reach"] = self.has_change_permission(request, person)
            context["has_factors"] = Authenticator.objects.filter(user=person).exists()
        return response

    # ── A link, and lost factors ──────────────────────────────────────────────

    def get_urls(self) -> list[URLPattern]:
        def view(page: Any) -> Any:
            return self.admin_site.admin_view(page)

        return [
            # Django's form for somebody else's password: whoever types it knows it.
            path("<path:pk>/password/", view(_nothing), name="auth_user_password_change"),
            path("<int:pk>/link/", view(self.link_view), name="person_link"),
            path("<int:pk>/factors/", view(self.factors_view), name="person_factors"),
            *super().get_urls(),
        ]

    def _person(self, request: HttpRequest, pk: int) -> User:
        """Somebody whom the editor may touch. Raises PermissionDenied, Http404."""
        person = get_object_or_404(User, pk=pk) if self.has_view_or_change_permission(request) else None
        if person is None or not self.has_change_permission(request, person):
            raise PermissionDenied("This person has rights that you do not have: ask somebody who has them.")
        return person

    @method_decorator(require_POST)
    @method_decorator(reauthentication_required)
    def link_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Mail a link to set a password to the person's own address."""
        person = self._person(request, pk)
        if not person.email or not person.is_active:
            why = "has no e-mail address" if person.is_active else "is switched off"
            messages.error(request, f"{person} {why}: nothing was sent.")
        else:
            self._send(request, person, first=not person.has_usable_password())
        return self._back(person)

    @method_decorator(require_POST)
    @method_decorator(reauthentication_required)
    def factors_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """For somebody who lost them."""
        person = self._person(request, pk)
        try:
            operations.remove_factors(person=person, by=by(request), client=client_of(request))
        except ValidationError as refusal:
            messages.error(request, refusal.messages[0])
        else:
            self.log_change(request, person, "Removed the second factors.")
            messages.success(request, f"{person} has no second factor any more, and was signed out everywhere.")
        return self._back(person)

    def _back(self, person: User) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:securitygroups_user_change", args=[person.pk]))

    def _send(self, request: HttpRequest, person: User, *, first: bool) -> None:
        """The link, on record; what cannot be sent is told, and is not on record."""
        adapter = get_adapter(request)
        key = f"{user_pk_to_url_str(person)}-{app_settings.PASSWORD_RESET_TOKEN_GENERATOR().make_token(person)}"
        link, hours = adapter.get_reset_password_from_key_url(key), settings.PASSWORD_RESET_TIMEOUT // 3600
        context = {"person": person, "link": link, "first": first, "hours": hours}
        try:
            with transaction.atomic():
                operations.note(AccountEvent.Verb.LINK_SENT, user=person, by=by(request), client=client_of(request))
                adapter.send_mail("account/email/password_link", person.email, context)
        except (OSError, SMTPException) as error:
            logger.warning("mail not sent", user=person.get_username(), error=str(error)[:500])
            messages.error(request, f"The link for {person} could not be sent. Send it again from the person's page.")
        else:
            self.log_change(request, person, "Sent a link to set a password.")
            messages.success(request, f"A link to set a password was sent to {person.email}.")


def _nothing(request: HttpRequest, **what: str) -> HttpResponse:
    raise Http404


class RightsGroupForm(forms.ModelForm[Group]):
    name = LineFormField(max_length=150, validators=[one_alphabet])

    class Meta:
        model = Group
        fields = ("name", "permissions")


@admin.register(Group)
class RightsGroupAdmin(GivesRights):
    """Roles of staff, which Django calls groups: what one gives is a right of each of its members."""

    form = RightsGroupForm
    search_fields = ("^name",)
    search_help_text = "The beginning of the name."
    ordering = ("name",)
    filter_horizontal = ("permissions",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or operations.may_touch_group(_editor(request), obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (obj is None or operations.may_touch_group(_editor(request), obj))

    def save_model(self, request: HttpRequest, obj: Group, form: Any, change: bool) -> None:
        chosen = form.cleaned_data["permissions"]
        operations.write_rights_group(group=obj, permissions=chosen, by=by(request), client=client_of(request))

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        operations.delete_rights_group(group=obj, by=by(request), client=client_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Group]) -> None:
        for group in queryset.order_by("pk"):
            self.delete_model(request, group)
