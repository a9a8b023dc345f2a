"""Records a live session without ever making the caller wait for a disk.

The caller's thread only copies and queues. One thread turns what is queued into messages, ten times a second, and
writes them; another asks the disk to make them safe, once a second, so that a slow disk delays neither the caller
nor the flushing. The file is called ``NAME.part`` until it is finished.

Nothing is dropped silently: the first thing that goes wrong (a full disk, a disk slower than the tool) ends the
recording, is kept in ``failure``, and is raised by ``finish``; what is in the ``.part`` file until then stays whole,
and every message after it is counted. This file never knows what a chunk means.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from enum import Enum, auto
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from nexuslink.protocol.chunk import Chunk
from nexuslink.recording.container import (
    HEADER_NAME,
    MAX_MESSAGE_BYTES,
    SUMMARY_NAME,
    Container,
    own_channels,
    own_schemas,
)
from nexuslink.recording.errors import RecordingError, from_disk
from nexuslink.recording.files import PART_SUFFIX, lock, publish, sync_folder
from nexuslink.recording.header import SessionHeader, pack_header
from nexuslink.recording.messages import (
    Channel,
    PackedRows,
    SessionEvent,
    encode_chunk,
    encode_event,
    encode_rows,
    pack_rows,
)

FLUSH_PERIOD_S = 0.1
"""At most this much is lost when the process is killed."""
SYNC_PERIOD_S = 1.0
"""At most about this much is lost when the power fails."""
BACKLOG_LIMIT_BYTES = 16 << 20
"""What may wait for the disk: ten minutes at the default rates. Beyond it the recording has failed."""
CLOSE_TIMEOUT_S = 30.0
"""How long ``finish`` and ``abort`` wait for the disk."""

_WAKE_BYTES = 1 << 20  # a producer faster than real time need not wait for the next flush
_ITEM_BYTES = 256  # what a queued item costs besides its payload
_MAX_CONTENT_BYTES = MAX_MESSAGE_BYTES - 1024  # leaves room for the tags and lengths of a payload

_RECOVER = "what was recorded before is whole in the .part file"
_ENCODERS: Mapping[Channel, Callable[..., bytes]] = {
    Channel.CHUNKS: encode_chunk,
    Channel.ESTIMATES: encode_rows,
    Channel.EVENTS: encode_event,
}


class _Closing(Enum):
    FINISH = auto()
    ABORT = auto()


_Item = tuple[Channel, int, Chunk | PackedRows | SessionEvent, int]


class SessionWriter:
    """One recording. Open it, feed it, then :meth:`finish` (or :meth:`abort`) it.

    The feeding methods never wait for the disk. They do not raise for a failed disk,
    because a hold must go on without its recording: look at :attr:`failure`.
    """

    def __init__(self, path: Path, header: SessionHeader, *, backlog_limit: int = BACKLOG_LIMIT_BYTES) -> None:
        """Create ``path`` + ".part"; raises :class:`RecordingError` if that is not possible."""
        self.path = path
        self.part = path.with_name(path.name + PART_SUFFIX)
        self._backlog_limit = backlog_limit
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._queue: list[_Item] = []
        self._backlog = 0
        self._handed_over = 0
        self._log_ns = 0
        self._failure: RecordingError | None = None
        self._closing: _Closing | None = None
        self._draining = False
        self._ended = False
        self._stop_syncing = threading.Event()
        self._summary: bytes | None = None

        packed_header = pack_header(header)
        if path.exists():
            raise RecordingError(path, "the file is already there", "choose another name")
        try:
            self._file: FileIO = self.part.open("xb", buffering=0)
        except FileExistsError:
            raise RecordingError(
                self.part, "an unfinished recording of that name is there", "recover it, or choose another name"
            ) from None
        except OSError as error:
            raise from_disk(self.part, error) from None
        try:
            lock(self._file)
            # Beside the session: the usual place for temporary files may be memory.
            self._spool = tempfile.TemporaryFile(dir=self.part.parent)  # noqa: SIM115
            self._container = Container(
                self._file, self._spool, f"nexuslink {header.nexuslink_version}", own_schemas(), own_channels()
            )
            self._container.attach(HEADER_NAME, packed_header)
            # Its own descriptor: a sync that hangs must not find its number given to another file.
            self._sync_descriptor = os.dup(self._file.fileno())
        except OSError as error:
            self._file.close()
            self.part.unlink(missing_ok=True)
            raise from_disk(self.part, error) from None
        # Daemons: a program that forgot to finish can still end; it loses what a kill would lose.
        self._syncer = threading.Thread(target=self._sync, name="nexuslink-recorder-sync", daemon=True)
        self._thread = threading.Thread(target=self._run, name="nexuslink-recorder", daemon=True)
        self._syncer.start()
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Aborts unless finished: half a session must not look like a whole one."""
        self.abort()

    @property
    def failure(self) -> RecordingError | None:
        """Why the recording has ended by itself; None as long as all is well."""
        return self._failure

    @property
    def lost_messages(self) -> int:
        """Messages handed over that will never be in the file: 0 unless the recording has failed."""
        return self._handed_over - self._container.message_count if self._failure is not None else 0

    @property
    def backlog_bytes(self) -> int:
        """What waits for the disk at this moment."""
        return self._backlog

    def chunk(self, chunk: Chunk) -> None:
        """A raw chunk as it arrived, ticks included, in order."""
        self._log_ns = chunk.arrival_ns
        self._put(Channel.CHUNKS, chunk, len(chunk.data))

    def estimates(
        self,
        t_us: ArrayLike,
        force_n: ArrayLike,
        pressure_kpa: ArrayLike,
        tip_angle_deg: ArrayLike,
        tip_direction_deg: ArrayLike,
    ) -> None:
        """Rows as in :class:`~nexuslink.recording.messages.EstimateRows`; they are copied. No rows, no message."""
        rows = pack_rows(t_us, force_n, pressure_kpa, tip_angle_deg, tip_direction_deg)
        if rows.size:
            self._put(Channel.ESTIMATES, rows, len(rows.t_us) * (1 + 2 * len(rows.columns)))

    def event(self, t_us: int, kind: str, detail: str) -> None:
        """A transition of the hold, or a note. ``t_us`` is device time."""
        self._put(Channel.EVENTS, SessionEvent(int(t_us), kind, detail), 4 * (len(kind) + len(detail)))

    def drain(self, timeout_s: float) -> bool:
        """Wait until everything handed over is written; False if that took too long or the recording has failed.

        Only for those who feed faster than real time (a simulated tool, a benchmark): they call it now and then so
        that the backlog stays small.
        """
        with self._wake:
            self._draining = True
            self._wake.notify_all()
            self._wake.wait_for(lambda: self._ended or not self._backlog, timeout_s)
            self._draining = False
            return self._failure is None and not self._backlog

    def finish(self, summary: Mapping[str, object] | None) -> Path:
        """Write what is left and the summary, make it safe, and give the file its name.

        Waits for the disk (milliseconds, at most :data:`CLOSE_TIMEOUT_S`): on an event loop, call it in a thread.
        A second call returns the same path. Raises :class:`RecordingError` if the recording has failed.
        """
        if self._closing is _Closing.ABORT:
            raise RecordingError(self.part, "the recording was given up", "recover the .part file")
        if summary is not None and self._closing is None:
            self._summary = json.dumps(dict(summary), default=_plain).encode()
        self._close(_Closing.FINISH)
        if self._failure is not None:
            raise self._complaint(self._failure)
        return self.path

    def abort(self) -> None:
        """Stop; the ``.part`` file stays, whole up to here. Does nothing once finished."""
        self._close(_Closing.ABORT)

    def _put(self, channel: Channel, content: Chunk | PackedRows | SessionEvent, size: int) -> None:
        cost = size + _ITEM_BYTES
        with self._lock:
            if self._closing is not None:
                raise RecordingError(self.part, "the recording is already closed", "start another one")
            self._handed_over += 1
            if self._failure is not None:
                return
            before = self._backlog
            after = before + cost
            if size > _MAX_CONTENT_BYTES:
                self._fail(f"a single message of {size} bytes was handed over", "hand over smaller pieces")
            elif after > self._backlog_limit:
                self._fail(f"the disk is too slow: {before / 1e6:.1f} MB are waiting for it", "record to a faster disk")
            else:
                self._queue.append((channel, self._log_ns, content, cost))
                self._backlog = after
                if before < _WAKE_BYTES <= after:
                    self._wake.notify_all()

    def _fail(self, what: str, do: str) -> None:
        """Keep the first reason only: what follows it is its consequence."""
        with self._wake:
            if self._failure is None:
                self._failure = RecordingError(self.part, f"recording stopped: {what}", do)
            self._wake.notify_all()

    def _complaint(self, failure: RecordingError) -> RecordingError:
        lost = f" ({self.lost_messages} messages are not recorded; {_RECOVER})"
        return RecordingError(failure.where, failure.what + lost, failure.do)

    def _close(self, closing: _Closing) -> None:
        with self._wake:
            if self._closing is None:
                self._closing = closing
            self._wake.notify_all()
            if not self._wake.wait_for(lambda: self._ended, CLOSE_TIMEOUT_S):
                self._fail(f"the disk has not answered for {CLOSE_TIMEOUT_S:.0f} s", "check the disk")
                return
        self._thread.join(CLOSE_TIMEOUT_S)

    # -- the recorder's own threads ---------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._flush():
                pass
            self._stop_syncer()
            if self._closing is _Closing.FINISH and self._failure is None:
                self._complete()
        except OSError as error:
            reason = from_disk(self.part, error)
            self._fail(reason.what, reason.do)
            self._cut_back()
        except RecordingError as error:
            self._fail(f"{error.where}: {error.what}", error.do)
        except Exception as error:  # whatever it is, it ends the recording and is shown; it must not vanish in a thread
            self._fail(f"{type(error).__name__}: {error}", "report this")
        finally:
            self._release()
            with self._wake:
                self._queue.clear()
                self._ended = True
                self._wake.notify_all()

    def _urgent(self) -> bool:
        """Whether the next flush must not wait for its time."""
        return (
            self._closing is not None
            or self._failure is not None
            or self._backlog >= _WAKE_BYTES
            or (self._draining and bool(self._queue))
        )

    def _flush(self) -> bool:
        """Write what is queued; False when that was the last time."""
        with self._wake:
            self._wake.wait_for(self._urgent, FLUSH_PERIOD_S)
            batch, self._queue = self._queue, []
            goes_on = self._closing is None and self._failure is None
        written = 0
        for channel, log_ns, content, cost in batch:
            self._container.add(channel, log_ns, _ENCODERS[channel](content))
            written += cost
        self._container.seal()
        with self._wake:
            self._backlog -= written
            if self._draining:
                self._wake.notify_all()
        return goes_on

    def _complete(self) -> None:
        if self._summary is not None:
            self._container.attach(SUMMARY_NAME, self._summary)
        self._container.finish()
        os.fsync(self._file.fileno())
        self._file.close()
        publish(self.part, self.path)

    def _sync(self) -> None:
        synced = 0
        try:
            sync_folder(self.part.parent)
            while True:
                offset = self._container.offset
                if offset != synced:
                    os.fsync(self._sync_descriptor)
                    synced = offset
                if self._stop_syncing.wait(SYNC_PERIOD_S):
                    return
        except OSError as error:
            reason = from_disk(self.part, error)
            self._fail(reason.what, reason.do)
        finally:
            os.close(self._sync_descriptor)

    def _stop_syncer(self) -> None:
        self._stop_syncing.set()
        self._syncer.join(CLOSE_TIMEOUT_S)

    def _cut_back(self) -> None:
        """Take the half-written record off the end. Only a courtesy: a reader stops there by itself."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: it is closed already
            self._file.truncate(self._container.offset)

    def _release(self) -> None:
        self._stop_syncer()
        for file in (self._file, self._spool):
            # Closing a full disk's file can fail once more; the reason is known, or nothing depends on it any more.
            with contextlib.suppress(OSError):
                file.close()


def _plain(value: object) -> object:
    """numpy's numbers as Python's; anything else JSON cannot hold is the caller's mistake."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a summary cannot hold a {type(value).__name__}")
