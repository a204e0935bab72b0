"""How far those have come who read the records from one end to the other."""

from django.db import models
from django.db.models import Q


class StreamCursor(models.Model):
    """Up to which line a reader has passed a record on. In this database and not beside the reader: what is restored to an
    earlier day has the reader's place of that day."""

    name = models.CharField(max_length=80, unique=True)
    # An id of the record, 0 before the first; no reference, for numbers of lines that were taken back are passed too.
    position = models.BigIntegerField(default=0)
    at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        constraints = [models.CheckConstraint(condition=Q(position__gte=0), name="stream_cursor_from_0")]

    def __str__(self) -> str:
        return f"{self.name} at {self.position}"
