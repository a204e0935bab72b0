"""How soon /healthz and /readyz are answered while every thread of every process computes.

    python -m tests.load.health [--switch 0.005 0.001 …] [--threads 4]

For each switch interval (seconds for which a thread computes while others want to): the median and the longest of 50 answers
in milliseconds, and how much the threads computed meanwhile, beside what they do undisturbed.
"""

import argparse
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from tests.load import clients, servers, shop

NAME = "busy"
servers.SERVERS[NAME] = servers.SERVERS["panel"].replace("karenpanel.wsgi", "tests.load.health")
SECONDS = 6


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The panel, and an address that computes in pure Python and says how far it came."""
    from karenpanel import wsgi

    if environ["PATH_INFO"] != "/busy/":
        return wsgi.application(environ, start_response)
    until = time.monotonic() + float(environ["QUERY_STRING"])
    turns = 0
    while time.monotonic() < until:
        turns += 1
    start_response("200 OK", [("Content-Length", str(len(str(turns))))])
    return [str(turns).encode()]


if switch := os.environ.get("SWITCH"):
    sys.setswitchinterval(float(switch))


def measure(switch: str, threads: int) -> None:
    os.environ["SWITCH"] = switch
    turns: list[int] = []
    with servers.running(f"{NAME}:2x{threads}") as (port, _):

        def compute() -> None:
            with clients.connect(port, 60) as line:
                line.sendall(clients.get(f"/busy/?{SECONDS}"))
                turns.append(int(clients.answer(line).rpartition(b"\r\n")[2]))

        busy = [threading.Thread(target=compute) for _ in range(4 * threads)]
        for thread in busy:
            thread.start()
        time.sleep(0.5)
        for path in ("/healthz", "/readyz"):
            times = [clients.took(port, clients.get(path, keep=False)) * 1000 for _ in range(25)]
            print(f"switch {switch} {path}: {statistics.median(times):.0f} ms, at most {max(times):.0f} ms", flush=True)
        for thread in busy:
            thread.join()
    print(f"switch {switch}: {sum(turns) / 1e6:.2f} million turns", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switch", nargs="+", default=["0.005", "0.001", "0.0005"])
    parser.add_argument("--threads", type=int, default=4)
    asked = parser.parse_args()
    with shop.opened():
        for switch in asked.switch:
            measure(switch, asked.threads)


if __name__ == "__main__":
    main()
