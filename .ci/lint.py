"""All that machines hold the code to: `python .ci/lint.py`, or some of it: `python .ci/lint.py style format imports types workflow`.

The tools are those of constraints/checks.txt; pyright wants the extras `test` and `keras` installed, too. Imports and types are read where kernels/
lies inside ttfs_convert/, as in an installation: in a copy, because both tools look for modules where the files are. What is printed names the
clone's own files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted(str(path) for path in (ROOT / ".github" / "workflows").glob("*.yml"))
IMPORT_LINTER = "from importlinter.cli import lint_imports_command; lint_imports_command()"  # it cannot be run as a module

CHECKS = {
    "style": lambda: passes("-m", "ruff", "check"),
    "format": lambda: passes("-m", "ruff", "format", "--check"),
    "imports": lambda: passes_assembled("-c", IMPORT_LINTER, "--no-cache"),
    "types": lambda: passes_assembled("-m", "pyright", "--pythonpath", sys.executable),
    "workflow": lambda: passes("-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS),
}


def main(names: list[str]) -> int:
    if unknown := set(names) - set(CHECKS):
        print(f"no such check: {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or CHECKS:
        print(f"== {name}", flush=True)
        if not CHECKS[name]():
            failed.append(name)
    print(f"== failed: {', '.join(failed)}" if failed else "== nothing found")
    return 1 if failed else 0


def passes(*arguments: str) -> bool:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT).returncode == 0


def passes_assembled(*arguments: str) -> bool:
    """The same in a copy of the package as it is installed."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve()
        package, ignored = tree / "ttfs_convert", shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "ttfs_convert", package, ignore=ignored)
        shutil.copytree(ROOT / "kernels", package / "kernels", ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", tree)
        environment = {
            **os.environ,
            "PYTHONPATH": str(tree),
            "PYTHONUTF8": "1",
            "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",  # newer versions are looked for on the net
        }
        result = subprocess.run([sys.executable, *arguments], cwd=tree, env=environment, stdout=subprocess.PIPE, encoding="utf-8")
    found = result.stdout.replace(str(package / "kernels"), str(ROOT / "kernels")).replace(str(tree), str(ROOT))
    print(found.encode(sys.stdout.encoding, "replace").decode(sys.stdout.encoding), end="", flush=True)
    return result.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
