"""How values come to rest."""

import itertools
import math

import pytest

from nexuslink.app.settle import SETTLE_S, Settle


def stepped(dt_s: float, until_s: float) -> list[float]:
    value = Settle()
    value.toward(0.0, 0.0)
    return [value.toward(1.0, dt_s) for _ in range(round(until_s / dt_s))]


def test_a_step_is_there_within_its_time_and_never_beyond():
    path = stepped(0.005, 0.3)
    assert path[round(SETTLE_S / 0.005) - 1] == pytest.approx(1.0, abs=0.021)
    assert path[round(0.5 * SETTLE_S / 0.005)] < 0.9  # it did take time
    assert all(later >= sooner for sooner, later in itertools.pairwise(path))
    assert max(path) <= 1.0


def test_the_way_does_not_depend_on_the_steps():
    assert stepped(0.01, 0.1)[-1] == pytest.approx(stepped(0.002, 0.1)[-1], abs=1e-9)


@pytest.mark.parametrize("dt_s", [-1.0, 2.0, math.inf])
def test_a_jump_in_time_is_a_jump_in_value(dt_s):
    value = Settle()
    value.toward(0.0, 0.0)
    assert value.toward(5.0, dt_s) == 5.0


def test_reduced_motion_and_unknown_values():
    still = Settle(still=True)
    still.toward(0.0, 0.0)
    assert still.toward(9.0, 0.01) == 9.0
    moving = Settle()
    moving.toward(1.0, 0.0)
    assert math.isnan(moving.toward(math.nan, 0.01))
    assert moving.toward(4.0, 0.01) == 4.0  # from nowhere: at once
