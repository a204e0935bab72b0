"""Well-known services and their ports: names for pages, presets for rules, and which of them are rarely meant for all."""

from dataclasses import dataclass
from enum import Enum

MIN_WORD = 3
"""Letters that tell a service; fewer begin too many words of other things."""


class Use(Enum):
    """What a service is for, as far as it matters who reaches it."""

    PUBLIC = "public"
    MANAGEMENT = "management"
    DATA = "database"


@dataclass(frozen=True, slots=True)
class Service:
    """A well-known service: what people call it, the rule protocol, the port it listens on (None of one without), its use."""

    name: str
    protocol: str
    port: int | None
    use: Use = Use.PUBLIC

    @property
    def told(self) -> str:
        """Its protocol and port: "TCP 22", "ICMP"."""
        return self.protocol.upper() if self.port is None else f"{self.protocol.upper()} {self.port}"

    @property
    def sensitive(self) -> bool:
        """Whether being reachable from the whole internet is rarely meant."""
        return self.use is not Use.PUBLIC


SERVICES: tuple[Service, ...] = (
    Service("FTP", "tcp", 21),
    Service("SSH", "tcp", 22, Use.MANAGEMENT),
    Service("Telnet", "tcp", 23, Use.MANAGEMENT),
    Service("SMTP", "tcp", 25),
    Service("DNS", "udp", 53),
    Service("DNS", "tcp", 53),
    Service("HTTP", "tcp", 80),
    Service("NTP", "udp", 123),
    Service("IMAP", "tcp", 143),
    Service("SNMP", "udp", 161, Use.MANAGEMENT),
    Service("LDAP", "tcp", 389, Use.DATA),
    Service("HTTPS", "tcp", 443),
    Service("HTTP/3", "udp", 443),
    Service("SMB", "tcp", 445, Use.DATA),
    Service("IKE", "udp", 500),
    Service("Syslog", "udp", 514),
    Service("Mail submission", "tcp", 587),
    Service("IMAPS", "tcp", 993),
    Service("OpenVPN", "udp", 1194),
    Service("SQL Server", "tcp", 1433, Use.DATA),
    Service("NFS", "tcp", 2049, Use.DATA),
    Service("Docker", "tcp", 2375, Use.MANAGEMENT),
    Service("etcd", "tcp", 2379, Use.DATA),
    Service("MySQL", "tcp", 3306, Use.DATA),
    Service("RDP", "tcp", 3389, Use.MANAGEMENT),
    Service("RDP", "udp", 3389, Use.MANAGEMENT),
    Service("IPsec NAT-T", "udp", 4500),
    Service("PostgreSQL", "tcp", 5432, Use.DATA),
    Service("AMQP", "tcp", 5672),
    Service("VNC", "tcp", 5900, Use.MANAGEMENT),
    Service("WinRM", "tcp", 5985, Use.MANAGEMENT),
    Service("Redis", "tcp", 6379, Use.DATA),
    Service("Kubernetes API", "tcp", 6443, Use.MANAGEMENT),
    Service("Elasticsearch", "tcp", 9200, Use.DATA),
    Service("Memcached", "tcp", 11211, Use.DATA),
    Service("MongoDB", "tcp", 27017, Use.DATA),
    Service("WireGuard", "udp", 51820),
    Service("Ping", "icmp", None),
)
"""Ports that the pages name, after the IANA service name registry and what the servers' own manuals give as default."""


def called(word: str) -> list[Service]:
    """The services in whose name a word begins with this: “ssh”, “http” (HTTPS too), “sql” (SQL Server)."""
    word = word.lower()
    if len(word) < MIN_WORD:
        return []
    return [
        one for one in SERVICES if any(part.startswith(word) for part in (one.name.lower(), *one.name.lower().split()))
    ]
