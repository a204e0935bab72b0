"""Which interface is which VM's is read from what libvirt and orchestrators write, and nothing is made of what is broken."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from securitygroups.agent.taps import Inventory, OnTap

UUID = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0"
# As libvirt 9 writes it of a domain that runs, with what no interface is told by left out.
RUNNING = """<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
OVERWRITTEN AND LOST.
-->
<domstatus state='running' reason='booted' pid='1234'>
  <monitor path='/var/lib/libvirt/qemu/domain-1-web/monitor.sock' type='unix'/>
  <domain type='kvm' id='1'>
    <name>{name}</name>
    <uuid>{uuid}</uuid>
    <devices>
      <disk type='file' device='disk'><target dev='vda' bus='virtio'/></disk>
      <interface type='bridge'>
        <mac address='52:54:00:AB:cd:01'/>
        <source bridge='br0'/>
        <target dev='{tap}'/>
        <filterref filter='clean-traffic'>
          <parameter name='IP' value='10.0.0.5'/>
          <parameter name='IPV6' value='2001:DB8::5'/>
          <parameter name='CTRL_IP_LEARNING' value='none'/>
        </filterref>
        <model type='virtio'/>
      </interface>
      <interface type='ethernet'>
        <mac address='52:54:00:ab:cd:02'/>
        <ip address='192.168.122.5' prefix='24'/>
        <target dev='vnet9'/>
      </interface>
      <interface type='user'><mac address='52:54:00:ab:cd:03'/></interface>
    </devices>
  </domain>
