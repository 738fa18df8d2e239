"""The kernels' disk cache: never stale, never in the way; and the suite without compilation."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USE = "from ttfs_convert.kernels.threshold import time_step; print(time_step(0.5, 10, 0.0))"


def run(code, **environment):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment})


def folder_of(source):
    return run(f"import sys; sys.path.insert(0, {str(source.parent)!r}); from {source.name} import _jit; print(_jit._FOLDER)").stdout


def test_an_edited_helper_gets_a_cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    copy = tmp_path / "copied"
    shutil.copytree(ROOT / "kernels", copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = folder_of(copy)
    assert str(tmp_path / "cache") in before and folder_of(copy) == before
    (copy / "events.py").write_text((copy / "events.py").read_text() + "\n# changed\n")
    assert folder_of(copy) != before


def test_compiled_code_lands_in_the_user_cache(tmp_path):
    result = run(USE, XDG_CACHE_HOME=str(tmp_path))
    assert result.stdout.strip() == "5.0", result.stderr
    assert list((tmp_path / "ttfs-convert" / "kernels").rglob("*.nbi"))


OUTSIDE = """
import numpy as np
from ttfs_convert.kernels._jit import jit

@jit()
def read(values, at):
    return values[at]

read(np.zeros(3), 3)
"""


def test_bounds_are_checked_where_numba_is_told_to(tmp_path):
    """In compiled code that is kept apart from the usual one."""
    here = {"XDG_CACHE_HOME": str(tmp_path)}
    assert run(OUTSIDE, **here, NUMBA_BOUNDSCHECK="0").returncode == 0
    result = run(OUTSIDE, **here, NUMBA_BOUNDSCHECK="1")
    assert result.returncode == 1 and "IndexError" in result.stderr
    assert len(list((tmp_path / "ttfs-convert" / "kernels").iterdir())) == 2


def assert_said_once(result):
    assert result.stdout.strip() == "5.0", result.stderr
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("kernels cannot be kept ("), result.stderr


def test_without_a_writable_cache_kernels_still_run_and_it_is_said_once(tmp_path):
    (tmp_path / "file").touch()
    two = USE + "; from ttfs_convert.kernels.rounding import TIE; from ttfs_convert.kernels.threshold import time_step; time_step(1, 10, 0.0)"
    assert_said_once(run(two, XDG_CACHE_HOME=str(tmp_path / "file")))
    assert run("import ttfs_convert.kernels.threshold", XDG_CACHE_HOME=str(tmp_path / "file")).stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="home folders are POSIX's")
def test_a_user_without_a_home_folder(tmp_path):
    """No file lands in a folder called ~ beside the user's own."""
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    nobody = "import os, pwd; pwd.getpwuid = lambda number: {}[number]; "
    result = subprocess.run([sys.executable, "-c", nobody + USE], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert_said_once(result)
    assert "no home folder" in result.stderr and not list(tmp_path.iterdir())


def test_a_cache_that_was_cut_off_is_written_again(tmp_path):
    """As after a power failure: files that are empty, short, or of zeros."""
    here = {"XDG_CACHE_HOME": str(tmp_path)}
    assert run(USE, **here).stdout.strip() == "5.0"
    folder = next((tmp_path / "ttfs-convert" / "kernels").iterdir())
    for ending, damage in (("nbi", lambda data: b""), ("nbi", lambda data: bytes(len(data))), ("nbc", lambda data: data[: len(data) // 2])):
        whole = {path: path.read_bytes() for path in folder.glob(f"*.{ending}")}
        for path, data in whole.items():
            path.write_bytes(damage(data))
        result = run(USE, **here)
        assert whole and (result.stdout.strip(), result.stderr) == ("5.0", "")
        assert all(len(path.read_bytes()) > len(data) // 2 and any(path.read_bytes()) for path, data in whole.items())


def test_processes_fill_one_cold_cache(tmp_path):
    """Each with code of its own: the next process reads what all have compiled."""
    calls = [f"time_step({value})" for value in ("0.5, 10, 0.0", "np.float32(0.5), 10, 0.0", "0.5, np.int32(10), 0.0")]
    codes = [f"import numpy as np; from ttfs_convert.kernels.threshold import time_step; print({call})" for call in calls]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    children = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) for code in codes
    ]
    assert [child.communicate() for child in children] == [("5.0\n", "")] * 3
    hits = "; assert sum(time_step.stats.cache_hits.values()) == 1, time_step.stats"
    for code in codes:
        result = run(code + hits, XDG_CACHE_HOME=str(tmp_path))
        assert result.returncode == 0, result.stderr


def test_what_a_killed_process_left_of_writing_is_removed(tmp_path):
    here = {"XDG_CACHE_HOME": str(tmp_path)}
    folder = Path(run("from ttfs_convert.kernels import _jit; print(_jit._FOLDER)", **here).stdout.strip())
    (folder / "threshold.time_step-1.py311.1.nbc.tmp.0123456789abcdef").write_bytes(b"half")
    run(USE, **here)
    assert not list(folder.glob("*.tmp.*")) and list(folder.glob("*.nbc"))


def test_a_full_disk_costs_no_result(tmp_path):
    resource = pytest.importorskip("resource")
    result = subprocess.run(
        [sys.executable, "-c", USE],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64)),
    )
    assert_said_once(result)
    assert not list(tmp_path.rglob("*.nb?"))


def test_clones_of_the_same_content_share_their_compiled_code(tmp_path):
    def compiled(clone):
        for part in ("ttfs_convert", "kernels"):
            shutil.copytree(ROOT / part, tmp_path / clone / part, ignore=shutil.ignore_patterns("__pycache__"))
        code = f"import sys; sys.path.insert(0, {str(tmp_path / clone)!r}); {USE}; from ttfs_convert import kernels; print(kernels.__file__)"
        result = run(code, XDG_CACHE_HOME=str(tmp_path / "cache"))
        assert result.stdout.splitlines() == ["5.0", str(tmp_path / clone / "kernels" / "__init__.py")], result.stderr
        return {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.nb?")}

    first = compiled("first")
    assert first and compiled("second") == first


def test_kernels_pass_without_compilation():
    """Shows index errors that compiled code hides."""
    tests = [str(path) for path in sorted(Path(__file__).parent.glob("test_*.py")) if path != Path(__file__)]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
    assert result.returncode == 0, result.stdout[-2000:]
