"""The same traffic, as many programs write it, is the same flows; what cannot be read is named for what it is."""

import bz2
import gzip
import io
import json
import lzma
import random
import struct
import sys
import zlib
from collections.abc import Callable, Sequence

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from securitygroups.firewall.flows.batch import ACCEPTED, DENIED, UNSAID
from securitygroups.firewall.flows.logs import FlowLog
from securitygroups.firewall.flows.openers import Skip
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.lines import pasted
from securitygroups.firewall.values import Network, address_text, parse_network
from tests.effort import at_most

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SLOWEST = 2  # seconds, of what takes milliseconds
LOCAL = (parse_network("10.0.0.0/8"), parse_network("2001:db8:1::/64"))

# (protocol, source, its port, destination, its port, verdict, seconds since 1970): who began is the source.
TRAFFIC = [
    (6, "198.51.100.7", 51515, "10.0.1.10", 22, "ACCEPT", 1_700_000_000.125),
    (6, "10.0.1.10", 40001, "203.0.113.9", 443, "ACCEPT", 1_700_000_001.5),
    (17, "10.0.1.10", 40002, "192.0.2.53", 53, "REJECT", 1_700_000_002.25),
    (17, "198.51.100.8", 40000, "10.0.1.11", 51820, "ACCEPT", 1_700_000_003.0),
    (6, "2001:db8:5::7", 50000, "2001:db8:1::5", 8443, "REJECT", 1_700_000_004.75),
]
WANTED = sorted(
    [
        ("in", 6, "198.51.100.7", "10.0.1.10", 22, ACCEPTED),
        ("in", 6, "2001:db8:5::7", "2001:db8:1::5", 8443, DENIED),
        ("in", 17, "198.51.100.8", "10.0.1.11", 51820, ACCEPTED),
        ("out", 6, "10.0.1.10", "203.0.113.9", 443, ACCEPTED),
        ("out", 17, "10.0.1.10", "192.0.2.53", 53, DENIED),
    ],
    key=str,
)
Flow = tuple[str, int, str, str, int | None, int]
NAMES = {6: "TCP", 17: "UDP"}


def read(data: bytes | str, local: Sequence[Network] = LOCAL) -> tuple[list[Flow], FlowLog]:
    log = FlowLog(io.BytesIO(data.encode() if isinstance(data, str) else data), local)
    flows = []
    for batch in log:
        for row in range(len(batch)):
            packet = batch.packet(row)
            version, source, destination = packet.version, packet.source, packet.destination
            assert version is not None
            assert source is not None
            assert destination is not None
            assert packet.protocol is not None
            ends = (address_text(version, source), address_text(version, destination))
            flows.append((packet.direction.value, packet.protocol, *ends, packet.port, int(batch.said[row])))
    return sorted(flows, key=str), log


def refusal(data: bytes | str, local: Sequence[Network] = LOCAL) -> str:
    with pytest.raises(BadDocument) as caught:
        read(data, local)
    return str(caught.value)


def iso(seconds: float, between: str = "T") -> str:
    """2023-11-14, 22:13:20 and what is above."""
    return f"2023-11-14{between}22:13:{20 + seconds - 1_700_000_000:06.3f}"


def lines(head: str, row: Callable[..., str], tail: str = "") -> str:
    return head + "".join(row(*flow) + "\n" for flow in TRAFFIC) + tail


def is_in(source: str) -> bool:
    return not source.startswith(("10.", "2001:db8:1:"))


def azure(kind: str) -> str:
    tuples = {
        "nsg": [f"{int(t)},{s},{d},{sp},{dp},{NAMES[p][0]},{'IO'[not is_in(s)]},{'AD'[v != 'ACCEPT']},B,,,,"
                for p, s, sp, d, dp, v, t in TRAFFIC],
        "vnet": [f"{int(t * 1000)},{s},{d},{sp},{dp},{p},{'IO'[not is_in(s)]},{'BD'[v != 'ACCEPT']},NX,1,60,1,60"
                 for p, s, sp, d, dp, v, t in TRAFFIC],
    }[kind]  # fmt: skip
    inner: dict[str, object]
    if kind == "nsg":
        inner = {"properties": {"Version": 2, "flows": [{"rule": "r", "flows": [{"mac": "02", "flowTuples": tuples}]}]}}
    else:
        inner = {"flowLogVersion": 4, "flowRecords": {"flows": [{"aclID": "a", "flowGroups": [{"rule": "r", "flowTuples": tuples}]}]}}  # fmt: skip
    return json.dumps({"records": [{"time": "2023-11-14T22:14:00Z", "category": "x"} | inner]}, indent=1)


