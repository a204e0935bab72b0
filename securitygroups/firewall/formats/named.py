"""Files that are known and not read: what they are, and what to bring instead.

They are told by lines that only they have, in the beginning of the file; a table of rules or a document has none of these.
"""

import re
from typing import Any

from securitygroups.firewall.formats.reading import Upload

LONGEST_LOOK = 64_000
"""Characters of a text in which it is looked for."""
CUT_SHORT = (
    "This is one page of several: bring all in one answer, for rules on the others may deny what these let through."
)

AWS = "bring what aws ec2 describe-security-groups --output json says."
OPENSTACK = "bring what openstack security group show NAME -f json says, or the list of its rules with --long -f json."
AZURE = "bring what az network nsg list says as JSON (-o json)."
GOOGLE = "bring what gcloud compute firewall-rules list --format=json says."
HETZNER = "bring what hcloud firewall list -o json says."
DIGITALOCEAN = "bring what doctl compute firewall list -o json says."
SCALEWAY = "bring what scw instance security-group get ID -o json says."
TERRAFORM = "apply it, and bring terraform.tfstate or what terraform show -json says."
SHOWN = "bring terraform.tfstate or what terraform show -json says."
TABLE = "make a table of its rules with the columns action, direction, protocol, source, destination and port, and bring that."

# What a line of it is like, what the file is, and what to bring.
_TEXTS = tuple(
    (re.compile(pattern, re.MULTILINE | re.ASCII), what, bring)
    for pattern, what, bring in (
        (r"^(SECURITYGROUPS|SECURITYGROUPRULES|IPPERMISSIONS|IPPERMISSIONSEGRESS)\t", "the text output of aws", AWS),
        (r"^\|+ *(DescribeSecurityGroups|DescribeSecurityGroupRules) *\|", "a table that aws draws", AWS),
        (r"^(- )?(SecurityGroups|SecurityGroupRules):", "the YAML output of aws", AWS),
        (
            r"^AWSTemplateFormatVersion|^ *Type: *['\"]?AWS::EC2::SecurityGroup",
            "a CloudFormation template, in which values may be known only to AWS",
            AWS,
        ),
        (r"^\| *ID *\| *(IP Protocol|Name) *\|", "a table that openstack draws", OPENSTACK),
        (r"^\| *(security_group_rules|rules) *\| *\w+=", "a table that openstack draws", OPENSTACK),
        (r"^\| *Id *\| *Name *\| *Description *\||^\| *IP Protocol *\| *From Port *\|", "a table that nova draws", OPENSTACK),
        (r"^\"?ID\"?,\"?IP Protocol\"?,", "the CSV output of openstack, which does not say all", OPENSTACK),
        (r"^(- |  )(Ethertype|IP Protocol|Port Range): ", "the YAML output of openstack", OPENSTACK),
        (r"^(Display(ing|ed) \d+ items\s+)?Direction\s+Ether Type\s+IP Protocol", "what OpenStack's web page shows", OPENSTACK),
        (r"^NAME +NETWORK +DIRECTION +PRIORITY", "a table that gcloud draws", GOOGLE),
        (r"^ *(- )?IPProtocol: ", "the YAML output of gcloud", GOOGLE),
        (r"^name,network,direction,priority", "the CSV output of gcloud, which does not say all", GOOGLE),
        (r"^Name +(\w+ +)?Priority +", "a table that az draws", AZURE),
        (r"^ *(- )?destinationPortRanges?:", "the YAML output of az", AZURE),
        (
            r"^resource +\w+ +'Microsoft\.Network/networkSecurityGroups|^targetScope *=",
            "a Bicep file, in which values may be known only to Azure",
            AZURE,
        ),
        (
            r"^(Priority,Name|Name,Priority|PRIORITY,NAME|NAME,PRIORITY),",
            "a table of Azure's portal, which does not say all",
            AZURE,
        ),
        (r"^ID +NAME +RULES COUNT", "a table that hcloud draws", HETZNER),
        (r"^ *(- *)?Direction:[ \t]+(in|out)$", "the text output of hcloud", HETZNER),
        (r"^ID +Name +Status +Created At +Inbound Rules|\bprotocol:\w+,ports:", "a table that doctl draws", DIGITALOCEAN),
        (r"^(In|Out)bound Rules \(default policy|^ID +DIRECTION +PROTOCOL +ACTION +IP RANGE", "the text output of scw", SCALEWAY),
        (r"^ *# ([a-z]+_[a-z_]{1,80}|module\.[\w-]{1,80})\.|^Terraform will perform", "what terraform shows to people", SHOWN),
        (r"^(resource|data) +\"\w+\" +\"[\w-]+\" *\{|^(terraform|locals) *\{", "Terraform's configuration", TERRAFORM),
        (r"^(module|provider|variable|output) +\"[\w-]+\" *\{", "Terraform's configuration", TERRAFORM),
        (
            r"<opnsense>",
            "the configuration of OPNsense",
            "bring the CSV that Firewall → Rules [new] exports; of older rules the one of the Migration assistant.",
        ),
        (r"<pfsense>", "the configuration of pfSense", TABLE),
        (r"^[ \t]*(sudo )?aws +ec2 +[a-z-]*security-group", "a script of commands for AWS", f"run it, and {AWS}"),
        (r"^[ \t]*(openstack +security +group|neutron +security-group)", "a script of commands for OpenStack", f"run it, and {OPENSTACK}"),
        (r"^[ \t]*az +network +nsg +", "a script of commands for Azure", f"run it, and {AZURE}"),
        (r"^[ \t]*gcloud +(beta +)?compute +firewall-rules +", "a script of commands for Google Cloud", f"run it, and {GOOGLE}"),
        (r"^[ \t]*hcloud +firewall +", "a script of commands for Hetzner", f"run it, and {HETZNER}"),
        (r"^[ \t]*doctl +compute +firewall +", "a script of commands for DigitalOcean", f"run it, and {DIGITALOCEAN}"),
        (r"(?i)^[ \t]*netsh +advfirewall|^[ \t]*(New|Set)-NetFirewallRule\b|^Rule Name: ", "a list or a script of the firewall of Windows", TABLE),
        (r"^[ \t]*(set|delete) +firewall +|^[ \t]*/ip firewall |^[ \t]*add +(action|chain)=", "the configuration of a router", TABLE),
        (r"^[ \t]*(ip )?access-list +|^[ \t]*set +security +policies +", "the configuration of a router or firewall", TABLE),
        (r"^[ \t]*(pass|block)( +(return|drop|quick|in|out|log|all))+\b", "a ruleset of pf", TABLE),
        (r"<policy[ >]", "a policy of firewalld, which is about packets from one zone to another", "bring the zone that the VM's network card is in, and leave out what the policy stops."),
        (r"^kind: *NetworkPolicy", "a NetworkPolicy of Kubernetes, which is about pods and not about VMs", TABLE),
    )
)  # fmt: skip


