"""Why a model does not convert."""

from __future__ import annotations

from pydantic import ValidationError

from ..errors import ModelError, UsageError
from ..lowering.ranges.of_layers import Unbounded
from ..network.provenance import Violation
from ..network.records import first_problem


class ConstraintError(ModelError):
    """Strict mode refused the model. violations: every layer that breaks a constraint of the paper."""

    def __init__(self, where: str, violations: list[Violation]):
        first = violations[0]
        layers = len({violation.layer for violation in violations})
        super().__init__(
            where,
            f"{layers} layer{'s' if layers > 1 else ''} would not convert without loss, first {first.layer!r} ({first.problem})",
            remedy=f"{first.remedy}, or take --mode exact",
        )
        self.violations = violations


class CalibrationError(UsageError):
    """Mode exact needs data. layers: those whose activations have no upper or lower end."""

    def __init__(self, where: str, layers: list[Unbounded]):
        many = f"{len(layers)} layers have" if len(layers) > 1 else "a layer has"
        super().__init__(
            where,
            f"{many} unbounded activations, first {layers[0].layer!r}",
            "data to find their ranges",
            "name some with --calibrate DATA: training images, not test images",
        )
        self.layers = layers


def broken_network(where: str, error: ValidationError) -> ModelError:
    """What the IR refuses: weights that are not finite, sizes that do not fit."""
    return ModelError(where, f"{error.title} {first_problem(error, 'layer')}", "finite weights of fitting shapes", "train or export it again")
