"""Pages as people use them: forms with what stands in them, messages at fields, and the text."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from django.test import Client

VOID = {"input", "br", "hr", "meta", "link", "img", "wbr", "path", "circle", "rect", "line", "polyline"}


@dataclass
class Form:
    """Where a form goes, and what a browser would send of it."""

    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)

    def send(self, client: Client, *without: str, **changes: Any) -> Any:
        data = {name: values for name, values in self.fields.items() if name not in without} | changes
        return getattr(client, self.method)(self.action, data)


class Page(HTMLParser):
    """An answer, read. `errors` maps a field's name to the message at it, `ids` are all ids of the page."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.ids: list[str] = []
        self.errors: dict[str, str] = {}
        self.title = self.text = ""
        self._path = response.wsgi_request.path
        self._open: list[tuple[str, str]] = []
        self._select = ""
        self._options: list[tuple[str, bool]] = []
        # Whether the text goes on, as it does around a name that is set apart from its direction alone.
        self._goes_on = False
        self.feed(response.content.decode())
        self.text = " ".join(self.text.split())
        self.title = " ".join(self.title.split())
        self.errors = {name: " ".join(text.split()) for name, text in self.errors.items()}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        self._goes_on = tag == "bdi"
        if "id" in has:
            self.ids.append(has["id"])
        if tag not in VOID:
            self._open.append((tag, has.get("id", "")))
        if tag == "form":
            self.forms.append(Form(has.get("action") or self._path, has.get("method", "get")))
        elif not self.forms:
            return
        elif tag == "input" and has.get("name"):
            if has.get("type") not in ("checkbox", "radio") or "checked" in has:
                self._add(has["name"], has.get("value", "on" if has.get("type") == "checkbox" else ""))
        elif tag == "textarea":
            self._add(has["name"], "")
        elif tag == "select":
            self._select, self._options = has["name"], []
        elif tag == "option":
            self._options.append((has.get("value", ""), "selected" in has))

    def handle_endtag(self, tag: str) -> None:
        self._goes_on = tag == "bdi"
        if tag == "select" and self._select:
            chosen = [value for value, selected in self._options if selected] or [
                value for value, _ in self._options[:1]
            ]
            for value in chosen:
                self._add(self._select, value)
            self._select = ""
        while self._open and tag in [name for name, _ in self._open]:
            if self._open.pop()[0] == tag:
                break

    def handle_data(self, data: str) -> None:
        tags = {name for name, _ in self._open}
        if "title" in tags:
            self.title += data
        elif not tags & {"option", "script"}:
            self.text += data if self._goes_on else f" {data}" if data.strip() else " "
        self._goes_on = False
        for _, identity in self._open:
            if identity.startswith("id_") and identity.endswith("_error"):
                name = identity[3:-6]
                self.errors[name] = f"{self.errors.get(name, '')} {data}"
        if self._open and self._open[-1][0] == "textarea" and self.forms:
            name = list(self.forms[-1].fields)[-1]
            self.forms[-1].fields[name][-1] += data

    def _add(self, name: str, value: str) -> None:
        self.forms[-1].fields.setdefault(name, []).append(value)

    def form_with(self, name: str) -> Form:
        """The one form that has a field of this name."""
        found = [form for form in self.forms if name in form.fields]
        assert len(found) == 1, f"{len(found)} forms with {name}"
        return found[0]


HTMX = {"HX-Request": "true"}


def part_and_page(client: Client, url: str) -> tuple[Page, Page]:
    """The page, and the part of it that htmx gets from the same address; each says that they differ."""
    page, part = client.get(url), client.get(url, headers=HTMX)
    for response in (page, part):
        assert "HX-Request" in response["Vary"]
    assert page.status_code == part.status_code
    assert b"<!DOCTYPE html>" in page.content
    assert b"<html" not in part.content
    return Page(part), Page(page)


def form_at(client: Client, url: str) -> Form:
    """The page's own form: the one that is sent to where it stands."""
    return next(form for form in Page(client.get(url)).forms if form.action == urlsplit(url).path)


def say_yes(client: Client, response: Any) -> Any:
    """Answer the question that stands before a change of traffic."""
    assert response.status_code == 200, response.status_code
    return Page(response).form_with("sure").send(client)


def messages(client: Client) -> str:
    """What the next page says in its region for messages."""
    page = client.get("/help/").content.decode()
    return page.split('id="messages"')[1].split("<main")[0]
