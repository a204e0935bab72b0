"""What people bring besides JSON, as programs print it: told by its name, with what to bring instead."""

import json
from typing import Any

import pytest

from securitygroups.firewall.formats.named import LONGEST_LOOK, said
from securitygroups.firewall.formats.reading import Upload
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.formats.systems import read_file
from tests.effort import at_most

TEXTS = (
    (
        ("SECURITYGROUPS\tWeb servers\tsg-0aa1\tweb\t111122223333\tvpc-01\n"
        "IPPERMISSIONS\t22\ttcp\t22\nIPRANGES\t203.0.113.0/24\tOffice\nIPPERMISSIONSEGRESS\t-1\nIPRANGES\t0.0.0.0/0\n"),
        "the text output of aws",
        "--output json",
    ),
    (
        ("--------------------------------\n|    DescribeSecurityGroups    |\n+------------------------------+\n"
        "||       SecurityGroups       ||\n"),
        "a table that aws draws",
        "--output json",
    ),
    (
        "SecurityGroups:\n- Description: Web servers\n  GroupId: sg-0aa1\n  IpPermissions:\n  - FromPort: 22\n    IpProtocol: tcp\n",
        "the YAML output of aws",
        "--output json",
    ),
    (
        "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  Web:\n    Type: AWS::EC2::SecurityGroup\n",
        "a CloudFormation template",
        "describe-security-groups",
    ),
    (
        ("+----------+-------------+-----------+---------------+------------+-----------+\n"
        "| ID       | IP Protocol | Ethertype | IP Range      | Port Range | Direction |\n"
        "| 0f1e2d3c | tcp         | IPv4      | 203.0.113.0/24| 22:22      | ingress   |\n"),
        "a table that openstack draws",
        "-f json",
    ),
    (
        "| Field       | Value |\n| name        | web   |\n| rules       | direction='egress', ethertype='IPv4', id='1' |\n",
        "a table that openstack draws",
        "-f json",
    ),
    ('"ID","IP Protocol","Ethertype","IP Range","Port Range"\n"0f","tcp","IPv4","203.0.113.0/24","22:22"\n', "CSV", "-f json"),
    ("- Direction: ingress\n  Ethertype: IPv4\n  ID: 0f\n  IP Protocol: tcp\n", "the YAML output of openstack", "-f json"),
    (
        "Direction\tEther Type\tIP Protocol\tPort Range\tRemote IP Prefix\nIngress\tIPv4\tTCP\t22 (SSH)\t203.0.113.0/24\n",
        "OpenStack's web page",
        "--long",
    ),
    (
        "NAME       NETWORK  DIRECTION  PRIORITY  ALLOW   DENY  DISABLED\nallow-ssh  default  INGRESS    1000      tcp:22        False\n",
        "a table that gcloud draws",
        "--format=json",
    ),
    ("---\nallowed:\n- IPProtocol: tcp\n  ports:\n  - '22'\ndirection: INGRESS\n", "the YAML output of gcloud", "--format=json"),
    (
        "Name    ResourceGroup    Priority    SourcePortRanges    SourceAddressPrefixes    Access\n------\nssh     rg  100\n",
        "a table that az draws",
        "-o json",
    ),
    ("- access: Allow\n  destinationPortRange: '22'\n  priority: 100\n", "the YAML output of az", "-o json"),
    (
        "resource nsg 'Microsoft.Network/networkSecurityGroups@2023-04-01' = {\n  name: 'nsg'\n}\n",
        "a Bicep file",
        "az network nsg list",
    ),
    ("Priority,Name,Port,Protocol,Source,Destination,Action\n100,ssh,22,TCP,Any,Any,Allow\n", "Azure's portal", "-o json"),
    ("ID    NAME   RULES COUNT   APPLIED TO COUNT\n42    web    3 Rules       1 Server\n", "a table that hcloud draws", "-o json"),
    (
        "ID:\t\t42\nName:\t\tweb\nRules:\n  - Direction:\t\tin\n    Protocol:\t\ttcp\n    Port:\t\t22\n",
        "the text output of hcloud",
        "-o json",
    ),
    (
        ("ID     Name   Status       Created At              Inbound Rules\n0a1b   web    succeeded    2024-01-01T00:00:00Z    "
        "protocol:tcp,ports:22,address:203.0.113.0/24\n"),
        "a table that doctl draws",
        "-o json",
    ),
    (
        "Security Group:\nName  web\n\nInbound Rules (default policy drop):\nID  DIRECTION  PROTOCOL  ACTION  IP RANGE  DEST\n",
        "the text output of scw",
        "-o json",
    ),
    (
        'resource "hcloud_firewall" "web" {\n  name = "web"\n  rule {\n    direction = "in"\n  }\n}\n',
        "Terraform's configuration",
        "terraform.tfstate",
    ),
    ('variable "office" {\n  default = "203.0.113.0/24"\n}\n', "Terraform's configuration", "terraform show -json"),
    (
        '# aws_security_group.web:\nresource "aws_security_group" "web" {\n    name = "web"\n}\n',
        "what terraform shows to people",
        "terraform show -json",
    ),
    (
        "Terraform will perform the following actions:\n\n  # hcloud_firewall.web will be created\n  + resource",
        "what terraform shows to people",
        "terraform show -json",
    ),
    (
        '<?xml version="1.0"?>\n<opnsense>\n  <filter><rule><type>pass</type></rule></filter>\n</opnsense>\n',
        "the configuration of OPNsense",
        "CSV that Firewall",
    ),
    (
        '<?xml version="1.0"?>\n<pfsense>\n<version>22.9</version>\n<filter/></pfsense>\n',
        "the configuration of pfSense",
        "make a table",
    ),
    ("aws ec2 authorize-security-group-ingress --group-id sg-1 --cidr 0.0.0.0/0\n", "commands for AWS", "describe-security-groups"),
    ("#!/bin/sh\nopenstack security group rule create --dst-port 22 web\n", "commands for OpenStack", "security group show"),
    ("az network nsg rule create -g shop --nsg-name web -n ssh\n", "commands for Azure", "az network nsg list"),
    ("gcloud compute firewall-rules create web --allow tcp:80\n", "commands for Google Cloud", "--format=json"),
    ("hcloud firewall create --name web\n", "commands for Hetzner", "hcloud firewall list"),
    ("doctl compute firewall create --name web\n", "commands for DigitalOcean", "doctl compute firewall list"),
    ('netsh advfirewall firewall add rule name="web" dir=in action=allow\n', "firewall of Windows", "make a table"),
    ("New-NetFirewallRule -DisplayName web -Direction Inbound\n", "firewall of Windows", "make a table"),
    ("set firewall name WAN rule 10 action accept\n", "a router", "make a table"),
    ("/ip firewall filter\nadd action=accept chain=input\n", "a router", "make a table"),
    ("access-list 101 permit tcp any any eq 22\n", "a router or firewall", "make a table"),
    ('<?xml version="1.0"?>\n<policy target="DROP"><ingress-zone name="ANY"/></policy>\n', "a policy of firewalld", "bring the zone"),
    ("# pf.conf\npass in on em0 proto tcp to port 22\n", "a ruleset of pf", "make a table"),
    ("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: web\n", "NetworkPolicy", "make a table"),
)  # fmt: skip
NOVA = {"from_port": 22, "to_port": 22, "ip_protocol": "tcp", "ip_range": {"cidr": "203.0.113.0/24"}, "group": {}}
VALUES: tuple[tuple[Any, str, str], ...] = (
    ({"Resources": {"Web": {"Type": "AWS::EC2::SecurityGroup"}}}, "CloudFormation", "describe-security-groups"),
    ({"security_groups": [{"name": "web", "rules": [NOVA]}]}, "Nova", "openstack security group show"),
    ([{"group_name": "web", "ip_permissions": []}], "Ansible", "describe-security-groups"),
    ([{"Name": "nsg", "SecurityRules": [{"Name": "ssh", "Access": "Allow"}]}], "PowerShell", "az network nsg list"),
    ([{"id": "0f", "name": "web", "security_group_rules": "egress, IPv4"}], "neutron", "openstack security group show"),
    (
        [{"GroupName": "web", "IpPermissions": [{"IpProtocol": "tcp", "IpRanges": ["10.0.0.0/8"], "Ipv4Ranges": []}]}],
        "PowerShell",
        "describe-security-groups",
    ),
    (
        {
            "resources": [
                {
                    "type": "Microsoft.Network/networkSecurityGroups",
                    "name": "n",
                    "properties": {
                        "securityRules": [
                            {
                                "name": "ssh",
                                "properties": {
                                    "access": "Allow",
                                    "priority": 100,
                                    "destinationPortRange": "[variables('port')]",
                                },
                            }
                        ]
                    },
                }
            ]
        },
        "when the template is deployed",
        "az network nsg list",
    ),
    ({"configurationItems": [{"resourceType": "AWS::EC2::SecurityGroup"}]}, "AWS Config", "describe-security-groups"),
    ({"StaleSecurityGroupSet": [], "ResponseMetadata": {}}, "stale rules", "describe-security-groups"),
    ([NOVA], "Nova", "-f json"),
    ({"columns": [{"name": "group_id"}], "rows": [{"group_id": "sg-0aa1"}]}, "the answer of a query", "describe"),
    ({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {}}, "Kubernetes", "make a table"),
    ({"version": 3, "deployment": {"resources": []}}, "Pulumi", "the cloud itself"),
)


