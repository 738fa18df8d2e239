"""Spectrograms and players: what they show, what they weigh, and what a browser needs."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from ttfs_convert.data.sound_file import RATE
from ttfs_convert.data.speech_pairs import SpeechPairs
from ttfs_convert.studies.enhancement import Enhancement, Recording
from ttfs_convert.studies.enhancers import Stretch
from ttfs_convert.studies.first_sounds import BEGINNING, FirstSounds, Sounds
from ttfs_convert.tasks.scores import scored
from ttfs_convert.tasks.speech_measures import MEASURES

soundfile = pytest.importorskip("soundfile")
for library in ("jinja2", "matplotlib"):
    pytest.importorskip(library)
from ttfs_convert.figures import enhancement_page  # noqa: E402
from ttfs_convert.figures.spectrograms import spectrograms  # noqa: E402


def sounds(name="a", seconds=1.0, frequency=2000):
    time = np.arange(int(seconds * RATE)) / RATE
    tone = 0.5 * np.sin(2 * np.pi * frequency * time).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.1, tone.size).astype(np.float32)
    return Sounds(name, tone + noise, tone, 0.9 * tone, 1.5 * tone)


def enhancement(*kept):
    values = {measure.name: np.array([[1.5]]) for measure in MEASURES}
    recordings = tuple(Recording(each.name, 1.0, {}) for each in kept)
    noisy = {measure.name: None for measure in MEASURES}
    return Enhancement(
        "net <b>", 50, 550, SpeechPairs("data", "0" * 64, (), 0), recordings, scored(MEASURES, values, values), noisy, 1.0, 1.0, kept, ()
    )


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def content(uri, kind):
    head, body = uri.split(",", 1)
    assert head == f"data:{kind};base64"
    return io.BytesIO(base64.b64decode(body))


def test_a_page_holds_all_that_it_shows():
    page = Elements(enhancement_page.enhancement_page(enhancement(sounds("<x>"), sounds("b"))))
    pictures, players = page.of("img"), page.of("audio")
    assert len(pictures) == 2 and len(players) == 8
    assert all("Spectrograms of recording" in each["alt"] for each in pictures) and pictures[0]["alt"].split(":")[0].endswith("<x>")
    assert [each["aria-label"] for each in players[:4]] == ["<x>, noisy", "<x>, clean", "<x>, ANN", "<x>, SNN"]
    assert all("controls" in each for each in players)
    with Image.open(content(pictures[0]["src"], "image/png")) as picture:
        assert picture.width > 600
    for sound, version in zip(players[:4], sounds().versions().values()):
        played, rate = soundfile.read(content(sound["src"], "audio/flac"))
        assert rate == RATE and np.abs(played - np.clip(version, -1, 1)).max() < 1e-4
    policy = next(each["content"] for each in page.of("meta") if "http-equiv" in each)
    assert "default-src 'none'" in policy and "img-src data:" in policy and "media-src data:" in policy
    assert len(page.of("script")) == 1 and not page.of("link") and not page.of("b")


def test_what_has_no_room_is_left_out(monkeypatch):
    kept = enhancement(*(sounds(f"r{number}", 4) for number in range(3)))
    whole = enhancement_page.enhancement_page(kept)
    assert len(whole) < 2_000_000 and whole.count("<figure>") >= 2
    monkeypatch.setattr(enhancement_page, "BUDGET", len(enhancement_page.enhancement_page(enhancement(sounds("r0", 4)))))
    fewer = enhancement_page.enhancement_page(kept)
    assert fewer.count("<figure>") == 1 and "first 1 of 3" in fewer


def test_a_spectrogram_shows_the_tone_where_it_is():
    figure = spectrograms([sounds(frequency=2000)], "network")["spectrogram-1"]
    clean = next(axes for axes in figure.axes if axes.get_title() == "clean").images[0]
    left, right, bottom, top = clean.get_extent()
    levels = clean.get_array()
    loudest = bottom + (levels.mean(1).argmax() + 0.5) / len(levels) * (top - bottom)
    assert abs(loudest - 2.0) < 0.05 and (left, right) == (0, 1.0) and top == 8.0  # kHz, s
    assert len({tuple(axes.images[0].get_clim()) for axes in figure.axes if axes.images}) == 1
    assert re.match(r"Recording a\nnetwork", figure.get_suptitle())


def test_beginnings_of_the_first_recordings_are_kept():
    first = FirstSounds(2)
    long = np.arange(BEGINNING + 5, dtype=np.float32)
    for name in "abc":
        first.add(name, Stretch(0, long, long + 1, long + 2), long + 3)
        first.add(name, Stretch(len(long), long, long, long), long)
    kept = first.found()
    assert [each.name for each in kept] == ["a", "b"]
    assert np.array_equal(kept[0].snn, long[:BEGINNING] + 2) and np.array_equal(kept[1].clean, long[:BEGINNING] + 3)
