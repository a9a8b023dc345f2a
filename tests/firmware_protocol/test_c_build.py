"""What the C codec is made of: it builds everywhere at strict flags, and its stack, size and needs are bounded.

The figures of size and stack stand in `docs/porting.md`, with their limits: this checks that they are true.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from firmware_protocol.c_codec import CODEC, HEADERS, PROTOCOL, SOURCES, STRICT, build, payloads, run, tool

PORTING = PROTOCOL / "docs/porting.md"
CORTEX = ("-std=c99", "-mcpu=cortex-m4", "-mthumb", "-Os", "-ffreestanding", "-ffunction-sections", "-fdata-sections")
FRAME_MAX = 48
"""Bytes of stack of one function: no buffer, no message is kept there."""
FIGURE_SLACK = 0.1
"""A stated figure may differ so much from what this compiler makes; the limits may not be passed."""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("level", ["-O0", "-O2", "-Os"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.name)
def test_strict_flags(compiler: str, level: str, source: Path) -> None:
    build(tool(compiler), [source], *STRICT, level, link=False)


@pytest.mark.parametrize("slip", ["uint8_t f(int x); uint8_t f(int x) { return x; }", "int f();", "int f(int x) {}"])
def test_strict_flags_are_strict(slip: str, tmp_path: Path) -> None:
    """The control."""
    (tmp_path / "slip.c").write_text(f"#include <stdint.h>\n{slip}\n", encoding="utf-8")
    assert run([tool("gcc", "clang"), *STRICT, "-c", tmp_path / "slip.c", "-o", tmp_path / "slip.o"]).returncode != 0


def test_headers_are_for_cxx_too(tmp_path: Path) -> None:
    source = tmp_path / "both.cpp"
    source.write_text("".join(f'#include "{header.name}"\n' for header in HEADERS), encoding="utf-8")
    found = run([tool("g++", "clang++"), "-std=c++11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only",
                 f"-I{CODEC}", source])  # fmt: skip
    assert found.returncode == 0, found.stderr


@pytest.mark.thorough
@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.name)
def test_gcc_analyzer(source: Path) -> None:
    build(tool("gcc"), [source], "-std=c99", "-O2", "-fanalyzer", "-Werror", link=False)


def _cppcheck(*sources: Path) -> str:
    found = run([tool("cppcheck"), "--std=c99", "--enable=warning,style,performance,portability", "--error-exitcode=1",
                 "-q", f"-I{CODEC}", *sources])  # fmt: skip
    return found.stderr + found.stdout


@pytest.mark.thorough
def test_cppcheck() -> None:
    assert _cppcheck(*SOURCES, CODEC / "fuzz/fuzz_nexus.c") == ""


@pytest.mark.thorough
def test_cppcheck_finds(tmp_path: Path) -> None:
    """The control."""
    slip = tmp_path / "slip.c"
    slip.write_text("int f(void);\nint f(void)\n{\n    int a[2] = {1, 2};\n\n    return a[2];\n}\n", encoding="utf-8")
    assert "arrayIndexOutOfBounds" in _cppcheck(slip)


# -- needs and stack --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiler", ["gcc", "clang", "arm-none-eabi-gcc"])
@pytest.mark.parametrize("level", ["-O0", "-O2", "-Os"])
def test_needs_nothing_but_memcpy(compiler: str, level: str) -> None:
    needed: set[str] = set()
    cpu = ("-mcpu=cortex-m4", "-mthumb") if compiler.startswith("arm") else ()
    made: set[str] = set()
    for source in SOURCES:
        out = build(
            tool(compiler), [source], "-std=c99", "-ffreestanding", "-fno-stack-protector", level, *cpu, link=False
        )
        lines = run(["arm-none-eabi-nm" if cpu else "nm", out]).stdout.splitlines()
        needed |= {line.split()[-1] for line in lines if line.split()[-2] == "U"}
        made |= {line.split()[-1] for line in lines if line.split()[-2] == "T"}
        assert not [line for line in lines if line.split()[-2] in "bBdDC"], "the codec keeps no state of its own"
    assert needed - made <= {"memcpy"}


def _stack(source: Path, compiler: str, folder: Path, *flags: str) -> tuple[dict[str, int], dict[str, set[str]]]:
    """Bytes of stack of every function, and whom it calls; every one has a fixed size."""
    out = folder / f"{source.stem}.o"
    found = run([compiler, *flags, "-fcallgraph-info=su", "-c", f"-I{CODEC}", source, "-o", out], cwd=folder)
    assert found.returncode == 0, found.stderr
    text = out.with_suffix(".ci").read_text(encoding="utf-8")
    sizes: dict[str, int] = {}
    for name, size, kind in re.findall(r'node: \{ title: "([^"]+)" label: "[^"]*\\n(\d+) bytes \(([^)]*)\)"', text):
        assert kind == "static", f"{name}: {kind}"
        sizes[name] = int(size)
    calls: dict[str, set[str]] = {}
    for caller, callee in re.findall(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', text):
        calls.setdefault(caller, set()).add(callee)
    return sizes, calls


def _deepest(name: str, sizes: dict[str, int], calls: dict[str, set[str]], above: tuple[str, ...] = ()) -> int:
    assert name not in above, f"{name} calls itself: {above}"
    return sizes.get(name, 0) + max((_deepest(c, sizes, calls, (*above, name)) for c in calls.get(name, ())), default=0)


def _deepest_of(compiler: str, folder: Path, *flags: str) -> int:
    sizes: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for source in SOURCES:
        more, edges = _stack(source, compiler, folder, *flags)
        sizes |= more
        calls |= edges
    assert len(sizes) > 80
    assert max(sizes.values()) <= FRAME_MAX, max(sizes, key=lambda name: sizes[name])
    return max(_deepest(name, sizes, calls) for name in sizes)


def test_stack_is_bounded(tmp_path: Path) -> None:
    _, limit = figures()["Deepest stack"]
    assert _deepest_of(tool("arm-none-eabi-gcc"), tmp_path, *CORTEX) <= limit


def test_an_array_of_unknown_length_is_seen(tmp_path: Path) -> None:
    """The control: of the stack's bound, and of recursion."""
    compiler = tool("gcc")
    slip = tmp_path / "slip.c"
    slip.write_text(
        "int g(int *a);\nint f(int n);\nint f(int n) { int a[n]; return g(a) + f(n - 1) * 2; }\n", encoding="utf-8"
    )
    with pytest.raises(AssertionError, match="dynamic"):
        _stack(slip, compiler, tmp_path, "-O2")
    slip.write_text("int f(int n);\nint f(int n) { return n > 1 ? f(n - 1) ^ f(n - 2) : 1; }\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="calls itself"):
        _deepest("f", *_stack(slip, compiler, tmp_path, "-O0"))


# -- size -------------------------------------------------------------------------------------------------------------


@cache
def figures() -> dict[str, tuple[int, int]]:
    """What `porting.md` states: row -> (figure, limit), bytes on a Cortex-M4."""
    text = PORTING.read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    return {name.strip(): (int(figure), int(limit)) for name, figure, limit in rows}


def _linked(functions: list[str], folder: Path) -> int:
    """Bytes of program and constants when a program uses these functions of the codec, and no more."""
    compiler = tool("arm-none-eabi-gcc")
    objects = [build(compiler, [source], *CORTEX, link=False) for source in SOURCES]
    out = folder / "linked.elf"
    found = run([compiler, "-mcpu=cortex-m4", "-mthumb", "-nostdlib", "-Wl,--gc-sections", "-Wl,-e,nx_frame",
                 "-Wl,--defsym,memcpy=0", *(f"-Wl,-u,{name}" for name in functions), *objects, "-lgcc",
                 "-o", out])  # fmt: skip
    assert found.returncode == 0, found.stderr
    text, data, bss = run(["arm-none-eabi-size", out]).stdout.splitlines()[1].split()[:3]
    assert (data, bss) == ("0", "0")
    return int(text)


FRAMING = [
    "nx_crc32", "nx_frame", "nx_deframer_init", "nx_deframe", "nx_get_message_header", "nx_get_request_header",
    "nx_put_response_header", "nx_put_message_header", "nx_put_data_header", "nx_put_i16", "nx_put_i32",
]  # fmt: skip


def _tool() -> list[str]:
    """What a tool needs that knows every opcode and sends every message."""
    made = [*FRAMING]
    for name, payload in payloads().items():
        direction = payload.get("direction")
        if direction == "request":
            made += [f"nx_get_{name}"] + ([f"nx_valid_{name}"] if payload["checked"] else [])
        elif direction in ("response", "stream"):
            made.append(f"nx_put_{name}")
    return made


def _record() -> list[str]:
    return [*_tool(), *(f"nx_{verb}_calibration_record" for verb in ("put", "get", "valid"))]


@pytest.mark.parametrize(("row", "functions"), [
    ("Framing, headers, DATA", lambda: FRAMING),
    ("and every request, response and stream message", _tool),
    ("and the calibration record, put, get and valid", _record),
])  # fmt: skip
def test_size(row: str, functions: object, tmp_path: Path) -> None:
    stated, limit = figures()[row]
    assert callable(functions)
    found = _linked(functions(), tmp_path)
    assert found <= limit, f"{row}: {found} bytes"
    assert abs(found - stated) <= FIGURE_SLACK * stated, f"{row}: {found} bytes, porting.md says {stated}"


def test_size_budget_of_the_codec() -> None:
    """What was promised; and each row holds the one before it."""
    rows = [row for name, row in figures().items() if name != "Deepest stack"]
    assert rows[0][1] == 1200
    assert all(a < b for (a, _), (b, _) in pairwise(rows))


def test_memory_of_a_link_and_of_the_longest_message(tmp_path: Path) -> None:
    said = re.findall(r"RAM: (\d+) bytes.* calibration record with (\d+) bytes", PORTING.read_text(encoding="utf-8"))
    lines = ['#include "nexus_frame.h"', "char link[sizeof(struct nx_deframer)];",
             "char record[sizeof(struct nx_calibration_record)];", ""]  # fmt: skip
    (tmp_path / "sizes.c").write_text("\n".join(lines), encoding="utf-8")
    out = build(tool("arm-none-eabi-gcc"), [tmp_path / "sizes.c"], *CORTEX, link=False)
    lines = run(["arm-none-eabi-nm", "-S", out]).stdout.splitlines()
    found = {line.split()[-1]: str(int(line.split()[1], 16)) for line in lines}
    assert said == [(found["link"], found["record"])]


def test_the_guide_names_what_there_is() -> None:
    headers = "".join(p.read_text(encoding="utf-8") for p in PROTOCOL.rglob("*.h"))
    named = set(re.findall(r"\b(?:nx|NX)_\w*\w", PORTING.read_text(encoding="utf-8"))) - {
        "nx_get_",
        "nx_put_",
        "nx_valid_",
    }
    assert len(named) > 20
    assert not [name for name in sorted(named) if not re.search(rf"\b{name}\b", headers)]