def gcp(p: int, s: str, sp: int, d: str, dp: int, v: str, t: float) -> str:
    connection = {"src_ip": s, "src_port": sp, "dest_ip": d, "dest_port": dp, "protocol": p}
    rule = {"direction": "INGRESS" if is_in(s) else "EGRESS"}
    verdict = "ALLOWED" if v == "ACCEPT" else "DENIED"
    return json.dumps({"jsonPayload": {"connection": connection, "disposition": verdict, "rule_details": rule}, "timestamp": iso(t) + "Z"})  # fmt: skip


def table_of_pyarrow() -> bytes:
    columns = list(zip(*TRAFFIC, strict=True))
    names = ["protocol", "srcaddr", "srcport", "dstaddr", "dstport", "action", "start"]
    values = [columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], [int(t) for t in columns[6]]]
    out = io.BytesIO()
    parquet.write_table(arrow.table(dict(zip(names, values, strict=True))), out)
    return out.getvalue()


FORMATS: dict[str, bytes | str] = {
    "our CSV": lines(
        "protocol,source,source_port,destination,port,action,start\n",
        lambda p, s, sp, d, dp, v, t: f"{NAMES[p].lower()},{s},{sp},{d},{dp},{v},{t}",
    ),
    "semicolons, sep= and empty rows": lines(
        "\ufeffsep=;\n\nProtocol;Source IP;Source Port;Destination IP;Destination Port;Action;Start Time\n",
        lambda p, s, sp, d, dp, v, t: f"{NAMES[p]};{s};{sp}.0;{d};{dp}.0;{'Allow' if v == 'ACCEPT' else 'Deny'};{iso(t, ' ')}\n;;;;;;",
        ";;;;;;\n",
    ),
    "tabs and UTF-16": lines(
        "src_ip\tsrc_port\tdst_ip\tdst_port\tproto\taction\n",
        lambda p, s, sp, d, dp, v, t: f"{s}\t{sp}\t{d}\t{dp}\t{p}\t{'pass' if v == 'ACCEPT' else 'block'}",
    ).encode("utf-16"),
    "quotes and Latin-1": lines(
        '"Größe","SourceIP","SourcePort","DestIP","DestPort","Protocol","Verdict"\n',
        lambda p, s, sp, d, dp, v, t: f'"ä, ö","{s}","{sp}","{d}","{dp}","{NAMES[p]}","{v}"',
    ).encode("latin-1"),
    "bars": lines(
        "             sIP|sPort|                 dIP|dPort|pro|action|\n",
        lambda p, s, sp, d, dp, v, t: f"{s:>16}|{sp:>5}|{d:>16}|{dp:>5}|{p:>3}|{v}|",
    ),
    "VPC, default fields": lines(
        "", lambda p, s, sp, d, dp, v, t: f"2 123456789010 eni-1 {s} {d} {sp} {dp} {p} 9 840 {int(t)} {int(t) + 60} {v} OK"
    ),
    "VPC as CloudWatch exports it": lines(
        "2023-11-14T22:14:00.000Z 2 123456789010 eni-1 - - - - - - - 1 2 - NODATA\n",
        lambda p, s, sp, d, dp, v, t: f"{iso(t)}Z 2 123456789010 eni-1 {s} {d} {sp} {dp} {p} 9 840 {int(t)} {int(t) + 60} {v} OK",
    ),
    "VPC as CloudWatch's console exports it": lines(
        "timestamp,message\n",
        lambda p, s, sp, d, dp, v, t: (
            f"{int(t)}000,2 123456789010 eni-1 {s} {d} {sp} {dp} {p} 9 840 {int(t)} {int(t) + 60} {v} OK"
        ),
    ),
    "VPC as CloudWatch's queries export it": lines(
        "@timestamp,@message\n",
        lambda p, s, sp, d, dp, v, t: (
            f'{iso(t, " ")},"2 123456789010 eni-1 {s} {d} {sp} {dp} {p} 9 840 {int(t)} {int(t) + 60} {v} OK"'
        ),
    ),
    "lines of an old Mac": lines(
        "protocol,source,destination,port,action\n",
        lambda p, s, sp, d, dp, v, t: f"{p},{s},{d},{dp},{v}",
    ).replace("\n", "\r"),
    "VPC, fields of later versions, two files in one": lines(
        "version vpc-id srcaddr dstaddr srcport dstport protocol start tcp-flags flow-direction action log-status\n",
        lambda p, s, sp, d, dp, v, t: (
            f"5 vpc-1 {s} {d} {sp} {dp} {p} {int(t)} {2 if p == 6 else 0} {'ingress' if is_in(s) else 'egress'} {v} OK\n"
            "version vpc-id srcaddr dstaddr srcport dstport protocol start tcp-flags flow-direction action log-status\n"
            "5 vpc-1 - - - - - 1 - - - NODATA"
        ),
    ),
    "Athena": lines(
        '"version","account_id","interface_id","srcaddr","dstaddr","srcport","dstport","protocol","start","end","action","log_status"\n',
        lambda p, s, sp, d, dp, v, t: f'"2","1","eni-1","{s}","{d}","{sp}","{dp}","{p}","{int(t)}","{int(t) + 9}","{v}","OK"',
    ),
    "Parquet": table_of_pyarrow(),
    "Azure NSG flow log": azure("nsg"),
    "Azure VNet flow log": azure("vnet"),
    "GCP firewall log, lines": lines("", gcp),
    "GCP firewall log, an array": "[\n" + ",\n".join(gcp(*flow) for flow in TRAFFIC) + "\n]\n",
    "generic JSON lines": lines(
        "",
        lambda p, s, sp, d, dp, v, t: json.dumps(
            {"SrcIP": s, "SrcPort": sp, "DstIP": d, "DstPort": dp, "Protocol": NAMES[p], "action": v, "Timestamp": iso(t) + "Z"}
        ),
    ),
    "Elastic Common Schema": lines(
        "",
        lambda p, s, sp, d, dp, v, t: json.dumps(
            {"_source": {"source": {"ip": s, "port": sp}, "destination": {"ip": d, "port": dp},
                         "network": {"transport": NAMES[p].lower()}, "event": {"action": v.lower()}}}
        ),
    ),
}  # fmt: skip
"""Those that tell verdicts; LOGS are those that do not."""
LOGS: dict[str, bytes | str] = {
    "nfdump 1.6": lines(
        "ts,te,td,sa,da,sp,dp,pr,flg,ipkt,ibyt\n",
        lambda p, s, sp, d, dp, v, t: f"{iso(t, ' ')},{iso(t, ' ')},3.000,{s},{d},{sp},{dp},{NAMES[p]},......S.,9,11214",
        "Summary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\n5,11214,9,1,1,1\n",
    ),
    "nfdump 1.7, both ways": lines(
        "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,bps,bpp,flows\n",
        lambda p, s, sp, d, dp, v, t: (
            f"{iso(t + 0.001, ' ')},0.1,{NAMES[p]},{d},{dp},{s},{sp},1,1,1,1,1\n"
            f"{iso(t, ' ')},0.1,{NAMES[p]},{s},{sp},{d},{dp},1,1,1,1,1"
        ),
    ),
    "Zeek": lines(
        "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#open\t2023-11-14-22-13-20\n"
        "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\n"
        "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\n",
        lambda p, s, sp, d, dp, v, t: f"{t:.6f}\tC1\t{s}\t{sp}\t{d}\t{dp}\t{NAMES[p].lower()}\t-",
        "#close\t2023-11-14-23-00-00\n",
    ),
    "Zeek as JSON": lines(
        "",
        lambda p, s, sp, d, dp, v, t: json.dumps(
            {"ts": t, "uid": "C1", "id.orig_h": s, "id.orig_p": sp, "id.resp_h": d, "id.resp_p": dp, "proto": NAMES[p].lower()}
        ),
    ),
    "Suricata": lines(
        json.dumps({"event_type": "stats", "stats": {"uptime": 1}}) + "\n",
        lambda p, s, sp, d, dp, v, t: json.dumps(
            {"timestamp": iso(t) + "+0000", "event_type": "flow", "src_ip": s, "src_port": sp, "dest_ip": d, "dest_port": dp,
             "proto": NAMES[p], "flow": {"start": iso(t) + "000+0000"}}
        ),
    ),
    "kernel": lines(
        "Nov 14 22:13:19 web systemd[1]: Started something.\n",
        lambda p, s, sp, d, dp, v, t: (
            f"Nov 14 22:13:20 web kernel: [1.0] [UFW AUDIT] IN= OUT= SRC={s} DST={d} LEN=60 PROTO={NAMES[p]} SPT={sp} DPT={dp}"
            f"{' WINDOW=64240 RES=0x00 SYN URGP=0' if p == 6 else ' LEN=40'}"
        ),
    ),
    "tcpdump": lines(
        "",
        lambda p, s, sp, d, dp, v, t: (
            f"22:13:20.{int(t) % 10}00000 IP{'6' if ':' in s else ''} {s}.{sp} > {d}.{dp}: "
            + ("Flags [S], seq 1, win 64240, length 0" if p == 6 else "UDP, length 40")
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [*FORMATS, *LOGS])
def test_the_same_traffic_is_the_same_flows_in_every_format(name: str) -> None:
    flows, log = read((FORMATS | LOGS)[name])

    assert [flow[:5] for flow in flows] == [flow[:5] for flow in WANTED]
    assert log.guessed == 0


@pytest.mark.parametrize("name", FORMATS)
def test_what_the_log_says_of_the_verdict_is_kept(name: str) -> None:
    assert read(FORMATS[name])[0] == WANTED


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress, zstd.compress], ids=lambda pack: pack.__module__
)
@pytest.mark.parametrize("name", ["our CSV", "Zeek", "Azure NSG flow log", "kernel", "tabs and UTF-16"])
def test_packed_logs_are_unpacked(name: str, pack: Callable[[bytes], bytes]) -> None:
    text = (FORMATS | LOGS)[name]
    data = text.encode() if isinstance(text, str) else text

    flows, _ = read(pack(data))

    assert [flow[:5] for flow in flows] == [flow[:5] for flow in WANTED]
    assert "damaged or cut short" in refusal(pack(data)[:-12])


