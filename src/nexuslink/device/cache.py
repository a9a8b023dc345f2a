"""Tools that were seen before: what they said about themselves, kept under the check that HELLO gives of it.

A tool's HELLO names its serial number, its wire (schema hash) and a CRC-32 over INFO, DESCRIBE and the calibration
record as they are now. Whoever has these bytes under the same three need not ask again. Every entry is checked against
HELLO when it is taken out, so that a damaged or foreign file is as good as none; no file error ever gets out of here.
Memory is bounded, and so is the folder.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zlib import crc32

from nexuslink.protocol.description import ToolDescription, description_crc
from nexuslink.protocol.messages import CALIBRATION_MAX, HelloResponse
from nexuslink.protocol.record import damage

TOOLS_MAX: Final = 64
"""Tools remembered, in memory and in the folder; the oldest entry goes first."""
MAGIC: Final = b"nexus-tool-1\n"
SUFFIX: Final = ".tool"
FILE_MAX: Final = len(MAGIC) + 8 + 6 * 256 + CALIBRATION_MAX
SWITCH: Final = "NEXUSLINK_CACHE"
"""Environment: another folder, or ``off``."""

_Key = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Known:
    """What a tool says about itself."""

    description: ToolDescription
    record: bytes
    """The calibration record as it came, whole."""

    @property
    def crc(self) -> int:
        """What HELLO's description_crc must be."""
        return description_crc(self.description.payloads[1], self.description.payloads[2:], self.record)


def usual_folder() -> Path | None:
    """NEXUSLINK_CACHE, or the user's cache folder; ``None`` where it is switched off."""
    import platformdirs

    named = os.environ.get(SWITCH)
    if named == "off":
        return None
    return Path(named) if named else platformdirs.user_cache_path("nexuslink", appauthor=False) / "tools"


class ToolCache:
    """In memory, and in the folder that ``folder()`` names (``None``: nowhere)."""

    def __init__(self, folder: Callable[[], Path | None]) -> None:
        self._folder = folder
        self._memory: OrderedDict[_Key, Known] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, hello: bytes) -> Known | None:
        """What is known of the tool with this HELLO payload, as of now."""
        said = HelloResponse.unpack(hello)
        if said is None:
            return None
        key = (said.serial_number, said.schema_hash, said.description_crc)
        with self._lock:
            known = self._memory.get(key)
        known = known or self._read(said.serial_number)
        if known is None:
            return None
        info, *streams = known.description.payloads[1:]
        description = ToolDescription.of(hello, info, streams)
        stored = known.description.hello
        if description is None or key != (stored.serial_number, stored.schema_hash, known.crc) or damage(known.record):
            return None
        self._remember(key, known)
        return Known(description, known.record)

    def keep(self, known: Known) -> None:
        """Remember a tool. A folder that cannot be written is left alone."""
        hello = known.description.hello
        self._remember((hello.serial_number, hello.schema_hash, known.crc), known)
        folder = self._folder()
        if folder is None:
            return
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            described = known.description.pack()
            body = len(described).to_bytes(4, "little") + described + known.record
            _write(_path(folder, hello.serial_number), MAGIC + crc32(body).to_bytes(4, "little") + body)
            files = sorted(folder.glob("*" + SUFFIX), key=lambda path: path.stat().st_mtime_ns)
            for path in files[:-TOOLS_MAX]:
                path.unlink(missing_ok=True)

    def _remember(self, key: _Key, known: Known) -> None:
        with self._lock:
            self._memory[key] = known
            self._memory.move_to_end(key)
            if len(self._memory) > TOOLS_MAX:
                self._memory.popitem(last=False)

    def _read(self, serial_number: str) -> Known | None:
        folder = self._folder()
        if folder is None:
            return None
        path = _path(folder, serial_number)
        try:
            if not path.is_file():  # a pipe would be waited for
                return None
            with path.open("rb") as file:
                data = file.read(FILE_MAX + 1)
        except OSError:
            return None
        check, body = data[len(MAGIC) : len(MAGIC) + 4], data[len(MAGIC) + 4 :]
        if len(data) > FILE_MAX or not data.startswith(MAGIC) or crc32(body).to_bytes(4, "little") != check:
            return None
        split = 4 + int.from_bytes(body[:4], "little")
        description = ToolDescription.unpack(body[4:split])
        return None if description is None else Known(description, body[split:])


def _path(folder: Path, serial_number: str) -> Path:
    """A serial number comes from the wire: its bytes in hexadecimal are a file name everywhere."""
    return folder / ("tool-" + serial_number.encode(errors="replace").hex() + SUFFIX)


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, whoever reads or writes it at the same time."""
    # Left behind by a crash, it is thrown out in its turn like any entry.
    aside = path.with_name(f"{path.stem}-{os.getpid()}-{threading.get_ident()}{SUFFIX}")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


USUAL: Final = ToolCache(usual_folder)
"""This process's and this user's."""
