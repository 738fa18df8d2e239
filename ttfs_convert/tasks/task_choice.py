"""Which task a run is, by what the user says or by what labels and outputs leave no doubt about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import DataError, UsageError
from ..measurement.position_labels import PositionRule
from ..measurement.prediction import NoRule, Rule
from .classification import Classification
from .judged_output import JudgedOutput, fitted, other_scale
from .label_maps import LABELS, checked_maps, position_rule
from .reconstruction import Reconstruction
from .regression import Regression
from .segmentation import Segmentation
from .task import Task

UNMEASURED = "only the drift between both networks' outputs is measured"


@dataclass(frozen=True)
class Choice:
    """The task of a run, and how labels follow from the judged output. task: None where the data holds nothing to judge by. name: of the task, None
    where neither the user nor the data names one. why: where it is from. notes: what a reader of the figures must know."""

    task: Task | None
    rule: Rule | NoRule | PositionRule
    name: str | None
    why: str
    notes: tuple[str, ...] = ()


def chosen_task(wanted: str | None, judged: JudgedOutput) -> Choice:
    """The task that the user wants, or that follows from `judged`. Raises DataError for data that does not fit the output, UsageError for a task
    that there is none of, or that the output does not fit."""
    if wanted is None:
        return _derived(judged)
    if wanted not in TASKS:
        raise UsageError("--task", f"{wanted!r}", f"one of {', '.join(TASKS)}")
    return TASKS[wanted](judged, "as asked for")


def _derived(judged: JudgedOutput) -> Choice:
    """1. Whole numbers per position beside scores of classes or labels  -> segmentation; booleans beside one float per position too.
    2. Values of the output's shape, or many for one float per sample -> regression.
    3. Labels, and an output that labels follow from                  -> classification.
    4. Anything else                                                  -> none.
    """
    data = judged.data
    if data.y is None and data.targets is not None and _are_maps(judged, data.targets):
        return _segmentation(judged, "derived from y, which has a label for every position")
    if data.targets is not None and (data.y is None or (data.targets.dtype.kind == "f" and judged.is_lone and len(np.unique(data.y)) > 2)):
        return _regression(judged, "derived from y, which has values of the output's shape")
    if data.y is not None and isinstance(judged.rule, Rule):
        return _classification(judged, "derived from y, which has a label for every sample")
    return Choice(None, _without_truth(judged), None, "", _unused(judged))


def _are_maps(judged: JudgedOutput, targets: np.ndarray) -> bool:
    """Whether they are labels of the output's positions, without a doubt."""
    if targets.dtype.kind not in LABELS and not (np.rint(targets) == targets).all():
        return False
    try:
        return position_rule(judged, targets.shape[1:], asked=targets.dtype.kind == "b") is not None
    except UsageError:  # nothing says where one float splits two classes
        return False


def _without_truth(judged: JudgedOutput) -> Rule | NoRule:
    """The rule of an output that the data says nothing of: as many values as an input has are a signal, not scores of classes."""
    rule = judged.rule
    signal = judged.data.y is None and any(fitted(np.empty((1, *shape), np.bool_), judged.shape) is not None for shape in judged.inputs.values())
    if isinstance(rule, Rule) and rule.kind == "largest" and signal:
        return judged.values(f"{rule.count} as the input has, which no labels say to be scores")
    return rule


def _unused(judged: JudgedOutput) -> tuple[str, ...]:
    """Notes where the data judges nothing."""
    rule = judged.rule
    if not isinstance(rule, NoRule):
        return ()
    if judged.data.y is not None:
        if rule.lone:
            raise rule.refusal()
        return (f"the labels are not used: output {rule.output!r} has {rule.reason}",)
    if rule.lone:
        return (
            f"no predictions are compared: output {rule.output!r} has {rule.reason}; say where it splits two classes with "
            "--decision-threshold X, if it does",
        )
    return ()


def _classification(judged: JudgedOutput, why: str) -> Choice:
    data, rule = judged.data, judged.rule
    if isinstance(rule, NoRule):
        raise rule.refusal()
    if data.y is None:
        if data.targets is not None:
            raise judged.misfit("one label per sample")
        return Choice(None, rule, Classification.name, why, (f"{data.name} has no labels: there is no accuracy, only agreement",))
    return Choice(Classification(rule, rule.truth(data.y, data.class_names, data.name)), rule, Classification.name, why)


