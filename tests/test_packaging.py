"""The wheel and the sdist hold the package with its kernels inside, and nothing at the top level that could clash."""

import importlib
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from ttfs_convert.cli.reference import COMMANDS

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
    for module in ("ttfs_convert/__init__.py", "ttfs_convert/kernels/conv.py", "ttfs_convert/lowering/table.py",
                   "ttfs_convert/datasets/__init__.py", "ttfs_convert/shims/torch.py", "ttfs_convert/cli/inspect.py"):
        assert module in names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ttfs_convert"}


def test_every_command_is_installed(built):
    archive = zipfile.ZipFile(next(built.glob("*.whl")))
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
    entries = dict(re.findall(r"^(\S+) = (\S+)$", archive.read(name).decode(), re.M))
    assert entries == {name: f"{command.callback.__module__}:main" for name, command in COMMANDS.items()}
    for target in entries.values():
        module, _, function = target.partition(":")
        assert getattr(importlib.import_module(module), function) in COMMANDS.values()


def test_every_package_is_listed(built):
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    shipped = {str(Path(name).parent) for name in names if name.endswith("__init__.py")}
    present = {str(path.parent.relative_to(ROOT)) for path in (ROOT / "ttfs_convert").rglob("__init__.py")}
    assert shipped == present | {"ttfs_convert/kernels"}


def test_sdist(built):
    names = {name.split("/", 1)[-1] for name in tarfile.open(next(built.glob("*.tar.gz"))).getnames()}
    for name in ("kernels/conv.py", "ttfs_convert/ir.py", "CLI.md", "LICENSE", "examples/fashion_mnist/model.onnx",
                 "examples/fashion_mnist/images.npz", "tests/test_packaging.py"):
        assert name in names
