"""Projects and who is a member of them."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from securitygroups import operations
from securitygroups.admin.base import Chooses, ThroughOperations, by, freshly, into_panel
from securitygroups.models import Membership, Project, Role


class MembershipForm(forms.ModelForm[Membership]):
    """A membership stays its person's: nobody else is looked for where there is one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            person = self.instance.user
            # The choice by typing would ask for the person of each row again.
            self.fields["user"].widget = forms.Select(choices=[(person.pk, str(person))])


class MembershipInline(Chooses, admin.TabularInline[Membership, Project]):
    """On the project's page, so that one form can hand it over from owner to owner."""

    model = Membership
    form = MembershipForm
    extra = 0
    view_on_site = False
    autocomplete_fields = ("user",)
    readonly_fields = ("created_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).select_related("user")


@admin.register(Project)
class ProjectAdmin(ThroughOperations):
    """A project, its quotas and its members. It is never deleted, and its slug stays for the links to it."""

    project_path = "pk"
    list_display = ("name", "slug", "max_groups", "max_rules", "max_machines", "created_at")
    search_fields = ("^name", "=slug")
    search_help_text = "The beginning of the name, or the slug."
    ordering = ("name", "pk")
    sortable_by = ("name", "slug")
    inlines = (MembershipInline,)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Its record must stay.
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("slug", "created_at", "in_panel") if obj else ()

    @admin.display(description="In the panel")
    def in_panel(self, project: Project) -> SafeString:
        """Links to what the project's people see of it."""
        names = [("Open", "overview"), ("Security Groups", "groups"), ("Virtual Machines", "machines")]
        names += [("Support cases", "cases"), ("Activity", "activity")]
        return into_panel([(text, name, [project.slug]) for text, name in names])

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        required = form.cleaned_data["second_factor"]
        if change:
            operations.update_project(project=obj, by=by(request))
            operations.require_second_factor(project=obj, required=required, by=by(request))
            return
        made = operations.create_project(
            name=obj.name,
            slug=obj.slug,
            quotas={name: getattr(obj, name) for name in ("max_groups", "max_rules", "max_machines")},
            by=by(request),
        )
        operations.require_second_factor(project=made, required=required, by=by(request))
        # Django logs the addition, saves the members and leads on with the object that it has.
        obj.pk = made.pk
        obj._state.adding = False

    @freshly
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().changeform_view(request, *args, **kwargs)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        mine = [
            each for each in formset.initial_forms if each.has_changed() and each.instance.user_id == request.user.pk
        ]
        if mine and not request.user.is_superuser:
            raise ValidationError("Nobody changes their own membership here: an owner of the project does.")
        # change_role looks at the role alone, and would leave the other person out without a word.
        if any("user" in each.changed_data for each in formset.initial_forms):
            raise ValidationError("A membership stays its person's: remove it, and add the other person.")
        # Owners first, so that one form can hand a project over: at no time may there be none.
        for member in sorted(formset.save(commit=False), key=lambda member: member.role != Role.OWNER):
            if member.pk:
                operations.change_role(member=member, role=member.role, by=by(request))
            else:
                operations.add_member(project=form.instance, user=member.user, role=member.role, by=by(request))
        for member in formset.deleted_objects:
            operations.remove_member(member=member, by=by(request))
