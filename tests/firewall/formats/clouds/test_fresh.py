"""Whole answers as programs of several releases write them, in own addresses, with what is read of each."""

import json
from typing import Any

import pytest

from securitygroups.firewall.formats.reading import Taken
from securitygroups.firewall.formats.systems import read_file
from tests.firewall.formats.clouds.test_samples import plain

OPNSENSE = (
    "@uuid,enabled,statetype,state-policy,sequence,action,quick,interfacenot,interface,direction,ipprotocol,protocol,icmptype,"
    "icmp6type,source_net,source_not,source_port,destination_net,destination_not,destination_port,divert-to,gateway,replyto,"
    "disablereplyto,log,allowopts,nosync,nopfsync,statetimeout,udp-first,udp-multiple,udp-single,max-src-nodes,max-src-states,"
    "max-src-conn,max,max-src-conn-rate,max-src-conn-rates,overload,adaptivestart,adaptiveend,prio,set-prio,set-prio-low,tag,"
    "tagged,tcpflags1,tcpflags2,categories,sched,tos,shaper1,shaper2,description"
)


def opnsense(**fields: str) -> str:
    given = {
        "@uuid": "0a1b", "enabled": "1", "statetype": "keep", "sequence": "100", "action": "pass", "quick": "1",
        "interfacenot": "0", "interface": "wan", "direction": "in", "ipprotocol": "inet", "protocol": "TCP",
        "source_net": "203.0.113.0/24", "source_not": "0", "destination_net": "any", "destination_not": "0",
        "destination_port": "443", "disablereplyto": "0", "log": "1", "nosync": "0", **fields,
    }  # fmt: skip
    return OPNSENSE + "\n" + ",".join(given.get(name, "") for name in OPNSENSE.split(",")) + "\n"


