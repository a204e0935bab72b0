"""Logs as programs and people really write them, with what is silently wrong where one of their habits is not known."""

import json
from collections.abc import Callable

import pytest

from securitygroups.firewall.flows.batch import ACCEPTED, DENIED, UNSAID
from securitygroups.firewall.flows.openers import Skip
from tests.effort import at_most
from tests.firewall.flows.test_formats import Flow, read, refusal

SSH: list[Flow] = [("in", 6, "198.51.100.7", "10.0.1.10", 22, UNSAID)]
ALLOWED_SSH: list[Flow] = [(*SSH[0][:5], ACCEPTED)]

NFDUMP_HEAD = "Date first seen          Duration Proto      Src IP Addr:Port          Dst IP Addr:Port   Flags Tos  Packets    Bytes Flows\n"
NFDUMP_TAIL = (
    "Summary: total flows: 6, total bytes: 1224, total packets: 16, avg bps: 1, avg pps: 0, avg bpp: 76\n"
    "Time window: 2026-06-28 23:10:00 - 2026-06-28 23:20:00\nTotal flows processed: 6, Blocks skipped: 0, Bytes read: 1000\n"
    "Sys: 0.012s flows/second: 83.3       Wall: 0.001s flows/second: 5000.0\n"
)
NFDUMP = (
    NFDUMP_HEAD
    + "2026-06-28 23:17:41.125     0.013 TCP     198.51.100.7:47489 ->        10.0.1.10:22    ...AP.SF   0   5   488   1\n"
    "2026-06-28 23:17:41.130     0.013 TCP        10.0.1.10:22    ->     198.51.100.7:47489 ...AP.SF   0   5 1.2 M   1\n"
    "2026-06-28 23:17:42.125     0.000 ICMP    198.51.100.7:0     ->        10.0.1.10:8.0   ........   0   1    60   1\n"
    "2026-06-28 23:17:42.126     0.000 ICMP       10.0.1.10:0     ->     198.51.100.7:0.0   ........   0   1    60   1\n"
    "2026-06-28 23:17:42.126     0.000 ICMP    198.51.100.9:0     ->        10.0.1.10:3.1   ........   0   1    60   1\n"
    "2026-06-28 23:17:42.130     0.000 GRE        10.0.1.10:0     ->     198.51.100.7:0     ........   0   1    60   1\n"
    + NFDUMP_TAIL
)
NFDUMP_FLOWS: list[Flow] = [
    ("in", 1, "198.51.100.7", "10.0.1.10", None, UNSAID),
    ("in", 6, "198.51.100.7", "10.0.1.10", 22, UNSAID),
    ("out", 47, "10.0.1.10", "198.51.100.7", None, UNSAID),
]


@pytest.mark.parametrize(
    "text", [NFDUMP, NFDUMP.replace("Date first seen ", "Date flow start "), NFDUMP.removeprefix(NFDUMP_HEAD)]
)
def test_what_nfdump_lists_for_people_is_read_as_its_csv_is(text: str) -> None:
    flows, log = read(text)

    assert flows == NFDUMP_FLOWS
    assert (log.kind, log.records) == ("NetFlow", 6)
    assert log.skipped[Skip.REPLY] + log.skipped[Skip.REPEAT] + log.skipped[Skip.ICMP_ANSWER] == 3
    assert not log.skipped[Skip.NOT_READ]


