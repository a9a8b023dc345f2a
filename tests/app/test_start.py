"""The first window: early, and with nothing heavy in front of it. Each in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

HANG_S = 60
HEAVY = ("numpy", "pyqtgraph", "bleak", "mcap", "serial", "vqf", "miniaudio", "asyncio", "platformdirs")


def python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        env={**os.environ, **env},
        check=False,
    )


def loaded(code: str, **env: str) -> set[str]:
    done = python(f"{code}\nimport sys\nprint('loaded', *[name for name in {HEAVY} if name in sys.modules])", **env)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_importing_the_entry_loads_nothing_heavy():
    assert loaded("import nexuslink.app.main") == set()


@pytest.mark.parametrize("options", ["", "device_url='sim:', site='psoas-left', autostart=True"])
def test_the_first_window_loads_nothing_heavy(options):
    code = f"from nexuslink.app.main import run\nassert run({options}) == 0"
    assert loaded(code, NEXUSLINK_REPORT_FIRST_PAINT="exit") == set()


def test_the_list_of_heavy_modules_can_tell():
    assert "numpy" in loaded("import nexuslink.app.views.hold")


def test_first_paint_is_reported_only_when_asked_for():
    code = "import sys; from nexuslink.app.main import main; sys.exit(main(['--theme', 'light']))"
    done = python(code, NEXUSLINK_REPORT_FIRST_PAINT="exit")
    assert (done.returncode, done.stdout) == (0, "first-window\n"), done.stderr
    quiet = (
        "from PySide6.QtCore import QTimer; from PySide6.QtWidgets import QApplication\n"
        "app = QApplication([]); QTimer.singleShot(500, app.quit)\n"
        "from nexuslink.app.main import run; run(record=False)"
    )
    done = python(quiet, NEXUSLINK_REPORT_FIRST_PAINT="")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_window_was_really_painted():
    code = """
from nexuslink.app import main
from nexuslink.app.instruments.text import Text
seen = []
plain = Text.draw
Text.draw = lambda self, painter: (seen.append(self.text), plain(self, painter))[1]
main.run()
assert "Which tool?" in seen, seen
"""
    done = python(code, NEXUSLINK_REPORT_FIRST_PAINT="exit")
    assert done.returncode == 0, done.stderr


def test_at_two_pixels_to_one_everything_is_drawn_finely():
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from PySide6.QtWidgets import QApplication
app = QApplication([])
from drive import Driver
from nexuslink.app.views.hold import HoldView
from nexuslink.app.window import Window
window = Window("dark")
view = HoldView(window)
window.add(view)
driver = Driver().advance(12)
view.begin(driver.plan, True, True)
window.go(view)
window.show()
for _ in range(30):
    driver.batch()
    view.refresh(driver.snapshot, driver.ring)
    app.processEvents()
image = view.grab().toImage()
assert (image.width(), image.height()) == (2560, 1440), image.size()
assert view.sweep._wide > 2200
assert view.ring._back.devicePixelRatio() == 2.0
assert view.ring._back.width() == 2 * view.ring.width()
"""
    done = python(code, QT_SCALE_FACTOR="2")
    assert done.returncode == 0, done.stderr


def test_pyside_is_not_the_broken_one():
    import PySide6

    assert PySide6.__version__ != "6.12.0"
    assert version("PySide6-Essentials") != "6.12.0"


@pytest.mark.skipif(os.name == "nt", reason="no SIGTERM to a process there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_mid_hold_finishes_the_recording(tmp_path, number):
    url = "sim:?script=good-psoas&speed=20&seed=1"
    process = subprocess.Popen(
        [sys.executable, "-m", "nexuslink.app.main", "--start", "--silent", "--device", url, "--sessions", tmp_path],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + HANG_S
        while not any(path.stat().st_size > 20_000 for path in tmp_path.glob("*.part")):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(HANG_S) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".mcap"]
