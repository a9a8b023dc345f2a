"""Makes a finished session of what a killed program left behind.

Thin on purpose: the reader knows what is whole, the container knows how to write it. The ``.part`` file is removed
only when the finished one is safe on the disk under its own name.
"""

from __future__ import annotations

import json
import os
import tempfile
from io import FileIO
from pathlib import Path
from typing import IO

from nexuslink.recording.container import HEADER_NAME, SUMMARY_NAME, Container, own_channels, own_schemas
from nexuslink.recording.errors import RecordingError, from_disk
from nexuslink.recording.files import finished_name, lock, publish
from nexuslink.recording.header import pack_header
from nexuslink.recording.reader import SessionReader

_WORK_SUFFIX = ".recovering"


def recover(part: Path) -> Path:
    """Rewrite ``part`` as a finished session beside it and remove it; the new path.

    Raises :class:`RecordingError`, and leaves ``part`` as it is, if nothing of it can be read, if it is being
    recorded at the moment, if a session of the final name is there, or if the disk does not take it.
    """
    final = finished_name(part)
    reader = SessionReader(part)
    if final.exists():
        raise RecordingError(part, f"cannot be recovered, {final.name} is already there", "rename one of the two")
    try:
        with part.open("rb", buffering=0) as held:
            if not lock(held):
                raise RecordingError(part, "is being recorded at this moment", "finish that recording first")
            if reader.truncated:
                _rewrite(reader, final)
        if reader.truncated:
            part.unlink()
        else:
            publish(part, final)
    except OSError as error:
        raise from_disk(part, error) from None
    return final


def _rewrite(reader: SessionReader, final: Path) -> None:
    work = final.with_name(final.name + _WORK_SUFFIX)
    try:
        # A work file that is there already is from a recovery that was itself killed: it holds nothing of its own.
        with work.open("wb", buffering=0) as file, tempfile.TemporaryFile(dir=final.parent) as spool:
            _copy(reader, file, spool)
            os.fsync(file.fileno())
        publish(work, final)
    except BaseException:
        work.unlink(missing_ok=True)
        raise


def _copy(reader: SessionReader, file: FileIO, spool: IO[bytes]) -> None:
    container = Container(
        file,
        spool,
        f"nexuslink {reader.header.nexuslink_version}",
        reader.schemas.values() or own_schemas(),
        reader.channels.values() or own_channels(),
    )
    container.attach(HEADER_NAME, pack_header(reader.header))
    for message, _ in reader.messages():
        container.add(message.channel_id, message.log_ns, message.payload)
    if reader.summary is not None:
        container.attach(SUMMARY_NAME, json.dumps(reader.summary).encode())
    container.finish()
