"""The guest of ``./run bluez``: a kernel and one archive that it unpacks into memory, made from Debian's packages.

The packages come from where this machine's own come from: apt's sources, keys and proxy are handed on, and nothing else
is known of them. They are unpacked and not installed, so that neither root nor a mount is needed. What is made lies in
the user's cache folder, under the hash of everything that it was made from. How the guest is run is not known here.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from runner.environment import ROOT, main_environment
from runner.errors import FAILED, RunError
from runner.install import clean_environ, locked_for
from runner.progress import Progress, run_bounded

RECIPE = "1"
"""Change it when the same inputs make something else: every image is then made anew."""
BUILD_LIMIT_S = 420.0
PACKAGES = ("linux-image-amd64", "bluez", "dbus", "python3", "libstdc++6", "busybox-static")
MODULES = (
    "virtio_pci",
    "virtio_console",
    "hci_uart",
    # What Bluetooth's pairing asks the kernel for by name, and BlueZ for its hash of a table.
    "sha512_generic",
    "sha3_generic",
    "jitterentropy_rng",
    "drbg",
    "ecdh_generic",
    "cmac",
    "ccm",
    "ctr",
    "algif_hash",
    "algif_skcipher",
)
LOCKS = {
    "runtime.txt": ("bleak", "cobs", "corncobs", "dbus-fast", "numpy", "pyserial", "typing-extensions"),
    "test.txt": ("iniconfig", "packaging", "pluggy", "pygments", "pytest", "pytest-timeout"),
}
"""Lock file -> the packages that the guest's Python gets of it, where they are in it."""
INIT = Path(ROOT, "tests", "bluez", "init")
DROPPED = re.compile(
    r"boot/|dev/|lib/modules/|(usr/)?lib/udev/|var/cache/|var/lib/(apt|dpkg)/|usr/lib/(valgrind|systemd|klibc)/"
    r"|usr/lib/x86_64-linux-gnu/libperl|site/numpy/(.*/tests|f2py|distutils)/"
    r"|usr/share/(doc|man|locale|perl|info|lintian|i18n|initramfs-tools|bash-completion|zoneinfo)/"
    r"|usr/lib/x86_64-linux-gnu/(gconv|perl)|usr/bin/perl|usr/lib/python3\.\d+/(pydoc_data|idlelib|ensurepip|lib2to3)/"
)
"""Of the packages' files, those that nobody there needs."""
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\nbluetooth:x:1:\n",
    "etc/machine-id": "0" * 31 + "1\n",
    "etc/dbus-1/nexus.conf": (
        "<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>"
        '<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>'
        '<allow send_type="signal"/><allow receive_type="method_call"/><allow receive_type="method_return"/>'
        '<allow receive_type="error"/><allow receive_type="signal"/><allow send_requested_reply="true"/>'
        '<allow send_destination="*"/><allow eavesdrop="true"/></policy></busconfig>\n'
    ),
}
SITE = "site"

Entry = tuple[str, int, bytes]
"""Path without a leading slash, mode with the type, content (of a link: where it leads)."""


class Image:
    """What a guest is booted with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kernel = folder / "vmlinuz"
        self.root = folder / "root.cpio"
        self.python = folder / "python"

    @property
    def python_minor(self) -> str:
        """The guest's Python, as in "3.11"."""
        return self.python.read_text("ascii").strip()


