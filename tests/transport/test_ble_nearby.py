"""The list of tools nearby: still while it updates, honest about what it cannot know, and bounded."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from nexuslink.protocol.messages import NEXUS_SERVICE_UUID
from nexuslink.transport.ble_nearby import (
    BAD_SERIAL,
    FORGET_S,
    NAME_MAX,
    NO_NAME,
    NO_SERIAL,
    TIME_CONSTANT_S,
    TOOLS_MAX,
    TWICE,
    Found,
    Nearby,
)
from nexuslink.transport.url import parse_url


@dataclass
class Device:
    address: str
    details: Any = None


@dataclass
class Advertisement:
    """The fields of bleak's own, which cannot be made without it."""

    local_name: Any = "Nexus 01"
    service_data: Any = field(default_factory=dict)
    service_uuids: Any = (NEXUS_SERVICE_UUID,)
    rssi: Any = -60


def serial(text: bytes | str) -> dict[str, bytes]:
    return {NEXUS_SERVICE_UUID: text.encode() if isinstance(text, str) else text}


def one(nearby: Nearby, now_s: float = 0.0) -> Found:
    (found,) = nearby.tools(now_s)
    return found


def heard(nearby: Nearby, address: str, now_s: float, **fields: Any) -> None:
    nearby.heard(Device(address), Advertisement(**fields), now_s)


# -- what it shows ----------------------------------------------------------------------------------------------------


def test_a_tool_as_it_should_be() -> None:
    nearby = Nearby("?radio=bumble:air:x")
    heard(nearby, "AA:00", 1.0)
    assert one(nearby, 1.0).serial_number is None, "the scan response has not come yet"
    heard(nearby, "AA:00", 1.1, service_data=serial("NX-000101"), local_name=None)
    found = one(nearby, 1.6)
    assert (found.name, found.serial_number, found.address, found.doubt) == ("Nexus 01", "NX-000101", "AA:00", None)
    assert found.silent_s == pytest.approx(0.5)
    assert found.url == "ble://NX-000101?radio=bumble:air:x" and not found.simulated and found.bonded is None
    heard(nearby, "AA:00", 2.0)
    assert one(nearby, 2.0).serial_number == "NX-000101", "an advertisement without it takes nothing away"
    assert nearby.counts.odd == nearby.counts.foreign == 0


def test_simulated_tools_say_so_and_bluez_knows_bonds() -> None:
    nearby = Nearby()
    props = {"Paired": True}
    nearby.heard(Device("a", {"path": "/", "props": props}), Advertisement(service_data=serial("SIM-00001")), 0.0)
    assert one(nearby).simulated and one(nearby).bonded is True
    props["Bonded"] = False
    assert one(nearby).bonded is False
    for details in (None, (), {"props": None}, {"props": {"Paired": "yes"}}):
        nearby.heard(Device("a", details), Advertisement(), 0.0)
        assert one(nearby).bonded is None


def test_the_signal_is_smoothed_over_time_and_not_over_advertisements() -> None:
    """A step of 20 dB is followed by 63 % after one time constant, whether a tool advertises often or seldom."""
    for each_s in (0.01, 0.1, 1.0):
        nearby = Nearby()
        heard(nearby, "a", 0.0, rssi=-80)
        steps = round(TIME_CONSTANT_S / each_s)
        for k in range(1, steps + 1):
            heard(nearby, "a", k * each_s, rssi=-60)
        assert one(nearby, TIME_CONSTANT_S).rssi_dbm == pytest.approx(-80 + 20 * (1 - math.exp(-1)))


def test_smoothing_calms_a_still_tool() -> None:
    nearby, rng = Nearby(), random.Random(1)
    raw, shown = [], []
    for k in range(600):
        raw.append(round(rng.gauss(-60, 4)))
        heard(nearby, "a", k * 0.1, rssi=raw[-1])
        shown.append(one(nearby, k * 0.1).rssi_dbm)

    def spread(values: list[float]) -> float:
        mean = sum(values) / len(values)
        return math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))

    assert spread(shown[100:]) < spread(raw[100:]) / 4


