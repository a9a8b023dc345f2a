"""Whoever has to confirm a pairing is told so, once for each thing to say."""

from __future__ import annotations

import pytest

from nexuslink.cli.pairing import tell_pairing
from nexuslink.device.course import State
from nexuslink.device.progress import Progress, sentence


def test_each_thing_is_said_once_and_only_while_pairing(capsys: pytest.CaptureFixture[str]) -> None:
    told = tell_pairing()
    for state, number in (
        (State.CONNECTING, None), (State.PAIRING, None), (State.PAIRING, None), (State.PAIRING, 4711),
        (State.HANDSHAKING, None),
    ):  # fmt: skip
        said = sentence(state, "", "NX-1", number)
        told(Progress(state, None, said, 0, 0.0, "ble://NX-1", "NX-1", False, 0, 0, None, number))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "nexuslink: NX-1: Pairing. Confirm the pairing on the tool and in the system's window, where they ask.",
        "nexuslink: NX-1: Pairing. Compare the number 004711 on the tool.",
    ]
