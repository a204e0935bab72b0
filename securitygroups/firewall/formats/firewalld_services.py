"""Services that firewalld ships with one definition in all its versions, by their protocols and ports."""

_TOLD = """
ssh tcp/22 | http tcp/80 | https tcp/443 | http3 udp/443 | dns tcp/53 udp/53 | smtp tcp/25 | smtps tcp/465 | smtp-submission tcp/587
imap tcp/143 | imaps tcp/993 | pop3 tcp/110 | pop3s tcp/995 | ntp udp/123 | mysql tcp/3306 | postgresql tcp/5432 | redis tcp/6379
mongodb tcp/27017 | nfs tcp/2049 | cockpit tcp/9090 | rpc-bind tcp/111 udp/111 | mountd tcp/20048 udp/20048 | ldap tcp/389
ldaps tcp/636 | kerberos tcp/88 udp/88 | telnet tcp/23 | openvpn udp/1194 | wireguard udp/51820 | grafana tcp/3000
docker-registry tcp/5000 | docker-swarm tcp/2377 tcp/7946 udp/7946 udp/4789 50 | kube-apiserver tcp/6443 | etcd-client tcp/2379
etcd-server tcp/2380 | elasticsearch tcp/9200 tcp/9300 | git tcp/9418 | rsyncd tcp/873 udp/873 | squid tcp/3128 | tftp udp/69
ipp tcp/631 udp/631 | ipp-client udp/631 | mssql tcp/1433 | amqp tcp/5672 | amqps tcp/5671 | mqtt tcp/1883 | mqtt-tls tcp/8883
xmpp-client tcp/5222 | xmpp-server tcp/5269 | irc tcp/6667 | ircs tcp/6697 | svn tcp/3690
puppetmaster tcp/8140 | zabbix-agent tcp/10050 | zabbix-server tcp/10051 | prometheus-node-exporter tcp/9100 | syslog udp/514
afp tcp/548 | audit tcp/60 | bacula tcp/9101 tcp/9102 tcp/9103 | bacula-client tcp/9102 | bitcoin tcp/8333 | ceph-mon tcp/3300 tcp/6789
checkmk-agent tcp/6556 | collectd udp/25826 | ctdb tcp/4379 udp/4379 | dhcp udp/67 | dhcpv6 udp/547 | dns-over-quic udp/853
dns-over-tls tcp/853 | freeipa-4 tcp/80 tcp/88 tcp/389 tcp/443 tcp/464 tcp/636 udp/88 udp/464 | ftp tcp/21 | gitea tcp/3000
freeipa-ldap tcp/80 tcp/88 tcp/389 tcp/443 tcp/464 udp/88 udp/123 udp/464 | galera tcp/3306 tcp/4444 tcp/4567 tcp/4568 | gre 47
freeipa-ldaps tcp/80 tcp/88 tcp/443 tcp/464 tcp/636 udp/88 udp/123 udp/464 | freeipa-replication tcp/7389 | ident tcp/113
iperf3 sctp/5201 tcp/5201 udp/5201 | iscsi-target tcp/3260 udp/3260 | kadmin tcp/749 | kdeconnect tcp/1714-1764 udp/1714-1764
kpasswd tcp/464 udp/464 | kube-api tcp/10250 | kube-controller-manager tcp/10252 | kube-controller-manager-secure tcp/10257
kube-control-plane-secure tcp/2379 tcp/2380 tcp/6443 tcp/10257 tcp/10259 | kube-nodeport-services tcp/30000-32767
kube-scheduler tcp/10251 | kube-scheduler-secure tcp/10259 | kube-worker tcp/10250 tcp/30000-32767 | kubelet tcp/10250
kubelet-readonly tcp/10255 | kubelet-worker tcp/10250 tcp/30000-32767 | libvirt tcp/16509 | libvirt-tls tcp/16514
matrix tcp/443 tcp/8448 | memcache tcp/11211 udp/11211 | minecraft tcp/25565 udp/25565 | mosh udp/60000-61000 | ms-wbt tcp/3389
murmur tcp/64738 udp/64738 | nebula udp/4242 | netbios-ns udp/137 | netdata-dashboard tcp/19999 | nfs3 tcp/2049 udp/2049
nrpe tcp/5666 | nut tcp/3493 | opentelemetry tcp/4317 tcp/4318 | privoxy tcp/8118 | prometheus tcp/9090 | proxy-http tcp/3128
ptp udp/319 udp/320 | rdp tcp/3389 | redis-sentinel tcp/26379 | rquotad tcp/875 udp/875 | rtsp tcp/554 udp/554
salt-master tcp/4505 tcp/4506 | samba tcp/139 tcp/445 udp/137 udp/138 | samba-client udp/137 udp/138 | sip tcp/5060 udp/5060
sips tcp/5061 udp/5061 | snmp tcp/161 udp/161 | snmptrap tcp/162 udp/162 | socks tcp/1080 | solr tcp/8983 | stun tcp/3478 udp/3478
stuns tcp/5349 udp/5349 | submission tcp/587 | syncthing-gui tcp/8384 | tinc tcp/655 udp/655 | tor-socks tcp/9050
turn tcp/3478 udp/3478 | turns tcp/5349 udp/5349 | vnc-server tcp/5900-5903 | wsman tcp/5985 | wsmans tcp/5986
xmpp-bosh tcp/5280 | zabbix-java-gateway tcp/10052 | zabbix-trapper tcp/10051 | zabbix-web-service tcp/10053 | zerotier udp/9993
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
