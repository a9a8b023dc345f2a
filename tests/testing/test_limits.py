"""Limits files as strangers write them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslink.testing.limits import Limit, LimitsError, load_limits

GOOD = '[loss]\nmax = 0.1\nunit = "1"\nwhy = "because"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "limits.toml"


def test_a_file_says_what_passes(file: Path) -> None:
    file.write_text(GOOD + '[rate]\nmin = 9\nmax = 11\nunit = "Hz"\nwhy = "so"\n')
    limits = load_limits(file)
    assert limits["loss"] == Limit("loss", -math.inf, 0.1, "1", "because")
    assert [limits["rate"].allows(v) for v in (8.9, 9, 11, 11.1, math.nan)] == [False, True, True, False, False]
    assert (str(limits["loss"]), str(limits["rate"])) == ("<= 0.1", "9 to 11")


def test_a_rigs_file_changes_what_it_names_and_keeps_the_rest(file: Path) -> None:
    base = {n: Limit(n, -math.inf, 1.0, "1", "so") for n in ("loss", "rate")}
    file.write_text(GOOD)
    limits = load_limits(file, base)
    assert (limits["loss"].high, limits["rate"].high) == (0.1, 1.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[los]\nmax = 1\nunit = '1'\nwhy = 'x'", "did you mean 'loss'"),
        ("[loss]\nmax = 1\nunit = 'ms'\nwhy = 'x'", "measured in '1'"),
        ("[loss]\nmax = nan\nunit = '1'\nwhy = 'x'", "not a finite number"),
        ("[loss]\nmax = inf\nunit = '1'\nwhy = 'x'", "not a finite number"),
        (f"[loss]\nmax = {'9' * 400}\nunit = '1'\nwhy = 'x'", "not a finite number"),
        ("[loss]\nmax = true\nunit = '1'\nwhy = 'x'", "not a finite number"),
        ("[loss]\nmax = '1'\nunit = '1'\nwhy = 'x'", "not a finite number"),
        ("[loss]\nmin = 2\nmax = 1\nunit = '1'\nwhy = 'x'", "min is above max"),
        ("[loss]\nunit = '1'\nwhy = 'x'", "neither min nor max"),
        ("[loss]\nmax = 1\nwhy = 'x'", "no unit"),
        ("[loss]\nmax = 1\nunit = '1'", "no why"),
        ("[loss]\nmaximum = 1\nunit = '1'\nwhy = 'x'", "'maximum' is not known"),
        ("loss = 1", "not a table"),
        ("[[loss]]\nmax = 1", "not a table"),
        ("[loss\nmax", "not TOML"),
        ("a = " + "[" * 100_000, "not TOML"),
        ('["lo\\nss"]\nmax = 1\nunit = "1"\nwhy = "x"', "no measurement"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_line(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(LimitsError) as caught:
        load_limits(file, {"loss": Limit("loss", -math.inf, 1.0, "1", "so")})
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["none.toml", ".", "bad\0name"])
def test_what_is_no_file_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(LimitsError, match="cannot be read"):
        load_limits(tmp_path / name)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "random.toml"
    path.write_bytes(data)
    try:
        load_limits(path)
    except LimitsError as error:
        assert "\n" not in str(error)
