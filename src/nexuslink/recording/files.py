"""What a session file is called, and the moves of it that survive a power cut.

Knows names and the operating system, never what is inside a file.
"""

from __future__ import annotations

import errno
import os
import sys
from io import FileIO
from pathlib import Path

from nexuslink.recording.errors import RecordingError, from_disk

if sys.platform != "win32":
    import fcntl

PART_SUFFIX = ".part"
"""What a recording's name ends in until it is finished."""


_CANNOT_SYNC_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM)


def is_part(path: Path) -> bool:
    """Whether this is the name of an unfinished recording."""
    return path.name.endswith(PART_SUFFIX)


def finished_name(part: Path) -> Path:
    """The name without the suffix; raises :class:`RecordingError` for a name that has none."""
    if not is_part(part) or part.name == PART_SUFFIX:
        raise RecordingError(
            part, f"not the name of an unfinished recording (NAME{PART_SUFFIX})", f"name a {PART_SUFFIX} file"
        )
    return part.with_name(part.name.removesuffix(PART_SUFFIX))


def lock(file: FileIO) -> bool:
    """Mark an open file as in use until it is closed; False if another program has it in use.

    Advisory, and absent where the file system does not know locks: it keeps a recovery at program start away from
    the recording of another window, no more. (Windows refuses to rename an open file by itself.)
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` safe, where the system can (Windows does so by itself)."""
    if sys.platform != "win32":
        try:
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC_FOLDERS:
                raise


def publish(temporary: Path, final: Path) -> None:
    """Give a complete, closed and synced file its final name; never replaces a file that is there."""
    if final.exists():
        raise RecordingError(temporary, f"cannot be renamed, {final.name} is already there", "rename one of the two")
    try:
        temporary.rename(final)
        sync_folder(final.parent)
    except OSError as error:
        raise from_disk(final, error) from None
