"""Tokens for programs: made, shown once, used, revoked."""

import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from securitygroups.firewall.values import Refused, parse_network
from securitygroups.models import MOST_NETWORKS, MOST_PROJECTS, AccountEvent, ApiToken, Project, Scope, User
from securitygroups.operations import notices
from securitygroups.operations.accounts import NOWHERE, Client, note
from securitygroups.operations.by import By
from securitygroups.operations.invitations import digest_of
from securitygroups.operations.projects import still_manages
from securitygroups.operations.records import Verb, lock_project, record

PREFIX = "kp_"
"""By which programs that look for secrets in repositories know one."""
MOST_TOKENS = 50
"""Good ones, of one person and of one project."""
LONGEST_DAYS = 366
NOTED_EACH = timedelta(minutes=1)
"""A token's last use is not written with each request."""

_LETTERS = string.ascii_letters + string.digits
_LENGTH = 43  # of 62 letters each: 256 bits


@dataclass(frozen=True, slots=True)
class NewToken:
    """What somebody asks for. `projects` limits a person's own, and is empty for a project's; `networks` are written as
    addresses or networks, none for everywhere; `strong` says whether it is made in a session with a second factor."""

    name: str
    scopes: Sequence[str]
    expires_at: datetime | None
    projects: Sequence[Project] = ()
    networks: Sequence[str] = ()
    strong: bool = False


def make_token(*, new: NewToken, project: Project | None, by: By, client: Client = NOWHERE) -> tuple[ApiToken, str]:
    """A token and its secret, which nobody can find out again: of the `project`, whose owner makes it, or where there is
    none of the person. Raises ValidationError at its field, PermissionDenied."""
    if by.user is None or by.token is not None:
        raise PermissionDenied("A token is made by a person, on its page.")
    secret = PREFIX + "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    with transaction.atomic():
        if project is not None:
            project = lock_project(project)
            still_manages(project, by)
        token = ApiToken(
            name=new.name,
            digest=digest_of(secret),
            ending=secret[-4:],
            user=by.user,
            project=project,
            scopes=[scope for scope in Scope.values if scope in new.scopes],
            networks=_networks(new.networks),
            strong=new.strong,
            expires_at=new.expires_at,
        )
        _check(token, new)
        token.save()
        token.projects.set(new.projects)
        _on_record(token, "Made", by, client)
    return token, secret


def _check(token: ApiToken, new: NewToken) -> None:
    token.clean_fields(exclude=["user", "project", "used_at", "used_from", "revoked_at", "revoked_by"])
    now = timezone.now()
    if token.expires_at is not None and not now < token.expires_at <= now + timedelta(days=LONGEST_DAYS):
        raise ValidationError({"expires_at": f"Choose a day from tomorrow up to {LONGEST_DAYS} days from now."})
    if len(new.projects) > MOST_PROJECTS:
        raise ValidationError({"projects": f"Choose {MOST_PROJECTS} projects at most, or none for all of yours."})
    mine = ApiToken.objects.good().filter(project=token.project)
    if token.project is None:
        # Under a lock: who makes two at once cannot have one too many.
        User.objects.select_for_update(no_key=True).get(pk=token.user_id)
        mine = mine.filter(user=token.user_id)
    if mine.count() >= MOST_TOKENS:
        raise ValidationError(f"There are {MOST_TOKENS} tokens already: revoke one that is not used.", code="quota")


def _networks(texts: Sequence[str]) -> list[str]:
    """Written in one way, each once. Raises ValidationError, which names the one that is none."""
    if len(texts) > MOST_NETWORKS:
        raise ValidationError({"networks": f"Write {MOST_NETWORKS} networks at most: these are {len(texts)}."})
    found = []
    for line, text in enumerate(texts, 1):
        try:
            found.append(str(parse_network(text)))
        except Refused as refused:
            raise ValidationError({"networks": f"Line {line}: {refused.problem.message}"}) from None
    return list(dict.fromkeys(found))


@transaction.atomic
def revoke_token(*, token: ApiToken, by: By, client: Client = NOWHERE) -> None:
    """From now on it opens nothing; twice is the same. Raises PermissionDenied."""
    if token.project is not None:
        still_manages(lock_project(token.project), by)
    locked = ApiToken.objects.select_for_update(no_key=True).get(pk=token.pk)
    if locked.revoked_at is None:
        locked.revoked_at, locked.revoked_by = timezone.now(), by.user
        locked.save(update_fields=["revoked_at", "revoked_by"])
        _on_record(locked, "Revoked", by, client)


def is_within(address: str, networks: Sequence[str]) -> bool:
    """Whether somebody is connected from one of these networks."""
    try:
        here = ip_address(address)
    except ValueError:
        return False
    return any(here in ip_network(network) for network in networks)


def note_use(token: ApiToken, address: str) -> None:
    """When and from where it was last used, to a minute."""
    now = timezone.now()
    if token.used_at is None or now - token.used_at >= NOTED_EACH or (token.used_from or "") != address:
        ApiToken.objects.filter(pk=token.pk).update(used_at=now, used_from=address or None)


def _on_record(token: ApiToken, what: str, by: By, client: Client) -> None:
    words = f"{what} the API token “{token.name}”"
    detail: dict[str, Any] = {"token": token.pk, "ending": token.ending, "scopes": list(token.scopes)}
    if token.project is not None:
        verb = Verb.TOKEN_MADE if what == "Made" else Verb.TOKEN_REVOKED
        record(token.project, verb, f"{words}: {token.may}.", by=by, detail=detail)
    else:
        kind = AccountEvent.Verb.TOKEN_MADE if what == "Made" else AccountEvent.Verb.TOKEN_REVOKED
        why: dict[str, Any] = {"reason": by.reason} if by.reason else {}
        note(kind, user=token.user, by=by, client=client, name=token.name, **detail, **why)
        if what == "Made":
            notices.token_made(token, client)
