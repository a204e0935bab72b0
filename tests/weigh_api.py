"""The API beside the pages that say the same: milliseconds of the processor for one request, and what one core answers a second.

    .venv/bin/python tests/weigh_api.py

Both in one run, in one process, by turns, with all that stands before them: sessions, tokens, limits, records.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.weigh import many, write
from tests.weigh_commits import database_of_its_own

WARM_UPS, RUNS = 2, 15
Ask = Callable[[], Any]


def stage() -> list[tuple[str, Ask, Ask]]:
    """What is asked: its name, how the page is asked, and how the API."""
    from django.conf import settings
    from django.test import Client

    from securitygroups import operations
    from securitygroups.models import Scope
    from securitygroups.operations import By, NewToken
    from tests.factories import make_group, make_machine, make_project, make_user
    from tests.web.pages import form_at, say_yes

    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = True
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.API_BURST = settings.API_PER_MINUTE = 10**6
    alice = make_user("alice")
    project = make_project(alice, "Shop")
    large, small = (make_group(project, f"g{size}", many(size)) for size in (1_000, 20))
    # For the commits, one each, so that both grow alike.
    mine, theirs = (make_group(project, name, many(100)) for name in ("mine", "theirs"))
    machine = make_machine(project, "web-1", [small], ipv4="10.0.0.5")
    secret = operations.make_token(
        new=NewToken(name="weighed", scopes=tuple(Scope.values), expires_at=None), project=None, by=By(alice)
    )[1]
    page, api = (
        Client(SERVER_NAME="localhost"),
        Client(SERVER_NAME="localhost", headers={"Authorization": f"Bearer {secret}"}),
    )
    page.force_login(alice)
    root = "/api/v1/projects/shop"
    packet = {"direction": "in", "protocol": "tcp", "source": "203.0.113.9", "destination": "10.0.0.5", "port": 25}
    query = "&".join(f"{name}={value}" for name, value in packet.items())
    ports = iter(range(20_000, 60_000))

    def post(path: str, sent: Any) -> Ask:
        return lambda: api.post(f"{root}{path}", sent, content_type="application/json")

    def by_form() -> Any:
        """The form, as it is sent by somebody who has seen the preview: the request that commits, and no other."""
        form = form_at(page, f"{mine.get_absolute_url()}rules/new/")
        fields = {"protocol": "tcp", "port_start": str(next(ports)), "source": "203.0.113.0/24"}
        begun = time.process_time()
        answer = form.send(page, **fields)
        if answer.status_code == 200:
            begun = time.process_time()
            answer = say_yes(page, answer)
        answer.took = time.process_time() - begun
        return answer

    def by_program() -> Any:
        now = api.get(f"{root}/groups/{theirs.public_id}").json()
        new = {
            "action": "accept",
            "direction": "in",
            "protocol": "tcp",
            "source": "203.0.113.0/24",
            "port_start": next(ports),
        }
        rules = [{name: rule[name] for name in rule if name != "id"} for rule in now["rules"]] + [new]
        begun = time.process_time()
        answer = api.put(
            f"{root}/groups/{theirs.public_id}/rules", {"rules": rules}, content_type="application/json",
            headers={"If-Match": f'"{now["revision"]}"'},
        )  # fmt: skip
        answer.took = time.process_time() - begun  # type: ignore[attr-defined]
        return answer

    def pair(name: str, path: str, api_path: str) -> tuple[str, Ask, Ask]:
        return name, lambda: page.get(path), lambda: api.get(f"{root}{api_path}")

    return [
        pair("read a group of 1,000", large.get_absolute_url(), f"/groups/{large.public_id}"),
        pair("read a group of 20", small.get_absolute_url(), f"/groups/{small.public_id}"),
        pair("read a VM's rules", machine.get_absolute_url(), f"/machines/{machine.public_id}/rules"),
        (
            "packet test, 1,000 rules",
            lambda: page.get(f"{large.get_absolute_url()}test/?test=1&{query}"),
            post(f"/groups/{large.public_id}/test", packet),
        ),
        (
            "packet test, VM of 20",
            lambda: page.get(f"{machine.get_absolute_url()}test/?test=1&{query}"),
            post(f"/machines/{machine.public_id}/test", packet),
        ),
        ("commit to a list of 100", by_form, by_program),
    ]


def milliseconds(ask: Ask) -> tuple[float, int]:
    """Of one request, and the bytes of its answer. Ends where it is refused."""
    begun = time.process_time()
    answer = ask()
    took = time.process_time() - begun
    if answer.status_code not in (200, 302):
        raise SystemExit(f"{answer.status_code}: {answer.content[:500]}")
    return 1000 * getattr(answer, "took", took), len(answer.content)


def main() -> None:
    with database_of_its_own():
        asked = stage()
        write(f"| {'asked':<25} | {'page ms':>7} | {'API ms':>6} | {'page/s':>6} | {'API/s':>6} | {'API bytes':>9} |")
        write(f"|{'-' * 27}|{'-' * 8}:|{'-' * 7}:|{'-' * 7}:|{'-' * 7}:|{'-' * 10}:|")
        for name, page, api in asked:
            found = [(milliseconds(page), milliseconds(api)) for _ in range(WARM_UPS + RUNS)][WARM_UPS:]
            ours, theirs = (statistics.median(one[way][0] for one in found) for way in (0, 1))
            write(
                f"| {name:<25} | {ours:>7.1f} | {theirs:>6.1f} | {1000 / ours:>6.0f} | {1000 / theirs:>6.0f} "
                f"| {found[-1][1][1]:>9,} |"
            )


if __name__ == "__main__":
    main()
