"""What a document shows as a command's output, held against what the command prints, number by number.

Words, layer names, shapes and counts are equal. The rest may differ between processors by what was measured to differ: `ttfs-run` on the
example's 2,000 images, in 50 steps and in continuous time, kernels compiled for this processor and for one without FMA and AVX
(NUMBA_CPU_NAME=generic), under ONNX Runtime with and without its graph optimisations.
"""

import re
from itertools import zip_longest
from math import isclose

SAMPLES_OFF = 2  # an accuracy, agreement or drift: none differed; a spike at a tie turns one prediction
SILENT_OFF = 1e-5  # of operations that silent neurons spare: they differed by 2e-7
DECIDED_OFF = 1e-3  # of first decisions: a spike at a tie decides one sample a step earlier or later
VERIFIED_OFF = 8  # neurons that a rounded potential puts in another step
ROUNDING = 2e-5  # smaller errors are float32 rounding
ROUNDING_OFF = 3.0  # they differed by a factor of up to 1.5
ERROR_OFF = 0.1  # larger ones are the grid's and did not differ; one in the last digit is up to a tenth

BARS = "·▁▂▃▄▅▆▇█"
FIGURE = re.compile(rf"(?<![\w.])[-+]?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?(?:e[-+]\d+)?(?!\w)|[{BARS}]")


def output_shown(document: str, command: str) -> str:
    """The first block without a language behind the block of shell commands that holds `command`."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", document, re.M | re.S)
    (first,) = [k for k, (language, text) in enumerate(blocks) if language == "sh" and command in text.splitlines()]
    return next(text for language, text in blocks[first:] if not language)


def differences(shown: str, printed: str, samples: int) -> list[str]:
    """Lines that are not printed as they are shown, but for widths of columns. samples: that accuracies, agreement and drift are of."""
    pairs = zip_longest(_lines(shown), _lines(printed), fillvalue="no line")
    return [f"shown: {ours}\nprinted: {theirs}" for ours, theirs in pairs if not _agree(ours, theirs, samples)]


def _lines(text: str) -> list[str]:
    return [" ".join(_without_gaps(line).split()) for line in text.splitlines() if line.strip(" ─")]


def _without_gaps(line: str) -> str:
    """Empty places of a histogram's five per window as bars of no height."""
    return re.sub(r"[ ▁-█]{5}(?=\|)", lambda cell: cell[0].replace(" ", BARS[0]), line) if re.search("[▁-█]", line) else line


def _agree(shown: str, printed: str, samples: int) -> bool:
    return FIGURE.sub("#", shown) == FIGURE.sub("#", printed) and all(
        _close(ours[0], theirs[0], f"{shown[: ours.start()]}#{shown[ours.end() :]}", samples)
        for ours, theirs in zip(FIGURE.finditer(shown), FIGURE.finditer(printed), strict=True)
    )


def _close(shown: str, printed: str, line: str, samples: int) -> bool:
    """line: that the figure is from, with # in its place."""
    if line.startswith("seconds "):
        return True
    if shown in BARS:
        return printed in BARS and abs(BARS.index(shown) - BARS.index(printed)) <= 1
    ours, theirs = (float(text.replace(",", "")) for text in (shown, printed))
    if "e" in shown:
        smaller, larger = sorted((abs(ours), abs(theirs)))
        return larger <= ROUNDING_OFF * smaller if larger < ROUNDING else isclose(ours, theirs, rel_tol=ERROR_OFF)
    if line.startswith("verified by clock #"):
        return abs(ours - theirs) <= VERIFIED_OFF
    if line.startswith("first decision "):
        return isclose(ours, theirs, rel_tol=DECIDED_OFF)
    if line.startswith(("event_if_gated ", "NeuroBench ", "moved, event_if_gated ")):
        return isclose(ours, theirs, rel_tol=SILENT_OFF)
    if re.search(r"# (%|pp)|\[#|#\]|± #", line):
        last_digit = 10.0 ** -len(shown.partition(".")[2])
        return abs(ours - theirs) < max(100 * SAMPLES_OFF / samples, last_digit) + last_digit / 2
    return shown == printed
