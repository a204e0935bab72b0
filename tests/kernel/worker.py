"""A process in a private network namespace that does what it is told: one JSON object a line in, one out.

Standard library only. Started by host.py through `unshare`, and by itself for the VMs of the real path: a worker in a
namespace of its own inside this one. Everything it makes dies with it.
"""

import contextlib
import fcntl
import itertools
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
NETLINK_NETFILTER, CTNETLINK_DELETE = 12, 0x0102
NLM_F_REQUEST, NLM_F_ACK = 0x1, 0x4
COMMAND_LIMIT = 60.0

taps: dict[str, int] = {}
guests: dict[str, subprocess.Popen[str]] = {}
ears: dict[tuple[int, int], socket.socket] = {}
held: dict[str, socket.socket] = {}


def run(command: list[str], text: str = "") -> dict[str, Any]:
    """Run one command to its end; it inherits the namespace."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=COMMAND_LIMIT, check=False)
    return {"status": done.returncode, "out": done.stdout, "words": done.stderr.strip()}


def sysctl(name: str, value: str) -> dict[str, Any]:
    """Write below /proc/sys/net, which is this namespace's own."""
    (Path("/proc/sys/net") / name).write_text(value)
    return {}


def tap(name: str) -> dict[str, Any]:
    """Make a TAP; frames are written to and read from its file descriptor."""
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(handle, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    taps[name] = handle
    return {}


def read(handle: int) -> bytes | None:
    try:
        return os.read(handle, 65536)
    except BlockingIOError:
        return None


def drain() -> dict[str, Any]:
    """Throw away what has come out of the taps."""
    for handle in taps.values():
        while read(handle) is not None:
            pass
    return {}


def passes(way_in: int, way_out: int, frame: bytes, mark: bytes) -> bool:
    """Whether the frame comes out. The kernel forwards inside write(), so nothing is waited for.

    `mark` is in no other frame: what the kernel itself sends is never taken for the frame.
    """
    os.write(way_in, frame)
    while (seen := read(way_out)) is not None:
        if mark in seen:
            return True
    return False


def send(frames: list[list[str]]) -> dict[str, Any]:
    """Frames as [tap in, tap out, frame in hex, mark in hex]; "passed" has a 1 or 0 for each."""
    drain()
    answers = [
        "1" if passes(taps[way_in], taps[way_out], bytes.fromhex(frame), bytes.fromhex(mark)) else "0"
        for way_in, way_out, frame, mark in frames
    ]
    return {"passed": "".join(answers)}


def pace(frames: list[list[str]]) -> dict[str, Any]:
    """Send frames, as `send` does, and tell how many nanoseconds each took; what they open is forgotten in between."""
    drain()
    took = []
    for way_in, way_out, frame, _ in frames:
        sent = bytes.fromhex(frame)
        before = time.perf_counter_ns()
        os.write(taps[way_in], sent)
        took.append(time.perf_counter_ns() - before)
        while read(taps[way_out]) is not None:
            pass
    return {"took": took}


def listen(protocols: list[int]) -> dict[str, Any]:
    """Hear what the namespace itself accepts, of these protocols: the kernel shows it to raw sockets behind its input hook."""
    for family, number in itertools.product((socket.AF_INET, socket.AF_INET6), protocols):
        ears[family, number] = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, number)
    return {}


def hears(ear: socket.socket, number: int, mark: bytes) -> bool:
    """Whether the mark was in something that came since it was asked last, and was no error that quotes it."""
    found = False
    while True:
        try:
            seen = ear.recv(65536)
        except BlockingIOError:
            return found
        error = (number == 1 and seen[(seen[0] & 15) * 4] in (3, 11, 12)) or (number == 58 and seen[0] < 128)
        found = found or (mark in seen and not error)


def arrive(way_in: str, frames: list[list[Any]]) -> dict[str, Any]:
    """Frames to the namespace itself, as [IP version, protocol, frame in hex, mark in hex]; "passed" has a 1 or 0 for each."""
    answers = []
    for version, number, frame, mark in frames:
        os.write(taps[way_in], bytes.fromhex(frame))
        ear = ears[socket.AF_INET if version == 4 else socket.AF_INET6, number]
        answers.append("1" if hears(ear, number, bytes.fromhex(mark)) else "0")
        while read(taps[way_in]) is not None:
            pass
    return {"passed": "".join(answers)}


def leave(way_out: str, packets: list[list[Any]]) -> dict[str, Any]:
    """IP packets that the namespace itself sends, as [IP version, destination, packet in hex, mark in hex]."""
    answers = []
    with (
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as four,
        socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as six,
    ):
        drain()
        for version, destination, packet, mark in packets:
            with contextlib.suppress(PermissionError):
                # That is what a sender hears whose packet is dropped.
                (four if version == 4 else six).sendto(bytes.fromhex(packet), (destination, 0))
            passed, ends = False, (slice(12, 16), slice(16, 20)) if version == 4 else (slice(8, 24), slice(24, 40))
            while (seen := read(taps[way_out])) is not None:
                # What tells of an error quotes the packet, between two other ends; a translated one keeps one of them.
                own = any(seen[14:][end] == bytes.fromhex(packet)[end] for end in ends)
                passed = passed or (own and bytes.fromhex(mark) in seen)
            answers.append("1" if passed else "0")
    return {"passed": "".join(answers)}


