"""Train a PyTorch network that converts without loss: the LC-TTFS constraints (Yang et al., "LC-TTFS", section III).

    lc = LcTtfs(model, optimizer)                          # initialise, project, and project again after every step
    for x, y in batches:
        loss = lc.loss(cross_entropy(model(x), y))         # Eq. 21
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    export_onnx(model, "model.onnx", x[:1])

The network itself uses `ReLU1` after every convolution and linear layer but the last, `Residual` for residual sums, and no BatchNorm.
`docs/training.md` has the equations. Weights are best kept in float32, under autocast too: half precision cannot hold a sum of 1 to
the 1e-4 that strict mode asks for.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import UsageError
from .time_grid import LEAD, set_steps
from .torch_export import export_onnx

__all__ = [
    "LcTtfs",
    "ReLU1",
    "Residual",
    "export_onnx",
    "initialise_",
    "on_grid",
    "pre_activation_loss",
    "project_weight_sum_",
    "train_on_grid",
    "weight_sum_loss",
]

CONSTRAINED = (nn.Conv1d, nn.Conv2d, nn.Linear)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)
Weighted = nn.Conv1d | nn.Conv2d | nn.Linear | nn.ConvTranspose1d | nn.ConvTranspose2d
REFUSED = {
    kind: (found, expected, remedy)
    for kinds, found, expected, remedy in [
        (
            (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
            "a BatchNorm, whose factors change weight sums when it is folded in",
            "no normalisation",
            "leave it out: the pre-activation loss stands in for it",
        ),
        ((nn.Conv3d, nn.ConvTranspose3d), "a 3-D convolution", "1-D or 2-D ones", ""),
    ]
    for kind in kinds
}


class ReLU1(nn.Module):
    """y(x) = min(max(x, 0), 1), elementwise (Eq. 13): the activation that a spike time in a window of length 1 can carry.

    steps: N of a window on whose grid y is rounded in training mode, None for no rounding; see `train_on_grid`.
    """

    def __init__(self, steps: int | None = None):
        super().__init__()
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        """min(max(x, 0), 1), any shape and float dtype; in training mode on the grid, if `steps` is set."""
        y = torch.clamp(x, 0.0, 1.0)
        return on_grid(y, self.steps) if self.training and self.steps else y


def on_grid(a: Tensor, steps: int) -> Tensor:
    """a in [0, 1] as a spike time in a window of N = `steps` carries it: floor(N a + 1/2 + 1e-4) / N, which is rounding `nearest`. The
    gradient passes straight through (Bengio et al., 2013). For the network's inputs in training, where their window is coarse."""
    return a + (torch.floor(steps * a + LEAD) / steps - a).detach()


def train_on_grid(model: nn.Module, steps: int | None) -> None:
    """From now on every `ReLU1` of `model`, those of residual sums included, rounds to N = `steps` time steps in training mode; None: no
    more. For the last epochs, at a small learning rate: weights that have seen the grid need few steps. Evaluation and export do not
    round: `ttfs-convert --steps N` will. Raises UsageError for numbers out of range and a model without `ReLU1`."""
    activations = [module for module in model.modules() if isinstance(module, ReLU1)]
    set_steps(activations, steps, type(model).__name__, f"{__name__}.ReLU1")


class Residual(nn.Module):
    """relu1(branch(x) + shortcut(x)): one layer of neurons with two fan-ins, whose weights sum to 1 in total.

    branch: ends in a convolution or a linear layer. shortcut: likewise, or without weights (by default the identity; a pool), which
    then contributes 1 and leaves the branch's last layer 0.
    """

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None):
        super().__init__()
        self.branch = branch
        self.shortcut = nn.Identity() if shortcut is None else shortcut
        self.activation = ReLU1()

    def forward(self, x: Tensor) -> Tensor:
        """relu1(branch(x) + shortcut(x))."""
        return self.activation(self.branch(x) + self.shortcut(x))


ACTIVATIONS = (ReLU1, nn.ReLU, nn.Hardtanh)  # ReLU6 is a Hardtanh


def weight_sum_loss(weight: Tensor, target: float | Tensor = 1.0) -> Tensor:
    """Soft constraint (Eq. 14) of one layer: sum_i |sum_j w_ij - target|.

    weight: (out, ...), any float dtype; every axis but the first is a neuron's fan-in. target: the sum a neuron's weights should
    have, or (out,) of them; dimensionless. Returns a scalar, float32 at least: summed over the output channels, not averaged.
    """
    return (_wide(weight).flatten(1).sum(1) - _on(weight, target)).abs().sum()


