"""NeuroBench's terms equal what `neurobench` computes for the original, where they are defined alike (continuous time, no pools)."""

import numpy as np
import pytest

from tests.models import Chain, converted, dataset
from ttfs_convert import evaluate


def sparse_chain():
    """Two convolutions with padding, strides and groups and two dense layers, a third of all weights 0."""
    rng = np.random.default_rng(3)

    def weights(*shape):
        return (rng.normal(0, 0.4, shape) * (rng.random(shape) > 1 / 3)).astype(np.float32)

    arrays = [weights(4, 2, 3, 3), weights(6, 2, 3, 3), weights(5, 54), weights(3, 5)]
    biases = [rng.normal(0, 0.2, len(each)).astype(np.float32) for each in arrays]
    chain = Chain((2, 6, 6)).add("Conv", arrays[0], biases[0], pads=[1] * 4).add("Relu")
    chain.add("Conv", arrays[1], biases[1], pads=[1] * 4, strides=[2, 2], group=2).add("Relu").add("Flatten")
    chain.add("Gemm", arrays[2], biases[2], transB=1).add("Relu").add("Gemm", arrays[3], biases[3], transB=1)
    return chain, arrays, biases


@pytest.fixture(scope="module")
def ours():
    chain, arrays, biases = sparse_chain()
    x = chain.images(6)
    report = evaluate(converted(chain.model(), mode="exact", calibrate=dataset(x)), x).report
    return report.energy.neurobench, x, arrays, biases


def activations(x, arrays, biases):
    """Inputs of the four layers, (n, ...) each, by plain loops over taps."""
    found = [x]
    for (w, b), (stride, groups) in zip(zip(arrays[:2], biases[:2]), ((1, 1), (2, 2))):
        found.append(np.maximum(convolved(found[-1], w, stride, groups) + b[:, None, None], 0))
    found.append(np.maximum(found[-1].reshape(len(x), -1) @ arrays[2].T + biases[2], 0))
    return [found[0], found[1], found[2].reshape(len(x), -1), found[3]], found[1:]


def convolved(x, w, stride, groups):
    padded, size = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), x.shape[-1] // stride
    out, per_group = np.zeros((len(x), len(w), size, size)), len(w) // groups
    for o, c, i, j in np.ndindex(*w.shape):
        source = padded[:, o // per_group * w.shape[1] + c, i : i + stride * size : stride, j : j + stride * size : stride]
        out[:, o] += w[o, c, i, j] * source
    return out


def test_terms_equal_plain_loops(ours):
    terms, x, arrays, biases = ours
    inputs, fired = activations(x, arrays, biases)
    counted = []
    for on in (lambda each: each != 0, np.ones_like):
        convolutions = [convolved(on(inputs[k]) * 1.0, on(arrays[k]) * 1.0, *geometry).sum() for k, geometry in ((0, (1, 1)), (1, (2, 2)))]
        dense = [((on(inputs[k]) * 1.0) @ (on(arrays[k]) * 1.0).T).sum() for k in (2, 3)]
        counted.append(sum(convolutions + dense) / len(x))
    assert (terms.effective_acs, terms.dense) == pytest.approx(counted) and terms.effective_macs == 0
    assert terms.activation_sparsity == pytest.approx(1 - sum(np.count_nonzero(each) for each in fired) / sum(each.size for each in fired))
    assert terms.connection_sparsity == pytest.approx(sum((each == 0).sum() for each in arrays) / sum(each.size for each in arrays))
    assert terms.footprint == 4 * sum(each.size for each in (*arrays, *biases))
    assert 0.2 < terms.activation_sparsity < 0.8 and terms.effective_acs < 0.6 * terms.dense


def test_terms_equal_neurobench(ours):
    pytest.importorskip("neurobench", reason="neurobench is not installed: pip install neurobench==2.3.0")
    import torch
    from neurobench.metrics.static import ConnectionSparsity, Footprint
    from neurobench.metrics.workload import ActivationSparsity, SynapticOperations
    from neurobench.models import TorchModel
    from torch import nn

    terms, x, arrays, biases = ours
    layers = [nn.Conv2d(2, 4, 3, 1, 1), nn.Conv2d(4, 6, 3, 2, 1, groups=2), nn.Linear(54, 5), nn.Linear(5, 3)]
    for layer, weight, bias in zip(layers, arrays, biases):
        layer.weight.data, layer.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
    model = TorchModel(nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), nn.Flatten(), layers[2], nn.ReLU(), layers[3]))
    model.register_hooks()
    data = torch.from_numpy(x), torch.zeros(len(x))
    with torch.no_grad():
        predictions = model(data[0])
        sparsity, synops = ActivationSparsity()(model, predictions, data), SynapticOperations()(model, predictions, data)
    assert synops["Effective_MACs"] + synops["Effective_ACs"] == pytest.approx(terms.effective_acs)
    assert synops["Dense"] == pytest.approx(terms.dense)
    assert sparsity == pytest.approx(terms.activation_sparsity, abs=1e-4)
    assert ConnectionSparsity()(model) == pytest.approx(terms.connection_sparsity, abs=1e-4)
    assert Footprint()(model) == terms.footprint
