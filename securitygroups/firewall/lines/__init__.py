"""Lines that people paste: what each program prints of a packet, read by one table.

`pasted.READERS` is that table, with a module for each kind of line; `line` has what all of them give back, and `replies` what
such a packet is where it opens no connection.

- `kernel`: iptables, nftables, ufw, firewalld, Proxmox, ebtables. `pf`: pf, ipfw, IP Filter.
- `dumps`: tcpdump, and lines typed by hand. `sharks`: Wireshark and tshark.
- `appliances`: Cisco, Juniper, Palo Alto, MikroTik, NSX. `clouds`: VPC and Azure flow logs.
- `pairs`: JSON and key=value, whoever writes it (Suricata, Zeek, GCP, FortiGate, CEF …).
- `others`: conntrack, OVN, Neutron, the Windows firewall, Suricata's fast.log, Zeek's conn.log.
"""
