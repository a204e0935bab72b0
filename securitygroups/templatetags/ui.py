"""Tags every template may use: icons, badges, times, form errors, page links. They draw; they never decide."""

import json
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import zip_longest
from typing import Any

from django import template
from django.conf import settings
from django.contrib.messages.storage.base import Message
from django.core.paginator import Page
from django.forms import BaseForm, BoundField
from django.template.base import FilterExpression, Node, Parser, TextNode, Token, Variable
from django.template.defaulttags import CsrfTokenNode
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from karenpanel import marks
from securitygroups.words import hosts as words

register = template.Library()

# What a value means is said by a word AND a shape, never by colour alone.
ICONS = {
    "accept": "check",
    "drop": "ban",
    "in": "arrow-down-left",
    "out": "arrow-up-right",
    "anywhere": "globe",
    "off": "pause",
}
LONGEST_IPV4 = len("255.255.255.255/32")
MESSAGE_ICONS = {"success": "circle-check", "info": "info", "warning": "triangle-alert", "error": "circle-alert"}
USUAL_SIZE = 16


@register.simple_tag
@lru_cache(maxsize=512)
def icon(name: str, size: int = USUAL_SIZE, label: str = "") -> SafeString:
    """An icon of static/icons.svg (`manage.py icons` makes it). Silent for screen readers unless it has a label, because
    words usually stand beside it."""
    said = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    classes = "icon" if size == USUAL_SIZE else f"icon s{size}"
    return format_html('<svg class="{}" {}><use href="{}#{}"/></svg>', classes, said, static("icons.svg"), name)


_draw_icon = register.tags["icon"]


def _said_in_words(value: FilterExpression) -> bool:
    """Whether the template has the value itself, and not the name of one that each page fills in."""
    return not value.filters and not (isinstance(value.var, Variable) and value.var.lookups)


@register.tag("icon")
def _icon_of_template(parser: Parser, token: Token) -> Node:
    """Nearly every icon is the same each time its template is drawn: then it is text of the template like any other."""
    node: Any = _draw_icon(parser, token)
    if node.target_var is None and all(map(_said_in_words, [*node.args, *node.kwargs.values()])):
        return TextNode(node.render(template.Context()))
    return node  # type: ignore[no-any-return]


@register.simple_tag
def drawn_once(name: str, **known: Hashable) -> str:
    """Include a part of the page that depends on nothing but what is named here, and draw it once for each of that.

    Such a part knows nothing else, neither the request nor the person, so nobody's page can come to somebody else. What is
    named should take few values: a project, a group, a role.
    """
    return render_to_string(name, known) if settings.DEBUG else _drawn(name, **known)


class _Token(CsrfTokenNode):
    """Beside the token of the session, the mark of the form (karenpanel/marks.py)."""

    def render(self, context: Any) -> str:
        token: str = super().render(context)
        text = marks.mark(context["request"]) if token and "request" in context else ""
        return token + format_html('<input type="hidden" name="{}" value="{}">', marks.FIELD, text) if text else token


@register.tag
def csrf_token(parser: Parser, token: Token) -> Node:
    return _Token()


# By type too: the same text may be marked as safe or not.
@lru_cache(maxsize=1024, typed=True)
def _drawn(name: str, **known: Hashable) -> str:
    return render_to_string(name, known)


@register.simple_tag
def sort_head(wanted: Any, key: str, label: str, kind: str = "") -> SafeString:
    """A column's head that leads to the list in its order, and the other way round where it has that order already."""
    by, down = (wanted.sort or "name").removeprefix("-"), wanted.sort.startswith("-")
    # What is newest or most is asked for first.
    wants_down = not down if by == key else key in ("changed", "created", "groups", "rules", "machines")
    sort = f"-{key}" if wants_down else "" if key == "name" else key
    state = SafeString(f' aria-sort="{"descending" if down else "ascending"}"') if by == key else ""
    shape = "arrow-down" if down else "arrow-up"
    return format_html(
        '<th scope="col" class="sorts {}"{}><a href="?{}" rel="nofollow">{}{}</a></th>',
        kind,
        state,
        replace(wanted, sort=sort).query(),
        label,
        icon(shape, 14) if by == key else "",
    )


