"""JSON of many programs as rows: lines of objects, arrays, and documents of many records, read as streams."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from securitygroups.firewall.flows.batch import Batch
from securitygroups.firewall.flows.columns import NAMES, Traits, bare, traits_of
from securitygroups.firewall.flows.entries import COLUMNS, LINES, Row, row_of, table_of
from securitygroups.firewall.flows.json_stream import JsonStream
from securitygroups.firewall.flows.openers import MAYBE, OPENS, REPLIES, Skip
from securitygroups.firewall.flows.rows import Rows
from securitygroups.firewall.flows.spellings import portless
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.lines.pasted import parse_line

_BLOCK = 8192
_DEPTH, _DEEPER = 4, 1000
_MOST_PARTS = 16
"""Of a name with dots: what stands before the last of them says nothing of a flow."""
_MOST_KNOWN = 1000
_LINES = ("message", "@message", "MESSAGE", "log", "_raw", "textPayload", "line", "msg")
"""Keys of a text that is itself a line of a log, as shippers of logs and the journal keep it."""
_WRAPPED = ("_source", "result", "json", "event", "_json")
_MANY = (
    "records",
    "Records",
    "events",
    "hits",
    "logs",
    "entries",
    "flows",
    "results",
    "rows",
    "data",
    "value",
    "Items",
    "logEvents",
    "flow_logs",
)
_WITH_PORTS = {"6", "17", "132", "tcp", "udp", "sctp"}
_ROLE = {OPENS: str(OPENS), MAYBE: str(MAYBE), REPLIES: str(REPLIES)}
_OF_SOURCE = {True: _ROLE[OPENS], False: _ROLE[MAYBE]}
"""The role of a record, by whether the source of each is who began."""
_OF_PACKETS = ("alert", "drop")
_SURICATA = {"flow", "netflow", *_OF_PACKETS}

Record = Mapping[str, Any]
Found = list[Row] | Skip


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool | dict | list):
        return ""
    return str(value)


def _row(fields: Mapping[str, Any], role: int) -> Row:
    return *(_text(fields.get(name)) for name in COLUMNS[:-1]), _ROLE[role]


def _azure_tuple(text: Any, *, decided: bool) -> Row | None:
    """One tuple of an NSG's flow log (which tells a decision), or of a virtual network's."""
    parts = str(text).split(",")
    if len(parts) < 8:
        return None
    start, source, destination, source_port, port, protocol, direction, said = parts[:8]
    if not decided:
        # Denied, else a flow's state: begun, continued or ended.
        said = "D" if said == "D" else "A"
    return protocol, source, destination, port, source_port, direction, start, "", said, "", _ROLE[OPENS]


def _azure(record: Record) -> Found | None:
    properties = record.get("properties")
    if isinstance(record.get("flowRecords"), dict):
        flows, inner, decided = record["flowRecords"].get("flows"), "flowGroups", False
    elif isinstance(properties, dict) and isinstance(properties.get("flows"), list):
        flows, inner, decided = properties["flows"], "flows", True
    else:
        return None
    texts = [
        text for flow in _dicts(flows) for group in _dicts(flow.get(inner)) for text in _list(group.get("flowTuples"))
    ]
    rows = [_azure_tuple(text, decided=decided) for text in texts]
    return [row for row in rows if row is not None]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in _list(value) if isinstance(item, dict)]


def _gcp(record: Record) -> Found | None:
    payload = record.get("jsonPayload", record.get("json_payload", record))
    connection = payload.get("connection") if isinstance(payload, dict) else None
    if not isinstance(connection, dict) or ("src_ip" not in connection and "srcIp" not in connection):
        return None
    told = {bare(name): value for name, value in connection.items()}
    decided = payload.get("disposition")
    fields = {
        "protocol": told.get("protocol"),
        "source": told.get("srcip"),
        "destination": told.get("destip"),
        "source_port": told.get("srcport"),
        "port": told.get("destport"),
        "direction": _dict(payload.get("rule_details", payload.get("ruleDetails"))).get(
            "direction", payload.get("reporter")
        ),
        "start": payload.get("start_time", payload.get("startTime", record.get("timestamp"))),
        "said": decided,
    }
    return [_row(fields, OPENS if decided else MAYBE)]


def _dict(value: Any) -> Record:
    return value if isinstance(value, dict) else {}


def _of_fields(fields: list[Any]) -> dict[str, Any]:
    """A row of CloudWatch's Insights: a list of names and values."""
    pairs = [one for one in _dicts(fields) if isinstance(one.get("field"), str)]
    return {one["field"]: one.get("value") for one in pairs}