def _regression(judged: JudgedOutput, why: str) -> Choice:
    targets = None if judged.data.targets is None else fitted(judged.data.targets, judged.shape)
    if targets is None:
        if judged.data.targets is None and judged.data.y is None:
            rule = judged.values("as --task regression says")
            return Choice(None, rule, Regression.name, why, (f"{judged.data.name} has no targets: {UNMEASURED}",))
        raise judged.misfit(f"values of the shape {judged.shape} of output {judged.name!r}" if why == "as asked for" else "")
    _refuse_whole(judged, Regression.name)
    task = Regression(targets.astype(np.float32))
    rule = judged.values("for which the data has targets")
    return Choice(task, rule, task.name, why, (*other_scale(targets.astype(np.float32), judged.sample), *task.notes))


def _refuse_whole(judged: JudgedOutput, task: str) -> None:
    """An output that is no float has labels, not values."""
    if judged.sample.dtype.kind != "f":
        raise DataError(
            judged.data.name,
            f"values as targets for output {judged.name!r}, which is {judged.sample.dtype}",
            f"an output of floats for {task}",
            "name another output with --output, or give labels as integers",
        )


def _reconstruction(judged: JudgedOutput, why: str) -> Choice:
    _refuse_whole(judged, Reconstruction.name)
    data = judged.data
    like = (*judged.inputs.values(), data.x.shape[1:])
    targets = None if data.targets is None else fitted(data.targets, judged.shape, flat=True)
    if targets is None and data.targets is not None and data.y is None:
        raise judged.misfit(f"pictures or signals of the shape {judged.shape} of output {judged.name!r}, or no y: the input is the target then")
    if targets is None:
        name = _rebuilt_input(judged)
        shape = judged.shape
        task = Reconstruction(lambda rows, x: _of_shape(x[name], shape), shape, _range_of_input(judged, name), f"the input {name!r} itself", like)
        return Choice(task, judged.values("which rebuild the input"), task.name, why)
    divided = judged.divided and targets.dtype == np.uint8
    targets = targets.astype(np.float32) / (np.float32(255) if divided else np.float32(1))
    about = "the data's targets" + (", divided by 255 as the input is" if divided else "")
    task = Reconstruction(lambda rows, x: targets[rows], judged.shape, _range_of_targets(judged, targets), about, like)
    return Choice(task, judged.values("for which the data has targets"), task.name, why, other_scale(targets, judged.sample))


def _rebuilt_input(judged: JudgedOutput) -> str:
    """The one input that the output can rebuild."""
    fitting = [name for name, shape in judged.inputs.items() if fitted(np.empty((1, *shape), np.bool_), judged.shape, flat=True) is not None]
    if len(fitting) == 1:
        return fitting[0]
    shapes = ", ".join(f"{name} {shape}" for name, shape in judged.inputs.items())
    raise UsageError(
        "task reconstruction",
        f"output {judged.name!r} of shape {judged.shape}, which " + ("no input has" if not fitting else "several inputs have") + f" ({shapes})",
        "an output of the shape of one input, or targets y",
        "give y as pictures or signals of the output's shape",
    )


def _of_shape(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    found = fitted(values, shape, flat=True)
    return values if found is None else found


def _range_of_input(judged: JudgedOutput, name: str) -> float:
    ends = judged.ranges.get(name)
    values = judged.data.inputs.get(name, judged.data.x)
    return float(ends[1] - ends[0]) if ends is not None else _width(judged, values)


def _range_of_targets(judged: JudgedOutput, targets: np.ndarray) -> float:
    """1 for values between 0 and 1, 255 for pixels, else their width."""
    if targets.min() >= 0 and targets.max() <= 1:
        return 1.0
    whole = judged.data.targets is not None and judged.data.targets.dtype == np.uint8
    return 255.0 if whole else _width(judged, targets)


def _width(judged: JudgedOutput, values: np.ndarray) -> float:
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise DataError(
            judged.data.name,
            f"targets that are all {low:g}, of which no data_range follows",
            "values that differ, or that lie between 0 and 1",
            "use --task regression",
        )
    return high - low


def _segmentation(judged: JudgedOutput, why: str) -> Choice:
    data = judged.data
    maps = data.targets
    rule = position_rule(judged, None if maps is None else maps.shape[1:], asked=True)
    if maps is None and data.y is None:
        if rule is None:
            raise UsageError("task segmentation", f"output {judged.name!r} of shape {judged.shape}", "scores of classes, or labels, per position")
        return Choice(None, rule, Segmentation.name, why, (f"{data.name} has no label maps: there is no IoU, only agreement per position",))
    if maps is None or rule is None:
        raise judged.misfit(f"a label for every position of output {judged.name!r}, whose shape is {judged.shape}")
    task = Segmentation(rule, checked_maps(maps.reshape(len(maps), *rule.positions), rule, data.name))
    return Choice(task, rule, task.name, why)


TASKS: Mapping[str, Callable[[JudgedOutput, str], Choice]] = {
    "classification": _classification,
    "reconstruction": _reconstruction,
    "regression": _regression,
    "segmentation": _segmentation,
}
