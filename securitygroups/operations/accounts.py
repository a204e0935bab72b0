"""The record of accounts: the one door by which it is written, and each line in the log too."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from securitygroups.models import AccountEvent, Project, User
from securitygroups.operations.by import By

logger = structlog.get_logger()

Verb = AccountEvent.Verb


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request came from: the address of the browser or program, and the name that it gives itself."""

    address: str | None = None
    agent: str = ""


NOWHERE = Client()
"""For what happens without a request, such as a command."""


def note(
    verb: AccountEvent.Verb,
    *,
    user: User | None = None,
    by: By | None = None,
    client: Client = NOWHERE,
    project: Project | None = None,
    **detail: Any,
) -> AccountEvent:
    """Put one line on the record of accounts and into the log.

    `user` is the account that it is about, `by` who did it where that was somebody else. `detail` is kept as JSON: no
    secrets, and of what an unknown person typed nothing.
    """
    other = by if by and by.user != user else None
    event = AccountEvent.objects.create(
        verb=verb,
        user=user,
        user_name=user.get_username() if user else "",
        actor=other.user if other else None,
        actor_name=other.name if other else "",
        project=project,
        address=client.address,
        # A header is whatever bytes were sent, and PostgreSQL has no NUL in a text.
        agent=client.agent.replace("\0", "")[:200],
        detail=detail,
    )
    logger.info(
        "account",
        verb=str(verb),
        user=event.user_name,
        actor=event.actor_name,
        project=project.slug if project else "",
        address=client.address,
        **{f"about_{key}": value for key, value in detail.items()},
    )
    return event


REFUSALS_EACH = timedelta(minutes=1)
"""A person who is refused at one project again and again fills the log, and not the record."""


def note_refusal(*, user: User, project: Project | None, client: Client, **detail: Any) -> None:
    """Somebody asked for what is not theirs. Each time is in the log, the first of each minute and project on record.

    Where `project` is None there is nothing that the person could have meant. Then the same is done, and taken back: how
    long an answer takes must not tell what exists. Where the database fails, the log says so alone: nothing was shown, and
    the answer must be the one of what does not exist.
    """
    try:
        _note_refusal(user, project, client, detail)
    except DatabaseError:
        logger.exception("refusal not on record", user=user.get_username(), **detail)


@transaction.atomic
def _note_refusal(user: User, project: Project | None, client: Client, detail: Mapping[str, Any]) -> None:
    with connection.cursor() as cursor:
        # A commit that waits for the disk would tell. What a crash of the server loses of the last moment is in the log.
        cursor.execute("SET LOCAL synchronous_commit TO off")
    # Two requests at once would both be the first of the minute.
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    before = AccountEvent.objects.filter(user=user, verb=Verb.ACCESS_REFUSED, project=project)
    lately = before.filter(at__gt=timezone.now() - REFUSALS_EACH).exists()
    note(Verb.ACCESS_REFUSED, user=user, client=client, project=project, **detail)
    if lately or project is None:
        transaction.set_rollback(True)
