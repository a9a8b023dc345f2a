"""libFuzzer on the C codec, 20 s in the full run; and the fuzzer finds what is planted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from firmware_protocol.c_codec import CODEC, SANITIZED, SOURCES, STRICT, build, run, tool

SECONDS = 20
FUZZ = CODEC / "fuzz/fuzz_nexus.c"


def _fuzzer(*flags: str) -> Path:
    compiler = tool("clang")
    runtime = re.search(
        r'"([^"]*libclang_rt\.fuzzer-[^"]*)"', run([compiler, "-fsanitize=fuzzer", "-###", FUZZ]).stderr
    )
    if runtime is None or not Path(runtime[1]).exists():
        pytest.skip("no libFuzzer here: `./run test --emulated` installs one on Debian")
    return build(compiler, [FUZZ, *SOURCES], *STRICT, *flags, "-fsanitize=fuzzer", *SANITIZED)


def _fuzz(program: Path, folder: Path) -> tuple[int, str]:
    # The codec allocates nothing. What grows is the sanitizer's own heap, with the number of runs that fit into the
    # time: 2.3 GB were seen with 25 MB alive; leaks are looked for all the same.
    found = run([program, f"-max_total_time={SECONDS}", "-max_len=600", "-seed=1", "-timeout=10", "-verbosity=0",
                 "-rss_limit_mb=6000", f"-artifact_prefix={folder}/"])  # fmt: skip
    return found.returncode, found.stderr


@pytest.mark.thorough
def test_nothing_is_found(tmp_path: Path) -> None:
    status, said = _fuzz(_fuzzer(), tmp_path)
    assert status == 0, said[-4000:]


@pytest.mark.thorough
def test_a_planted_read_of_one_byte_too_many_is_found(tmp_path: Path) -> None:
    status, said = _fuzz(_fuzzer("-DNX_PLANTED_OVERREAD"), tmp_path)
    assert status != 0
    assert "heap-buffer-overflow" in said
    assert "READ of size" in said  # where, only llvm-symbolizer could tell
