"""pytest plugin: a Nexus on the bench. Options, fixtures, measurements with limits, for everybody's CI.

    pytest my_rig_tests --nexus-url serial:/dev/ttyACM0 --nexus-limits rig.toml

    def test_battery(nexus_bench, nexus_measure):
        async def ask(nexus):
            ...
        nexus_measure("battery_percent", nexus_bench.run(ask))

`nexus_url`, `nexus_limits` and `nexus_seconds` are what was chosen; `nexus_bench` connects and runs async work without
another plugin; `nexus_measure` notes a figure (report, JUnit property, table at the end) and holds it against its
limit. A measurement out of its limits fails the test after the test has run, so that every figure is noted first.

A test that asks for a Nexus where none is named or reachable is a usage error of the whole run and never a skip: a
rig whose cable has come off must not look green.

The plugin is loaded into every pytest of the environment by its entry point. So: standard library only at import, no
fixture that is used by itself, nothing done unless a collected test asks for a `nexus_...` fixture. (asyncio alone
would add 40 ms to every start of pytest.)
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest

from nexuslink.testing.limits import Limit, LimitsError, load_limits

if TYPE_CHECKING:
    from nexuslink.device.nexus import Nexus

T = TypeVar("T")

BASE_LIMITS: Final = pytest.StashKey[Path]()
"""A suite's own limits file: its conftest puts the path into ``config.stash``; ``--nexus-limits`` overrides it."""
DEFAULT_SECONDS: Final = 10.0
MIN_SECONDS, MAX_SECONDS = 1.0, 86_400.0
PROBE_BOUND_S: Final = 30.0
WORK_BOUND_S: Final = 60.0
"""Behind every `Bench.run`; a test that observes for long gives its own."""
_ASKS: Final = "nexus_url"
"""Whoever asks for this fixture, directly or not, needs a tool."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure and its judgement."""

    label: str
    value: float
    limit: Limit
    test: str

    @property
    def good(self) -> bool:
        """Within its limit."""
        return self.limit.allows(self.value)


@dataclass(slots=True)
class _Run:
    """What is known about this run of pytest."""

    url: str | None
    limits: dict[str, Limit] = field(default_factory=dict)
    tool: str = ""
    measurements: list[Measurement] = field(default_factory=list)


_RUN: Final = pytest.StashKey[_Run]()
_MINE: Final = pytest.StashKey[list[Measurement]]()


# -- options ------------------------------------------------------------------------------------------------------


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not MIN_SECONDS <= value <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from {MIN_SECONDS:g} to {MAX_SECONDS:g}")
    return value


