"""Parquet files are read, in a process of its own that no file takes others along with."""

import gzip
import io
import os
import resource
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from securitygroups.firewall.flows import parquet as files
from securitygroups.firewall.flows.batch import UNSAID
from securitygroups.firewall.flows.logs import FlowLog
from securitygroups.firewall.formats.strict import BadDocument
from tests.firewall.flows.test_formats import LOCAL, read, refusal


def test_a_text_of_parquet_that_is_no_utf_8_is_read_as_it_stands() -> None:
    out = io.BytesIO()
    row = {
        "protocol": [6],
        "srcaddr": ["198.51.100.7"],
        "dstaddr": ["10.0.1.10"],
        "dstport": [22],
        "action": ["ACCEPTED"],
    }
    parquet.write_table(arrow.table(row), out, compression="none", write_statistics=False)

    flows, _ = read(out.getvalue().replace(b"ACCEPTED", b"ACCEPTE\xf2"))

    assert flows == [("in", 6, "198.51.100.7", "10.0.1.10", 22, UNSAID)]


def written(columns: dict[str, Any], **how: Any) -> bytes:
    out = io.BytesIO()
    parquet.write_table(arrow.table(columns), out, **how)
    return out.getvalue()


ENDS = {"srcaddr": ["198.51.100.7", "10.0.1.10"], "dstaddr": ["10.0.1.10", "198.51.100.7"], "srcport": [40000, 22]}
SSH_AND_BACK: dict[str, Any] = {**ENDS, "dstport": [22, 40000], "protocol": [6, 6]}


@pytest.mark.parametrize(
    "columns",
    [
        SSH_AND_BACK | {"start": arrow.array([1_700_000_000_123_456_789, 1_700_000_000_123_999_999], arrow.timestamp("ns"))},
        SSH_AND_BACK | {"start": arrow.array([1_700_000_000_123, 1_700_000_000_124], arrow.timestamp("ms", "UTC"))},
        SSH_AND_BACK | {"srcaddr": arrow.array(ENDS["srcaddr"]).dictionary_encode(), "start": [1, 2]},
        SSH_AND_BACK | {"srcaddr": arrow.array([b"198.51.100.7", b"10.0.1.10"]), "start": [1, 2]},
        SSH_AND_BACK | {"protocol": arrow.array([6, 6]).dictionary_encode(), "start": [1, 2]},
        {
            "src_endpoint": [{"ip": "198.51.100.7", "port": 40000}, {"ip": "10.0.1.10", "port": 22}],
            "dst_endpoint": [{"ip": "10.0.1.10", "port": 22}, {"ip": "198.51.100.7", "port": 40000}],
            "connection_info": [{"protocol_num": 6, "tcp_flags": 2}, {"protocol_num": 6, "tcp_flags": 18}],
        },
    ],
    ids=["nanoseconds", "milliseconds", "a dictionary", "bytes", "a dictionary of numbers", "OCSF, nested"],
)  # fmt: skip
def test_parquet_is_read_whatever_types_its_columns_have(columns: dict[str, Any]) -> None:
    for how in ({}, {"use_dictionary": False, "compression": "gzip"}):
        flows, log = read(written(columns, **how))

        assert [flow[:5] for flow in flows] == [("in", 6, "198.51.100.7", "10.0.1.10", 22)]
        assert (log.records, log.guessed) == (2, 0)


def test_a_short_parquet_file_cannot_hold_very_much() -> None:
    long = arrow.DictionaryArray.from_arrays(arrow.array([0] * 30_000, arrow.int32()), arrow.array(["x" * 1_000_000]))
    columns = {"protocol": [6] * 30_000, "srcaddr": long, "dstaddr": ["10.0.1.10"] * 30_000, "dstport": [22] * 30_000}

    # Joined, these were 30 GB.
    assert "longer than 200 bytes" in refusal(written(columns))


