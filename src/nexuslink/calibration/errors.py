"""What can go wrong with a calibration record outside the tool. Each message is one line: what, where, what to do."""

from __future__ import annotations


class CalibrationFileError(Exception):
    """A file that is not a calibration record, or not one that can be used."""


class MergeError(Exception):
    """Two records that do not belong together."""


class ArchiveError(Exception):
    """The folder of earlier records cannot be written or read."""


class ProcedureError(Exception):
    """A calibration that cannot be begun as it was asked for, or has nothing to give yet."""


class WriteError(Exception):
    """The record was not written as it should be; the message says which record the tool has now."""


class WrongToolError(WriteError):
    """The record was made for another tool."""


class UnsoundRecordError(WriteError):
    """The record would give nonsense; nothing was written."""


class WrongCodeError(WriteError):
    """The tool does not open with this code; nothing was written."""


class LockedError(WriteError):
    """The tool has locked itself again meanwhile."""


class InterruptedWriteError(WriteError):
    """The link or the tool went away before the tool had confirmed the record."""


class ReadBackError(WriteError):
    """The tool does not have what was written to it."""
