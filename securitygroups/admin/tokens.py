"""API tokens: whose program comes in by what, and the end of one. Of a secret there is nothing to show."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from securitygroups import operations
from securitygroups.admin.asking import Part, Plan, agreed, token
from securitygroups.admin.base import ReadOnly, client_of, too_many
from securitygroups.admin.questions import Questions
from securitygroups.models import ApiToken, Project, TokenQuerySet
from securitygroups.operations.records import count

REVOKED = 100
"""Tokens that one action takes: each costs time, and a part done in silence would pass for the whole."""


class StateFilter(admin.SimpleListFilter):
    """Whether one opens anything still."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("good", "Good"), ("off", "Its person is switched off"), ("ended", "Revoked or expired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        rows: TokenQuerySet = queryset  # type: ignore[assignment]
        asleep = Q(project=None, user__is_active=False)
        match self.value():
            case "good":
                return rows.good().exclude(asleep)
            case "off":
                return rows.good().filter(asleep)
            case "ended":
                return rows.ended()
        return queryset


@admin.register(ApiToken)
class ApiTokenAdmin(Questions, ReadOnly):
    """What programs come in by. A person's own opens nothing while its person is switched off; a project's own stays good
    when whoever made it is switched off or leaves."""

    project_path = "project"
    list_display = ("name", "ending", "of_user", "of_project", "may_words", "state", "created_at", "used_at")
    list_filter = (StateFilter,)
    list_select_related = ("user", "project")
    search_fields = ("^name", "=user__username", "=project__slug", "=ending")
    search_help_text = (
        "The beginning of the name, the person, the project's slug, or the last four letters of the secret."
    )
    in_words = {"scopes": "may_words"}
    readonly_fields = ("state", "limits", "ending", "used_from")
    actions = ("revoke",)

    @admin.display(description="May")
    def may_words(self, row: ApiToken) -> str:
        return row.may

    @admin.display(description="State")
    def state(self, row: ApiToken) -> str:
        """With what is not to be seen on the row itself: that a person who was switched off takes their own along."""
        if row.revoked_at is not None:
            return "Revoked"
        if not row.is_good:
            return "Expired"
        if row.user.is_active:
            return "Good"
        if row.project is None:
            return "Opens nothing while its person is switched off"
        return "Good, though who made it is switched off"

    @admin.display(description="Projects")
    def limits(self, row: ApiToken) -> str:
        """Where it is good."""
        if row.project is not None:
            return f"{row.project} alone"
        return ", ".join(map(str, row.projects.all())) or "All of which its person is a member"

    def name_of(self, row: ApiToken) -> str:
        return f"the API token “{row.name}”"

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        # The digest is in no form; asked for letter by letter it would be read all the same.
        return not lookup.startswith("digest") and super().lookup_allowed(lookup, value, request)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self.told(request, lambda: super(ApiTokenAdmin, self).changelist_view(request, *args, **kwargs))

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("securitygroups.delete_apitoken")

    @admin.action(description="Revoke…", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """The programs that have them are refused from then on; who they belong to reads why."""
        chosen = queryset.filter(revoked_at=None)
        if too_many(request, chosen, REVOKED, f"Up to {REVOKED} tokens can be revoked"):
            return
        # By project, as everybody takes locks.
        tokens = list(chosen.select_related("project", "user").order_by("project", "pk"))
        if not tokens:
            messages.info(request, "These are revoked already. Nothing was done.")
            return
        who = agreed(request, _plan(tokens))
        for each in tokens:
            operations.revoke_token(token=each, by=who, client=client_of(request))
        messages.success(request, f"{count(len(tokens), 'token')} revoked.")


def _plan(tokens: list[ApiToken]) -> Plan:
    many = count(len(tokens), "token")
    return Plan(
        f"Revoke {many}?",
        f"Revoke {many}",
        tuple(_part(each) for each in tokens),
        token(*(each.pk for each in tokens)),
        notes=("Programs that have them are refused from their next request on. A revoked token never comes back.",),
        deletes=True,
    )


def _part(each: ApiToken) -> Part:
    used = f"last used {each.used_at:%-d %B %Y, %H:%M} UTC" if each.used_at else "never used"
    lines = (f"{each.may}; made by {each.user}, {used}.",)
    # Of no project, and so on no project's record.
    return Part(each.project or Project(name="no project: a person's own"), f"{each}", lines=lines)
