"""Eyes-free cues: which sound a moment asks for, what it sounds like, and the thread that plays it.

Five sounds, each with its own rhythm as well as its own pitch, all pure tones below 2 kHz so that age and a cheap
loudspeaker do not matter. Without a sound device the program says "sound off" and goes on. Knows nothing of Qt.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from nexuslink.release.coach import Tone
from nexuslink.release.hold import Phase, StopReason
from nexuslink.release.zones import ForceZone

if TYPE_CHECKING:
    from nexuslink.live.pipeline import Snapshot

RATE_HZ = 44_100
BUFFER_MS = 50
_LEVEL = 0.28  # of full scale
_FADE_S = 0.012  # at both ends of a note: without it every note clicks
_JOIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Sound:
    """Notes as (Hz, ms), 0 Hz for a rest, and the seconds after which it comes again; 0 for once."""

    meaning: str
    notes: tuple[tuple[float, int], ...]
    again_s: float


class Cue(Enum):
    """The table of cues."""

    TOO_LITTLE = Sound("too little: press more", ((330.0, 160), (0.0, 60), (262.0, 240)), 5.0)
    IN_BAND = Sound("in band: stay", ((523.25, 110), (659.25, 200)), 0.0)
    TOO_MUCH = Sound("too much: ease off", ((932.0, 90), (0.0, 60)) * 3, 1.2)
    LOST = Sound("sensor lost", ((740.0, 180), (370.0, 320), (0.0, 80), (740.0, 180), (370.0, 320)), 4.0)
    DONE = Sound("done", ((523.25, 160), (659.25, 160), (783.99, 160), (1046.5, 420)), 0.0)


_BY_ZONE = {
    ForceZone.LOW: Cue.TOO_LITTLE,
    ForceZone.HIGH: Cue.TOO_MUCH,
    ForceZone.WARN: Cue.TOO_MUCH,
    ForceZone.STOP: Cue.TOO_MUCH,
}
_BY_REASON = {
    StopReason.OVER_FORCE: Cue.TOO_MUCH,
    StopReason.LINK_LOST: Cue.LOST,
    StopReason.SENSOR: Cue.LOST,
}


def cue_for(snapshot: Snapshot, stale: bool) -> Cue | None:
    """What this moment sounds like; None for silence."""
    hold = snapshot.hold
    if hold.phase is Phase.DONE:
        return Cue.DONE
    if hold.phase is Phase.STOPPED:
        return _BY_REASON.get(hold.stop_reason) if hold.stop_reason else None
    if stale or snapshot.cue.tone is Tone.FAULT:
        return Cue.LOST
    if hold.phase is Phase.IN_BAND:
        return Cue.IN_BAND
    return None if hold.phase is Phase.WAITING else _BY_ZONE.get(hold.force_zone)


class Cueing:
    """When to play: at each change, and again after a while as long as the matter stands. Time is handed in."""

    def __init__(self) -> None:
        self._now: Cue | None = None
        self._played_s = 0.0

    def update(self, cue: Cue | None, time_s: float, ended: bool) -> Cue | None:
        """The cue to play at ``time_s``, if one is due. After the end nothing comes again."""
        due = cue is not self._now
        if cue is not None and not due and not ended:
            again = cue.value.again_s
            due = again > 0 and time_s - self._played_s >= again
        self._now = cue
        if cue is None or not due:
            return None
        self._played_s = time_s
        return cue


def render(sound: Sound) -> bytes:
    """The notes as 16-bit mono at ``RATE_HZ``."""
    parts = []
    for hertz, milliseconds in sound.notes:
        count = RATE_HZ * milliseconds // 1000
        wave = np.sin(2 * np.pi * hertz * np.arange(count) / RATE_HZ)
        fade = min(count // 2, round(_FADE_S * RATE_HZ))
        ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(fade) / fade)
        wave[:fade] *= ramp
        wave[count - fade :] *= ramp[::-1]
        parts.append(wave)
    return (np.concatenate(parts) * _LEVEL * 32767).astype("<i2").tobytes()


def _hush_alsa() -> object:
    """Keep ALSA's own complaints about a missing card off the terminal: the status line says it in two words.

    Returns what must stay referenced while ALSA may call it.
    """
    import ctypes

    handler = ctypes.CFUNCTYPE(None)(lambda: None)  # its arguments are for a message that is not wanted
    with contextlib.suppress(OSError, AttributeError):  # no ALSA here: nothing to silence
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(handler)
    return handler


_HUSH: list[object] = []  # for as long as the process: the library keeps the address


class Speaker:
    """Opens the sound device in a thread of its own and feeds it. Opening may take long or fail: nobody waits."""

    def __init__(self, backends: Sequence[Any] | None = None) -> None:
        self.muted = False
        self.played = 0  # cues begun; for the status of tests and of doctor
        self._state = "starting"
        self._backends = list(backends) if backends is not None else None
        self._clips = {cue: render(cue.value) for cue in Cue}
        self._clip: tuple[bytes, int] = (b"", 0)
        self._quit = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nexuslink-sound", daemon=True)
        self._thread.start()

    @property
    def status(self) -> str:
        """For the status line."""
        if self._state == "on":
            return "muted" if self.muted else "sound on"
        return "sound off"

    def play(self, cue: Cue) -> None:
        """Begin a cue in place of any other; nothing while muted."""
        if not self.muted:
            self.played += 1
            self._clip = (self._clips[cue], 0)

    def set_muted(self, muted: bool) -> None:
        """Fall silent at once, or speak again."""
        self.muted = muted
        if muted:
            self._clip = (b"", 0)

    def close(self) -> bool:
        """End the thread; False if the device did not let go in time."""
        self._quit.set()
        self._thread.join(_JOIN_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            import miniaudio
        except ImportError:
            self._state = "off"
            return
        if not _HUSH:
            _HUSH.append(_hush_alsa())
        try:
            device = miniaudio.PlaybackDevice(
                output_format=miniaudio.SampleFormat.SIGNED16,
                nchannels=1,
                sample_rate=RATE_HZ,
                buffersize_msec=BUFFER_MS,
                backends=self._backends,
                app_name="nexuslink",
            )
        except miniaudio.MiniaudioError:
            self._state = "off"
            return
        source = self._frames()
        next(source)
        try:
            device.start(source)
            self._state = "on"
            self._quit.wait()
        except miniaudio.MiniaudioError:
            self._state = "off"
        finally:
            with contextlib.suppress(miniaudio.MiniaudioError):
                device.close()

    def _frames(self) -> Generator[bytes, int, None]:
        """Answer each request for frames with the current clip, then silence. Runs on the device's thread."""
        wanted = yield b""
        while True:
            clip, at = self._clip
            size = 2 * wanted
            piece = clip[at : at + size]
            if piece and self._clip[0] is clip:
                self._clip = (clip, at + size)
            wanted = yield piece + bytes(size - len(piece))
