"""What is said of the connection, whoever makes it."""

import math

import pytest

from nexuslink.app.connection import only_one
from nexuslink.app.link_words import LOST, POOR_DBM, LinkWatch, away, is_away, lost
from nexuslink.app.nearby import Near, NearTool
from nexuslink.device.course import State
from nexuslink.device.progress import LinkFigures, Progress
from nexuslink.device.remembered import RememberedTool, RememberedTools
from nexuslink.device.verdict import Verdict


def progress(
    state: State = State.STREAMING,
    url: str = "ble://NX-000001",
    verdict: Verdict | None = None,
    link: LinkFigures | None = None,
    connections: int = 1,
) -> Progress:
    return Progress(state, verdict, "", 0, 0.0, url, "NX-000001", False, 0, connections, link)


def figures(received: int, lost: int, rssi_dbm: float | None = -60.0, interval_ms: float = 15.0) -> LinkFigures:
    return LinkFigures(0.0, received, lost, 0, 0.0, 12.3, interval_ms, 244, 84, rssi_dbm)


def heard(*counts: tuple[int, int], **more):
    watch = LinkWatch()
    for count in counts:
        said = watch.hear(progress(link=figures(*count, **more)))
    return said


def test_loss_is_that_of_the_last_seconds():
    before = [(100 * n, 50) for n in range(1, 7)]
    assert not heard(*before).poor
    assert heard(*before, (690, 60)).poor == "weak link, 2.0 % lost"  # 10 of the 500 of five seconds
    assert not heard((100, 50), *((100 * n, 51) for n in range(2, 9))).poor  # long ago


def test_counts_that_begin_anew_are_no_loss():
    assert math.isnan(heard((500, 40), (10, 0)).loss)
    watch = LinkWatch()
    watch.hear(progress(link=figures(500, 0)))
    assert math.isnan(watch.hear(progress(link=figures(900, 300), connections=2)).loss)
    assert watch.hear(progress(State.LOST)) is None


def test_the_way_and_how_well_it_is_heard():
    said = heard((100, 0))
    assert said.way == "Bluetooth, −60 dBm"
    assert said.more == ("round trip 12.3 ms", "interval 15 ms", "0 lost", "0 overrun")
    assert not said.poor
    assert heard((100, 0), rssi_dbm=POOR_DBM - 1).poor == "weak link, −89 dBm"
    wire = LinkWatch().hear(progress(url="serial:/dev/ttyACM0", link=figures(1, 0, None, 0.0)))
    assert wire.way == "USB"
    assert not any("interval" in text for text in wire.more)


def test_away_is_only_who_was_there():
    assert not is_away(progress(State.SCANNING, connections=0))
    assert not is_away(progress(State.OFF))
    assert not is_away(progress(State.READY))
    assert is_away(progress(State.LOST))
    assert is_away(progress(State.SCANNING))


@pytest.mark.parametrize("verdict", [None, *Verdict])
@pytest.mark.parametrize("url", ["serial:COM3", "ble://NX-000001", "tcp:10.0.0.1:4810", ""])
def test_every_cause_has_one_short_line(verdict, url):
    sentence, detail = lost(progress(State.LOST, url, verdict))
    assert sentence == LOST
    assert len(detail) <= len("Another program has taken it · roll off if unsure")
    assert away(progress(State.LOST, url, verdict)).startswith("The tool is away. ")


NEAR = NearTool("Mine", "tool:NX-000001", "NX-000001", "NX-000001", remembered=True)
OTHER = NearTool("Other", "tool:NX-000002", "NX-000002", "NX-000002", remembered=True)
SIMULATED = NearTool("Simulated", "sim:", "sim", "SIM-00001", simulated=True, remembered=True)


def unasked(*tools: NearTool, settled: bool = True, left: bool = False) -> NearTool | None:
    remembered = RememberedTools(lambda: None)
    for serial in ("NX-000001", "NX-000002", "SIM-00001"):
        remembered.keep(RememberedTool(serial))
    if left:
        remembered.leave("NX-000001")
    return only_one(Near(tools, settled=settled), remembered)


def test_only_the_one_known_tool_is_connected_to_unasked():
    from dataclasses import replace

    stranger = replace(OTHER, remembered=False)
    assert unasked(NEAR, SIMULATED) is NEAR
    assert unasked(NEAR, stranger) is NEAR
    assert unasked(NEAR, replace(OTHER, present=False)) is NEAR
    assert unasked(NEAR, OTHER) is None
    assert unasked(SIMULATED) is None
    assert unasked(stranger) is None
    assert unasked(NEAR, settled=False) is None
    assert unasked(NEAR, left=True) is None
    assert unasked(replace(NEAR, trouble="says it is yours, but is not paired")) is None
    assert unasked(replace(NEAR, present=False)) is None


def test_who_was_left_comes_back_by_being_connected(tmp_path):
    remembered = RememberedTools(lambda: tmp_path)
    remembered.keep(RememberedTool("NX-000001", urls=("serial:COM3",)))
    remembered.leave("NX-000001")
    remembered.leave("NX-000009")
    assert RememberedTools(lambda: tmp_path).find("NX-000001").left
    remembered.rename("NX-000001", "Mine")
    assert remembered.find("NX-000001").left
    assert remembered.find("NX-000001").urls == ("serial:COM3",)
    remembered.keep(RememberedTool("NX-000001"))
    assert not remembered.find("NX-000001").left
    assert len(remembered.all()) == 1
