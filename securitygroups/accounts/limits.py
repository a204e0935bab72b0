"""How often somebody may try: counted before a password is looked at, and given back when it was the right one.

A name is never locked for everybody. Who guesses is slowed down where they are (the name from this network, the network
over all names), and a name over all networks only far beyond what its owner would ever type. A browser that the account
was signed in with before is not part of any of these: it has attempts of its own.
"""

import json
import math
import unicodedata
from dataclasses import dataclass
from typing import cast

from allauth.core.exceptions import ImmediateHttpResponse
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from karenpanel import errors
from karenpanel.counts import KeptCache
from securitygroups import operations
from securitygroups.accounts import browsers
from securitygroups.accounts.backend import accounts_named
from securitygroups.accounts.client import SITE, address_of, client_of, network_of
from securitygroups.models import AccountEvent, User

MINUTE = 60


@dataclass(frozen=True, slots=True)
class Limit:
    """So many attempts at once, and then one more each `every` seconds. Its name is what the record says."""

    name: str
    burst: int
    every: int


NAME_HERE = Limit("name from one network", 5, MINUTE)
NETWORK_WIDE = Limit("network over all names", 20, MINUTE)
SITE_WIDE = Limit("IPv6 site over all names", 200, 6)
NAME_WIDE = Limit("name over all networks", 100, 10 * MINUTE)
BROWSER = Limit("known browser", 10, MINUTE)
# A session that was stolen tries here; its owner, in another one, has attempts of their own.
AGAIN = Limit("password again", 5, 5 * MINUTE)
# Whoever gets here has the password already. Codes have six digits, and some ten thousand tries would find one.
CODE_HERE = Limit("second factor from one network", 5, 5 * MINUTE)
CODE_WIDE = Limit("second factor over all networks", 30, 20 * MINUTE)
# allauth forgets a code after the half minute in which it is shown; clocks that differ make it good for three of them.
CODE_USED = Limit("second factor used", 1, 5 * MINUTE)
# The right password, over and over: each sign-in is a session and a line on record.
SIGN_INS = Limit("sign-ins of one account", 30, 20)
CHANGES = Limit("changes of an account", 15, MINUTE)
REQUESTS = Limit("requests", 0, MINUTE)
NOTES = Limit("notes", 1, MINUTE)


@dataclass(frozen=True, slots=True)
class Place:
    """A place under a limit, of what is counted: a network, or a name and then a network."""

    limit: Limit
    what: tuple[str, ...]

    @property
    def key(self) -> str:
        # Not what was typed: people type passwords into the field for the name.
        parts = json.dumps([self.limit.name, *self.what])
        return f"limit:{salted_hmac('karenpanel.limits', parts, algorithm='sha256').hexdigest()}"


class TooMany(Exception):
    def __init__(self, place: Place, seconds: float) -> None:
        super().__init__(place.limit.name)
        self.place, self.seconds = place, seconds


class Attempt:
    """One that has begun, and holds a place under each of its limits."""

    def __init__(self, *places: Place) -> None:
        """Raises TooMany where one of them has none left, and then none is held."""
        self.held: list[Place] = []
        for place in places:
            seconds = counts().take(place.key, place.limit.burst, place.limit.every)
            if seconds:
                self.give_back()
                raise TooMany(place, seconds)
            self.held.append(place)

    def give_back(self) -> None:
        """It was no guess."""
        for place in self.held:
            counts().give_back(place.key, place.limit.every)
        self.held = []


def counts() -> KeptCache:
    return cast(KeptCache, cache)


def name_of(login: str) -> str:
    """A name as it is counted. All that mean one account by its name are one, and so are those by its address; the two
    are not, or the count would tell whose address it is."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", login.strip().lower()).casefold())


def sign_in(request: HttpRequest, login: str) -> Attempt:
    """Raises ImmediateHttpResponse, with the page that says how long to wait and what else to do."""
    address = address_of(request)
    here, name = network_of(address), name_of(login)
    browser = browsers.known(request, login)
    places = [Place(BROWSER, (browser,))] if browser else [Place(NAME_HERE, (name, here)), Place(NETWORK_WIDE, (here,))]
    if not browser:
        # In this order: who is stopped by a narrow limit uses up none of a wide one.
        places += [Place(SITE_WIDE, (network_of(address, SITE),))] if ":" in address else []
        places += [Place(NAME_WIDE, (name,))]
    try:
        return Attempt(*places)
    except TooMany as error:
        raise ImmediateHttpResponse(refusal(request, error, login=login)) from None


def right_password(request: HttpRequest, user: User) -> None:
    """Counts it where it was typed: whoever has it and no second factor keeps its owner out nowhere else. Raises
    ImmediateHttpResponse."""
    _one(request, user, Place(SIGN_INS, (str(user.pk), network_of(address_of(request)))))


def changes(request: HttpRequest, user: User) -> None:
    """One change of how an account is got into: each is a line on record and a mail. Raises ImmediateHttpResponse."""
    _one(request, user, Place(CHANGES, (str(user.pk),)))


def signed_in(request: HttpRequest, user: User) -> None:
    """Counts a sign-in that was right. Raises ImmediateHttpResponse."""
    _one(request, user, Place(SIGN_INS, (str(user.pk),)))


def again(request: HttpRequest, user: User) -> Attempt:
    """The password of somebody who is signed in, asked once more. Raises ImmediateHttpResponse."""
    return _one(request, user, Place(AGAIN, (str(user.pk), request.session.session_key or "")))


def code(request: HttpRequest, user: User) -> Attempt:
    """A code of the second factor. Raises ImmediateHttpResponse."""
    here = network_of(address_of(request))
    try:
        return Attempt(Place(CODE_HERE, (str(user.pk), here)), Place(CODE_WIDE, (str(user.pk),)))
    except TooMany as error:
        raise ImmediateHttpResponse(refusal(request, error, user=user)) from None


def used(user: User, code: str) -> bool:
    """Whether this code was right before, lately; from now on it was."""
    return bool(counts().take(Place(CODE_USED, (str(user.pk), code)).key, CODE_USED.burst, CODE_USED.every))


def _one(request: HttpRequest, user: User, place: Place) -> Attempt:
    try:
        return Attempt(place)
    except TooMany as error:
        raise ImmediateHttpResponse(refusal(request, error, user=user)) from None


def too_many(request: HttpRequest) -> HttpResponse:
    """For what allauth counts by itself. It does not say how long to wait; its limits are by the minute."""
    return refusal(request, TooMany(Place(REQUESTS, (network_of(address_of(request), SITE),)), MINUTE))


def refusal(request: HttpRequest, error: TooMany, *, user: User | None = None, login: str = "") -> HttpResponse:
    """The answer. It goes on record once a minute for each limit and network, and where a name or a site is counted over
    many networks, once for that: so an attack does not fill the record."""
    limit = error.place.limit
    if not counts().take(Place(NOTES, (limit.name, error.place.what[-1])).key, NOTES.burst, NOTES.every):
        if limit in (NAME_HERE, NAME_WIDE, BROWSER):
            named = accounts_named(login)
            user = named[0] if len(named) == 1 else None
        operations.note(AccountEvent.Verb.LIMITED, user=user, client=client_of(request), limit=limit.name)
    return errors.too_many(request, math.ceil(error.seconds), signing_in=bool(login))