HTTPS = ("accept in tcp", "203.0.113.0/24", 443, 443)
ALL_OUT = ("accept out ip", "any", None, None)
MAIL = [("drop out tcp", "any", port, port) for port in (25, 465, 587)]
DROPLETS = {"droplet_ids": [7], "tags": [], "pending_changes": [], "created_at": "2024-01-01T00:00:00Z"}
PAIR = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "203.0.113.0/24"}]}
SCW = {"name": "sg", "enable_default_security": True, "stateful": True, "zone": "fr-par-1"}
FRESH: dict[str, tuple[Any, list[Any], int]] = {
    # What each is, what it is read as, and how many lines are not taken as they are.
    "aws of EC2-Classic": (
        {"SecurityGroups": [{"GroupName": "web", "OwnerId": "1", "Description": "", "IpPermissionsEgress": [],
         "IpPermissions": [{**PAIR, "UserIdGroupPairs": [{"UserId": "1", "GroupName": "bastion"}]}]}]},
        [HTTPS], 1,
    ),
    "aws of older libraries": (
        [{"GroupName": "web", "IpPermissions": [{**PAIR, "Groups": [{"GroupName": "bastion"}]}], "IpPermissionsEgress": []}],
        [HTTPS], 1,
    ),
    "aws describe-security-group-rules": (
        {"SecurityGroupRules": [
            {"SecurityGroupRuleId": "sgr-1", "GroupId": "sg-1", "GroupOwnerId": "1", "IsEgress": False, "IpProtocol": "-1",
             "FromPort": -1, "ToPort": -1, "ReferencedGroupInfo": {"GroupId": "sg-1", "UserId": "1"}, "Tags": []},
            {"SecurityGroupRuleId": "sgr-2", "GroupId": "sg-1", "GroupOwnerId": "1", "IsEgress": True, "IpProtocol": "-1",
             "FromPort": -1, "ToPort": -1, "CidrIpv6": "::/0", "Tags": [], "SecurityGroupRuleArn": "arn:aws:ec2:::x"},
        ]},
        [("accept out ip", "::/0", None, None)], 1,
    ),
    "openstack security group show of a newer release": (
        {"id": "g", "name": "web", "project_id": "p", "stateful": True, "shared": False, "tags": [], "is_shared": False,
         "rules": [{"id": "r", "ethertype": "IPv4", "direction": "ingress", "protocol": "tcp", "port_range_min": 443,
         "port_range_max": 443, "remote_ip_prefix": "203.0.113.0/24", "normalized_cidr": "203.0.113.0/24",
         "remote_group_id": None, "remote_address_group_id": None, "standard_attr_id": 5, "belongs_to_default_sg": False}]},
        [HTTPS], 0,
    ),
    "doctl with a rule that has no port, and one for nobody": (
        [{"id": "0a", "name": "web", "status": "succeeded", **DROPLETS,
          "inbound_rules": [
              {"protocol": "tcp", "ports": "443", "sources": {"addresses": ["203.0.113.0/24"], "load_balancer_uids": ["4d"]}},
              {"protocol": "tcp", "ports": "80", "sources": {}}],
          "outbound_rules": [{"protocol": "icmp", "destinations": {"addresses": ["0.0.0.0/0"]}}]}],
        [HTTPS, ("accept out icmp", "0.0.0.0/0", None, None)], 2,
    ),
    "hcloud firewall describe": (
        {"id": 1, "name": "web", "labels": {}, "created": "2024-01-01T00:00:00Z",
         "rules": [{"direction": "in", "protocol": "tcp", "port": "443", "source_ips": ["203.0.113.0/24"],
                    "destination_ips": [], "description": None},
                   {"direction": "in", "protocol": "esp", "port": None, "source_ips": ["0.0.0.0/0"], "destination_ips": []}],
         "applied_to": [{"type": "label_selector", "label_selector": {"selector": "env=prod"}}]},
        [HTTPS, ALL_OUT], 1,
    ),
    "scw instance security-group get": (
        {"id": "0a", **SCW, "inbound_default_policy": "drop", "outbound_default_policy": "accept", "servers": [],
         "Rules": [{"id": "r", "protocol": "TCP", "direction": "inbound", "action": "accept", "ip_range": "203.0.113.0/24",
                    "dest_port_from": 443, "dest_port_to": None, "position": 1, "editable": True, "zone": "fr-par-1"}]},
        [HTTPS, *MAIL, ALL_OUT], 0,
    ),
    "tofu show of a plan of Scaleway without rules": (
        {"format_version": "1.2", "planned_values": {"root_module": {"resources": [
            {"address": "scaleway_instance_security_group.closed", "mode": "managed", "name": "closed",
             "type": "scaleway_instance_security_group", "provider_name": "registry.opentofu.org/scaleway/scaleway",
             "values": {**SCW, "inbound_default_policy": "drop", "outbound_default_policy": "accept"}}]}}},
        [*MAIL, ALL_OUT], 0,
    ),
    "a state of DigitalOcean": (
        {"version": 4, "terraform_version": "1.9.8", "serial": 1, "lineage": "0a", "resources": [
            {"mode": "managed", "type": "digitalocean_firewall", "name": "fw", "instances": [{"attributes": {
                "id": "0a", "name": "web", "status": "succeeded", **DROPLETS,
                "inbound_rule": [{"protocol": "tcp", "port_range": "443", "source_addresses": ["203.0.113.0/24"],
                                  "source_droplet_ids": [], "source_kubernetes_ids": [], "source_tags": ["gateway"],
                                  "source_load_balancer_uids": []}],
                "outbound_rule": [{"protocol": "tcp", "port_range": "all", "destination_addresses": ["0.0.0.0/0", "::/0"],
                                   "destination_droplet_ids": [], "destination_tags": []}]}}]}]},
        [HTTPS, ("accept out tcp", "any", None, None)], 1,
    ),
    "cmk list securitygroups": (
        {"listsecuritygroupsresponse": {"count": 1, "securitygroup": [
            {"id": "0a", "name": "web", "account": "a", "domain": "ROOT", "egressrule": [], "tags": [],
             "ingressrule": [
                 {"cidr": "203.0.113.0/24", "description": "HTTPS", "startport": 443, "endport": 443, "protocol": "tcp",
                  "ruleid": "r", "tags": []},
                 {"securitygroupname": "db", "account": "a", "protocol": "all", "ruleid": "q", "tags": []}]}]}},
        [HTTPS, ALL_OUT], 1,
    ),
    "a rule of OPNsense 26": (opnsense(), [HTTPS], 0),
    "a rule of OPNsense 26 for the firewall itself": (opnsense(destination_net="wanip"), [], 1),
    "a rule of Google Cloud for one of its machines": (
        [{"kind": "compute#firewall", "name": "web", "network": "projects/p/global/networks/default", "direction": "INGRESS",
          "priority": 1000, "disabled": False, "logConfig": {"enable": False}, "sourceRanges": ["203.0.113.0/24"],
          "destinationRanges": ["198.51.100.7"], "allowed": [{"IPProtocol": "tcp", "ports": ["443"]}]}],
        [("accept out ip", "0.0.0.0/0", None, None)], 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FRESH)
def test_an_answer_is_read_as_what_it_says(what: str) -> None:
    source, rules, lost = FRESH[what]

    (group,) = read_file((source if isinstance(source, str) else json.dumps(source)).encode()).groups

    assert plain(group.rules) == rules
    assert len([note for note in group.notes if note.taken is not Taken.EXACT and note.text != "what goes out"]) == lost
