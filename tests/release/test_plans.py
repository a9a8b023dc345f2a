"""Plans: what ships, what a user may change, and every way a file can be wrong."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslink.release import limits
from nexuslink.release.errors import PlanError
from nexuslink.release.plans import SITES, Plan, load_plan, load_plan_file, parse_plan, plan_text

from .samples import PSOAS

TEXT = plan_text(PSOAS)
NUMBERS = [f.name for f in fields(Plan) if f.type in ("float", "int") and f.name != "tip"]


def refused(text: str, where: str = "my.toml") -> str:
    with pytest.raises(PlanError) as caught:
        parse_plan(text, where)
    message = str(caught.value)
    assert message.isprintable()  # one line
    assert message.startswith(f"{where}: ")
    assert "; " in message  # what to do
    return message


def with_value(key: str, value: str) -> str:
    lines = [
        f'{key} = {{ value = {value}, source = "me" }}' if x.startswith(f"{key} =") else x for x in TEXT.splitlines()
    ]
    return "\n".join(lines)


def with_line(key: str, line: str) -> str:
    return "\n".join(line if x.startswith(f"{key} =") else x for x in TEXT.splitlines())


# What ships


@pytest.mark.parametrize("site", SITES)
def test_every_site_ships_a_plan_with_a_source_for_every_number(site):
    plan = load_plan(site)
    assert plan.site == site
    assert plan.title == site.replace("-", ", ").capitalize()
    assert site.endswith(plan.side)
    assert set(plan.sources) == set(NUMBERS)
    assert all(plan.sources.values())
    assert plan.stop_n <= limits.BUILT_IN_STOP_N[plan.tip]


def test_the_data_folder_holds_the_sites_and_nothing_else():
    files = {entry.name for entry in (resources.files("nexuslink.release") / "data").iterdir()}
    assert {name for name in files if name.endswith(".toml")} == {f"{site}.toml" for site in SITES}


def test_the_shipped_figures_are_those_agreed():
    psoas, iliacus = load_plan("psoas-right"), load_plan("iliacus-left")
    assert (psoas.band_low_n, psoas.band_high_n, psoas.warn_n, psoas.stop_n) == (10, 35, 80, 110)
    assert (iliacus.band_low_n, iliacus.band_high_n, iliacus.warn_n, iliacus.stop_n) == (5, 20, 50, 80)
    assert (psoas.tip, psoas.tip_name, psoas.ramp_n_per_s) == (0, "broad tip", 10)
    assert (iliacus.tip, iliacus.tip_name, iliacus.ramp_n_per_s) == (1, "narrow tip", 5)
    assert (psoas.angle_low_deg, psoas.angle_high_deg, psoas.mark_toward, psoas.away) == (0, 20, "midline", "out")
    assert (iliacus.angle_low_deg, iliacus.angle_high_deg, iliacus.mark_toward, iliacus.away) == (
        25,
        55,
        "ilium",
        "midline",
    )
    assert psoas.hold_s == iliacus.hold_s == 60


@pytest.mark.parametrize("site", SITES)
def test_text_and_back_is_the_same_plan(site):
    plan = load_plan(site)
    assert parse_plan(plan_text(plan), "again") == plan
    changed = replace(plan, hold_s=12.345678901234567, title='A "quoted" \\ title é')
    assert parse_plan(plan_text(changed), "again") == changed != plan


def test_an_unknown_site_is_refused_with_a_suggestion():
    with pytest.raises(PlanError, match="use psoas-left"):
        load_plan("psoas_left")
    with pytest.raises(PlanError, match="one of psoas-left, psoas-right"):
        load_plan("../../etc/passwd")


# What may be changed


def test_limits_may_be_lowered(tmp_path):
    path = tmp_path / "gentle.toml"
    path.write_text("# mine\r\n" + with_value("stop_n", "90"), encoding="utf-8-sig")
    plan = load_plan_file(path)
    assert (plan.stop_n, plan.sources["stop_n"]) == (90.0, "me")
    assert isinstance(plan.stop_n, float)


# What is refused


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("stop_n", "110.1", "stop_n is 110.1; use 0.5 to 110 N (the built-in stop)"),
        ("band_low_n", "-10.0", "band_low_n is -10; use 0.5 to 110 N (the built-in stop)"),
        ("hold_s", "0", "hold_s is 0; use 1 to 300 s"),
        ("hold_s", "-0.0", "hold_s is -0; use 1 to 300 s"),
        ("hold_s", "1e8", "hold_s is 1e+08; use 1 to 300 s"),
        ("hold_s", "nan", "hold_s is nan; use a finite number"),
        ("warn_n", "-inf", "warn_n is -inf; use a finite number"),
        ("band_low_n", "35.0", "band_high_n is 35 but band_low_n is 35; put band_high_n at least 0.5 N above"),
        ("band_low_n", "50.0", "band_high_n is 35 but band_low_n is 50; put band_high_n at least 0.5 N above"),
        ("warn_n", "110.0", "stop_n is 110 but warn_n is 110; put stop_n at least 0.5 N above warn_n"),
        ("contact_n", "15.0", "band_low_n is 10 but contact_n is 15; put band_low_n at least 0.5 N above"),
        ("angle_high_deg", "120.0", "angle_high_deg is 120; use 0 to 90 deg"),
        ("angle_low_deg", "18.0", "angle_high_deg is 20 but angle_low_deg is 18; put angle_high_deg at least 5 deg"),
        ("direction_deg", "270.0", "direction_deg is 270; use -180 to 180 deg"),
        ("direction_half_width_deg", "0.0", "direction_half_width_deg is 0; use 10 to 180 deg"),
        ("level", "2.5", "level is absurd; use a whole number"),
        ("level", "9", "level is 9; use 1 to 3"),
        ("level", "true", "level has a value of the wrong type (bool)"),
        ("ramp_n_per_s", '"fast"', "ramp_n_per_s has a value of the wrong type (str)"),
        ("ramp_n_per_s", "[1.0]", "ramp_n_per_s has a value of the wrong type (list)"),
        ("ramp_n_per_s", "1979-05-27", "ramp_n_per_s has a value of the wrong type (date)"),
        ("ramp_n_per_s", "1" + "0" * 400, "ramp_n_per_s is absurd; use a real figure"),
    ],
)
def test_absurd_values_are_refused_by_name(key, value, expected):
    assert refused(with_value(key, value)).startswith(f"my.toml: {expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (with_line("hold_s", ""), "hold_s is missing; add it"),
        (with_line("title", ""), "title is missing; add it"),
        (with_line("hold_s", "hold_s = 60.0"), "hold_s is not a number with a source; write hold_s = {"),
        (with_line("hold_s", "hold_s = { value = 60.0 }"), "hold_s has no 'source'; write"),
        (with_line("hold_s", 'hold_s = { source = "me" }'), "hold_s has no 'value'; write"),
        (with_line("hold_s", 'hold_s = { value = 60.0, source = "" }'), "hold_s.source is empty"),
        (with_line("hold_s", "hold_s = { value = 60.0, source = 3 }"), "hold_s.source has the wrong type (int)"),
        (with_line("hold_s", 'hold_s = { value = 60.0, source = "me", unit = "s" }'), "hold_s has an unknown 'unit'"),
        (with_line("title", "title = 3"), "title has the wrong type (int); write title ="),
        (with_line("title", 'title = "a\\nb"'), "title is empty, too long or not plain text"),
        (with_line("title", 'title = "' + "x" * 500 + '"'), "title is empty, too long or not plain text"),
        (with_line("site", 'site = "neck"'), "site is 'neck'; use one of psoas-left"),
        (with_line("mark_toward", 'mark_toward = "head"'), "mark_toward is 'head'; use one of midline, ilium"),
        ("stop_m = 3\n" + TEXT, "unknown key 'stop_m'; use stop_n"),
        ("zzzzzz = 3\n" + TEXT, "unknown key 'zzzzzz'; remove it"),
        ('"a\\nb\\u0000" = 3\n' + TEXT, "unknown key"),
        ("", "site is missing"),
        ("hold_s = ", "not TOML"),
        ("\x00", "not TOML"),
        ("a = " + "[" * 5000, "not TOML"),
        ("a = " + "1" * 5000, "not TOML"),
        (TEXT + TEXT, "not TOML"),
    ],
)
def test_malformed_plans_are_refused_in_one_line(text, expected):
    assert expected in refused(text)


@pytest.mark.parametrize("key", NUMBERS)
def test_no_number_can_be_left_out_or_made_infinite(key):
    assert f"{key} is missing" in refused(with_line(key, ""))
    for value in ("nan", "inf", "-inf", "1e300"):
        assert key in refused(with_value(key, value))


def test_a_plan_altered_by_hand_meets_the_same_limits():
    for change in ({"stop_n": 200.0}, {"hold_s": 0.0}, {"band_low_n": float("nan")}, {"tip": 2}):
        with pytest.raises(PlanError):
            replace(PSOAS, **change)


def test_an_iliacus_plan_has_its_own_built_in_stop():
    text = plan_text(load_plan("iliacus-left")).replace("80.0", "80.5")
    assert "stop_n is 80.5; use 0.5 to 80 N (the built-in stop)" in refused(text)


def test_files_that_are_none(tmp_path):
    cases = {
        "missing.toml": None,
        "folder": "folder",
        "pipe": "pipe",
        "latin.toml": b"title = '\xe9'",
        "big": b"#" * 70_000,
    }
    expected = {
        "missing.toml": "no such plan file", "folder": "no such plan file", "pipe": "no such plan file",
        "latin.toml": "not UTF-8 (byte 9)", "big": "longer than 64 KiB",
    }  # fmt: skip
    for name, content in cases.items():
        path = tmp_path / name
        if content == "folder":
            path.mkdir()
        elif content == "pipe":
            if not hasattr(os, "mkfifo"):
                continue
            os.mkfifo(path)
        elif content is not None:
            path.write_bytes(content)
        with pytest.raises(PlanError) as caught:
            load_plan_file(path)
        assert str(caught.value).startswith(f"{path}: {expected[name]}")
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("path", ["", "\x00", "a\nb.toml", "x" * 5000])
def test_paths_that_are_none(path):
    with pytest.raises(PlanError) as caught:
        load_plan_file(path)
    assert str(caught.value).isprintable()


@settings(deadline=None)
@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_any_text_is_a_plan_or_a_plan_error(text):
    with pytest.raises(PlanError):
        parse_plan(text, "x")


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_damaged_plan_is_a_plan_or_one_line(data):
    at = data.draw(st.integers(0, len(TEXT) - 1))
    length = data.draw(st.integers(0, 8))
    damaged = TEXT[:at] + data.draw(st.text(max_size=8)) + TEXT[at + length :]
    try:
        plan = parse_plan(damaged, "x")
    except PlanError as error:
        assert str(error).isprintable()
    else:
        assert parse_plan(plan_text(plan), "x") == plan
