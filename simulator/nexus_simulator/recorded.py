"""A real recording of an inertial unit, played through the simulated tool.

The file's gyroscope and accelerometer counts travel as they are (32 bits, with the file's own scale in the stream
descriptor, at the file's own rate); the load cells feel an unloaded tool that moves as the recording does. The truth
is the recording's optical attitude, read ``sync_s`` earlier because that clock runs ahead by it. Nothing here knows
of messages.

File format (.npz): gyr (n, 3) counts of gyr_lsb rad/s, acc (n, 3) counts of acc_lsb m/s^2, quat (n, 4) counts of
quat_lsb, w first, sensor to earth with z up, all zero where there is no truth; rate in Hz; sync_s in seconds.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nexus_simulator.body import Array, Truth, tip_angles
from nexus_simulator.climate import Climate
from nexus_simulator.takes import BlockTake, Counts

_FIELDS = ("gyr", "acc", "quat", "rate", "gyr_lsb", "acc_lsb", "quat_lsb", "sync_s")


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording as read. counts: (n, 6) int32; quaternion: (n, 4) w first, NaN where there is no truth."""

    counts: npt.NDArray[np.int32]
    quaternion: Array
    rate_hz: float
    gyr_lsb: float
    acc_lsb: float
    sync_s: float


def load_recording(path: Path) -> Recording:
    """Read a recording; raise ValueError with one line where it cannot be used."""
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {name: np.asarray(file[name]) for name in _FIELDS if name in file.files}
    except FileNotFoundError:
        raise ValueError(f"imu={path}: no such file") from None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, AttributeError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"imu={path}: cannot be read as .npz ({reason})") from None
    missing = [name for name in _FIELDS if name not in data]
    if missing:
        raise ValueError(f"imu={path}: not a recording of this kind, it has no {', '.join(missing)}")
    gyr, acc, quat = data["gyr"], data["acc"], data["quat"]
    n = len(gyr) if gyr.ndim else 0
    integers = all(np.issubdtype(array.dtype, np.integer) for array in (gyr, acc, quat))
    if not n or not integers or (gyr.shape, acc.shape, quat.shape) != ((n, 3), (n, 3), (n, 4)):
        raise ValueError(f"imu={path}: gyr, acc and quat must be integer counts of shape (n, 3), (n, 3) and (n, 4)")
    scalars = {name: float(data[name]) for name in _FIELDS[3:] if data[name].size == 1}
    if len(scalars) < 5 or not 10.0 <= scalars["rate"] <= 1000.0:
        raise ValueError(f"imu={path}: rate must be 10 to 1000 Hz, and rate, *_lsb and sync_s single numbers")
    quaternion = quat * scalars["quat_lsb"]
    quaternion[~quat.any(axis=1)] = np.nan
    return Recording(
        np.hstack([gyr, acc]).astype(np.int32),
        quaternion,
        scalars["rate"],
        scalars["gyr_lsb"],
        scalars["acc_lsb"],
        scalars["sync_s"],
    )


class RecordedTake(BlockTake):
    """A recording from its first sample on."""

    def __init__(
        self, recording: Recording, seed: int, take: int, ambient_c: float, start_us: int, force_hz: float
    ) -> None:
        super().__init__(seed, take, Climate(ambient_c), start_us, force_hz, recording.rate_hz, np.int32)
        self._recording = recording

    @property
    def ends_us(self) -> int | None:
        """Device time just after the last sample."""
        return self.start_us + round(len(self._recording.counts) * 1e6 / self._recording.rate_hz)

    def truth(self, t_us: npt.NDArray[np.int64]) -> Truth:
        """Force zero and the optical attitude; NaN where the optical system saw nothing."""
        recording = self._recording
        position = ((t_us - self.start_us) * 1e-6 - recording.sync_s) * recording.rate_hz
        below = np.floor(position).astype(np.int64)
        share = (position - below)[:, None]
        known = (below >= 0) & (below + 1 < len(recording.quaternion))
        below = np.where(known, below, 0)
        q0 = recording.quaternion[below]
        q1 = recording.quaternion[np.minimum(below + 1, len(recording.quaternion) - 1)]
        q1 = np.where((q0 * q1).sum(axis=1, keepdims=True) < 0.0, -q1, q1)
        q = (1.0 - share) * q0 + share * q1
        q = np.where(known[:, None], q / np.linalg.norm(q, axis=1, keepdims=True), np.nan)
        w, x, y, z = q.T
        up = np.column_stack([2.0 * (x * z - w * y), 2.0 * (y * z + w * x), w * w - x * x - y * y + z * z])
        angle, direction = tip_angles(up)
        return Truth(t_us, np.where(known[:, None], np.zeros((len(t_us), 2)), np.nan), angle, direction, up)

    def _make(self, t_force: Array, t_imu: Array) -> tuple[Counts, Counts]:
        recording = self._recording
        first = self._buffers[1].end
        imu = recording.counts[first : first + len(t_imu)]
        position = np.clip(t_force * recording.rate_hz, 0.0, len(recording.counts) - 1.0)
        below = np.minimum(position.astype(np.int64), len(recording.counts) - 2)
        share = (position - below)[:, None]
        counts = (1.0 - share) * recording.counts[below] + share * recording.counts[below + 1]
        rate, specific_force = counts[:, :3] * recording.gyr_lsb, counts[:, 3:] * recording.acc_lsb
        unloaded = np.zeros((len(t_force), 2))
        force = self._cells.counts(t_force, unloaded, specific_force, rate, self._climate.celsius(t_force))
        return force, imu
