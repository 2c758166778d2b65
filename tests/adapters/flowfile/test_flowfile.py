from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
import zstandard

from installer.adapters.flowfile.blocks import MOST, opened
from installer.adapters.flowfile.source import FlowFile
from installer.domain.errors import BeeyardError, UsageError
from installer.domain.flows import jsonpb, times
from installer.domain.flows.flow import Answer, Flow
from installer.domain.flows.flow_filter import FilterSet, FlowFilter
from installer.domain.flows.recording import BadLine, Selection
from installer.ports.flows import FlowRequest
from tests.support.golden import recorded

MADE = recorded("made.jsonl")


def made(folder: Path, data: bytes = MADE, name: str = "flows.jsonl") -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def read(path: str, request: FlowRequest | None = None, selection: Selection | None = None) -> list[Answer]:
    bad: list[BadLine] = []
    source = FlowFile(path, bad.append, selection)
    answers = [answer for batch in source.read(request or FlowRequest()) for answer in batch]
    assert not bad
    return answers


async def test_it_is_a_source_of_flows(tmp_path: Path) -> None:
    source = FlowFile(made(tmp_path, recorded("flows-cilium-1.16.jsonl")))
    batches = [batch async for batch in source.batches(FlowRequest())]
    assert sum(map(len, batches)) == 2200
    assert max(map(len, batches)) <= 500
    assert [jsonpb.encode(answer) for batch in batches for answer in batch] == recorded(
        "flows-cilium-1.16.jsonl"
    ).splitlines()


async def test_whoever_stops_early_leaves_no_file_open(tmp_path: Path) -> None:
    batches = FlowFile(made(tmp_path)).batches(FlowRequest())
    await anext(batches)
    await batches.aclose()
    assert str(tmp_path) not in "".join(str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.exists())


def test_filters_and_numbers(tmp_path: Path) -> None:
    path = made(tmp_path)
    dropped = FilterSet((FlowFilter(verdict=("DROPPED",)),))
    assert len(read(path, FlowRequest(dropped))) == 4
    assert [answer.time[17:19] for answer in read(path, FlowRequest(dropped, number=2))] == ["15", "16"]
    assert [answer.time[17:19] for answer in read(path, FlowRequest(dropped, number=2, first=True))] == ["08", "14"]
    assert len(read(path, FlowRequest(number=2**64 - 1))) == 30


def test_times_limit_on_both_sides(tmp_path: Path) -> None:
    path = made(tmp_path)
    since = times.to_ns("2026-11-20T10:00:04.123460Z")
    until = times.to_ns("2026-11-20T10:00:06.123462Z")
    found = read(path, selection=Selection(since=since, until=until))
    assert [answer.time[17:19] for answer in found] == ["04", "05", "06"]
    assert not read(path, selection=Selection(since=since + 1, until=since + times.SECOND))
    assert len(read(path, FlowRequest(since=since / times.SECOND - 0.5, until=until / times.SECOND + 0.5))) == 3


@pytest.mark.parametrize("digits", ["", ".5", ".500", ".500000", ".500000000"])
def test_fractions_of_any_length_compare_as_numbers(tmp_path: Path, digits: str) -> None:
    path = made(tmp_path, f'{{"flow":{{"uuid":"a"}},"time":"2026-11-20T10:00:04{digits}Z"}}\n'.encode())
    moment = times.to_ns(f"2026-11-20T10:00:04{digits}Z")
    for since, until, found in ((0, 0, 1), (1, 1, 0), (-1, -1, 0), (-1, 1, 1)):
        selection = Selection(since=moment + since, until=moment + until)
        assert len(read(path, selection=selection)) == found


def test_the_server_refuses_as_many_as_hubble_does(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--last must be <= 1_000_000, got 1000001"):
        read(made(tmp_path), FlowRequest(number=1_000_001))


def test_bad_lines_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    line = b'{"flow":{"uuid":"a"}}'
    path = made(tmp_path, b"\n".join([line, b"nonsense", b"", line, b'{"flow":7}', line, line[:9]]))
    bad: list[BadLine] = []
    batches = list(FlowFile(path, bad.append).read(FlowRequest()))
    assert sum(map(len, batches)) == 3
    assert [(item.number, item.why[:20]) for item in bad] == [
        (2, bad[0].why[:20]),
        (5, "flow is no object"),
        (7, bad[2].why[:20]),
    ]
    assert "truncated" in bad[2].why


def test_lines_of_a_megabyte(tmp_path: Path) -> None:
    flow = jsonpb.encode(Answer(flow=Flow(summary="x" * 3_000_000)))
    assert [len(answer.flow.summary) for answer in read(made(tmp_path, flow + b"\n" + flow)) if answer.flow] == [
        3_000_000
    ] * 2


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    with Path(made(tmp_path, b"")).open("r+b") as file:
        file.truncate(MOST + (2 << 20))
    with pytest.raises(BeeyardError, match="Cannot read on") as caught:
        read(str(tmp_path / "flows.jsonl"))
    assert "Line 1 is longer than 64 MiB" in caught.value.why


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_packed_recordings(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    assert len(read(made(tmp_path, pack(MADE)))) == 30
    data = pack(recorded("flows-cilium-1.16.jsonl"))
    assert len(read(made(tmp_path, data))) == 2200
    if pack is gzip.compress:
        with pytest.raises(BeeyardError) as caught:
            read(made(tmp_path, data[: len(data) // 2]))
        assert caught.value.code == "E-FLOW-024"


def test_a_pipe_gives_its_lines_as_they_come(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    write = os.open(fifo, os.O_RDWR)
    lines = MADE.splitlines(keepends=True)
    os.write(write, lines[0])
    answers = FlowFile(str(fifo)).read(FlowRequest())
    assert len(next(answers)) == 1
    os.write(write, lines[1] + lines[2][:40])
    assert len(next(answers)) == 1
    os.write(write, lines[2][40:])
    os.close(write)
    assert len(next(answers)) == 1
    assert next(answers, None) is None


def test_no_such_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(BeeyardError) as caught, opened(str(path)):
            pass
        assert caught.value.code == "E-FLOW-023"
        assert str(path) in caught.value.what


def test_an_empty_file_has_no_flows(tmp_path: Path) -> None:
    assert read(made(tmp_path, b"")) == []
