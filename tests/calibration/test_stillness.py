"""Is it at rest? By what the sensors' own noise allows, on real batches of the simulated bench."""

from __future__ import annotations

import numpy as np
import pytest
from handled_tool import Person

from nexuslink.calibration.procedure_weights import CheckProcedure
from nexuslink.calibration.stillness import IN_A_HAND, ON_A_TABLE, SPAN_S, Stillness


def person() -> Person:
    """Whose procedure only watches."""
    return Person(lambda setting: CheckProcedure(0, 5.0, setting))


def rests(someone: Person) -> bool:
    """As the procedure sees it."""
    return someone.procedure.still.rest is not None


@pytest.mark.parametrize("seed", range(8))
def test_a_tool_that_lies_is_at_rest_after_the_span_and_not_before(seed: int) -> None:
    someone = Person(lambda setting: CheckProcedure(0, 5.0, setting), seed)
    someone.wait(SPAN_S - 0.2)
    assert not rests(someone) and someone.procedure.picture.progress_of_step == pytest.approx(0.8)
    someone.wait(0.4)
    assert rests(someone)
    assert someone.procedure.picture.progress_of_step == 1.0


def test_what_moves_is_not_at_rest() -> None:
    for move in ({"sway": 0.2}, {"tremor_n": 0.5}):
        someone = person()
        someone.loads = np.array([3.0, 0.0])
        someone.wait(4.0, **move)
        assert not rests(someone), move
        someone.wait(2.0)
        assert rests(someone), "or it would never be"


def test_a_load_that_creeps_up_slowly_is_not_at_rest() -> None:
    someone = person()
    someone.wait(2.0)
    for kg in np.linspace(1.0, 3.0, 200):  # half a kilogram a second
        someone.loads = np.array([kg, 0.0])
        someone.wait(0.02)
        assert kg < 1.2 or not rests(someone)


def test_samples_that_are_missing_are_no_rest() -> None:
    someone = person()
    still = someone.procedure.still
    t = np.arange(0, 3_000_000, 4000, dtype=np.int64)
    counts = np.tile([1000, 2000], (len(t), 1))
    t_imu = np.arange(0, 3_000_000, 2000, dtype=np.int64)
    raw = np.tile([0, 0, 0, 0, 0, 8000], (len(t_imu), 1))
    for kept, whole in ((slice(None), True), (slice(None, None, 2), False)):
        still.forget()
        still.update((t[kept], counts[kept]), None)
        still.update(None, (t_imu, raw))
        still._look()
        assert (still.rest is not None) == whole


def test_a_hand_may_do_more_than_a_table() -> None:
    calm = {}
    for name, allowed in (("table", ON_A_TABLE), ("hand", IN_A_HAND)):
        someone = person()
        someone.procedure.still = Stillness(
            someone.setting.calibration, someone.setting.imu, someone.setting.force_rate_hz, allowed
        )
        someone.wait(3.0, sway=0.03)
        calm[name] = rests(someone)
    assert calm == {"table": False, "hand": True}
