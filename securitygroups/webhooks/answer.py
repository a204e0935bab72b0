"""What came of something that was sent."""

from dataclasses import dataclass

GONE = 410


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it: the `status` of the answer, or None and the `error` that kept one from coming, in a sentence."""

    status: int | None = None
    error: str = ""
    milliseconds: int = 0

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """The receiver says that it wants no more."""
        return self.status == GONE