def said(upload: Upload) -> str:
    """What the file is and what to bring instead, "" where that is not known."""
    found = (
        _of_value(upload.value)
        if upload.value is not None
        else _of_text(upload.text[:LONGEST_LOOK].replace("\r\n", "\n"))
    )
    return "This is {}, and is not read: {}".format(*found) if found else ""


def cut_short(value: Any) -> bool:
    """Whether an answer says that it is one page of several: what it lacks may be what denies."""
    if not isinstance(value, dict):
        return False
    pages = _inner(value, "links", "pages").get("next") or _inner(value, "meta", "pagination").get("next_page")
    return bool(pages) or any(_goes_on(one) for one in (value, *value.values()) if isinstance(one, dict))


def _goes_on(value: dict[str, Any]) -> bool:
    """Whether it names a next page, or counts more members than it lists."""
    if any(value.get(key) for key in ("NextToken", "nextLink", "@odata.nextLink", "nextPageToken")):
        return True
    counted = _counted(value)
    if counted > max((len(many) for many in value.values() if isinstance(many, list)), default=counted):
        return True
    return any(key.endswith("_links") and "next" in str(many)[:LONGEST_LOOK] for key, many in value.items())


def _inner(value: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _counted(value: dict[str, Any]) -> int:
    """How many members an answer says that there are, 0 where it does not."""
    found = [value.get("count"), value.get("total_count"), _inner(value, "meta").get("total")]
    return max((one for one in found if isinstance(one, int)), default=0)


def _of_text(text: str) -> tuple[str, str] | None:
    return next(((what, bring) for pattern, what, bring in _TEXTS if pattern.search(text)), None)


def _of_value(value: Any) -> tuple[str, str] | None:
    first = value[0] if isinstance(value, list) and value else value
    if not isinstance(first, dict):
        return None
    inner = first.get("Resources")
    if "AWSTemplateFormatVersion" in first or _has(inner, "Type", "AWS::"):
        return "a CloudFormation template, in which values may be known only to AWS", AWS
    for keys, what, bring in _VALUES:
        if keys <= first.keys():
            return what, bring
    return None


def _has(value: Any, key: str, start: str) -> bool:
    members = value.values() if isinstance(value, dict) else ()
    return any(isinstance(one, dict) and str(one.get(key, "")).startswith(start) for one in members)


_VALUES = (
    ({"ip_permissions"}, "what Ansible or a library says of AWS, in words of its own", AWS),
    ({"Name", "SecurityRules"}, "what Azure's PowerShell writes, in words of its own", AZURE),
    ({"name", "security_group_rules"}, "what the neutron command says, which is short of what a rule needs", OPENSTACK),
    ({"configurationItems"}, "what AWS Config keeps, in words of its own", AWS),
    ({"resourceType", "configuration"}, "what AWS Config keeps, in words of its own", AWS),
    ({"StaleSecurityGroupSet"}, "a list of AWS's stale rules alone", AWS),
    ({"SecurityGroupReferenceSet"}, "a list of AWS's references between groups", AWS),
    ({"SecurityGroupVpcAssociations"}, "a list of AWS's networks of groups", AWS),
    ({"effectiveSecurityRules"}, "Azure's effective rules of a network card, which come from several groups", AZURE),
    ({"from_port", "to_port", "ip_protocol", "ip_range"}, "rules in the words of Nova, which has no groups any more", OPENSTACK),
    ({"columns", "rows"}, "the answer of a query, and not rules as a cloud writes them", AWS),
    ({"manifest", "resources"}, "a file of Pulumi", "bring what the cloud itself says of its groups."),
    ({"deployment", "version"}, "a file of Pulumi", "bring what the cloud itself says of its groups."),
    ({"apiVersion", "kind", "spec"}, "an object of Kubernetes, which is about pods and not about VMs", TABLE),
)  # fmt: skip
