"""Train a Keras 3 network that converts without loss: the LC-TTFS constraints (Yang et al., "LC-TTFS", section III), on every backend.

    model = keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(24, 3, padding="same", use_bias=False, **lc_ttfs()), ReLU1(),
        layers.Flatten(),
        layers.Dense(10)])                                 # the last layer is exempt
    model.compile(...); model.fit(...)
    export_onnx(model, "model.onnx")                       # under KERAS_BACKEND=torch

`lc_ttfs()` is kernel_constraint=UnityWeightSum(), kernel_regularizer=WeightSumRegularizer(); Keras applies the constraint after every
update. In a residual sum, ReLU1()(Add()([h, x])), the layer that gives h takes `lc_ttfs(target=0)` where x is an identity or a pool,
and where x is a convolution of its own, one of the two does. No BatchNorm. `docs/training.md` has the equations.
"""

# Keras' functions have no types, and what is inferred of them may be None.
# pyright: reportOptionalOperand=false, reportOperatorIssue=false

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
from keras import ops

from ..errors import UsageError
from .time_grid import LEAD, set_steps

__all__ = ["ReLU1", "UnityWeightSum", "WeightSumRegularizer", "export_onnx", "lc_ttfs", "on_grid", "pre_activation_loss", "project", "train_on_grid"]

PACKAGE = "ttfs_convert"
Axes = int | Sequence[int] | None


@keras.saving.register_keras_serializable(PACKAGE)
class ReLU1(keras.layers.Layer):
    """y(x) = min(max(x, 0), 1), elementwise (Eq. 13), and in training the pre-activation loss of its input (Eq. 20).

    loss_weight: lambda_A; the loss is averaged within the layer, and Keras sums it over layers; 0 for none. mean, deviation: of the
    pre-activation's target distribution. axis: of the channels; 1 for channels first. steps: N of a window on whose grid y is rounded in
    training, None for no rounding; see `train_on_grid`. Raises UsageError for numbers out of range.
    """

    def __init__(
        self, loss_weight: float = 1e-2, mean: float = 0.0, deviation: float = 1 / 3, axis: int = -1, steps: int | None = None, **options: Any
    ):
        super().__init__(**options)
        _check("ReLU1", loss_weight=loss_weight, deviation=deviation)
        self.steps = steps
        self.loss_weight, self.mean, self.deviation, self.axis = float(loss_weight), float(mean), float(deviation), int(axis)
        self.supports_masking = True
        self.built = True

    def call(self, x: Any, training: bool | None = None) -> Any:
        """min(max(x, 0), 1), any shape and float dtype; in training on the grid, if `steps` is set, and with the loss added."""
        if training and self.loss_weight:
            self.add_loss(self.loss_weight * pre_activation_loss(x, self.mean, self.deviation, self.axis))
        y = ops.clip(x, 0.0, 1.0)
        return on_grid(y, self.steps) if training and self.steps else y

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's, as Keras asks for it."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments, as Keras saves them."""
        return {
            **super().get_config(),
            "loss_weight": self.loss_weight,
            "mean": self.mean,
            "deviation": self.deviation,
            "axis": self.axis,
            "steps": self.steps,
        }


def on_grid(a: Any, steps: int) -> Any:
    """a in [0, 1] as a spike time in a window of N = `steps` carries it: floor(N a + 1/2 + 1e-4) / N, which is rounding `nearest`. The
    gradient passes straight through (Bengio et al., 2013). For the network's inputs in training, where their window is coarse."""
    return a + ops.stop_gradient(ops.floor(steps * a + LEAD) / steps - a)


def train_on_grid(model: keras.Model, steps: int | None) -> None:
    """From now on every `ReLU1` of `model` rounds to N = `steps` time steps in training; None: no more. For the last epochs, at a small
    learning rate: weights that have seen the grid need few steps. Evaluation and export do not round: `ttfs-convert --steps N` will. A
    compiled model gets a new train function. Raises UsageError for numbers out of range and a model without `ReLU1`."""
    activations = [layer for layer in model._flatten_layers() if isinstance(layer, ReLU1)]
    set_steps(activations, steps, model.name, f"{__name__}.ReLU1")
    if model.compiled:
        model.make_train_function(force=True)


