"""Figures of the whole installation that cost next to nothing: no table is counted, however large it is."""

from collections.abc import Iterator

from django.db import connection
from django.utils import timezone

from securitygroups import stream
from securitygroups.models import (
    AccountEvent,
    Event,
    GroupRevision,
    MachineRevision,
    Project,
    Rule,
    SecurityGroup,
    StreamCursor,
    VirtualMachine,
)

Figure = tuple[str, str, str, dict[str, str], float]
"""counter or gauge, name, words, labels, value."""

RECORDS = {"activity": Event, "accounts": AccountEvent, "rules": GroupRevision, "machines": MachineRevision}
TABLES = {"projects": Project, "groups": SecurityGroup, "rules": Rule, "machines": VirtualMachine, "activity": Event}
MOST_CURSORS = 20


def gathered() -> Iterator[Figure]:
    yield from _written()
    yield from _rows()
    yield from _behind()


def _written() -> Iterator[Figure]:
    """The newest ID stands for how much was written: it is found at the end of an index."""
    words = "IDs given in a record, those of what was taken back among them: rules are commits of rules."
    for record, model in RECORDS.items():
        newest = model._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 0
        yield "counter", "karenpanel_record_ids", words, {"record": record}, newest


def _rows() -> Iterator[Figure]:
    words = "Rows of a table as PostgreSQL estimated them when it last looked; deleted groups and VMs among them."
    tables = {model._meta.db_table: name for name, model in TABLES.items()}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, reltuples FROM pg_class"
            " WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(%s) AND reltuples >= 0",
            [list(tables)],
        )
        for table, rows in sorted(cursor.fetchall()):
            yield "gauge", "karenpanel_rows_estimate", words, {"table": tables[table]}, rows


def _behind() -> Iterator[Figure]:
    """Of those who read the records from one end to the other, by the names that operators gave them."""
    words = (
        "Seconds since the oldest line was written that a reader of a record has not passed on; 0 where there is none."
    )
    for cursor in StreamCursor.objects.filter(name__startswith="forward:").order_by("name")[:MOST_CURSORS]:
        _, name, record = cursor.name.split(":", 2)
        since = stream.waiting_since(cursor.position, of=AccountEvent if record == "accounts" else Event)
        age = max(0.0, (timezone.now() - since).total_seconds()) if since else 0.0
        yield "gauge", "karenpanel_forward_behind_seconds", words, {"name": name, "record": record}, age