HEAD5 = "protocol,source,source_port,destination,port"
THERE, BACK = "10.0.1.10,51820,198.51.100.7,40000", "198.51.100.7,40000,10.0.1.10,51820"


@pytest.mark.parametrize(
    ("reply", "opener"),
    [("SA", "S"), (".A..S.", "....S."), ("...A..S.", "......S."), ("SYN,ACK", "SYN"), ("[SYN, ACK]", "[SYN]"),
     ("0x12", "0x02"), ("0x0012", "0x2"), ("18", "2"), ("18.0", "2.0"), ("S A", "S"), ("SYN|ACK", "SYN"), ("sa", "s"),
     ("SYN ACK", "SYN"), ("SEA", "SEC"),
     ("·······A··S·", "··········S·"), ("*******A**S*", "**********S*"), ("0x52", "0xc2")],
)  # fmt: skip
def test_tcp_flags_are_read_however_they_are_written(reply: str, opener: str) -> None:
    flows, log = read(f'{HEAD5},tcp_flags\ntcp,{THERE},"{reply}"\ntcp,{BACK},"{opener}"\n')

    assert [flow[:5] for flow in flows] == [("in", 6, "198.51.100.7", "10.0.1.10", 51820)]
    assert (+log.skipped, log.guessed) == ({Skip.REPLY: 1}, 0)


