"""``./run bluez``: the BLE tests once more, on a real BlueZ, in a guest that this machine emulates.

The simulated tools and their virtual air stay outside, native: `tests/bluez/host.py`. The guest's adapter reaches them
over a socket, and what the tests want of the tools over another. The guest is processor, memory and two ports, and
nothing more: no disk, no network. It ends with its tests, after a bound, or with this process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from runner.bluez_image import Image, cache_folder, compile_tree, folder_entries, image, write_cpio
from runner.environment import ROOT, TEST, main_environment
from runner.errors import FAILED, RunError
from runner.install import clean_environ
from runner.progress import run_bounded
from runner.system import BLUEZ, missing_tools

SUITES = (
    "tests/transport/test_contract.py",
    "tests/transport/test_ble_links.py",
    "tests/transport/test_ble_scan.py",
    "tests/transport/test_ble_bonds.py",
    "tests/transport/test_ble_agent.py",
    "tests/simulator/test_ble_product.py",
    "tests/device/test_supervisor_ble.py",
)
"""What runs in the guest when nothing else is asked for."""
SMOKE = "test_bytes_arrive_whole_and_in_order or test_a_request_is_answered or test_opened_again_after_the_peer_hung_up"
LIMIT_S = 900.0
SMOKE_LIMIT_S = 150.0
"""A guard; it takes a fifth of that."""
READY_LIMIT_S = 60.0
MEMORY_MB = 1024
TAIL = 60
"""Lines of the guest's log that are shown after a failure."""
SHIPPED = ("src", "simulator/nexus_simulator")
TESTS = ("tests/bluez", "tests/device", "tests/moments", "tests/simulator", "tests/transport")
PYTEST = (
    "--assert=plain -p pytest_timeout -p bystander -p no:cacheprovider --color=no -m 'not in_process and not thorough'"
)
"""Rewriting assertions takes the emulated processor as long as several tests; ``--assert=rewrite`` shows values."""
_END = "guest: ended with status "
_CRASHED = "guest: bluetoothd ended with status "


def run_bluez(args: list[str]) -> int:
    """Exit status of the tests in the guest; 0 with one line where there can be no guest."""
    smoke = "--smoke" in args
    args = [arg for arg in args if arg != "--smoke"]
    reason = _cannot()
    if reason:
        print(f"./run bluez: skipped, {reason}", flush=True)
        return 0
    main_environment().ensure(TEST)
    try:
        made = image()
    except RunError as error:
        print(f"./run bluez: skipped, {error}", flush=True)
        return 0
    if smoke:
        args = ["tests/transport/test_contract.py", "-x", "-k", SMOKE, *args]
    elif not any(_is_test(arg) for arg in args):
        args = [*SUITES, *args]
    return _run(made, args, SMOKE_LIMIT_S if smoke else LIMIT_S)


def _is_test(arg: str) -> bool:
    return not arg.startswith("-") and os.path.exists(os.path.join(ROOT, arg.partition("::")[0]))