@torch.no_grad()
def project_weight_sum_(weight: Tensor, target: float | Tensor = 1.0) -> None:
    """Hard constraint (section III-B), in place: w_ij <- w_ij - (sum_j w_ij - target) / fan_in.

    weight, target: as for `weight_sum_loss`. The deviation is spread evenly over a neuron's synapses, in float32 at least whatever the
    weight's dtype, and twice, because the first pass leaves a rounding error that the second removes almost wholly.
    """
    rows = _wide(weight).flatten(1)
    for _ in range(2):
        rows = rows - ((rows.sum(1) - _on(weight, target)) / rows.shape[1])[:, None]
    weight.copy_(rows.view(weight.shape))


def pre_activation_loss(z: Tensor, mean: float = 0.0, deviation: float = 1 / 3) -> Tensor:
    """Pre-activation normalisation (Eq. 20) of one layer: the mean of |z - A|, A = z normalised per channel, in float32.

    z: (batch, channels, ...) before ReLU1. A has `mean` and `deviation` over the batch and all positions of a channel; no gradient
    flows through it. The default N(0, 1/9) is the paper's. Returns a scalar: averaged within the layer.
    """
    z = _wide(z)
    with torch.no_grad():
        axes = [axis for axis in range(z.dim()) if axis != 1]
        spread = z.std(axes, correction=0, keepdim=True).clamp_min(1e-6)
        target = (z - z.mean(axes, keepdim=True)) / spread * deviation + mean
    return (z - target).abs().mean()


@torch.no_grad()
def initialise_(model: nn.Module) -> None:
    """The paper's initialisation (section IV-A2), in place: convolutions N(0, 2/(k^2 n)), linear layers N(0, 1e-4), biases 0.

    2/(k^2 n) and 1e-4 are variances; k^2 is the kernel's size and n the number of output channels.
    """
    for layer in model.modules():
        if isinstance(layer, CONSTRAINED + TRANSPOSED):
            variance = 1e-4 if isinstance(layer, nn.Linear) else 2 / (math.prod(layer.kernel_size) * layer.out_channels)
            layer.weight.normal_(0.0, math.sqrt(variance))
            if layer.bias is not None:
                layer.bias.zero_()


@dataclass(frozen=True)
class Neurons:
    """Neurons whose weights are constrained together.

    name: of the layer, or of the `Residual`, in the model. layers: all that feed them. target: weight sum over all of those, one number
    or (neurons,). activation: the `Residual`'s, whose input is the pre-activation; None: the output of the one layer is.
    """

    name: str
    layers: tuple[Weighted, ...]
    target: float | Tensor
    activation: nn.Module | None = None

    def loss(self) -> Tensor:
        """`weight_sum_loss` over the fan-ins of all layers, a scalar."""
        return weight_sum_loss(torch.cat([_fan_ins(layer) for layer in self.layers], 1), self.target)

    @torch.no_grad()
    def project_(self) -> None:
        """`project_weight_sum_` over the fan-ins of all layers, in place."""
        parts = [_wide(_fan_ins(layer)) for layer in self.layers]
        rows = torch.cat(parts, 1)
        project_weight_sum_(rows, self.target)
        for layer, part in zip(self.layers, rows.split([part.shape[1] for part in parts], 1)):
            layer.weight.copy_(_from_fan_ins(layer, part))


