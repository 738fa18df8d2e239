#!/usr/bin/env bash
# One would guess: events that expelliarmus saves as EVT3 keep their times, for its own reader and for others, as its EVT2 files do.
# What happens: EVT3 sends the upper twelve bits of a time in words of their own, whenever they change. expelliarmus writes one such
#   word at the start and no other. Its own reader adds 4096 us each time the lower bits fall, which makes up for it while no gap
#   is that long; other readers (faery, evlib) see every event within the first 4.1 ms; across a longer gap its own does too.
# Versions: expelliarmus 1.1.12, faery 0.7.1 (numpy 2.4.6). Seen on 2026-11-29, time of the last event in us:
#     an event each 100 us for 1 s      written 999900     EVT2 999900     EVT3 999900, read by faery 4092
#     an event each 4096 us for 1 s     written 999424     EVT2 999424     EVT3 0, read by faery 0
#     events at 0, 17 s, 34 s           written 34000000   EVT2 34000000   EVT3 3200, read by faery 3200
#   Number, place and polarity of the events are right in all of them.
# Why it matters: a test with a busy scene and the same library passes. Sparse recordings (a still camera, spikes of a small network)
#   shrink to nothing, and every other tool gets a second of video within 4 ms. Save as EVT2.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check expelliarmus==1.1.12 faery==0.7.1 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import faery
import numpy as np
from expelliarmus import Wizard

seen = {}
for name, times in (("each 100 us", range(0, 1_000_000, 100)), ("each 4096 us", range(0, 1_000_000, 4096)),
                    ("sparse", [0, 17_000_000, 34_000_000])):
    events = np.zeros(len(times), dtype=[("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
    events["t"] = times
    events["p"] = 1
    last = []
    for encoding in ("evt2", "evt3"):
        wizard = Wizard(encoding=encoding)
        wizard.save(fpath=encoding + ".raw", arr=events)
        back = wizard.read(encoding + ".raw")
        assert len(back) == len(events)
        last.append(int(back["t"][-1]))
    last.append(int(faery.events_stream_from_file("evt3.raw", dimensions_fallback=(640, 480)).to_array()["t"][-1]))
    print(f"{name:13s} written {times[-1]}   EVT2 {last[0]}   EVT3 {last[1]}, read by faery {last[2]}")
    seen[name] = last
assert seen == {"each 100 us": [999_900, 999_900, 4092], "each 4096 us": [999_424, 0, 0], "sparse": [34_000_000, 3200, 3200]}
PY
