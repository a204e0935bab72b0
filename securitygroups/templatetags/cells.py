"""How a rule looks in a table, in one place: the group's rules, a VM's effective rules, a packet's way through them.

These are drawn by the hundred, so they are made here and not in templates, and they are short: an icon of a row names a
shape that stands once before the table ({% marks %}), and addresses begin where the page is, or are looked up once.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from django import template
from django.urls import reverse
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
from lucide.templatetags.lucide import lucide

from securitygroups.answers.way import Gap, Stop
from securitygroups.effective import Placed
from securitygroups.firewall.decide import Outcome, Step
from securitygroups.firewall.protocols import PROTOCOLS, Action, Direction
from securitygroups.firewall.values import Packet, Rule
from securitygroups.templatetags.firewall import from_anywhere, ports, rule_page, sentence_rest, service
from securitygroups.templatetags.ui import ICONS, address, icon
from securitygroups.templatetags.use import hits_words
from securitygroups.words.rules import why_passed

register = template.Library()

# What a row's icons are called in it, and in the icon package.
ROW_ICONS = {
    "u": "arrow-up",
    "d": "arrow-down",
    "e": "pencil",
    "m": "ellipsis",
    "c": "copy",
    "p": "pause",
    "r": "play",
}
MARKS = ICONS | ROW_ICONS
# These stand in a button or link that has a label; what is in it is not read out.
_LABELLED = frozenset(ROW_ICONS)
_SILENT = " aria-hidden=true"


@register.simple_tag
@lru_cache(maxsize=1)
def marks() -> SafeString:
    """The shapes of a row's icons, which the style sheet draws. Once on a page, before the rows."""
    shapes = {key: re.sub(r"\s*\n\s*|^.*?<svg[^>]*>|</svg>", "", lucide(name)) for key, name in MARKS.items()}
    symbols = (f'<symbol id="i{key[:2]}" viewBox="0 0 24 24">{shape}</symbol>' for key, shape in shapes.items())
    return SafeString(f'<svg class="marks" aria-hidden="true">{"".join(symbols)}</svg>')


@lru_cache(maxsize=len(MARKS))
def mark(key: str) -> SafeString:
    """An icon of a row; what it stands in says how large it is, and words or a label say what it means."""
    return SafeString(f"<svg{'' if key in _LABELLED else _SILENT}><use href=#i{key[:2]} /></svg>")


@lru_cache
def badge(kind: str, key: str, word: str) -> SafeString:
    return format_html('<span class="badge {}">{}{}</span>', kind, mark(key), word)


NONE = "–"
"""What a protocol lacks. Read as a dash: a word would stand a hundred times on a page."""
ANY = SafeString("<span class=muted>any</span>")
ANYWHERE = badge("warning", "anywhere", "Anywhere")
OFF = badge("neutral", "off", "Off")


def action_badge(action: Action) -> SafeString:
    return badge(action.value, action.value, action.label)


@lru_cache
def _head(action: Action, direction: Direction, protocol: str) -> SafeString:
    """The cells that are the same in many rules."""
    return format_html(
        "<td class=action>{}<td class=direction><span class=way>{}{}</span>"
        '<td class=protocol><span class="badge protocol">{}</span>',
        action_badge(action),
        mark(direction.value),
        direction.label,
        PROTOCOLS[protocol].label,
    )


def _cell(name: str, content: object, *more: object) -> SafeString:
    kind = SafeString(f'"{name} none"') if content == NONE else name
    return format_html("<td class={}>{}{}", kind, content, more[0] if more else "")


@register.simple_tag
def rule_cells(rule: Rule) -> SafeString:
    """Action, direction, protocol, ports, source and destination of a rule: six cells of a table's row."""
    return _head(rule.action, rule.direction, rule.protocol) + _ends(rule)


@lru_cache(maxsize=2048)
def _ends(rule: Rule) -> SafeString:
    columns = PROTOCOLS[rule.protocol].columns
    number, known = ports(rule), service(rule)
    port: object = NONE if not number else ANY if number == "any" else format_html("<code>{}</code>", number)
    return (
        _cell("ports", port, format_html(" <span class=sub>{}</span>", known) if known else "")
        + _cell(
            "source",
            _source(rule) if "source" in columns else NONE,
        )
        + _cell("destination", address(rule.destination) if "destination" in columns else NONE)
    )


def _source(rule: Rule) -> SafeString:
    """Where it comes from. "Anywhere" says "any" already."""
    if not from_anywhere(rule):
        return address(rule.source)
    return ANYWHERE if rule.source is None else address(rule.source) + format_html(" {}", ANYWHERE)


# A row is drawn by the hundred: it leaves out what HTML lets be left out, quotation marks and the ends of cells.
_ROW = (
    "<tr id=rule-{uid} data-row{off}>{check}<td class=number id=place-{place}>{place}{cells}"
    "<td class={kind}>{description}<td class=buttons>{buttons}"
    '<details class=menu><summary aria-label="More for rule {place}">{more}</summary>'
    "<div class=menu-items><a href={q}rules/{uid}/menu/{keep}{q}>All choices</a></div></details>"
)
_CHECK = '<td class=check><label><input type=checkbox name=rule value={uid} aria-label="Select rule {place}"></label>'
_STEP = '<button {to} aria-label="Move rule {place} {do}">{icon}</button>'
_TO = "name={do} value={uid}"
_STILL = "type=button aria-disabled=true"
_EDIT = '<a href={q}rules/{uid}/{keep}{q} aria-label="Edit rule {place}">{icon}</a>'
_COPY = '<a href="rules/new/?copy={uid}{and_keep}" aria-label="Duplicate rule {place}">{icon}</a>'
_SWITCH = '<button {to} aria-label="Switch rule {place} {do}">{icon}</button>'


