"""Transports of third parties: a real distribution on the path, found by its entry point and by nothing else."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from links import Log, run

from nexuslink.transport.errors import TransportError, UrlError
from nexuslink.transport.serial import SerialTransport
from nexuslink.transport.url import make_transport, schemes

ACME = """
import time
from nexuslink.protocol.chunk import Chunk

class Radio:
    framed = False
    def __init__(self, target, params):
        self.url, self.params, self.sink = f"acme:{target}", dict(params), None
    def now_ns(self):
        return time.monotonic_ns()
    async def open(self, sink):
        self.sink = sink
    async def write(self, data):
        self.sink.chunk(Chunk(self.now_ns(), data[::-1]))
    async def close(self):
        self.sink = None
    def pause(self):
        pass
    def resume(self):
        pass

def picky(target, params):
    raise ValueError("write acme-picky:CHANNEL,\\nwith a channel from 1 to 3")

def broken(target, params):
    raise FileNotFoundError(2, "No such file or directory", "/etc/acme.conf")

def wordless(target, params):
    raise OSError("the radio's daemon\\ndoes not run")

def serial(target, params):
    raise AssertionError("a built-in scheme is not for third parties")
"""
ENTRY_POINTS = """
[nexuslink.transports]
acme = acme_radio:Radio
acme-picky = acme_radio:picky
acme-broken = acme_radio:broken
acme-wordless = acme_radio:wordless
acme-missing = acme_radio_that_is_not_there:Radio
acme-renamed = acme_radio:Wireless
acme-crash = acme_crash:Radio
serial = acme_radio:serial
sim = nexus_simulator.transport:open_sim

[nexuslink.commands]
acme-command = acme_radio:Radio
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `pip install acme-radio` would leave behind."""
    info = tmp_path / "acme_radio-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-radio\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "acme_radio.py").write_text(ACME)
    (tmp_path / "acme_crash.py").write_text("raise RuntimeError('needs\\na licence')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("acme_radio", None)


@pytest.mark.usefixtures("acme")
def test_it_is_found_and_carries_bytes() -> None:
    assert "acme" in schemes()
    transport = make_transport("ACME:attic?gain=3")
    assert (transport.url, transport.framed) == ("acme:attic", False)
    assert transport.params == {"gain": "3"}  # type: ignore[attr-defined]
    log = Log()

    async def scenario() -> None:
        await transport.open(log)
        await transport.write(b"abc")
        await transport.close()

    run(scenario())
    assert log.data == b"cba"


def test_without_the_distribution_it_is_not_known() -> None:
    """Negative control: it is the entry point that makes it known, not the module."""
    assert "acme" not in schemes()
    with pytest.raises(UrlError, match="no transport is called 'acme'"):
        make_transport("acme:attic")


@pytest.mark.usefixtures("acme")
def test_a_typo_finds_third_parties_too() -> None:
    with pytest.raises(UrlError, match="did you mean acme: \\?"):
        make_transport("acne:attic")


@pytest.mark.usefixtures("acme")
def test_a_command_is_no_transport() -> None:
    assert "acme-command" not in schemes()


@pytest.mark.usefixtures("acme")
def test_the_built_in_ones_come_first_and_cannot_be_replaced() -> None:
    assert schemes()[:3] == ["serial", "tcp", "ble"]
    assert schemes().count("serial") == 1
    assert isinstance(make_transport("serial:COM3"), SerialTransport)


MISTAKES: dict[str, tuple[type[TransportError], Callable[[str], str]]] = {
    "acme-picky:9": (UrlError, lambda u: f"{u!r}: write acme-picky:CHANNEL, with a channel from 1 to 3"),
    "acme-broken:": (TransportError, lambda u: f"{u!r}: [Errno 2] No such file or directory: '/etc/acme.conf'"),
    "acme-wordless:": (TransportError, lambda u: f"{u!r}: the radio's daemon does not run"),
    "acme-missing:": (
        UrlError,
        lambda u: (
            f"{u!r}: the transport 'acme-missing' of acme-radio cannot be loaded "
            "(No module named 'acme_radio_that_is_not_there'); install it again"
        ),
    ),
    "acme-renamed:": (
        UrlError,
        lambda u: (
            f"{u!r}: the transport 'acme-renamed' of acme-radio cannot be loaded "
            "(module 'acme_radio' has no attribute 'Wireless'); install it again"
        ),
    ),
    "acme-crash:": (
        UrlError,
        lambda u: (
            f"{u!r}: the transport 'acme-crash' of acme-radio cannot be loaded (needs a licence); install it again"
        ),
    ),
}


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("text", MISTAKES)
def test_its_mistakes_are_one_line_as_well(text: str) -> None:
    kind, message = MISTAKES[text]
    with pytest.raises(TransportError) as caught:
        make_transport(text)
    assert type(caught.value) is kind
    assert str(caught.value) == message(text)


@pytest.mark.usefixtures("acme")
def test_the_simulated_tool_comes_the_same_way() -> None:
    transport = make_transport("sim:?script=good-psoas&seed=7&speed=max")
    assert transport.url == "sim:?script=good-psoas&seed=7&speed=max"
    for text, said in {
        "sim:good-psoas": "a script is sim:?script=NAME",
        "sim:?speed=fast": "speed=fast: not possible; allowed: 0.1 to 1000, or max",
        "sim:?sped=max": "sped=max: no such parameter",
        "sim:?script=good-soas": "good-psoas",
        "sim:?imu=/nowhere.npz": "/nowhere.npz",
    }.items():
        with pytest.raises(TransportError) as caught:
            make_transport(text)
        assert said in str(caught.value) and str(caught.value).startswith(f"{text!r}: ")
        assert len(str(caught.value).splitlines()) == 1
