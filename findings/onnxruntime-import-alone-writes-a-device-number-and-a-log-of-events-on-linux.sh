#!/usr/bin/env bash
# One would guess: importing onnxruntime on Linux reads the library and writes nothing; telemetry is a matter of the Windows builds, and
#   onnxruntime.disable_telemetry_events() turns it off.
# What happens: the import alone, before any session, writes a device number (a UUID that stays), an SQLite file with a table of events that wait to
#   be sent, with the processor's name and the system's, to ~/.cache/Microsoft/DeveloperTools/.onnxruntime, and a file .ses to the temporary
#   folder. disable_telemetry_events() comes too late. Only the environment variable ORT_DISABLE_TELEMETRY=1 keeps the import from writing.
# Versions: onnxruntime 1.32.0 (CPU, from the package index), onnxruntime 1.27.0 beside it, numpy 2.4.6, Python 3.11. Seen on 2026-11-30:
#     1.32.0                                  .ses deviceid onnxruntime.db
#     1.32.0 disable_telemetry_events()       .ses deviceid onnxruntime.db
#     1.32.0 ORT_DISABLE_TELEMETRY=1          nothing
#     1.27.0                                  nothing
# Why it matters: tests that compare the files of a home folder before and after fail, and machines from which nothing may be told need
#   the variable. This project sets it where it imports onnxruntime, unless it is set already.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for version in 1.32.0 1.27.0; do
  python3 -m venv "$tmp/$version"
  "$tmp/$version/bin/pip" install -qq --no-compile --disable-pip-version-check "onnxruntime==$version" numpy==2.4.6
done
left() { # version, code behind the import, environment: the files that it leaves in fresh folders
  rm -rf "$tmp/home" "$tmp/temporary"
  mkdir "$tmp/home" "$tmp/temporary"
  env -i "PATH=$PATH" "HOME=$tmp/home" "TMPDIR=$tmp/temporary" "${@:3}" "$tmp/$1/bin/python" -c "import onnxruntime; $2"
  find "$tmp/home" "$tmp/temporary" -type f -printf '%f\n' | sort | xargs
}
said() { printf '%-40s%s\n' "$1" "${2:-nothing}"; }
plain=$(left 1.32.0 pass)
disabled=$(left 1.32.0 'onnxruntime.disable_telemetry_events()')
kept=$(left 1.32.0 pass ORT_DISABLE_TELEMETRY=1)
older=$(left 1.27.0 pass)
said 1.32.0 "$plain"
said '1.32.0 disable_telemetry_events()' "$disabled"
said '1.32.0 ORT_DISABLE_TELEMETRY=1' "$kept"
said 1.27.0 "$older"
[ "$plain" = '.ses deviceid onnxruntime.db' ] && [ "$disabled" = "$plain" ] && [ -z "$kept" ] && [ -z "$older" ]
