#!/usr/bin/env bash
# One would guess: two readers of the Event Stream format (.es) give the same events: one is the format's reference package
#   (event_stream), the other the converter of the same author (faery).
# What happens: faery counts rows from the top and flips y both when it reads and when it writes; event_stream hands out what stands
#   in the file, rows from the bottom. A recording that passes from one to the other is upside down. faery also starts every
#   file at time 0: the first time stamp is returned by to_file and nowhere in the file. Neither says a word.
# Versions: faery 0.7.1, event_stream 1.6.3 (numpy 2.4.6). Seen on 2026-11-29, sensor 4 x 3, events (t, x, y):
#     event_stream writes (500, 0, 0) (510, 3, 2)   faery reads (500, 0, 2) (510, 3, 0)
#     faery writes (500, 0, 0) (510, 3, 2)          event_stream reads (0, 0, 2) (10, 3, 0)
# Why it matters: a network trained on one and tested on the other sees mirrored input; gestures up and down swap their classes, and
#   everything symmetric still works well enough to hide it.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check faery==0.7.1 event_stream==1.6.3 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import event_stream
import faery
import numpy as np

EVENTS = [(500, 0, 0, True), (510, 3, 2, False)]


def plain(array):
    return [tuple(int(v) for v in event)[:3] for event in array]


with event_stream.Encoder("reference.es", "dvs", 4, 3) as encoder:
    encoder.write(np.array(EVENTS, dtype=event_stream.dvs_dtype))
by_faery = plain(faery.events_stream_from_file("reference.es").to_array())

faery.events_stream_from_array(np.array(EVENTS, dtype=faery.EVENTS_DTYPE), (4, 3)).to_file("faery.es")
with event_stream.Decoder("faery.es") as decoder:
    by_reference = plain(np.concatenate(list(decoder)))

print("event_stream writes", plain(EVENTS), "  faery reads", by_faery)
print("faery writes", plain(EVENTS), "  event_stream reads", by_reference)
assert by_faery == [(500, 0, 2), (510, 3, 0)]
assert by_reference == [(0, 0, 2), (10, 3, 0)]
PY
