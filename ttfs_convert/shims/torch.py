"""Train a PyTorch network that converts without loss: the LC-TTFS constraints (Yang et al., "LC-TTFS", section III).

    lc = LcTtfs(model, optimizer)                          # initialise, project, and project again after every step
    for x, y in batches:
        loss = lc.loss(cross_entropy(model(x), y))         # Eq. 21
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    export_onnx(model, "model.onnx", x[:1])

The network itself uses `ReLU1` after every convolution and linear layer but the last, and no BatchNorm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

__all__ = ["LcTtfs", "ReLU1", "export_onnx", "initialise_", "pre_activation_loss", "project_weight_sum_", "weight_sum_loss"]

CONSTRAINED = (nn.Conv1d, nn.Conv2d, nn.Linear)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)  # their weight's first axis is the input's


class ReLU1(nn.Module):
    """y(x) = min(max(x, 0), 1), elementwise (Eq. 13): the activation that a spike time in a window of length 1 can carry."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp(x, 0.0, 1.0)


def weight_sum_loss(weight: Tensor, target: float = 1.0) -> Tensor:
    """Soft constraint (Eq. 14) of one layer: sum_i |sum_j w_ij - target|.

    weight: (out, ...), any float dtype; every axis but the first is a neuron's fan-in. target: the sum a neuron's weights should
    have; dimensionless. Returns a scalar: summed over the output channels, not averaged.
    """
    return (weight.flatten(1).sum(1) - target).abs().sum()


@torch.no_grad()
def project_weight_sum_(weight: Tensor, target: float = 1.0) -> None:
    """Hard constraint (section III-B), in place: w_ij <- w_ij - (sum_j w_ij - target) / fan_in.

    weight: (out, ...), as for `weight_sum_loss`. The deviation is spread evenly over a neuron's synapses, in float32 whatever the
    weight's dtype, and twice, because the first pass leaves a rounding error that the second removes almost wholly.
    """
    rows = weight.flatten(1).float()
    for _ in range(2):
        rows -= (rows.sum(1, keepdim=True) - target) / rows.shape[1]
    weight.copy_(rows.view_as(weight))


def pre_activation_loss(z: Tensor, mean: float = 0.0, deviation: float = 1 / 3) -> Tensor:
    """Pre-activation normalisation (Eq. 20) of one layer: the mean of |z - A|, A = z normalised per channel.

    z: (batch, channels, ...) before ReLU1. A has `mean` and `deviation` over the batch and all positions of a channel; no gradient
    flows through it. The default N(0, 1/9) is the paper's. Returns a scalar: averaged within the layer.
    """
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
        if isinstance(layer, (nn.Conv1d, nn.Conv2d)):
            layer.weight.normal_(0.0, math.sqrt(2 / (math.prod(layer.kernel_size) * layer.out_channels)))
        elif isinstance(layer, nn.Linear):
            layer.weight.normal_(0.0, 0.01)
        if isinstance(layer, CONSTRAINED) and layer.bias is not None:
            layer.bias.zero_()


class LcTtfs:
    """The LC-TTFS constraints of one model: soft and hard weight sums and the pre-activation loss.

    model: its Conv1d, Conv2d and Linear layers are constrained, but for the readout. optimizer: every `step()` of it is followed by
    the hard projection; the first projection happens here. readout: the layers whose neurons never fire; by default the last
    constrained layer in definition order. targets: layer -> weight sum, 1 where absent (a convolution beside an identity
    shortcut needs 0). lambda_w, lambda_a: the weights of Eq. 21. mean, deviation: of the pre-activation's target distribution.
    initialise: whether to draw the paper's initial weights first.

    L_W is summed over output channels and layers; L_A is averaged within a layer and summed over layers.
    Raises ValueError for a model with nothing to constrain or with a transposed convolution.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, *, readout: Iterable[nn.Module] | None = None,
                 targets: Mapping[nn.Module, float] | None = None, lambda_w: float = 1e-3, lambda_a: float = 1e-2,
                 mean: float = 0.0, deviation: float = 1 / 3, initialise: bool = True):
        layers = [layer for layer in model.modules() if isinstance(layer, CONSTRAINED)]
        transposed = [name for name, layer in model.named_modules() if isinstance(layer, TRANSPOSED)]
        if transposed:
            raise ValueError(f"cannot constrain transposed convolution {', '.join(transposed)}: its neurons' fan-ins differ by "
                             "position; use an upsampling layer and a convolution")
        exempt = set(layers[-1:] if readout is None else readout)
        self.targets = {layer: float((targets or {}).get(layer, 1.0)) for layer in layers if layer not in exempt}
        if not self.targets:
            raise ValueError(f"found no Conv1d, Conv2d or Linear besides the readout in {type(model).__name__}: nothing to constrain")
        self.lambda_w, self.lambda_a, self.mean, self.deviation = lambda_w, lambda_a, mean, deviation
        self._pre_activation_losses: dict[nn.Module, Tensor] = {}
        if initialise:
            initialise_(model)
        self.project_()
        for layer in self.targets:
            layer.register_forward_hook(self._observe)
        optimizer.register_step_post_hook(lambda *_: self.project_())

    def loss(self, task_loss: Tensor) -> Tensor:
        """L = task_loss + lambda_w L_W + lambda_a L_A (Eq. 21), with L_A of the last forward pass in training mode.

        task_loss: scalar. Raises RuntimeError when no such pass has happened since the last call.
        """
        if not self._pre_activation_losses:
            raise RuntimeError("no pre-activations observed: call the model in training mode before each call of loss()")
        weight_sums = sum(weight_sum_loss(layer.weight, target) for layer, target in self.targets.items())
        pre_activations = sum(self._pre_activation_losses.values())
        self._pre_activation_losses = {}
        return task_loss + self.lambda_w * weight_sums + self.lambda_a * pre_activations

    def project_(self) -> None:
        """Give every constrained neuron its target weight sum, in place. Runs by itself after each optimiser step."""
        for layer, target in self.targets.items():
            project_weight_sum_(layer.weight, target)

    def _observe(self, layer: nn.Module, _inputs: tuple, output: Tensor) -> None:
        if layer.training and torch.is_grad_enabled():
            z = output.movedim(-1, 1) if isinstance(layer, nn.Linear) else output
            self._pre_activation_losses[layer] = pre_activation_loss(z, self.mean, self.deviation)


def export_onnx(model: nn.Module, path: str | Path, example: Tensor, *, dynamo: bool = True) -> None:
    """Write `model` in evaluation mode as one ONNX file with a dynamic batch axis.

    example: a batch of inputs (at least one), float32. dynamo: which of PyTorch's exporters; the newer one needs `onnxscript`.
    The training mode of every module is restored.
    """
    example = torch.cat([example, example])[:2]  # the newer exporter takes a batch of one for a constant
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        if dynamo:
            torch.onnx.export(model, (example,), str(path), dynamo=True, verbose=False, external_data=False, input_names=["input"],
                              output_names=["output"], dynamic_shapes=({0: torch.export.Dim("batch")},))
        else:
            torch.onnx.export(model, (example,), str(path), dynamo=False, input_names=["input"], output_names=["output"],
                              dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}})
    finally:
        for module, training in modes.items():
            module.training = training
