"""Every verdict has plain words and a next step, on every platform; and the errors of one kind get the right ones."""

from __future__ import annotations

import pytest

from nexuslink.device import errors as device
from nexuslink.device.next_steps import TABLE, next_step
from nexuslink.device.verdict import KINDS, Verdict, judge
from nexuslink.transport import errors as transport

PLATFORMS = ("linux", "darwin", "win32", "sunos5")
WELL = {Verdict.CONNECTED}
LONGEST = 120


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_words_and_a_step(verdict: Verdict, platform: str) -> None:
    said = next_step(verdict, platform)
    assert said.words.endswith(".") and said.words[0].isupper() and len(said.words.split()) <= 9
    assert bool(said.step) is (verdict not in WELL)
    for text in (said.words, said.step, said.line):
        assert text.isprintable() and text == text.strip() and "  " not in text and "!" not in text
        assert len(text) <= LONGEST + len(said.words)
        assert "`" not in text and "://" not in text and "0x" not in text  # for whoever holds the tool


def test_no_two_verdicts_say_the_same() -> None:
    assert len({next_step(verdict).words for verdict in Verdict}) == len(Verdict)
    assert set(TABLE) == set(Verdict)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (transport.RadioOffError("x"), "Bluetooth is off."),
        (transport.RadioDeniedError("x"), "This program may not use Bluetooth."),
        (transport.NoRadioError("x"), "Bluetooth does not work here."),
        (transport.RadioServiceError("x"), "Bluetooth does not work here."),
        (transport.OutOfReachError("x"), "The tool is out of reach."),
        (transport.PortNotFoundError("x"), "The tool is not near."),
        (transport.PairingError("x"), "The tool does not know this computer."),
        (transport.KeyLostError("x"), "The tool no longer knows this computer."),
        (transport.KeyDoubtError("x"), "The tool has probably forgotten this computer."),
        (transport.NoAgentError("x"), "Nothing on this computer can confirm a pairing."),
        (transport.RadioBusyError("x"), "Bluetooth is still busy."),
        (transport.ToolTakenError("x"), "Another program uses the tool."),
        (transport.PortDeniedError("x"), "This program may not open the port."),
        (device.ImpostorError("x"), "This is not the tool that you paired."),
        (device.OtherToolError("x"), "Another tool is there."),
        (device.VersionError("x"), "Tool and program do not fit together."),
        (RuntimeError("x"), "This program made a mistake."),
    ],
)
def test_what_an_error_comes_to(error: Exception, words: str) -> None:
    assert next_step(judge(error).verdict).words == words


def test_platforms_differ_where_the_way_there_does() -> None:
    for verdict in (Verdict.RADIO_OFF, Verdict.RADIO_DENIED, Verdict.DENIED, Verdict.KEY_LOST, Verdict.KEY_DOUBTED):
        assert len({next_step(verdict, platform).step for platform in PLATFORMS[:3]}) == 3
        assert next_step(verdict, PLATFORMS[3]) == next_step(verdict, "linux")
    assert next_step(Verdict.NOT_PAIRED, "darwin") == next_step(Verdict.NOT_PAIRED, "win32")


def test_a_radio_that_is_off_is_not_one_that_is_denied() -> None:
    """Negative control: the classes are told apart, not only their base."""
    assert KINDS[transport.RadioOffError] != KINDS[transport.RadioDeniedError] != KINDS[transport.RadioError]
