"""Making this machine a host of a panel, with a token that the panel's operator was given."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from securitygroups.agent import VERSION
from securitygroups.agent.panel import NotReached, Panel, address, is_near
from securitygroups.agent.places import Enrolled, Places
from securitygroups.agent.state import is_id
from securitygroups.firewall.texts import visible
from securitygroups.signing.keys import Key
from securitygroups.signing.wire import KEY_BYTES, Malformed, decoded


@dataclass(frozen=True, slots=True, repr=False)
class Offer:
    """What the panel shows of a host that may be enrolled: its own public key, the host's ID, and a token that works once."""

    panel_key: str
    host: str
    token: str


class Unsuitable(ValueError):
    """What was typed cannot enrol a host; the message says what to type instead."""


def enrol(places: Places, url: str, offer: Offer, authorities: str = "") -> Enrolled:
    """The host that this machine is from now on. Raises Unsuitable, NotReached, Refused, OSError.

    What is loaded stays. What the host has been told is not compared any more with what it will be: it takes the panel's word.
    """
    _check(url, offer, authorities)
    places.make()
    panel = Panel(url, offer.panel_key, Key.new(), offer.host, authorities)
    try:
        said = {"token": offer.token, "key": panel.own.public, "agent": VERSION}
        answer = panel.ask("POST", "enrol", said).value()
    finally:
        panel.close()
    if not isinstance(answer, dict) or answer.get("host") != offer.host or not isinstance(answer.get("name"), str):
        raise NotReached("The panel's answer does not say that this is the host.")
    made = Enrolled(url, offer.panel_key, offer.host, visible(answer["name"]), panel.own, authorities)
    made.keep(places)
    return made


def _check(url: str, offer: Offer, authorities: str) -> None:
    """Raises Unsuitable."""
    try:
        where = address(url)
    except ValueError as error:
        raise Unsuitable(str(error)) from None
    if not where.secure and not is_near(where):
        raise Unsuitable("Write the panel's address with https: over http, everybody on the way reads token and rules.")
    try:
        decoded(offer.panel_key, KEY_BYTES)
    except Malformed:
        raise Unsuitable("The panel's key is none: take the whole line that the panel shows.") from None
    if not is_id(offer.host):
        raise Unsuitable("The host's ID is none: take the whole line that the panel shows.")
    if authorities:
        if not Path(authorities).is_absolute():
            raise Unsuitable("Write the whole path of the file of authorities.")
        try:
            ssl.create_default_context(cafile=authorities)
        except (OSError, ssl.SSLError) as error:
            raise Unsuitable(f"{authorities} holds no certificates: {error}") from None
