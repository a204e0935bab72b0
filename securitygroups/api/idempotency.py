"""Idempotency-Key: a creation that is sent again, because nobody heard the answer, is answered as the first time.

The note of it is written in the transaction of the creation itself, into the table that counts are in: either both are there
or neither. A second one at the same time waits for the first.
"""

import json
from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from typing import Any, TypedDict

from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from securitygroups.api.problems import Refusal

KEPT = 24 * 60 * 60
"""Seconds in which the key is known."""
LONGEST = 255


class _Answer(TypedDict):
    sent: str
    status: int
    body: str
    etag: str


def once(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **parts: Any) -> HttpResponse:
        key = request.headers.get("Idempotency-Key", "")
        if not key or parts.get("dry_run"):
            return view(request, *args, **parts)
        if len(key) > LONGEST:
            raise Refusal("invalid", f"An Idempotency-Key has {LONGEST} characters at most.")
        with transaction.atomic():
            return _first_or_again(request, key, lambda: view(request, *args, **parts))

    # Its operation says in the schema that it takes the key.
    answered.once = True  # type: ignore[attr-defined]
    return answered


def _first_or_again(request: HttpRequest, key: str, make: Callable[[], HttpResponse]) -> HttpResponse:
    name, sent = _name(request, key), sha256(request.body).hexdigest()
    # The row is locked until the transaction ends: whoever sends the same at the same time waits here.
    if cache.add(name, {"sent": sent, "status": 0}, KEPT):
        response = make()
        answer: _Answer = {
            "sent": sent,
            "status": response.status_code,
            "body": response.content.decode(),
            "etag": response.get("ETag", ""),
        }
        cache.set(name, answer, KEPT)
        return response
    known: _Answer = cache.get(name)
    if known["sent"] != sent:
        raise Refusal(
            "key-used", "This Idempotency-Key came with something else before: take a new one for each creation."
        )
    response = HttpResponse(known["body"], status=known["status"], content_type="application/json")
    response["Idempotent-Replayed"] = "true"
    if known["etag"]:
        response["ETag"] = known["etag"]
    return response


def _name(request: HttpRequest, key: str) -> str:
    about = json.dumps([request.token.pk, request.method, request.path_info, key])  # type: ignore[attr-defined]
    return f"idempotent:{sha256(about.encode()).hexdigest()}"
