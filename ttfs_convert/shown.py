"""Names and other texts of strangers as people are shown them: escaped and shortened, never interpreted.

A control character could move the cursor of a terminal, a mark of direction turn a line round, half a surrogate pair break what encodes it.
"""

from __future__ import annotations

import re
import unicodedata

ESCAPED = ("Cc", "Cf", "Cn", "Cs", "Zl", "Zp")  # categories: control, format, no characters, surrogates, separators of lines and paragraphs
NAME = 120  # characters of a name
WORD = 300  # of a word in a message, which may be a path
TEXT = 4000  # of a message

_OVERLONG = re.compile(rf"\S{{{WORD + 1},}}")


def shown(name: str, most: int = NAME) -> str:
    """`name` in one line of about `most` characters: what cannot be printed is escaped as Python would, the middle of a long one left out."""
    return _escaped(_shortened(name, most), "")


def shown_text(text: str) -> str:
    """A message that holds names: as `shown`, word by word, lines and tabs being kept."""
    return _escaped(_shortened(_OVERLONG.sub(lambda word: _shortened(word.group(), WORD), text), TEXT), "\n\t")


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return f"{text[: most * 2 // 3]}...{text[-(most // 4) :]}({len(text):,} characters)"


def _escaped(text: str, kept: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        letter.encode("unicode_escape").decode("ascii") if unicodedata.category(letter) in ESCAPED and letter not in kept else letter
        for letter in text
    )
