"""Fitted networks against their originals under ONNX Runtime, on images that the fit did not see."""

import dataclasses

import numpy as np
import pytest

from tests.models import Chain, converted, dataset, outputs_of
from tests.simulate.networks import averages, line, separable, transposed, two_inputs, two_readouts
from ttfs_convert.compensation import compensated
from ttfs_convert.errors import DataError, UsageError
from ttfs_convert.ends import run
from ttfs_convert.ir import Network, Spiking, has_neurons
from ttfs_convert.recording import decode
from ttfs_convert.reference import Reference
from ttfs_convert.store import load, save


def residual():
    """A stage of a residual network: an identity beside two convolutions, then a strided one beside a convolution of its own."""
    chain = Chain((3, 8, 8), seed=4).conv(6, pads=[1] * 4).add("Relu")
    start = chain.at
    chain.conv(6, pads=[1] * 4).add("Relu").conv(6, pads=[1] * 4, total=0.3).add("Add", start).add("Relu")
    start = chain.at
    short = chain.conv(8, (1, 1), strides=[2, 2]).at
    chain.at = start
    chain.conv(8, pads=[1] * 4, strides=[2, 2]).add("Relu").conv(8, pads=[1] * 4).add("Add", short).add("Relu")
    return chain.add("GlobalAveragePool").readout()


def wide():
    """More inputs than there are samples to fit to."""
    chain = Chain((3, 12, 12), seed=2).conv(4, pads=[1] * 4).add("Relu").add("Flatten")
    return chain.add("Gemm", (chain.rng.normal(size=(576, 20)) / 24).astype(np.float32)).add("Relu").readout()


BUILDERS = (residual, wide, separable, transposed, averages, line, two_inputs, two_readouts)


def samples(chain: Chain, count: int, seed: int) -> dict[str, np.ndarray]:
    """Smooth images, so that inputs of a neuron are alike as in pictures."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, shape in chain._inputs.items():
        coarse = rng.uniform(-0.3, 1.3, (count, *shape))
        for axis in range(2, coarse.ndim):
            coarse = (coarse + np.roll(coarse, 1, axis)) / 2
        found[name] = np.clip(coarse, 0, 1).astype(np.float32)
    return found


def data_of(x: dict[str, np.ndarray]):
    several = dict(x) if len(x) > 1 else {}
    return dataclasses.replace(dataset(next(iter(x.values()))), inputs=several)


def error(network: Network, model, x: dict[str, np.ndarray]) -> float:
    """Root mean squared error of all outputs, as a share of their spread."""
    theirs = list(Reference(model)(x).values())
    ours = outputs_of(network, run(network, x if len(x) > 1 else x["x"]), x)
    return float(np.sqrt(np.mean([np.square(a - b).mean() / b.var() for a, b in zip(ours, theirs)])))


def fitted_and_plain(builder, **options) -> tuple[Network, Network, float, float]:
    chain = builder()
    model = chain.model(*([chain.at, chain.also] if hasattr(chain, "also") else [chain.at]))
    data, unseen = data_of(samples(chain, 100, 1)), samples(chain, 60, 2)
    options = {"mode": "exact", "steps": 8, "rounding": "ceil", "calibrate": data, "method": "mse", **options}
    plain, fitted = converted(model, **options), converted(model, compensate=True, **options)
    return fitted, plain, error(fitted, model, unseen), error(plain, model, unseen)


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: builder.__name__)
def test_outputs_are_closer_to_the_originals_on_images_that_were_not_fitted_to(builder):
    fitted, plain, after, before = fitted_and_plain(builder)
    print(builder.__name__, before, after, [(f.layer, f.fitted, f.strength, round(f.error_before, 4), round(f.error_after, 4)) for f in fitted.compensation.layers])
    assert after < before
    assert any(fit.fitted == "weights" for fit in fitted.compensation.layers)
    assert all(fit.error_after <= fit.error_before for fit in fitted.compensation.layers)
