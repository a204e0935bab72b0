"""Files as the programs write them, from documents and reports, in own words and addresses: what they are read as."""

import json
from typing import Any

import pytest

from securitygroups.firewall.formats.opnsense import NEEDED
from securitygroups.firewall.formats.reading import ReadGroup, Reading, Taken
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.formats.systems import read_file
from securitygroups.firewall.values import Action, Rule
from securitygroups.words.imports import lines_sentence
from tests.effort import at_most

SLOWEST = 2  # seconds, of what takes milliseconds
Plain = list[tuple[Any, ...]]


def read(value: Any) -> Reading:
    return read_file((value if isinstance(value, str) else json.dumps(value)).encode())


def plain(rules: tuple[Rule, ...]) -> Plain:
    """Rules in few words: "accept in tcp", the other end, ports."""
    return [
        (
            f"{rule.action} {rule.direction} {rule.protocol}",
            str(rule.source or rule.destination or "any"),
            rule.port_start,
            rule.port_end,
        )
        for rule in rules
    ]


def one(value: Any) -> ReadGroup:
    (group,) = read(value).groups
    return group


def refusal(value: Any) -> str:
    with pytest.raises(BadDocument) as caught:
        read(value)
    assert caught.value.total == 1
    return str(caught.value)


# AWS


def aws(*permissions: Any, **group: Any) -> Any:
    return {
        "SecurityGroups": [{"GroupName": "web", "IpPermissions": list(permissions), "IpPermissionsEgress": [], **group}]
    }


def test_a_whole_group_of_aws() -> None:
    ssh = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "203.0.113.0/24", "Description": "Office SSH"}],
        "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32"}],
        "PrefixListIds": [{"PrefixListId": "pl-0123"}],
        "UserIdGroupPairs": [{"GroupId": "sg-9", "GroupName": "db", "UserId": "111122223333"}],
    }
    every = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [], "UserIdGroupPairs": []}

    group = one(aws(ssh, IpPermissionsEgress=[every], Description="Web servers", GroupId="sg-1"))

    assert (group.name, group.description) == ("web", "Web servers")
    assert plain(group.rules) == [
        ("accept in tcp", "203.0.113.0/24", 22, 22),
        ("accept in tcp", "2001:db8::/32", 22, 22),
        ("accept out ip", "0.0.0.0/0", None, None),
    ]
    assert [note.taken for note in group.notes] == [
        Taken.EXACT,
        Taken.EXACT,
        Taken.NOT_TAKEN,
        Taken.NOT_TAKEN,
        Taken.EXACT,
        Taken.EXACT,
    ]
    assert group.notes[0].where == "SecurityGroups[0].IpPermissions[0].IpRanges[0]"
    assert "pl-0123" in group.notes[2].how
    assert "sg-9 db" in group.notes[3].how
    assert "addresses of its members" in group.notes[3].how
    assert group.rules[0].description == "Office SSH"


