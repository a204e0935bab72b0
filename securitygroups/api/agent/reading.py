"""What agents send, read into values. A report that is not one is refused whole; what in it is only odd is cut or left out."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from securitygroups.api.agent.answers import Refused
from securitygroups.firewall.texts import visible
from securitygroups.firewall.values import Refused as NoAddress
from securitygroups.firewall.values import address_text, machine_address, parse_address
from securitygroups.models.hosts import MOST_ADDRESSES
from securitygroups.models.traffic import OLDEST
from securitygroups.operations import Counted, Report, SaidOfVm, Sample, Tap, to_mac
from securitygroups.signing.wire import KEY_BYTES, REPORT_BYTES, Malformed, decoded

FORMAT = "karenpanel-report/1"
MOST_VMS, MOST_TAPS, MOST_COUNTERS, MOST_SAMPLES = 10_000, 10_000, 50_000, 20_000
MOST_LINES, LONGEST_LINE, LONGEST_ERROR = 100, 500, 1_000
MOST = 2**63 - 1
_VM = re.compile(r"vm-[0-9a-f]{10}")
_TAP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_TAG = re.compile(r'(?:W/)?"?([0-9a-f]{64})"?')
_NUMBER = re.compile(r"(?:[A-Za-z0-9_-]{22})?")
_HASH = re.compile(r"[0-9a-f]{0,64}")
_WHAT = re.compile(r"[A-Za-z0-9_-]{1,20}")
_DIRECTION, _VERDICT = re.compile(r"in|out"), re.compile(r"drop|accept")
_CLOCKS = ("synchronised", "unsynchronised", "")


def read_enrolment(body: bytes) -> tuple[str, str, str]:
    """The secret, the agent's public key, and its version. Raises Refused."""
    sent = _object(_json(body), "")
    secret, key, agent = (_text(sent.get(name), name, 200) for name in ("token", "key", "agent"))
    try:
        decoded(key, KEY_BYTES)
    except Malformed:
        raise _odd("key", "a public key, 32 bytes in base64url") from None
    return secret, key, agent[:40]


def read_report(body: bytes) -> Report:
    """Raises Refused."""
    sent = _object(_json(body), "")
    if sent.get("format") != FORMAT:
        raise _odd("format", f"“{FORMAT}”: the agent and the panel are of different versions")
    samples, late = _samples(_list(sent.get("samples", []), "samples", MOST_SAMPLES))
    tag = _TAG.fullmatch(_text(sent.get("state", ""), "state", 100))
    clock = _text(sent.get("clock", ""), "clock", 100)
    taps = sent.get("taps")
    return Report(
        agent=_text(sent.get("agent", ""), "agent", 200)[:40],
        kernel=_text(sent.get("kernel", ""), "kernel", 200)[:100],
        state=tag[1] if tag else "",
        clock=clock if clock in _CLOCKS else "",
        number=_matching(_NUMBER, sent.get("number", ""), "number", f"{REPORT_BYTES} bytes in base64url, or nothing"),
        missed=min(_count(sent.get("missed", 0), "missed") + late, MOST),
        vms=[_said_of_vm(one, f"vms[{at}]") for at, one in enumerate(_list(sent.get("vms", []), "vms", MOST_VMS))],
        taps=None if taps is None else _taps(_list(taps, "taps", MOST_TAPS)),
        counters=list(_counters(_list(sent.get("counters", []), "counters", MOST_COUNTERS))),
        samples=samples,
    )


def _said_of_vm(value: Any, where: str) -> SaidOfVm:
    one = _object(value, where)
    drift = _list(one.get("drift", []), f"{where}.drift", 100_000)
    return SaidOfVm(
        id=_matching(_VM, one.get("id"), f"{where}.id", "a VM's ID"),
        vector=_vector(one.get("vector"), f"{where}.vector"),
        since=_moment(one.get("since", 0), f"{where}.since"),
        hash=_matching(_HASH, one.get("hash", ""), f"{where}.hash", "a SHA-256 in hexadecimal"),
        error=_line(_text(one.get("error", ""), f"{where}.error", MOST), LONGEST_ERROR),
        drift=tuple(_line(_text(line, f"{where}.drift", MOST), LONGEST_LINE) for line in drift[:MOST_LINES]),
        cut=min(_count(one.get("cut", 0), f"{where}.cut"), 2**31 - 1),
    )


def _vector(value: Any, where: str) -> dict[str, Any] | None:
    if value is None:
        return None
    one = _object(value, where)
    groups = []
    for pair in _list(one.get("groups"), f"{where}.groups", 1_000):
        public_id, revision = _row(pair, 2, f"{where}.groups")
        groups.append([_text(public_id, f"{where}.groups", 48), _count(revision, f"{where}.groups")])
    counted = {name: _count(one.get(name), f"{where}.{name}") for name in ("attached", "placement", "text")}
    return {**counted, "groups": groups}


def _taps(values: list[Any]) -> list[Tap]:
    """Each interface once: who says it first is right."""
    found: dict[str, Tap] = {}
    for at, value in enumerate(values):
        where = f"taps[{at}]"
        one = _object(value, where)
        tap = _matching(_TAP, one.get("tap"), f"{where}.tap", "the name of an interface")
        vm = _line(_text(one.get("vm"), f"{where}.vm", 1_000), 200)
        addresses = _list(one.get("addresses", []), f"{where}.addresses", 10_000)
        mac = _mac(_text(one.get("mac", ""), f"{where}.mac", 100))
        found.setdefault(tap, Tap(tap, vm, mac, tuple(_addresses(addresses, f"{where}.addresses"))))
    return list(found.values())


