"""What the heavy pages weigh: bytes of HTML, milliseconds of this process's processor, queries. Prints a table.

    .venv/bin/python tests/weigh.py

It makes a database of its own and uses only the test factories and the pages' addresses, so that another commit's
checkout can be weighed with the same file: copy it there and run it with that checkout's Python.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

WARM_UPS, RUNS = 2, 10
SERVICES = ((22, "Office SSH"), (443, "Public HTTPS"), (5432, "Database"), (8080, "Staging"), (9100, "Metrics"))


@dataclass
class Weighed:
    """A page and what is sent to it; `post` None for a GET."""

    name: str
    url: str
    post: dict[str, Any] | None = None
    part: bool = False


def write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def many(number: int, start: int = 0) -> list[str]:
    """Rules as customers have them: services from networks, some of them of every protocol, some twice."""
    made = []
    for n in range(start, start + number):
        port, _ = SERVICES[n % len(SERVICES)]
        network = f"10.{n // 200 % 200}.{n % 200}.0/24"
        if n % 10 == 7:
            made.append(f"accept out ip from 2001:db8:ffff:{n:x}::/64 to 2001:db8:{n:x}::/48")
        elif n % 10 == 4:
            made.append(f"drop in udp {1000 + n}-{1010 + n} from {network}")
        elif n % 25 == 13:
            made.append(made[-1])
        else:
            made.append(f"accept in tcp {port} from {network}")
    return made


def stage() -> tuple[Any, list[Weighed]]:
    """A project with everything in it, and the pages."""
    from django.test import Client

    from securitygroups import operations
    from tests.factories import make_group, make_machine, make_project, make_user, rule

    def rules(number: int, start: int = 0) -> list[Any]:
        return [rule(text, SERVICES[n % 5][1], enabled=n % 20 != 11) for n, text in enumerate(many(number, start))]

    alice = make_user("alice")
    project = make_project(alice, "Shop")
    # Until operations took one value for it, who makes a change was an argument of its own.
    who: dict[str, Any] = {"by": operations.By(alice)} if hasattr(operations, "By") else {"actor": alice}
    commit: Any = operations.commit_rules
    large = make_group(project, "large", rules(1_000))
    middle = make_group(project, "middle", rules(100))
    for n in range(30):
        base, now = n + 1, operations.rules_at(middle, n + 1)
        moved = (*now[1:], now[0])
        commit(group=middle, rules=moved, base=base, **who)
        middle.refresh_from_db()
    three = [make_group(project, f"third {n}", rules(300, n * 300)) for n in range(3)]
    shared = [make_group(project, f"g{n}", rules(5)) for n in range(50)]
    for n in range(50):
        make_machine(project, f"vm{n}", shared[n % 10 : n % 10 + 3], ipv4=f"10.9.0.{n + 1}")
    machine = make_machine(project, "heavy", three, ipv4="10.0.0.5")
    client = Client(SERVER_NAME="localhost")
    client.force_login(alice)
    url = large.get_absolute_url()
    uids = [row.uid for row in large.rules.in_order()]
    packet = "?test=1&direction=in&protocol=tcp&source=203.0.113.9&destination=10.0.0.5&port=25"
    new = {
        "base": middle.revision, "action": "accept", "direction": "in", "protocol": "tcp", "source": "203.0.113.0/24",
        "port_start": "443", "port_end": "443", "description": "HTTPS", "place": "50", "enabled": "on", "preview": "1",
    }  # fmt: skip
    return client, [
        Weighed("group of 1,000, 100 shown", url),
        Weighed("the same, htmx part", url, part=True),
        Weighed("group of 100", middle.get_absolute_url()),
        Weighed("list of 50 groups", "/p/shop/groups/"),
        Weighed("list of 50 VMs", "/p/shop/machines/"),
        Weighed("VM, 3 groups of 300", machine.get_absolute_url()),
        Weighed("history, 31 revisions", f"{middle.get_absolute_url()}history/"),
        Weighed("one revision of 100 rules", f"{middle.get_absolute_url()}history/2/"),
        Weighed("packet test, 1,000 rules", url + "test/" + packet),
        Weighed("bulk, 100 chosen", f"{url}rules/bulk/", {"base": large.revision, "rule": uids[:100]}),
        Weighed("find rules", "/p/shop/rules/?q=tcp"),
        Weighed("Add Rule", f"{url}rules/new/"),
        Weighed("Add Rule, preview", f"{middle.get_absolute_url()}rules/new/", new, part=True),
    ]


def weigh(client: Any, page: Weighed) -> tuple[int, float, int]:
    """Bytes, median milliseconds, queries."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    headers = {"HX-Request": "true"} if page.part else {}
    ask: Callable[[], Any] = lambda: (  # noqa: E731
        client.get(page.url, headers=headers)
        if page.post is None
        else client.post(page.url, page.post, headers=headers)
    )
    for _ in range(WARM_UPS):
        answer = ask()
        if answer.status_code != 200:
            raise SystemExit(f"{page.name}: {answer.status_code}")
    times = []
    for _ in range(RUNS):
        before = time.process_time()
        ask()
        times.append((time.process_time() - before) * 1000)
    with CaptureQueriesContext(connection) as queries:
        answer = ask()
    return len(answer.content), statistics.median(times), len(queries)


def main() -> None:
    from karenpanel import database
    from tests import plugin  # noqa: F401  (sets the environment)

    os.environ["DJANGO_SETTINGS_MODULE"] = "karenpanel.settings"
    import django
    from django.conf import settings

    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = True
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = f"test_{os.getpid()}"
    database.start()
    django.setup()
    from django.db import connection

    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        client, pages = stage()
        write(f"| {'page':<26} | {'bytes':>9} | {'ms':>6} | {'queries':>7} |")
        write(f"|{'-' * 28}|{'-' * 10}:|{'-' * 7}:|{'-' * 8}:|")
        for page in pages:
            weight, milliseconds, queries = weigh(client, page)
            write(f"| {page.name:<26} | {weight:>9,} | {milliseconds:>6.1f} | {queries:>7} |")
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
        database.leave()


if __name__ == "__main__":
    main()