def test_tcp_flags_that_are_none_are_refused() -> None:
    message = refusal(f"{HEAD5},tcp_flags\ntcp,{BACK},S\ntcp,{THERE},often\n")

    assert message.startswith("line 3, tcp_flags: “often” are no TCP flags")


def test_flags_collected_over_a_flow_tell_no_reply() -> None:
    head = "ts,td,pr,sa,sp,da,dp,flg\n"
    records = [f"2026-06-28 23:17:41.{ms},1,TCP,{ends},...AP.SF\n" for ms, ends in ((250, THERE), (125, BACK))]

    flows, log = read(head + "".join(records))

    assert [flow[:5] for flow in flows] == [("in", 6, "198.51.100.7", "10.0.1.10", 51820)]
    assert log.guessed == 0


@pytest.mark.parametrize(
    ("later", "earlier"),
    [("1700000000.250", "1700000000.125"), ("1700000000250", "1700000000125"), ("1700000000000250", "1700000000000125"),
     ("1700000000000002500", "1700000000000001250"), ("2026-06-28 23:17:41.250", "2026-06-28 23:17:41.125"),
     ("2026-06-28T23:17:41.250Z", "2026-06-28T23:17:41.125Z"), ("2026-06-28T23:17:41+00:00", "2026-06-29T00:17:40+01:00"),
     ("2026/06/28 23:17:42", "2026/06/28 23:17:41"), ("28/Jun/2026:23:17:42 +0000", "28/Jun/2026:23:17:41 +0000"),
     ("Jun 28, 2026 @ 23:17:41.250", "Jun 28, 2026 @ 23:17:41.125"), ("1.700000001e9", "1.7e9"),
     ("2024-03-01 00:00:00", "2024-02-29 23:59:59"), ("1700000000,250", "1700000000,125"),
     ("2026-06-28 23:17:41.250 UTC", "2026-06-28 23:17:41.125 UTC"), ("-", "1700000000")],
)  # fmt: skip
def test_starts_are_read_however_they_are_written(later: str, earlier: str) -> None:
    flows, log = read(f'{HEAD5},start\nudp,{THERE},"{later}"\nudp,{BACK},"{earlier}"\n')

    assert [flow[:5] for flow in flows] == [("in", 17, "198.51.100.7", "10.0.1.10", 51820)]
    assert log.guessed == 0