def cache_folder() -> Path:
    """Where images lie."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base, "nexuslink", "bluez")


def image() -> Image:
    """The image for this checkout; made when it is not there. Raises RunError with the end of the log."""
    folder = cache_folder() / _recipe()
    made = Image(folder)
    if not made.python.is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as making:
            _make(Path(making))
            with contextlib.suppress(OSError):  # another ./run was faster
                os.replace(Path(making, "image"), folder)
        for old in folder.parent.iterdir():  # of other recipes: 150 MB each
            if old != folder and not old.name.startswith("."):
                shutil.rmtree(old, ignore_errors=True)
    return made


def _recipe() -> str:
    """Hash of everything that decides what is made."""
    parts = [RECIPE, *PACKAGES, *MODULES, DROPPED.pattern, *FILES.values(), *map(str, LOCKS.values())]
    for name in ("os-release", *(os.path.relpath(path, "/etc") for path in _sources())):
        parts.append(Path("/etc", name).read_text("utf-8"))
    parts += [locked_for(lock, names) for lock, names in LOCKS.items()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _sources() -> list[str]:
    found = ["/etc/apt/sources.list"] if os.path.isfile("/etc/apt/sources.list") else []
    return found + sorted(glob.glob("/etc/apt/sources.list.d/*.sources") + glob.glob("/etc/apt/sources.list.d/*.list"))


def _make(folder: Path) -> None:
    progress = Progress(3)
    out = folder / "image"
    out.mkdir()
    progress.step("a guest with BlueZ: fetching Debian's packages")
    tar = folder / "root.tar"
    _run(_bootstrap(tar), progress)
    progress.done()
    progress.step("a guest with BlueZ: its Python packages")
    entries, kernel, modules, minor = _read(tar)
    site = folder / "site"
    _install(site, minor, folder, progress)
    progress.done()
    progress.step("a guest with BlueZ: putting it together")
    tree = folder / "stdlib"
    library = f"usr/lib/python{minor}/"
    for path, mode, data in entries:
        if path.startswith(library) and path.endswith(".py") and stat.S_ISREG(mode):
            Path(tree, path).parent.mkdir(parents=True, exist_ok=True)
            Path(tree, path).write_bytes(data)
    compile_tree(tree, "/", minor)
    compile_tree(site, f"/{SITE}", minor)
    (out / "vmlinuz").write_bytes(kernel)
    with open(out / "root.cpio", "wb") as file:
        write_cpio(file, [*entries, *_own(modules), *_kept(site), *_compiled(tree)])
    (out / "python").write_text(minor + "\n", "ascii")
    progress.done()


def _bootstrap(tar: Path) -> list[str]:
    options = []
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, timeout=30, check=False).stdout
    for line in dump.splitlines():
        if re.match(r"Acquire::(https?|Check-|Retries)\S* ", line) and not line.endswith(' "";'):
            options.append(f"--aptopt={line}")
    codename = re.search(r"^VERSION_CODENAME=(\S+)", Path("/etc/os-release").read_text("utf-8"), re.MULTILINE)
    if codename is None:
        raise RunError("the guest is made from this machine's Debian, and /etc/os-release names none")
    wanted = f"--include={','.join(PACKAGES)}"
    return [
        "mmdebstrap", "--variant=extract", "--format=tar", "--architectures=amd64", wanted, *options,
        codename[1], str(tar), *_sources(),
    ]  # fmt: skip


def _run(command: list[str], progress: Progress) -> None:
    tail: list[str] = []

    def on_line(line: str) -> None:
        tail.append(line)
        progress.detail(line)

    status = run_bounded(
        command, limit_s=BUILD_LIMIT_S, on_line=on_line, on_wait=progress.tick, env=clean_environ()
    )  # fmt: skip
    if status != 0:
        said = "".join(f"\n    {line}" for line in tail[-8:])
        raise RunError(f"the guest could not be made: {command[0]} ended with status {status}{said}", FAILED)


def _read(tar: Path) -> tuple[list[Entry], bytes, dict[str, bytes], str]:
    """What is kept of the packages, the kernel, all its modules by name, the Python's minor version."""
    entries: list[Entry] = []
    kernel, modules, minor = b"", {}, ""
    with tarfile.open(tar) as archive:
        for member in archive:
            path = member.name.removeprefix("./").rstrip("/")
            if path.startswith("boot/vmlinuz-"):
                kernel = _content(archive, member)
            elif path.startswith("lib/modules/") and path.endswith(".ko"):
                modules[os.path.basename(path)[:-3].replace("-", "_")] = _content(archive, member)
            if match := re.fullmatch(r"usr/bin/python(3\.\d+)", path):
                minor = match[1]
            if path in ("", ".") or DROPPED.match(path):
                continue
            if member.isdir():
                entries.append((path, stat.S_IFDIR | 0o755, b""))
            elif member.issym():
                entries.append((path, stat.S_IFLNK | 0o777, member.linkname.encode()))
            elif member.isfile() or member.islnk():
                entries.append((path, stat.S_IFREG | member.mode, _content(archive, member)))
    if not (kernel and modules and minor):
        raise RunError("the guest could not be made: Debian's packages lack a kernel, its modules, or Python", FAILED)
    return entries, kernel, modules, minor


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file is not None else b""