@pytest.mark.parametrize("rssi", [None, 127, -127, 21, -300, math.nan, "loud"])
def test_a_signal_that_nobody_measured_changes_nothing(rssi: object) -> None:
    nearby = Nearby()
    heard(nearby, "a", 0.0, rssi=rssi)
    assert math.isnan(one(nearby).rssi_dbm)
    heard(nearby, "a", 0.1, rssi=-50)
    heard(nearby, "a", 9.0, rssi=rssi)
    assert one(nearby, 9.0).rssi_dbm == -50
    assert nearby.counts.odd == (0 if rssi in (None, 127, -127) else 2)


# -- order ------------------------------------------------------------------------------------------------------------


def test_the_order_stays_until_it_is_asked_for_anew() -> None:
    nearby, rng = Nearby(), random.Random(2)
    names = [f"T-{k}" for k in range(5)]
    for k, name in enumerate(names):
        heard(nearby, name, 0.0, service_data=serial(name), rssi=-60 - 3 * k)
    for step in range(200):
        name = rng.choice(names)
        heard(nearby, name, step * 0.01, rssi=rng.randint(-90, -40))
        assert [t.address for t in nearby.tools(step * 0.01)] == names
    nearby.sort()
    signals = [t.rssi_dbm for t in nearby.tools(2.0)]
    order = [t.address for t in nearby.tools(2.0)]
    assert signals == sorted(signals, reverse=True) and order != names
    heard(nearby, "late", 2.0, rssi=-30)
    assert [t.address for t in nearby.tools(2.0)] == [*order, "late"]


def test_without_a_signal_one_comes_last() -> None:
    nearby = Nearby()
    for address, rssi in (("?", None), ("weak", -90), ("strong", -40)):
        heard(nearby, address, 0.0, rssi=rssi)
    nearby.sort()
    assert [t.address for t in nearby.tools(0.0)] == ["strong", "weak", "?"]


def test_silence_is_forgotten_and_counted() -> None:
    nearby = Nearby()
    heard(nearby, "a", 0.0)
    heard(nearby, "b", 5.0)
    assert [t.address for t in nearby.tools(FORGET_S)] == ["a", "b"]
    assert [t.address for t in nearby.tools(FORGET_S + 0.1)] == ["b"]
    assert nearby.counts.forgotten == 1
    heard(nearby, "a", 11.0)
    assert [t.address for t in nearby.tools(11.0)] == ["b", "a"], "back as a new one, at the end"


# -- hostile ----------------------------------------------------------------------------------------------------------


def test_two_with_one_serial_number_are_both_shown_and_told_apart() -> None:
    nearby = Nearby()
    heard(nearby, "AA:01", 0.0, service_data=serial("NX-1"))
    assert one(nearby).doubt is None
    heard(nearby, "AA:02", 0.0, service_data=serial("NX-1"))
    first, second = nearby.tools(0.0)
    assert first.doubt == second.doubt == TWICE
    assert (first.url, second.url) == ("ble://AA:01", "ble://AA:02")
    heard(nearby, "AA:02", FORGET_S, service_data=serial("NX-1"))
    (left,) = nearby.tools(FORGET_S + 1.0)
    assert left.doubt is None and left.url == "ble://NX-1"


def test_our_uuid_without_a_serial_number_is_shown_as_that() -> None:
    nearby = Nearby()
    heard(nearby, "AA:01", 0.0, local_name=None)
    found = one(nearby)
    assert (found.name, found.serial_number, found.doubt, found.url) == (NO_NAME, None, NO_SERIAL, "ble://AA:01")