@register.simple_tag(takes_context=True)
def rule_row(context: Mapping[str, Any], place: int, rule: Rule) -> SafeString:
    """A row of the group's page, from where its addresses begin. `keep` leads back to the same filter and page."""
    total, keep, can_edit = context["total"], context["keep"], context["can_edit"]
    description: str = conditional_escape(rule.description)
    if not rule.enabled:
        description += f" {OFF}"
    if used := hits_words(context.get("hits"), rule.uid):
        description += f"<p class=hits>{used}</p>"
    # An identity is hexadecimal, a place a number; what people type is escaped here.
    escaped = conditional_escape(keep)
    known = {"uid": conditional_escape(rule.uid), "place": place, "keep": escaped, "q": '"' if keep else ""}
    buttons = ""
    if can_edit:
        up = _STILL if place == 1 else _TO.format(do="up", **known)
        down = _STILL if place == total else _TO.format(do="down", **known)
        do = "off" if rule.enabled else "on"
        and_keep = f"&amp;{escaped[1:]}" if keep else ""
        buttons = (
            _STEP.format(do="up", place=place, to=up, icon=mark("u"))
            + _STEP.format(do="down", place=place, to=down, icon=mark("d"))
            + _SWITCH.format(do=do, place=place, to=_TO.format(do=do, **known), icon=mark("p" if rule.enabled else "r"))
            + _EDIT.format(icon=mark("e"), **known)
            + _COPY.format(icon=mark("c"), and_keep=and_keep, **known)
        )
    row = _ROW.format(
        off="" if rule.enabled else ' class="is-off"',
        check=_CHECK.format(**known) if can_edit else "",
        cells=rule_cells(rule),
        # By whom and when stands above the table, and in the row's menu.
        kind='"description seen"' if rule.uid in context["reviewed"] else "description",
        description=description,
        buttons=buttons,
        more=mark("m"),
        **known,
    )
    return SafeString(row)


@register.simple_tag
@lru_cache(maxsize=1024)
def group_address(slug: str, group_id: str) -> str:
    """A group's page: looked up once, not for each of its rules."""
    return reverse("group", args=[slug, group_id])


@register.simple_tag
@lru_cache(maxsize=1024)
def machine_address(slug: str, machine_id: str) -> str:
    """A VM's page: what leads on from it begins so."""
    return reverse("machine", args=[slug, machine_id])


def rule_address(slug: str, placed: Placed) -> str:
    """Where a rule stands on its group's page."""
    return f"{group_address(slug, placed.group_id)}?page={rule_page(placed.place)}#rule-{placed.uid}"


@register.simple_tag
def rule_home(placed: Placed, slug: str) -> SafeString:
    """Where a rule of an effective list comes from, and what it is for."""
    rule = placed.rule
    return format_html(
        '<a href="{}">{}</a>{}{}',
        rule_address(slug, placed),
        placed.text,
        "" if rule.enabled else format_html(" {}", OFF),
        format_html('<p class="sub">{}</p>', rule.description) if rule.description else "",
    )


# ---- a packet's way down a list ----

_STOP = (
    '<li class="{kind}"><span class="number">{place}</span><div><p>{told}{where}</p><p class="why">{why}</p></div></li>'
)
_KINDS = {Outcome.NOT_REACHED: "unreached", Outcome.OFF: "passed off", Outcome.PASSED: "passed"}
_MATCHED = SafeString("<strong>Matched</strong>: this rule decides")
_WOULD_MATCH = SafeString("<strong>Matched</strong>: this rule would decide, if it were asked")


_GAP = (
    '<li class="{kind}"><span class="number">{icon}</span><div><p>Rules {first} to {last}</p>'
    '<p class="why">{why}</p></div></li>'
)


@register.simple_tag
def trace_stops(
    way: Iterable[Stop], packet: Packet, slug: str = "", named: object = None, barred: object = None
) -> SafeString:
    """The packet's way, rule by rule. With `slug` a rule leads to its group, with `named` it says where it stood. What is
    `barred` comes to no rule."""
    matched = _WOULD_MATCH if barred else _MATCHED
    stops = []
    for step, placed, gap in way:
        if gap:
            stops.append(_passed_over(gap))
        elif step and placed:
            stops.append(_stop(step, packet, _whereabouts(placed, slug) if slug or named else "", matched))
    return SafeString("".join(stops))


def _stop(step: Step, packet: Packet, where: str, matched: SafeString) -> SafeString:
    kind = _KINDS.get(step.outcome, f"matched {step.rule.action.value}")
    why: str = matched
    if step.outcome is Outcome.NOT_REACHED:
        why = "Not reached"
    elif step.outcome is not Outcome.MATCHED:
        why = f"Passed by: {why_passed(step, packet)}"
    return format_html(_STOP, kind=kind, place=step.place, told=_told(step.rule), where=where, why=why)


def _passed_over(gap: Gap) -> SafeString:
    kind, why = ("passed", "Passed by: none of them matches") if gap.passed else ("unreached", "Not reached")
    return format_html(
        _GAP, kind=kind, why=why, first=f"{gap.first:,}", last=f"{gap.last:,}", icon=icon(MARKS["m"], 14)
    )


def _whereabouts(placed: Placed, slug: str) -> SafeString:
    if slug:
        return format_html(' <a class="sub" href="{}">{}</a>', rule_address(slug, placed), placed.text)
    return format_html(' <span class="sub">{}</span>', placed.text)


@lru_cache(maxsize=2048)
def _told(rule: Rule) -> SafeString:
    return format_html("{} <span>{}</span>", action_badge(rule.action), sentence_rest(rule))