</domstatus>
"""
DEFINED = """<domain type='kvm'><name>web</name><uuid>{uuid}</uuid><devices>
<interface type='bridge'><mac address='52:54:00:ab:cd:01'/><target dev='{tap}'/></interface></devices></domain>"""


class Where:
    """The files of one host."""

    def __init__(self, folder: Path) -> None:
        self.run, self.etc, self.written = folder / "run", folder / "etc", folder / "taps.json"
        self.run.mkdir()
        self.etc.mkdir()
        self.inventory = Inventory(self.written, (self.run, self.etc))

    def found(self) -> tuple[OnTap, ...]:
        self.inventory.look()
        return self.inventory.found

    def write(self, *taps: dict[str, Any], **more: Any) -> None:
        new = self.written.with_suffix(".new")
        new.write_text(json.dumps({"format": "karenpanel-taps/1", "taps": list(taps), **more}), "utf-8")
        new.replace(self.written)


@pytest.fixture
def where(tmp_path: Path) -> Where:
    return Where(tmp_path)


WEB = OnTap("vnet3", UUID, "52:54:00:ab:cd:01", ("10.0.0.5", "2001:db8::5"))
SECOND = OnTap("vnet9", UUID, "52:54:00:ab:cd:02", ("192.168.122.5",))


def test_a_running_domains_interfaces_are_found_with_mac_and_addresses(where: Where) -> None:
    (where.run / "web.xml").write_text(RUNNING.format(name="web", uuid=UUID, tap="vnet3"), "utf-8")

    assert where.found() == (WEB, SECOND)
    assert where.inventory.trouble == ""
    assert WEB.document() == {
        "tap": "vnet3",
        "vm": UUID,
        "mac": "52:54:00:ab:cd:01",
        "addresses": ["10.0.0.5", "2001:db8::5"],
    }


def test_a_domain_that_bears_the_panels_name_is_called_by_it(where: Where) -> None:
    (where.run / "web.xml").write_text(RUNNING.format(name="vm-0123456789", uuid=UUID, tap="vnet3"), "utf-8")

    assert {one.vm for one in where.found()} == {"vm-0123456789"}


def test_of_a_domain_that_runs_what_is_defined_is_not_asked(where: Where) -> None:
    (where.run / "web.xml").write_text(RUNNING.format(name="web", uuid=UUID, tap="vnet3"), "utf-8")
    (where.etc / "web.xml").write_text(DEFINED.format(uuid=UUID, tap="tap-web"), "utf-8")
    (where.etc / "db.xml").write_text(DEFINED.format(uuid="another", tap="tap-db"), "utf-8")

    assert [one.tap for one in where.found()] == ["tap-db", "vnet3", "vnet9"]


def test_what_an_orchestrator_writes_stands_above_libvirt(where: Where) -> None:
    (where.run / "web.xml").write_text(RUNNING.format(name="web", uuid=UUID, tap="vnet3"), "utf-8")
    where.write(
        {"tap": "vnet3", "vm": "vm-0123456789"}, {"tap": "tap1", "vm": "x", "mac": "52-54-00-AB-CD-09", "addresses": []}
    )

    assert where.found() == (OnTap("tap1", "x", "52:54:00:ab:cd:09"), OnTap("vnet3", "vm-0123456789"), SECOND)


def test_what_has_changed_is_read_again(where: Where) -> None:
    where.write({"tap": "tap1", "vm": "a"})
    assert [one.vm for one in where.found()] == ["a"]

    where.write({"tap": "tap1", "vm": "b"})
    assert [one.vm for one in where.found()] == ["b"]

    where.written.unlink()
    assert where.found() == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": "karenpanel-taps/2", "taps": []}',
        '{"format": "karenpanel-taps/1", "taps": {}}',
        '{"format": "karenpanel-taps/1", "taps": [1]}',
        '{"format": "karenpanel-taps/1", "taps": [{"tap": "tap0"}]}',
        '{"format": "karenpanel-taps/1", "taps": [{"tap": "tap 0", "vm": "a"}]}',
        '{"format": "karenpanel-taps/1", "taps": [{"tap": "tap0", "vm": " "}]}',
        '{"format": "karenpanel-taps/1", "taps": [{"tap": "tap0", "vm": "a", "addresses": "10.0.0.1"}]}',
        '{"format": "karenpanel-taps/1", "taps": [{"tap": "tap0", "vm": "a", "ip": "10.0.0.1"}]}',
    ],
)
def test_a_file_that_is_broken_is_said_and_libvirt_is_still_read(where: Where, text: str) -> None:
    (where.run / "web.xml").write_text(RUNNING.format(name="web", uuid=UUID, tap="vnet3"), "utf-8")
    where.written.write_text(text, "utf-8")

    assert where.found() == (WEB, SECOND)
    assert "taps.json" in where.inventory.trouble


BOMB = """<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><domain><name>&b;</name></domain>"""


@pytest.mark.parametrize("text", ["<domain", BOMB, "<domstatus/>", "<network><name>x</name></network>", "\x00", ""])
def test_a_domain_that_cannot_be_read_keeps_no_other_from_being_read(where: Where, text: str) -> None:
    (where.run / "a.xml").write_text(text, "utf-8")
    (where.run / "web.xml").write_text(RUNNING.format(name="web", uuid=UUID, tap="vnet3"), "utf-8")

    assert where.found() == (WEB, SECOND)


@pytest.mark.parametrize("tap", ["", "a" * 16, "../x", "tap0'", "vnet%d"])
def test_what_is_no_interface_is_left_out(where: Where, tap: str) -> None:
    (where.run / "web.xml").write_text(RUNNING.format(name="web", uuid=UUID, tap=tap.replace("'", "&apos;")), "utf-8")

    assert where.found() == (SECOND,)


def test_a_thousand_domains_are_looked_at_in_no_time(where: Where) -> None:
    for number in range(1000):
        text = DEFINED.format(uuid=f"uuid-{number}", tap=f"vnet{number}")
        (where.run / f"{number}.xml").write_text(text, "utf-8")
    assert len(where.found()) == 1000
    before = os.times().user

    for _ in range(10):
        where.inventory.look()

    assert os.times().user - before < 2
