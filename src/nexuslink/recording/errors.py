"""The one error of this room, and the words for what a disk answers.

It never decides what to do about an error; it only makes it one readable line.
"""

from __future__ import annotations

import errno
from pathlib import Path

_DISK_ANSWERS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "free some space and record again"),
    errno.EDQUOT: ("your disk quota is used up", "free some space and record again"),
    errno.EFBIG: ("the file has reached the largest size allowed", "raise the file size limit or record elsewhere"),
    errno.EROFS: ("the file system is read-only", "choose another folder"),
    errno.EACCES: ("access is not permitted", "check the permissions or choose another folder"),
    errno.EPERM: ("access is not permitted", "check the permissions or choose another folder"),
    errno.ENOENT: ("there is no such file or folder", "check the path"),
    errno.ENOTDIR: ("part of the path is not a folder", "check the path"),
    errno.EISDIR: ("this is a folder, not a session file", "name a file inside it"),
    errno.EEXIST: ("the file is already there", "choose another name"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.EIO: ("the disk reports a read or write error", "check the disk"),
}
_ANY_ANSWER_DO = "check the disk and the path"


class RecordingError(Exception):
    """A session could not be written or read: one line with where, what, and what to do.

    ``where`` is a path (or a path and a byte position), ``what`` happened there, ``do`` is the way out.
    """

    def __init__(self, where: Path | str, what: str, do: str) -> None:
        self.where = str(where)
        self.what = what
        self.do = do
        # A file name may hold a line break; the message may not.
        super().__init__(" ".join(f"{self.where}: {what}; {do}".split()))


def from_disk(where: Path | str, error: OSError) -> RecordingError:
    """What the operating system said about ``where``, as one line."""
    what, do = _DISK_ANSWERS.get(error.errno or 0, (error.strerror or str(error), _ANY_ANSWER_DO))
    return RecordingError(where, what, do)
