"""The memory that the simulator and a board share: one layout in two languages, and nothing half written is taken."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nexus_simulator import physics
from nexus_simulator.emulators import SOURCES, missing
from nexus_simulator.options import Options
from nexus_simulator.physics import PHYSICS, PLAN, RANGES, SLOT, Physics, checks
from nexus_simulator.takes import FORCE

from nexuslink.protocol.messages import MAX_STREAMS

pytestmark = pytest.mark.skipif(missing("native") is not None, reason=str(missing("native")))
INCLUDES = [f"-I{SOURCES}", f"-I{SOURCES.parent / 'c'}"]


def compiled(folder: Path, source: str, *arguments: str) -> Path:
    path = folder / "program"
    (folder / "source.c").write_text(source)
    subprocess.run(
        ["cc", "-std=c99", *INCLUDES, str(folder / "source.c"), *arguments, "-o", str(path)], check=True, timeout=60
    )
    return path


def layout(dtype: np.dtype[Any]) -> dict[str, tuple[int, int]]:
    assert dtype.fields is not None
    return {name: (field[1], field[0].itemsize) for name, field in dtype.fields.items()}


def test_layout_is_the_same_in_both_languages(tmp_path: Path) -> None:
    """Every field's offset and size, as the compiler has them and as numpy has them."""
    structs = {
        "nx_physics": PHYSICS,
        "nx_physics_slot": SLOT,
        "nx_physics_plan": PLAN,
        "nx_physics_ranges": RANGES,
    }
    lines = [
        f'printf("{struct} {name} %zu %zu\\n",'
        f" offsetof(struct {struct}, {name}), sizeof ((struct {struct} *)0)->{name});"
        for struct, dtype in structs.items()
        for name in layout(dtype)
    ]
    lines += [f'printf("{struct} - %zu 0\\n", sizeof(struct {struct}));' for struct in structs]
    source = '#include <stdio.h>\n#include "physics.h"\nint main(void) {' + "\n".join(lines) + "return 0; }"
    told = subprocess.run([compiled(tmp_path, source)], capture_output=True, text=True, check=True, timeout=20).stdout
    for line in told.splitlines():
        struct, name, offset, size = line.split()
        if name == "-":
            assert structs[struct].itemsize == int(offset)
        else:
            assert layout(structs[struct])[name] == (int(offset), int(size)), line
    assert len(told.splitlines()) == len(lines)


@pytest.fixture(scope="module")
def board_side(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """physics.c as a library, with what it needs of the codec."""
    folder = tmp_path_factory.mktemp("physics")
    codec = SOURCES.parent / "c"
    sources = [str(SOURCES / "physics.c"), str(codec / "nexus_frame.c"), str(codec / "nexus_messages.c")]
    return ctypes.CDLL(str(compiled(folder, "int nothing;", "-shared", "-fPIC", *sources)))


def test_check_is_the_same_in_both_languages(board_side: ctypes.CDLL) -> None:
    """The check of a slot, for any counts."""
    rng = np.random.default_rng(0)
    slots = np.zeros(500, SLOT)
    slots["index"] = rng.integers(0, 1 << 32, 500, dtype=np.uint32)
    slots["counts"] = rng.integers(-(1 << 31), 1 << 31, (500, 6), dtype=np.int64)
    board_side.nx_physics_check.restype = ctypes.c_uint32
    for generation in (1, 2, 0xFFFFFFFF):
        expected = checks(generation, slots["index"], slots["counts"])
        for slot, check in zip(slots, expected, strict=True):
            assert board_side.nx_physics_check(ctypes.c_uint32(generation), slot.tobytes()) == check


class Plan(ctypes.Structure):
    """``struct nx_plan`` up to the session; the streams behind it stay zero."""

    _fields_ = (("session", ctypes.c_uint32), ("streams", ctypes.c_uint8 * 1024))


def test_board_takes_whole_slots_of_this_plan_only(board_side: ctypes.CDLL, tmp_path: Path) -> None:
    """Old, foreign, torn and empty slots are not there; the right one is, with its counts.

    A plan for the same session again, as CONFIGURE makes one, is another plan.
    """
    bench = Physics(tmp_path / "physics", Options(force_rate=1000.0, imu_rate=1000.0))
    pointer = ctypes.c_void_p(bench._slots.__array_interface__["data"][0] - PHYSICS.fields["slots"][1])
    tool = ctypes.create_string_buffer(65536)
    assert board_side.nx_physics_begin(pointer, tool) & 0xFF
    board_side.nx_physics_do(0, ctypes.byref(Plan(1)))

    counts = (ctypes.c_int32 * 8)()

    def take(index: int) -> bool:
        return bool(board_side.nx_physics_sample(ctypes.c_uint8(0), ctypes.c_uint64(index), counts) & 0xFF)

    bench._generation, bench._take = 1, bench.tool.make_take(1, 0, bench.tool.identity.streams)
    bench._made = [0] * MAX_STREAMS
    assert not take(0)
    bench._make(bench._take, FORCE, bench.tool.identity.streams[0], 100)
    assert take(7)
    expected = bench._slots[FORCE][7]["counts"].tolist()
    assert list(counts)[:6] == expected
    assert any(expected)
    assert not take(physics.SLOTS + 7)  # the next time round
    bench._slots[FORCE][7]["counts"][1] += 1
    assert not take(7)  # torn
    bench._slots[FORCE][7]["counts"][1] -= 1
    assert take(7)
    board_side.nx_physics_do(0, ctypes.byref(Plan(1)))
    assert not take(7)  # made for the plan before
    bench.shared["magic"] += 1
    assert not board_side.nx_physics_begin(pointer, tool) & 0xFF
    bench.close()


def test_samples_do_not_depend_on_how_they_are_cut(tmp_path: Path) -> None:
    """The bench makes the very samples of a take, whatever the board has taken meanwhile."""
    bench = Physics(tmp_path / "physics", Options(seed=3))
    rng = np.random.default_rng(0)
    streams = bench.tool.identity.streams
    bench._streams = streams
    bench._take = bench.tool.make_take(1, 0, streams)
    bench._made = [0] * len(streams)
    got = np.zeros((2000, 6), np.int32)
    taken = 0
    while taken < 2000:
        bench.step()
        until = min(2000, taken + int(rng.integers(1, 90)), bench._made[FORCE])
        got[taken:until] = bench._slots[FORCE]["counts"][taken:until]
        taken = until
        bench.shared["consumed"][FORCE] = taken
        bench.shared["consumed"][1] = 2 * taken
    expected = bench.tool.make_take(1, 0, streams).cut(FORCE, 8_000_000)[2]
    np.testing.assert_array_equal(got[:, :2], expected)
    bench.close()
