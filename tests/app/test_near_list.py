"""The list of tools to choose from: complete, marked, merged by serial number, and still enough to point at."""

from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from nexuslink.app.near_list import AWAY_S, BARS_DBM, GONE_S, NAMELESS_S, NOT_PAIRED, SLACK_DB, NearList, Seen, used
from nexuslink.device.finders import SIMULATED_URL, FoundTool
from nexuslink.device.remembered import RememberedTool
from nexuslink.transport.ble_nearby import TWICE

SIMULATED = FoundTool("Simulated tool", SIMULATED_URL, True, "")
MINE = RememberedTool("NX-000123", name="Mine", urls=("ble://NX-000123",), identity="ble:AA")
OLD = RememberedTool("NX-000099", model="Core Nexus", urls=("serial:/dev/x", "ble://NX-000099"), bonded=True)


def radio(serial: str | None, rssi: float | None = -60.0, address: str = "", bonded: bool | None = None) -> FoundTool:
    address = address or f"addr-{serial}"
    url = f"ble://{serial or address}"
    return FoundTool(f"Nexus {(serial or '?')[-2:]}", url, False, "", serial, f"ble:{address}", rssi, bonded)


def usb(serial: str | None, port: str = "/dev/ttyACM0", identity: str = "") -> FoundTool:
    return FoundTool(
        "Core Nexus", f"serial:{port}", False, "", serial, identity or (f"usb:1:2:{serial}" if serial else "")
    )


def hear(near: NearList, now_s: float, *tools: FoundTool, **how) -> None:
    near.see("Bluetooth", [Seen(tool, **how) for tool in tools], now_s, radio=True)


def plug(near: NearList, now_s: float, *tools: FoundTool) -> None:
    near.see("the serial ports", [Seen(tool) for tool in tools], now_s)


def titles(near: NearList, now_s: float) -> list[str]:
    return [tool.title for tool in near.tools(now_s)]


# -- who is on it, and where -------------------------------------------------------------------------------------------


def test_remembered_first_then_as_they_came_then_the_simulated_one():
    near = NearList([MINE, OLD])
    near.see("the simulated tool", [Seen(SIMULATED)], 0.0)
    hear(near, 0.1, radio("NX-000307", -90))
    hear(near, 0.2, radio("NX-000306", -40), radio("NX-000307", -90), radio("NX-000099"))
    assert titles(near, 0.3) == ["Mine", "Core Nexus", "Nexus 07", "Nexus 06", "Simulated tool"]
    assert [tool.present for tool in near.tools(0.3)] == [False, True, True, True, True]
    assert [tool.remembered for tool in near.tools(0.3)] == [True, True, False, False, False]


def test_who_is_remembered_is_there_before_anybody_was_heard():
    mine, old = NearList([MINE, OLD]).tools(0.0)
    assert (mine.present, mine.bars, mine.url, mine.carriers) == (False, 0, "tool:NX-000123", ("Bluetooth",))
    assert (old.carriers, old.bonded, old.title) == (("USB", "Bluetooth"), True, "Core Nexus")


def test_the_simulated_tool_is_no_memory():
    before = RememberedTool("SIM-00001", urls=(SIMULATED_URL,), simulated=True)
    on_air = RememberedTool("SIM-00002", urls=("ble://SIM-00002",), simulated=True)
    (tool,) = NearList([before, on_air]).tools(0.0)
    assert tool.serial_number == "SIM-00002"
    assert tool.simulated


def test_one_tool_over_two_carriers_is_one_line():
    near = NearList()
    plug(near, 0.0, usb("NX-000307"))
    (tool,) = near.tools(0.0)
    assert tool.url == "serial:/dev/ttyACM0"  # what USB calls it may be anything
    hear(near, 0.1, radio("NX-000307"))
    (tool,) = near.tools(0.1)
    assert (tool.carriers, tool.url, tool.title) == (("USB", "Bluetooth"), "tool:NX-000307", "Core Nexus")
    plug(near, 0.2)
    (tool,) = near.tools(0.2)
    assert (tool.carriers, tool.present) == (("Bluetooth",), True)


