"""Projects and who is a member of them."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import slugify

from securitygroups import operations
from securitygroups.admin.base import ThroughOperations, by, freshly, into_panel
from securitygroups.firewall.texts import clean
from securitygroups.models import Invitation, Membership, Project, Role, User

SHOWN = 20
"""Members and invitations on a project's page; the rest is a list of its own."""
QUOTAS = {
    "max_groups": "MAX_GROUPS_PER_PROJECT",
    "max_rules": "MAX_RULES_PER_GROUP",
    "max_machines": "MAX_MACHINES_PER_PROJECT",
}
MANAGES = ("securitygroups.change_project", "securitygroups.add_membership")
"""What it takes to make somebody a member; operations.may_readdress goes by the same."""


class ProjectForm(forms.ModelForm[Project]):
    """Quotas say what an empty one comes to."""

    class Meta:
        model = Project
        fields = ("name", "slug", *QUOTAS, "second_factor")
        labels = {
            "max_groups": "Security Groups, at most",
            "max_rules": "Rules in a group, at most",
            "max_machines": "Virtual Machines, at most",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, setting in QUOTAS.items():
            if name in self.fields:
                usual = f"{getattr(settings, setting):,}"
                self.fields[name].help_text = f"Empty: {usual}, as everywhere."


class NewCustomerForm(ProjectForm):
    """A project with its first owner, who is found or asked by e-mail."""

    slug = forms.SlugField(
        max_length=60,
        required=False,
        help_text="Stands in the address of the project's pages. Empty: made of the name.",
    )
    email = forms.EmailField(
        label="First owner",
        help_text="E-mail address. Who has an account is an owner at once; anybody else is sent an invitation.",
        error_messages={"required": "Type the e-mail address of the person who will manage the project."},
    )

    def clean_slug(self) -> str:
        if typed := str(self.cleaned_data["slug"]).lower():
            # Two that differ in nothing but their case would be taken for each other.
            return typed
        if "name" in self.errors:
            return ""
        return self._free_slug(slugify(self.cleaned_data["name"])[:57].strip("-"))

    def _free_slug(self, wish: str) -> str:
        if not wish:
            raise ValidationError("Type a slug: letters from a to z, digits and hyphens. None can be made of the name.")
        taken = set(Project.objects.filter(slug__startswith=wish).values_list("slug", flat=True)[:1000])
        return next(slug for slug in (wish, *(f"{wish}-{number}" for number in range(2, 1003))) if slug not in taken)


@admin.register(Project)
class ProjectAdmin(ThroughOperations):
    """A project, its quotas and its members. It is never deleted, and its slug stays for the links to it."""

    project_path = "pk"
    form = ProjectForm
    list_display = ("name", "slug", "max_groups", "max_rules", "max_machines", "second_factor", "created_at")
    search_fields = ("^name", "=slug", "<slug", "^memberships__user__email", "^invitations__email")
    search_help_text = "The beginning of the name or of the slug, or of a member's e-mail address."
    ordering = ("name", "pk")
    sortable_by = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        # Without an owner nobody could manage it.
        return super().has_add_permission(request) and request.user.has_perm("securitygroups.add_membership")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Its record must stay.
        return False

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return {} if obj else self.prepopulated_fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("slug", "created_at", "in_panel", "members", "invited") if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            first: tuple[str, ...] = ("name", "slug", "email")
            return [(None, {"fields": first}), ("Limits", {"fields": (*QUOTAS, "second_factor")})]
        return [
            (None, {"fields": ("in_panel", "name", "slug", "created_at")}),
            ("People", {"fields": ("members", "invited")}),
            ("Limits", {"fields": (*QUOTAS, "second_factor")}),
        ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = NewCustomerForm
        return super().get_form(request, obj, change=change, **kwargs)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(request, form_url, {"title": "New customer", **(extra_context or {})})

    @admin.display(description="In the panel")
    def in_panel(self, project: Project) -> SafeString:
        """Links to what the project's people see of it."""
        names = [("Open", "overview"), ("Security Groups", "groups"), ("Virtual Machines", "machines")]
        names += [("Support cases", "cases"), ("Activity", "activity")]
        return into_panel([(text, name, [project.slug]) for text, name in names])

    @admin.display(description="Members")
    def members(self, project: Project) -> SafeString:
        """The first of them, and the way to the others."""
        rows = project.memberships.select_related("user").order_by("pk")
        return _people(project, Membership, rows, "admin/members.html")

    @admin.display(description="Invited")
    def invited(self, project: Project) -> SafeString:
        """Who was asked and has not answered."""
        return _people(project, Invitation, project.invitations.order_by("pk"), "admin/invited.html")

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        if change:
            operations.update_project(project=obj, by=by(request))
            required = form.cleaned_data["second_factor"]
            operations.require_second_factor(project=obj, required=required, by=by(request))
            return
        email = form.cleaned_data["email"]
        made, invitation, secret = operations.create_customer(project=obj, email=email, by=by(request))
        if invitation is None:
            messages.success(request, f"{email} has an account, and owns the project now.")
        else:
            operations.send_invitation(invitation, request.build_absolute_uri(reverse("invitation", args=[secret])))
            messages.success(request, f"An invitation to own the project was sent to {email}.")
        # Django logs the addition and leads on with the object that it has.
        obj.pk = made.pk
        obj._state.adding = False

    def response_post_save_add(self, request: HttpRequest, obj: Project) -> HttpResponseRedirect:
        return HttpResponseRedirect(page_of(obj))

    @freshly
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().changeform_view(request, *args, **kwargs)


def page_of(project: Project) -> str:
    return reverse("admin:securitygroups_project_change", args=[project.pk])


def _people(project: Project, model: type[Model], rows: QuerySet[Any], template: str) -> SafeString:
    number = rows.count()
    every = reverse(f"admin:securitygroups_{model._meta.model_name}_changelist")
    context = {"project": project, "rows": rows[:SHOWN], "number": number, "more": number > SHOWN, "every": every}
    context["now"] = timezone.now()
    return render_to_string(template, context)


class NewMemberForm(forms.ModelForm[Membership]):
    """Both are typed: a list to choose from would be as long as the platform has people, and would take a script."""

    project = forms.ModelChoiceField(
        label="Project",
        queryset=Project.objects.all(),
        to_field_name="slug",
        widget=forms.TextInput,
        help_text="Its slug.",
        error_messages={"invalid_choice": "There is no project of this slug: look it up under Projects."},
    )
    person = forms.CharField(
        label="Person", max_length=254, help_text="User name or e-mail address of somebody who has an account."
    )

    class Meta:
        model = Membership
        fields = ("project", "role")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Links to here know the project by its key.
        key = str(self.initial.get("project", ""))
        if key.isdecimal() and len(key) < 19:
            self.initial["project"] = Project.objects.filter(pk=key).values_list("slug", flat=True).first()

    def clean_person(self) -> str:
        typed = clean(self.cleaned_data["person"]).lower()
        named = User.objects.alias(name=Lower("username"), address=Lower("email"))
        found = list(named.filter(Q(name=typed) | Q(address=typed))[:2])
        if len(found) != 1:
            raise ValidationError(
                "Nobody has this name or address: look under Users, or let an owner invite the address."
                if not found
                else "One person has this for a name, another for an address: type the other of the two."
            )
        self.instance.user = found[0]
        return typed


@admin.register(Membership)
class MembershipAdmin(ThroughOperations):
    """Who works in which project, and as what. A membership stays its person's."""

    project_path = "project"
    list_display = ("user", "of_project", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "project")
    search_fields = ("^user__username", "^user__email", "=project__slug", "^project__name")
    search_help_text = "The beginning of the person's name or address, or the project's name or slug."

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("project", "user", "created_at") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("project", "user", "role", "created_at") if obj else ("project", "person", "role")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = NewMemberForm
        return super().get_form(request, obj, change=change, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and request.user.has_perms(MANAGES)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and request.user.has_perm(MANAGES[0])

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and request.user.has_perm(MANAGES[0])

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        if change:
            _not_mine(request, obj)
            # `obj` has the form's values already; what is written is the difference to what is stored.
            before = Membership.objects.select_related("project", "user").get(pk=obj.pk)
            operations.change_role(member=before, role=obj.role, by=by(request))
            return
        made = operations.add_member(project=obj.project, user=obj.user, role=obj.role, by=by(request))
        # Django logs the addition and leads on with the object that it has.
        obj.pk = made.pk
        obj._state.adding = False

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        _not_mine(request, obj)
        operations.remove_member(member=obj, by=by(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        # By project, as everybody takes locks; owners last, for whom there may be no other left.
        members = queryset.select_related("project", "user").order_by("project", "pk")
        for member in sorted(members, key=lambda member: (member.project_id, member.role == Role.OWNER)):
            self.delete_model(request, member)

    def response_post_save_add(self, request: HttpRequest, obj: Membership) -> HttpResponseRedirect:
        return HttpResponseRedirect(page_of(obj.project))

    def response_post_save_change(self, request: HttpRequest, obj: Membership) -> HttpResponseRedirect:
        return HttpResponseRedirect(page_of(obj.project))

    @freshly
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().changeform_view(request, *args, **kwargs)

    @freshly
    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().delete_view(request, *args, **kwargs)

    @freshly
    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().changelist_view(request, *args, **kwargs)


def _not_mine(request: HttpRequest, member: Membership) -> None:
    if member.user_id == request.user.pk and not request.user.is_superuser:
        raise ValidationError("Nobody changes their own membership here: an owner of the project does.")