SSH = [("in", 6, "198.51.100.7", "10.0.1.10", 22)]
GOOD = written(SSH_AND_BACK | {"start": [1, 2]})


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> "list[subprocess.Popen[bytes]]":
    """The programs that are started to read files."""
    begin, seen = files._started, list["subprocess.Popen[bytes]"]()

    def noted(descriptor: int) -> "subprocess.Popen[bytes]":
        seen.append(begin(descriptor))
        return seen[-1]

    monkeypatch.setattr(files, "_started", noted)
    return seen


def test_a_file_at_which_the_library_ends_its_process_is_refused(started: "list[subprocess.Popen[bytes]]") -> None:
    # The column may not be empty any more, but its statistics are of one that may.
    was, becomes = b"\x25\x02\x18\x08protocol", b"\x25\x00\x18\x08protocol"
    assert GOOD.count(was) == 1

    assert refusal(GOOD.replace(was, becomes)) == "The Parquet file is damaged or cut short."
    assert started[0].returncode == -signal.SIGABRT


def test_no_end_of_a_file_and_no_byte_of_it_makes_more_than_a_refusal() -> None:
    cut = [GOOD[:size] for size in (4, 12, len(GOOD) // 2, len(GOOD) - 8, len(GOOD) - 1)]
    turned = [GOOD[:at] + bytes([GOOD[at] ^ 0xFF]) + GOOD[at + 1 :] for at in range(5, len(GOOD), 97)]

    for data in (*cut, *turned):
        try:
            read(data)
        except BadDocument as refused:
            assert str(refused)


def test_what_reads_it_is_told_nothing_and_ends_with_the_log(
    started: "list[subprocess.Popen[bytes]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "only-for-this-test")
    log = FlowLog(io.BytesIO(GOOD), LOCAL)
    process = psutil.Process(started[0].pid)

    # What pytest itself may have been told of where packages are is passed on.
    assert process.environ().keys() <= {"ARROW_DEFAULT_MEMORY_POOL", "OMP_NUM_THREADS", *files._TOLD, "LC_CTYPE"}
    assert not [one for one in process.net_connections() if one.status == psutil.CONN_ESTABLISHED]
    del log
    assert not process.is_running()


def test_a_file_that_takes_too_much_is_refused_as_that(started: "list[subprocess.Popen[bytes]]") -> None:
    log = FlowLog(io.BytesIO(written({name: values * 100_000 for name, values in SSH_AND_BACK.items()})), LOCAL)
    data = psutil.Process(started[0].pid).memory_info().data
    resource.prlimit(started[0].pid, resource.RLIMIT_DATA, (data, data))
    with pytest.raises(BadDocument, match="takes more than 512 MiB of memory: write it in smaller row groups"):
        list(log)

    log = FlowLog(io.BytesIO(GOOD), LOCAL)
    os.kill(started[1].pid, signal.SIGXCPU)
    with pytest.raises(BadDocument, match="takes too long to read: write it in smaller row groups"):
        list(log)


@pytest.mark.parametrize("packed", [False, True])
def test_it_is_read_from_the_disk_and_from_memory_packed_or_not(tmp_path: Path, packed: bool) -> None:
    (tmp_path / "log").write_bytes(gzip.compress(GOOD) if packed else GOOD)

    for data in ((tmp_path / "log").open("rb"), io.BytesIO((tmp_path / "log").read_bytes())):
        with data:
            log = FlowLog(data, LOCAL)
            assert sum(len(batch) for batch in log) == 1


def test_whoever_looks_on_sees_how_far_it_is(tmp_path: Path) -> None:
    # Flows that are paired with their replies would come at once.
    columns = {name: values * 50_000 for name, values in SSH_AND_BACK.items() if name != "srcport"}
    (tmp_path / "log").write_bytes(written(columns, compression="none", use_dictionary=False))

    with (tmp_path / "log").open("rb") as stream:
        seen = [stream.tell() for _ in FlowLog(stream, LOCAL)]

    size = (tmp_path / "log").stat().st_size
    assert seen == sorted(seen)
    assert [round(4 * place / size) for place in seen] == [1, 3, 4, 4]