def test_a_remembered_tool_is_known_by_its_hardware():
    near = NearList([MINE])
    hear(near, 5.0, radio(None, address="AA"), doubt="says nothing")
    (tool,) = near.tools(5.0 + NAMELESS_S)
    assert (tool.key, tool.present, tool.url) == ("NX-000123", True, "tool:NX-000123")


def test_two_ports_without_a_serial_number_are_two_tools():
    near = NearList()
    plug(near, 0.0, usb(None), usb(None, "/dev/ttyACM1"))
    assert [tool.url for tool in near.tools(0.0)] == ["serial:/dev/ttyACM0", "serial:/dev/ttyACM1"]


def test_a_name_that_comes_late_moves_nobody():
    near = NearList()
    hear(near, 0.0, radio(None, address="A"), doubt="no serial number")
    assert titles(near, NAMELESS_S / 2) == []  # its scan response is on the way
    hear(near, NAMELESS_S, radio(None, address="A"), radio("NX-000307"))
    (nameless, _) = near.tools(NAMELESS_S)
    assert nameless.url == "ble://A"
    hear(near, 2.0, radio("NX-000306", address="A"), radio("NX-000307"))
    assert [tool.serial_number for tool in near.tools(2.0)] == ["NX-000306", "NX-000307"]


# -- coming and going --------------------------------------------------------------------------------------------------


def test_who_vanishes_stays_for_a_while_marked():
    near = NearList([MINE])
    hear(near, 0.0, radio("NX-000123"), radio("NX-000307"))
    both = [tool.key for tool in near.tools(0.0)]
    hear(near, AWAY_S - 0.1)  # once not heard says nothing
    assert all(tool.present for tool in near.tools(AWAY_S - 0.1))
    assert [tool.key for tool in near.tools(AWAY_S)] == both
    assert not any(tool.present or tool.bars or tool.rssi_dbm for tool in near.tools(AWAY_S))
    hear(near, GONE_S + 0.1)
    assert [tool.key for tool in near.tools(GONE_S + 0.1)] == ["NX-000123"]
    hear(near, GONE_S + 1, radio("NX-000123"))
    assert near.tools(GONE_S + 1)[0].present


def test_a_port_that_is_not_listed_is_away_at_once():
    near = NearList()
    plug(near, 0.0, usb("NX-000307"))
    plug(near, 1.0)
    (tool,) = near.tools(1.0)
    assert not tool.present
    plug(near, 2.0, usb("NX-000307"))
    (tool,) = near.tools(2.0)
    assert tool.present


def test_a_radio_that_goes_silent_takes_its_tools_along_and_no_others():
    near = NearList()
    hear(near, 0.0, radio("NX-000307"))
    plug(near, 0.0, usb("NX-000306"))
    near.silence("Bluetooth", 0.5)
    assert [tool.present for tool in near.tools(0.5)] == [False, True]


def test_whatever_comes_and_goes_nobody_changes_places():
    rng = Random(4)
    serials = [f"NX-{number:06d}" for number in range(12)]
    near = NearList([RememberedTool(serial, urls=(f"ble://{serial}",)) for serial in serials[:4]])
    before: list[str] = []
    most = 0
    for step in range(400):
        now = 0.7 * step
        hear(near, now, *(radio(serial, rng.uniform(-99, -30)) for serial in rng.sample(serials, rng.randrange(7))))
        plug(near, now, *(usb(serial, f"/dev/{serial}") for serial in rng.sample(serials, rng.randrange(3))))
        keys = [tool.serial_number for tool in near.tools(now)]
        assert len(set(keys)) == len(keys)
        assert [key for key in keys if key in before] == [key for key in before if key in keys]
        assert keys[:4] == serials[:4]
        most = max(most, len(keys))
        before = keys
    assert most > 8


