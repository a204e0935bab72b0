"""The panel's API, as this program asks it: with a token, again where it was asked to wait, and refusals in its words."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from securitygroups.firewall.texts import visible

TRIES = 4
LONGEST_WAIT = 30
"""Seconds that are waited where the panel asks for it; where it asks for more, the person is told."""
LOCAL = {"localhost", "127.0.0.1", "::1"}
NO_TURN = {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}


class Trouble(Exception):
    """What the person is told instead of a result."""


class Absent(Trouble):
    """There is nothing of this name."""


class Declined(Trouble):
    """The person said no."""


class Refused(Trouble):
    """The panel said no: `problem` is what it said (RFC 9457)."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(said(problem))
        self.problem = problem
        self.kind = str(problem.get("type", "")).rpartition(":")[2]


def said(problem: dict[str, Any]) -> str:
    """The problem in lines: what is wrong, and below it each place with what would be taken there."""
    lines = [str(problem.get("detail") or problem.get("title") or "The panel refused this.")]
    for error in problem.get("errors", ()):
        place = error.get("pointer") or error.get("parameter") or ""
        told = f"{place}: {error['detail']}" if place else error["detail"]
        if told not in lines:
            lines.append(f"  {told}")
        if suggestions := error.get("suggestions"):
            lines.append(f"    instead: {', '.join(suggestions)}")
    return visible("\n".join(lines), also="\n")


def address_of(text: str) -> str:
    """The panel's address as it is kept. Raises Trouble where it is none, or would show the token to the network."""
    text = text.strip()
    parts = urlsplit(text if "://" in text else f"https://{text}")
    if not parts.hostname or parts.scheme not in ("https", "http"):
        raise Trouble(f"“{visible(text)}” is no address of a panel: write one such as https://panel.example.com.")
    if parts.scheme == "http" and parts.hostname not in LOCAL:
        raise Trouble("Write the address with https://: over http:// everybody on the way reads the token.")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


@dataclass
class Panel:
    """A project of a panel, opened with a token."""

    url: str
    token: str
    project: str = ""
    _client: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # A redirect would carry the token to wherever it points.
        self._client = httpx.Client(
            base_url=f"{address_of(self.url)}/api/v1",
            headers={"Authorization": f"Bearer {self.token}", "Accept": "application/json"},
            timeout=httpx.Timeout(120, connect=10),
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """What is answered, as data; None where nothing is. `path` is below the project, or begins with “//”: below the API.

        Raises Refused, and Trouble where nobody answers.
        """
        place = path[1:] if path.startswith("//") else f"/projects/{quote(self.project, safe='')}{path}"
        for turn in range(TRIES):
            answer = self._once(method, place, more)
            wait = _seconds(answer)
            if answer.status_code not in NO_TURN or turn == TRIES - 1 or wait > LONGEST_WAIT:
                break
            time.sleep(wait)
        value = _read(answer)
        if answer.is_success:
            return value
        raise Refused(value if isinstance(value, dict) else {"detail": f"The panel answered {answer.status_code}."})

    def _once(self, method: str, place: str, more: dict[str, Any]) -> httpx.Response:
        try:
            answer = self._client.request(method, place, **more)
        except httpx.HTTPError as error:
            why = visible(str(error)) or type(error).__name__
            raise Trouble(f"{self.url} does not answer: {why}") from None
        if answer.is_redirect or not answer.headers.get("Content-Type", "json").partition(";")[0].endswith("json"):
            raise Trouble(f"{self.url} is no panel of this kind: it answered {answer.status_code} to {place}.")
        return answer

    def all(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """The rows of every page."""
        cursor = ""
        while cursor is not None:
            page = self.ask("GET", path, params=query | {"limit": 200} | ({"cursor": cursor} if cursor else {}))
            yield from page["items"]
            cursor = page["next"]

    def group(self, name: str) -> dict[str, Any]:
        """The group of this name or ID, with its list."""
        found: dict[str, Any] = self.ask("GET", f"/groups/{self._one('groups', 'group', name)['id']}")
        return found

    def machine(self, name: str) -> dict[str, Any]:
        """The VM of this name or ID."""
        return self._one("machines", "VM", name)

    def _one(self, kind: str, what: str, name: str) -> dict[str, Any]:
        rows: list[dict[str, Any]] = list(self.all(f"/{kind}", q=name))
        folded = [row for row in rows if row["name"].casefold() == name.casefold()]
        exact = [row for row in rows if name in (row["id"], row["name"])]
        if found := exact or (folded if len(folded) == 1 else []):
            return found[0]
        names = [row["name"] for row in self.all(f"/{kind}")]
        near = get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f" There is {' and '.join(f'“{visible(one)}”' for one in near)}." if near else ""
        raise Absent(f"The project {self.project} has no {what} “{visible(name)}”.{hint}")


def _seconds(answer: httpx.Response) -> int:
    text = answer.headers.get("Retry-After", "")
    return int(text) if text.isdecimal() and len(text) < 6 else 5


def _read(answer: httpx.Response) -> Any:
    if not answer.content:
        return None
    try:
        return answer.json()
    except ValueError:
        raise Trouble(f"The panel's answer {answer.status_code} cannot be read.") from None
