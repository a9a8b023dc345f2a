"""The conformance suite on right tools, its reading of frames, its report, and its command."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import select
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nexus_conformance import host
from nexus_conformance.command import register
from nexus_conformance.document import markdown
from nexus_conformance.errors import LinkEndedError, MisuseError
from nexus_conformance.reading import Reader
from nexus_conformance.report import Finding, Report, Verdict
from nexus_conformance.suite import REQUIREMENTS, Wishes, examine, run_conformance, selected
from nexus_simulator.link import Link
from nexus_simulator.transport import open_sim

from nexuslink.cli.main import main
from nexuslink.protocol.chunk import Chunk, ChunkSink
from nexuslink.protocol.framing import CRC_SIZE, Deframer, frame
from nexuslink.protocol.messages import MAX_MESSAGE

ROOT = Path(__file__).parents[2]
FAST = "sim:?speed=max"
SERVE = """
import argparse, sys
from nexus_simulator.command import register
parser = argparse.ArgumentParser()
register(parser.add_subparsers())
args = parser.parse_args()
sys.exit(args.run(args))
"""
GUARD_S = 60.0


def not_passed(report: Report) -> dict[str, str]:
    """Id -> evidence of everything that did not pass."""
    return {f.id: f.evidence for f in report.findings if f.verdict is not Verdict.PASS}


@contextmanager
def served() -> Iterator[str]:
    """The Python tool in a process of its own, on a TCP port."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, "sim", "serve", "--tcp", "127.0.0.1:0"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:  # fmt: skip
        try:
            assert process.stdout
            assert select.select([process.stdout], [], [], GUARD_S)[0], "the address was never printed"
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


# ---- right tools ----------------------------------------------------------------------------------------------------
def test_the_python_tool_passes_everything() -> None:
    report = run_conformance(FAST, Wishes(write=True, reset=True))
    assert not_passed(report) == {"NX-CTL-014": "the tool has every part"}
    assert len(report.findings) == len(REQUIREMENTS)


@pytest.mark.thorough
def test_the_python_tool_in_another_process_passes_over_tcp() -> None:
    """A machine that stood still for the second that an answer may take says nothing of the tool: then once more."""
    for _ in range(3):
        with served() as url:
            report = run_conformance(url, Wishes(write=True, reset=True))
        if not any("no answer within" in why for why in not_passed(report).values()):
            break
    assert not_passed(report) == {"NX-CTL-014": "the tool has every part"}


def test_a_tool_at_other_rates_passes() -> None:
    report = run_conformance(f"{FAST}&force_rate=1000&imu_rate=1000&seed=7", Wishes(write=True))
    assert report.failed == ()


class Radio:
    """The simulated tool behind a carrier that takes and gives whole messages, as BLE does."""

    framed = False

    def __init__(self) -> None:
        self._inner = open_sim("", {"speed": "max"})
        self.url, self.now_ns, self.close = self._inner.url, self._inner.now_ns, self._inner.close
        self.pause, self.resume = self._inner.pause, self._inner.resume
        self._deframer = Deframer()

    async def open(self, sink: ChunkSink) -> None:
        self._sink = sink
        await self._inner.open(self)

    async def write(self, data: bytes) -> None:
        await self._inner.write(frame(data))

    def chunk(self, chunk: Chunk) -> None:
        if not chunk.data:
            self._sink.chunk(chunk)
        for message in self._deframer.feed(chunk.data):
            self._sink.chunk(Chunk(chunk.arrival_ns, message[:-CRC_SIZE]))

    def closed(self, reason: str) -> None:
        self._sink.closed(reason)


def test_a_carrier_of_whole_messages_has_no_frames_to_judge() -> None:
    skipped = not_passed(asyncio.run(examine(Radio, Wishes(write=True))))
    framed = {r.id for r in REQUIREMENTS if r.framed}
    assert {id_ for id_, why in skipped.items() if why == "this carrier has no frames"} == framed
    assert {id_[:6] for id_ in skipped.keys() - framed} == {"NX-CTL", "NX-CAL", "NX-RST"}


