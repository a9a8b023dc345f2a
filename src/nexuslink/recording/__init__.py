"""Sessions: write, read, recover.

A session is one MCAP file: the raw chunks as they arrived, what was estimated from them, what happened, and
everything needed to run it again. This room knows numpy, the file format and :mod:`nexuslink.protocol.chunk`; it
never knows a device, a plan or a window. The head of :mod:`nexuslink.recording.container` describes the file.

Only the light names are imported here; take :class:`~nexuslink.recording.writer.SessionWriter`,
:class:`~nexuslink.recording.reader.SessionReader` and :func:`~nexuslink.recording.recovery.recover` from their modules.
"""

from nexuslink.recording.errors import RecordingError
from nexuslink.recording.header import SessionHeader

__all__ = ["RecordingError", "SessionHeader"]
