"""The firmware in C builds without a word from two compilers and two analysers, and fits the board. Compiling takes a
while, so only `./run test --emulated` does it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from nexus_simulator.emulators import SOURCES

pytestmark = pytest.mark.skipif(
    not os.environ.get("NEXUS_EMULATED"), reason="compiling for other targets is tried by `./run test --emulated`"
)
FLASH_MAX, RAM_MAX = 24_000, 50_000
"""Bytes of the whole program on the Cortex-M4: codec, application, bench, board."""
CHECKED = [*sorted(SOURCES.glob("*.c")), *sorted(SOURCES.glob("boards/*.c")), SOURCES / "boards" / "native" / "main.c"]


def needs(program: str, package: str) -> pytest.MarkDecorator:
    """Skip, with what to install."""
    return pytest.mark.skipif(
        shutil.which(program) is None,
        reason=f"{program} not found: apt install {package}, or `./run test --emulated` on Debian",
    )


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


@needs("clang", "clang")
@needs("make", "make")
def test_clang_and_strict_flags(tmp_path: Path) -> None:
    """-std=c99 -pedantic -Wall -Wextra -Werror -Wconversion -Wshadow -Wstrict-prototypes; gcc builds so anyway."""
    done = run("make", "-s", "-C", str(SOURCES), f"OUT={tmp_path}", "CC=clang", "SANITIZE=", "native")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs("gcc", "gcc")
def test_analyser_of_gcc(tmp_path: Path) -> None:
    """-fanalyzer finds nothing in the application and in what both boards share."""
    for source in CHECKED:
        done = run(
            "gcc", "-std=c99", "-O1", "-fanalyzer", "-Wall", "-Wextra", "-Werror", f"-I{SOURCES}",
            f"-I{SOURCES.parent / 'c'}", "-c", str(source), "-o", str(tmp_path / "object"),
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")


@needs("cppcheck", "cppcheck")
def test_cppcheck() -> None:
    """Nor does cppcheck."""
    done = run(
        "cppcheck", "--quiet", "--error-exitcode=1", "--std=c99", "--enable=warning,performance,portability",
        "--suppress=missingIncludeSystem", f"-I{SOURCES}", f"-I{SOURCES.parent / 'c'}", *map(str, CHECKED),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@needs("arm-none-eabi-gcc", "gcc-arm-none-eabi")
def test_size_on_the_cortex_m4(tmp_path: Path) -> None:
    """The bare-metal program builds, and is no larger than it was."""
    assert run("make", "-s", "-C", str(SOURCES), f"OUT={tmp_path}", "mps2_an386").returncode == 0
    words = run("arm-none-eabi-size", str(tmp_path / "nexus_mps2_an386.elf")).stdout.split()
    text, data, bss = map(int, words[6:9])
    print(f"{text} bytes of program, {data + bss} of memory")
    assert text < FLASH_MAX
    assert data + bss < RAM_MAX
