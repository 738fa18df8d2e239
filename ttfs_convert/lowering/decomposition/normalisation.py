"""Normalisation by statistics of the sample itself.

1. LayerNormalization(x)      -> (x - mean) times Pow(mean of (x - mean)^2 + epsilon, -0.5), over the axes from `axis` on; scale and shift
2. InstanceNormalization(x)   -> the same over all positions, with one scale and shift per channel
3. GroupNormalization(x)      -> the same over the channels and positions of each group
4. RMSNormalization(x)        -> x times Pow(mean of x^2 + epsilon, -0.5), over the axes from `axis` on; scale
5. MeanVarianceNormalization  -> (x - mean) times Reciprocal(deviation + 1e-9)
6. LpNormalization(x)         -> x times Pow(sum of x^2, -0.5), or, p = 1, Reciprocal(sum of |x|)

Means, x - mean and the scale are linear; the powers are functions of one tensor, and the product is two squares (`products.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..unsupported import UnsupportedNode
from .products import product
from .rewriting import Rewriting

LEAST = 1e-9  # that MeanVarianceNormalization adds to the deviation


def rewrite_layer_normalization(rewriting: Rewriting) -> str:
    """Raises UnsupportedNode where its mean or deviation is read too."""
    _only_output(rewriting)
    value, scale, *shift = rewriting.node.inputs
    result = _normalised(rewriting, value, _from_axis(rewriting, value), rewriting.node.attributes.get("epsilon", 1e-5))
    return _scaled_and_shifted(rewriting, result, scale, shift[0] if shift else "")


def rewrite_instance_normalization(rewriting: Rewriting) -> str:
    """Over all axes behind the channels'."""
    value, scale, shift = rewriting.node.inputs
    rank = len(_shape(rewriting, value))
    result = _normalised(rewriting, value, range(2, rank), rewriting.node.attributes.get("epsilon", 1e-5))
    return _scaled_and_shifted(rewriting, result, *(_per_channel(rewriting, each, rank) for each in (scale, shift)))


def rewrite_group_normalization(rewriting: Rewriting) -> str:
    """Scale and shift are those of the channels, as since opset 21: until then, of the groups, the operator is deprecated."""
    value, scale, shift = rewriting.node.inputs
    shape, groups = _shape(rewriting, value), rewriting.node.attributes["num_groups"]
    by_group = _normalised(rewriting, rewriting.reshaped("groups", value, (0, groups, -1)), (2,), rewriting.node.attributes.get("epsilon", 1e-5))
    result = rewriting.reshaped("channels", by_group, (0, *shape[1:]))
    return _scaled_and_shifted(rewriting, result, *(_per_channel(rewriting, each, len(shape)) for each in (scale, shift)))


def rewrite_rms_normalization(rewriting: Rewriting) -> str:
    """No mean is taken away."""
    value, scale = rewriting.node.inputs
    result = _by_deviation(rewriting, value, value, _from_axis(rewriting, value), rewriting.node.attributes.get("epsilon", 1e-5))
    return _scaled_and_shifted(rewriting, result, scale, "")


def rewrite_mean_variance_normalization(rewriting: Rewriting) -> str:
    """Raises UnsupportedNode where it works along the batch, as it does by default."""
    (value,) = rewriting.node.inputs
    rank = len(_shape(rewriting, value))
    axes = sorted({axis % rank for axis in rewriting.node.attributes.get("axes", (0, 2, 3))})
    if 0 in axes:
        raise UnsupportedNode("it works across the samples of a batch", "work along other axes than the first")
    centred = rewriting.add("centred", "Sub", value, rewriting.reduced("mean", "ReduceMean", value, axes))
    variance = rewriting.reduced("variance", "ReduceMean", rewriting.add("squares", "Pow", centred, 2.0), axes)
    deviation = rewriting.add("deviation", "Add", rewriting.add("root", "Sqrt", variance), LEAST)
    return product(rewriting, centred, rewriting.add("inverse", "Reciprocal", deviation))


def rewrite_lp_normalization(rewriting: Rewriting) -> str:
    """Of a vector of zeros ONNX Runtime makes zeros, which these have no form for: data has to have none."""
    (value,) = rewriting.node.inputs
    axes = (rewriting.node.attributes.get("axis", -1) % len(_shape(rewriting, value)),)
    if rewriting.node.attributes.get("p", 2) == 1:
        norm = rewriting.reduced("norm", "ReduceSum", rewriting.add("magnitudes", "Abs", value), axes)
        return product(rewriting, value, rewriting.add("inverse", "Reciprocal", norm))
    squares = rewriting.reduced("squared_norm", "ReduceSum", rewriting.add("squares", "Pow", value, 2.0), axes)
    return product(rewriting, value, rewriting.add("inverse", "Pow", squares, -0.5))


def _normalised(rewriting: Rewriting, value: str, axes: Sequence[int], epsilon: float) -> str:
    """`value` less its mean, by its deviation, over `axes`."""
    centred = rewriting.add("centred", "Sub", value, rewriting.reduced("mean", "ReduceMean", value, axes))
    return _by_deviation(rewriting, centred, centred, axes, epsilon)


def _by_deviation(rewriting: Rewriting, value: str, centred: str, axes: Sequence[int], epsilon: float) -> str:
    variance = rewriting.reduced("variance", "ReduceMean", rewriting.add("squares", "Pow", centred, 2.0), axes)
    return product(rewriting, value, rewriting.add("inverse", "Pow", rewriting.add("stabilised", "Add", variance, float(epsilon)), -0.5))


def _scaled_and_shifted(rewriting: Rewriting, value: str, scale: str, shift: str) -> str:
    scaled = rewriting.add("scaled", "Mul", value, scale) if scale else value
    return rewriting.add("shifted", "Add", scaled, shift) if shift else scaled


def _per_channel(rewriting: Rewriting, parameter: str, rank: int) -> str:
    """A constant (channels,) as (channels, 1, ...), so that it broadcasts to a tensor of `rank` axes with channels second. Raises
    UnsupportedNode where it is computed."""
    array = rewriting.graph.constant(parameter)
    if array is None:
        raise UnsupportedNode("its scale or shift is computed by the network", "make them constants")
    if (array == array.reshape(-1)[0]).all() and array.reshape(-1)[0] in (0, 1):  # such as exporters add scale and shift behind
        array = array[:1]
    return rewriting.constant(f"{parameter}/per_channel", array.reshape(-1, *(1,) * (rank - 2)))


def _from_axis(rewriting: Rewriting, value: str) -> range:
    rank = len(_shape(rewriting, value))
    return range(rewriting.node.attributes.get("axis", -1) % rank, rank)


def _shape(rewriting: Rewriting, value: str) -> tuple[int, ...]:
    """Raises UnsupportedNode where it is not known, or leaves nothing to normalise over."""
    shape = rewriting.graph.shape(value)
    if not shape or len(shape) < 2:
        raise UnsupportedNode(f"its input has the shape {shape}", "normalise over axes behind the batch")
    return shape


def _only_output(rewriting: Rewriting) -> None:
    if any(name and rewriting.graph.readers.get(name) for name in rewriting.node.outputs[1:]):
        raise UnsupportedNode("its mean or deviation is read too", "use only its first output")
