"""The house as it is drawn: packages, names of files, and the recipes that lead through them."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
MODULES = [path for folder in ("ttfs_convert", "kernels") for path in (ROOT / folder).rglob("*.py")]
MODULES_BESIDE = {"errors", "freed_memory", "memory_bound", "progress", "shown"}


def packages():
    """Names of all packages, and of the modules beside them, as the drawing has them; `training` stands beside the drawing."""
    found = {".".join(path.parent.relative_to(ROOT / "ttfs_convert").parts) for path in MODULES if path.is_relative_to(ROOT / "ttfs_convert")}
    return {name.replace("network.", "").replace("lowering.", "") for name in found if name} - {"training"} | {"kernels"} | MODULES_BESIDE


def drawn():
    block = PAGE.split("```")[1]
    return re.findall(r"(?:^ *|  )(\w+)   *\S", block, re.M)


def test_the_drawing_has_every_package_once():
    assert sorted(drawn()) == sorted(packages())


def test_every_file_name_has_one_meaning():
    names = Counter(path.name for path in MODULES if path.name not in ("__init__.py", "__main__.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_the_pages_name_files_that_exist():
    for page in (PAGE, (ROOT / "CONTRIBUTING.md").read_text()):
        paths = re.findall(r"`([\w./]+\.(?:py|md|cfg|toml)|[\w/]+/)`", page)
        assert len(paths) > 10
        missing = [path for path in paths if not any((ROOT / start / path).exists() for start in ("", "ttfs_convert"))]
        assert missing == []
