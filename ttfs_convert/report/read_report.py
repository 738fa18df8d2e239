"""A saved report, read back."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from ..errors import DataError
from .schema import Report

VERSION = 1


def read_report(path: str | Path) -> Report:
    """What `ttfs-run --json` wrote. Raises DataError for a file that cannot be read or is none."""
    try:
        report = Report.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise DataError(str(path), f"cannot be read ({error.strerror or error})", "a report") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(str(path), f"no report ({where + ': ' if where else ''}{first['msg']})", "what ttfs-run --json FILE writes") from error
    if report.schema_version != VERSION:
        raise DataError(str(path), f"a report of schema version {report.schema_version}", f"version {VERSION}")
    return report
