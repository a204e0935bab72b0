"""API tokens: a person's own, and those of a project, which are service accounts."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from karenpanel.sent_again import draws_again, goes_back
from securitygroups import operations
from securitygroups.access import find_token
from securitygroups.firewall.values import whole_number
from securitygroups.forms import TokenForm, as_typed, take_refusal
from securitygroups.models import ApiToken, Project, TokenQuerySet, User
from securitygroups.operations import MOST_TOKENS, By, NewToken
from securitygroups.web.doors import client, enter, shown_again
from securitygroups.web.pages import FORM_INVALID, numbered, page_or_form, sent

OFFERED = 200
"""Projects that a person's own token can be limited to, of those they are a member of."""
MADE = 201
TRY = "/api/v1/projects"
"""What a new token is tried with."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose tokens a page is about: the person's own, or of the `project` whose owner they are."""

    user: User
    project: Project | None

    @property
    def tokens(self) -> TokenQuerySet:
        own = {"project": self.project} if self.project else {"project": None, "user": self.user}
        return ApiToken.objects.filter(**own).select_related("user", "revoked_by").prefetch_related("projects")

    def url(self, name: str, *args: object) -> str:
        return reverse(name, args=[self.project.slug, *args]) if self.project else reverse(f"own_{name}", args=args)

    def context(self) -> dict[str, Any]:
        return {"holder": self, "list_url": self.url("tokens"), "new_url": self.url("token_new")}


def _holder(request: HttpRequest, slug: str | None) -> Holder:
    """Owners alone see a project's: what they are called and where they come from is a map of who automates what."""
    if slug is not None:
        access = enter(request, slug, own=True)
        return Holder(access.user, access.project)
    if not isinstance(request.user, User):
        raise Http404
    return Holder(request.user, None)


@require_safe
def tokens(request: HttpRequest, slug: str | None = None) -> HttpResponse:
    """The good ones, and below them those that open nothing any more."""
    holder = _holder(request, slug)
    good = list(holder.tokens.good())
    made = whole_number(request.GET.get("made", ""), 2**62)
    context = {
        "good": good,
        "page": numbered(request, holder.tokens.ended()),
        "most": MOST_TOKENS,
        # Where a second click on Make Token comes to: the first answer, with the secret, was seen by nobody.
        "unseen": next((token for token in good if token.pk == made), None),
        **holder.context(),
    }
    return render(request, "securitygroups/tokens/list.html", context)


@draws_again
@page_or_form
def token_new(request: HttpRequest, slug: str | None = None) -> HttpResponse:
    """The form, and in answer to it the secret."""
    holder = _holder(request, slug)
    # Before it is filled in, too: nobody should have to do that twice.
    shown_again(request)
    form = _form(request, holder)
    if goes_back(request):
        form = as_typed(form)
    elif request.method == "POST" and form.is_valid():
        try:
            token, secret = _make(request, holder, form)
        except ValidationError as refusal:
            take_refusal(form, refusal)
        else:
            return _made(request, holder, token, secret)
    status = FORM_INVALID if sent(request) else 200
    return render(request, "securitygroups/tokens/new.html", {"form": form, **holder.context()}, status=status)


def _form(request: HttpRequest, holder: Holder) -> TokenForm:
    projects = None if holder.project else list(Project.objects.visible_to(holder.user)[:OFFERED])
    return TokenForm(
        request.POST if request.method == "POST" else None,
        projects=projects,
        strong=request.strong,  # type: ignore[attr-defined]
        others=list(holder.tokens.good()),
    )


def _make(request: HttpRequest, holder: Holder, form: TokenForm) -> tuple[ApiToken, str]:
    said = form.cleaned_data
    new = NewToken(
        name=said["name"],
        scopes=said["scopes"],
        expires_at=form.expires_at(),
        projects=said.get("projects", ()),
        networks=said["networks"],
        strong=request.strong,  # type: ignore[attr-defined]
    )
    return operations.make_token(new=new, project=holder.project, by=By(holder.user), client=client(request))


def _made(request: HttpRequest, holder: Holder, token: ApiToken, secret: str) -> HttpResponse:
    """The only page that has the secret. It is the answer to the form and has no address of its own: what redirects to
    one would have to keep the secret somewhere on the way. Whoever sends the form again is led to the list."""
    context = {"token": token, "secret": secret, "try": request.build_absolute_uri(TRY), **holder.context()}
    response = render(request, "securitygroups/tokens/made.html", context, status=MADE)
    response["Location"] = f"{holder.url('tokens')}?made={token.pk}"
    return response


@page_or_form
def token_revoke(request: HttpRequest, pk: int, slug: str | None = None) -> HttpResponse:
    """Nobody is asked who they are for this: a token that was lost is revoked at once."""
    holder = _holder(request, slug)
    token = find_token(request.access, pk) if slug else get_object_or_404(holder.tokens, pk=pk)  # type: ignore[attr-defined]
    if request.method != "POST":
        return render(request, "securitygroups/tokens/revoke.html", {"token": token, **holder.context()})
    operations.revoke_token(token=token, by=By(holder.user), client=client(request))
    messages.success(request, f"The token “{token.name}” opens nothing any more.")
    return redirect(holder.url("tokens"))