def _inner_event(record: Record) -> Record:
    """Suricata's own event where another program keeps it within one of its own."""
    for outer in (record, _dict(record.get("suricata"))):
        for key in ("event", "eve"):
            inner = outer.get(key)
            if isinstance(inner, dict) and isinstance(inner.get("event_type"), str) and "src_ip" in inner:
                return inner
    return record


def _suricata(record: Record) -> Found | None:
    kind = record.get("event_type")
    if not isinstance(kind, str) or ("src_ip" not in record and kind not in record):
        return None
    if kind not in _SURICATA or "src_ip" not in record:
        return Skip.OTHER
    flow = _dict(record.get("flow"))
    # The flow's own ends are those of who began; an alert's are those of one packet.
    begun = flow if kind in _OF_PACKETS and "src_ip" in flow else record
    if kind == "drop" and _in_the_middle(_dict(record.get("drop"))):
        return Skip.MIDDLE
    fields = {
        "protocol": record.get("proto"),
        "source": begun.get("src_ip"),
        "destination": begun.get("dest_ip"),
        "source_port": begun.get("src_port"),
        "port": begun.get("dest_port"),
        "start": flow.get("start") or record.get("timestamp"),
        "said": _suricata_said(record, flow),
        "icmp_type": record.get("icmp_type"),
    }
    return [_row(fields, _suricata_role(record) if begun is record else OPENS)]


def _in_the_middle(dropped: Record) -> bool:
    """Whether a packet of TCP that was dropped opens no connection."""
    return "syn" in dropped and (not dropped["syn"] or bool(dropped.get("ack")))


def _suricata_role(record: Record) -> int:
    if record["event_type"] in _OF_PACKETS and "direction" in record:
        return REPLIES if record["direction"] == "to_client" else OPENS
    # Of a packet without a direction nothing says who sent the first one; a drop of one was that of a SYN.
    return OPENS if record["event_type"] == "flow" or "syn" in _dict(record.get("drop")) else MAYBE


def _suricata_said(record: Record, flow: Record) -> str:
    if record.get("event_type") == "drop":
        return "drop"
    for inner, key in (("verdict", "action"), ("alert", "action")):
        told = record.get(inner)
        if isinstance(told, dict) and told.get(key):
            return _text(told[key])
    return _text(flow.get("action"))