def _own(modules: dict[str, bytes]) -> Iterator[Entry]:
    """What no package brings."""
    for name in ("dev", "proc", "sys", "run", "tmp", "root", "run/dbus", "var/lib/bluetooth", "lib/modules"):
        yield name, stat.S_IFDIR | 0o755, b""
    yield "bin/sh", stat.S_IFLNK | 0o777, b"busybox"
    yield "init", stat.S_IFREG | 0o755, b"#!/bin/sh\nexec /bin/sh /checkout/tests/bluez/init\n"
    for name, text in FILES.items():
        yield name, stat.S_IFREG | 0o644, text.encode()
    for number, name in enumerate(_in_order(modules)):
        yield f"lib/modules/{number:02d}-{name}.ko", stat.S_IFREG | 0o644, modules[name]


def _in_order(modules: dict[str, bytes]) -> list[str]:
    """`MODULES` and what they need, each after what it needs. One that is not there is part of the kernel itself."""
    order: list[str] = []

    def add(name: str) -> None:
        if name in modules and name not in order:
            depends = re.search(rb"\0depends=([^\0]*)\0", modules[name])
            for other in (depends[1].decode() if depends else "").split(","):
                add(other.replace("-", "_"))
            order.append(name)

    for name in MODULES:
        add(name)
    return order


def _install(site: Path, minor: str, folder: Path, progress: Progress) -> None:
    lock = folder / "requirements.txt"
    lock.write_text("".join(locked_for(name, names) for name, names in LOCKS.items()), "utf-8")
    environment = main_environment()
    arguments = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--target", str(site), "-r", str(lock)]
    uv = environment.script("uv")
    if os.path.exists(uv):
        on = ["--python-version", minor, "--python-platform", "x86_64-unknown-linux-gnu"]
        command = [uv, "pip", "install", "--python", environment.python, *on, *arguments]
    else:
        command = [environment.python, "-I", "-m", "pip", "install", "--python-version", minor, *arguments]
    _run(command, progress)


def compile_tree(folder: Path, where: str, minor: str) -> None:
    """Byte code beside the sources, if there is a Python here like the guest's; else the guest makes it, slowly."""
    from runner.pythons import interpreters

    wanted = tuple(int(part) for part in minor.split("."))
    for python in interpreters().get((wanted[0], wanted[1]), [])[:1]:
        compiling = ["-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
        paths = ["-s", str(folder), "-p", where, str(folder)]
        subprocess.run([python, *compiling, *paths], check=False, timeout=300, capture_output=True)


def _compiled(tree: Path) -> Iterator[Entry]:
    for entry in folder_entries(tree, ""):
        if "__pycache__" in entry[0]:
            yield entry


def _kept(site: Path) -> Iterator[Entry]:
    return (entry for entry in folder_entries(site, SITE) if not DROPPED.match(entry[0]))


def folder_entries(folder: Path, where: str) -> Iterator[Entry]:
    """A folder of this machine, as it is to lie in the guest."""
    for path in sorted(folder.rglob("*")):
        name = os.path.join(where, path.relative_to(folder).as_posix())
        if path.is_dir():
            yield name, stat.S_IFDIR | 0o755, b""
        elif path.is_file():
            executable = path.stat().st_mode & 0o111
            yield name, stat.S_IFREG | (0o755 if executable else 0o644), path.read_bytes()


def write_cpio(file: BinaryIO, entries: Iterable[Entry]) -> None:
    """An archive as Linux unpacks it at its start (cpio, "newc"); several may follow each other in one file."""
    made: set[str] = set()
    number = 0

    def put(name: str, mode: int, data: bytes) -> None:
        nonlocal number
        number += 1
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
        file.write(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))

    for name, mode, data in entries:
        for parent in reversed([str(p) for p in Path(name).parents if str(p) != "."]):
            if parent not in made:
                made.add(parent)
                put(parent, stat.S_IFDIR | 0o755, b"")
        if not (stat.S_ISDIR(mode) and name in made):
            made.add(name)
            put(name, mode, data)
    put("TRAILER!!!", 0, b"")