def forget() -> dict[str, Any]:
    """Empty the connection table of this namespace, as `conntrack -F` does."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
        netlink.bind((0, 0))
        netlink.send(struct.pack("=IHHIIBBH", 20, CTNETLINK_DELETE, NLM_F_REQUEST | NLM_F_ACK, 1, 0, 0, 0, 0))
        (error,) = struct.unpack_from("=i", netlink.recv(4096), 16)
    if error:
        raise OSError(-error, os.strerror(-error))
    return {}


def storm(frames: list[list[str]], rulesets: list[str], seconds: float, fewest: int) -> dict[str, Any]:
    """Send the frames over and over while nft loads the rulesets in turn; how often each passed and did not.

    For so many seconds, and longer where nft is slow: until it has loaded as many as the fewest.
    """
    loads, refused, stop = 0, "", threading.Event()

    def swap() -> None:
        nonlocal loads, refused
        while not stop.is_set() and not refused:
            refused = run(["nft", "-f", "-"], rulesets[loads % len(rulesets)])["words"]
            loads += 1

    drain()
    tries = [(taps[i], taps[o], bytes.fromhex(frame), bytes.fromhex(mark)) for i, o, frame, mark in frames]
    counts = [[0, 0] for _ in tries]
    swapper = threading.Thread(target=swap)
    swapper.start()
    end = time.monotonic() + seconds
    while not refused and (time.monotonic() < end or loads < fewest):
        for count, one in zip(counts, tries, strict=True):
            count[passes(*one)] += 1
    stop.set()
    swapper.join()
    return {"counts": counts, "loads": loads, "words": refused}


def answer_stream(connection: socket.socket) -> None:
    with connection:
        while data := connection.recv(2048):
            connection.sendall(data)


def answer(server: socket.socket, stream: bool) -> None:
    """Echo what comes, for as long as the process lives."""
    while True:
        if stream:
            connection, _ = server.accept()
            threading.Thread(target=answer_stream, args=(connection,), daemon=True).start()
        else:
            data, sender = server.recvfrom(2048)
            server.sendto(data, sender)


def new_socket(protocol: str, address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)


def serve(protocol: str, address: str, port: int) -> dict[str, Any]:
    server = new_socket(protocol, address)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    if protocol == "tcp":
        server.listen()
    threading.Thread(target=answer, args=(server, protocol == "tcp"), daemon=True).start()
    return {}


def echo(client: socket.socket, patience: float) -> str:
    client.settimeout(patience)
    try:
        client.send(b"hello")
        return "echo" if client.recv(2048) == b"hello" else "other"
    except TimeoutError:
        return "silence"
    except OSError as error:
        return os.strerror(error.errno or 0)


def connect(protocol: str, address: str, port: int, patience: float, hold: str = "") -> dict[str, Any]:
    """Connect, say something, and tell what came back: "echo", "silence", or the kernel's word for the error."""
    client = new_socket(protocol, address)
    client.settimeout(patience)
    try:
        client.connect((address, port))
    except TimeoutError:
        client.close()
        return {"heard": "silence"}
    except OSError as error:
        client.close()
        return {"heard": os.strerror(error.errno or 0)}
    heard = echo(client, patience)
    if hold:
        held[hold] = client
    else:
        client.close()
    return {"heard": heard}


def again(name: str, patience: float) -> dict[str, Any]:
    """Say something over a connection that was held."""
    return {"heard": echo(held[name], patience)}


def guest(name: str) -> dict[str, Any]:
    """Start a worker in a namespace of its own inside this one; "pid" is for `ip link set … netns`."""
    worker = subprocess.Popen(
        ["unshare", "-n", sys.executable, "-S", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    guests[name] = worker
    # Its first answer shows that it is in its namespace already.
    return {"pid": worker.pid, **tell(name, {"do": "drain"})}


def tell(name: str, order: dict[str, Any]) -> dict[str, Any]:
    worker = guests[name]
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps(order) + "\n")
    worker.stdin.flush()
    reply: dict[str, Any] = json.loads(worker.stdout.readline())
    return reply


ORDERS: dict[str, Callable[..., dict[str, Any]]] = {
    order.__name__: order
    for order in (
        run,
        sysctl,
        tap,
        drain,
        send,
        pace,
        listen,
        arrive,
        leave,
        forget,
        storm,
        serve,
        connect,
        again,
        guest,
    )
}


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        name = order.pop("guest_name", "")
        try:
            reply = tell(name, order) if name else ORDERS[order.pop("do")](**order)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            reply = {"failed": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
    for worker in guests.values():
        if worker.stdin is not None:
            worker.stdin.close()
        worker.wait()
    # Threads that wait for a connection would keep the interpreter alive.
    os._exit(0)


if __name__ == "__main__":
    main()