@register.filter
def as_json(value: object) -> str:
    """For an attribute that script reads."""
    return json.dumps(value)


# In this order: most browsers also say that they are some of the others.
BROWSERS = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"), ("curl/", "curl"))
SYSTEMS = (
    *(("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows")),
    *(("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux")),
)


@register.filter
def browser(agent: str) -> str:
    """What a browser says of itself, as people call it: "Firefox on Windows". It may lie."""
    name = next((word for mark, word in BROWSERS if mark in agent), "Another program")
    system = next((word for mark, word in SYSTEMS if mark in agent), "")
    return f"{name} on {system}" if system else name


def badge(kind: str, icon_name: str, word: object) -> SafeString:
    return format_html('<span class="badge {}">{}{}</span>', kind, icon(icon_name, 14), word)


@register.simple_tag
def action(value: object, word: str = "") -> SafeString:
    value = str(getattr(value, "value", value))
    return badge(value, ICONS[value], word or value.capitalize())


@register.simple_tag
def direction(value: object) -> SafeString:
    value = str(getattr(value, "value", value))
    return format_html('<span class="way">{}{}</span>', icon(ICONS[value], 14), value.capitalize())


@register.simple_tag
def protocol(label: object) -> SafeString:
    return format_html('<span class="badge protocol">{}</span>', label)


@register.simple_tag
def off() -> SafeString:
    return badge("neutral", ICONS["off"], "Off")


@register.simple_tag
def address(value: object) -> SafeString:
    if not value:
        return SafeString('<span class="muted">any</span>')
    text: object = str(value)
    if len(str(value)) > LONGEST_IPV4:
        # A long IPv6 address may break after its colons, not in the middle of a group.
        text = format_html_join(
            SafeString("<wbr>"), "{}", ((part,) for part in re.split(r"(?<=:)(?=[^:])", str(value)))
        )
    return format_html("<code class=address>{}</code>", text)


@register.simple_tag
def ago(moment: datetime | None) -> SafeString:
    """How long ago, in words; the exact moment is one hover away and machine-readable."""
    if moment is None:
        return SafeString('<span class="muted">never</span>')
    age = timezone.now() - moment
    if age < timedelta(minutes=1):
        words = "just now"
    elif age < timedelta(days=30):
        words = f"{timesince(moment, depth=1)} ago"
    else:
        words = f"{timezone.localtime(moment):%-d %b %Y}"
    return moment_tag(moment, words)


@register.filter
def exact(moment: datetime) -> str:
    """The moment to the minute, with its zone: "1 July 2026, 14:10 CEST". Django's own has no zone where an hour is
    there twice."""
    return f"{timezone.localtime(moment):%-d %B %Y, %H:%M %Z}"


@register.filter
def clock(moment: datetime) -> str:
    """The time of a moment that is near: "14:10 CEST"."""
    return f"{timezone.localtime(moment):%H:%M %Z}"


@register.simple_tag
def when(moment: datetime) -> SafeString:
    """A moment as people speak of it: "today at 14:02", "Tuesday at 14:02", "3 March at 14:02"."""
    local, now = timezone.localtime(moment), timezone.localtime()
    age = (now.date() - local.date()).days
    day = "today" if not age else f"{local:%A}" if 0 < age < 7 else f"{local:%-d %B}"
    year = "" if local.year == now.year or age < 7 else f" {local:%Y}"
    return moment_tag(moment, f"{day}{year} at {local:%H:%M}")


def moment_tag(moment: datetime, words: str) -> SafeString:
    """The words, which hold nothing to be escaped; the exact moment is one hover away and machine-readable."""
    return SafeString(f"{_exactly(moment, timezone.get_current_timezone())}{words}</time>")


# Lists show the same moments again and again. What is made of a moment holds nothing to be escaped.
@lru_cache(maxsize=4096)
def _exactly(moment: datetime, zone: tzinfo) -> str:
    exact = moment.astimezone(zone)
    return f'<time datetime="{exact.isoformat()}" title="{exact:%-d %B %Y, %H:%M:%S %Z}">'


