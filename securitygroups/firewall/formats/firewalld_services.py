"""Services that firewalld ships with one definition in all its versions, by their protocols and ports."""

_TOLD = """
ssh tcp/22 | http tcp/80 | https tcp/443 | http3 udp/443 | dns tcp/53 udp/53 | smtp tcp/25 | smtps tcp/465 | smtp-submission tcp/587
imap tcp/143 | imaps tcp/993 | pop3 tcp/110 | pop3s tcp/995 | ntp udp/123 | mysql tcp/3306 | postgresql tcp/5432 | redis tcp/6379
mongodb tcp/27017 | nfs tcp/2049 | cockpit tcp/9090 | rpc-bind tcp/111 udp/111 | mountd tcp/20048 udp/20048 | ldap tcp/389
ldaps tcp/636 | kerberos tcp/88 udp/88 | telnet tcp/23 | openvpn udp/1194 | wireguard udp/51820 | grafana tcp/3000
docker-registry tcp/5000 | docker-swarm tcp/2377 tcp/7946 udp/7946 udp/4789 50 | kube-apiserver tcp/6443 | etcd-client tcp/2379
etcd-server tcp/2380 | elasticsearch tcp/9200 tcp/9300 | git tcp/9418 | rsyncd tcp/873 udp/873 | squid tcp/3128 | tftp udp/69
ipp tcp/631 udp/631 | ipp-client udp/631 | mssql tcp/1433 | amqp tcp/5672 | amqps tcp/5671 | mqtt tcp/1883 | mqtt-tls tcp/8883
xmpp-client tcp/5222 | xmpp-server tcp/5269 | irc tcp/6667 | ircs tcp/6697 | svn tcp/3690 | radius tcp/1812 udp/1812 tcp/1813 udp/1813
puppetmaster tcp/8140 | zabbix-agent tcp/10050 | zabbix-server tcp/10051 | prometheus-node-exporter tcp/9100 | syslog udp/514
syslog-tls tcp/6514 udp/6514 | managesieve tcp/4190 | jenkins tcp/8080 | kibana tcp/5601 | bgp tcp/179
"""
BY_ITSELF = frozenset({"dhcpv6-client", "dhcp-client"})
"""What a VM needs to get its address, and always may."""


def _services() -> dict[str, list[tuple[str, str]]]:
    found = {}
    for told in _TOLD.replace("\n", "|").split("|"):
        name, *parts = told.split() or [""]
        if name:
            found[name] = [(part.partition("/")[0], part.partition("/")[2]) for part in parts]
    return found


SERVICES = _services()
