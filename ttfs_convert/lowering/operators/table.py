"""Every operator that conversion takes: one row each. `body` marks those that make a model worth spiking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...onnx_model.node import Node
from ..builder import Builder
from .activation import COMPARISONS, lower_clip, lower_comparison, lower_hard_sigmoid, lower_max, lower_min, lower_relu, lower_where
from .add import lower_add, lower_mean, lower_sub, lower_sum
from .affine import lower_batch_normalization, lower_div, lower_mul, lower_neg
from .concat import lower_concat
from .conv import lower_conv
from .conv_transpose import lower_conv_transpose
from .cumulative_sum import lower_cumulative_sum
from .curves import (
    INCREASING,
    MOST_HALF_WAVES,
    VALLEYS,
    lower_increasing,
    lower_pow,
    lower_reciprocal,
    lower_thresholded_relu,
    lower_valley,
    lower_wave,
    lower_written_out,
)
from .einsum import lower_einsum
from .matmul import lower_gemm, lower_matmul
from .pad import lower_pad
from .pooling import lower_average_pool, lower_max_pool
from .rearrange import lower_identity, lower_moved
from .reduction import lower_global_average_pool, lower_global_max_pool, lower_reduce_l1, lower_reduce_max, lower_reduce_mean, lower_reduce_sum
from .resize import lower_resize
from .two_slopes import lower_abs, lower_leaky_relu, lower_prelu


@dataclass(frozen=True)
class Operator:
    """lower: sets the values of a node's outputs, or raises UnsupportedNode. takes: what it takes, for CLI.md. body: whether it sums or picks
    among many values, as a layer's synapses do: what reads raw inputs on the way to such an operator is spike-coded, what leads to none is left
    to ONNX Runtime, and a potential that several of them read gets neurons once. activation: whether it is a layer's activation. shaped: whether
    its neurons' threshold has a shape, for which preprocessing has no need and the paper's modes have no neurons."""

    lower: Callable[[Node, Builder], None]
    takes: str
    body: bool = False
    activation: bool = False
    shaped: bool = False


OPERATORS = {
    "Abs": Operator(lower_abs, "as two populations, one for either sign", activation=True),
    "Add": Operator(lower_add, "constants and tensors that broadcast (residual)"),
    "AveragePool": Operator(lower_average_pool, "1-D and 2-D; strides, pads, ceil_mode, count_include_pad", body=True),
    "BatchNormalization": Operator(lower_batch_normalization, "of evaluation, anywhere; folded into weights or ranges"),
    "Clip": Operator(lower_clip, "ReLU1 (0 to 1); mode exact: any minimum below any maximum; mode unchecked: clamped at 1", activation=True),
    "Concat": Operator(lower_concat, "along any axis; every channel keeps its range"),
    "Conv": Operator(
        lower_conv,
        "1-D and 2-D; strides, dilations, pads, auto_pad, groups, bias; on each of the images that are folded into the batch axis",
        body=True,
    ),
    "ConvTranspose": Operator(lower_conv_transpose, "1-D and 2-D; as Conv, with output_padding and output_shape", body=True),
    "CumSum": Operator(lower_cumulative_sum, "along a constant axis; exclusive, reverse"),
    "Div": Operator(lower_div, "by constants, also such as repeat the tensor"),
    "Dropout": Operator(lower_identity, "of evaluation, as the identity"),
    "Einsum": Operator(lower_einsum, "with one computed factor; a product with a constant matrix over any axes", body=True),
    "Gemm": Operator(lower_gemm, "a constant matrix on one side; transA, transB, alpha, beta, any C", body=True),
    "GlobalAveragePool": Operator(lower_global_average_pool, "over any number of axes", body=True),
    "GlobalMaxPool": Operator(lower_global_max_pool, "over any number of axes", body=True),
    "Identity": Operator(lower_identity, "anything"),
    "LeakyRelu": Operator(
        lower_leaky_relu,
        "as two populations, one for either sign; also written out, such as Where(x > 0, x, 0.1 x), "
        "Max(x, 0.1 x), Relu(x) - 0.1 Relu(-x) or x * (x > 0)",
        activation=True,
    ),
    "MatMul": Operator(lower_matmul, "a constant vector, matrix or stack of matrices on either side", body=True),
    "Mean": Operator(lower_mean, "of constants and tensors that broadcast"),
    "HardSigmoid": Operator(lower_hard_sigmoid, "in the middle of the network", activation=True),
    "Max": Operator(
        lower_max, "a constant; or several tensors, whose earliest spike wins; of multiples of one tensor see LeakyRelu", activation=True
    ),
    "Min": Operator(lower_min, "a constant; multiples of one tensor, see LeakyRelu", activation=True),
    "Pow": Operator(lower_pow, "one constant exponent; of values that are not negative unless it is whole", activation=True, shaped=True),
    "Reciprocal": Operator(lower_reciprocal, "of values of one sign", activation=True, shaped=True),
    "ThresholdedRelu": Operator(lower_thresholded_relu, "alpha 0 or above", activation=True, shaped=True),
    "Where": Operator(
        lower_where, "as a clamp: x > c, x, c and the like; as two slopes, see LeakyRelu; or with a constant condition", activation=True
    ),
    "MaxPool": Operator(lower_max_pool, "1-D and 2-D; before or after the activation", body=True),
    "Mul": Operator(lower_mul, "by constants, also such as repeat the tensor; x times (x > 0) and the like, see LeakyRelu"),
    "Neg": Operator(lower_neg, "anything"),
    "PRelu": Operator(lower_prelu, "as two populations; constant slopes of any sign, one or one per channel or element", activation=True),
    "Pad": Operator(lower_pad, "any axes, with a constant, reflected, repeated or wrapped; negative pads crop", body=True),
    "ReduceL1": Operator(lower_reduce_l1, "over any axes, of values that are not negative"),
    "ReduceMax": Operator(lower_reduce_max, "over any axes, before or after the activation"),
    "ReduceMean": Operator(lower_reduce_mean, "over any axes", body=True),
    "ReduceSum": Operator(lower_reduce_sum, "over any axes"),
    "Relu": Operator(
        lower_relu, "mode exact: the range is calibrated; mode strict: only where it changes nothing; mode unchecked: clamped at 1", activation=True
    ),
    "Sub": Operator(lower_sub, "constants and tensors that broadcast"),
    "Sum": Operator(lower_sum, "of constants and tensors that broadcast"),
}

OPERATORS |= {
    name: Operator(lower_increasing, "mode exact: neurons whose threshold has its shape", activation=True, shaped=True) for name in INCREASING
}
OPERATORS |= {
    name: Operator(lower_valley, "mode exact: as two populations, one for either side of its minimum", activation=True, shaped=True)
    for name in VALLEYS
}
OPERATORS |= {
    name: Operator(
        lower_wave,
        f"mode exact: as a population for each way from one extreme to the next, as far as its values reach, at most {MOST_HALF_WAVES}",
        activation=True,
        shaped=True,
    )
    for name in ("Cos", "Sin")
}
OPERATORS["Function"] = Operator(
    lower_written_out,
    "what several operators make of one tensor element by element, with at most one minimum or maximum: 0.5 x (1 + Erf(x / 1.414)), x Sigmoid(x), "
    "x HardSigmoid(x), x Tanh(Softplus(x)), x / (1 + |x|) and the like, in any spelling",
    activation=True,
    shaped=True,
)
OPERATORS |= {name: Operator(lower_comparison, "for Where") for name in COMPARISONS}
MOVERS = (
    "DepthToSpace",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Reshape",
    "ReverseSequence",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
)
OPERATORS |= {name: Operator(lower_moved, "with constant parameters") for name in MOVERS}
OPERATORS["Resize"] = OPERATORS["Upsample"] = Operator(
    lower_resize, "nearest, linear and cubic, with constant sizes or scales; all but tf_crop_and_resize"
)
OPERATORS = dict(sorted(OPERATORS.items()))

TAIL_OPERATORS = ("ArgMax", "LogSoftmax", "Sigmoid", "Softmax")  # ONNX Runtime runs them on the potentials, and whatever follows
TAIL_MACS = 0.1  # share of all multiply-accumulates that may stand behind them

QUANTISED = ("ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul", "QuantizeLinear")
_RECURRENT = ("a recurrent state has no window of its own", "use convolutions over time")
_NORM = ("it divides by a deviation or norm computed from the data", "--mode exact, or train with BatchNorm, which folds into the weights")
_ROOTED = ("it is no linear operator", "--mode exact")
_PATH = ("its path depends on data", "export the branch that is used")
_SHAPES = ("it computes with shapes", "export with fixed sizes")
_QUANTISED = ("a network quantised by others", "export the plain float32 network")
REMEDIES = {  # why an operator cannot spike, and what would help
    **dict.fromkeys(("GRU", "LSTM", "RNN"), _RECURRENT),
    **dict.fromkeys(("GroupNormalization", "InstanceNormalization", "LayerNormalization", "LpNormalization", "RMSNormalization"), _NORM),
    **dict.fromkeys(("ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"), _ROOTED),
    "LRN": ("it divides by sums over neighbouring channels", "train with BatchNorm, which folds into the weights"),
    "MeanVarianceNormalization": _NORM,
    **dict.fromkeys(("If", "Loop", "Scan"), _PATH),
    **dict.fromkeys(("ConstantOfShape", "Range", "Shape"), _SHAPES),
    **dict.fromkeys(QUANTISED, _QUANTISED),
    "ReduceMin": ("the latest of several spikes", "write it as Neg, ReduceMax, Neg"),
    "Attention": ("it multiplies two computed tensors", "--mode exact"),
    "ArgMax": ("it stands in the middle of the network", "keep it for the output"),
    **dict.fromkeys(("LogSoftmax", "Softmax"), ("it divides by a sum over computed values", "--mode exact; at the output it is fine")),
}
NO_REMEDY = ("no spiking form here", "CLI.md lists the operators that convert")
