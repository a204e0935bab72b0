"""How a program's request comes in: who it is, into which project, with which scope; and what it says with a change."""

from collections.abc import Callable
from inspect import cleandoc
from typing import Any

from django.http import HttpRequest
from ninja import Router
from ninja.security import HttpBearer

from karenpanel.client_address import address_of
from securitygroups.access import Access, Right, open_by_token
from securitygroups.api.parameters import IDEMPOTENCY_KEY, IF_MATCH
from securitygroups.api.problems import Refusal
from securitygroups.firewall.values import whole_number
from securitygroups.models import ApiToken, Scope
from securitygroups.operations import By
from securitygroups.said import MOST_REVISIONS, NO_REVISION, Said

View = Callable[..., Any]


class Token(HttpBearer):
    """Before anything of the request is read: has the token the scope, and may its person come into the project that the
    address names, with this right there? Who the token is, the gate has looked up."""

    openapi_scheme = "bearer"
    openapi_bearerFormat = "kp_…"  # noqa: N815

    def __init__(self, scope: Scope, right: Right) -> None:
        super().__init__()
        self.scope, self.right = scope, right

    def __call__(self, request: HttpRequest) -> ApiToken | None:
        token: ApiToken | None = getattr(request, "token", None)
        if token is not None and request.resolver_match is not None:
            enter(request, token, request.resolver_match.kwargs.get("project"), self)
        return token

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        raise NotImplementedError


def operation(
    router: Router, method: str, path: str, scope: Scope, *, right: Right = Right.LOOK, gives: Any = None, **more: Any
) -> Callable[[View], View]:
    """Puts a view at this address of the router. The token needs the scope, and where the path names a project, its person
    the right there. `gives` is what is answered with 200, or what for each status; `extra` goes into the schema, and so does
    that it is `based` on the revision in If-Match."""
    answers = gives if isinstance(gives, dict) else {200: gives}
    extra, based = more.pop("extra", {}), more.pop("based", False)

    def put(view: View) -> View:
        headers = [IF_MATCH] * based + [IDEMPOTENCY_KEY] * hasattr(view, "once")
        summary, _, rest = cleandoc(view.__doc__ or "").partition("\n\n")
        router.api_operation(
            [method],
            path,
            auth=Token(scope, right),
            response=answers,
            operation_id=view.__name__,
            url_name=view.__name__,
            summary=" ".join(summary.split()).rstrip("."),
            description=rest or None,
            openapi_extra=extra | {"parameters": headers, "x-scope": scope.value, "x-right": right.value},
            **more,
        )(view)
        return view

    return put


def enter(request: HttpRequest, token: ApiToken, slug: str | None, needs: Token) -> None:
    """Let the program into the project, if the address names one. Raises what access raises, and Refusal."""
    if slug is not None:
        # Before the scope is asked for: nobody learns what exists by what they may not do.
        request.access = access = open_by_token(token, slug)  # type: ignore[attr-defined]
        access.require(needs.right)
    if needs.scope not in token.scopes:
        has, scope = ", ".join(token.scopes), needs.scope.value
        raise Refusal("forbidden", f"This token has the scopes {has}, and this needs {scope}.", scope=scope)


def access_of(request: HttpRequest) -> Access:
    access: Access = request.access  # type: ignore[attr-defined]
    return access


def by(request: HttpRequest, reason: str = "") -> By:
    """Who makes the change, and by which token."""
    token: ApiToken = request.token  # type: ignore[attr-defined]
    return By(token.user, reason=" ".join(reason.split()), token=token)


def said(request: HttpRequest, token: str, base: int, confirm: str) -> Said:
    """What a program says with the change whose proposal has this token: it was not shown a form, and has looked at what it
    confirms. A token that may skip alarms confirms all of them."""
    skips = Scope.UNASKED in request.token.scopes  # type: ignore[attr-defined]
    return Said(base=base, seen=token, sure=token if skips else confirm, address=address_of(request))


def base_of(request: HttpRequest) -> int:
    """The revision in If-Match. Raises Refusal where there is none."""
    text = request.headers.get("If-Match", "").strip()
    if not text:
        raise Refusal(
            "no-base", 'Send If-Match with the revision that you changed, such as If-Match: "12" – it is the ETag.'
        )
    # A compressed answer had a weak ETag.
    number = whole_number(text.removeprefix("W/").strip('"'), MOST_REVISIONS)
    return NO_REVISION if number is None else number


def etag(revision: int) -> str:
    return f'"{revision}"'
