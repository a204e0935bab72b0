"""One target in one process, until its seconds of the processor are over: `python -m tests.fuzz.worker TARGET SECONDS FOLDER`.

Where atheris is installed it chooses what to change, by what has not run yet. Whatever is found is written into the
folder, once for each place in the code; what took long is written there too, to be measured again without instruments.
"""

import hashlib
import importlib
import json
import os
import re
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

from tests.fuzz.mutate import mutated

PACKAGE = "securitygroups.firewall"
LARGEST_INPUT = 20_000
SUSPECT = 3
"""Instruments make it slower, about so many times."""


def atheris() -> Any:
    """The fuzzer, None where it is not installed."""
    try:
        return importlib.import_module("atheris")
    except ImportError:
        return None


def place_of(error: BaseException) -> str:
    """What it is and where in the product, or in these programs, it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "securitygroups" in frame.filename] or frames
    if type(error).__name__ == "Broken":
        # What is said of a number is said of each.
        return re.sub(r"\d+", "#", str(error))[:24]
    return f"{type(error).__name__} {Path(ours[-1].filename).name}:{ours[-1].lineno}"


@dataclass
class Told:
    """What came of it so far."""

    executions: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    slowest_file: str = ""
    findings: dict[str, int] = field(default_factory=dict)


class Worker:
    def __init__(self, targets: ModuleType, name: str, seconds: float, folder: Path) -> None:
        self.target, self.spent = targets.TARGETS[name], targets.spent
        self.seconds, self.folder = seconds, folder
        self.told, self.written, self.sizes = Told(), 0.0, dict[str, int]()

    def __call__(self, data: bytes) -> None:
        started = self.spent()
        try:
            self.target.read(bytes(data))
        except BaseException as error:
            self.found(place_of(error), bytes(data), traceback.format_exc())
        self.told.seconds = self.spent()
        self.told.executions += 1
        took = self.told.seconds - started
        if took > self.told.slowest:
            self.told.slowest, self.told.slowest_file = took, self.keep("slowest", bytes(data))
        if took > self.target.seconds * SUSPECT:
            self.found("slow", bytes(data), f"{took:.3f} s with instruments")
        if self.told.seconds - self.written > 5 or self.told.seconds > self.seconds:
            self.write()
        if self.told.seconds > self.seconds:
            os._exit(0)

    def found(self, place: str, data: bytes, said: str) -> None:
        self.told.findings[place] = self.told.findings.get(place, 0) + 1
        if len(data) < self.sizes.get(place, 1 << 30):
            self.sizes[place] = len(data)
            name = "finding-" + hashlib.sha256(place.encode()).hexdigest()[:10]
            self.keep(name, data)
            (self.folder / f"{name}.txt").write_text(f"{place}\n{said}", "utf-8", errors="replace")

    def keep(self, name: str, data: bytes) -> str:
        (self.folder / f"{name}.bin").write_bytes(data)
        return name

    def write(self) -> None:
        self.written = self.told.seconds
        (self.folder / "small.json").write_text(json.dumps(asdict(self.told)))


def main(name: str, seconds: str, folder: Path) -> None:
    fuzzer = atheris()
    if fuzzer is None:
        targets = importlib.import_module("tests.fuzz.targets")
    else:
        with fuzzer.instrument_imports(include=[PACKAGE]):
            targets = importlib.import_module("tests.fuzz.targets")
    seeds = [one.read_bytes() for one in sorted((folder / "seeds").iterdir())]
    worker = Worker(targets, name, float(seconds), folder)
    for seed in seeds:
        worker(seed)
    kind = worker.target.kind
    if fuzzer is None:
        chance = Random(int(time.time()))
        while True:
            worker(mutated(kind, chance, chance.choice(seeds), seeds)[:LARGEST_INPUT])

    def change(data: bytes, most: int, seed: int) -> bytes:
        chance = Random(seed)
        if chance.random() < 0.1:
            return bytes(fuzzer.Mutate(data, most))
        return mutated(kind, chance, data, seeds)[:most]

    options = [
        f"-max_len={LARGEST_INPUT}",
        "-len_control=0",
        "-rss_limit_mb=0",
        "-timeout=600",
        "-print_final_stats=0",
        "-verbosity=0",
    ]
    fuzzer.Setup([sys.argv[0], *options, str(folder / "corpus"), str(folder / "seeds")], worker, custom_mutator=change)
    fuzzer.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