@pytest.mark.parametrize(
    ("line", "flow"),
    [
        # Version 1.7, whose durations have hours.
        (
            "2026-06-28 23:17:41.125     00:00:00.013 TCP     198.51.100.7:47489 ->         10.0.1.10:22  ...AP.SF    0   5   488   1",
            SSH[0],
        ),
        # Both ways in one (-B), with other columns.
        (
            "2026-06-28 23:17:41.125     0.013 TCP     198.51.100.7:47489 <->         10.0.1.10:22     5   4   488   300   2",
            SSH[0],
        ),
        # Whole IPv6 addresses (-6), behind which a dot separates the port, and the type of a ping.
        (
            "2026-06-28 23:17:43.126     0.000 TCP      2001:db8:2::1.40000 ->     2001:db8:1::5.443   ......S.   0   1   60   1",
            ("in", 6, "2001:db8:2::1", "2001:db8:1::5", 443, UNSAID),
        ),
        (
            "2026-06-28 23:17:43.126     0.000 ICMP6    2001:db8:2::1.0     ->     2001:db8:1::5.128.0 ........   0   1   60   1",
            ("in", 58, "2001:db8:2::1", "2001:db8:1::5", None, UNSAID),
        ),
        # Events of a firewall, with the addresses behind its translation.
        (
            "2026-06-28 23:17:41.125 CREATE  Ignore TCP   198.51.100.7:47489 ->    10.0.1.10:22   198.51.100.7:47489 -> 192.0.2.9:22  0  0",
            SSH[0],
        ),
    ],
)
def test_other_listings_of_nfdump_are_read(line: str, flow: Flow) -> None:
    assert read(NFDUMP_HEAD + line + "\n")[0] == [flow]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "2026-06-28 23:17:43.126     0.000 TCP   2001:db..8:2::1.40000 ->  2001:db..8:1::5.443   ......S.   0   1   60   1",
            "nfdump -6",
        ),
        (
            "2026-06-28 23:17:43.126     0.000 TCP    198.51.100.7    ->     10.0.1.10    ......S.   0   1   60   1",
            "-o long",
        ),
        ("2026-06-28 23:17:43.126     0.000 TCP    198.51.100.7    488    60   1", "-o csv"),
    ],
)
def test_a_listing_that_leaves_out_who_spoke_to_whom_is_refused(line: str, words: str) -> None:
    refused = refusal(NFDUMP_HEAD + line + "\n")

    assert "line 2" in refused
    assert words in refused


ZEEK = "#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tip_proto\n"


@pytest.mark.parametrize("number", [47, 50, 51, 89])
def test_zeek_tells_protocols_without_a_name_by_their_number(number: int) -> None:
    wanted = [("in", number, "198.51.100.7", "10.0.1.10", None, UNSAID)]
    text = f"{ZEEK}1.5\tC1\t198.51.100.7\t0\t10.0.1.10\t0\tunknown_transport\t-\t{number}\n"
    record = {"ts": 1.5, "id.orig_h": "198.51.100.7", "id.orig_p": 0, "id.resp_h": "10.0.1.10", "id.resp_p": 0}

    assert read(text)[0] == wanted
    assert read(json.dumps(record | {"proto": "unknown_transport", "ip_proto": number}) + "\n")[0] == wanted


@pytest.mark.parametrize("number", ["132", "-", "65535", ""])
def test_zeek_tells_no_ports_of_sctp_so_it_is_not_judged(number: str) -> None:
    flows, log = read(f"{ZEEK}1.5\tC1\t198.51.100.7\t0\t10.0.1.10\t0\tunknown_transport\t-\t{number}\n")

    assert flows == []
    assert log.skipped[Skip.NO_PROTOCOL] == 1


def test_the_other_column_of_the_protocol_changes_nothing_where_zeek_has_a_name() -> None:
    assert read(f"{ZEEK}1.5\tC1\t198.51.100.7\t40000\t10.0.1.10\t22\ttcp\tssh\t6\n")[0] == SSH


def test_a_table_of_tabs_without_a_protocol_is_no_log_of_lines() -> None:
    text = "ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\thistory\n1.5\tC1\t198.51.100.7\t40000\t10.0.1.10\t22\tShAD\n"

    assert "no column protocol" in refusal(text)


def test_argus_arrow_says_who_began() -> None:
    head = "StartTime,Proto,SrcAddr,Sport,Dir,DstAddr,Dport\n"

    assert read(f"{head}2026/06/28 23:17:41.000000,tcp,198.51.100.7,40000,   ->,10.0.1.10,22\n")[0] == SSH
    # Each record is a whole flow, whoever is written first; where nobody saw who began, its ports tell.
    for arrow in ("<-", "  <?", " <?>"):
        flows, log = read(f"{head}2026/06/28 23:17:41.000000,tcp,10.0.1.10,22,{arrow},198.51.100.7,40000\n")
        assert (flows, log.records) == (SSH, 1)


