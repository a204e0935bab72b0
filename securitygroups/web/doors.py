"""The doors of the panel: how a request comes into a project, and what a person says with a change."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from allauth.core.exceptions import ReauthenticationRequired
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from securitygroups.access import Access, ReasonNeeded, Right, find_group, is_support, open_project
from securitygroups.effective import rules_of_group
from securitygroups.firewall.values import Rule
from securitygroups.models import SecurityGroup, User
from securitygroups.operations import By, Client
from securitygroups.said import Said, said_in
from securitygroups.web.pages import NO_REVISION, address_of, number_in, reason_of

View = TypeVar("View", bound=Callable[..., HttpResponseBase])
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def enter(
    request: HttpRequest, slug: str, *, write: bool = False, own: bool = False, support_writes: bool = False
) -> Access:
    """Let the signed-in person into the project, or 404.

    `write` asks for the right to change groups and VMs, `own` for the right to change members; 403 says who has it.
    Support staff are refused every write here, whatever the view would do, but for their own records (`support_writes`).
    """
    access = open_project(request.user, slug, strong=request.strong)  # type: ignore[attr-defined]
    # Before the right is asked for: the page that refuses shows the project too, and the gate knows who was here.
    request.access = access  # type: ignore[attr-defined]
    looks = request.method in SAFE_METHODS or support_writes
    access.require(Right.MANAGE if own else Right.CHANGE if write else Right.LOOK if looks else Right.TAKE_PART)
    return access


def takes_files(view: View) -> View:
    """Marks a view of a project that takes more than a form, from those who may come in.

    The middleware asks before it reads anything. The view itself is too late for that: the token that keeps forged forms
    out is checked first, and stands in what was sent.
    """
    view.takes_files = _comes_in  # type: ignore[attr-defined]
    return view


def _comes_in(user: object, slug: str, **rest: Any) -> bool:
    try:
        # Whether they signed in strongly enough is asked when they come in.
        open_project(user, slug, strong=True)
    except Http404:
        return False
    except ReasonNeeded:
        pass  # staff, who will be asked why
    return True


def support_member(request: HttpRequest) -> User:
    """The support member who asks, or 404: the desk does not exist for anybody else."""
    if not is_support(request.user) or not isinstance(request.user, User):
        raise Http404
    return request.user


def shown_again(request: HttpRequest) -> None:
    """Before what is dangerous: the person has signed in, or shown once more who they are, within the last minutes.

    Raises ReauthenticationRequired, which leads there and back.
    """
    if not request.fresh():  # type: ignore[attr-defined]
        raise ReauthenticationRequired


def client(request: HttpRequest) -> Client:
    """Where the request comes from, for the record of accounts."""
    return Client(address_of(request) or None, request.headers.get("User-Agent", ""))


def by(request: HttpRequest) -> By:
    """Who makes the change that was sent, and why: for what goes on record."""
    access: Access = request.access  # type: ignore[attr-defined]
    return By(access.user, reason=reason_of(request))


def said(request: HttpRequest, newest: int = NO_REVISION) -> Said:
    """What was sent with a change, as plain values. A page that is only opened stands on the newest revision."""
    base = number_in(request, "base") if request.method == "POST" else newest
    return said_in(request.POST, base=base, address=address_of(request), seen=request.POST.get("seen", ""))


@dataclass(slots=True)
class OnGroup:
    """A group that a request is about, and its list, which is read once."""

    request: HttpRequest
    access: Access
    group: SecurityGroup
    _rules: tuple[Rule, ...] | None = None

    @property
    def rules(self) -> tuple[Rule, ...]:
        if self._rules is None:
            self._rules = rules_of_group(self.group)
        return self._rules

    def place(self, uid: str) -> int | None:
        """Where the rule of this identity stands, from 1; None where it is gone."""
        return next((place for place, rule in enumerate(self.rules, 1) if rule.uid == uid), None)

    def again(self) -> "OnGroup":
        """The same group as it is now, after somebody else has changed it. 404 where it is gone."""
        return OnGroup(self.request, self.access, find_group(self.access, self.group.public_id))


def enter_group(request: HttpRequest, slug: str, group_id: str, *, write: bool = True) -> OnGroup:
    """Let the signed-in person to a live group of the project, by default to change it."""
    access = enter(request, slug, write=write)
    return OnGroup(request, access, find_group(access, group_id))