def test_renamed_and_forgotten():
    near = NearList([MINE])
    hear(near, 0.0, radio("NX-000123"))
    near.remember([RememberedTool("NX-000123", name="Studio", urls=MINE.urls)])
    assert titles(near, 0.0) == ["Studio"]
    near.remember([])
    (tool,) = near.tools(0.0)
    assert (tool.title, tool.remembered) == ("Nexus 23", False)


# -- what is said of it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rssi", "bars"), [(-30, 4), (-60, 4), (-61, 3), (-75, 2), (-85, 1), (-99, 1), (None, 0)])
def test_bars(rssi, bars):
    near = NearList()
    hear(near, 0.0, radio("NX-000307", rssi))
    (tool,) = near.tools(0.0)
    assert (tool.bars, tool.rssi_dbm) == (bars, rssi)


def test_bars_do_not_flicker():
    near, step = NearList(), BARS_DBM[-1]
    shown = []
    for at in range(40):
        hear(near, 0.1 * at, radio("NX-000307", step + (0.5 if at % 2 else -0.5 * SLACK_DB)))
        shown.append(near.tools(0.1 * at)[0].bars)
    assert len(set(shown[1:])) == 1
    hear(near, 5.0, radio("NX-000307", step - SLACK_DB - 0.1))  # negative control: a real change is shown
    assert near.tools(5.0)[0].bars == shown[-1] - 1


def test_two_with_one_serial_number_are_two_lines_with_a_doubt():
    near = NearList()
    two = (radio("NX-000307", address="A"), radio("NX-000307", address="B"))
    hear(near, 0.0, *two, doubt=TWICE, twice=True)
    tools = near.tools(0.0)
    assert [tool.trouble for tool in tools] == [TWICE, TWICE]
    assert len({tool.key for tool in tools}) == 2
    assert not any(tool.url.startswith("tool:") for tool in tools)


def test_of_two_with_one_serial_number_ours_is_the_one_with_the_bond():
    near = NearList([OLD])
    two = (radio("NX-000099", address="A", bonded=True), radio("NX-000099", address="B", bonded=False))
    hear(near, 0.0, *two, doubt=TWICE, twice=True)
    ours, other = near.tools(0.0)
    assert (ours.remembered, ours.trouble) == (True, "")
    assert (other.remembered, other.trouble) == (False, TWICE)


def test_a_tool_without_the_bond_that_is_known_is_marked():
    near = NearList([OLD])
    hear(near, 0.0, radio("NX-000099", bonded=False))
    assert near.tools(0.0)[0].trouble == NOT_PAIRED
    for said in (True, None):  # with it, and where the system does not say
        hear(near, 0.1, radio("NX-000099", bonded=said))
        assert (near.tools(0.1)[0].trouble, near.tools(0.1)[0].bonded) == ("", True)


def test_simulated_is_said_whatever_it_comes_by():
    near = NearList()
    hear(near, 0.0, radio("SIM-00003"), radio("NX-000307"))
    plug(near, 0.0, usb("SIM-00004"))
    assert [(tool.serial_number, tool.simulated) for tool in near.tools(0.0)] == [
        ("SIM-00003", True), ("NX-000307", False), ("SIM-00004", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0, "last used today"),
        (1, "last used yesterday"),
        (5, "last used 5 days ago"),
        (400, "last used on 20"),
        (-2, ""),
    ],
)
def test_when_it_was_used(days, words):
    seen = datetime(2026, 11, 20, 12, tzinfo=UTC)
    today = seen.astimezone().date() + timedelta(days=days)
    assert used(seen.isoformat(), today).startswith(words) and bool(words) is bool(used(seen.isoformat(), today))


@pytest.mark.parametrize("text", ["", "yesterday", "9999-99-99", "0001-01-01T00:00:00+14:00"])
def test_a_date_that_is_none_is_not_said(text):
    assert used(text, date(2026, 11, 20)) in ("", "last used on 0001-01-01")
