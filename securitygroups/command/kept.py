"""Where somebody is signed in, in a file of theirs that nobody else may read; or in the environment, for jobs."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from securitygroups.command.panel import Trouble, address_of

URL, TOKEN, PROJECT = "KARENPANEL_URL", "KARENPANEL_TOKEN", "KARENPANEL_PROJECT"


@dataclass(frozen=True)
class Login:
    """A panel's address, a token, and the project that is meant where none is named; "" where there is none."""

    url: str
    token: str
    project: str = ""


def place() -> Path:
    return Path(typer.get_app_dir("karenpanel")) / "login.json"


def keep(login: Login) -> Path:
    """Written beside and then put into its place, so that nobody finds half of it; from the start for its owner alone."""
    file = place()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        json.dump(asdict(login), out)
    new.replace(file)
    return file


def forget() -> bool:
    """Whether there was anything to forget."""
    there = place().exists()
    place().unlink(missing_ok=True)
    return there


def login() -> Login:
    """What was kept, and over it what the environment says. Raises Trouble where that is not enough."""
    kept = _kept()
    url = os.environ.get(URL) or (kept.url if kept else "")
    token = os.environ.get(TOKEN, "")
    # A token goes to the panel that it was kept for, and to no other.
    if not token and kept and address_of(url) == kept.url:
        token = kept.token
    if not url or not token:
        raise Trouble(f"Sign in first: karenpanel login https://panel.example.com. Or set {URL} and {TOKEN}.")
    return Login(address_of(url), token, os.environ.get(PROJECT) or (kept.project if kept else ""))


def _kept() -> Login | None:
    try:
        value = json.loads(place().read_text("utf-8"))
        return Login(str(value["url"]), str(value["token"]), str(value["project"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise Trouble(f"{place()} cannot be read: sign in again with karenpanel login.") from None
