"""Tokens: each stands for one change of one state, and gives no rights."""

from hashlib import sha256
from json import dumps
from typing import Any

from securitygroups.firewall.formats.documents import stored_rules
from securitygroups.firewall.values import RuleList


def token_of(*about: object) -> str:
    return sha256(dumps(about).encode()).hexdigest()[:32]


def traffic_of(rules: RuleList) -> list[dict[str, Any]]:
    """What of the rules changes traffic: typing on in a description asks for no second look."""
    return [{**rule, "description": ""} for rule in stored_rules(rules)]