@register.filter
def choice_icon(value: object) -> SafeString:
    """The icon of a radio's value, where it has one: the form then looks like the badge it makes."""
    name = ICONS.get(str(value))
    return icon(name) if name else SafeString("")


@register.filter
def message_icon(level: str) -> SafeString:
    return icon(MESSAGE_ICONS.get(level, "info"), 18)


@register.filter
def undo_url(message: Message) -> str:
    """A message made with extra_tags="undo:/where/to/post" offers an Undo button that posts there."""
    return next((tag[5:] for tag in (message.extra_tags or "").split() if tag.startswith("undo:")), "")


@register.filter
def follow(message: Message) -> dict[str, str] | None:
    """Of a message made with extra_tags="follow:3:4:/where/to/ask": what it says first, that the change is on its way to three
    of four VMs, and where to ask how far it is."""
    told = next((tag[7:] for tag in (message.extra_tags or "").split() if tag.startswith("follow:")), "")
    if not told:
        return None
    pending, total, url = told.split(":", 2)
    return {"url": url, "words": words.applied_on(int(pending), int(total), 0)}


@register.filter
def names(values: Iterable[object]) -> SafeString:
    """Names in a line, each by itself: two that are written from right to left would change places.

    A comma stays at its name: after a block a line may end before it.
    """
    all_of_them = [(value,) for value in values]
    others = format_html_join("", '<span class="listed"><bdi>{}</bdi>,</span> ', all_of_them[:-1])
    return others + format_html_join("", "<bdi>{}</bdi>", all_of_them[-1:])


@register.filter
def whole_ranges(text: str) -> SafeString:
    """Words in which no range of ports is broken at its dash."""
    parts = re.split(r"(\d+–\d+)", text)
    # Every second one is a range.
    return format_html_join(
        "",
        "{}{}",
        (
            (plain, format_html('<span class="nowrap">{}</span>', part) if part else "")
            for plain, part in zip_longest(parts[::2], parts[1::2], fillvalue="")
        ),
    )


@register.filter
def initials(user: object) -> str:
    words = str(user).partition("@")[0].replace(".", " ").replace("_", " ").replace("-", " ").split() or ["?"]
    return (words[0][:2] if len(words) == 1 else words[0][0] + words[-1][0]).upper()


@register.filter
def suggestions(field: BoundField) -> list[str]:
    """What could be typed instead: ValidationError(…, params={"suggestions": ["10.0.0.5/32", "10.0.0.0/24"]})."""
    found: list[str] = []
    for error in field.errors.as_data():
        params: Mapping[str, Any] = error.params or {}
        found += params.get("suggestions", [])
    return found


@register.inclusion_tag("ui/error_summary.html")
def error_summary(*forms: BaseForm | None) -> dict[str, Any]:
    """Every error of the forms, each a link to its field, where the same words stand again."""
    items: list[tuple[str, str]] = []
    for form in forms:
        if not form:
            continue
        items += [("", str(message)) for message in form.non_field_errors()]
        for field in form:
            # A group of radios has no id of its own; the first of them takes the focus.
            target = "" if field.is_hidden else field.id_for_label or f"{field.auto_id}_0"
            # Named, because "This field is required." says little away from its field.
            items += [(target, f"{field.label}: {message}") for message in field.errors]
    return {"items": items}


@register.inclusion_tag("ui/pagination.html", takes_context=True)
def pagination(context: template.Context, page: Page[Any], name: str = "page") -> dict[str, Any]:
    """Links to the other pages that keep the search and filter of this one."""
    query = context["request"].GET.copy()

    def link(number: int | str) -> str:
        query[name] = str(number)
        return f"?{query.urlencode()}"

    numbers = [
        (number, link(number) if isinstance(number, int) else "")
        for number in page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1)
    ]
    return {
        "page": page,
        "numbers": numbers,
        "previous": link(page.number - 1) if page.has_previous() else "",
        "next": link(page.number + 1) if page.has_next() else "",
    }
