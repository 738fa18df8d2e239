"""Files that have passed, in the user's cache: one entry for each content, by its SHA-256, for the versions of what reads them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

MOST = 4096  # entries; the oldest are forgotten
READERS = ("onnx", "onnxruntime", "protobuf", "ttfs-convert")  # whose versions an entry holds for


def content_of(path: str | Path) -> str | None:
    """SHA-256 of the file, None if it cannot be read."""
    try:
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()


class Passed:
    """What is remembered of the file at `path`, tried by `task`. It holds as long as the files with its weights, beside it, are the same."""

    def __init__(self, task: str, path: str | Path):
        self._path, self._content = Path(path), content_of(path)
        known = [task, self._content, *map(_version, READERS)]
        self._entry = _folder() / hashlib.sha256(json.dumps(known).encode()).hexdigest()
        self._asked = self._read()

    def _read(self) -> list[str]:
        if self._content is None:
            return []
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            kept = json.loads(self._entry.read_text())
            if all(content_of(self._path.parent / name) == content for name, content in kept["beside"].items()):
                return [text for text in kept["asked"] if isinstance(text, str)]
        return []

    @property
    def any(self) -> bool:
        """Whether it has passed before, whatever was asked then."""
        return bool(self._asked)

    def holds(self, asked: Mapping[str, object]) -> bool:
        """Whether it has passed what is `asked` now."""
        return _text(asked) in self._asked

    def add(self, asked: Mapping[str, object], beside: Mapping[str, str]) -> None:
        """Remember that it has passed what was `asked`, where that can be written. beside: SHA-256 of the files with its weights, by name."""
        if self._content is None or content_of(self._path) != self._content:  # it has changed meanwhile
            return
        text = json.dumps({"beside": dict(beside), "asked": [*dict.fromkeys([*self._asked, _text(asked)])]})
        with contextlib.suppress(OSError):
            self._entry.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile("w", dir=self._entry.parent, prefix=".", delete=False) as file:
                file.write(text)
            os.replace(file.name, self._entry)
            _forget(self._entry.parent)


def _text(asked: Mapping[str, object]) -> str:
    return json.dumps(asked, sort_keys=True)


def _version(name: str) -> str:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    return ""


def _folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("ttfs-convert")) / "tried"


def _forget(folder: Path) -> None:
    """The older half, where there are too many."""
    entries = list(folder.iterdir())
    if len(entries) > MOST:
        for entry in sorted(entries, key=lambda each: each.stat().st_mtime)[: len(entries) // 2]:
            entry.unlink(missing_ok=True)
