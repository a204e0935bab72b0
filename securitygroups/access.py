"""The only way a view gets an object: strangers find nothing (404), viewers who would write are told so (403)."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils import timezone

from securitygroups.models import (
    ApiToken,
    Asked,
    Delivery,
    Event,
    Given,
    GroupTemplate,
    Invitation,
    Membership,
    Project,
    Role,
    SavedView,
    Scope,
    SecurityGroup,
    SignedReview,
    SupportCase,
    SupportVisit,
    Traffic,
    User,
    VirtualMachine,
    Webhook,
)

# What nearly every request asks. None of these finds more than one row.
_MEMBERSHIP = Asked(
    lambda: Membership.objects.select_related("project").filter(user=Given("user"), project__slug=Given("slug"))
)
_HERE = {"project": Given("project"), "public_id": Given("public_id")}
_GROUP = Asked(lambda: SecurityGroup.objects.live().filter(**_HERE))
_MACHINE = Asked(lambda: VirtualMachine.objects.live().filter(**_HERE))

Own = TypeVar("Own", bound=models.Model)

SUPPORT = "support"
"""Not a role of a member: staff who look, read-only, after naming a reason."""


class Right(Enum):
    """What somebody wants to do in a project, from the least to the most."""

    LOOK = "look"
    """See its pages, test packets; support too."""
    TRAFFIC = "see traffic"
    """See which packets of the VMs were dropped and accepted; support too, and viewers where an owner lets them."""
    TAKE_PART = "take part"
    """Send something as a member, such as leaving the project."""
    CHANGE = "change"
    """Change groups and VMs."""
    MANAGE = "manage"
    """Change members and settings."""


class SecondFactorNeeded(Exception):
    """The project lets members in only after they signed in with a second factor."""

    def __init__(self, project: Project) -> None:
        super().__init__(f"{project} asks its members for a second factor.")
        self.project = project


class ReasonNeeded(Exception):
    """Support staff are at a customer's door without a visit that is still running."""

    def __init__(self, project: Project) -> None:
        super().__init__(f"Name a reason for looking into {project}.")
        self.project = project


@dataclass(frozen=True, slots=True)
class Access:
    """Who stands in which project, and as what: as a `member`, as staff whom a support `visit` lets in, or by a `token`, which
    stands for somebody who could come in so, or for the project itself."""

    user: User
    project: Project
    role: str
    visit: SupportVisit | None = None
    member: Membership | None = None
    token: ApiToken | None = None

    @property
    def first_steps(self) -> tuple[str, ...]:
        """What the member has done or skipped of them."""
        return tuple(self.member.first_steps) if self.member else ()

    @property
    def can_edit(self) -> bool:
        return self.role in (Role.OWNER, Role.EDITOR)

    @property
    def is_owner(self) -> bool:
        return self.role == Role.OWNER

    @property
    def sees_traffic(self) -> bool:
        """Whether packets of the VMs are shown: not to viewers, where no owner has let them."""
        return self.role != Role.VIEWER or self.project.viewers_see_traffic

    def require(self, right: Right) -> None:
        """Raises PermissionDenied, which says who has the right."""
        if self.role == SUPPORT and right not in (Right.LOOK, Right.TRAFFIC):
            raise PermissionDenied(
                "The support view is read-only. Staff change things in the administration, on record."
            )
        if right is Right.TRAFFIC and not self.sees_traffic:
            raise PermissionDenied(
                "Dropped packets are for owners and editors here. An owner can let viewers see them, on the page of members."
            )
        if right is Right.MANAGE and not self.is_owner:
            raise PermissionDenied("Only owners of the project can change its members and settings. Ask one of them.")
        if right is Right.CHANGE and not self.can_edit:
            raise PermissionDenied(
                "You can look at this project and test packets, but not change it. Ask an owner for the editor role."
            )


def open_project(user: object, slug: str, *, strong: bool) -> Access:
    """Let a person into the project; `strong` says whether they signed in with a second factor.

    Raises Http404 for strangers, SecondFactorNeeded, and ReasonNeeded for support without a running visit.
    """
    if not isinstance(user, User):
        raise Http404
    membership: Membership | None = _MEMBERSHIP.one(user=user.pk, slug=slug)
    if membership is None:
        return _as_support(user, slug)
    if membership.project.second_factor and not strong:
        raise SecondFactorNeeded(membership.project)
    return Access(user, membership.project, membership.role, member=membership)


