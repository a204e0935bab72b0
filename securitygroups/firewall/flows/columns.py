"""What programs call the columns that are read, and what else is told by the names that stand together."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from securitygroups.firewall.formats.strict import BadDocument, bad

NEEDED = ("protocol", "source", "destination", "port")

VPC_COLUMNS = (
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol"),
    *("packets", "bytes", "start", "end", "action", "log-status"),
)
"""The default fields of a VPC flow log, version 2."""

# The likelier one stands first: where a table has several of a line, that one is read. What is in brackets by JSON of
# nested objects, or by dots, comes as one word.
_SPELLINGS = {
    "protocol": """protocol proto prot pr pro ipprotocol ipproto protocolnumber protocolnum protonum protocolid
        protocolidentifier protocolname ipprotocolname l4protocol l4protocols l4proto transport transportprotocol
        networktransport layer4protocol networkiananumber iananumber connectionprotocol jsonpayloadconnectionprotocol connectioninfoprotocolnum
        connectioninfoprotocolname""",
    "source": """srcaddr srcip srcipaddr srcipaddress srcaddress sourceaddress sourceaddr sourceip sourceipaddress
        sourceipv4address sourceipv6address ipsrc ipsrcaddr ipsource ipsourceaddress sa sip saddr idorigh origh origip
        ipv4srcaddr ipv6srcaddr src4addr src6addr srcips srcipv4 connectionsrcip jsonpayloadconnectionsrcip srcendpointip initiatorip src
        source""",
    "destination": """dstaddr dstip dstipaddr dstipaddress dstaddress destinationaddress destinationaddr destinationip
        destinationipaddress destaddr destaddress destip destipaddress destinationipv4address destinationipv6address
        ipdst ipdstaddr ipdestination ipdestinationaddress da dip daddr idresph resph respip ipv4dstaddr ipv6dstaddr
        dst4addr dst6addr destips dstipv4 connectiondestip jsonpayloadconnectiondestip dstendpointip targetip
        dst dest destination""",
    "source_port": """sourceport srcport srcprt sport sp spt idorigp origp l4srcport portsrc sourcetransportport srcportd
        sourceportd tcpsourceport udpsourceport tcpsrcport udpsrcport connectionsrcport jsonpayloadconnectionsrcport
        srcendpointport initiatorport""",
    "port": """port dstport destinationport destport dstprt dport dp dpt idrespp respp l4dstport portdst
        destinationtransportport destportd destinationportd tcpdestinationport udpdestinationport tcpdstport udpdstport
        connectiondestport jsonpayloadconnectiondestport dstendpointport targetport""",
    "direction": """direction flowdirection flowdirections networkdirection trafficdirection ruledetailsdirection
        jsonpayloadruledetailsdirection connectioninfodirection reporter jsonpayloadreporter""",
    "start": """start starttime ts firstseen datefirstseen flowstart flowstarttime first firstswitched stime
        flowstartmicroseconds flowstartmilliseconds flowstartseconds timeflowstartns timeflowstartms timeflowstart
        timestart timestampstart starttimestamp eventstart jsonpayloadstarttime timestamp datetime eventtime
        timegenerated frametimeepoch time""",
    "tcp_flags": "tcpflags tcpflagsstr tcpflag tcpcontrolbits flags flag flg tcptcpflags connectioninfotcpflags",
    "said": """said verdict disposition jsonpayloaddisposition action flowstatus flowstatuss policyaction ruleaction
        trafficdecision decision eventaction deviceaction""",
    "icmp_type": "icmptype icmpv4type icmpv6type",
    "turned": "dir",
}
NAMES = {spelling: (name, rank) for name, text in _SPELLINGS.items() for rank, spelling in enumerate(text.split())}
"""What a column's name, without dots, blanks and the like, stands for, and its rank among those that stand for it."""