@pytest.mark.parametrize(
    "start", ["noon", "03/07/2017 08:55", "23:17:41", "2026-13-28 23:17:41", "2026-06-28 25:17:41", "1e99"]
)
def test_a_start_that_tells_no_order_is_refused(start: str) -> None:
    assert refusal(f"{HEAD5},start\nudp,{THERE},{start}\n").startswith(f"line 2, start: “{start}” is not a time")


def test_ports_alone_are_said_to_be_a_guess() -> None:
    flows, log = read(f"{HEAD5},start\nudp,{THERE},1700000000\nudp,{BACK},1700000000\n")

    assert [flow[:5] for flow in flows] == [("out", 17, "10.0.1.10", "198.51.100.7", 40000)]
    assert log.guessed == 1


@pytest.mark.parametrize(
    ("word", "said"),
    [("ACCEPT", ACCEPTED), ("Allowed", ACCEPTED), ("pass", ACCEPTED), ("permit", ACCEPTED), ("A", ACCEPTED),
     ("REJECT", DENIED), ("deny", DENIED), ("Blocked", DENIED), ("DROP", DENIED), ("D", DENIED), ("alert", UNSAID), ("", UNSAID)],
)  # fmt: skip
def test_words_for_verdicts_are_known_and_others_say_nothing(word: str, said: int) -> None:
    flows, _ = read(f"protocol,src_ip,dst_ip,dst_port,action\ntcp,198.51.100.7,10.0.1.10,22,{word}\n")

    assert flows == [("in", 6, "198.51.100.7", "10.0.1.10", 22, said)]


@pytest.mark.parametrize(
    ("text", "count", "reason"),
    [
        ("ts,td,pr,sa,sp,da,dp,flg\n1,1,ICMP,198.51.100.7,0,10.0.1.10,3.1,........\n", 1, Skip.ICMP_ANSWER),
        ("ts,td,pr,sa,sp,da,dp,flg\n1,1,ICMP,198.51.100.7,0,10.0.1.10,771,........\n", 1, Skip.ICMP_ANSWER),
        (("#Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags icmptype path\n"
         "2026-08-13 07:26:52 DROP ICMP 198.51.100.7 10.0.1.10 - - 0 - 3 RECEIVE\n"), 1, Skip.ICMP_ANSWER),
        (("#Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags icmptype path\n"
         "2026-08-13 07:26:52 DROP TCP 198.51.100.7 10.0.1.10 443 50000 40 A - RECEIVE\n"), 1, Skip.MIDDLE),
        (("#Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags icmptype path\n"
         "2026-08-13 07:26:52 INFO-EVENTS-LOST - - - - - - - - -\n"), 1, Skip.NO_DATA),
        (("#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\n"
         "1.5\t198.51.100.7\t0\t10.0.1.10\t0\tunknown_transport\n"), 1, Skip.NO_PROTOCOL),
        (("#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\n"
         "1.5\t198.51.100.7\t3\t10.0.1.10\t1\ticmp\n"), 1, Skip.ICMP_ANSWER),
        (('{"event_type":"flow","src_ip":"198.51.100.7","src_port":1,"dest_ip":"10.0.1.10","dest_port":22,"proto":"TCP"}\n'
         '{"event_type":"dns","src_ip":"10.0.1.10","dest_ip":"192.0.2.53","proto":"UDP"}\n'), 1, Skip.OTHER),
        (('{"event_type":"alert","direction":"to_client","src_ip":"198.51.100.7","src_port":443,"dest_ip":"10.0.1.10",'
         '"dest_port":50000,"proto":"TCP"}\n'), 1, Skip.REPLY),
        ("12:00:00.0 IP 198.51.100.7.443 > 10.0.1.10.50000: Flags [P.], seq 1, ack 1, win 1, length 0\n", 1, Skip.MIDDLE),
    ],
)  # fmt: skip
def test_what_opens_no_flow_is_counted_with_its_reason(text: str, count: int, reason: Skip) -> None:
    assert read(text)[1].skipped[reason] == count