def open_by_token(token: ApiToken, slug: str) -> Access:
    """Let a program into the project, by a good token of the project's own, or with what the token's person may do there.

    Raises Http404 wherever the token is not for that project, and as open_project does.
    """
    if token.project is not None:
        if token.project.slug != slug:
            raise Http404
        return Access(token.user, token.project, role_of(token), token=token)
    limits = token.projects.values_list("slug", flat=True)
    if limits and slug not in limits:
        raise Http404
    return replace(open_project(token.user, slug, strong=token.strong), token=token)


def projects_of(token: ApiToken) -> QuerySet[Project]:
    """The projects that a token opens, as far as its person may come in. Support's visits are asked for one by one."""
    if token.project is not None:
        return Project.objects.filter(pk=token.project.pk)
    rows = Project.objects.filter(memberships__user=token.user)
    if not token.strong:
        rows = rows.filter(second_factor=False)
    limits = token.projects.values_list("pk", flat=True)
    return rows.filter(pk__in=list(limits)) if limits else rows


def role_of(token: ApiToken) -> str:
    """As what a project's own token stands in it: the least role that its scopes need."""
    if Scope.MEMBERS in token.scopes:
        return Role.OWNER
    return Role.EDITOR if {Scope.WRITE, Scope.INVENTORY} & set(token.scopes) else Role.VIEWER


def token_by(digest: str) -> ApiToken | None:
    """The good token that a secret's digest belongs to, and whose person may still sign in; a project's own stays good
    without them."""
    token = ApiToken.objects.good().select_related("user", "project").filter(digest=digest).first()
    if token is None or (token.project is None and not token.user.is_active):
        return None
    return token


def find_token(access: Access, pk: int) -> ApiToken:
    """A token of the project's own, or 404."""
    return _own(access, ApiToken.objects.select_related("user", "revoked_by").filter(pk=pk))


def is_support(user: object) -> bool:
    """Staff who may look into customers' projects."""
    return isinstance(user, User) and user.is_staff and user.has_perm("securitygroups.support")


def running_visits(staff: User) -> QuerySet[SupportVisit]:
    """The visits of a staff member that are open now, the one that ends last at the end."""
    open_now = SupportVisit.objects.filter(staff=staff, until__gt=timezone.now(), ending=None)
    return open_now.order_by("until")


def _as_support(user: User, slug: str) -> Access:
    """Staff with a running visit come in; without one they are asked why; everybody else finds nothing."""
    project = Project.objects.filter(slug=slug).first() if is_support(user) else None
    if project is None:
        raise Http404
    visit = running_visits(user).filter(project=project).last()
    if visit is None:
        raise ReasonNeeded(project)
    return Access(user, project, SUPPORT, visit)


def _own(access: Access, rows: QuerySet[Own]) -> Own:
    """The project's own among the rows, which are one at most, or 404."""
    found: Any = rows.filter(project=access.project).first()
    if found is None:
        raise Http404
    found.project = access.project
    return found  # type: ignore[no-any-return]


def find_case(access: Access, public_id: str) -> SupportCase:
    """A support case of the project, or 404."""
    rows = SupportCase.objects.select_related("machine", "group", "standing__assignee")
    return _own(access, rows.filter(public_id=public_id))


def find_regrouping(access: Access, pk: int) -> Event:
    """The line of the project's activity about a change of many VMs, or 404."""
    return _own(access, Event.objects.filter(pk=pk, verb=Event.Verb.GROUPS_ATTACHED, machine=None))


def find_signed_review(access: Access, number: int) -> SignedReview:
    """A review of the project that was signed off, or 404."""
    return _own(access, SignedReview.objects.filter(number=number))


def find_template(access: Access, pk: int) -> GroupTemplate:
    """A template of the project's own, or 404."""
    return _own(access, GroupTemplate.objects.filter(pk=pk))


def find_view(access: Access, pk: int) -> SavedView:
    """A saved view of the project's own, or of the person's, or 404."""
    return _own(access, SavedView.objects.filter(Q(owner=None) | Q(owner=access.user), pk=pk))