class Vanishes(Link):
    """A port that goes with the tool when it restarts, and comes back."""

    seen = 0

    @property
    def ended(self) -> str | None:
        restarted = self.tool.firmware.restarts > self.seen
        return "the port has gone" if restarted and not self._air else super().ended

    def disconnect(self) -> None:
        self.seen = self.tool.firmware.restarts
        super().disconnect()


def test_a_port_that_goes_with_a_restart_is_opened_again() -> None:
    transport = open_sim("", {"speed": "max"})
    transport._link = Vanishes(transport._link.tool)
    report = asyncio.run(examine(lambda: transport, Wishes(write=True, reset=True, only=("NX-RST",))))
    assert not_passed(report) == {}


def test_nothing_is_written_and_nothing_restarted_unless_allowed() -> None:
    skipped = not_passed(run_conformance(FAST, Wishes(only=("NX-CAL", "NX-ERR", "NX-RST"))))
    wanted = {r.id: f"needs {' and '.join(f'--{c}' for c in r.consents)}" for r in selected(("NX",)) if r.consents}
    assert skipped == wanted and len(wanted) > 15


# ---- requirements ---------------------------------------------------------------------------------------------------
def test_ids_are_unique_and_the_document_is_current() -> None:
    assert len({r.id for r in REQUIREMENTS}) == len(REQUIREMENTS)
    committed = (ROOT / "firmware_protocol" / "docs" / "requirements.md").read_text(encoding="utf-8")
    assert committed == markdown(), "run python -m nexus_conformance.document > firmware_protocol/docs/requirements.md"


def test_every_source_is_in_the_reference() -> None:
    known = "".join(path.read_text() for path in (ROOT / "firmware_protocol" / "schema").glob("*.toml"))
    named = {r.source for r in REQUIREMENTS} - {"framing"}
    missing = [n for n in named if f'"{n}"' not in known and not (ROOT / "firmware_protocol" / "schema" / n).exists()]
    assert missing == []


# ---- reading --------------------------------------------------------------------------------------------------------
@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=4, max_size=MAX_MESSAGE), max_size=5), st.integers(1, 50))
def test_the_reader_reads_what_the_framing_writes_however_it_is_cut(messages: list[bytes], piece: int) -> None:
    data = b"".join(map(frame, messages))
    reader = Reader()
    read = [m for at in range(0, len(data), piece) for m in reader.feed(data[at : at + piece])]
    assert read == messages
    assert (reader.counts.good, reader.counts.bad) == (len(messages), 0)


def test_the_reader_counts_damage_and_still_reads_a_message_whose_check_is_wrong() -> None:
    reader = Reader()
    whole = frame(b"\x02\0\0\0abcd")
    damaged = whole[:-2] + bytes([whole[-2] ^ 0x55]) + b"\0"
    assert reader.feed(damaged) == [b"\x02\0\0\0abcd"]
    assert reader.feed(b"\x09\x01\0" + b"\x03\x01\x01\0" + whole) == [b"\x02\0\0\0abcd"]
    counts = reader.counts
    assert (counts.good, counts.bad_crc, counts.bad_cobs, counts.too_short) == (1, 1, 1, 1)


# ---- the command ----------------------------------------------------------------------------------------------------
def command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    args = parser.parse_args(["conformance", *words])
    return int(args.run(args))


def test_the_command_is_an_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, name = project["entry-points"]["nexuslink.commands"]["conformance"].split(":")
    assert getattr(import_module(module), name) is register