@keras.saving.register_keras_serializable(PACKAGE)
class UnityWeightSum(keras.constraints.Constraint):
    """Hard constraint (section III-B): w_ij <- w_ij - (sum_j w_ij - target) / fan_in, evenly over a neuron's synapses.

    target: the sum a neuron's weights should have; dimensionless. axis: the axes of a kernel that are a neuron's fan-in; None: all but
    the last, which is right for Dense and Conv; (0, 1) for DepthwiseConv2D, -1 for Conv2DTranspose (whose kernel size must equal its
    strides). In float32 at least, and twice, because the first pass leaves a rounding error that the second removes almost wholly.
    """

    def __init__(self, target: float = 1.0, axis: Axes = None):
        _check("UnityWeightSum", signed=("target",), target=target)
        self.target, self.axis = float(target), _listed(axis)

    def __call__(self, w: Any) -> Any:
        values = _wide(w)
        axes = _axes(values, self.axis)
        fan_in = math.prod(values.shape[axis] for axis in axes)
        for _ in range(2):
            values = values - (ops.sum(values, axes, keepdims=True) - self.target) / fan_in
        return ops.cast(values, w.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments, as Keras saves them."""
        return {"target": self.target, "axis": self.axis}


@keras.saving.register_keras_serializable(PACKAGE)
class WeightSumRegularizer(keras.regularizers.Regularizer):
    """Soft constraint (Eq. 14): weight * sum_i |sum_j w_ij - target|, summed over the neurons of a layer; Keras sums over layers.

    weight: lambda_W. target, axis: as for `UnityWeightSum`.
    """

    def __init__(self, weight: float = 1e-3, target: float = 1.0, axis: Axes = None):
        _check("WeightSumRegularizer", signed=("target",), weight=weight, target=target)
        self.weight, self.target, self.axis = float(weight), float(target), _listed(axis)

    def __call__(self, w: Any) -> Any:
        values = _wide(w)
        return self.weight * ops.sum(ops.abs(ops.sum(values, _axes(values, self.axis)) - self.target))

    def get_config(self) -> dict[str, Any]:
        """The arguments, as Keras saves them."""
        return {"weight": self.weight, "target": self.target, "axis": self.axis}


def lc_ttfs(target: float = 1.0, weight: float = 1e-3, axis: Axes = None) -> dict[str, Any]:
    """Both weight-sum constraints as a layer's keyword arguments. target, axis: as for `UnityWeightSum`. weight: lambda_W."""
    return {"kernel_constraint": UnityWeightSum(target, axis), "kernel_regularizer": WeightSumRegularizer(weight, target, axis)}


def pre_activation_loss(z: Any, mean: float = 0.0, deviation: float = 1 / 3, axis: int = -1) -> Any:
    """Pre-activation normalisation (Eq. 20) of one layer: the mean of |z - A|, A = z normalised per channel, in float32.

    z: before ReLU1, with its channels along `axis`. A has `mean` and `deviation` over the batch and all positions of a channel; no
    gradient flows through it. The default N(0, 1/9) is the paper's. Returns a scalar: averaged within the layer.
    """
    z = _wide(z)
    axes = [each for each in range(len(z.shape)) if each != axis % len(z.shape)]
    fixed = ops.stop_gradient(z)
    spread = ops.maximum(ops.std(fixed, axes, keepdims=True), 1e-6)
    target = (fixed - ops.mean(fixed, axes, keepdims=True)) / spread * deviation + mean
    return ops.mean(ops.abs(z - target))


def project(model: keras.Model) -> None:
    """Apply every constraint of `model` now: before the first update, or after loading weights from elsewhere."""
    for variable in model.trainable_variables:
        if variable.constraint is not None:
            variable.assign(variable.constraint(variable))


def export_onnx(model: keras.Model, path: str | Path) -> None:
    """Write `model` as an ONNX file with a dynamic batch axis.

    Needs the torch backend, and `onnxscript`; raises UsageError on others.
    """
    if keras.backend.backend() != "torch":
        raise UsageError(
            "export_onnx",
            f"the {keras.backend.backend()} backend",
            "torch",
            'model.save("model.keras"), then load and export it in a process with KERAS_BACKEND=torch',
        )
    if inputs := getattr(model, "inputs", None):  # Keras exports only models that have been called, unlike those just loaded
        zeros = [ops.zeros([size or 1 for size in value.shape], value.dtype) for value in inputs]
        model(zeros if len(zeros) > 1 else zeros[0])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="keras|torch")  # of tracing: shapes are fixed but for the batch
        model.export(str(path), format="onnx", verbose=False)


def _wide(values: Any) -> Any:
    values = ops.convert_to_tensor(values)
    return values if keras.backend.standardize_dtype(values.dtype) == "float64" else ops.cast(values, "float32")


def _listed(axis: Axes) -> int | list[int] | None:
    return axis if axis is None or isinstance(axis, int) else list(axis)


def _axes(values: Any, axis: int | list[int] | None) -> tuple[int, ...]:
    """The fan-in axes of a kernel; raises UsageError for axes that it does not have."""
    rank = len(values.shape)
    axes = tuple(range(rank - 1)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if not axes or any(not -rank <= each < rank for each in axes):
        raise UsageError(
            "weight sums",
            f"axis {axis} for a kernel of shape {tuple(values.shape)}",
            f"axes from {-rank} to {rank - 1}",
            "give the constraint to a kernel of at least two axes, and name the axes of its fan-in",
        )
    return axes


def _check(where: str, signed: tuple[str, ...] = (), **numbers: float) -> None:
    for name, number in numbers.items():
        if not (math.isfinite(number) and (number >= 0 or name in signed)):
            raise UsageError(f"{where}: {name}", f"{number}", "a finite number" + " of at least 0" * (name not in signed))