_BETWEEN = re.compile(r"[^0-9a-z]+")
_VPC = {"srcaddr", "dstaddr", "srcport", "dstport", "protocol", "accountid", "interfaceid", "logstatus", "pktsrcaddr"}
_VPC |= {"sourceaddress", "destinationaddress", "sourceport", "destinationport"}
_OF_GATEWAY = "tgwid"
_OF_VPC = {"accountid", "account", "interfaceid", "logstatus"}
_NETFLOW = (
    {"ts", "td", "sa", "da"},
    {"firstseen", "srcaddr", "dstaddr"},
    {"ipv4srcaddr", "l4srcport"},
    {"sourceipv4address", "protocolidentifier"},
    {"timeflowstartns", "srcaddr"},
    {"sip", "dip", "stime"},
    {"src4addr", "dst4addr"},
    {"src6addr", "dst6addr"},
    {"timestampstart", "tcpflags"},
    {"netflowtcpcontrolbits"},
)
_ZEEK = {"idorigh", "idresph"}
_OCSF = {"srcendpointip", "dstendpointip"}
PORTLESS = "ipproto"
"""Zeek's second column of the protocol, which alone tells those whose ports Zeek does not read."""


class Traits(NamedTuple):
    """What else is known of the records of one program.

    `beside`: the TCP flags that SYN and ACK may have beside them in a record of an answer; -1 where flags are collected
    over all packets one way, so that SYN and ACK together tell nothing. `opens`: the source of each record is who began. `packets`: each record is one packet, in the order of their time.
    `icmp_in` names the column that holds the ICMP type. `trailer` is the word with which a line begins that ends the
    records. `empty`: a record may say that there was nothing to record.
    """

    kind: str
    beside: int = 0
    opens: bool = False
    packets: bool = False
    icmp_in: str = ""
    trailer: bytes = b""
    empty: bool = False


NETFLOW = Traits("NetFlow", beside=-1, icmp_in="port", trailer=b"Summary")
ZEEK = Traits("Zeek", opens=True, icmp_in="source_port")
VPC = Traits("VPC flow log", beside=0x3F, empty=True)
WINDOWS = Traits("Windows firewall log", packets=True, icmp_in="icmp_type", empty=True)
CSV = Traits("CSV", icmp_in="icmp_type")
_ATHENA = CSV._replace(beside=0x3F, empty=True)
OCSF = Traits("OCSF", beside=0x3F, icmp_in="icmp_type")


def bare(name: str) -> str:
    """A column's name without what differs from program to program."""
    return _BETWEEN.sub("", name.lower())


def standing_for(names: Sequence[str]) -> list[str]:
    """For each column what it is read as, "" where it is passed over. Raises BadDocument where one stands twice."""
    plain = [bare(name) for name in names]
    _refuse_ports_apart(plain)
    chosen = _chosen(plain)
    for name, word in chosen.items():
        if plain.count(word) > 1:
            raise _twice(name)
    spare = {PORTLESS: "portless"} if set(plain) >= _ZEEK and chosen.get("protocol") != PORTLESS else {}
    if chosen.get("start") == "time" and plain.count("date") == 1:
        spare["date"] = "day"
    if _OF_GATEWAY in plain:
        # Ingress is into the gateway there, whichever of the ends is a VM's.
        chosen.pop("direction", None)
    return [NAMES[word][0] if word in chosen.values() else spare.get(word, "") for word in plain]


def _refuse_ports_apart(plain: Sequence[str]) -> None:
    for word in plain:
        if word.startswith("tcp") and word.endswith("port") and "udp" + word[3:] in plain:
            raise bad("line 1", "Ports of TCP and of UDP stand in columns of their own: put them into one, port.")


def _chosen(plain: Sequence[str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for word in plain:
        if word in NAMES:
            name, rank = NAMES[word]
            if name not in chosen or rank < NAMES[chosen[name]][1]:
                chosen[name] = word
    return chosen


def _twice(name: str) -> BadDocument:
    return bad("line 1", f"The column {name} stands twice: keep one of them.")


def known(names: Sequence[str]) -> int:
    """How many of what is read these names stand for."""
    return len(Counter(NAMES[word][0] for word in map(bare, names) if word in NAMES))


def traits_of(names: Sequence[str]) -> Traits:
    """Which program wrote a table of such columns."""
    words = {bare(name) for name in names}
    if words >= _ZEEK:
        return ZEEK
    if any(words >= few for few in _NETFLOW):
        return NETFLOW
    if words >= _OCSF:
        return OCSF
    return _ATHENA if looks_like_vpc(names) and words & _OF_VPC else CSV


def looks_like_vpc(names: Sequence[str]) -> bool:
    """Whether fields between blanks are named as those of VPC flow logs are."""
    words = {bare(name) for name in names}
    return len(words & _VPC) >= 2
