"""The wheel and the sdist hold the package with its kernels inside, and nothing at the top level that could clash."""

import configparser
import importlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from ttfs_convert.cli.command_list import COMMANDS

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source") / "clone"
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True)
    if files.returncode:
        pytest.skip("not a git clone: the list of files to build from is unknown")
    for name in filter(None, files.stdout.split("\0")):
        if (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source], check=True, capture_output=True)
    return out


def test_wheel(built):
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    for module in (
        "ttfs_convert/__init__.py",
        "ttfs_convert/py.typed",
        "ttfs_convert/figures/templates/report.html",
        "ttfs_convert/kernels/convolve.py",
        "ttfs_convert/lowering/operators/table.py",
        "ttfs_convert/data/__init__.py",
        "ttfs_convert/measurement/cost_tables/loihi.toml",
        "ttfs_convert/training/torch.py",
        "ttfs_convert/cli/inspect.py",
    ):
        assert module in names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ttfs_convert"}


def test_every_command_is_installed(built):
    archive = zipfile.ZipFile(next(built.glob("*.whl")))
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
    found = configparser.ConfigParser(delimiters="=")
    found.read_string(archive.read(name).decode())
    entries = dict(found["console_scripts"])
    assert entries == {name: f"ttfs_convert.cli.entry:{name.replace('-', '_')}" for name in COMMANDS}
    for target in entries.values():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))
    (plugin,) = found["pytest11"].values()
    assert importlib.import_module(plugin).ttfs_conversion


def test_every_package_is_listed(built):
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    shipped = {str(Path(name).parent) for name in names if name.endswith("__init__.py")}
    present = {str(path.parent.relative_to(ROOT)) for path in (ROOT / "ttfs_convert").rglob("__init__.py")}
    assert shipped == present | {"ttfs_convert/kernels"}


def test_sdist(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    for name in (
        "kernels/convolve.py",
        "ttfs_convert/network/network.py",
        "CLI.md",
        "LICENSE",
        "examples/fashion_mnist/model.onnx",
        "examples/fashion_mnist/images.npz",
        "tests/test_packaging.py",
    ):
        assert name in names


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Where the wheel is installed; and a clone, whose folder ttfs_convert/ hides it from programs started there."""
    site, clone = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("clone")
    zipfile.ZipFile(next(built.glob("*.whl"))).extractall(site)
    for part in ("ttfs_convert", "kernels", "benchmarks", "examples/fashion_mnist"):
        shutil.copytree(ROOT / part, clone / part, ignore=shutil.ignore_patterns("__pycache__"))
    return site, clone


def python(folder, site, *arguments):
    """What a Python started in `folder` prints, with the wheel installed."""
    result = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(site)})
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


WHERE = """
import ttfs_convert.conversion.pipeline as other
import ttfs_convert.kernels.convolve as kernel
print(kernel.__file__, other.__file__, sep="\\n")
"""


def test_the_clone_is_whole_in_its_own_folder_and_the_installation_elsewhere(installed, tmp_path):
    site, clone = installed
    assert python(clone, site, "-c", WHERE) == [str(clone / "kernels" / "convolve.py"), str(clone / "ttfs_convert" / "conversion/pipeline.py")]
    assert python(tmp_path, site, "-c", WHERE) == [str(site / "ttfs_convert" / name) for name in ("kernels/convolve.py", "conversion/pipeline.py")]


def test_benchmarks_start_in_the_clone(installed):
    assert any("--quick" in line for line in python(installed[1], installed[0], "-m", "benchmarks", "--help"))


def test_python_in_the_readme_runs_in_the_clone(installed, tmp_path):
    site, clone = installed
    *_, code = re.findall("```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    code = "".join(line for line in code.splitlines(True) if "tun" not in line)  # takes half a minute, and is tested elsewhere
    assert code.count("print") == 3
    agreement, shape, predicted = python(clone, site, "-c", code)
    assert float(agreement.split()[0]) > 0.99 and shape == "(5, 28, 28, 24)" and predicted == "[9 2 1 1 6]"