def test_a_line_is_read_once_and_not_again_for_what_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    monkeypatch.setattr(pasted, "READERS", (("all", looked_at.append), *pasted.READERS))
    answer = "12:00:00.0 IP 10.0.0.53.53 > 10.0.1.10.50000: 1 q: A? example.com. 1/0/0 A 192.0.2.1 (45)"
    lines = [answer, "12:00:00.0 IP 10.0.1.10 > 198.51.100.7: ICMP echo request, id 1, seq 1, length 64", "so", "12"]

    flows, log = read("\n".join(lines))

    assert (len(flows), log.records, log.skipped[Skip.REPLY]) == (1, 4, 1)
    assert looked_at == lines[:2]  # and the others are too short for a packet


def test_a_syn_ack_in_a_line_opens_nothing() -> None:
    flows, log = read("12:00:00.0 IP 198.51.100.7.443 > 10.0.1.10.50000: Flags [S.], seq 1, ack 1, win 1, length 0\n")

    assert flows == []
    assert log.skipped[Skip.REPLY] + log.skipped[Skip.MIDDLE] == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04" + bytes(20) + b"[Content_Types].xml", "an Excel workbook: save the sheet"),
        (b"PK\x03\x04" + bytes(20) + b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "OpenDocument"),
        (b"PK\x03\x04" + bytes(26) + b"conn.log", "a zip archive: unpack it"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "old Excel workbook"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(20), "7z archive"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\n<!DOCTYPE html>\n<html><body>flows</body></html>", "a web page"),
        (b"<?xml version='1.0'?>\n<!DOCTYPE nmaprun>\n<nmaprun scanner='nmap'>", "Nmap"),
        (b"<?xml version='1.0'?>\n<a/>", "XML"),
        (b"ElfFile\x00" + bytes(100), "Windows event log"),
        (b"SQLite format 3\x00" + bytes(100), "sqlite3 -header -csv"),
        (b"LPKSHHRH" + bytes(100), "journalctl"),
        (b"\x0c\xa5\x01\x00" + bytes(100), "nfdump -r"),
        (b"\x0c\xa5\x02\x00" + bytes(100), "nfdump -r"),
        (b"snoop\x00\x00\x00\x00\x00\x00\x02" + bytes(20), "editcap"),
        (bytes(8) + b"\x02\x04\x00\x50\x00\x00\x00\x3e" + bytes(64), "ERF"),
        (bytes(257) + b"ustar" + bytes(100), "tar archive"),
        (b"\x04\x22\x4d\x18" + bytes(20), "lz4"),
        (b"PAR1" + bytes(40), "Parquet file is damaged"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("Dear all,\nplease find attached nothing.\n" * 20, "no column protocol"),
        ('{"a": 1}\n{"a": 2}\n', "needs source, destination, protocol and port"),
        ('{"event_type":"stats","stats":{}}\n', "Suricata"),
        ('{"src_ip": "198.51.100.7",\n', "cut short"),
        ('[{"src_ip": "198.51.100.7"}, ', "cut short"),
        ('{"src_ip": "198.51.100.7"}\n{"src_ip" "x"}\n', "line 2, column 11: This is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("5 123456789010 eni-0 198.51.100.14 10.0.1.10 20641 22 6 20 4249 1 2 ACCEPT OK vpc-0\n", "header line"),
        ("in,tcp,198.51.100.7,10.0.1.10,22\n", "no column protocol"),
        ("ip.src,ip.dst,ip.proto,tcp.srcport,tcp.dstport,udp.srcport,udp.dstport\n", "put them into one"),
        ("No.,Time,Source,Destination,Protocol,Length,Info\n", "list of packets that Wireshark shows"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_what_is_not_read_is_named_for_what_it_is(data: bytes | str, words: str) -> None:
    assert words in refusal(data)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        # Zeek with times as ISO 8601 in JSON.
        (('{"ts":"2026-03-01T21:16:50.629660Z","uid":"C","id.orig_h":"198.51.100.7","id.orig_p":39682,"id.resp_h":"10.0.1.10",'
         '"id.resp_p":22,"proto":"tcp","local_orig":false}\n'), "Zeek"),
        # A firewall log of GCP as Wazuh wraps it.
        (('{"integration":"gcp","gcp":{"insertId":"6d","jsonPayload":{"connection":{"dest_ip":"10.0.1.10","dest_port":22,'
         '"protocol":6,"src_ip":"198.51.100.7","src_port":43710},"disposition":"ALLOWED","rule_details":{"direction":"INGRESS"}}}}'),
         "JSON"),
        # A VPC flow log of GCP, whose numbers of bytes are texts.
        (('[{"insertId":"pt","jsonPayload":{"bytes_sent":"165643","connection":{"dest_ip":"10.0.1.10","dest_port":22,"protocol":6,'
         '"src_ip":"198.51.100.7","src_port":51515},"reporter":"DEST","start_time":"2019-06-14T03:40:03.062674441Z"}}]'), "GCP log"),
        # An NSG's log of version 2 that goes on.
        (('{"records":[{"properties":{"Version":2,"flows":[{"rule":"r","flows":[{"mac":"02","flowTuples":['
         '"1722279584,198.51.100.7,10.0.1.10,60282,22,T,I,A,B,,,,","1722279662,198.51.100.7,10.0.1.10,60282,22,T,I,A,C,72,94309,1,6",'
         '"1722279578,198.51.100.7,10.0.1.10,60282,22,T,I,A,E,1,66,0,0"]}]}]}}]}'), "Azure flow log"),
        # All columns of nfdump 1.6, and its times without fractions.
        (("ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das,smk,dmk,dtos,dir,nh,nhb\n"
         "2024-06-28 23:17:41,2024-06-28 23:17:44,3.000,198.51.100.7,10.0.1.10,443,22,TCP,........,66,24,9,11214,0,0,435,471,1,0,22,27,"
         "0,0,192.0.2.1,0.0.0.0\n"), "NetFlow"),
        # A header that ends in a comma, and lines that lack what is empty at their end.
        ("direction,protocol,source,destination,port,note,\nin,tcp,198.51.100.7,10.0.1.10,22\n", "CSV"),
        # Columns without a name, as an index of pandas is.
        (",src_ip,dst_ip,dst_port,proto,\n0,198.51.100.7,10.0.1.10,22.0,6,\n", "CSV"),
        # Log Analytics.
        ("SrcIP_s,DestIP_s,DestPort_d,L4Protocol_s,FlowDirection_s,FlowStatus_s\n198.51.100.7,10.0.1.10,22,T,I,A\n", "CSV"),
        # tshark -T fields.
        (("frame.time_epoch\tip.src\tip.dst\ttcp.srcport\ttcp.dstport\tip.proto\ttcp.flags\n"
         "1700000000.125\t198.51.100.7\t10.0.1.10\t51515\t22\t6\t0x0002\n"), "CSV"),
        # goflow2.
        (('{"type":"NETFLOW_V9","time_flow_start_ns":1681583295157626000,"src_addr":"198.51.100.7","dst_addr":"10.0.1.10",'
         '"proto":"TCP","src_port":51515,"dst_port":22,"tcp_flags":27}\n'), "NetFlow"),
    ],
)  # fmt: skip
def test_samples_of_programs_are_read(text: str, kind: str) -> None:
    flows, log = read(text)

    assert [flow[:5] for flow in flows] == [("in", 6, "198.51.100.7", "10.0.1.10", 22)]
    assert log.kind == kind


@pytest.mark.parametrize("sign", ["\t", ";", "|"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_first_line_names_the_sign_whatever_it_is(sign: str, quote: str) -> None:
    rows = ["protocol,source,destination,port", "tcp,198.51.100.7,10.0.1.10,22"]
    table = "".join(f"{row.replace(',', sign)}\r\n" for row in rows)

    flows, _ = read(f"{quote}sep={sign}{quote}\r\n{table}")

    assert flows == [("in", 6, "198.51.100.7", "10.0.1.10", 22, UNSAID)]


def test_columns_that_no_line_has_cost_nothing() -> None:
    head = "protocol,source,destination,port," + "more," * 10_000

    flows, log = read(f"{head}\n" + "tcp,198.51.100.7,10.0.1.10,22\n" * 20_000)

    assert len(flows) == log.records == 20_000
    assert flows[0] == ("in", 6, "198.51.100.7", "10.0.1.10", 22, UNSAID)


@pytest.mark.parametrize(
    "text",
    [
        "2 123456789010 eni-1 " + ":" * 30_000 + "x 10.0.1.10 51515 22 6 1 40 1 2 ACCEPT OK\n",
        json.dumps({"a." * 100_000 + "src_ip": "198.51.100.7", "proto": "tcp"}) + "\n",
    ],
    ids=["colons", "dots"],
)
def test_a_word_without_an_end_is_looked_at_once(text: str) -> None:
    """What goes over the rest of it again for each of its signs takes hours."""
    with at_most(SLOWEST), pytest.raises(BadDocument):
        read(text)


@pytest.mark.parametrize("nothing", ["{}", "{}\n", "   ],\n"], ids=["objects", "lines of objects", "short lines"])
def test_records_that_say_nothing_cost_next_to_nothing(nothing: str) -> None:
    record = json.dumps({"src_ip": "198.51.100.7", "dest_ip": "10.0.1.10", "proto": "tcp", "dest_port": 22})
    first = record if nothing.startswith("{") else "tcp 198.51.100.7 > 10.0.1.10:22"

    with at_most(SLOWEST):
        flows, log = read(first + ("\n" if nothing.endswith("\n") else "") + nothing * 400_000)

    assert [flow[:5] for flow in flows] == [("in", 6, "198.51.100.7", "10.0.1.10", 22)]
    assert log.records == 400_001


def test_a_long_document_is_read_record_by_record() -> None:
    record = json.loads(azure("nsg"))["records"][0]
    text = json.dumps({"records": [record | {"pad": "x" * 50_000}] * 120}, indent=1)

    flows, log = read(text)

    assert [flow[:5] for flow in flows] == [flow[:5] for flow in WANTED]
    assert log.records == 120 * len(TRAFFIC)


def test_random_damage_is_refused_or_read_and_breaks_nothing() -> None:
    random.seed(7)
    samples = [text.encode() if isinstance(text, str) else text for text in (FORMATS | LOGS).values()]
    pieces = [b"\n", b"\r", b'"', b",", b";", b"\t", b"|", b"\0", b"\xff", b"\xe2\x82", b"{", b"]", b"#", b"-1", b"1e400", b"99999999999999999999", b"\x1f"]  # fmt: skip
    done = 0
    for _ in range(25):
        for sample in samples:
            data = bytearray(sample)
            for _ in range(random.randint(1, 6)):
                at = random.randrange(len(data) + 1)
                data[at : at + random.choice((0, 0, 1, 3, 40))] = random.choice(pieces) * random.choice((1, 1, 1, 30))
            try:
                done += len(read(bytes(data))[0])
            except BadDocument as refused:
                done += bool(str(refused))

    assert done > 0


def dictionary_of(size: int) -> bytes:
    """xz data whose header asks for a dictionary of 2 to the power of so many bytes."""
    data = bytearray(lzma.compress(b"direction,protocol,source,destination,port\n", preset=0))
    end = 12 + (data[12] + 1) * 4 - 4
    data[data.index(0x21, 14) + 2] = (size - 12) * 2
    data[end : end + 4] = struct.pack("<I", zlib.crc32(bytes(data[12:end])))
    return bytes(data)


def window_of(size: int) -> bytes:
    """zstd data whose header asks for a window of 2 to the power of so many bytes."""
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: size})
    return packer.compress(b"direction,protocol,source,destination,port\n") + packer.flush()


def test_data_that_takes_much_memory_to_unpack_is_not_called_damaged() -> None:
    assert read(dictionary_of(26))[0] == read(window_of(27))[0] == []
    for data in (dictionary_of(30), window_of(31)):
        assert "takes more than 128 MiB of memory" in refusal(data)


def test_what_is_packed_again_and_again_is_named_so() -> None:
    data = str(FORMATS["our CSV"]).encode()
    for _ in range(3):
        data = gzip.compress(data)

    assert read(data)[0] == WANTED
    assert "packed more than 3 times" in refusal(gzip.compress(data))