GROUP = {"GroupName": "web", "IpPermissions": []}
FIREWALL = {"id": 1, "name": "web", "rules": [], "applied_to": []}
RULE = {"name": "r", "network": "n", "allowed": [{"IPProtocol": "tcp"}]}
ACL = {"id": "r", "protocol": "tcp", "traffictype": "Ingress", "action": "Allow", "number": 1}
PAGES: tuple[Any, ...] = (
    {"SecurityGroups": [GROUP], "NextToken": "eyJ"},
    {"items": [RULE], "kind": "compute#firewallList", "nextPageToken": "abc"},
    {"value": [{"name": "nsg", "securityRules": []}], "nextLink": "https://management.azure.com/next"},
    {"firewalls": [FIREWALL], "meta": {"pagination": {"page": 1, "next_page": 2, "total_entries": 26}}},
    {"firewalls": [{"name": "web", "inbound_rules": []}], "links": {"pages": {"next": "https://x?page=2"}}, "meta": {"total": 21}},
    {"security_groups": [{"name": "web", "security_group_rules": []}], "security_groups_links": [{"rel": "next", "href": "x"}]},
    {"listnetworkaclsresponse": {"count": 501, "networkacl": [ACL]}},
    {"security_groups": [{"name": "web", "inbound_default_policy": "drop", "rules": []}], "total_count": 51},
)  # fmt: skip
WHOLE: tuple[Any, ...] = (
    {"SecurityGroups": [GROUP], "NextToken": None},
    {"firewalls": [FIREWALL], "meta": {"pagination": {"page": 1, "next_page": None, "total_entries": 1}}},
    {"firewalls": [{"name": "web", "inbound_rules": []}], "links": {}, "meta": {"total": 1}},
    {"listnetworkaclsresponse": {"count": 1, "networkacl": [ACL]}},
)