def _flat(record: Record, depth: int = _DEPTH) -> dict[str, Any]:
    """The record without nesting: keys with dots, lists of one as that one."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        one = value[0] if isinstance(value, list) and len(value) == 1 else value
        if isinstance(one, dict) and depth:
            flat |= {f"{name}.{key}": inner for key, inner in _flat(one, depth - 1).items()}
        else:
            flat[name] = one
    return flat


def _plain(record: Record) -> Record:
    """Without nesting, and without what says nothing, which must not stand before another key that does."""
    flat = _flat(record) if any(isinstance(value, dict | list) for value in record.values()) else record
    if None in flat.values() or "" in flat.values():
        return {name: value for name, value in flat.items() if value is not None and value != ""}
    return flat


def _texts(flat: Record, places: tuple[str | None, ...]) -> Row:
    return tuple(["" if place is None else _text(flat[place]) for place in places])


def _places(names: tuple[str, ...]) -> tuple[str | None, ...]:
    """For each of COLUMNS the key that tells it."""
    best: dict[str, tuple[int, str]] = {}
    for name in names:
        parts = name.split(".")
        for outer in range(max(0, len(parts) - _MOST_PARTS), len(parts)):
            found = NAMES.get(bare(".".join(parts[outer:])))
            if found:
                rank = found[1] + outer * _DEEPER
                if found[0] not in best or rank < best[found[0]][0]:
                    best[found[0]] = (rank, name)
                break
    return tuple(best[column][1] if column in best else None for column in COLUMNS[:-1])


class JsonLog:
    """Reads JSON records: `data` is what was read of it so far, `read` gives the rest in pieces of `chunk`."""

    def __init__(self, begin: Callable[[Traits], Rows], data: bytes, read: Callable[[int], bytes], chunk: int) -> None:
        self._begin, self._rows = begin, begin(Traits("JSON", icmp_in="icmp_type"))
        self._stream = JsonStream(data, read, chunk, _MANY)
        self._known: dict[tuple[str, ...], tuple[str | None, ...]] = {}
        self.kind, self.records, self._found, self._of_suricata = "JSON", 0, False, False

    @property
    def guessed(self) -> int:
        return self._rows.guessed

    def __iter__(self) -> Iterator[Batch]:
        rows: list[Row] = []
        numbers: list[int] = []
        for number, record in self._stream:
            found = self._rows_of(record)
            self.records += 1 if isinstance(found, Skip) else len(found)
            if isinstance(found, Skip):
                self._rows.count(found)
                continue
            rows += found
            numbers += [number] * len(found)
            if len(rows) >= _BLOCK:
                yield self._rows.batch(table_of(rows, numbers, self._stream.unit))
                rows, numbers = [], []
        if not self._found:
            raise bad("line 1", self._no_flows())
        yield self._rows.batch(table_of(rows, numbers, self._stream.unit))

    def _no_flows(self) -> str:
        if self._of_suricata:
            return "This is Suricata’s eve.json without events of flows: have it write events of the type flow."
        return (
            "This is JSON, and no record in it is a flow’s that is known: it needs source, destination, protocol and port, "
            "such as src_ip, dest_ip, proto and dest_port."
        )

    def _rows_of(self, record: Any) -> Found:
        if isinstance(record, list):
            record = _of_fields(record)
        if not record or not isinstance(record, dict):
            return self._of_text(record) if isinstance(record, str) else Skip.OTHER
        if "specversion" in record and isinstance(record.get("data"), dict):
            # An event in an envelope, whose source is the program that sent it.
            record = record["data"]
        record = _inner_event(record)
        for kind, read in (("Azure flow log", _azure), ("GCP log", _gcp), ("Suricata", _suricata)):
            found = read(record)
            if found is not None:
                self._of_suricata |= read is _suricata
                self._found |= found is Skip.MIDDLE
                return self._seen(kind, found)
        found = self._general(record)
        if found is Skip.OTHER:
            for inner in _WRAPPED:
                if isinstance(record.get(inner), dict):
                    return self._rows_of(record[inner])
        return found

    def _seen(self, kind: str, found: Found) -> Found:
        if not isinstance(found, Skip):
            self.kind, self._found = self.kind if self._found else kind, True
        return found

    def _general(self, record: Record) -> Found:
        """A record with the usual names, nested or not; else one that holds a line of a log."""
        flat = _plain(record)
        names = tuple(flat)
        places = self._places(names)
        if places[1] is None or places[2] is None:
            return self._of_line(record)
        if not self._found:
            self._settle(names)
        row = _texts(flat, places)
        if places[3] is None and row[0].lower() in _WITH_PORTS:
            return Skip.OTHER
        traits = self._rows.traits
        self._found = True
        if traits.icmp_in == "source_port" and "icmp" in row[0]:
            row = (*row[:9], row[4])
        if row[0] == "unknown_transport" and portless(number := _text(flat.get("ip_proto"))) is not None:
            row = (number, *row[1:])
        return [(*row, _OF_SOURCE[traits.opens])]

    def _places(self, names: tuple[str, ...]) -> tuple[str | None, ...]:
        """As _places says; most records have the same names."""
        places = self._known.get(names)
        if places is None:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            places = self._known[names] = _places(names)
        return places

    def _of_line(self, record: Record) -> Found:
        return next((self._of_text(record[name]) for name in _LINES if isinstance(record.get(name), str)), Skip.OTHER)

    def _settle(self, names: tuple[str, ...]) -> None:
        traits = traits_of(names)
        self.kind = "JSON" if traits.kind == "CSV" else traits.kind
        self._rows = self._begin(traits)

    def _of_text(self, text: str) -> Found:
        line = parse_line(text)
        row = row_of(line, by_address=self._rows.knows_directions)
        if isinstance(row, Skip):
            return Skip.OTHER if row is Skip.NOT_READ else row
        if not self._found:
            self._rows = self._begin(LINES)
        return self._seen(line.kind or LINES.kind, [row])


def is_json(data: bytes) -> bool:
    """Whether a text begins as a JSON object or an array of them does."""
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{"):
        return text[1:].lstrip()[:1] in (b'"', b"}", b"")
    if not text.startswith(b"["):
        return False
    try:
        return text[1:].lstrip()[:1] in (b"{", b"[", b"]", b"") or isinstance(json.loads(text.split(b"\n")[0]), list)
    except ValueError:
        return False