def find_group(access: Access, public_id: str) -> SecurityGroup:
    """A live group of the project, or 404."""
    group: SecurityGroup | None = _GROUP.one(project=access.project.pk, public_id=public_id)
    if group is None:
        raise Http404
    group.project = access.project
    return group


def groups_to_change(user: User, *, strong: bool) -> QuerySet[SecurityGroup]:
    """The live groups of all projects in which the person may change them, the newest change first."""
    mine = Membership.objects.filter(user=user, role__in=(Role.OWNER, Role.EDITOR))
    if not strong:
        mine = mine.filter(project__second_factor=False)
    rows = SecurityGroup.objects.live().filter(project__in=mine.values("project"))
    return rows.select_related("project").order_by("-changed_at", "-pk")


def find_machine(access: Access, public_id: str) -> VirtualMachine:
    """A live VM of the project, or 404."""
    machine: VirtualMachine | None = _MACHINE.one(project=access.project.pk, public_id=public_id)
    if machine is None:
        raise Http404
    machine.project = access.project
    return machine


def find_deleted(access: Access, rows: type[SecurityGroup] | type[VirtualMachine], public_id: str) -> Any:
    """A group or VM of the project that was deleted, or 404."""
    return _own(access, rows.objects.filter(public_id=public_id, deleted_at__isnull=False))


def find_invitation(access: Access, pk: int) -> Invitation:
    """An invitation into the project that waits, or 404."""
    return _own(access, Invitation.objects.filter(pk=pk))


def invitation_by(digest: str) -> Invitation:
    """The invitation that a link's secret belongs to, by the secret's digest, or 404: the link is all it takes to see
    it, and more to accept it."""
    invitation = Invitation.objects.select_related("project", "by").filter(digest=digest).first()
    if invitation is None:
        raise Http404
    return invitation


_BY_PARAMETER: dict[str, type[models.Model]] = {
    "group_id": SecurityGroup,
    "machine_id": VirtualMachine,
    "case_id": SupportCase,
}
_BY_PAGE: dict[str, type[models.Model]] = {
    "template": GroupTemplate,
    "view": SavedView,
    "member": Membership,
    "member_invitation": Invitation,
    "webhook": Webhook,
    "dropped": Traffic,
}


def meant_elsewhere(access: Access, page: str, parameters: dict[str, Any]) -> Project | None:
    """The other project that the thing belongs to which an address of this one names; None where it is nobody else's.

    `page` and `parameters` are the address's name and its parts.
    """
    rows = _BY_PAGE.get(page.rpartition("_")[0]) if "pk" in parameters else None
    name = next((name for name in _BY_PARAMETER if name in parameters), "")
    where = {"pk": parameters["pk"]} if rows else {"public_id": parameters[name]} if name else {}
    table = rows or _BY_PARAMETER.get(name)
    if table is None:
        return None
    elsewhere = table._default_manager.filter(**where).exclude(project=access.project)
    return Project.objects.filter(pk__in=elsewhere.values("project")).first()


def project_of(slug: str) -> Project | None:
    """Whoever asks: for the record of refusals alone."""
    return Project.objects.filter(slug=slug).first()


def find_webhook(access: Access, pk: int) -> Webhook:
    """A webhook of the project, or 404."""
    return _own(access, Webhook.objects.filter(pk=pk))


def find_delivery(webhook: Webhook, pk: int) -> Delivery:
    """What was sent to that webhook, with its event, or 404."""
    rows = Delivery.objects.select_related("event__project", "event__group", "event__machine")
    found = rows.filter(webhook=webhook, pk=pk).first()
    if found is None:
        raise Http404
    found.webhook = webhook
    return found


def find_traffic(access: Access, pk: int) -> Traffic:
    """Packets that a host told of, of the project's then, or 404; with their VM, whosever it is now."""
    access.require(Right.TRAFFIC)
    return _own(access, Traffic.objects.select_related("machine", "made_of").filter(pk=pk))


def find_member(access: Access, pk: int) -> Membership:
    """A membership of the project, or 404."""
    return _own(access, Membership.objects.select_related("user").filter(pk=pk))
