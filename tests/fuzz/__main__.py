"""Fuzz readers: `python -m tests.fuzz READER SECONDS [--keep FOLDER]`, `all` for each of them, `list` for their names.

Three quarters of the seconds (of the processor) go to small inputs, a quarter to inputs as large as a file may be, each
in a process of its own, whose time and memory are measured. `--again FILE` reads one input and says what it costs.
"""

import argparse
import gc
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

# What the settings ask for, before anything imports them.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "karenpanel.settings")
os.environ |= {
    "SECRET_KEY": "only-for-fuzzing-" + "0123456789abcdef" * 4,
    "INSECURE_HTTP": "1",
    "ALLOWED_HOSTS": "localhost",
}

from tests.fuzz import targets
from tests.fuzz.grow import LARGEST, grown
from tests.fuzz.worker import place_of

MOST_MEMORY = 300 << 20
SMALL = 0.75
"""Part of the time for small inputs."""
_LONGEST = 40
"""Seconds after which an input is given up."""


def small(name: str, seconds: float, folder: Path) -> None:
    """Small inputs, in processes that are begun again where one ends."""
    done = 0.0
    while done < seconds:
        run = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.worker", name, str(seconds - done), str(folder)],
            stdout=subprocess.DEVNULL, stderr=(folder / "said.txt").open("w"), check=False,
        )  # fmt: skip
        spent = _told(folder, "small").get("seconds", 0.0)
        number = len(list(folder.glob("small-*.json")))
        (folder / f"small-{number}.json").write_text(json.dumps(_told(folder, "small")))
        (folder / "small.json").unlink(missing_ok=True)
        done += max(spent, 1.0)
        if run.returncode:
            (folder / f"finding-died-{number}.txt").write_text(
                f"ended with {run.returncode}\n{(folder / 'said.txt').read_text()[-3000:]}"
            )


def _told(folder: Path, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    except (OSError, ValueError):
        return {}
    return found


def large(name: str, seconds: float, folder: Path) -> dict[str, Any]:
    """Inputs that are as large as they may be, each in a process of its own."""
    target, chance = targets.TARGETS[name], Random(time.time_ns())
    told: dict[str, Any] = {"executions": 0, "seconds": 0.0, "slowest": 0.0, "peak": 0, "findings": {}}
    told |= _told(folder, "large")
    seconds += told["seconds"]
    # As the server does before it serves: what is loaded now is no garbage of any input.
    gc.collect()
    gc.freeze()
    inputs = [one.read_bytes() for part in ("seeds", "corpus") for one in sorted((folder / part).iterdir())]
    while target.grows and told["seconds"] < seconds:
        data = grown(target.kind, chance, chance.choice(inputs), inputs)
        if len(data) > LARGEST and target.seconds < targets.LOG_SECONDS:
            data = data[:LARGEST]
        took, memory, said = measured(target, data)
        told["executions"] += 1
        told["seconds"] += took
        for key, value in (("slowest", took), ("peak", memory)):
            if value > told[key]:
                told[key] = value
                (folder / f"large-{key}.bin").write_bytes(data)
        if said or took > target.seconds or memory > MOST_MEMORY:
            place = said.splitlines()[-1] if said else "slow" if took > target.seconds else "memory"
            count = told["findings"][place] = told["findings"].get(place, 0) + 1
            if count <= 3:
                file = f"finding-large-{len(told['findings'])}-{count}"
                (folder / f"{file}.bin").write_bytes(data)
                (folder / f"{file}.txt").write_text(f"{place}\n{took:.2f} s, {memory >> 20} MiB\n{said}")
        (folder / "large.json").write_text(json.dumps(told))
    return told


def measured(target: targets.Target, data: bytes) -> tuple[float, int, str]:
    """(seconds of the processor, bytes of memory that it grew by, what was raised) of one input, in a process of its own."""
    read, write = os.pipe()
    if not (child := os.fork()):
        os.write(write, _in_child(target, data).encode("utf-8", "replace")[:4000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        grew, _, said = pipe.read().decode("utf-8", "replace").partition(" ")
    _, status, used = os.wait4(child, 0)
    if status:
        said += f"\nended with {status}"
    return used.ru_utime + used.ru_stime, int(grew or 0) << 10, said


def _in_child(target: targets.Target, data: bytes) -> str:
    """The kibibytes that it grew by, and what was raised, with its place in the last line."""
    resource.setrlimit(resource.RLIMIT_CPU, (_LONGEST, _LONGEST + 1))
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    # From here on the peak is counted anew.
    Path("/proc/self/clear_refs").write_text("5")
    begun, said = _status("VmRSS"), ""
    try:
        target.read(data)
    except BaseException as error:
        said = f"{error!r}"[:2000] + f"\n{place_of(error)}"
    # A program that was started for it counts as a whole.
    started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return f"{max(0, _status('VmHWM') - begun, started)} {said}"


def _status(name: str) -> int:
    return int(re.findall(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)[0])


def fuzz(name: str, seconds: float, folder: Path) -> None:
    import django

    # The builders of the tests know Django.
    django.setup()
    from tests.fuzz.seeds import seeds

    for part in ("seeds", "corpus"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (folder / "seeds" / f"{number:04}").write_bytes(seed)
    grows = targets.TARGETS[name].grows
    small(name, seconds * (SMALL if grows else 1), folder)
    large(name, seconds * (1 - SMALL), folder)
    for line in summary(name, folder):
        print(line, flush=True)  # noqa: T201


def summary(name: str, folder: Path) -> Sequence[str]:
    told = [_told(folder, one.stem) for one in folder.glob("small-*.json")]
    big = _told(folder, "large")
    slowest = max((one.get("slowest", 0) for one in told), default=0)
    head = (
        f"{name} | {sum(one.get('seconds', 0) for one in told) + big.get('seconds', 0):.0f} s | "
        f"{sum(one.get('executions', 0) for one in told):,} + {big.get('executions', 0)} large | "
        f"slowest {1000 * slowest:.0f} ms, large {big.get('slowest', 0):.2f} s | peak {big.get('peak', 0) >> 20} MiB"
    )
    return [head, *(f"  {one.stem}: {one.read_text().splitlines()[0]}" for one in sorted(folder.glob("finding-*.txt")))]


def again(name: str, file: Path) -> None:
    """Read one input without instruments, and say what it costs; a traceback is shown as it is."""
    target, data = targets.TARGETS[name], file.read_bytes()
    took, memory, _ = measured(target, data)
    print(f"{len(data):,} bytes: {took:.3f} s of a process, {memory >> 20} MiB")  # noqa: T201
    print(f"{min(targets.took(target, data) for _ in range(3)):.4f} s")  # noqa: T201


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader", choices=[*targets.TARGETS, "all", "list"])
    parser.add_argument("seconds", type=float, nargs="?", default=60.0)
    parser.add_argument("--keep", type=Path, help="a folder for what is found, which stays")
    parser.add_argument("--again", type=Path, metavar="FILE", help="read this input only")
    said = parser.parse_args(words)
    if said.reader == "list":
        print("\n".join(targets.TARGETS))  # noqa: T201
    elif said.again:
        again(said.reader, said.again)
    else:
        root = said.keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
        for name in targets.TARGETS if said.reader == "all" else [said.reader]:
            fuzz(name, said.seconds, root / name.replace(" ", "-"))
        print(f"What was found is in {root}.")  # noqa: T201


if __name__ == "__main__":
    main()