def _cannot() -> str:
    """Why this machine cannot have the guest; empty: it can, after installing was tried where that is allowed."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return "the guest is a PC with Linux, and is emulated on such a one only"
    if not shutil.which("apt-config"):
        return "the guest is made from the Debian packages that this machine uses, and here is no apt"
    missing = missing_tools(BLUEZ, "a guest with BlueZ")
    return f"the emulator or what makes the guest is missing: {missing}" if missing else ""


def _run(made: Image, args: list[str], limit_s: float) -> int:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nexus-bluez-") as name:
        folder = Path(name)
        boot = folder / "boot.cpio"
        _write_boot(boot, made, args)
        with _tools(folder):
            status, log = _guest(made, boot, folder, limit_s)
            if crashes := [line for line in log if _CRASHED in line]:
                log += [f"bluetoothd has crashed {len(crashes)} times: that fails all, whatever the tests say"]
                status = status or FAILED
            log += ["the tools outside:", *(folder / "tools.log").read_text("utf-8", "replace").splitlines()]
    seconds = time.monotonic() - begun
    kept = cache_folder() / "last.log"
    kept.write_text("\n".join(log) + "\n", "utf-8")
    if status != 0:
        print("\n".join(f"    {line}" for line in log[-TAIL:]), file=sys.stderr)
        said = f"./run bluez: FAILED after {seconds:.0f} s; the guest's whole log is {kept}"
        print(said, file=sys.stderr, flush=True)
        return FAILED
    print(f"./run bluez: passed in {seconds:.0f} s", flush=True)
    return 0


def _write_boot(boot: Path, made: Image, args: list[str]) -> None:
    """The image, and behind it the checkout and what is to be run."""
    sources = boot.parent / "checkout"
    for name in (*SHIPPED, *TESTS):
        shutil.copytree(Path(ROOT, name), sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    for shared in Path(ROOT, "tests").glob("*.py"):
        if shared.name != "conftest.py":  # it needs more than the guest has
            shutil.copy(shared, sources / "tests")
    compile_tree(sources, "/checkout", made.python_minor)
    shutil.copy(Path(ROOT, "pyproject.toml"), sources)
    quoted = " ".join("'" + arg.replace("'", "'\\''") + "'" for arg in args)
    command = f"exec python3 -m pytest {PYTEST} {quoted}\n"
    with open(boot, "wb") as file:
        with open(made.root, "rb") as root:
            shutil.copyfileobj(root, file)
        write_cpio(
            file,
            [
                *folder_entries(sources, "checkout"),
                ("checkout/.guest-command", stat.S_IFREG | 0o644, command.encode()),
            ],
        )
    shutil.rmtree(sources)


@contextlib.contextmanager
def _tools(folder: Path) -> Iterator[None]:
    """The air and the tools outside; what they say is in ``tools.log``."""
    path = os.pathsep.join(os.path.join(ROOT, name) for name in ("src", "simulator"))
    with open(folder / "tools.log", "wb") as log:
        process = subprocess.Popen(
            [main_environment().python, os.path.join(ROOT, "tests", "bluez", "host.py"), *_sockets(folder)],
            stdin=subprocess.PIPE, stdout=log, stderr=log, env=clean_environ() | {"PYTHONPATH": path},
        )  # fmt: skip
    try:
        deadline = time.monotonic() + READY_LIMIT_S
        while not all(os.path.exists(socket) for socket in _sockets(folder)):
            if process.poll() is not None or time.monotonic() > deadline:
                said = (folder / "tools.log").read_text("utf-8", "replace").strip().splitlines()
                raise RunError(f"the simulated tools did not start: {said[-1] if said else 'no word of them'}", FAILED)
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.communicate()


def _sockets(folder: Path) -> tuple[str, str]:
    return str(folder / "hci"), str(folder / "control")


def _guest(made: Image, boot: Path, folder: Path, limit_s: float) -> tuple[int, list[str]]:
    """Its tests' exit status, and everything it said."""
    hci, control = _sockets(folder)
    kernel = "console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests random.trust_cpu=on"
    command = [
        "qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-cpu", "Nehalem,+rdrand",
        "-m", str(MEMORY_MB),
        "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
        "-kernel", str(made.kernel), "-initrd", str(boot), "-append", kernel,
        "-device", "virtio-serial-pci",
        "-chardev", f"socket,id=hci,path={hci}", "-device", "virtconsole,chardev=hci",
        "-chardev", f"socket,id=control,path={control}", "-device", "virtserialport,chardev=control,name=control",
    ]  # fmt: skip
    log: list[str] = []

    def on_line(line: str) -> None:
        log.append(line.rstrip())
        if not line.startswith(("bluetoothd[", "[", "guest: ")):
            print(line.rstrip(), flush=True)

    # Whatever becomes of this process, the emulator does not outlive it.
    run_bounded(["setpriv", "--pdeathsig", "KILL", *command], limit_s=limit_s, on_line=on_line)
    ends = [line.removeprefix(_END) for line in log if line.startswith(_END)]
    return int(ends[-1]) if ends else FAILED, log