class LcTtfs:
    """The LC-TTFS constraints of one model: soft and hard weight sums and the pre-activation loss.

    model: its Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d and Linear layers are constrained, but for the readout. optimizer: every
    `step()` of it is followed by the hard projection; the first projection happens here. readout: the layers whose neurons never
    fire; by default the last such layer in definition order. targets: layer -> weight sum, 1 where absent. A `Residual` needs none:
    the layers that end its branch and its shortcut are constrained together. In a block written otherwise, whose additions are not
    seen, a convolution beside an identity needs 0. lambda_w, lambda_a: the weights of Eq. 21. mean, deviation: of the pre-activation's
    target distribution. initialise: whether to draw the paper's initial weights first; False where trained weights go on.

    L_W is summed over output channels and layers; L_A is averaged within a layer and summed over layers. Works with `torch.compile`
    (give the model here before or after compiling it), autocast, gradient clipping, gradient accumulation and non-reentrant activation
    checkpointing; the weights are the only state, so that state_dict() of model and optimiser is a complete checkpoint.

    neurons: what is constrained, a tuple of `Neurons`. Raises UsageError for a model that cannot be constrained.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        readout: Iterable[nn.Module] | None = None,
        targets: Mapping[nn.Module, float] | None = None,
        lambda_w: float = 1e-3,
        lambda_a: float = 1e-2,
        mean: float = 0.0,
        deviation: float = 1 / 3,
        initialise: bool = True,
    ):
        _check_numbers(lambda_w=lambda_w, lambda_a=lambda_a, deviation=deviation)
        self.neurons = _constrained(model, readout, dict(targets or {}))
        self.lambda_w, self.lambda_a, self.mean, self.deviation = lambda_w, lambda_a, mean, deviation
        self._pre_activation_losses: dict[str, Tensor] = {}
        if initialise:
            initialise_(model)
        self.project_()
        for neurons in self.neurons:
            if neurons.activation is None:
                neurons.layers[0].register_forward_hook(functools.partial(self._observe, neurons.name))
            else:
                neurons.activation.register_forward_pre_hook(functools.partial(self._observe_sum, neurons.name))
        optimizer.register_step_post_hook(self._after_step)

    def loss(self, task_loss: Tensor) -> Tensor:
        """L = task_loss + lambda_w L_W + lambda_a L_A (Eq. 21), with L_A of the last forward pass in training mode.

        task_loss: scalar. Raises UsageError when no such pass has happened since the last call.
        """
        if not self._pre_activation_losses:
            raise UsageError(
                "LcTtfs.loss",
                "no pre-activations observed",
                "a forward pass in training mode, with gradients, before each call",
                "call model.train(), then the model, then loss()",
            )
        weight_sums = sum(neurons.loss() for neurons in self.neurons)
        pre_activations = sum(self._pre_activation_losses.values())
        self._pre_activation_losses = {}
        return task_loss + self.lambda_w * weight_sums + self.lambda_a * pre_activations

    def project_(self) -> None:
        """Give every constrained neuron its target weight sum, in place. Runs by itself after each optimiser step."""
        for neurons in self.neurons:
            neurons.project_()

    def _after_step(self, *_: object) -> None:
        self.project_()
        self._pre_activation_losses = {}  # activation checkpointing observes again in the backward pass

    def _observe(self, name: str, layer: nn.Module, _inputs: tuple, output: Tensor) -> None:
        if layer.training and torch.is_grad_enabled():
            z = output.movedim(-1, 1) if isinstance(layer, nn.Linear) else output  # features are its channels, at every position
            self._pre_activation_losses[name] = pre_activation_loss(z, self.mean, self.deviation)

    def _observe_sum(self, name: str, activation: nn.Module, inputs: tuple[Tensor]) -> None:
        if activation.training and torch.is_grad_enabled():
            self._pre_activation_losses[name] = pre_activation_loss(inputs[0], self.mean, self.deviation)


def _wide(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _on(weight: Tensor, target: float | Tensor) -> float | Tensor:
    return target.to(weight.device) if isinstance(target, Tensor) else target


def _fan_ins(layer: Weighted) -> Tensor:
    """The weights as (neurons, fan-in). A transposed convolution has a neuron per output channel and tap, because every tap of its
    kernel reaches other positions."""
    if not isinstance(layer, TRANSPOSED):
        return layer.weight.flatten(1)
    grouped = layer.weight.unflatten(0, (layer.groups, -1))  # (groups, in / groups, out / groups, *kernel)
    return grouped.movedim(1, -1).flatten(0, -2)


def _from_fan_ins(layer: Weighted, rows: Tensor) -> Tensor:
    """`_fan_ins` undone: `rows` in the shape of the layer's weights."""
    if not isinstance(layer, TRANSPOSED):
        return rows.reshape(layer.weight.shape)
    return rows.reshape(layer.groups, *layer.weight.shape[1:], -1).movedim(-1, 1).reshape(layer.weight.shape)


def _constrained(model: nn.Module, readout: Iterable[nn.Module] | None, targets: Mapping[nn.Module, float]) -> tuple[Neurons, ...]:
    """What there is to constrain in `model`; raises UsageError."""
    where = f"LcTtfs({type(model).__name__})"
    names = {module: name.removeprefix("_orig_mod").removeprefix(".") for name, module in model.named_modules()}
    _check_modules(where, names)
    layers = [module for module in names if isinstance(module, CONSTRAINED + TRANSPOSED)]
    exempt = set(layers[-1:] if readout is None else readout)
    for given, option in ((exempt, "readout"), (targets, "targets")):
        if foreign := [type(module).__name__ for module in given if module not in layers]:
            raise UsageError(f"{where}: {option}", f"{', '.join(foreign)}", "convolutions and linear layers of the model")
    found, joined = [], set()
    for module, name in names.items():
        if isinstance(module, Residual):
            neurons = _of_residual(where, name, module)
            if overlap := [names[layer] for layer in neurons.layers if layer in exempt or layer in targets]:
                raise UsageError(
                    f"{where}: {overlap[0]}",
                    "the end of a Residual among readout or targets",
                    remedy="leave it out: the Residual's weight sums are 1 in total",
                )
            found.append(neurons)
            joined.update(neurons.layers)
    found += [
        Neurons(names[layer], (layer,), _target(where, names[layer], layer, float(targets.get(layer, 1.0))))
        for layer in layers
        if layer not in exempt and layer not in joined
    ]
    if not found:
        raise UsageError(
            where,
            "no convolution or linear layer besides the readout: nothing to constrain",
            remedy="give the network a hidden layer, or name its readout",
        )
    return tuple(found)