@pytest.mark.parametrize(
    ("port", "number"), [("0x0016", 22), ("8,080", 8080), ("65,535", 65535), ("22.0", 22), ("0xFFFF", 65535)]
)
def test_ports_are_read_as_argus_kibana_and_pandas_write_them(port: str, number: int) -> None:
    assert read(f'proto,src_ip,dst_ip,dst_port\ntcp,198.51.100.7,10.0.1.10,"{port}"\n')[0][0][4] == number


@pytest.mark.parametrize("port", ["65,536", "8,08", "08,080", "0x", "0x10000", "1,2", "22,", "1,234,567"])
def test_ports_that_are_none_are_refused(port: str) -> None:
    assert "is not a port" in refusal(f'proto,src_ip,dst_ip,dst_port\ntcp,198.51.100.7,10.0.1.10,"{port}"\n')


def test_pmacct_is_not_taken_for_suricata() -> None:
    record = {
        "event_type": "purge", "ip_src": "198.51.100.7", "ip_dst": "10.0.1.10", "port_src": 40000, "port_dst": 22,
        "tcp_flags": "18", "ip_proto": "tcp", "timestamp_start": "2026-06-28 23:17:41.000000", "packets": 1,
    }  # fmt: skip

    flows, log = read(json.dumps(record) + "\n")

    # Its flags are collected over all packets one way: SYN and ACK together do not make it a reply.
    assert (flows, log.kind) == (SSH, "NetFlow")


def test_flags_that_filebeat_takes_from_netflow_are_those_of_many_packets() -> None:
    record = {
        "source": {"ip": "198.51.100.7", "port": 40000}, "destination": {"ip": "10.0.1.10", "port": 22},
        "network": {"transport": "tcp"}, "netflow": {"tcp_control_bits": 18, "protocol_identifier": 6},
    }  # fmt: skip

    flows, log = read(json.dumps(record) + "\n")

    assert (flows, log.kind) == (SSH, "NetFlow")


OCSF = {
    "class_uid": 4001, "time": 1719609461000, "activity_name": "Traffic", "start_time": 1719609460000, "disposition": "Allowed",
    "src_endpoint": {"ip": "198.51.100.7", "port": 40000}, "dst_endpoint": {"ip": "10.0.1.10", "port": 22},
    "connection_info": {"protocol_num": 6, "protocol_name": "tcp", "direction": "Inbound", "tcp_flags": 2, "boundary": "-"},
}  # fmt: skip
IBM = {
    "version": "0.0.1", "number_of_flow_logs": 1, "flow_logs": [{
        "start_time": "2026-06-28T23:17:41Z", "direction": "I", "action": "accepted", "initiator_ip": "198.51.100.7",
        "target_ip": "10.0.1.10", "initiator_port": 40000, "target_port": 22, "transport_protocol": 6,
    }],
}  # fmt: skip
SUBSCRIBED = {
    "messageType": "DATA_MESSAGE", "owner": "123456789010", "logGroup": "flows", "logStream": "eni-1-all", "logEvents": [
        {"id": "1", "timestamp": 1418530010000,
         "message": "2 123456789010 eni-1 198.51.100.7 10.0.1.10 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK"},
    ],
}  # fmt: skip
CHECK_POINT = (
    '"Time","Action","Source","Source Port","Destination","Destination Port","IP Protocol","Service"\n'
    '"28Jun2026 23:17:41","Accept","198.51.100.7","40000","10.0.1.10","22","tcp","ssh (TCP/22)"\n'
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (json.dumps(OCSF) + "\n", "OCSF"),
        (json.dumps(IBM), "JSON"),
        (json.dumps(SUBSCRIBED), "VPC flow log"),
        (CHECK_POINT, "CSV"),
    ],
    ids=["OCSF, as AWS Security Lake keeps it", "IBM Cloud", "a subscription of CloudWatch", "Check Point"],
)
def test_logs_with_verdicts_of_other_systems_are_read(text: str, kind: str) -> None:
    flows, log = read(text)

    assert (flows, log.kind) == (ALLOWED_SSH, kind)


