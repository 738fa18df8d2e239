"""Notes on originals that are no better than a guess."""

import numpy as np
import pytest

from ttfs_convert.measurement.label_plausibility import Plausibility


def suspicions(predicted, labels):
    found = Plausibility()
    for part in np.array_split(np.arange(len(labels)), 3):
        found.add(predicted[part], labels[part])
    return found.suspicions()


LABELS = np.arange(120) % 3


@pytest.mark.parametrize(
    "predicted, labels, word",
    [
        (LABELS, LABELS, None),
        ((LABELS + 1) % 3, LABELS, "chance"),
        (np.full(120, 1), LABELS, "class 1 to every sample"),
        (np.random.default_rng(0).integers(0, 3, 120), LABELS, "chance"),
        (np.where(np.arange(120) < 60, LABELS, 0), LABELS, None),
        (np.full(120, 1), np.full(120, 1), None),
        (LABELS, np.zeros(120, int), None),  # one label alone decides nothing
        ((LABELS[:12] + 1) % 3, LABELS[:12], None),  # nor do a few samples
        (np.arange(100) % 2, np.repeat([0, 1], [95, 5]), "commonest label: 95.0 %"),
        (np.array(["ant", "bee"])[LABELS % 2], np.array(["ant", "bee"])[LABELS % 2], None),
        (np.array(["bee", "ant"])[LABELS % 2], np.array(["ant", "bee"])[LABELS % 2], "chance"),
        (np.array(["ant"] * 120), np.array(["ant", "bee"])[LABELS % 2], "class ant to every sample"),
    ],
)
def test_suspicions(predicted, labels, word):
    found = suspicions(predicted, labels)
    assert found == [] if word is None else len(found) == 1 and word in found[0]


def test_wilson_decides():
    """40 % of 120 with three equal classes: Wilson's lower end is 0.330 (by hand), below 1/3; 50 of 120 are above."""
    predicted = np.array(LABELS)
    predicted[48:] = (predicted[48:] + 1) % 3
    assert suspicions(predicted, LABELS)
    predicted[48:50] = LABELS[48:50]
    assert not suspicions(predicted, LABELS)