@pytest.mark.parametrize(
    ("permission", "rules"),
    [
        ({"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535}, [("accept in tcp", "10.0.0.0/8", None, None)]),
        ({"IpProtocol": "tcp", "FromPort": 1, "ToPort": 65535}, [("accept in tcp", "10.0.0.0/8", 1, 65535)]),
        ({"IpProtocol": "6", "FromPort": 80, "ToPort": 81}, [("accept in tcp", "10.0.0.0/8", 80, 81)]),
        ({"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1}, [("accept in icmp", "10.0.0.0/8", None, None)]),
        ({"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1}, []),
        ({"IpProtocol": "icmpv6", "FromPort": -1, "ToPort": -1}, []),
        ({"IpProtocol": "50"}, []),
        ({"IpProtocol": "tcp"}, []),
        ({"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "NewCondition": "x"}, []),
    ],
)
def test_a_permission_of_aws(permission: Any, rules: Plain) -> None:
    group = one(aws({**permission, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}))

    assert plain(group.rules) == rules


TO_DB = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5433, "IpRanges": [{"CidrIp": "10.0.2.0/24"}]}


def test_what_goes_out_to_a_network_is_said_with_what_to_add() -> None:
    out = {**TO_DB, "Ipv6Ranges": [{"CidrIpv6": "2001:db8:2::/64"}]}

    gone, first, second, _ = one(aws(IpPermissionsEgress=[out])).notes

    assert (gone.text, gone.taken) == ("what goes out", Taken.NOT_TAKEN)
    assert "before you attach the group" in gone.how
    assert first.how == (
        "Only IP rules have a destination here, not TCP 5432–5433. If so much may pass, add Accept, Out, IP to 10.0.2.0/24, or "
        "Accept, Out, TCP 5432–5433 to anywhere."
    )
    assert "IP to 2001:db8:2::/64" in second.how
    assert lines_sentence([first, second]) == "2 lines not taken (2 out to a network)"


def test_where_something_still_goes_out_that_is_not_said() -> None:
    https = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}

    group = one(aws(IpPermissionsEgress=[TO_DB, https]))

    assert plain(group.rules) == [("accept out tcp", "0.0.0.0/0", 443, 443)]
    assert not any(note.text == "what goes out" for note in group.notes)
    # Nor where nothing ever did.
    assert not any(note.text == "what goes out" for note in one(aws()).notes)


def test_groups_that_rules_refer_to_are_named_as_the_file_names_them() -> None:
    def pair(group: str, **more: Any) -> Any:
        return {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": group, **more}]}

    web = {
        "GroupName": "web",
        "GroupId": "sg-1",
        "IpPermissions": [pair("sg-1"), pair("sg-2"), pair("sg-3", GroupName="bastion")],
        "IpPermissionsEgress": [pair("sg-2")],
    }

    group, _ = read({"SecurityGroups": [web, {"GroupName": "db", "GroupId": "sg-2", "IpPermissions": []}]}).groups

    lost = [note for note in group.notes if note.taken is Taken.NOT_TAKEN]
    assert [note.text.rpartition("group ")[2] for note in lost[1:]] == ["itself", "sg-2 db", "sg-3 bastion", "sg-2 db"]
    assert all("in Add Rule, one address a line" in note.how for note in lost[1:4])
    assert "an IP rule to the address of each" in lost[4].how
    assert lines_sentence(lost) == "5 lines not taken (4 by members of groups)"


def test_what_to_do_is_said_of_a_type_of_icmp() -> None:
    group = one(aws({"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}))

    assert group.notes[0].how.count("Add an accept for icmp, if every type of it may pass.") == 1
    assert group.notes[0].how.count("every type") == 1


def test_single_rules_of_aws_are_put_into_their_groups() -> None:
    def rule(group: str, **more: Any) -> Any:
        return {
            "SecurityGroupRuleId": "sgr-1",
            "GroupId": group,
            "IsEgress": False,
            "IpProtocol": "udp",
            "FromPort": 53,
            "ToPort": 53,
            **more,
        }

    reading = read(
        {"SecurityGroupRules": [rule("sg-1", CidrIpv4="10.0.0.0/8"), rule("sg-2", CidrIpv4="", CidrIpv6="::/0")]}
    )

    assert [(group.name, plain(group.rules)) for group in reading.groups] == [
        ("sg-1", [("accept in udp", "10.0.0.0/8", 53, 53)]),
        ("sg-2", [("accept in udp", "::/0", 53, 53)]),
    ]


def test_groups_of_one_name_get_names_of_their_own() -> None:
    group = {"GroupName": "default", "IpPermissions": [], "IpPermissionsEgress": []}

    assert [
        each.name for each in read({"SecurityGroups": [group, group, {**group, "GroupName": "x" * 300}]}).groups
    ] == [
        "default",
        "default 2",
        "x" * 100,
    ]


# OpenStack


@pytest.mark.parametrize(
    ("row", "rules"),
    [
        ({"IP Protocol": "tcp", "Port Range": "22:22"}, [("accept in tcp", "10.0.0.0/8", 22, 22)]),
        ({"IP Protocol": None, "Port Range": ""}, [("accept in ip", "10.0.0.0/8", None, None)]),
        ({"IP Protocol": "icmp", "Port Range": ""}, [("accept in icmp", "10.0.0.0/8", None, None)]),
        ({"IP Protocol": "icmp", "Port Range": "type=8:code=0"}, []),
        ({"IP Protocol": "tcp", "Port Range": "80:81", "Remote Security Group": "0f1e"}, []),
        ({"IP Protocol": "tcp", "Port Range": "80:81", "Remote Address Group": "0f1e"}, []),
        ({"IP Protocol": "vrrp", "Port Range": ""}, []),
    ],
)
def test_a_row_of_openstack(row: Any, rules: Plain) -> None:
    whole = {
        "ID": "a",
        "Ethertype": "IPv4",
        "IP Range": "10.0.0.0/8",
        "Direction": "ingress",
        "Remote Security Group": None,
    }

    assert plain(one([{**whole, **row}]).rules) == rules


def test_a_row_of_openstack_without_a_family_has_that_of_its_range() -> None:
    row = {"ID": "a", "IP Protocol": "tcp", "IP Range": "2001:db8::/32", "Port Range": "22:22", "Direction": "ingress"}
    row["Remote Security Group"] = None  # type: ignore[assignment]

    assert plain(one([row]).rules) == [("accept in tcp", "2001:db8::/32", 22, 22)]


def test_a_prefix_of_openstack_with_bits_behind_it_is_what_neutron_does() -> None:
    rule = {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
    kept = {**rule, "remote_ip_prefix": "10.0.0.5/24"}

    group = one({"security_group_rules": [{**kept, "normalized_cidr": "10.0.0.0/24"}, kept]})

    assert plain(group.rules) == [("accept in tcp", "10.0.0.0/24", 22, 22)]
    assert "10.0.0.5/24" in group.notes[1].how


@pytest.mark.parametrize(
    "more",
    [
        {"group": {"name": "default", "tenant_id": "t"}},
        {"group": {}, "properties": {"group": {"name": "default"}}},
        {"group": "default"},
        {"properties": {"something": "new"}},
    ],
)
def test_a_group_of_openstack_that_a_library_names_is_not_anybody(more: Any) -> None:
    rule = {
        "direction": "ingress",
        "ethertype": "IPv4",
        "protocol": None,
        "remote_group_id": None,
        "remote_ip_prefix": None,
    }
    ssh: Any = {
        **rule,
        "protocol": "tcp",
        "port_range_min": 22,
        "port_range_max": 22,
        "group": {},
        "properties": {"group": {}},
    }

    group = one({"security_groups": [{"id": "g", "name": "default", "security_group_rules": [{**rule, **more}, ssh]}]})

    assert plain(group.rules) == [("accept in tcp", "0.0.0.0/0", 22, 22)]
    assert group.notes[0].taken is Taken.NOT_TAKEN


def test_a_denial_by_a_key_that_is_not_known_is_not_passed_over() -> None:
    rule = {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "remote_ip_prefix": "10.0.0.0/8"}

    said = refusal({"security_group_rules": [rule, {**rule, "action": "deny", "priority": 1}]})

    assert "“action” with “deny”" in said


def test_groups_of_openstack_that_rules_refer_to_are_named() -> None:
    def group(name: str, *remotes: str) -> Any:
        rule = {
            "direction": "ingress",
            "ethertype": "IPv4",
            "protocol": "tcp",
            "port_range_min": 22,
            "port_range_max": 22,
        }
        return {
            "id": f"id-{name}",
            "name": name,
            "security_group_rules": [{**rule, "remote_group_id": one} for one in remotes],
        }

    web, _ = read({"security_groups": [group("web", "id-web", "id-db", "id-x"), group("db", "id-db")]}).groups

    lost = [note for note in web.notes if note.taken is Taken.NOT_TAKEN]
    assert [note.text.rpartition("group ")[2] for note in lost] == ["itself", "id-db db", "id-x"]


def test_a_group_of_openstack_with_rules_as_text() -> None:
    rules = (
        "created_at='2020-01-01T00:00:00Z', direction='egress', ethertype='IPv6', id='1', updated_at='2020'\n"
        "direction='ingress', ethertype='IPv4', id='2', port_range_max='443', port_range_min='443', protocol='tcp', "
        "remote_ip_prefix='198.51.100.0/24'"
    )

    group = one({"id": "g", "name": "web", "description": "", "project_id": "p", "rules": rules})

    assert plain(group.rules) == [("accept out ip", "::/0", None, None), ("accept in tcp", "198.51.100.0/24", 443, 443)]


AZURE_RULE = {
    "access": "Allow", "direction": "Inbound", "priority": 100, "protocol": "Tcp", "name": "web",
    "sourceAddressPrefix": "10.0.0.0/8", "sourcePortRange": "*", "destinationAddressPrefix": "*",
    "destinationPortRange": "443",
}  # fmt: skip


OLD_RULE = "direction='ingress', ethertype='IPv4', id='1', "


@pytest.mark.parametrize(
    "value",
    [
        [AZURE_RULE | {"id": "/resourceGroups/a/" * 30_000}],
        {"id": "g", "name": "web", "description": "", "project_id": "p", "rules": OLD_RULE + "a" * 200_000},
    ],
    ids=["Azure", "OpenStack"],
)
def test_a_long_text_without_an_end_is_looked_at_once(value: Any) -> None:
    """What goes over the rest of it again for each of its parts takes minutes."""
    with at_most(SLOWEST):
        one(value)


@pytest.mark.parametrize("word", ["10.0.0.0/x", "10.1.10.1.10.1.0.0/16", "203.0.113.0-/24", "VirtualNetwork"])
def test_words_that_are_no_networks_cost_no_more_than_networks(word: str) -> None:
    """What somebody would mean by each is asked for by nobody here."""
    words = [f"{word}{number}" for number in range(20_000)]

    with at_most(1):
        group = one([AZURE_RULE | {"sourceAddressPrefix": "", "sourceAddressPrefixes": words}])

    assert [note.taken for note in group.notes][:1] == [Taken.NOT_TAKEN]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("@uuid,interface," + "," * 1_000_000 + "\n", "more than 500 columns"),
        ("@uuid,interface\n" + "\n" * 1_000_000, "more than 200,000 lines"),
        ("@uuid,interface\n" + "\r" * 1_000_000, "more than 200,000 lines"),
        (
            "\n".join([",".join(NEEDED), *[f'"{"a," * 60_000}"' + "," * (len(NEEDED) - 1)] * 3]),
            "more than 150,000 elements",
        ),
    ],
    ids=["columns", "lines", "returns", "lists"],
)
def test_what_is_longer_than_any_export_of_opnsense_is_refused(text: str, said: str) -> None:
    with at_most(1), pytest.raises(BadDocument, match=said):
        read_file(text.encode())


def test_openstack_lists_that_say_too_little_are_refused_with_what_to_do() -> None:
    row = {
        "ID": "a",
        "IP Protocol": "tcp",
        "IP Range": "0.0.0.0/0",
        "Port Range": "22:22",
        "Remote Security Group": None,
    }

    assert "--long" in refusal([row])
    assert "openstack security group show" in refusal(
        [{"ID": "a", "Name": "web", "Description": "", "Project": "p", "Tags": []}]
    )


# Azure


def azure(*rules: Any) -> Any:
    whole = {
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "sourcePortRange": "*",
        "destinationPortRange": "22",
        "sourceAddressPrefix": "*",
        "destinationAddressPrefix": "*",
        "sourceAddressPrefixes": [],
    }
    return {
        "name": "nsg",
        "securityRules": [{**whole, "name": f"r{place}", **rule} for place, rule in enumerate(rules)],
    }


def test_rules_of_azure_come_in_the_order_of_their_priorities() -> None:
    group = one(azure({"priority": 300}, {"priority": 200, "access": "Deny", "sourceAddressPrefix": "198.51.100.0/24"}))

    assert plain(group.rules) == [("drop in tcp", "198.51.100.0/24", 22, 22), ("accept in tcp", "any", 22, 22)]
    assert group.rules[0].description == "r1"


@pytest.mark.parametrize(
    ("rule", "rules"),
    [
        ({"sourceAddressPrefix": "Internet"}, []),
        ({"sourceAddressPrefix": "VirtualNetwork", "access": "Deny"}, [("drop in tcp", "any", 22, 22)]),
        ({"sourcePortRange": "53"}, []),
        ({"destinationAddressPrefix": "10.0.0.4"}, []),
        ({"protocol": "*", "destinationPortRange": "*"}, [("accept in ip", "any", None, None)]),
        ({"protocol": "*"}, [("accept in tcp", "any", 22, 22), ("accept in udp", "any", 22, 22)]),
        (
            {"destinationPortRange": None, "destinationPortRanges": ["80", "443"]},
            [("accept in tcp", "any", 80, 80), ("accept in tcp", "any", 443, 443)],
        ),
        ({"sourceAddressPrefix": "", "sourceApplicationSecurityGroups": [{"id": "/x/asg"}]}, []),
    ],
)
def test_a_rule_of_azure(rule: Any, rules: Plain) -> None:
    assert plain(one(azure({"priority": 100, **rule})).rules) == rules


@pytest.mark.parametrize(
    ("tag", "advice"),
    [
        ("VirtualNetwork", "the networks of your virtual network"),
        ("AzureLoadBalancer", "which nobody makes here"),
        ("Internet", "for anywhere, if"),
        ("Storage.WestEurope", "the addresses that Azure has for the tag"),
    ],
)
def test_what_to_do_about_a_tag_of_azure_is_said(tag: str, advice: str) -> None:
    (lost, _) = one(azure({"priority": 100, "sourceAddressPrefix": tag})).notes

    assert advice in lost.how
    assert lines_sentence([lost]) == "1 line not taken (1 by tags or names)"


def test_rules_of_several_groups_of_azure_are_not_put_into_one() -> None:
    def place(group: str, name: str) -> str:
        start = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.Network/networkSecurityGroups"
        return f"{start}/{group}/securityRules/{name}"

    allow, deny = azure({"priority": 200}, {"priority": 100, "access": "Deny"})["securityRules"]

    first, second = read([{**allow, "id": place("web", "r0")}, {**deny, "id": place("db", "r1")}]).groups

    assert (first.name, plain(first.rules)) == ("web", [("accept in tcp", "any", 22, 22)])
    assert (second.name, plain(second.rules)) == ("db", [("drop in tcp", "any", 22, 22)])


def test_rules_of_a_template_come_into_the_group_that_they_name() -> None:
    allow, deny = azure({"priority": 200}, {"priority": 100, "access": "Deny"})["securityRules"]
    kind = "Microsoft.Network/networkSecurityGroups"
    group = {"type": kind, "name": "nsg", "properties": {"securityRules": [{"name": "no", "properties": deny}]}}
    loose = {"type": f"{kind}/securityRules", "name": "NSG/ssh", "properties": allow}

    assert plain(one({"resources": [loose, group]}).rules) == [
        ("drop in tcp", "any", 22, 22),
        ("accept in tcp", "any", 22, 22),
    ]
    assert "when the template is deployed" in refusal(
        {"resources": [{**loose, "name": "[concat(variables('n'), '/ssh')]"}]}
    )


NSG = "Microsoft.Network/networkSecurityGroups"
DENIED_FIRST = [("drop in tcp", "any", 22, 22), ("accept in tcp", "any", 22, 22)]


def rules_of_azure() -> tuple[Any, Any]:
    """(a group with a rule that allows, the rule that denies the same before it)."""
    allow, deny = azure({"priority": 200}, {"priority": 100, "access": "Deny"})["securityRules"]
    return {"type": NSG, "name": "nsg", "properties": {"securityRules": [{"name": "ssh", "properties": allow}]}}, deny


def deployment(*resources: Any, **more: Any) -> Any:
    properties = {"mode": "Incremental", "template": {"resources": [*resources]}}
    return {"type": "Microsoft.Resources/deployments", "name": "inner", "properties": properties, **more}


def test_rules_within_their_group_in_a_template_are_read() -> None:
    group, deny = rules_of_azure()
    short = {"type": "securityRules", "name": "no", "properties": deny}

    for within in (short, {**short, "type": f"{NSG}/securityRules", "name": "nsg/no"}):
        assert plain(one({"resources": [{**group, "resources": [within]}]}).rules) == DENIED_FIRST
        assert plain(one({"resources": {"web": {**group, "resources": {"no": within}}}}).rules) == DENIED_FIRST


def test_templates_within_a_template_are_read_and_others_named() -> None:
    group, deny = rules_of_azure()
    loose = {"type": f"{NSG}/securityRules", "name": "nsg/no", "properties": deny}
    linked = {"type": "Microsoft.Resources/deployments", "name": "far", "properties": {"templateLink": {"uri": "x"}}}

    assert plain(one({"resources": [group, deployment(loose)]}).rules) == DENIED_FIRST
    assert plain(one({"resources": [deployment(deployment(group), loose)]}).rules) == DENIED_FIRST
    (note,) = read({"resources": [group, linked]}).notes
    assert (note.taken, "another template" in note.how) == (Taken.NOT_TAKEN, True)


def test_what_a_template_deploys_on_a_condition_is_not_taken_as_if_it_were_deployed() -> None:
    _, deny = rules_of_azure()
    allow = {"type": f"{NSG}/securityRules", "name": "nsg/yes", "properties": {**deny, "access": "Allow"}}

    group = {"type": NSG, "name": "nsg", "properties": {"securityRules": []}}

    def read_as(*resources: Any) -> list[tuple[bool, str]]:
        return [(rule.enabled, str(rule.action)) for rule in one({"resources": [group, *resources]}).rules]

    assert read_as({**allow, "condition": True}) == [(True, "accept")]
    assert read_as({**allow, "condition": False}) == [(False, "accept")]
    assert read_as({**allow, "condition": "[parameters('open')]"}) == []
    assert read_as(deployment(allow, condition=False)) == [(False, "accept")]
    assert read_as(deployment(allow, condition="[parameters('open')]")) == []
    denied = {**allow, "properties": deny, "condition": "[parameters('shut')]"}
    assert read_as(denied) == [(True, "drop")]


def test_a_group_that_is_not_in_the_template_may_have_more_rules() -> None:
    group, deny = rules_of_azure()
    loose = {"type": f"{NSG}/securityRules", "name": "web/no", "properties": deny}

    assert "The group “web” is not in the template" in refusal({"resources": [loose]})
    assert "The group “web” is not in the template" in refusal(
        {"resources": [{**group, "name": "[variables('n')]"}, loose]}
    )
    assert "The group “nsg” is not in the template" in refusal({"resources": {"nsg": {**group, "existing": True}}})


def test_of_two_groups_of_one_name_none_is_read() -> None:
    group, _ = rules_of_azure()
    inner = {**group, "name": "[parameters('name')]"}

    for two in ((group, {**group, "condition": "[parameters('test')]"}), (deployment(inner), deployment(inner))):
        assert "Several groups of the name" in refusal({"resources": list(two)})


def test_what_azure_exports_has_its_rules_twice() -> None:
    group, deny = rules_of_azure()
    named = {**group, "name": "[parameters('nsg_web_name')]"}
    allow = group["properties"]["securityRules"][0]["properties"]
    again = {
        "type": f"{NSG}/securityRules",
        "name": "[concat(parameters('nsg_web_name'), '/ssh')]",
        "properties": allow,
    }
    other = {**again, "name": "[format('{0}/{1}', parameters('nsg_web_name'), 'no')]", "properties": deny}

    assert plain(one({"resources": [named, again, other]}).rules) == DENIED_FIRST
    assert "when the template is deployed" in refusal({"resources": [named, deployment(other)]})


def test_letters_of_keys_are_large_or_small_in_azure() -> None:
    group, deny = rules_of_azure()
    inline = {"SecurityRules": [{"Name": "no", "Properties": {key.upper(): value for key, value in deny.items()}}]}
    child = {
        "type": "securityrules",
        "name": "ssh",
        "properties": group["properties"]["securityRules"][0]["properties"],
    }

    assert plain(one({"resources": [{**group, "properties": inline, "Resources": [child]}]}).rules) == DENIED_FIRST


@pytest.mark.parametrize("resources", [[1], {"a": 5}, [{"type": {}}], [{"name": ["a"]}]])
def test_resources_of_another_sort_are_not_taken_for_a_template(resources: Any) -> None:
    assert "of no kind that is read here" in refusal({"resources": resources})


@pytest.mark.parametrize("condition", ["", '"condition": "[a]", '])
def test_templates_in_templates_cost_no_more_than_their_resources(condition: str) -> None:
    group, _ = rules_of_azure()
    inner = json.dumps([{"type": "Microsoft.Network/other", "name": "n"}] * 19_000 + [group])
    for _ in range(95):
        inner = f'[{{"type": "Microsoft.Resources/deployments", "name": "x", {condition}"properties": {{"template": {{"resources": {inner}}}}}}}]'

    with at_most(SLOWEST):
        assert len(one(f'{{"resources": {inner}}}').notes) > 1


def test_rules_that_a_template_makes_copies_of_are_not_known() -> None:
    group, _ = rules_of_azure()
    assert "when the template is deployed" in refusal({"resources": [{**group, "properties": "[parameters('p')]"}]})
    copies = {"copy": [{"name": "securityRules", "count": 3, "input": {}}]}
    assert "when the template is deployed" in refusal(
        {"resources": [{"type": NSG, "name": "nsg", "properties": copies}]}
    )


def test_a_rule_of_terraform_is_of_the_group_in_its_own_resource_group() -> None:
    def group(where: str) -> tuple[str, Any]:
        return "azurerm_network_security_group", {"name": "nsg", "resource_group_name": where, "security_rule": []}

    def rule(where: str) -> tuple[str, Any]:
        plain = {"name": "ssh", "priority": 100, "direction": "Inbound", "access": "Allow", "protocol": "Tcp"}
        ends = {
            f"{side}_{what}": "*" for side in ("source", "destination") for what in ("address_prefix", "port_range")
        }
        named = {"network_security_group_name": "nsg", "resource_group_name": where}
        return "azurerm_network_security_rule", {**plain, **ends, **named}

    def counts(*resources: tuple[str, Any]) -> list[int]:
        return [len(group.rules) for group in read(terraform(*resources)).groups]

    assert counts(group("a"), group("b"), rule("B")) == [0, 1]
    assert counts(group("a"), rule("(known after apply)")) == [1]
    # What the group in the other place has before it is not known.
    assert counts(group("a"), rule("c")) == [0, 0]
    assert "Several groups of the name “nsg”" in refusal(terraform(group("a"), group("b"), rule("(known after apply)")))


def test_what_az_says_of_a_new_group_stands_in_one_more_object() -> None:
    assert one({"NewNSG": azure({"priority": 100})}).name == "nsg"


def test_a_template_of_azure() -> None:
    inner = azure({"priority": 100})["securityRules"][0]
    properties = {key: value for key, value in inner.items() if key != "name"}
    resource = {
        "type": "Microsoft.Network/networkSecurityGroups",
        "name": "nsg",
        "properties": {"securityRules": [{"name": "ssh", "properties": properties}]},
    }

    group = one({"$schema": "x", "resources": [resource]})

    assert (group.name, plain(group.rules)) == ("nsg", [("accept in tcp", "any", 22, 22)])


# Google Cloud


def google(**rule: Any) -> Any:
    return {
        "kind": "compute#firewall",
        "name": "r",
        "network": "global/networks/default",
        "direction": "INGRESS",
        **rule,
    }


OUT = ("accept out ip", "0.0.0.0/0", None, None)


def test_of_one_priority_google_denies_before_it_allows() -> None:
    rules = [
        google(allowed=[{"IPProtocol": "tcp", "ports": ["22", "80-90"]}], sourceRanges=["10.0.0.0/8"], priority=1000),
        google(denied=[{"IPProtocol": "all"}], sourceRanges=["10.1.0.0/16"]),
    ]

    group = one(rules)

    assert group.name == "default"
    assert plain(group.rules) == [
        ("drop in ip", "10.1.0.0/16", None, None),
        ("accept in tcp", "10.0.0.0/8", 22, 22),
        ("accept in tcp", "10.0.0.0/8", 80, 90),
        OUT,
    ]


def test_each_target_of_google_becomes_a_group_with_all_that_is_about_it() -> None:
    ssh = google(allowed=[{"IPProtocol": "tcp", "ports": ["22"]}])
    web = google(
        allowed=[{"IPProtocol": "tcp", "ports": ["443"]}],
        targetTags=["web"],
        sourceTags=["lb"],
        sourceRanges=["10.0.0.0/8"],
    )

    plainly, target = read([ssh, web]).groups

    assert plain(plainly.rules) == [("accept in tcp", "0.0.0.0/0", 22, 22), OUT]
    assert target.name == "web"
    assert plain(target.rules) == [
        ("accept in tcp", "0.0.0.0/0", 22, 22),
        ("accept in tcp", "10.0.0.0/8", 443, 443),
        OUT,
    ]
    assert any("the tag lb" in note.how for note in target.notes)


def test_networks_of_one_name_in_two_projects_are_two() -> None:
    ssh, all_ = [{"IPProtocol": "tcp", "ports": ["22"]}], [{"IPProtocol": "all"}]
    rules = [
        google(network="https://www.googleapis.com/compute/v1/projects/a/global/networks/default", allowed=ssh),
        google(network="projects/b/global/networks/default", denied=all_, priority=5),
        google(network="projects/a/global/networks/default", allowed=all_, sourceRanges=["10.0.0.0/8"]),
    ]

    first, second = read(rules).groups

    assert (first.name, len(first.rules)) == ("a default", 3)
    assert (second.name, len(second.rules)) == ("b default", 2)
    assert [group.name for group in read(rules[::2]).groups] == ["default"]


def test_a_choice_of_keys_is_no_whole_rule() -> None:
    """Such a choice leaves out tags, which narrow a rule, or columns that do."""
    chosen = {"name": "r", "network": "default", "direction": "INGRESS", "allowed": [{"IPProtocol": "tcp"}]}

    assert "without a choice of keys" in refusal([chosen])

    row = {"ID": "a", "IP Protocol": "tcp", "Ethertype": "IPv4", "IP Range": "0.0.0.0/0", "Direction": "ingress"}

    assert "lacks Port Range, Remote Security Group" in refusal([row])


def test_the_order_among_targets_is_said_to_be_lost_where_one_of_them_denies() -> None:
    ssh = [{"IPProtocol": "tcp", "ports": ["22"]}]
    rules = [google(allowed=ssh, targetTags=["web"]), google(allowed=ssh, targetTags=["db"])]

    def lost(*given: Any) -> list[str]:
        return [
            note.text for group in read(list(given)).groups for note in group.notes if note.taken is not Taken.EXACT
        ]

    assert lost(*rules) == []
    assert len(lost(*rules, google(denied=ssh, targetTags=["db"], priority=1))) == 2


def test_a_disabled_rule_of_google_is_switched_off() -> None:
    group = one([google(allowed=[{"IPProtocol": "icmp"}], disabled=True)])

    assert [rule.enabled for rule in group.rules] == [False, True]


# Hetzner, DigitalOcean, Scaleway, CloudStack


def test_hetzner_lets_all_out_where_no_rule_is_for_that() -> None:
    rule = {
        "direction": "in",
        "protocol": "icmp",
        "port": None,
        "source_ips": ["0.0.0.0/0", "::/0"],
        "destination_ips": [],
    }

    group = one({"firewall": {"id": 1, "name": "fw", "rules": [rule], "applied_to": []}})

    assert plain(group.rules) == [
        ("accept in icmp", "0.0.0.0/0", None, None),
        ("accept in icmp", "::/0", None, None),
        ("accept out ip", "any", None, None),
    ]


def test_a_file_of_rules_for_hcloud_is_a_group_without_a_name() -> None:
    group = one(
        [{"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["10.0.0.0/8"], "description": "SSH"}]
    )

    assert (group.name, plain(group.rules)[0]) == ("", ("accept in tcp", "10.0.0.0/8", 22, 22))


def test_digitalocean_says_every_port_as_0_and_may_deny() -> None:
    def rule(**more: Any) -> Any:
        return {"protocol": "tcp", "ports": "0", "sources": {"addresses": ["10.0.0.0/8"]}, **more}

    group = one(
        [{"id": "1", "name": "fw", "inbound_rules": [rule(), rule(action="deny", ports="22")], "outbound_rules": []}]
    )

    assert plain(group.rules) == [("drop in tcp", "10.0.0.0/8", 22, 22), ("accept in tcp", "10.0.0.0/8", None, None)]


def test_droplets_and_load_balancers_are_named_and_not_taken() -> None:
    sources = {"droplet_ids": [42], "load_balancer_uids": ["4de7"], "tags": ["web"]}

    group = one([{"id": "1", "name": "fw", "inbound_rules": [{"protocol": "tcp", "ports": "22", "sources": sources}]}])

    assert not group.rules
    assert all(
        word in group.notes[0].how for word in ("the Droplet 42", "the load balancer 4de7", "VMs with the tag web")
    )


def scaleway(**group: Any) -> Any:
    rule = {
        "id": "r",
        "protocol": "TCP",
        "direction": "inbound",
        "action": "accept",
        "ip_range": "0.0.0.0/0",
        "position": 1,
    }
    whole = {
        "name": "sg",
        "stateful": True,
        "inbound_default_policy": "drop",
        "outbound_default_policy": "accept",
        "enable_default_security": True,
    }
    return {"security_group": {**whole, **group}, "rules": [{**rule, "dest_port_from": 22, "dest_port_to": None}]}


MAIL = [("drop out tcp", "any", port, port) for port in (25, 465, 587)]


def test_the_policies_of_scaleway_stand_at_the_end() -> None:
    group = one(scaleway())

    assert plain(group.rules) == [("accept in tcp", "0.0.0.0/0", 22, 22), *MAIL, ("accept out ip", "any", None, None)]


def test_a_last_port_of_scaleway_without_a_first_is_not_every_port() -> None:
    source = scaleway()
    source["rules"][0] |= {"dest_port_from": None, "dest_port_to": 80}

    assert "no range of ports" in refusal(source)


def test_what_the_default_security_does_is_not_taken_twice() -> None:
    source = scaleway()
    source["rules"] = [
        {"protocol": "TCP", "direction": "outbound", "action": "drop", "ip_range": network, "position": 1, "editable": False,
         "dest_port_from": port, "dest_port_to": None}
        for network in ("0.0.0.0/0", "::/0")
        for port in (25, 465, 587)
    ]  # fmt: skip

    rules = plain(one(source).rules)

    assert rules[:3] == MAIL
    assert len(rules) == 7
    # Of one that is missing all are added.
    del source["rules"][0], source["rules"][2]

    assert len(one(source).rules) == 8


def test_a_group_without_state_is_taken_only_where_replies_pass_anyway() -> None:
    group = one(scaleway(stateful=False, enable_default_security=False))

    assert plain(group.rules) == [("accept in tcp", "0.0.0.0/0", 22, 22)]
    assert [note.taken for note in group.notes][:3] == [Taken.NOT_TAKEN, Taken.EXACT, Taken.NOT_TAKEN]
    assert "Nothing goes out" in group.notes[0].how
    assert "Make the group stateful" in group.notes[2].how


def test_a_group_without_state_that_drops_some_replies_lets_nothing_in() -> None:
    # What may not go out are packets to TCP 25, 465 and 587, and those are replies of somebody's connection, too.
    group = one(scaleway(stateful=False))

    assert not [rule for rule in plain(group.rules) if rule[0].startswith("accept in")]
    assert group.notes[0].taken is Taken.NOT_TAKEN


def test_rules_of_scaleway_without_their_group_are_refused() -> None:
    assert "scw instance security-group get" in refusal({"rules": scaleway()["rules"]})


def test_a_public_port_of_cloudstack_is_not_the_vms() -> None:
    rule = {
        "id": "r",
        "protocol": "tcp",
        "startport": 2222,
        "endport": 2222,
        "cidrlist": "0.0.0.0/0",
        "ipaddress": "203.0.113.5",
    }

    group = one({"count": 1, "firewallrule": [rule]})

    assert not group.rules
    assert "public address" in group.notes[0].how


@pytest.mark.parametrize("more", [{"state": "Revoke"}, {"destcidrlist": "10.0.0.0/8"}])
def test_a_rule_of_cloudstack_that_asks_for_more_is_not_taken(more: Any) -> None:
    rule = {"id": "r", "protocol": "tcp", "startport": "22", "endport": "22", "cidrlist": "10.0.0.0/8", "number": 1}
    whole = {**rule, "traffictype": "Ingress", "action": "Allow", "state": "Active", "aclid": "a"}

    assert plain(one({"count": 1, "networkacl": [whole]}).rules) == [("accept in tcp", "10.0.0.0/8", 22, 22)]
    assert not one({"count": 1, "networkacl": [{**whole, **more}]}).rules


def test_two_acls_of_one_name_are_two() -> None:
    rule = {"protocol": "tcp", "cidrlist": "10.0.0.0/8", "traffictype": "Ingress", "action": "Allow", "aclname": "web"}

    reading = read({"networkacl": [{**rule, "number": 1, "aclid": "a"}, {**rule, "number": 2, "aclid": "b"}]})

    assert [(group.name, len(group.rules)) for group in reading.groups] == [("web", 1), ("web 2", 1)]


# Terraform


def terraform(*resources: Any, **more: Any) -> Any:
    full = [
        {"address": f"{kind}.r{place}", "mode": "managed", "type": kind, "values": values}
        for place, (kind, values) in enumerate(resources)
    ]
    return {
        "format_version": "1.2",
        "terraform_version": "1.9.0",
        "values": {"root_module": {"resources": full}},
        **more,
    }


def test_what_a_plan_does_not_know_yet_is_not_taken() -> None:
    rule = (
        "aws_security_group_rule",
        {"type": "ingress", "protocol": "tcp", "from_port": 22, "to_port": 22, "self": False},
    )
    known = ("aws_security_group_rule", {**rule[1], "cidr_blocks": ["10.0.0.0/8"]})
    plan = terraform(("aws_security_group", {"name": "web", "description": ""}), rule, known)
    plan["planned_values"] = plan.pop("values")
    unknown = {"security_group_id": True, "id": True}
    plan["resource_changes"] = [
        {
            "address": "aws_security_group_rule.r1",
            "change": {"after_unknown": {**unknown, "source_security_group_id": True}},
        },
        {"address": "aws_security_group_rule.r2", "change": {"after_unknown": unknown}},
    ]
    names = {"security_group_id": {"references": ["aws_security_group.r0.id", "aws_security_group.r0"]}}
    plan["configuration"] = {
        "root_module": {
            "resources": [
                {
                    "address": "aws_security_group_rule.r1",
                    "expressions": {**names, "source_security_group_id": {"references": ["x.y"]}},
                },
                {"address": "aws_security_group_rule.r2", "expressions": names},
            ]
        }
    }

    group = one(plan)

    assert (group.name, plain(group.rules)) == ("web", [("accept in tcp", "10.0.0.0/8", 22, 22)])
    assert "known after apply" in group.notes[0].how


def test_a_state_is_read_from_its_own_file() -> None:
    def instance(key: str, **more: Any) -> Any:
        block = {"from_port": 443, "to_port": 443, "protocol": "tcp", "cidr_blocks": ["203.0.113.0/24"], "self": False}
        attributes = {"id": f"sg-{key}", "name": key, "description": "Managed by Terraform", "ingress": [block]}
        return {"index_key": key, "schema_version": 1, "attributes": {**attributes, "egress": []}, **more}

    rule = {
        "type": "egress",
        "from_port": 0,
        "to_port": 0,
        "protocol": "-1",
        "ipv6_cidr_blocks": ["::/0"],
        "security_group_id": "sg-b",
        "source_security_group_id": None,
    }
    resources = [
        {"mode": "data", "type": "aws_security_group", "name": "old", "instances": [instance("c")]},
        {
            "module": 'module.sg["x.y"]',
            "mode": "managed",
            "type": "aws_security_group",
            "name": "web",
            "instances": [instance("a"), instance("b"), instance("gone", deposed="00000001")],
        },
        {
            "mode": "managed",
            "type": "aws_security_group_rule",
            "name": "out",
            "instances": [{"schema_version": 2, "attributes": rule}],
        },
    ]

    first, second = read({"version": 4, "terraform_version": "1.9.8", "lineage": "x", "resources": resources}).groups

    https = ("accept in tcp", "203.0.113.0/24", 443, 443)
    assert (first.name, plain(first.rules)) == ("a", [https])
    assert (second.name, plain(second.rules)) == ("b", [https, ("accept out ip", "::/0", None, None)])
    assert first.notes[0].where == 'module.sg["x.y"].aws_security_group.web["a"].ingress[0]'


def test_members_and_lists_of_a_state_are_who_the_file_says() -> None:
    def rule(**more: Any) -> tuple[str, Any]:
        plain = {"type": "ingress", "protocol": "tcp", "from_port": 22, "to_port": 22, "security_group_id": "sg-1"}
        return "aws_security_group_rule", {**plain, **more}

    bastion = {"private_ip": "10.0.0.9", "ipv6_addresses": ["2001:db8::9"], "vpc_security_group_ids": ["sg-2"]}

    group = one(
        terraform(
            ("aws_security_group", {"id": "sg-1", "name": "web"}),
            rule(source_security_group_id="sg-2"),
            rule(prefix_list_ids=["pl-1"]),
            rule(self=True),
            rule(prefix_list_ids=["pl-2"]),
            ("aws_instance", bastion),
            ("aws_network_interface", {"security_groups": ["sg-1"], "private_ips": ["10.0.0.10"]}),
            ("aws_ec2_managed_prefix_list", {"id": "pl-1", "entry": [{"cidr": "203.0.113.0/24"}]}),
            ("aws_ec2_managed_prefix_list_entry", {"prefix_list_id": "pl-1", "cidr": "198.51.100.0/24"}),
            ("aws_ec2_managed_prefix_list_entry", {"prefix_list_id": "pl-2", "cidr": "192.0.2.0/24"}),
            ("aws_ec2_managed_prefix_list_entry", {"prefix_list_id": "pl-2", "cidr": "(known after apply)"}),
        )
    )

    assert [source for _, source, _, _ in plain(group.rules)] == [
        "10.0.0.9/32",
        "2001:db8::9/128",
        "203.0.113.0/24",
        "198.51.100.0/24",
        "10.0.0.10/32",
    ]
    lost = [note.how for note in group.notes if note.taken is Taken.NOT_TAKEN]
    assert "the group sg-2 besides 10.0.0.9, 2001:db8::9" in lost[0]
    assert "the group itself besides 10.0.0.10" in lost[1]
    assert "the prefix list pl-2" in lost[2]
    assert "It is a member of sg-2 in the file." in [note.how for note in group.notes]


def test_members_of_a_group_that_is_known_later_are_nobody() -> None:
    rule = {"security_group_id": "sg-1", "ip_protocol": "-1", "referenced_security_group_id": "(known after apply)"}
    machine = {"private_ip": "10.0.0.9", "vpc_security_group_ids": ["(known after apply)"]}

    group = one(terraform(("aws_vpc_security_group_ingress_rule", rule), ("aws_instance", machine)))

    assert not group.rules
    assert "apply the plan" in group.notes[0].how


def test_ports_and_lists_of_openstack_are_who_the_file_says() -> None:
    def rule(**more: Any) -> tuple[str, Any]:
        plain = {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22}
        found = {**plain, "port_range_max": 22, "security_group_id": "sg-1", "remote_group_id": "", **more}
        return "openstack_networking_secgroup_rule_v2", found

    group = one(
        terraform(
            ("openstack_networking_secgroup_v2", {"id": "sg-1", "name": "web"}),
            rule(remote_group_id="sg-2"),
            rule(remote_address_group_id="ag-1"),
            ("openstack_networking_port_v2", {"all_security_group_ids": ["sg-2"], "all_fixed_ips": ["10.0.0.9", "2001:db8::9"]}),
            ("openstack_networking_address_group_v2", {"id": "ag-1", "addresses": ["203.0.113.0/24", "2001:db8::/32"]}),
        )
    )  # fmt: skip

    assert [source for _, source, _, _ in plain(group.rules)] == ["10.0.0.9/32", "203.0.113.0/24"]
    assert [note.taken for note in group.notes] == [Taken.NOT_TAKEN, Taken.EXACT, Taken.EXACT, Taken.EXACT]


def test_machines_with_a_tag_are_in_the_network_of_the_rule() -> None:
    def machine(network: str, address: str, *tags: str) -> tuple[str, Any]:
        card = {"network": f"https://compute/projects/p/global/networks/{network}", "network_ip": address}
        return "google_compute_instance", {"tags": list(tags), "network_interface": [card]}

    allow = [{"protocol": "tcp", "ports": ["5432"]}]
    rule = {
        "name": "db",
        "network": "projects/p/global/networks/shop",
        "allow": allow,
        "source_tags": ["web"],
        "deny": [],
    }
    deny = {
        "name": "no",
        "network": "projects/p/global/networks/shop",
        "deny": allow,
        "source_tags": ["db"],
        "priority": 2000,
    }

    group = one(
        terraform(
            ("google_compute_firewall", rule),
            ("google_compute_firewall", deny),
            machine("shop", "10.0.0.9", "web"),
            machine("other", "10.9.0.9", "web"),
            machine("shop", "10.0.0.10", "db"),
        )
    )

    assert plain(group.rules) == [
        ("accept in tcp", "10.0.0.9/32", 5432, 5432),
        ("drop in tcp", "any", 5432, 5432),
        ("accept out ip", "0.0.0.0/0", None, None),
    ]
    assert group.rules[0].description == "db: VMs with the tag web"


def test_networks_and_machines_of_two_projects_are_not_mixed() -> None:
    allow = [{"protocol": "tcp", "ports": ["22"]}]

    def rule(project: str, **more: Any) -> tuple[str, Any]:
        return "google_compute_firewall", {"name": "r", "network": "default", "project": project, **more}

    def machine(project: str, network: str, address: str) -> tuple[str, Any]:
        card = {"network": network, "network_ip": address}
        return "google_compute_instance", {"tags": ["web"], "project": project, "network_interface": [card]}

    link = "https://www.googleapis.com/compute/v1/projects/a/global/networks/default"

    first, second = read(
        terraform(
            rule("a", allow=allow, source_tags=["web"]),
            rule("b", deny=allow, source_ranges=["10.0.0.0/8"]),
            machine("a", link, "10.0.0.9"),
            machine("b", "default", "10.9.0.9"),
        )
    ).groups

    assert (first.name, plain(first.rules)) == ("a default", [("accept in tcp", "10.0.0.9/32", 22, 22), OUT])
    assert (second.name, len(second.rules)) == ("b default", 2)


def planned(rule_names: list[str], *groups: str, module: str = "") -> Any:
    """A plan of groups, and of one rule that refers to these."""
    prefix = f"{module}." if module else ""
    values = {"type": "ingress", "protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_blocks": ["10.0.0.0/8"]}
    rule = {"address": f"{prefix}aws_security_group_rule.ssh", "type": "aws_security_group_rule", "values": values}
    found = [
        {"address": f"{prefix}aws_security_group.{name}", "type": "aws_security_group", "values": {"name": name}}
        for name in groups
    ]
    refers = {"security_group_id": {"references": rule_names}}
    here = {"resources": [{"address": "aws_security_group_rule.ssh", "expressions": refers}]}
    inner = {"address": module, "resources": [*found, rule]}
    calls = {"module_calls": {"net": {"module": here}}}
    return {
        "terraform_version": "1.9.0",
        "planned_values": {"root_module": {"child_modules": [inner]} if module else inner},
        "resource_changes": [{"address": rule["address"], "change": {"after_unknown": {"security_group_id": True}}}],
        "configuration": {"root_module": calls if module else here},
    }


@pytest.mark.parametrize(
    ("names", "groups", "module", "takers"),
    [
        (["aws_security_group.web.id", "aws_security_group.web"], ["web", "db"], "", ["web"]),
        (["aws_security_group.web.id", "aws_security_group.web"], ["web", "db"], "module.net[0]", ["web"]),
        (["aws_security_group.a[1].id", "aws_security_group.a[1]", "aws_security_group.a"], ["a[0]", "a[1]"], "", ["a[1]"]),
        (["aws_security_group.a", "each.key"], ["a[0]", "a[1]"], "", []),
        (["aws_security_group.a.id", "aws_security_group.a", "aws_security_group.b"], ["a", "b"], "", []),
        (["var.group", "aws_security_group.web"], ["web"], "", []),
        (["aws_security_group.other"], ["web"], "", []),
    ],
)  # fmt: skip
def test_a_rule_of_a_plan_is_put_only_into_the_group_that_it_must_be_of(
    names: list[str], groups: list[str], module: str, takers: list[str]
) -> None:
    reading = read(planned(names, *groups, module=module))

    assert [group.name for group in reading.groups if group.rules] == takers
    assert len(reading.groups) == len(groups)
    assert ["is known only after apply" in note.how for note in reading.notes] == ([] if takers else [True])


def test_rules_that_a_plan_does_not_know_yet_are_named() -> None:
    plan = terraform(("aws_security_group", {"name": "web"}), ("hcloud_firewall", {"name": "fw"}))
    plan["planned_values"] = plan.pop("values")
    plan["resource_changes"] = [{"address": "aws_security_group.r0", "change": {"after_unknown": {"ingress": True}}}]

    reading = read(plan)

    assert [(note.where, note.taken) for note in reading.notes] == [("aws_security_group.r0.ingress", Taken.NOT_TAKEN)]

    # A list that may hold denials is another thing.
    plan["resource_changes"] = [{"address": "hcloud_firewall.r1", "change": {"after_unknown": {"rule": True}}}]

    assert "hcloud_firewall.r1.rule: It is known only after apply" in refusal(plan)


def google_plan(**rule: Any) -> Any:
    """A plan of a network and two rules, of which the second has what is given."""
    allow = [{"protocol": "tcp", "ports": ["22"]}]
    plan = terraform(
        ("google_compute_network", {"name": "shop"}),
        ("google_compute_firewall", {"name": "no", "network": "shop", "deny": allow, "priority": 10, "source_ranges": ["10.0.0.0/8"]}),
        ("google_compute_firewall", {"name": "ssh", "allow": allow, "source_ranges": ["10.1.0.0/16", "192.0.2.0/24"], **rule}),
    )  # fmt: skip
    plan["planned_values"] = plan.pop("values")
    plan["resource_changes"] = [
        {"address": "google_compute_firewall.r2", "change": {"after_unknown": {"network": True}}}
    ]
    return plan


def test_a_network_that_is_known_later_is_the_one_that_is_referred_to() -> None:
    plan = google_plan()
    refers = {"network": {"references": ["google_compute_network.r0.id", "google_compute_network.r0"]}}
    written = {"address": "google_compute_firewall.r2", "expressions": refers}
    plan["configuration"] = {"root_module": {"resources": [written]}}

    group = one(plan)

    assert group.name == "shop"
    assert plain(group.rules)[:2] == [("drop in tcp", "10.0.0.0/8", 22, 22), ("accept in tcp", "10.1.0.0/16", 22, 22)]


def test_rules_of_a_network_or_target_that_is_not_known_are_put_with_no_others() -> None:
    reading = read(google_plan())

    assert [note.where for note in reading.notes] == ["google_compute_firewall.r2"]
    assert [rule.action for group in reading.groups for rule in group.rules] == [Action.DROP, Action.ACCEPT]

    # Where such a one denies, nobody knows for whom.
    assert "Of whose network or targets" in refusal(google_plan(allow=[], deny=[{"protocol": "tcp"}]))


def test_a_block_that_a_loop_makes_is_not_known_because_the_configuration_is_silent() -> None:
    rule = {"action": "accept", "protocol": "TCP", "port": 22, "port_range": "", "ip": ""}
    kind, values = (
        "scaleway_instance_security_group",
        {"name": "sg", "stateful": True, "inbound_default_policy": "drop"},
    )
    plan = terraform((kind, {**values, "inbound_rule": [{**rule, "ip_range": "10.0.0.0/8"}, rule]}))
    plan["planned_values"] = plan.pop("values")
    later = {"inbound_rule": [{"ip_range": False}, {"ip_range": True}], "id": True}
    plan["resource_changes"] = [{"address": f"{kind}.r0", "change": {"after_unknown": later}}]
    written = {"address": f"{kind}.r0", "expressions": {"name": {"constant_value": "sg"}}}
    plan["configuration"] = {"root_module": {"resources": [written]}}

    group = one(plan)

    assert plain(group.rules)[:1] == [("accept in tcp", "10.0.0.0/8", 22, 22)]
    assert not any(rule.source is None for rule in group.rules if rule.action is Action.ACCEPT)
    assert "apply the plan" in group.notes[1].how


def test_what_may_be_about_traffic_and_is_not_read_is_named() -> None:
    kinds = ("openstack_compute_secgroup_v2", "vultr_firewall_rule", "digitalocean_firewall_attachment", "aws_instance")
    reading = read(terraform(("hcloud_firewall", {"name": "fw", "rule": []}), *((kind, {}) for kind in kinds)))

    assert [note.text for note in reading.notes] == ["openstack_compute_secgroup_v2", "vultr_firewall_rule"]


def test_network_acls_are_named_beside_the_groups() -> None:
    reading = read(terraform(("hcloud_firewall", {"name": "fw", "rule": []}), ("aws_network_acl", {})))

    assert [group.name for group in reading.groups] == ["fw"]
    assert [(note.where, note.taken) for note in reading.notes] == [("aws_network_acl.r1", Taken.NOT_TAKEN)]


# OPNsense

HEADER = (
    "@uuid,enabled,statetype,state-policy,sequence,action,quick,interfacenot,interface,direction,ipprotocol,protocol,icmptype,"
    "icmp6type,source_net,source_not,source_port,destination_net,destination_not,destination_port,gateway,log,tagged,description"
)


def opnsense(*rows: str) -> str:
    return "\n".join((HEADER, *rows)) + "\n"


def row(
    sequence: int,
    action: str,
    quick: int,
    source: str = "any",
    port: str = "22",
    interface: str = "wan",
    protocol: str = "TCP",
) -> str:
    return f"u{sequence},1,keep,,{sequence},{action},{quick},0,{interface},in,inet,{protocol},,,{source},0,,any,0,{port},,0,,d{sequence}"


def test_of_rules_that_are_not_quick_the_last_decides() -> None:
    group = one(
        opnsense(row(100, "block", 0), row(200, "pass", 0, "203.0.113.0/24"), row(300, "pass", 1, "198.51.100.0/24"))
    )

    assert plain(group.rules) == [
        ("accept in tcp", "198.51.100.0/24", 22, 22),
        ("accept in tcp", "203.0.113.0/24", 22, 22),
        ("drop in tcp", "0.0.0.0/0", 22, 22),
    ]
    assert group.notes[0].where == "line 4"


def test_what_comes_in_from_lan_is_not_what_comes_to_a_vm() -> None:
    group = one(opnsense(row(100, "pass", 1, interface="lan"), row(200, "pass", 1, source="office")))

    assert not group.rules
    assert [note.where for note in group.notes] == ["line 3", "document", "line 2"]
    assert "alias or network “office”" in group.notes[0].how


def test_an_export_of_opnsense_without_columns_is_refused_with_their_names() -> None:
    header = HEADER.replace("interfacenot,", "").replace("source_not,", "").replace("destination_not,", "")

    said = refusal(f"{header}\n")

    assert "OPNsense" in said
    assert "interfacenot, source_not, destination_not" in said


def test_what_is_no_alias_is_not_called_one() -> None:
    header = HEADER.replace("gateway,", "tcpflags1,tcpflags2,gateway,")
    flagged = row(100, "pass", 1).replace(",22,,0,,", ",22,syn,syn,,0,,")

    group = one("\n".join((header, flagged)) + "\n")

    assert "tcpflags1 syn" in group.notes[0].how
    assert "alias" not in group.notes[0].how


# What is none of these


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ({"NetworkAcls": []}, "describe-security-groups"),
        ({"version": 4, "terraform_version": "1.9", "lineage": "x", "resources": []}, "aws_security_group"),
        ({"version": 3, "terraform_version": "0.11.14", "lineage": "x", "modules": []}, "0.11 or older"),
        (
            [{"name": "p", "kind": "compute#firewallPolicy", "match": {"layer4Configs": []}}],
            "gcloud compute firewall-rules list",
        ),
        ([{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": []}], "aws ec2 describe-security-groups"),
        ({"firewalls": [google(allowed=[])], "firewallPolicys": [{"name": "p"}]}, "firewall policy of Google Cloud"),
        ({"version": 4, "resources": [{"type": "hcloud_firewall", "instances": []}]}, "aws_security_group"),
        (
            {"version": 4, "resources": [{"type": "linode_firewall", "name": "fw", "instances": [{"attributes": {}}]}]},
            "linode_firewall",
        ),
        ({"hello": 1}, "karenpanel.group/1"),
        ([{"hello": 1}], "“hello”"),
        ([1], "karenpanel.group/1"),
        ({}, "AWS security groups"),
        ([], "karenpanel.group/1"),
        (
            {"security_groups": [{"id": "g", "name": "sg", "inbound_default_policy": "drop"}]},
            "scw instance security-group get",
        ),
        (aws({"IpProtocol": "tcp", "FromPort": "22a"}), "SecurityGroups[0].IpPermissions[0].FromPort"),
        (terraform(), "aws_security_group"),
    ],
)
def test_other_json_is_refused_in_one_sentence_that_says_what_to_bring(value: Any, word: str) -> None:
    assert word in refusal(value)


def test_a_document_of_ours_with_a_fault_is_told_its_faults() -> None:
    with pytest.raises(BadDocument) as caught:
        read({"format": "karenpanel.group/1", "name": "x", "rules": [{"action": "accept"}]})

    assert "direction" in str(caught.value)


def test_what_powershell_writes_as_utf_16_is_read() -> None:
    reading = read_file(json.dumps(azure({"priority": 100})).encode("utf-16"))

    assert reading.system == "Azure network security groups"