@pytest.mark.parametrize("answer", PAGES)
def test_one_page_of_an_answer_is_not_taken_for_all_of_it(answer: Any) -> None:
    assert "one page of several" in refused(json.dumps(answer).encode())


@pytest.mark.parametrize("answer", WHOLE)
def test_an_answer_that_has_all_is_read(answer: Any) -> None:
    assert len(read_file(json.dumps(answer).encode()).groups) == 1


def refused(data: bytes) -> str:
    with pytest.raises(BadDocument) as caught:
        read_file(data)
    assert caught.value.total == 1
    return str(caught.value)


@pytest.mark.parametrize(("text", "what", "bring"), TEXTS, ids=[what for _, what, _ in TEXTS])
def test_what_a_program_prints_for_people_is_told_by_its_name(text: str, what: str, bring: str) -> None:
    told = refused(text.encode())

    assert what in told
    assert bring in told
    # Windows and its PowerShell write the same in other bytes.
    assert refused(text.replace("\n", "\r\n").encode("utf-16")) == told


@pytest.mark.parametrize(("value", "what", "bring"), VALUES, ids=[what for _, what, _ in VALUES])
def test_json_that_is_known_and_not_read_is_told_by_its_name(value: Any, what: str, bring: str) -> None:
    told = refused(json.dumps(value).encode())

    assert what in told
    assert bring in told


def test_a_table_of_rules_is_none_of_these() -> None:
    text = "action,direction,protocol,source,port,description\naccept,in,tcp,203.0.113.0/24,22,was protocol: tcp\n"

    assert len(read_file(text.encode()).groups[0].rules) == 1


def test_no_more_of_a_long_text_is_looked_at() -> None:
    assert "CloudFormation" not in refused(b"x\n" * LONGEST_LOOK + b"AWSTemplateFormatVersion: '2010-09-09'\n")


@pytest.mark.parametrize("one", [" ", "-", "| ", "# a_", "Name ", "ID ", "protocol:", "\n", "Direction "])
def test_a_long_text_of_one_thing_takes_a_moment(one: str) -> None:
    with at_most(1):
        said(Upload(b"", one * (LONGEST_LOOK // len(one))))
