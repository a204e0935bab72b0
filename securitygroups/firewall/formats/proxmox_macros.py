"""Services that a rule of Proxmox may name: protocol and ports, or "icmp" and a type, as its manual's appendix lists them."""

_TOLD = """
amanda udp/10080 tcp/10080 | auth tcp/113 | bgp tcp/179 | bittorrent tcp/6881:6889 udp/6881 | bittorrent32 tcp/6881:6999 udp/6881
cvs tcp/2401 | citrix tcp/1494 udp/1604 tcp/2598 | daap tcp/3689 udp/3689 | dcc tcp/6277 | dns udp/53 tcp/53 | distcc tcp/3632
ftp tcp/21 | finger tcp/79 | gre 47 | git tcp/9418 | hkp tcp/11371 | http tcp/80 | https tcp/443 | icpv2 udp/3130 | icq tcp/5190
imap tcp/143 | imaps tcp/993 | ipip 94 | ipsecnat udp/500 udp/4500 50 | irc tcp/6667 | jetdirect tcp/9100 | l2tp udp/1701
ldap tcp/389 | ldaps tcp/636 | msnp tcp/1863 | mssql tcp/1433 | mail tcp/25 tcp/465 tcp/587 | munin tcp/4949 | mysql tcp/3306
nntp tcp/119 | nntps tcp/563 | ntp udp/123 | ospf 89 | openvpn udp/1194 | pca udp/5632 tcp/5631 | pop3 tcp/110 | pop3s tcp/995
pptp 47 tcp/1723 | ping icmp/echo-request | postgresql tcp/5432 | printer tcp/515 | rdp tcp/3389 | rip udp/520 | rndc tcp/953
rdate tcp/37 | rsync tcp/873 | sane tcp/6566 | smbswat tcp/901 | smtp tcp/25 | smtps tcp/465 | snmp udp/161:162 tcp/161
spamd tcp/783 | ssh tcp/22 | svn tcp/3690 | squid tcp/3128 | submission tcp/587 | syslog udp/514 tcp/514 | tftp udp/69
telnet tcp/23 | telnets tcp/992 | time tcp/37 | trcrt udp/33434:33524 icmp/echo-request | vnc tcp/5900:5999 | vncl tcp/5500
web tcp/80 tcp/443 | webcache tcp/8080 | webmin tcp/10000 | whois tcp/43
"""


def _macros() -> dict[str, list[dict[str, str]]]:
    found = {}
    for told in _TOLD.replace("\n", "|").split("|"):
        name, *parts = told.split() or [""]
        if name:
            pairs = [part.partition("/") for part in parts]
            found[name] = [{"p": protocol} | ({"dport": port} if port else {}) for protocol, _, port in pairs]
    return found


MACROS = _macros()