VPC = "2 123456789010 eni-1 198.51.100.7 10.0.1.10 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK"
NO_DATA = "2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA"


@pytest.mark.parametrize(
    "before",
    [
        "2026-06-28T23:17:41.000000+00:00 eni-1-all ",
        "2026-06-28T23:17:41 ",
        "flows eni-1-all ",
        "flows eni-1-all 1782687461000 ",
    ],
    ids=["aws logs tail", "aws logs tail --format short", "awslogs get", "awslogs get --timestamp"],
)
def test_a_vpc_flow_log_is_read_as_commands_print_it(before: str) -> None:
    for records in ([VPC, NO_DATA], [NO_DATA, VPC]):
        flows, log = read("".join(f"{before}{record}\n" for record in records))

        assert (flows, log.kind, log.skipped[Skip.NO_DATA]) == (ALLOWED_SSH, "VPC flow log", 1)


@pytest.mark.parametrize(
    "record",
    [
        # Version 2 with fields in an order of its own, and fields of later versions.
        "2 eni-1 123456789010 198.51.100.7 22 10.0.1.10 20641 6 20 4249 1418530010 1418530070 ACCEPT OK",
        "5 vpc-1 2 123456789010 eni-1 20641 198.51.100.7 10.0.1.10 22 6 20 4249 1418530010 1418530070 ACCEPT OK",
        f"1 2 3 4 5 {VPC}",
    ],
)
def test_another_order_of_fields_needs_its_header(record: str) -> None:
    assert "header line" in refusal(f"{record}\n")


def test_a_reply_in_ocsf_is_told_by_its_flags() -> None:
    reply = OCSF | {
        "src_endpoint": OCSF["dst_endpoint"],
        "dst_endpoint": OCSF["src_endpoint"],
        "connection_info": {"protocol_num": 6, "direction": "Outbound", "tcp_flags": 19},
    }

    flows, log = read(json.dumps(reply) + "\n")

    assert flows == []
    assert log.skipped[Skip.REPLY] == 1


def test_the_action_of_a_device_is_what_it_says() -> None:
    text = "Protocol,SourceIP,SourcePort,DestinationIP,DestinationPort,DeviceAction\n6,198.51.100.7,40000,10.0.1.10,22,deny\n"

    assert read(text)[0] == [(*SSH[0][:5], DENIED)]


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("::ffff:198.51.100.7", "::ffff:10.0.1.10"),
        ("::FFFF:198.51.100.7", "10.0.1.10"),
        ("198.51.100.7", "::ffff:a00:10a"),
        ("0:0:0:0:0:ffff:c633:6407", "0::ffff:10.0.1.10"),
    ],
)
def test_an_ipv4_address_that_a_program_writes_as_ipv6_is_an_ipv4_address(source: str, destination: str) -> None:
    # What is sent are IPv4 packets, which rules for IPv6 never see.
    assert read(f"proto,src_ip,dst_ip,dst_port\ntcp,{source},{destination},22\n")[0] == SSH
    assert read(json.dumps({"proto": "tcp", "src_ip": source, "dst_ip": destination, "dst_port": 22}) + "\n")[0] == SSH


@pytest.mark.parametrize("address", ["::ffff:198.51.100.256", "::ffff:198.51.100", "::ffff:", "::fffe:198.51.100.7.1"])
def test_what_is_no_address_within_ipv6_is_refused(address: str) -> None:
    assert "line 2, source" in refusal(f"proto,src_ip,dst_ip,dst_port\ntcp,{address},10.0.1.10,22\n")


