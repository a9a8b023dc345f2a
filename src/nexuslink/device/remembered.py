"""The tools that this person has had: so that the next time needs one click, or none, and nobody else passes as one.

One JSON file a tool in the user's data folder, each written whole or not at all, so that several programs can do so at
once. What is in a file is not believed: it is read field by field, and one that makes no sense is as good as none. No
file error gets out of here. The number of files is bounded; a tool with a bond is forgotten last, because forgetting
it would let another one claim its serial number.

No key is ever kept here: bonds are the operating system's, this only remembers *that* there is one.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from nexuslink.device.errors import ImpostorError

TOOLS_MAX: Final = 64
URLS_MAX: Final = 4
TEXT_MAX: Final = 200
"""Characters of any text in a file."""
FILE_MAX: Final = 8192
SUFFIX: Final = ".json"
SCHEMA: Final = 1
SWITCH: Final = "NEXUSLINK_TOOLS"
"""Environment: another folder, or ``off``."""


@dataclass(frozen=True, slots=True)
class RememberedTool:
    """One tool."""

    serial_number: str
    name: str = ""
    """What the person calls it; empty: what it calls itself."""
    model: str = ""
    urls: tuple[str, ...] = ()
    """Where it was found, latest first."""
    identity: str = ""
    """The hardware behind the latest address: a USB device, a radio's address; empty where there is none."""
    simulated: bool = False
    bonded: bool = False
    """This computer has a bond with it."""
    bonded_at: str = ""
    """The radio's address to which the bond belongs; empty: not known."""
    last_seen: str = ""
    """ISO 8601, for people only: nothing is computed from it."""
    left: bool = False
    """The person went away from it on purpose; until it is connected again nobody connects to it unasked."""

    def may_be_at(self, address: str, bonded: bool | None) -> bool:
        """The bond allows that it is this tool which a radio hears there; a cable needs none. See `trust`.

        ``bonded``: what the system says.
        """
        if not self.bonded or not address.startswith("ble:"):
            return True
        return bonded is True or (bonded is None and address == (self.bonded_at or address))


def usual_folder() -> Path | None:
    """NEXUSLINK_TOOLS, or the user's data folder; ``None`` where it is switched off."""
    import platformdirs

    named = os.environ.get(SWITCH)
    if named == "off":
        return None
    return Path(named) if named else platformdirs.user_data_path("nexuslink", appauthor=False) / "tools"


