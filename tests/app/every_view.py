"""Every view in every state that matters, made as the program would, on made-up tools, samples and calibrations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import calibration_samples as samples
from drive import Driver, Sure, level

from nexuslink.app.asked import SIMULATED_CODE
from nexuslink.app.near_list import Near, NearTool
from nexuslink.app.views.calibrate import CalibrateView
from nexuslink.app.views.choose import ChooseView
from nexuslink.app.views.connect import ConnectView
from nexuslink.app.views.hold import HoldView
from nexuslink.app.views.prepare import PrepareView
from nexuslink.app.views.result import ResultView
from nexuslink.app.views.verdict import VerdictView
from nexuslink.device.finders import SIMULATED_URL
from nexuslink.device.next_steps import next_step
from nexuslink.device.verdict import Verdict
from nexuslink.estimation.doubt import Doubt
from nexuslink.release.hold import StopReason
from nexuslink.release.plans import SITES, load_plan

SIMULATED = NearTool("Simulated tool", SIMULATED_URL, SIMULATED_URL, None, True)
MINE = NearTool(
    "My Nexus", "tool:NX-000123", "NX-000123", "NX-000123", False, ("Bluetooth",), -58, 4, True, True, "last used today"
)
WIRED = NearTool("Core Nexus", "serial:/dev/ttyACM7", "usb:1", None, False, ("USB",))


def connect(window) -> ConnectView:
    view = ConnectView(window)
    view.show_near(Near((MINE, WIRED, SIMULATED), settled=True))
    view._move(2)
    return view


def connect_off(window) -> ConnectView:
    view = ConnectView(window)
    view.show_near(Near((replace(MINE, present=False), SIMULATED), next_step(Verdict.RADIO_DENIED, "darwin"), "", True))
    view._move(1)
    return view


def connect_failed(window) -> ConnectView:
    view = connect(window)
    view.show_connecting(SIMULATED_URL)
    view.show_failed("sim:: a sentence of the error, which goes on for a while; what to do", next_step(Verdict.BROKEN))
    return view


def connect_several(window) -> ConnectView:
    view = ConnectView(window)
    away = replace(MINE, title="Old one", key="b", rssi_dbm=None, bars=0, present=False)
    view.show_near(
        Near(
            (
                replace(MINE, carriers=("USB", "Bluetooth"), last_seen="last used yesterday"),
                replace(away, last_seen="last used on 2026-01-31"),
                replace(MINE, title="Core Nexus (simulated)", key="c", serial_number="SIM-00003", simulated=True),
                replace(MINE, key="d", bars=1, trouble="another one near has the same serial number"),
                SIMULATED,
            ),
            settled=True,
        )
    )
    return view


def connect_renaming(window) -> ConnectView:
    view = ConnectView(window)
    view.show_near(Near((MINE, SIMULATED), settled=True))
    view._rename.click()
    return view


def connect_forgetting(window) -> ConnectView:
    view = ConnectView(window)
    view.show_near(Near((MINE, SIMULATED), settled=True))
    view._forget.click()
    return view


def prepare(window) -> PrepareView:
    return PrepareView([load_plan(site) for site in SITES], window)


def hold(window) -> HoldView:
    view = HoldView(window)
    driver = Driver().advance(8)
    view.begin(driver.plan, True, True)
    view.refresh(driver.snapshot, driver.ring)
    return view


def hold_in_doubt(window) -> HoldView:
    view = HoldView(window)
    driver = Driver("iliacus-left", level(15.0, 15.0, 100.0)).advance(8)
    driver.sure = Sure(0.3, 0.2, 14.0, 2.0, Doubt.TEMPERATURE_OUTSIDE)
    view.begin(driver.plan, True, True)
    view.refresh(driver.snapshot, driver.ring)
    return view


def hold_broken(window) -> HoldView:
    view = hold(window)
    view.fail("session: the disk is full where the recording goes; free some space, then start again")
    return view


def hold_stopped(window) -> HoldView:
    view = HoldView(window)
    driver = Driver(path=level(200.0)).advance(2).stop(StopReason.NO_CONTACT)
    view.begin(driver.plan, True, True)
    view.refresh(driver.snapshot, driver.ring)
    view.result_ready()
    return view


def result(window) -> ResultView:
    view = ResultView(window)
    driver = Driver(path=level(20.0), hold_s=2).advance(4)
    view.show_result(driver.result(Path("/somewhere/with a rather long name/2026-01-31_psoas-left.mcap")), driver.ring)
    return view


def choose(window) -> ChooseView:
    view = ChooseView(window)
    view.pick("weights")
    view.fill("0,5 1.5 3 6 11", "kg", "0.5 %", "52.5 N")
    view.show_about("Core Nexus, CN-00042: calibrated by its user on 2026-01-31")
    return view


def choose_poses(window) -> ChooseView:
    view = ChooseView(window)
    view.pick("poses")
    view.show_failed("serial:/dev/ttyACM7: no answer to START; is it a Nexus, switched on, and free of other programs?")
    return view


def calibrate(window) -> CalibrateView:
    view = CalibrateView(window)
    view.begin("Weights", True)
    view.refresh(samples.weights_log())
    return view


def calibrate_poses(window) -> CalibrateView:
    view = CalibrateView(window)
    view.begin("Six poses", True)
    view.refresh(samples.log_of(samples.POSES))
    return view


def calibrate_turning(window) -> CalibrateView:
    view = CalibrateView(window)
    view.begin("Turning", True)
    view.refresh(samples.log_of(samples.TURNING))
    return view


def calibrate_lost(window) -> CalibrateView:
    view = calibrate(window)
    view.fail("serial:/dev/ttyACM7: the port has gone (cable pulled, or the tool switched off); connect again", True)
    return view


def verdict(window) -> VerdictView:
    view = VerdictView(window)
    view.show_end(samples.weights_log(samples.DONE, 4), samples.DONE, samples.CHANGES, False, SIMULATED_CODE)
    return view


def verdict_asking(window) -> VerdictView:
    view = verdict(window)
    view._main.click()
    return view


def verdict_failed(window) -> VerdictView:
    view = verdict(window)
    view.show_failed(
        "serial:/dev/ttyACM7: the tool does not open with this code; the tool keeps record 12. The right one stands "
        "inside its base; after 5 wrong ones it must be restarted"
    )
    return view


def verdict_refused(window) -> VerdictView:
    view = VerdictView(window)
    view.show_end(samples.weights_log(samples.REFUSED, 4), samples.REFUSED, (), False, SIMULATED_CODE)
    return view


def verdict_written(window) -> VerdictView:
    view = VerdictView(window)
    done = replace(samples.DONE, advice="The narrow tip was weighed lying; weigh it upright as well.")
    view.show_end(samples.weights_log(done, 4), done, samples.CHANGES, False, SIMULATED_CODE)
    view.show_written()
    return view


VIEWS = [
    connect,
    connect_off,
    connect_failed,
    prepare,
    hold,
    result,
    choose,
    choose_poses,
    calibrate,
    calibrate_turning,
]
VIEWS += [calibrate_lost, verdict, verdict_asking, verdict_failed, verdict_refused]
MORE = [
    connect_several,
    connect_renaming,
    connect_forgetting,
    hold_in_doubt,
    hold_broken,
    hold_stopped,
    calibrate_poses,
]
"""States that differ from one in VIEWS by their words."""