@pytest.mark.parametrize("data", [b"", b"\0\0", b"x" * 17, b"\xff\xfe", b"NX 1", b"NX\n1", b"NX-\x00-1", "text", 7])
def test_serial_numbers_that_cannot_be(data: object) -> None:
    nearby = Nearby()
    nearby.heard(Device("a"), Advertisement(service_data={NEXUS_SERVICE_UUID: data}), 0.0)
    found = one(nearby)
    assert found.serial_number is None and found.doubt == BAD_SERIAL
    assert nearby.counts.odd == 1


@pytest.mark.parametrize("data", [b"x" * 16, b"NX-1\0\0", b"a?b&c=%/#d"])
def test_serial_numbers_that_are_odd_but_can_be(data: bytes) -> None:
    nearby = Nearby("?radio=bumble:air:x")
    nearby.heard(Device("a"), Advertisement(service_data=serial(data)), 0.0)
    found = one(nearby)
    assert found.serial_number == data.rstrip(b"\0").decode() and found.doubt is None
    url = parse_url(found.url)
    assert (url.target, url.params) == (found.serial_number, {"radio": "bumble:air:x"})


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x" * 500, "x" * NAME_MAX),
        ("a\nb\x1b[31mc", "a\ufffdb\ufffd[31mc"),
        ("\u202eevil", "\ufffdevil"),
        ("  a   b ", "a b"),
        ("", NO_NAME),
        ("\0\0", "\ufffd\ufffd"),
        (b"bytes", "b'bytes'"),
    ],
)
def test_names_that_would_spoil_the_list(name: object, shown: str) -> None:
    nearby = Nearby()
    heard(nearby, "a", 0.0, local_name=name)
    assert one(nearby).name == shown
    assert nearby.counts.odd == (name != "")


def test_others_are_not_listed() -> None:
    nearby = Nearby()
    heard(nearby, "a", 0.0, service_uuids=["0000180f-0000-1000-8000-00805f9b34fb"])
    heard(nearby, "b", 0.0, service_uuids=None, service_data=None)
    assert nearby.tools(0.0) == [] and nearby.counts.foreign == 2
    heard(nearby, "c", 0.0, service_uuids=[NEXUS_SERVICE_UUID.upper()])
    heard(nearby, "d", 0.0, service_uuids=(), service_data={NEXUS_SERVICE_UUID.upper(): b"NX-1"})
    assert [t.address for t in nearby.tools(0.0)] == ["c", "d"]


def test_a_crowd_of_made_up_addresses_does_not_hide_a_real_tool() -> None:
    nearby = Nearby()
    for k in range(10 * TOOLS_MAX):
        now_s = k * 0.01
        if k % 10 == 0:
            heard(nearby, "real", now_s, service_data=serial("NX-1"))
        heard(nearby, f"made up {k}", now_s, service_data=serial(f"F-{k}"))
        assert len(nearby.tools(now_s)) <= TOOLS_MAX
        assert nearby.tools(now_s)[0].serial_number == "NX-1"
    assert nearby.counts.pushed_out == 9 * TOOLS_MAX + 1


def test_no_advertisement_is_too_strange() -> None:
    rng = random.Random(3)
    nearby = Nearby()
    names = [None, "", "ok", "\ud800", b"\xff", 5, "x" * 9999]
    datas = [None, {}, {NEXUS_SERVICE_UUID: b"\xff" * 999}, {NEXUS_SERVICE_UUID: None}, {None: b"x"}, {5: 5}]
    uuids = [None, (), [NEXUS_SERVICE_UUID], [None], [5, NEXUS_SERVICE_UUID]]
    signals = [None, -60, 10**9, "x", math.inf, True]
    for name, data, uuid, rssi in itertools.product(names, datas, uuids, signals):
        nearby.heard(Device(f"{rng.randrange(99)}"), Advertisement(name, data, uuid, rssi), rng.random() * 100)
        for found in nearby.tools(rng.random() * 100):
            assert found.name.isprintable() and len(found.name) <= NAME_MAX and found.url.startswith("ble://")
    assert nearby.counts.heard == len(names) * len(datas) * len(uuids) * len(signals)