class RememberedTools:
    """In the folder that ``folder()`` names (``None``: in memory only)."""

    def __init__(self, folder: Callable[[], Path | None]) -> None:
        self._folder = folder
        self._memory: dict[str, RememberedTool] = {}
        self._lock = threading.Lock()

    def all(self) -> list[RememberedTool]:
        """Every one, latest first."""
        with self._lock:
            known = dict(self._memory)
        found = {tool.serial_number: tool for path in reversed(self._paths()) if (tool := _read(path)) is not None}
        return [*found.values(), *(tool for serial, tool in reversed(known.items()) if serial not in found)]

    def damaged(self) -> list[Path]:
        """Files that make no sense."""
        return [path for path in self._paths() if _read(path) is None]

    def find(self, serial_number: str) -> RememberedTool | None:
        """The tool with this serial number."""
        folder = self._folder()
        stored = _read(_path(folder, serial_number)) if folder is not None else None
        if stored is not None and stored.serial_number == serial_number:
            return stored
        with self._lock:
            return self._memory.get(serial_number)

    def at(self, url: str) -> RememberedTool | None:
        """The tool that was found at this address last."""
        return next((tool for tool in self.all() if tool.urls[:1] == (url,)), None)

    def keep(self, tool: RememberedTool) -> RememberedTool:
        """Remember what is known now; what is not said stays as it was. A bond stays until `forget`.

        Who is kept anew has come back: it is not ``left`` unless ``tool`` says so.
        """
        before = self.find(tool.serial_number)
        if before is not None:
            tool = replace(
                tool,
                name=tool.name or before.name,
                model=tool.model or before.model,
                urls=tuple(dict.fromkeys((*tool.urls, *before.urls)))[:URLS_MAX],
                identity=tool.identity or before.identity,
                bonded=tool.bonded or before.bonded,
                bonded_at=tool.bonded_at or before.bonded_at,
                last_seen=tool.last_seen or before.last_seen,
            )
        with self._lock:
            self._memory.pop(tool.serial_number, None)
            self._memory[tool.serial_number] = tool
            for serial in _oldest(list(self._memory.values())):
                del self._memory[serial]
        folder = self._folder()
        if folder is not None:
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                _write(_path(folder, tool.serial_number), _packed(tool))
                self._thin_out()
        return tool

    def rename(self, serial_number: str, name: str) -> None:
        """What the person calls it; empty: what it calls itself. Nothing happens for a tool that is not known.

        Its place among the others stays: it has not been used.
        """
        tool, folder = self.find(serial_number), self._folder()
        if tool is None:
            return
        path = _path(folder, serial_number) if folder is not None else None
        when = None
        with suppress(OSError):
            when = path.stat() if path is not None else None
        self.keep(replace(tool, name=name[:TEXT_MAX] or tool.serial_number))
        with suppress(OSError):
            if path is not None and when is not None:
                os.utime(path, ns=(when.st_atime_ns, when.st_mtime_ns))

    def leave(self, serial_number: str) -> None:
        """The person went away from it on purpose. Nothing happens for a tool that is not known."""
        tool = self.find(serial_number)
        if tool is not None:
            self.keep(replace(tool, left=True))

    def forget(self, serial_number: str) -> None:
        """Know it no longer, its bond included. The system's own key is the system's to remove."""
        with self._lock:
            self._memory.pop(serial_number, None)
        folder = self._folder()
        if folder is not None:
            with suppress(OSError):
                _path(folder, serial_number).unlink(missing_ok=True)

    def refuse_impostor(self, serial_number: str, url: str, address: str, bonded: bool | None) -> None:
        """Raise `ImpostorError` where a tool that is bonded with answers over a radio link without that bond.

        ``address``: the hardware's, as in `RememberedTool.identity`. See `RememberedTool.may_be_at`.
        """
        known = self.find(serial_number)
        if known is not None and not known.may_be_at(address, bonded):
            raise ImpostorError(
                f"{url}: it says that it is {serial_number}, but it is not the one that this computer is paired with; "
                "if it is yours and was set back, forget the tool here and pair it again"
            )

    def _paths(self) -> list[Path]:
        """The files, oldest first."""
        folder = self._folder()
        if folder is None:
            return []
        found: list[tuple[int, Path]] = []
        with suppress(OSError):
            for path in folder.glob("tool-*" + SUFFIX):
                with suppress(OSError):  # another program may have taken it away
                    found.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(found)[-4 * TOOLS_MAX :]]

    def _thin_out(self) -> None:
        paths = self._paths()
        if len(paths) <= TOOLS_MAX:
            return
        read = [(path, _read(path)) for path in paths]
        for path in [path for path, tool in read if tool is None]:
            path.unlink(missing_ok=True)
        whole = {tool.serial_number: path for path, tool in read if tool is not None}
        for serial in _oldest([tool for _, tool in read if tool is not None]):
            whole[serial].unlink(missing_ok=True)


def _oldest(tools: list[RememberedTool]) -> list[str]:
    """Serial numbers that are too many, of tools in the order of their age: those without a bond first."""
    worth = sorted(range(len(tools)), key=lambda at: (tools[at].bonded, at))
    return [tools[at].serial_number for at in worth[: max(0, len(tools) - TOOLS_MAX)]]


def _packed(tool: RememberedTool) -> bytes:
    return json.dumps({"schema": SCHEMA, **asdict(tool)}, indent=1).encode(errors="replace")


def _read(path: Path) -> RememberedTool | None:
    """One file, as far as it makes sense."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return None
        with path.open("rb") as file:
            data = file.read(FILE_MAX + 1)
        if len(data) > FILE_MAX:
            return None
        values = json.loads(data)
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        return None
    tool = RememberedTool(
        **{field.name: _value(field.name, values.get(field.name)) for field in fields(RememberedTool)}
    )
    named = path.name == _path(path.parent, tool.serial_number).name  # a file tells of the tool it is named for
    return tool if tool.serial_number and named else None


def _value(name: str, value: Any) -> Any:
    """A field's value, or what stands for none."""
    if name == "urls":
        given = value if isinstance(value, list) else []
        return tuple(text for item in given[:URLS_MAX] if (text := _text(item)))
    if name in ("simulated", "bonded", "left"):
        return value is True
    return _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= TEXT_MAX and value.isprintable() else ""


def _path(folder: Path, serial_number: str) -> Path:
    """A serial number comes from the wire: its bytes in hexadecimal are a file name everywhere."""
    return folder / ("tool-" + serial_number[:TEXT_MAX].encode(errors="replace").hex()[:200] + SUFFIX)


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, whoever reads or writes it at the same time."""
    aside = path.with_name(f"{path.stem}-{os.getpid()}-{threading.get_ident()}{SUFFIX}")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


USUAL: Final = RememberedTools(usual_folder)
"""This person's."""
