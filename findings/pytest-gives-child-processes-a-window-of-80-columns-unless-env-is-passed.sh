#!/usr/bin/env bash
# One would guess: a command that a test starts by subprocess.run sees the environment of the test, with env=os.environ or without.
# What happens: pytest imports readline, GNU readline puts LINES and COLUMNS into the process's environment behind Python's back, and a child that
#   inherits it reads 80 columns and 24 lines although nothing is a terminal. os.environ of the parent does not hold them, so that a child started
#   with env=dict(os.environ) sees none. Workers of pytest-xdist are children themselves: there os.environ does hold them.
# Versions: pytest 9.1.1, pytest-xdist 3.8.0, CPython 3.11 with GNU readline. Seen on 2026-11-30:
#     pytest:    own None   child 80   child with env=dict(os.environ) None
#     pytest -n1: own 80    child 80   child with env=dict(os.environ) 80
# Why it matters: what prints tables (rich, click, argparse) obeys $COLUMNS in a pipe: the same test of a command's table sees other line breaks
#   alone, in a worker, and with an environment of its own.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check pytest==9.1.1 pytest-xdist==3.8.0
cd "$tmp"
cat > test_window.py <<'PY'
import os
import subprocess
import sys


def test_window():
    child = [sys.executable, "-c", "import os; print(os.environ.get('COLUMNS'))"]
    inherited, given = (subprocess.run(child, capture_output=True, text=True, env=env).stdout.strip() for env in (None, dict(os.environ)))
    with open("seen.txt", "a") as file:
        print(os.environ.get("COLUMNS"), inherited, given, file=file)
PY
unset COLUMNS LINES
for workers in 0 1; do
  "$tmp/venv/bin/python" -m pytest -q -n "$workers" -p no:cacheprovider test_window.py </dev/null >/dev/null
done
cat seen.txt
[ "$(cat seen.txt)" = $'None 80 None\n80 80 80' ]
