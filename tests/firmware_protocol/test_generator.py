"""The generator as a program: current on this tree, the same every time, and one line for a schema that is nonsense."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from schema_tools import ROOT, SchemaError, load_schema, output_names

OUTPUTS = output_names()
HANG_S = 60


def generate(root: Path, *args: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / "firmware_protocol/generate.py"), *args],
        cwd=root.parent, env={"PYTHONHASHSEED": hash_seed, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=HANG_S, check=False,
    )  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the generator reads, without anything that it writes."""
    root = tmp_path / "tree"
    shutil.copytree(
        ROOT / "firmware_protocol", root / "firmware_protocol", ignore=shutil.ignore_patterns("__pycache__", "build")
    )
    for output in OUTPUTS:
        (root / output).unlink(missing_ok=True)
    for output in OUTPUTS:
        (root / output).parent.mkdir(parents=True, exist_ok=True)
    return root


def edit(tree: Path, old: str, new: str, name: str = "control.toml") -> None:
    path = tree / "firmware_protocol/schema" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_what_is_committed_is_current() -> None:
    done = generate(ROOT, "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_same_schema_gives_the_same_bytes(tree: Path) -> None:
    for seed in ("0", "1"):
        done = generate(tree, hash_seed=seed)
        assert done.returncode == 0, done.stderr
        for output in OUTPUTS:
            assert (tree / output).read_bytes() == (ROOT / output).read_bytes()
            if seed == "0":
                (tree / output).unlink()
    assert generate(tree).stdout == "", "a second run writes nothing"


def test_check_names_what_is_not_current_and_writes_nothing(tree: Path) -> None:
    """A file edited by hand; then a changed schema."""
    for output in OUTPUTS:
        shutil.copy(ROOT / output, tree / output)
    path = tree / OUTPUTS[0]
    path.write_text(path.read_text().replace("MAX_MESSAGE = 244", "MAX_MESSAGE = 245"))
    done = generate(tree, "--check")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith(f"{OUTPUTS[0]} is not current: ")
    edit(tree, "Highest major version that", "The major version that")
    before = {output: (tree / output).read_bytes() for output in OUTPUTS}
    done = generate(tree, "--check")
    assert done.returncode == 1
    named = [line.split(" ")[0] for line in done.stderr.splitlines()]
    assert {OUTPUTS[0], "firmware_protocol/docs/reference.md"} <= set(named) <= set(OUTPUTS)
    assert {output: (tree / output).read_bytes() for output in OUTPUTS} == before


def test_the_hash_follows_the_meaning(tree: Path) -> None:
    """A changed field changes SCHEMA_HASH; a comment and a sentence do not."""
    schema = tree / "firmware_protocol/schema"
    first = load_schema(schema)["hash"]
    edit(tree, "# Requests and responses:", "# Both:")
    edit(tree, "Which streams to start.", "What to start.")
    assert load_schema(schema)["hash"] == first
    edit(tree, 'name = "stream_mask", type = "u32"', 'name = "stream_mask", type = "u64"')
    assert load_schema(schema)["hash"] != first


STOP = """{ name = "reason", type = "StopReason", doc = "Shown by the tool." },"""
NONSENSE = {
    "not TOML": ("control.toml", STOP, "{{{", "control.toml"),
    "unknown type": ("control.toml", STOP, '{ name = "reason", type = "u24", doc = "x" },', "StopRequest.reason"),
    "unreadable type": ("control.toml", STOP, '{ name = "reason", type = "u8[", doc = "x" },', "StopRequest.reason"),
    "type that is a number": ("control.toml", STOP, '{ name = "reason", type = 8, doc = "x" },', "StopRequest"),
    "array of nothing": ("control.toml", STOP, '{ name = "reason", type = "u8[0]", doc = "x" },', "StopRequest"),
    "field without a name": ("control.toml", STOP, '{ type = "u8", doc = "x" },', "StopRequest"),
    "field without a doc": ("control.toml", STOP, '{ name = "reason", type = "u8" },', "StopRequest"),
    "name that is no name": ("control.toml", STOP, '{ name = "the reason", type = "u8", doc = "x" },', "StopRequest"),
    "keyword for a name": ("control.toml", STOP, '{ name = "class", type = "u8", doc = "x" },', "StopRequest"),
    "field that is a word": ("control.toml", STOP, '"reason",', "StopRequest"),
    "unknown key": ("control.toml", STOP, '{ name = "reason", type = "u8", doc = "x", unite = "N" },', "StopRequest"),
    "two fields of a name": ("control.toml", STOP, STOP + STOP, "StopRequest"),
    "too long": ("control.toml", STOP, '{ name = "reason", type = "u8[300]", doc = "x" },', "StopRequest"),
    "count without a maximum": ("control.toml", "maximum = 3, ", "", "ErrorsResponse.reports"),
    "count of nothing": ("stream.toml", 'count = "length"', 'count = "size"', "LogMessage.text"),
    "maximum that is a word": ("control.toml", "maximum = 3,", 'maximum = "three",', "ErrorsResponse.reports"),
    "maximum that no counter says": ("stream.toml", "maximum = 120", "maximum = 256", "LogMessage.text"),
    "counted array that is not last": ("control.toml", '{ name = "total", type = "u8",',
                                       '{ name = "total", type = "u8", count = "first", maximum = 2,',
                                       "ErrorsResponse.total"),
    "range of words": ("control.toml", "range = [10, 2000]", 'range = ["a", "b"]', "TareRequest.window_ms"),
    "range of three": ("control.toml", "range = [10, 2000]", "range = [1, 2, 3]", "TareRequest.window_ms"),
    "range upside down": ("control.toml", "range = [10, 2000]", "range = [2000, 10]", "TareRequest.window_ms"),
    "range that does not fit": ("control.toml", "range = [10, 2000]", "range = [10, 70000]", "TareRequest.window_ms"),
    "range of a float for an integer": ("control.toml", "range = [10, 2000]", "range = [0.5, 2.0]", "TareRequest"),
    "both fields and same_as": ("control.toml", 'same_as = "StreamDescriptor"',
                                'same_as = "StreamDescriptor"\nfields = []', "ConfigureResponse"),
    "same as nothing": ("control.toml", 'same_as = "StreamDescriptor"', 'same_as = "Descriptor"', "ConfigureResponse"),
    "two answers to one question": ("control.toml", 'name = "StopResponse"\nopcode = "STOP"',
                                    'name = "StopResponse"\nopcode = "START"', "StopResponse"),
    "record with an opcode": ("calibration.toml", 'direction = "record"', 'direction = "record"\nopcode = "STOP"',
                              "CalibrationRecord"),
    "record that no tool can keep": ("calibration.toml", "char[32]", "char[999]", "CalibrationRecord"),
    "header inside a payload": ("control.toml", 'type = "SessionTotals"', 'type = "DataHeader"', "StopResponse.totals"),
    "value in a reserved range": ("protocol.toml", "value = 0x13, doc = \"Answer,", "value = 0x80, doc = \"Answer,",
                                  "Opcode.RESET"),
    "reserved range upside down": ("protocol.toml", "{ first = 0x14, last = 0x7F", "{ first = 0x7F, last = 0x14",
                                   "Opcode"),
    "reserved range without words": ("protocol.toml", ', doc = "Never used." }', " }", "Opcode"),
    "flag of two bits": ("protocol.toml", "value = 0x0002,", "value = 0x0003,", "Capability.TARE"),
    "uuid that is none": ("gatt.toml", '"180a"', '"18-a"', "DEVICE_INFORMATION"),
    "uuid used twice": ("gatt.toml", '"2a24"', '"2a29"', "MODEL_NUMBER"),
    "property that is none": ("gatt.toml", '["read", "notify"]', '["read", "shout"]', "BATTERY_LEVEL"),
    "message without a name": ("control.toml", 'name = "StopRequest"', "", "message"),
    "message without a doc": ("control.toml", 'doc = "Why streaming ends."', "", "StopRequest"),
    "two messages of a name": ("control.toml", 'name = "StopRequest"', 'name = "StopResponse"', "StopResponse"),
    "unknown opcode": ("control.toml", 'opcode = "STOP"', 'opcode = "HALT"', "StopRequest"),
    "neither opcode nor type": ("stream.toml", 'type = "STATUS"\n', "", "StatusMessage"),
    "unknown direction": ("stream.toml", 'direction = "stream"', 'direction = "up"', "StatusMessage"),
    "unknown table": ("protocol.toml", "[[constant]]", "[[constants]]", "constants"),
    "no limit": ("protocol.toml", 'name = "MAX_MESSAGE"', 'name = "MAX_LENGTH"', "MAX_MESSAGE"),
    "constant without a value": ("protocol.toml", "value = 244\n", "", "MAX_MESSAGE"),
    "constant that is a word": ("protocol.toml", "value = 244\n", 'value = "much"\n', "MAX_MESSAGE"),
    "enum of a strange width": ("protocol.toml", 'base = "u8"', 'base = "i8"', "MessageType"),
    "enum without a width": ("protocol.toml", 'base = "u8"\n', "", "MessageType"),
    "value used twice": ("protocol.toml", "value = 0x02,", "value = 0x01,", "MessageType"),
    "value too large": ("protocol.toml", "value = 0x11,", "value = 0x111,", "MessageType"),
    "value without a number": ("protocol.toml", "value = 0x11, ", "", "MessageType"),
    "no major version": ("protocol.toml", "major = 1\n", "", "protocol"),
}  # fmt: skip


@pytest.mark.parametrize("name", NONSENSE)
def test_a_schema_with_nonsense_is_refused_in_one_line(tree: Path, name: str) -> None:
    file, old, new, where = NONSENSE[name]
    edit(tree, old, new, file)
    with pytest.raises(SchemaError) as caught:
        load_schema(tree / "firmware_protocol/schema")
    assert len(str(caught.value).splitlines()) == 1
    assert where in str(caught.value)


def test_the_schema_itself_is_not_refused(tree: Path) -> None:
    """Negative control of the above."""
    assert load_schema(tree / "firmware_protocol/schema")["protocol"]["major"] == 1


@pytest.mark.parametrize("args", [(), ("--check",)], ids=["write", "check"])
def test_nonsense_is_one_line_and_status_2_and_writes_nothing(tree: Path, args: tuple[str, ...]) -> None:
    edit(tree, STOP, NONSENSE["unknown type"][2])
    done = generate(tree, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "schema: StopRequest.reason: unknown type 'u24'\n"
    assert not any((tree / output).exists() for output in OUTPUTS)


def test_no_schema_at_all(tree: Path) -> None:
    shutil.rmtree(tree / "firmware_protocol/schema")
    done = generate(tree)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