def _mac(text: str) -> str:
    try:
        return to_mac(text)
    except ValidationError:
        return ""


def _addresses(values: list[Any], where: str) -> list[str]:
    """Those by which a VM can be reached: what is only good on its link is in every list anyway."""
    found: dict[str, None] = {}
    for value in values[: 4 * MOST_ADDRESSES]:
        text = _text(value, where, 100).partition("/")[0]
        try:
            found[machine_address(text, 6 if ":" in text else 4)] = None
        except NoAddress:
            continue
    return sorted(found, key=lambda one: (":" in one, one))[:MOST_ADDRESSES]


def _counters(values: list[Any]) -> Iterator[Counted]:
    for at, value in enumerate(values):
        where = f"counters[{at}]"
        vm, kind, what, packets, size = _row(value, 5, where)
        if kind not in ("rule", "in", "out"):
            raise _odd(where, "[VM, “rule”, “in” or “out”, what, packets, bytes]")
        yield Counted(
            _matching(_VM, vm, where, "a VM's ID"),
            kind,
            _matching(_WHAT, what, where, "a rule's ID or a line's name"),
            _count(packets, where),
            _count(size, where),
        )


def _samples(values: list[Any]) -> tuple[list[Sample], int]:
    """And how many packets those are of which nothing is kept, for they are too old."""
    oldest = timezone.now() - OLDEST
    found = [_sample(_object(value, f"samples[{at}]"), f"samples[{at}]") for at, value in enumerate(values)]
    return [one for one in found if one.at >= oldest], sum(one.times for one in found if one.at < oldest)


def _sample(one: Mapping[str, Any], where: str) -> Sample:
    version = _number(one.get("version"), f"{where}.version", 255)
    if version not in (None, 4, 6):
        raise _odd(f"{where}.version", "4, 6 or null")
    verdict, rule = one.get("verdict"), one.get("rule", "")
    return Sample(
        vm=_matching(_VM, one.get("vm"), f"{where}.vm", "a VM's ID"),
        at=_moment(one.get("at"), f"{where}.at") or datetime(1970, 1, 1, tzinfo=UTC),
        direction=_matching(_DIRECTION, one.get("direction"), f"{where}.direction", "“in” or “out”"),
        verdict=_matching(_VERDICT, verdict, f"{where}.verdict", "“drop” or “accept”"),
        reason=_matching(_WHAT, one.get("reason"), f"{where}.reason", "a word"),
        rule=_matching(_WHAT, rule, f"{where}.rule", "a rule's ID") if rule != "" else "",
        vector=_vector(one.get("vector"), f"{where}.vector"),
        version=version,
        protocol=_number(one.get("protocol"), f"{where}.protocol", 255),
        source=_end(one.get("source", ""), f"{where}.source", version),
        destination=_end(one.get("destination", ""), f"{where}.destination", version),
        source_port=_number(one.get("source_port"), f"{where}.source_port", 65535),
        port=_number(one.get("port"), f"{where}.port", 65535),
        kind=_number(one.get("kind"), f"{where}.kind", 255),
        times=_times(one.get("times"), f"{where}.times"),
    )


def _times(value: Any, where: str) -> int:
    if not (number := _count(value, where)):
        raise _odd(where, "a whole number from 1")
    return number


def _number(value: Any, where: str, most: int) -> int | None:
    if value is None:
        return None
    if (number := _count(value, where)) > most:
        raise _odd(where, f"a whole number from 0 to {most}, or null")
    return number


def _end(value: Any, where: str, version: int | None) -> str:
    """An address of a packet, "" where it is none of its family."""
    try:
        found, number = parse_address(_text(value, where, 100))
    except NoAddress:
        return ""
    return address_text(found, number) if found == version else ""


# ── What is in JSON ───────────────────────────────────────────────────────────


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("unreadable", "The body is no JSON.") from None


def _odd(where: str, wanted: str) -> Refused:
    return Refused("invalid", f"{where or 'The body'}: this has to be {wanted}.")


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _odd(where, "an object")
    return value


def _list(value: Any, where: str, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise _odd(where, f"a list of {most:,} at most")
    return value


def _row(value: Any, length: int, where: str) -> list[Any]:
    if not isinstance(value, list) or len(value) != length:
        raise _odd(where, f"a list of {length}")
    return value


def _text(value: Any, where: str, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise _odd(where, f"a text of {longest:,} letters at most")
    # Half a character of UTF-16 can be written in JSON, and in no text of a database.
    return visible(value.encode("utf-8", "replace").decode())


def _matching(pattern: re.Pattern[str], value: Any, where: str, wanted: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _odd(where, wanted)
    return value


def _count(value: Any, where: str) -> int:
    # Not isinstance: JSON's true is an int to Python.
    if type(value) is not int or not 0 <= value <= MOST:
        raise _odd(where, "a whole number from 0")
    return value


def _moment(value: Any, where: str) -> datetime | None:
    """Unix seconds, 0 for none; never later than now, whatever clock the host has."""
    seconds = _count(value, where)
    now = timezone.now()
    if not seconds:
        return None
    return min(now, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=min(seconds, int(now.timestamp()) + 1)))


def _line(text: str, longest: int) -> str:
    """One line, as short as it is kept."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