def _check_modules(where: str, names: Mapping[nn.Module, str]) -> None:
    for module, name in names.items():
        for kind, problem in REFUSED.items():
            if isinstance(module, kind):
                raise UsageError(f"{where}: {name}", *problem)
        if isinstance(module, CONSTRAINED + TRANSPOSED):
            if isinstance(module.weight, nn.parameter.UninitializedParameter):
                raise UsageError(f"{where}: {name}", "a lazy layer without weights", remedy="run the model on one batch first")
            if "weight" not in module._parameters:
                raise UsageError(
                    f"{where}: {name}",
                    "weights computed from others (a parametrisation, such as weight_norm)",
                    "plain weights",
                    "remove the parametrisation: projected weights would be overwritten",
                )


def _of_residual(where: str, name: str, residual: Residual) -> Neurons:
    """The layers that end the branch and the shortcut, with the weight sum left to them."""
    ends: list[Weighted] = []
    for part, module in (("branch", residual.branch), ("shortcut", residual.shortcut)):
        inside = [child for child in module.modules() if isinstance(child, CONSTRAINED + TRANSPOSED + ACTIVATIONS)]
        if inside and isinstance(inside[-1], ACTIVATIONS):
            raise UsageError(
                f"{where}: {name}.{part}",
                "it ends in an activation",
                "a convolution or a linear layer",
                "the Residual applies ReLU1 to the sum; leave it out there",
            )
        ends += [child for child in inside[-1:] if isinstance(child, CONSTRAINED + TRANSPOSED)]
        if part == "branch" and not inside:
            raise UsageError(f"{where}: {name}.branch", "no convolution or linear layer", "one that ends it")
    if len(ends) == 2 and any(isinstance(layer, TRANSPOSED) for layer in ends):
        raise UsageError(
            f"{where}: {name}",
            "a transposed convolution beside another layer",
            "a shortcut without weights",
            "put an activation behind the transposed convolution, in front of the block",
        )
    target = _target(where, name, ends[0], 1.0 if len(ends) == 2 else 0.0)
    return Neurons(name, tuple(ends), target, residual.activation)


def _target(where: str, name: str, layer: Weighted, target: float) -> float | Tensor:
    """`target`, for a transposed convolution one per neuron.

    Along each axis every output position must see exactly one tap whose weights sum to the target, at the borders too; these are
    `stride` neighbouring taps, and those of all others sum to 0.
    """
    if not isinstance(layer, TRANSPOSED):
        return target
    if isinstance(layer.padding, str):
        raise UsageError(f"{where}: {name}", f"padding {layer.padding!r}", "padding in numbers")
    mask = torch.ones(())
    for kernel, stride, padding, extra, dilation in zip(layer.kernel_size, layer.stride, layer.padding, layer.output_padding, layer.dilation):
        first = min(padding, kernel - stride)
        if dilation != 1 or first < 0 or kernel + extra - padding - stride > first:
            raise UsageError(
                f"{where}: {name}",
                f"a transposed convolution with kernel {layer.kernel_size}, stride {layer.stride}, "
                f"padding {layer.padding}, whose border neurons have other fan-ins than the rest",
                "an output of stride times the input's size",
                "take kernel 2, stride 2 or kernel 4, stride 2, padding 1, or an upsampling layer and a convolution",
            )
        axis = torch.zeros(kernel)
        axis[first : first + stride] = 1
        mask = mask.unsqueeze(-1) * axis
    return (target * mask).flatten().repeat(layer.out_channels)


def _check_numbers(**numbers: float) -> None:
    for name, number in numbers.items():
        if not (math.isfinite(number) and number >= 0):
            raise UsageError(f"LcTtfs: {name}", f"{number}", "a finite number of at least 0")
