"""Pages from the templates beside this file: self-contained, names escaped, nothing allowed but their own style and script."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from ..errors import UsageError
from ..shown import shown_text

DRAWN = re.compile(r"[MLHVCAZmlhvcaz0-9eE ,.+-]*")
TEMPLATES = Path(__file__).parent / "templates"


def rendered(template: str, **names: object) -> str:
    """The HTML of `template`, which extends page.html. names: what it uses. Raises UsageError where Jinja2 is not installed."""
    try:
        import jinja2
    except ImportError as error:
        raise UsageError("--html", "no Jinja2", "the package that fills the page", "pip install 'ttfs-convert[html]'") from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_as_data,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    frame = {"style": style, "script": script, "style_hash": _hash(style), "script_hash": _hash(script)}
    return environment.get_template(template).render(**frame, **names)


def _as_data(value: object) -> object:
    """What a page shows of `value`: texts escaped and shortened, but for markup, pictures inside the page, and the coordinates of what is drawn."""
    return value if type(value) is not str or value.startswith("data:") or DRAWN.fullmatch(value) else shown_text(value)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
