"""The address of a page in a person's words: “Looked at the rules of web”, for whoever reads what support looked at."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.urls import Resolver404, resolve

from securitygroups.firewall.texts import clean, visible
from securitygroups.forms import PacketForm
from securitygroups.models import SecurityGroup, VirtualMachine
from securitygroups.words.rules import packet_sentence

LONGEST = 60
"""Letters of a search that the sentence has room for; the record has the whole address."""

# By the name of the address. {} is what it is about; none of these names an object of another project.
PAGES = {
    "overview": "Looked at the overview",
    "activity": "Looked at the activity",
    "activity_list": "Took the activity as a file",
    "groups_list": "Took the list of security groups as a file",
    "groups_export": "Took the rules of all security groups as a file",
    "machines_list": "Took the list of virtual machines as a file",
    "machine_choices": "Looked for a virtual machine",
    "rules_list": "Took rules as a file",
    "view_new": "Opened the form of a saved view",
    "project_find": "Searched",
    "project_test": "Opened the packet test",
    "project_dropped": "Looked at dropped packets",
    "dropped_packet": "Looked at a dropped packet",
    "project_replay": "Replayed a log of flows",
    "members": "Looked at the members",
    "groups": "Looked at the list of security groups",
    "machines": "Looked at the list of virtual machines",
    "templates": "Looked at the templates",
    "cases": "Looked at the support cases",
    "project_rules": "Searched the rules of all groups",
    "exposure": "Looked at what the internet reaches",
    "reached": "Looked at what the internet reaches",
    "review": "Looked at the review of the rules",
    "review_records": "Looked at the signed reviews",
    "review_record": "Looked at signed review {number}",
    "review_export": "Took signed review {number} as a file",
    "group": "Looked at the rules of {}",
    "rule_menu": "Looked at a rule of {}",
    "group_machines": "Looked at the VMs of {}",
    "group_in_force": "Looked where the rules of {} are in force",
    "group_test": "Opened the packet test of {}",
    "group_replay": "Replayed a log of flows on {}",
    "group_history": "Looked at the history of {}",
    "group_revision": "Looked at revision {number} of {}",
    "group_export": "Took the rules of {} as a file",
    "machine": "Looked at {}",
    "machine_in_force": "Looked where the rules of {} are in force",
    "machine_test": "Opened the packet test of {}",
    "machine_replay": "Replayed a log of flows on {}",
    "machine_history": "Looked at the history of {}",
    "machine_revision": "Looked at revision {number} of {}",
    "machine_dropped": "Looked at dropped packets of {}",
    "machine_ruleset": "Looked at the ruleset of {}",
    "case": "Looked at {}",
    "case_note": "Wrote to {}",
    "case_open": "Kept a packet test as a case",
    "case_step": "Took care of {}",
    "support": "Searched at the support desk",
}
ELSE = "Looked at a page of the project"
_TESTS = ("group_test", "machine_test", "project_test")


@dataclass(frozen=True, slots=True)
class Page:
    """An address, taken apart: its name, its parts, what it asks for."""

    name: str
    parts: dict[str, Any]
    query: QueryDict

    @property
    def about(self) -> str:
        """The public id of what it is about; empty where it is about the project."""
        return str(self.parts.get("group_id") or self.parts.get("machine_id") or self.parts.get("case_id") or "")


def _taken_apart(address: str) -> Page:
    path, _, query = address.partition("?")
    try:
        found = resolve(path)
    except Resolver404:
        return Page("", {}, QueryDict())
    # What somebody wrote into an address is shown as what somebody typed.
    return Page(found.url_name or "", found.kwargs, QueryDict(query[:2000]))


def in_words(project: int, addresses: Iterable[str]) -> dict[str, str]:
    """Each address as a sentence without its full stop. Names are those of now, and of this project alone: two queries,
    however many there are."""
    pages = {address: _taken_apart(address) for address in addresses}
    ids = {page.about for page in pages.values()} - {""}
    names: dict[str, str] = {}
    for rows, start in ((SecurityGroup.objects, "sg-"), (VirtualMachine.objects, "vm-")):
        asked = [each for each in ids if each.startswith(start)]
        if asked:
            names |= dict(rows.filter(project=project, public_id__in=asked).values_list("public_id", "name"))
    return {address: _sentence(page, names.get) for address, page in pages.items()}


def _sentence(page: Page, named: Callable[[str], str | None]) -> str:
    about = named(page.about) or page.about
    packet = _tested(page)
    if packet:
        return f"Tested {packet}" + (f" on {about}" if about else "")
    said = PAGES.get(page.name, ELSE).replace("{number}", str(page.parts.get("number", ""))).replace("{}", about)
    looked_for = visible(clean(page.query.get("q", ""))).strip()
    if not looked_for:
        return said
    short = looked_for if len(looked_for) <= LONGEST else f"{looked_for[:LONGEST]}…"
    return f"{said} for “{short}”" if said.startswith("Searched") else f"{said}, searching for “{short}”"


def _tested(page: Page) -> str:
    """The packet of a packet test in words; empty where there is none, or none that could be tested."""
    if page.name not in _TESTS or "test" not in page.query:
        return ""
    form = PacketForm(page.query)
    words = packet_sentence(form.packet) if form.is_valid() else ""
    # As a part of a sentence: names of protocols keep their capitals.
    return words[:1].lower() + words[1:]
