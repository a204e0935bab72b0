"""Common pages of the production web server under eight connections at a time. Prints requests per second, how long they
take, and the processor time of each request: the web's, PostgreSQL's, this client's.

    .venv/bin/python -m tests.load.pages [--seconds 4] [--rounds 3] [--port 8107] [CHECKOUT ...]

Each checkout, by default this one, is run by its own `manage.py demo`, on a port of its own, and they take turns: so another
commit is compared in the same run, on the same machine. All go on at once, so on a machine that has other work the
processor time says more than the requests per second. Groups are made once, by imports, and stay in the demo's database.
"""

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlencode

import psutil

from karenpanel import database
from tests.weigh import SERVICES, write

CONNECTIONS, LISTED = 8, 50
PROJECT, PASSWORD = "/p/shop-production/", "quiet-harbour-lantern"
PACKET = "test/?test=1&direction=in&protocol=tcp&source=203.0.113.9&destination=10.0.0.5&port=25"
AGENT = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Firefox/130.0", "Accept": "text/html"}
BROWSER = {"Accept-Encoding": "gzip, deflate, br, zstd"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Line:
    """A connection that is kept, and the browser behind it."""

    port: int
    cookies: dict[str, str]
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None

    async def send(
        self, address: str, form: dict[str, str] | None = None, headers: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, str, bytes]:
        """Status, where it leads, and the body as it came."""
        body = urlencode(form).encode() if form is not None else b""
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        about = {"Host": f"localhost:{self.port}", "Cookie": kept, **AGENT, **headers}
        if form is not None:
            token = {"X-CSRFToken": self.cookies.get("csrftoken", ""), "Origin": f"http://localhost:{self.port}"}
            about |= {**FORM, **token, "Content-Length": str(len(body))}
        first = f"{'GET' if form is None else 'POST'} {address} HTTP/1.1\r\n"
        text = first + "".join(f"{name}: {value}\r\n" for name, value in about.items()) + "\r\n"
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        self.writer.write(text.encode() + body)
        return await self.answer()

    async def answer(self) -> tuple[int, str, bytes]:
        assert self.reader
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        for name, value in re.findall(r"(?im)^set-cookie: ([^=]+)=([^;\r]*)", head):
            self.cookies[name] = value
        length = re.search(r"(?i)\ncontent-length: (\d+)", head)
        body = await self.reader.readexactly(int(length[1])) if length else b""
        if re.search(r"(?i)\nconnection: close", head) or not length:
            self.close()
        found = re.search(r"(?i)\nlocation: (\S+)", head)
        return int(head[9:12]), found[1] if found else "", body

    def close(self) -> None:
        if self.writer:
            self.writer.close()
        self.writer = None


@dataclass
class Switched:
    """A group whose rule is switched on and off by one connection."""

    address: str
    rule: str
    revision: int
    on: bool = True

    async def switch(self, line: Line) -> int:
        to = f"{self.address}rules/{self.rule}/{'off' if self.on else 'on'}/"
        status, _, body = await line.send(to, {"base": str(self.revision)}, {"HX-Request": "true"})
        if b'id="rules"' not in body:
            raise SystemExit(f"The rule was not switched: {status} {body[:300]!r}")
        self.on, self.revision = not self.on, self.revision + 1
        return status


@dataclass
class Panel:
    """A checkout that is running, and what was measured of it: seconds of each request and of each kind of process."""

    checkout: Path
    port: int
    demo: "subprocess.Popen[str]"
    cookies: dict[str, str] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    switched: list[Switched] = field(default_factory=list)
    taken: dict[str, list[float]] = field(default_factory=dict)
    spent: dict[str, list[tuple[float, ...]]] = field(default_factory=dict)

    def processor_times(self) -> tuple[float, float, float]:
        """Seconds of the web's processes, the database's, and this one."""
        title = database.place(self.checkout).title
        web = psutil.Process(self.demo.pid).children(recursive=True)
        server = [process for process in psutil.process_iter() if title in " ".join(_words(process))]
        return _seconds(web), _seconds(server), time.process_time()


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _seconds(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


@contextmanager
def running(checkout: Path, port: int) -> Iterator[Panel]:
    command = [sys.executable, "manage.py", "demo", "--port", str(port), "--password", PASSWORD]
    demo = subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE, text=True)
    try:
        assert demo.stdout
        if not any(line.startswith("Ctrl-C") for line in demo.stdout):
            raise SystemExit(f"{checkout} does not start.")
        yield Panel(checkout, port, demo)
    finally:
        demo.terminate()
        demo.wait()


# ── What there is to ask ──────────────────────────────────────────────────────


def document(name: str, number: int) -> str:
    """A group of services from networks, some of them closed."""
    empty = dict.fromkeys(("source", "destination", "port_start", "port_end"))
    rules = [
        {
            **empty, "action": "drop" if n % 5 == 4 else "accept", "direction": "in", "protocol": "tcp",
            "source": f"10.{n // 200}.{n % 200}.0/24", "port_start": SERVICES[n % 5][0], "port_end": SERVICES[n % 5][0],
            "description": SERVICES[n % 5][1], "enabled": True,
        }
        for n in range(number)
    ]  # fmt: skip
    return json.dumps({"format": "karenpanel.group/1", "name": name, "description": "For load", "rules": rules})


def fields(page: str) -> dict[str, str]:
    """What a page's forms send by themselves."""
    hidden = re.findall(r'<input type="hidden" name="([^"]+)"\s+value="([^"]*)"', page)
    texts = re.findall(r'<textarea name="([^"]+)"[^>]*>\s?(.*?)</textarea>', page, re.DOTALL)
    return {name: unescape(value) for name, value in [*hidden, *texts]}


async def sign_in(panel: Panel) -> None:
    line = Line(panel.port, panel.cookies)
    await line.send("/sign-in/")
    status, _, body = await line.send("/sign-in/", {"login": "owner", "password": PASSWORD})
    line.close()
    if status != 302:
        raise SystemExit(f"Signing in: {status} {body[:300]!r}")


async def group(line: Line, name: str, number: int) -> str:
    """The address of the group of this name, which is made where it is not there yet."""
    _, _, found = await line.send(f"{PROJECT}groups/?q={name}")
    at = re.search(rf'<a href="({PROJECT}groups/[^"/]+/)">{name}</a>', found.decode())
    if at:
        return at[1]
    sent = {"text": document(name, number), "name": name}
    for _ in range(2):
        status, where, body = await line.send(f"{PROJECT}groups/import/", sent)
        if status == 302:
            return where
        sent = {**sent, **fields(body.decode())}
    raise SystemExit(f"The group {name} was not made: {status} {body.decode()[:3000]}")


async def prepare(panel: Panel) -> None:
    await sign_in(panel)
    line = Line(panel.port, panel.cookies)
    small = [await group(line, f"load-{n}", 20) for n in range(LISTED)]
    large = await group(line, "load-large", 1_000)
    line.close()
    panel.pages = {
        "group of 20 rules": small[-1],
        "group of 1,000 rules": large,
        f"list of {LISTED} groups": f"{PROJECT}groups/",
        "packet test, 1,000 rules": large + PACKET,
    }
    for address in small[:CONNECTIONS]:
        page = (await line.send(address))[2].decode()
        base = re.search(r'name="base" value="(\d+)"', page)
        rules = re.findall(r'<tr id="rule-([0-9a-f]+)"[^>]*?( class="is-off")?>', page)
        assert base
        uid, off = rules[4]
        panel.switched.append(Switched(address, uid, int(base[1]), on=not off))
    line.close()


# ── Asking ────────────────────────────────────────────────────────────────────


async def load(panel: Panel, name: str, seconds: float) -> None:
    """Every connection asks as soon as it is answered."""
    lines = [Line(panel.port, dict(panel.cookies)) for _ in range(CONNECTIONS)]
    taken = panel.taken.setdefault(name, [])
    until = time.perf_counter() + seconds

    async def one(number: int, line: Line) -> int:
        if name not in panel.pages:
            return await panel.switched[number].switch(line)
        return (await line.send(panel.pages[name], headers=BROWSER))[0]

    async def ask(number: int, line: Line) -> int:
        asked = 0
        while (start := time.perf_counter()) < until:
            status = await one(number, line)
            if status != 200:
                raise SystemExit(f"{name}: {status}")
            taken.append(time.perf_counter() - start)
            asked += 1
        line.close()
        return asked

    before, start = panel.processor_times(), time.perf_counter()
    asked = sum(await asyncio.gather(*(ask(number, line) for number, line in enumerate(lines))))
    wall = time.perf_counter() - start
    times = [now - then for now, then in zip(panel.processor_times(), before, strict=True)]
    panel.spent.setdefault(name, []).append((asked / wall, *(each / asked * 1_000 for each in times)))


def report(panels: list[Panel], names: list[str]) -> None:
    heads = ("page", "checkout", "a second", "p50 ms", "p99 ms", "web ms", "PostgreSQL ms", "client ms", "together")
    write(f"| {' | '.join(heads)} |\n|---|---|{'--:|' * 7}")
    for name in names:
        for panel in panels:
            rate, *parts = (statistics.median(column) for column in zip(*panel.spent[name], strict=True))
            cuts = statistics.quantiles(panel.taken[name], n=100)
            figures = (f"{figure * 1_000:.0f}" for figure in (cuts[49], cuts[98]))
            costs = (f"{part:.1f}" for part in (*parts, sum(parts)))
            write(f"| {name} | {panel.checkout.name} | {rate:.0f} | {' | '.join([*figures, *costs])} |")


async def measure(panels: list[Panel], seconds: float, rounds: int) -> None:
    for panel in panels:
        await prepare(panel)
    names = [*panels[0].pages, "switch a rule, a commit"]
    for name in names:
        for panel in panels:
            # Every process has its connections and templates before anything counts.
            await load(panel, name, 1)
            panel.taken[name].clear()
            panel.spent[name].clear()
        for _ in range(rounds):
            for panel in panels:
                await load(panel, name, seconds)
    report(panels, names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="*", type=Path, default=[Path(__file__).resolve().parents[2]])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=8107, help="the first one's; the others take those after it")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        panels = [
            stack.enter_context(running(checkout.resolve(), chosen.port + number))
            for number, checkout in enumerate(chosen.checkouts)
        ]
        asyncio.run(measure(panels, chosen.seconds, chosen.rounds))


if __name__ == "__main__":
    main()