def test_exit_status_and_lines_on_a_right_tool(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(FAST, "--only", "NX-VER", "NX-CTL-001") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("SIM-00000, protocol 1.0, ") and lines[0].endswith(f"[SIMULATED] at {FAST}")
    assert lines[-2:] == [
        "pass  NX-CTL-001  4 of 4 unknown opcodes got UNKNOWN_OPCODE",
        "8 passed, 0 failed, 0 not applicable",
    ]


def test_exit_status_lines_and_junit_on_a_wrong_tool(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    junit = tmp_path / "report.xml"
    assert command(f"{FAST}&defect=other-schema", "--only", "NX-VER", "--junit", str(junit)) == 1
    out = capsys.readouterr().out
    assert "FAIL  NX-VER-002  1.0 with schema 0000000000000001, but 1.0 is " in out
    assert out.endswith("6 passed, 1 failed, 0 not applicable: NX-VER-002\n")
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("7", "1")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["NX-VER-002"]


def test_json_on_a_wrong_tool(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(f"{FAST}&defect=any-stream", "--only", "NX-CTL-015", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is False
    assert document["findings"] == [
        {
            "id": "NX-CTL-015",
            "sentence": "DESCRIBE of a stream that is not there is OUT_OF_RANGE.",
            "verdict": "fail",
            "evidence": "DESCRIBE 2: BAD_REQUEST, wanted OUT_OF_RANGE",
        }
    ]


def test_the_list_needs_no_tool(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--list") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(REQUIREMENTS)


def test_misuse_is_one_line() -> None:
    with pytest.raises(MisuseError, match=r"no requirement is called NX-STR-0003; did you mean NX-STR-003\?"):
        command(FAST, "--only", "nx-str-0003")
    with pytest.raises(MisuseError, match="conformance needs the address of a tool"):
        command()
    with pytest.raises(MisuseError, match=r"--junit no-such-folder/report.xml: there is no folder no-such"):
        command(FAST, "--junit", "no-such-folder/report.xml")
    with pytest.raises(MisuseError, match=r"--junit \.: cannot be written \(Is a directory\); choose another file"):
        command(FAST, "--only", "NX-VER-001", "--junit", ".")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--only", "NX-NO"), "conformance needs the address of a tool"),
        ((FAST, "--only", "NX-NO"), "no requirement is called NX-NO"),
        (("sim:?defect=none",), "defect=none: there is no such defect"),
        ((FAST, "--code", "open"), "--code"),
    ],
)
def test_misuse_at_the_command_line_is_one_line_and_status_2(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status: object = main(["conformance", *words])
    except SystemExit as exit_:  # how argparse ends
        status = exit_.code
    out, err = capsys.readouterr()
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.parametrize(("hangs_up", "said"), [(False, "nothing there answers HELLO"), (True, "the link ended")])
def test_who_does_not_answer_is_no_tool(hangs_up: bool, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(GUARD_S)

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                while peer.recv(4096) and not hangs_up:
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(LinkEndedError, match=said) as refused:
            run_conformance(f"tcp:127.0.0.1:{server.getsockname()[1]}")
        thread.join(GUARD_S)
    assert "\n" not in str(refused.value)


class Frozen:
    """A carrier on which time stands still."""

    url, framed = "frozen:", True

    def now_ns(self) -> int:
        return 0

    async def open(self, sink: ChunkSink) -> None: ...

    async def write(self, data: bytes) -> None: ...

    async def close(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


def test_a_carrier_without_ticks_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "GUARD_S", 0.1)
    with pytest.raises(LinkEndedError, match="frozen:: no sign of life"):
        asyncio.run(examine(Frozen, Wishes()))


def test_a_report_counts_and_names_what_failed() -> None:
    rows = ((Verdict.PASS, "a"), (Verdict.FAIL, "b"), (Verdict.NOT_APPLICABLE, "c"))
    report = Report("sim:", "a tool", tuple(Finding(id_, "It does.", verdict, "seen") for verdict, id_ in rows))
    assert (report.passed, report.failed) == (False, ("b",))
    assert report.summary() == "1 passed, 1 failed, 1 not applicable: b"
