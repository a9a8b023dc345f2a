"""The generator as a program: current on this tree, the same every time, and one line for a schema that is nonsense."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
OUTPUTS = ("src/nexuslink/protocol/messages.py", "firmware_protocol/docs/reference.md")
HANG_S = 60


def generate(root: Path, *args: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / "firmware_protocol/generate.py"), *args],
        cwd=root.parent, env={"PYTHONHASHSEED": hash_seed, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=HANG_S, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """The same program as a module: a process for each bad schema would cost half a minute."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "firmware_protocol/generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the generator reads, without anything that it writes."""
    root = tmp_path / "tree"
    shutil.copytree(
        ROOT / "firmware_protocol", root / "firmware_protocol", ignore=shutil.ignore_patterns("docs", "__pycache__")
    )
    for output in OUTPUTS:
        (root / output).parent.mkdir(parents=True)
    return root


def edit(tree: Path, old: str, new: str, name: str = "messages.toml") -> None:
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
    edit(tree, "Why streaming ends.", "Why it ends.")
    before = {output: (tree / output).read_bytes() for output in OUTPUTS}
    done = generate(tree, "--check")
    assert done.returncode == 1
    assert [line.split(" ")[0] for line in done.stderr.splitlines()] == list(OUTPUTS)
    assert {output: (tree / output).read_bytes() for output in OUTPUTS} == before


def test_the_hash_follows_the_meaning(tree: Path, generator: ModuleType) -> None:
    """A changed field changes SCHEMA_HASH; a comment does not."""
    schema = tree / "firmware_protocol/schema"
    first = generator.load_schema(schema)["hash"]
    edit(tree, "# Messages and the structures", "# Structures")
    assert generator.load_schema(schema)["hash"] == first
    edit(tree, 'name = "stream_mask", type = "u32"', 'name = "stream_mask", type = "u64"')
    assert generator.load_schema(schema)["hash"] != first


STOP = """{ name = "reason", type = "StopReason", doc = "Shown by the tool." },"""
NONSENSE = {
    "not TOML": ("messages.toml", STOP, "{{{", "messages.toml"),
    "unknown type": ("messages.toml", STOP, '{ name = "reason", type = "u24", doc = "x" },', "StopRequest.reason"),
    "unreadable type": ("messages.toml", STOP, '{ name = "reason", type = "u8[", doc = "x" },', "StopRequest.reason"),
    "type that is a number": ("messages.toml", STOP, '{ name = "reason", type = 8, doc = "x" },', "StopRequest"),
    "array of nothing": ("messages.toml", STOP, '{ name = "reason", type = "u8[0]", doc = "x" },', "StopRequest"),
    "field without a name": ("messages.toml", STOP, '{ type = "u8", doc = "x" },', "StopRequest"),
    "field without a doc": ("messages.toml", STOP, '{ name = "reason", type = "u8" },', "StopRequest"),
    "name that is no name": ("messages.toml", STOP, '{ name = "the reason", type = "u8", doc = "x" },', "StopRequest"),
    "keyword for a name": ("messages.toml", STOP, '{ name = "class", type = "u8", doc = "x" },', "StopRequest"),
    "field that is a word": ("messages.toml", STOP, '"reason",', "StopRequest"),
    "unknown key": ("messages.toml", STOP, '{ name = "reason", type = "u8", doc = "x", unite = "N" },', "StopRequest"),
    "two fields of a name": ("messages.toml", STOP, STOP + STOP, "StopRequest"),
    "too long": ("messages.toml", STOP, '{ name = "reason", type = "u8[300]", doc = "x" },', "StopRequest"),
    "count without a maximum": ("messages.toml", "maximum = 4, ", "", "InfoResponse.streams"),
    "count of nothing": ("messages.toml", 'count = "stream_count"', 'count = "streams_count"', "InfoResponse.streams"),
    "maximum that is a word": ("messages.toml", "maximum = 4,", 'maximum = "four",', "InfoResponse.streams"),
    "message without a name": ("messages.toml", 'name = "StopRequest"', "", "message"),
    "message without a doc": ("messages.toml", 'doc = "Why streaming ends."', "", "StopRequest"),
    "two messages of a name": ("messages.toml", 'name = "StopRequest"', 'name = "StopResponse"', "StopResponse"),
    "unknown opcode": ("messages.toml", 'opcode = "STOP"', 'opcode = "HALT"', "StopRequest"),
    "neither opcode nor type": ("messages.toml", 'type = "STATUS"\n', "", "StatusMessage"),
    "unknown direction": ("messages.toml", 'direction = "stream"', 'direction = "up"', "StatusMessage"),
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
def test_a_schema_with_nonsense_is_refused_in_one_line(tree: Path, generator: ModuleType, name: str) -> None:
    file, old, new, where = NONSENSE[name]
    edit(tree, old, new, file)
    with pytest.raises(generator.SchemaError) as caught:
        generator.load_schema(tree / "firmware_protocol/schema")
    assert len(str(caught.value).splitlines()) == 1
    assert where in str(caught.value)


def test_the_schema_itself_is_not_refused(tree: Path, generator: ModuleType) -> None:
    """Negative control of the above."""
    assert generator.load_schema(tree / "firmware_protocol/schema")["protocol"]["major"] == 1


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
