"""Logs as JSON lines, each with the id of the request it belongs to, and none with a secret.

JSON is what keeps a line one line: newlines, terminal escapes and all that is not ASCII are escaped in it.
"""

import logging
import re
import time
from collections.abc import Mapping
from typing import Any

import structlog

HIDDEN = "[hidden]"

# A slash or the like in an address, or in an address that another one carries, such as ?next=%2Finvitation%2F…
_SLASH, _AND = r"(?:/|%(?:25)*2F)", r"(?:[?&;#]|%(?:25)*(?:3F|26|3B|23))"
_IS = r"(?:=|%(?:25)*3D)"
# What ends a piece of an address. Whatever else stands there may belong to the secret, and goes with it.
_PIECE = r"[^/?&;#=\s\"'<>\\]+"
_LINKS = re.compile(
    rf"({_SLASH}(?:invitation|confirm-email|account{_SLASH}address|password{_SLASH}new|reset{_SLASH}key){_SLASH}){_PIECE}",
    re.IGNORECASE,
)
_PARAMETERS = re.compile(
    rf"({_AND}(?:code|state|key|password|[a-z_]*(?:token|secret)|session_state){_IS}){_PIECE}", re.IGNORECASE
)
# An API token, wherever it stands: its beginning is what makes one known (operations/tokens.py).
_TOKENS = re.compile(r"\bkp_[A-Za-z0-9]{16,}")
_SECRET_NAMES = re.compile(r"passw|secret|token|cookie|authorization|credential|session_key|digest", re.IGNORECASE)


def redacted(text: str) -> str:
    """The text without what lets whoever reads it in: links of invitations and for new passwords, codes and tokens."""
    return _TOKENS.sub(HIDDEN, _PARAMETERS.sub(rf"\1{HIDDEN}", _LINKS.sub(rf"\1{HIDDEN}", text)))


def _redacted(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {
            redacted(str(name)): HIDDEN if _SECRET_NAMES.search(str(name)) else _redacted(each)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(each) for each in value]
    # Whatever else is there is logged as its text: a request says its address there.
    return redacted(str(value))


def without_secrets(logger: Any, method: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """The last look at a line, tracebacks included: nothing that is a secret by its name or its place is in it."""
    line: dict[str, Any] = _redacted(event)
    return line


class Calm(logging.Filter):
    """Of answers with 503 one line a second, with the reason in one line, and how many others there were since the last."""

    def __init__(self) -> None:
        super().__init__()
        self._last, self._others = float("-inf"), 0

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", None) != 503:
            return True
        now = time.monotonic()
        if now - self._last < 1:
            self._others += 1
            return False
        if record.exc_info and (error := record.exc_info[1]):
            record.msg, record.args = f"{record.getMessage()} ({type(error).__name__}: {error})", ()
            record.exc_info = None
        if self._others:
            record.msg, record.args = f"{record.getMessage()} and {self._others} other requests", ()
        self._last, self._others = now, 0
        return True


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
PRE_CHAIN: list[Any] = [*_SHARED, structlog.stdlib.ExtraAdder(allow=["status_code"])]
PROCESSORS: list[Any] = [
    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
    structlog.processors.format_exc_info,
    without_secrets,
    structlog.processors.JSONRenderer(),
]
structlog.configure(
    processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