def pytest_addoption(parser: pytest.Parser) -> None:
    """Three options, all of them named nexus."""
    group = parser.getgroup("nexuslink", "a Nexus on the bench (nexuslink)")
    group.addoption("--nexus-url", metavar="URL", help="address of the tool: serial:PORT, tcp:HOST:PORT, sim:")
    group.addoption("--nexus-limits", metavar="FILE", help="TOML file with limits in place of the suite's own")
    group.addoption(
        "--nexus-seconds", metavar="S", type=_seconds, default=DEFAULT_SECONDS,
        help=f"how long a stream is observed, seconds of the tool's time (default {DEFAULT_SECONDS:g})",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Nothing is looked at before a test asks."""
    config.stash[_RUN] = _Run(config.getoption("nexus_url"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """If a test asks for a Nexus: is there one, and are the limits usable? Raises ``pytest.UsageError``, one line."""
    config = session.config
    if config.getoption("collectonly") or not any(_ASKS in getattr(item, "fixturenames", ()) for item in session.items):
        return
    run = config.stash[_RUN]
    if run.url is None:
        raise pytest.UsageError("these tests need a Nexus: give --nexus-url URL, for example --nexus-url sim:")
    own, base = config.getoption("nexus_limits"), config.stash.get(BASE_LIMITS, None)
    try:
        known = load_limits(base) if base is not None else None
        run.limits = load_limits(Path(own), known) if own is not None else known or {}
    except LimitsError as error:
        raise pytest.UsageError(str(error)) from None
    run.url = _found(run.url)
    run.tool = _probe(run.url)


def _found(url: str) -> str:
    """The address of a tool that is named by its serial number; any other is as good as it was."""
    import asyncio

    from nexuslink.device.errors import DeviceError
    from nexuslink.device.keeping import address
    from nexuslink.transport.errors import TransportError

    try:
        return asyncio.run(address(url))
    except (DeviceError, TransportError) as error:
        raise pytest.UsageError(" ".join(str(error).split())) from None


def _probe(url: str) -> str:
    """Who is there. A link that cannot be had is a usage error; a tool that misbehaves is for the tests to find."""
    import asyncio

    from nexuslink.device.errors import DeviceError
    from nexuslink.device.nexus import connect
    from nexuslink.transport.errors import LinkLostError, TransportError

    async def ask() -> str:
        async with asyncio.timeout(PROBE_BOUND_S), connect(url, cache=None) as nexus:
            return f"{nexus.info.serial_number}{' [SIMULATED]' if nexus.simulated else ''}"

    try:
        return asyncio.run(ask())
    except (DeviceError, LinkLostError, TimeoutError) as error:
        return f"no handshake ({' '.join(str(error).split()) or 'no answer'})"
    except TransportError as error:
        raise pytest.UsageError(" ".join(str(error).split())) from None


# -- fixtures -----------------------------------------------------------------------------------------------------


class Bench:
    """A tool at an address, and a way to work with it from a plain test function."""

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, work: Callable[[Nexus], Coroutine[Any, Any, T]], bound_s: float = WORK_BOUND_S) -> T:
        """Connect, ``await work(nexus)``, close, whatever happens. Raises TimeoutError after ``bound_s`` seconds."""
        import asyncio

        from nexuslink.device.nexus import connect

        async def connected() -> T:
            try:
                async with asyncio.timeout(bound_s) as bound, connect(self.url, cache=None) as nexus:
                    return await work(nexus)
            except TimeoutError:
                if bound.expired():
                    raise TimeoutError(f"{self.url}: the work with the tool took more than {bound_s:g} s") from None
                raise

        return asyncio.run(connected())


@pytest.fixture(scope="session")
def nexus_url(pytestconfig: pytest.Config) -> str:
    """Address of the tool. Whoever uses this needs one."""
    url = pytestconfig.stash[_RUN].url
    assert url is not None  # pytest_collection_finish
    return url


@pytest.fixture(scope="session")
def nexus_limits(nexus_url: str, pytestconfig: pytest.Config) -> dict[str, Limit]:
    """Limits by name: the suite's own, changed by ``--nexus-limits``."""
    return pytestconfig.stash[_RUN].limits


@pytest.fixture(scope="session")
def nexus_seconds(pytestconfig: pytest.Config) -> float:
    """How long a stream is to be observed."""
    seconds: float = pytestconfig.getoption("nexus_seconds")
    return seconds


@pytest.fixture(scope="session")
def nexus_bench(
    nexus_url: str, pytestconfig: pytest.Config, record_testsuite_property: Callable[[str, object], None]
) -> Bench:
    """The tool, not connected: `Bench.run` connects for one piece of work."""
    record_testsuite_property("nexus_url", nexus_url)
    record_testsuite_property("nexus_tool", pytestconfig.stash[_RUN].tool)
    return Bench(nexus_url)


Measure = Callable[..., float]
"""``measure(name, value, of="")``; see `nexus_measure`."""


@pytest.fixture
def nexus_measure(
    request: pytest.FixtureRequest, nexus_limits: dict[str, Limit], record_property: Callable[[str, object], None]
) -> Measure:
    """``nexus_measure(name, value, of="")``: note a figure in the unit of the limit ``name``; returns the value.

    ``of`` says which one where several share a limit ("force", "imu"). The JUnit report (``junit_family=xunit1``)
    gets the properties NAME, NAME.limit and NAME.unit.
    """
    mine = request.node.stash.setdefault(_MINE, [])
    everything = request.config.stash[_RUN].measurements

    def measure(name: str, value: float, of: str = "") -> float:
        limit = nexus_limits.get(name)
        if limit is None:
            pytest.fail(f"the limits file has no [{name}]; every measurement needs a limit", pytrace=False)
        label = f"{name} {of}".strip()
        one = Measurement(label, float(value), limit, request.node.name)
        mine.append(one)
        everything.append(one)
        for key, noted in ((label, one.value), (f"{label}.limit", str(limit)), (f"{label}.unit", limit.unit)):
            record_property(key, noted)
        return one.value

    return measure


# -- judgement and report -----------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Judge here, not in a fixture's end: there a limit would show as "passed, 1 error"."""
    result = yield
    bad = [m for m in item.stash.get(_MINE, []) if not m.good]
    if bad:
        pytest.fail("\n".join(_complaint(m) for m in bad), pytrace=False)
    return result


def _complaint(m: Measurement) -> str:
    if math.isnan(m.value):
        return f"{m.label}: could not be measured"
    unit = _shown(m.limit.unit)
    return f"{m.label} is {m.value:.4g}{unit}, must be {m.limit}{unit}: {m.limit.why}"


def _shown(unit: str) -> str:
    return "" if unit == "1" else f" {unit}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table of measurements."""
    run = config.stash[_RUN]
    if not run.measurements:
        return
    rows = [(m.label, f"{m.value:.4g}", _shown(m.limit.unit), str(m.limit)) for m in run.measurements]
    a, b, c, d = (max(map(len, column)) for column in zip(*rows, strict=True))
    terminalreporter.section(f"{run.tool} at {run.url}")
    for m, (label, value, unit, limit) in zip(run.measurements, rows, strict=True):
        verdict = "ok" if m.good else f"FAILED in {m.test}"
        line = f"{label:<{a}}  {value:>{b}}{unit:<{c}}  {limit:<{d}}  {verdict}"
        terminalreporter.write_line(line, red=not m.good)
