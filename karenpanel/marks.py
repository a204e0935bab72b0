"""The mark of a form: which answer it came with, and for whom it was drawn, signed.

Every form that a signed-in person is shown carries one beside the token of its session. The token changes when somebody
signs in again; the mark still says that the form is ours, and whose.
"""

import secrets

from django.core.signing import BadSignature, Signer
from django.http import HttpRequest

FIELD = "once"
TOKEN = "csrfmiddlewaretoken"  # noqa: S105 (the name of a field)


def _signer() -> Signer:
    # Made when it is asked for: settings without a key are refused in words, and not by this import.
    return Signer(salt="karenpanel.marks")


def mark(request: HttpRequest) -> str:
    """The mark of the forms of this answer; empty for who is not signed in."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return ""
    if not hasattr(request, "_mark"):
        request._mark = _signer().sign(f"{secrets.token_urlsafe(9)}:{user.pk}")  # type: ignore[attr-defined]
    return str(request._mark)  # type: ignore[attr-defined]


def drawn_for(text: str) -> int | None:
    """The key of the person whom the form was drawn for; None where the mark is not ours."""
    try:
        return int(_signer().unsign(text).rpartition(":")[2])
    except (BadSignature, ValueError):
        return None
