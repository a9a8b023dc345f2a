"""Known tools on disk: right or as good as none, never an error; bounded; whole files only."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest
from scripted_tool import INFO, STREAM, calibration

from nexuslink.device.cache import FILE_MAX, MAGIC, SWITCH, TOOLS_MAX, Known, ToolCache, usual_folder
from nexuslink.protocol.description import ToolDescription, description_crc
from nexuslink.protocol.messages import SCHEMA_HASH, HelloResponse


def known(serial: str = "NX-1", number: int = 1) -> Known:
    record = calibration(number)
    crc = description_crc(INFO.pack(), [STREAM.pack()], record)
    hello = HelloResponse(1, 0, SCHEMA_HASH, 7, serial, crc, 244)
    description = ToolDescription.of(hello.pack(), INFO.pack(), [STREAM.pack()])
    assert description is not None
    return Known(description, record)


def hello(tool: Known) -> bytes:
    return tool.description.payloads[0]


def on(folder: Path) -> ToolCache:
    """As after a new start of the program: nothing in memory."""
    return ToolCache(lambda: folder)


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """The file of one known tool."""
    on(tmp_path).keep(known())
    (path,) = tmp_path.iterdir()
    return path


def test_what_was_kept_is_found(one: Path) -> None:
    found = on(one.parent).find(hello(known()))
    assert found == known()
    assert one.stat().st_size <= FILE_MAX


def test_every_byte_counts(one: Path) -> None:
    """One flipped bit anywhere, or one byte less: not known. Negative control: the untouched file is."""
    whole = one.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        one.write_bytes(damaged)
        assert on(one.parent).find(hello(known())) is None
    for length in range(0, len(whole), 7):
        one.write_bytes(whole[:length])
        assert on(one.parent).find(hello(known())) is None
    one.write_bytes(whole)
    assert on(one.parent).find(hello(known())) == known()


def sealed(body: bytes) -> bytes:
    return MAGIC + crc32(body).to_bytes(4, "little") + body


FOREIGN: dict[str, bytes] = {
    "nothing": b"",
    "text": b"[settings]\nlanguage = de\n",
    "huge": bytes(10_000_000),
    "only a head": MAGIC,
    "sealed nothing": sealed(b""),
    "sealed zeros": sealed(bytes(300)),
    "a length beyond its end": sealed(b"\xff\xff\xff\xff" + bytes(100)),
    "a newer layout": b"nexus-tool-2\n" + bytes(400),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_no_knowledge_and_are_replaced(name: str, one: Path) -> None:
    one.write_bytes(FOREIGN[name])
    assert on(one.parent).find(hello(known())) is None
    on(one.parent).keep(known())
    assert on(one.parent).find(hello(known())) == known()


def test_a_forged_record_does_not_fit_hello(one: Path) -> None:
    """Sealed with a right check of the file: HELLO's own check is what counts."""
    forged = Known(known().description, calibration(2))
    on(one.parent).keep(forged)
    assert on(one.parent).find(hello(known())) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
        lambda path: (path.unlink(), path.symlink_to(path)),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.unlink(), path.parent.rmdir(), path.parent.write_text("a file")),
    ],
    ids=["a folder", "an endless device", "a circle", "a pipe", "the folder is a file"],
)
@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links: run on Linux or macOS")
def test_strange_places_raise_nothing(spoil: Callable[[Path], object], one: Path) -> None:
    spoil(one)
    cache = on(one.parent)
    assert cache.find(hello(known())) is None
    cache.keep(known())
    assert cache.find(hello(known())) == known(), "from memory at least"


@pytest.mark.parametrize("data", [b"", b"\x01", bytes(39), b"\xff" * 60])
def test_any_hello_may_be_looked_up(data: bytes, tmp_path: Path) -> None:
    assert on(tmp_path).find(data) is None


@pytest.mark.parametrize("serial", ["", "../../etc/x", "a/b", "CON", "nul\0nul", "ü" * 8, "?*<>|"])
def test_serial_numbers_from_the_wire_are_no_paths(serial: str, tmp_path: Path) -> None:
    folder = tmp_path / "tools"
    cache = on(folder)
    cache.keep(known(serial))
    assert [path.parent for path in tmp_path.rglob("*.tool")] == [folder]
    assert [path.name for path in tmp_path.iterdir()] == ["tools"]


def test_folder_and_memory_are_bounded(tmp_path: Path) -> None:
    cache = on(tmp_path)
    stranger = tmp_path / "notes.txt"
    stranger.write_text("not ours")
    for number in range(TOOLS_MAX + 20):
        cache.keep(known(f"NX-{number}"))
    assert len(list(tmp_path.glob("*.tool"))) == TOOLS_MAX
    assert len(cache._memory) == TOOLS_MAX
    assert stranger.exists()
    assert on(tmp_path).find(hello(known(f"NX-{TOOLS_MAX + 19}"))) is not None


def test_one_file_a_tool_the_newest_state(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        on(tmp_path).keep(known(number=number))
    assert len(list(tmp_path.iterdir())) == 1
    assert on(tmp_path).find(hello(known(number=1))) is None
    assert on(tmp_path).find(hello(known(number=3))) == known(number=3)


def test_readers_see_whole_files_while_others_write(tmp_path: Path) -> None:
    tools = [known(number=n) for n in (1, 2)]
    done = threading.Event()

    def write() -> None:
        for k in range(100):
            on(tmp_path).keep(tools[k % 2])
        done.set()

    on(tmp_path).keep(tools[0])
    writer = threading.Thread(target=write)
    writer.start()
    looked = 0
    while not done.is_set() or not looked:
        seen = [on(tmp_path).find(hello(tool)) for tool in tools]
        assert all(found is None or found == tool for found, tool in zip(seen, tools, strict=True))
        looked += 1
    writer.join(10)
    assert looked and len(list(tmp_path.iterdir())) == 1


def test_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")
    assert usual_folder() is None
    monkeypatch.setenv(SWITCH, str(tmp_path / "here"))
    assert usual_folder() == tmp_path / "here"
    cache = ToolCache(lambda: None)
    cache.keep(known())
    assert cache.find(hello(known())) == known()
    assert not list(tmp_path.iterdir())


def test_a_tool_after_its_restart_is_the_same(one: Path) -> None:
    again = replace(known().description.hello, boot_id=99).pack()
    found = on(one.parent).find(again)
    assert found is not None and found.description.boot_id == 99
