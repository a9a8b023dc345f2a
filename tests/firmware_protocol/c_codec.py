"""The C codec under test: how it is compiled, and its harness as a Python object.

Programs are built once a session into a temporary folder, by what they are made from. Without a compiler a test
skips with one line that says how to get one.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROTOCOL = ROOT / "firmware_protocol"
CODEC = PROTOCOL / "c"
SOURCES = (CODEC / "nexus_frame.c", CODEC / "nexus_messages.c")
HEADERS = (CODEC / "nexus_frame.h", CODEC / "nexus_messages.h")
STRICT = (
    "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-Wstrict-prototypes",
)  # fmt: skip
SANITIZED = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")

if str(PROTOCOL) not in sys.path:
    sys.path.insert(0, str(PROTOCOL))

from generator.names import snake  # noqa: E402  (the generator is a program beside the packages)
from generator.render import SCHEMA  # noqa: E402
from generator.schema import CODES, load_schema  # noqa: E402
from generator.wire import Leaf, leaves  # noqa: E402, F401  (for the tests: how a payload is made up)

TOOLS = {
    "gcc": "C compiler",
    "g++": "C++ compiler",
    "clang": "clang",
    "cppcheck": "cppcheck",
    "arm-none-eabi-gcc": "compiler for Cortex-M",
}


def tool(*names: str) -> str:
    """The first of these programs that this machine has; skips the test where there is none."""
    for name in names:
        if shutil.which(name):
            return name
    pytest.skip(f"no {TOOLS[names[0]]} here: `./run test --emulated` installs one on Debian")


def run(command: Sequence[str | Path], cwd: Path | None = None, **more: Any) -> subprocess.CompletedProcess[str]:
    """One program to its end, its output as text."""
    return subprocess.run(
        [str(c) for c in command], cwd=cwd, capture_output=True, text=True, timeout=100, check=False, **more
    )


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="nexus-c-")


def build(
    compiler: str, sources: Iterable[Path], *flags: str, includes: Iterable[Path] = (), link: bool = True
) -> Path:
    """A program (or with ``link=False`` one object); fails the test with the compiler's words."""
    sources, includes = list(sources), [CODEC, *includes]
    made_from = [p.read_bytes() for p in (*sources, *HEADERS)]
    made_from += [p.read_bytes() for folder in includes[1:] for p in sorted(folder.glob("*.inc"))]
    key = hashlib.sha256(b"\0".join([repr((compiler, flags, link)).encode(), *made_from])).hexdigest()[:20]
    out = Path(_folder().name) / f"{sources[0].stem}-{key}{'' if link else '.o'}"
    if not out.exists():
        found = run([compiler, *flags, *(f"-I{folder}" for folder in includes), *([] if link else ["-c"]), *sources,
                     "-o", out])  # fmt: skip
        assert found.returncode == 0, f"{compiler} {' '.join(flags)}\n{found.stderr}"
    return out


# -- the harness ------------------------------------------------------------------------------------------------------


@cache
def schema() -> dict[str, Any]:
    return load_schema(SCHEMA)


@cache
def payloads() -> dict[str, dict[str, Any]]:
    """Name in C -> header or message, of those that have functions of their own."""
    own = [m for m in schema()["messages"] if "same_as" not in m]
    return {snake(p["name"]): p for p in [*schema()["headers"], *own]}


def c_name(name: str) -> str:
    """Name in the schema -> name of the functions."""
    message = next((m for m in schema()["messages"] if m["name"] == name), {})
    return snake(message.get("same_as", name))


def _fields(fields: list[Any], at: str, verb: str) -> list[str]:
    """Statements that show or fill every field, in wire order; written from the schema, not by the generator."""
    structs = {s["name"]: s for s in schema()["structs"]}
    made = []
    for f in fields:
        place = at + f.name
        if f.kind == "char" or (f.count and f.base == "u8"):
            many = f"{f.length}" if f.kind == "char" else f"least({at}{f.count}, {f.maximum})"
            room = "" if verb == "SHOW" else f"sizeof {place}"
            made.append(f"{verb.lower()}_bytes({place}, {room or many});")
            continue
        each = (lambda p, f=f: _fields(structs[f.base]["fields"], p + ".", verb)) if f.kind == "struct" else (
            lambda p, f=f: [f"{verb}_{f.scalar}({p});"])  # fmt: skip
        if f.count or f.array:
            many = f"least({at}{f.count}, {f.maximum})" if f.count else f"{f.length}"
            index = f"i{at.count('[')}"
            inner = " ".join(each(f"{place}[{index}]"))
            made.append(f"for (size_t {index} = 0; {index} < {many}; {index}++) {{ {inner} }}")
        else:
            made += each(place)
    return made


def _include() -> str:
    """The harness's part that goes through all fields."""
    made, rows = [], []
    for name, payload in payloads().items():
        checked = "direction" in payload and payload["checked"]
        show, fill = (_fields(payload["fields"], "m->", verb) for verb in ("SHOW", "FILL"))
        made += [
            f"static void show_{name}(const void *p) {{ const struct nx_{name} *m = p; {' '.join(show)} }}",
            f"static void fill_{name}(void *p) {{ struct nx_{name} *m = p; {' '.join(fill)} }}",
            f"static size_t put_{name}(const void *m, uint8_t *o, size_t r) {{ return nx_put_{name}(m, o, r); }}",
            f"static bool get_{name}(void *m, const uint8_t *in, size_t n) {{ return nx_get_{name}(m, in, n); }}",
            f"static int valid_{name}(const void *m) "
            + (f"{{ return nx_valid_{name}(m); }}" if checked else "{ (void)m; return -1; }"),
            f'_Static_assert(NX_{name.upper()}_SIZE == {payload["size"]}, "bytes on the wire");',
        ]
        rows.append(f'    {{"{name}", sizeof(struct nx_{name}), NX_{name.upper()}_SIZE, show_{name}, fill_{name}, '
                    f"put_{name}, get_{name}, valid_{name}}},")  # fmt: skip
    return "\n".join([*made, "static const struct entry entries[] = {", *rows, "};", ""])


def harness(sources: Sequence[Path] = SOURCES, *flags: str) -> Path:
    """The harness around these sources; built with ASan and UBSan where no other flags are given."""
    folder = Path(_folder().name) / "include"
    if not folder.exists():
        folder.mkdir()
        (folder / "harness_messages.inc").write_text(_include(), encoding="utf-8")
    warned = ("-std=c11", "-Wall", "-Wextra", "-Werror")
    return build(tool("gcc", "clang"), [HERE / "c/harness.c", *sources], *(flags or (*warned, *SANITIZED)),
                 includes=[folder])  # fmt: skip


def ask(lines: list[str], program: Path | None = None) -> list[list[str]]:
    """The harness's answers, in words; one process for all of them."""
    found = run([program or harness()], input="".join(f"{line}\n" for line in lines))
    assert found.returncode == 0, found.stderr[-3000:]
    answers = [line.split() for line in found.stdout.splitlines()]
    assert len(answers) == len(lines)
    return answers


def hexed(data: bytes) -> str:
    """Bytes as a word of the harness."""
    return data.hex() or "-"


def word(scalar: str, raw: bytes) -> str:
    """One value, given by its bytes on the wire, as a word of the harness."""
    if scalar in ("f32", "f64"):
        return raw[::-1].hex()
    assert scalar in CODES
    return str(int.from_bytes(raw, "little", signed=scalar[0] == "i"))
