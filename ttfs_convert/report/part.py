"""What every part of the report is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of the report: frozen, and of no other fields than these."""

    model_config = ConfigDict(extra="forbid", frozen=True)
