"""Names of IP protocols and ports as other programs write them: of IANA's registries, and what systems add to those.

What people call a service stands in services and several; what a rule here may be about, in protocols.
"""

PROTOCOL_NUMBERS = {
    "icmp": 1, "igmp": 2, "ggp": 3, "ipencap": 4, "ip-in-ip": 4, "tcp": 6, "egp": 8, "igp": 9,
    "igrp": 9, "udp": 17, "dccp": 33, "ipv6": 41, "ipv6-encap": 41, "ipv6-route": 43, "ipv6-frag": 44,
    "rsvp": 46, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "ipv6-icmp": 58, "icmp6": 58, "ip6-icmp": 58,
    "ipv6-nonxt": 59, "ipv6-opts": 60, "eigrp": 88, "ospf": 89, "ospfigp": 89, "ipip": 94, "etherip": 97, "pim": 103,
    "ipcomp": 108, "vrrp": 112, "carp": 112, "pgm": 113, "l2tp": 115, "sctp": 132, "mobility": 135, "udplite": 136,
    "mpls-in-ip": 137, "pfsync": 240,
}  # fmt: skip
"""IP protocols by name, in small letters. “ip”, “ip6”, “ipv4” and “hopopt” are not among them, by which some mean every protocol."""
IN_LOGS = PROTOCOL_NUMBERS | {"hopopt": 0, "ipip": 4, "nos": 94}
"""The same where a packet is told of: exporters and routers call IP in IP so."""
WITH_PORTS = frozenset({6, 17, 33, 132, 136})
"""IP protocols whose packets begin with two ports, also those that no rule here is about alone."""

PORTS = {
    "ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69,
    "http": 80, "www": 80, "kerberos": 88, "pop3": 110, "sunrpc": 111, "auth": 113, "ident": 113, "ntp": 123,
    "netbios-ns": 137, "netbios-dgm": 138, "netbios-ssn": 139, "imap": 143, "imap2": 143, "snmp": 161, "snmp-trap": 162,
    "snmptrap": 162, "bgp": 179, "ldap": 389, "https": 443, "microsoft-ds": 445, "submissions": 465, "isakmp": 500,
    "syslog": 514, "printer": 515, "dhcpv6-client": 546, "dhcpv6-server": 547, "rtsp": 554, "submission": 587, "ipp": 631,
    "ldaps": 636, "domain-s": 853, "rsync": 873, "imaps": 993, "pop3s": 995, "openvpn": 1194, "ms-sql-s": 1433,
    "radius": 1812, "nfs": 2049, "mysql": 3306, "ms-wbt-server": 3389, "ipsec-nat-t": 4500, "sip": 5060, "mdns": 5353,
    "postgresql": 5432, "amqp": 5672, "x11": 6000, "redis": 6379, "http-alt": 8080, "webcache": 8080,
}  # fmt: skip
"""Ports by the names that /etc/services has for them, in small letters."""
