"""``./run`` as a process: what it says, what it passes on, and that a second start changes nothing."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "run"
sys.path.insert(0, str(ROOT))

from runner.environment import LAYERS, PROGRAM, Environment  # noqa: E402
from runner.main import COMMANDS  # noqa: E402

HANG_S = 60

#: Stands where the program would be: says what it got and ends with a status of its own.
ECHO = "import sys; print(sys.argv[1:], sys.stdin.read(), end=''); sys.exit(7)\n"


def run(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(RUN), *args],
        env=os.environ | environ,
        input="typed",
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


@pytest.fixture
def ready(tmp_path: Path) -> Environment:
    """An environment that is current by its stamps, with ECHO for a program."""
    environment = Environment(str(tmp_path / "env"))
    venv.create(environment.path, with_pip=False, symlinks=True)
    Path(environment.marks).mkdir()
    Path(environment.script("nexuslink")).write_text(ECHO)
    stamp(environment)
    return environment


def stamp(environment: Environment) -> None:
    for layer in PROGRAM:
        Path(environment.stamp(layer)).write_bytes(environment.made_from(layer))


def tree(path: str) -> dict[str, int]:
    return {str(file): file.lstat().st_mtime_ns for file in Path(path).rglob("*")}


def test_alone_it_prints_the_table_of_commands() -> None:
    done = run()
    assert done.returncode == 0
    assert [name for name in COMMANDS if f"./run {name}" not in done.stdout] == []


@pytest.mark.parametrize("args", [("dmeo",), ("lint", "now"), ("lock", "--newest")], ids=" ".join)
def test_misuse_is_one_line_and_status_two(args: tuple[str, ...], ready: Environment) -> None:
    done = run(*args, NEXUSLINK_VENV=ready.path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("./run: ")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows starts it as `python run`")
def test_the_shell_part_starts_the_environment_s_own_python(ready: Environment) -> None:
    Path(ready.script("nexuslink")).write_text("import sys; print(sys.executable)")
    command = [str(RUN), "nexuslink"]
    done = subprocess.run(
        command,
        env={"PATH": "/nowhere", "NEXUSLINK_VENV": ready.path},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )  # without a python3 on the path: nothing else can have started it
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, ready.python, "")
    done = subprocess.run(
        command,
        env={"PATH": "/nowhere", "NEXUSLINK_VENV": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.returncode == 2 and "no python3" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_second_start_sets_up_nothing_and_stays_out_of_the_way(ready: Environment) -> None:
    before = tree(ready.path)
    done = run("nexuslink", "info", "sim:", "--json", NEXUSLINK_VENV=ready.path)
    assert (done.returncode, done.stdout, done.stderr) == (7, "['info', 'sim:', '--json'] typed", "")
    assert tree(ready.path) == before


@pytest.mark.parametrize("layer", PROGRAM)
def test_a_changed_input_is_noticed(ready: Environment, layer: str) -> None:
    assert ready.lacks(PROGRAM) == []
    Path(ready.stamp(layer)).write_bytes(ready.made_from(layer) + b" ")
    assert ready.lacks(PROGRAM) == [layer]


def test_a_vanished_interpreter_is_noticed(ready: Environment) -> None:
    Path(ready.python).unlink()
    assert ready.lacks(PROGRAM) == list(PROGRAM)


def test_what_died_half_made_is_made_anew_and_a_failure_says_where(ready: Environment) -> None:
    Path(ready.unfinished).touch()
    done = run("nexuslink", NEXUSLINK_VENV=ready.path, PIP_NO_INDEX="1", PIP_FIND_LINKS="", PIP_CONFIG_FILE=os.devnull)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "[1/4] making" in done.stderr and "set-up failed at:" in done.stderr and "tools.txt" in done.stderr
    assert not Path(ready.script("nexuslink")).exists(), "the half-made environment was kept"
    assert Path(ready.unfinished).exists(), "a failed set-up must not look finished"


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    done = run("nexuslink", NEXUSLINK_VENV=str(tmp_path))
    assert done.returncode == 2
    assert "was not made by ./run" in done.stderr and len(done.stderr.splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="the lock is held here by POSIX means")
def test_a_second_start_waits_for_a_set_up_that_is_going_on(ready: Environment) -> None:
    import fcntl

    Path(ready.unfinished).touch()
    with Path(ready.path + ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [sys.executable, str(RUN), "nexuslink"],
            env=os.environ | {"NEXUSLINK_VENV": ready.path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert "waiting" in process.stderr.readline()
        Path(ready.unfinished).unlink()  # the other one is done
    out, err = process.communicate(timeout=HANG_S)
    assert (process.returncode, out, err) == (7, "[] ", "")


def test_old_pythons_can_parse_it() -> None:
    source = RUN.read_text()
    ast.parse(source, feature_version=(3, 7))
    assert not {type(node).__name__ for node in ast.walk(ast.parse(source))} & {"JoinedStr", "AnnAssign", "NamedExpr"}
    with pytest.raises(SyntaxError):  # the check can fail
        ast.parse("def f(a, /): ...", feature_version=(3, 7))


def old_pythons() -> list[Path]:
    versions = Path.home() / ".pyenv" / "versions"
    return [path for name in ("2.7", "3.6", "3.9", "3.10") for path in versions.glob(f"{name}.*/bin/python")]


@pytest.mark.parametrize("python", old_pythons(), ids=lambda path: path.parts[-3])
def test_an_old_python_is_refused_in_one_line(python: Path) -> None:
    done = subprocess.run([python, RUN, "demo"], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "needs Python 3.11" in done.stderr and len(done.stderr.splitlines()) == 1


def test_every_layer_has_its_files() -> None:
    assert [name for files in LAYERS.values() for name in files if not (ROOT / name).is_file()] == []