@pytest.mark.parametrize("row", ["\n", ",,,,\n", "\r\n", ";".join([""] * 5) + "\n"])
def test_rows_without_anything_take_no_time(row: str) -> None:
    mark = ";" if ";" in row else ","
    head = mark.join(("direction", "protocol", "source", "destination", "port"))
    data = f"{head}\n".encode() + row.encode() * ((2 << 20) // len(row))

    with at_most(1):
        flows, log = read(data)

    assert (flows, log.records) == ([], 0)


def test_a_day_and_a_clock_in_columns_of_their_own_are_one_time() -> None:
    head = "Date,Time,Protocol,Source,Source Port,Destination,Destination Port,Action\n"
    answer = "2018-02-15,08:31:01,TCP,10.0.1.10,40022,198.51.100.7,40000,Allow\n"
    asked = "2018-02-14,23:10:00.5,TCP,198.51.100.7,40000,10.0.1.10,40022,Allow\n"

    flows, log = read(head + answer + asked)

    assert flows == [("in", 6, "198.51.100.7", "10.0.1.10", 40022, ACCEPTED)]
    assert log.skipped[Skip.REPLY] == 1
    assert (
        read(head + answer.replace("2018-02-15,08", '"Feb 15, 2018","08').replace("01,TCP", '01",TCP') + asked)[0]
        == flows
    )
    assert "“14/02/2018 08:31:01” is not a time" in refusal(head + answer.replace("2018-02-15", "14/02/2018"))
    # What has its day already is left as it is.
    assert (
        read(head + answer.replace(",08:31", ",2018-02-15 08:31") + asked.replace(",23:10", ",2018-02-14 23:10"))[0]
        == flows
    )


VPC_RECORD = "2 123456789010 eni-0a1 198.51.100.7 10.0.1.10 40000 22 6 20 4249 1700000010 1700000070 ACCEPT OK"


@pytest.mark.parametrize(
    "text",
    [
        f"@timestamp,@message,@logStream,@log\n2026-09-22 20:28:14.000,{VPC_RECORD},eni-0a1-all,123456789010:flows\n",
        f'"@message","@timestamp"\n"{VPC_RECORD}","2026-09-22 20:28:14.000"\n',
        f"EVENTS\t36172\t1700000100000\t{VPC_RECORD}\teni-0a1-all\t1700000010000\nSEARCHEDLOGSTREAMS\teni-0a1-all\tTrue\n",
        json.dumps(
            {
                "results": [
                    [
                        {"field": "@timestamp", "value": "2026-09-22 20:28:14.000"},
                        {"field": "@message", "value": VPC_RECORD},
                    ]
                ]
            }
        ),
        json.dumps({"results": [[{"field": "@message", "value": VPC_RECORD}]], "status": "Complete"}, indent=2),
    ],
)
def test_records_that_cloudwatch_found_are_read(text: str) -> None:
    flows, log = read(text)

    assert flows == ALLOWED_SSH
    assert (log.kind, log.records) == ("VPC flow log", 1)


def test_what_sent_an_event_is_not_where_its_flow_comes_from() -> None:
    flow = {"sourceAddress": "198.51.100.7", "sourcePort": 40000, "destinationAddress": "10.0.1.10", "destinationPort": 22, "protocol": 6, "protocolName": "TCP", "action": "ACCEPT"}  # fmt: skip

    assert read(json.dumps({"data": flow, "source": "-", "specversion": "1.0", "id": "1"}) + "\n")[0] == ALLOWED_SSH


def test_who_reports_a_flow_of_calico_tells_its_direction() -> None:
    flow = {"source_ip": "198.51.100.7", "source_port": 40000, "dest_ip": "10.0.1.10", "dest_port": 22, "proto": "tcp", "action": "allow"}  # fmt: skip

    assert read(json.dumps(flow | {"reporter": "dst"}) + "\n")[0] == ALLOWED_SSH
    sent = flow | {"source_ip": "10.0.1.10", "dest_ip": "198.51.100.7", "reporter": "src"}
    assert read(json.dumps(sent) + "\n")[0] == [("out", 6, "10.0.1.10", "198.51.100.7", 22, ACCEPTED)]


def test_lists_without_ports_or_addresses_are_named() -> None:
    packets = '"No.","Time","Source","Destination","Protocol","Length","Info"\n"1","0.0","198.51.100.7","10.0.1.10","TCP","66","51515  >  22 [SYN]"\n'
    piped = "2|1286278000|1|1286278003|1|6|0|0|0|3325256711|40000|0|0|0|167772426|22|0|0|0|0|16|0|9|11214\n"

    assert "as pcapng" in refusal(packets)
    assert "“-o csv”" in refusal(piped)


def test_files_that_were_put_together_are_read_to_their_end() -> None:
    one = {"src_ip": "198.51.100.7", "src_port": 40000, "dest_ip": "10.0.1.10", "dest_port": 22, "proto": "tcp"}
    other = {**one, "src_ip": "198.51.100.8"}
    both = sorted([SSH[0], ("in", 6, "198.51.100.8", "10.0.1.10", 22, UNSAID)], key=str)
    long = {**one, "note": "x" * 3_000_000}

    for text in (
        f"{json.dumps([one])}\n{json.dumps([other])}\n",
        f"{json.dumps([one], indent=1)}\n{json.dumps([other], indent=1)}",
        json.dumps({"records": [one], "events": [other]}),
        json.dumps({"records": [long], "more": 1}) + "\n" + json.dumps({"records": [other]}),
        json.dumps({"records": [long], "events": [other]}),
    ):
        assert read(text)[0] == both


NFDUMP_CSV = "ts,te,td,sa,da,sp,dp,pr,flg,ipkt,ibyt\n2026-06-28 23:17:41,2026-06-28 23:17:44,3.000,{},10.0.1.10,40000,22,TCP,..S,9,11214\nSummary\nflows,bytes\n1,11214\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_nfdumps_csvs_one_behind_the_other_are_read(end: str) -> None:
    text = "".join(NFDUMP_CSV.format(f"198.51.100.{host}") for host in (7, 8, 9)).replace("\n", end)

    flows, log = read(text)

    assert ([flow[2] for flow in flows], log.records) == (["198.51.100.7", "198.51.100.8", "198.51.100.9"], 3)
    assert "line 7, source" in refusal(text.replace("198.51.100.8", "198.51.100.x", 1))


def test_the_marks_of_files_that_were_put_together_are_no_letters() -> None:
    one = "\ufeffproto,src_ip,dst_ip,dst_port\r\ntcp,198.51.100.7,10.0.1.10,22\r\n"

    assert read(one + one)[0] == SSH * 2
    wide = one.removeprefix("\ufeff").encode("utf-16")
    assert read(wide + wide)[0] == SSH * 2


PING = "direction,protocol,source,destination,source_port,port,icmp_type\n"


def test_a_ping_each_way_are_two_flows() -> None:
    there, back = (
        ("in", 1, "198.51.100.7", "10.0.1.10", None, UNSAID),
        ("out", 1, "10.0.1.10", "198.51.100.7", None, UNSAID),
    )
    rows = ("in,icmp,198.51.100.7,10.0.1.10,,,8", "out,icmp,10.0.1.10,198.51.100.7,,,0", "out,icmp,10.0.1.10,198.51.100.7,,,8", "in,icmp,198.51.100.7,10.0.1.10,,,0")  # fmt: skip

    flows, log = read(PING + "\n".join(rows))
    assert (flows, log.skipped[Skip.ICMP_ANSWER]) == ([there, back], 2)

    line = "Jun 28 23:17:41 web kernel: IN={} OUT={} SRC={} DST={} LEN=84 TTL=64 PROTO=ICMP TYPE=8 CODE=0 ID=1 SEQ=1\n"
    lines = line.format("eth0", "", "198.51.100.7", "10.0.1.10") + line.format("", "eth0", "10.0.1.10", "198.51.100.7")
    assert read(lines)[0] == [there, back]


def test_an_opener_behind_its_reply_is_judged_however_far() -> None:
    row = "{},{},{},{},{},tcp,{}\n"
    other = "".join(row.format(1000, f"198.51.{n >> 8}.{n & 255}", 40000, "10.0.1.11", 443, "S") for n in range(60_000))
    head = "start,source,source_port,destination,port,protocol,tcp_flags\n"
    reply, opener = (
        row.format(1001, "10.0.1.10", 8443, "198.51.100.7", 40000, "SA"),
        row.format(1000, "198.51.100.7", 40000, "10.0.1.10", 8443, ""),
    )

    flows, log = read(head + reply + other + opener + reply + opener)

    assert [flow for flow in flows if flow[3] == "10.0.1.10"] == [("in", 6, "198.51.100.7", "10.0.1.10", 8443, UNSAID)]
    assert (log.skipped[Skip.REPLY], log.skipped[Skip.REPEAT]) == (2, 1)


def test_a_log_that_begins_in_the_middle_of_a_connection_turns_nobody_round() -> None:
    record = VPC_RECORD.replace("198.51.100.7 10.0.1.10 40000 22", "10.0.1.10 198.51.100.7 22 40000")
    later = VPC_RECORD.replace("1700000010", "1700000013")

    flows, log = read(f"{record}\n{later}\n")
    assert (flows, log.guessed) == (ALLOWED_SSH, 1)

    flows, log = read(f"{record}\n")
    assert (flows, log.skipped[Skip.REPLY], log.guessed) == ([], 1, 1)


EVE = {"timestamp": "2026-06-28T23:17:41.0+0000", "event_type": "alert", "src_ip": "198.51.100.7", "src_port": 80, "dest_ip": "10.0.1.10", "dest_port": 45504, "proto": "TCP", "alert": {"action": "allowed"}}  # fmt: skip


def test_a_packet_of_suricata_without_a_direction_may_be_the_servers() -> None:
    flows, log = read(json.dumps(EVE) + "\n")
    assert (flows, log.skipped[Skip.REPLY], log.guessed) == ([], 1, 1)

    dropped = {**EVE, "event_type": "drop", "drop": {"syn": False, "ack": True}}
    assert read(json.dumps(dropped) + "\n")[1].skipped[Skip.MIDDLE] == 1
    dropped["drop"] = {"syn": True, "ack": False}
    assert read(json.dumps(dropped) + "\n")[0] == [("in", 6, "198.51.100.7", "10.0.1.10", 45504, DENIED)]


@pytest.mark.parametrize("wrap", [lambda event: {"event": event, "firewall_name": "x"}, lambda event: {"suricata": {"eve": event}, "source": {"ip": "192.0.2.1"}}])  # fmt: skip
def test_events_of_suricata_within_others_are_read_as_such(wrap: Callable[[object], object]) -> None:
    event = {"event_type": "netflow", "src_ip": "198.51.100.7", "src_port": 40000, "dest_ip": "10.0.1.10", "dest_port": 22, "proto": "TCP", "tcp": {"tcp_flags": "1b"}}  # fmt: skip

    flows, log = read(json.dumps(wrap(event)) + "\n")

    assert (flows, log.kind) == (SSH, "Suricata")


def test_a_gateways_direction_is_not_the_vms() -> None:
    head = "version tgw-id srcaddr dstaddr srcport dstport protocol start end flow-direction\n"
    record = "6 tgw-0123456789abcdef0 10.0.1.10 198.51.100.7 40000 443 6 1700000000 1700000060 ingress\n"

    assert read(head + record)[0] == [("out", 6, "10.0.1.10", "198.51.100.7", 443, UNSAID)]
    assert "only its header line tells" in refusal(record)
    for word in ("SRC_GATEWAY", "internal", "external"):
        assert read(f"direction,protocol,source,destination,port\n{word},tcp,198.51.100.7,10.0.1.10,22\n")[0] == SSH


def test_other_columns_of_zeek_in_the_middle_are_refused() -> None:
    fields = ["ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto"]
    row = ["1.5", "C1", "198.51.100.7", "40000", "10.0.1.10", "22", "tcp"]
    turned = [2, 3, 0, 1, 4, 5, 6]
    texts = ["\t".join(["#fields", *names]) + "\n" + "\t".join(values) + "\n" for names, values in ((fields, row), ([fields[at] for at in turned], [row[at] for at in turned]))]  # fmt: skip
    head = "#separator \\x09\n"

    assert read(head + texts[0] + texts[0])[0] == SSH
    assert "Other columns begin here" in refusal(head + texts[0] + head + texts[1])
