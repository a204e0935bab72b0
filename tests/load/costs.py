"""What each dear page costs at the limits: `python -m tests.load.costs [WORD…]`.

Each page is asked for once in a process of its own, which has answered a small one before: processor seconds, and how much
memory the process took at most beyond what it had. The database is kept for the next time.
"""

import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.load.large import close, large_database

Ask = Callable[[Any], Any]


def pages() -> dict[str, Ask]:
    """Each page by its name: how a browser asks for it."""
    from securitygroups.effective import rules_of_group
    from securitygroups.firewall.formats.documents import write_group
    from securitygroups.models import SecurityGroup, VirtualMachine

    groups = SecurityGroup.objects.filter(project__slug="large").order_by("name")
    shared, lone = groups[0], SecurityGroup.objects.get(project__slug="large", name="group 0007")
    fat = VirtualMachine.objects.get(project__slug="large", name="vm 03000")
    of, on, large = shared.get_absolute_url(), fat.get_absolute_url(), "/p/large/"
    document = write_group("new", "", rules_of_group(lone))
    huge = write_group("new", "", rules_of_group(lone) * 30)
    uid = shared.rules.get(position=1).uid
    csv = "direction,protocol,source,destination,port\n" + "".join(
        f"in,tcp,198.51.{n >> 8 & 255}.{n & 255},10.0.0.1,{n % 60000}\n" for n in range(450_000)
    )

    def get(url: str) -> Ask:
        return lambda browser: browser.get(url)

    def post(url: str, **fields: Any) -> Ask:
        return lambda browser: browser.post(url, fields)

    def replay(browser: Any) -> Any:
        from django.core.files.uploadedfile import SimpleUploadedFile

        return browser.post(f"{of}replay/", {"log": SimpleUploadedFile("a.csv", csv.encode()), "text": document})

    return {
        "overview": get(large),
        "group of 1,000": get(of),
        "VM of 16,000": get(on),
        "packet test on VM": get(
            f"{on}test/?test=1&direction=in&protocol=tcp&source=203.0.113.9&destination=10.0.0.5&port=22"
        ),
        "exposure": get(f"{large}exposure/"),
        "between": get(f"{large}exposure/?show=between"),
        "senders": get(f"{large}exposure/?show=senders&vm={fat.name.replace(' ', '+')}&protocol=tcp&port=22"),
        "group delete": get(f"{of}delete/"),
        "group restore": get(f"{of}history/1/restore/"),
        "group revision": get(f"{of}history/1/"),
        "rule delete": get(f"{of}rules/{uid}/delete/"),
        "rule edit preview": post(
            f"{of}rules/new/",
            preview="1",
            base="1",
            action="accept",
            direction="in",
            protocol="tcp",
            source="198.51.100.0/24",
            port_start="5",
            port_end="9",
            place="1",
        ),
        "import new": post(f"{large}groups/import/", text=document),
        "import new, too long": post(f"{large}groups/import/", text=huge),
        "import over": post(f"{of}import/", text=document, base="1"),
        "bulk off": post(f"{of}rules/bulk/", all="1", q="", do="off", base="1"),
        "VM groups preview": post(
            f"{on}settings/",
            preview="1",
            name=fat.name,
            group=[one.public_id for one in groups[20:36]],
        ),
        "ruleset": get(f"{on}ruleset/"),
        "ruleset check": get(f"{on}ruleset/?check=1"),
        "replay": replay,
        "export": get(f"{of}export.json"),
        "rules found": get(f"{large}rules/?q=port+22"),
    }


def one(name: str, ask: Ask) -> str:
    """The line of a page, from a process of its own."""
    sink, source = os.pipe()
    child = os.fork()
    if not child:
        os.write(source, line(name, ask).encode())
        os._exit(0)
    os.close(source)
    os.waitpid(child, 0)
    with os.fdopen(sink) as said:
        return said.read()


def line(name: str, ask: Ask) -> str:
    from django.test import Client

    from securitygroups.models import User
    from tests.factories import sign_in_at

    browser = Client(raise_request_exception=False)
    sign_in_at(browser, User.objects.get(username="owner"))
    browser.get("/p/small/")
    before, started, began = peak(), time.process_time(), time.monotonic()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = ask(browser)
    spent, passed = time.process_time() - started, time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    sub = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    return (
        f"{name:28} {answer.status_code} {spent:8.2f} s {sub:6.2f} s of programs {passed:7.2f} s in all"
        f" {peak() - before:8.0f} MiB {len(answer.content) / 1024:8.0f} KiB\n"
    )


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    with large_database():
        asked = {
            name: ask for name, ask in pages().items() if not sys.argv[1:] or set(sys.argv[1:]) & set(name.split())
        }
        close()
        for name, ask in asked.items():
            sys.stdout.write(one(name, ask))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
