"""Which interface is which VM's: as libvirt tells it, and as any orchestrator may write it down.

Formats: https://libvirt.org/formatdomain.html; for others docs/hosts.md.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from securitygroups.agent import disk
from securitygroups.agent.disk import Unreadable
from securitygroups.firewall.networks import Refused, address_text, parse_address

LIBVIRT = (Path("/run/libvirt/qemu"), Path("/etc/libvirt/qemu"))
"""Domains that run, and those that are defined: of one that runs, what is said there."""
FORMAT = "karenpanel-taps/1"
MAX_DOMAIN = 4 * 2**20
"""Bytes of a domain's file."""
MOST = 10_000
_KEYS = {"tap", "vm", "mac", "addresses"}
_TAP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
# The panel's own name of a VM, which an orchestrator may have given to the domain.
_OWN_NAME = re.compile(r"vm-[0-9a-f]{10}")


@dataclass(frozen=True, slots=True, order=True)
class OnTap:
    """An interface, and what names the VM behind it: the panel's ID, or the platform's."""

    tap: str
    vm: str
    mac: str = ""
    addresses: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        return {"tap": self.tap, "vm": self.vm, "mac": self.mac, "addresses": list(self.addresses)}


@dataclass
class Inventory:
    """All interfaces of VMs on the host. `trouble` is what could not be read, in words."""

    written: Path
    libvirt: tuple[Path, ...] = LIBVIRT
    found: tuple[OnTap, ...] = ()
    trouble: str = ""
    _seen: object = field(default=None)

    def look(self) -> None:
        """Read again what has changed since it was looked at last."""
        files = [file for folder in self.libvirt for file in sorted(_files(folder))]
        seen = [(file, _stamp(file)) for file in (self.written, *files)]
        if seen == self._seen:
            return
        troubles: list[str] = []
        by_tap: dict[str, OnTap] = {}
        for one in (*_read(_written, self.written, troubles), *_domains(files, troubles)):
            # Who says it first is right: the orchestrator's own word, then what runs, then what is defined.
            by_tap.setdefault(one.tap, one)
        self.found = tuple(sorted(by_tap.values()))[:MOST]
        self.trouble, self._seen = " ".join(troubles), seen


def _files(folder: Path) -> Iterable[Path]:
    try:
        return list(folder.glob("*.xml"))
    except OSError:
        return []


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(read: Any, file: Path, troubles: list[str]) -> list[Any]:
    """What `read` makes of the file; trouble with it is noted, and the others are read."""
    try:
        return list(read(file))
    except Unreadable as error:
        troubles.append(str(error))
        return []


def _written(file: Path) -> Iterator[OnTap]:
    """Raises Unreadable."""
    value = disk.read_strict(file)
    if value is None:
        return
    if not isinstance(value, dict) or value.get("format") != FORMAT or not isinstance(value.get("taps"), list):
        raise Unreadable(f'{file} is not {{"format": "{FORMAT}", "taps": […]}}.')
    for place, one in enumerate(value["taps"], 1):
        if not isinstance(one, dict) or not one.keys() <= _KEYS or not _are_texts(one):
            raise Unreadable(
                f"{file}: number {place} of the taps has not the keys tap, vm, mac and addresses, as texts."
            )
        found = _on_tap(one["tap"], one["vm"], one.get("mac", ""), one.get("addresses", []))
        if found is None:
            raise Unreadable(f"{file}: number {place} of the taps names no interface, or no VM.")
        yield found


def _are_texts(one: dict[str, Any]) -> bool:
    addresses = one.get("addresses", [])
    return (
        isinstance(addresses, list)
        and all(isinstance(text, str) for text in (*addresses, one.get("mac", "")))
        and all(isinstance(one.get(key), str) for key in ("tap", "vm"))
    )


def _on_tap(tap: str, vm: str, mac: str, addresses: Iterable[str]) -> OnTap | None:
    """None where tap or VM cannot be one; a MAC or an address that is none is left out."""
    if not _TAP.fullmatch(tap) or not vm.strip() or not vm.isprintable() or len(vm) > 200:
        return None
    mac = mac.strip().lower().replace("-", ":")
    return OnTap(tap, vm.strip(), mac if _MAC.fullmatch(mac) else "", tuple(dict.fromkeys(_addresses(addresses))))


def _addresses(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        try:
            yield address_text(*parse_address(text.partition("/")[0]))
        except Refused:
            continue


def _domains(files: Iterable[Path], troubles: list[str]) -> Iterator[OnTap]:
    """The interfaces of libvirt's domains; of each, the first file says it."""
    seen: set[str] = set()
    for file in files:
        for domain in _read(_domain, file, troubles):
            identity = _text(domain, "uuid") or _text(domain, "name")
            if identity in seen:
                continue
            seen.add(identity)
            yield from _interfaces(domain)


def _domain(file: Path) -> Iterator[ElementTree.Element]:
    """The domain in a file, none where it is another of libvirt's. Raises Unreadable."""
    data = disk.read(file)
    if data is None:
        return
    # libvirt writes neither: what they declare could make a small file a large one.
    if len(data) > MAX_DOMAIN or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise Unreadable(f"{file} is not a domain as libvirt writes it.")
    try:
        root = ElementTree.fromstring(data)  # noqa: S314
    except ElementTree.ParseError as error:
        raise Unreadable(f"{file} cannot be read: {error}.") from None
    found = root.find("domain") if root.tag == "domstatus" else root
    if found is not None and found.tag == "domain":
        yield found


def _text(of: ElementTree.Element, path: str) -> str:
    return (of.findtext(path) or "").strip()


def _interfaces(domain: ElementTree.Element) -> Iterator[OnTap]:
    name, uuid = _text(domain, "name"), _text(domain, "uuid")
    vm = name if _OWN_NAME.fullmatch(name) else uuid or name
    for interface in domain.iterfind("devices/interface"):
        told = [each.get("address", "") for each in interface.iterfind("ip")]
        # Filters of nwfilter are given the address as a parameter.
        told += [
            each.get("value", "")
            for each in interface.iterfind("filterref/parameter")
            if each.get("name", "").upper() in ("IP", "IPV6")
        ]
        found = _on_tap(_of(interface, "target", "dev"), vm, _of(interface, "mac", "address"), told)
        if found is not None:
            yield found


def _of(interface: ElementTree.Element, tag: str, attribute: str) -> str:
    element = interface.find(tag)
    return "" if element is None else element.get(attribute, "")
