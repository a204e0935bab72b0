"""The pages of accounts that are the panel's own: the account at a glance, sessions, invitations, signing up."""

from typing import Any

from allauth.account import views
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from karenpanel.kept import found
from karenpanel.ways_back import page_to_return_to
from securitygroups import operations
from securitygroups.access import invitation_by
from securitygroups.accounts.adapter import INVITATION, invitation_of
from securitygroups.accounts.backend import account_of
from securitygroups.accounts.client import client_of
from securitygroups.accounts.forms import TimeZoneForm
from securitygroups.accounts.standing import FACTORS
from securitygroups.accounts.views import _Words, verified
from securitygroups.models import AccountEvent, Invitation, User

EVENTS_SHOWN = 20


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404
    return request.user


@require_safe
def account(request: HttpRequest) -> HttpResponse:
    """How one signs in, where one is signed in, and what happened lately."""
    user = _person(request)
    factors = Authenticator.objects.filter(user=user, type__in=FACTORS)
    context = {
        "factors": factors.count(),
        "sessions": len(UserSession.objects.purge_and_list(user)),
        "tokens": user.tokens.good().filter(project=None).count(),
        "events": user.account_events.all()[:EVENTS_SHOWN],
    }
    return render(request, "account/account.html", context)


@require_safe
def signed_in(request: HttpRequest) -> HttpResponse:
    """For who signs in beside a tab in which a form waits."""
    return render(request, "account/signed_in.html")


@require_safe
def typed(request: HttpRequest) -> HttpResponse:
    """After signing in: the way back into the form that was being sent."""
    return render(request, "account/typed.html", {"typed": found(request)})


@require_safe
def sessions(request: HttpRequest) -> HttpResponse:
    """Where the person is signed in, the newest use first."""
    rows = sorted(UserSession.objects.purge_and_list(_person(request)), key=lambda row: row.last_seen_at, reverse=True)
    return render(request, "account/sessions.html", {"sessions": rows})


@require_http_methods(["GET", "HEAD", "POST"])
def time_zone(request: HttpRequest) -> HttpResponse:
    """In which zone times are shown. The offer on other pages, of the zone of the browser, is sent here too."""
    user = _person(request)
    form = TimeZoneForm(request.POST if request.method == "POST" else None, initial={"time_zone": user.time_zone})
    if request.method == "POST" and form.is_valid():
        zone = form.cleaned_data["time_zone"]
        operations.set_time_zone(person=user, zone=zone, client=client_of(request))
        messages.success(request, f"Times are shown in {zone} now.")
        return redirect(page_to_return_to(request) if "offered" in request.POST else reverse("account"))
    status = 422 if request.method == "POST" else 200
    return render(request, "account/time_zone.html", {"form": form}, status=status)


@require_POST
def session_end(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign out at one other place, or at all of them where `pk` is 0."""
    user = _person(request)
    rows = UserSession.objects.filter(user=user).exclude(session_key=request.session.session_key)
    chosen = list(rows.filter(pk=pk) if pk else rows)
    for row in chosen:
        row.end()
        operations.note(AccountEvent.Verb.SESSION_ENDED, user=user, client=client_of(request), ended=row.ip)
    number = len(chosen)
    messages.success(request, "Signed out there." if number == 1 else f"Signed out at {number} other places.")
    return redirect("usersessions_list")


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """The page that the mail's link leads to: who invites whom into what, and what to do to accept."""
    found = invitation_by(operations.digest_of(secret))
    if not operations.running(found):
        return render(request, "account/invitation_ended.html", status=410)
    user = request.user
    if request.method == "POST":
        if isinstance(user, User):
            return _accept(request, found, user)
        request.session[INVITATION] = found.digest
        return redirect("account_signup")
    return _invitation_page(request, found)


def _invitation_page(request: HttpRequest, found: Invitation, status: int = 200) -> HttpResponse:
    user = request.user
    has_account = account_of(found.email) is not None
    fits = isinstance(user, User) and user.email.lower() == found.email.lower()
    context = {"invitation": found, "has_account": has_account, "fits": fits}
    return render(request, "account/invitation.html", context, status=status)


def _accept(request: HttpRequest, found: Invitation, user: User) -> HttpResponse:
    try:
        with transaction.atomic():
            operations.accept_invitation(invitation=found, user=user)
            verified(user)
    except operations.NotForYou:
        return _invitation_page(request, found, status=403)
    except ValidationError as refusal:
        return render(request, "account/invitation_ended.html", {"why": refusal.messages[0]}, status=410)
    messages.success(request, f"Welcome to {found.project}.")
    return redirect("overview", found.project.slug)


@method_decorator(login_not_required, name="dispatch")
class SignUpView(_Words, views.SignupView):  # type: ignore[misc]
    """Only for whoever followed the link of an invitation; the account and the membership are made together."""

    def get_form_kwargs(self) -> dict[str, Any]:
        kwargs: dict[str, Any] = super().get_form_kwargs()
        found = invitation_of(self.request)
        if found is None:
            raise Http404
        return {**kwargs, "email": found.email}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "invitation": invitation_of(self.request)}

    def form_valid(self, form: Any) -> HttpResponse:
        found = invitation_of(self.request)
        if found is None:
            raise Http404
        try:
            with transaction.atomic():
                super().form_valid(form)
                operations.note(AccountEvent.Verb.ACCOUNT_MADE, user=self.user, client=client_of(self.request))
                operations.accept_invitation(invitation=found, user=self.user)
                verified(self.user)
        except (ValidationError, IntegrityError):
            # Somebody was quicker with this name, or the invitation has ended: nothing is written.
            logout(self.request)
            messages.error(self.request, "This did not work: open the link in the mail again.")
            return redirect("account_login")
        self.request.session.pop(INVITATION, None)
        messages.success(self.request, f"Welcome to {found.project}.")
        return redirect("overview", found.project.slug)
