"""Cues: which, when, and what they sound like. The null device is a real one that nobody hears."""

import dataclasses
import time

import miniaudio
import numpy as np
import pytest
from drive import Driver, level

from nexuslink.app.sound import RATE_HZ, Cue, Cueing, Speaker, cue_for, render
from nexuslink.release.hold import StopReason

HANG_S = 60.0


def wait(condition) -> None:
    end = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("cue", list(Cue))
def test_tones_stay_below_two_kilohertz(cue):
    wave = np.frombuffer(render(cue.value), "<i2").astype(float)
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / RATE_HZ)
    assert power[hertz > 2000].sum() < 1e-4 * power.sum()
    assert power.sum() > 0
    assert np.abs(wave).max() < 0.5 * 32767
    assert abs(wave[0]) < 50 and abs(wave[-1]) < 50  # no click at either end


def test_cues_differ_in_pitch_and_in_rhythm():
    assert len({cue.value.notes for cue in Cue}) == len(Cue)
    assert len({tuple(length for _, length in cue.value.notes) for cue in Cue}) == len(Cue)


@pytest.mark.parametrize(
    ("path", "seconds", "cue"),
    [
        (level(0.0), 1.0, None),
        (level(6.0), 1.0, Cue.TOO_LITTLE),
        (level(20.0), 1.0, Cue.IN_BAND),
        (level(45.0), 1.0, Cue.TOO_MUCH),
        (level(90.0), 1.0, Cue.TOO_MUCH),
        (level(200.0), 1.0, Cue.TOO_MUCH),  # stopped by it
    ],
)
def test_what_a_moment_sounds_like(path, seconds, cue):
    assert cue_for(Driver(path=path).advance(seconds).snapshot, stale=False) is cue


def test_ends_and_silence():
    done = Driver(path=level(20.0), hold_s=2.0).advance(4.0)
    assert cue_for(done.snapshot, stale=False) is Cue.DONE
    held = Driver(path=level(20.0)).advance(1.0)
    assert cue_for(held.snapshot, stale=True) is Cue.LOST
    held.silent_s = 3.0
    assert cue_for(held.snapshot, stale=False) is Cue.LOST
    assert cue_for(Driver(path=level(20.0)).advance(1.0).stop(StopReason.LINK_LOST).snapshot, False) is Cue.LOST
    assert cue_for(Driver(path=level(20.0)).advance(1.0).stop(StopReason.USER).snapshot, False) is None


def test_a_cue_comes_at_the_change_and_again_while_it_stands():
    cueing = Cueing()
    again = Cue.TOO_MUCH.value.again_s
    assert cueing.update(Cue.TOO_MUCH, 0.0, False) is Cue.TOO_MUCH
    assert cueing.update(Cue.TOO_MUCH, 0.9 * again, False) is None
    assert cueing.update(Cue.TOO_MUCH, again, False) is Cue.TOO_MUCH
    assert cueing.update(Cue.IN_BAND, again + 0.1, False) is Cue.IN_BAND
    assert cueing.update(Cue.IN_BAND, again + 60, False) is None  # good is said once
    assert cueing.update(None, again + 61, False) is None
    assert cueing.update(Cue.LOST, 100.0, True) is Cue.LOST
    assert cueing.update(Cue.LOST, 200.0, True) is None  # after the end nothing repeats


def test_a_device_plays_and_lets_go():
    speaker = Speaker([miniaudio.Backend.NULL])
    try:
        wait(lambda: speaker.status == "sound on")
        speaker.play(Cue.DONE)
        wait(lambda: speaker._clip[1] >= len(speaker._clip[0]) > 0)  # the device has asked for all of it
        speaker.set_muted(True)
        assert speaker.status == "muted"
        played = speaker.played
        speaker.play(Cue.TOO_MUCH)
        assert speaker.played == played
    finally:
        assert speaker.close()


def test_frames_are_the_clip_then_silence():
    speaker = Speaker([miniaudio.Backend.NULL])
    assert speaker.close()
    source = speaker._frames()
    next(source)
    speaker.play(Cue.IN_BAND)
    clip = render(Cue.IN_BAND.value)
    got = b"".join(source.send(441) for _ in range(len(clip) // 882 + 3))
    assert got[: len(clip)] == clip
    assert not any(got[len(clip) :])


def test_no_device_is_no_failure():
    speaker = Speaker([miniaudio.Backend.CUSTOM])  # a backend without a device, on every machine
    try:
        wait(lambda: speaker._state != "starting")
        assert speaker.status == "sound off"
        speaker.play(Cue.DONE)  # goes on
    finally:
        assert speaker.close()


def test_every_cue_says_what_it_means():
    assert all(dataclasses.asdict(cue.value)["meaning"] for cue in Cue)
