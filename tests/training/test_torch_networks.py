"""Residual blocks, transposed and grouped convolutions: their weight sums, by hand and by strict conversion; what is refused."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from ttfs_convert.conversion.pipeline import convert  # noqa: E402
from ttfs_convert.conversion.refusals import ConstraintError  # noqa: E402
from ttfs_convert.errors import UsageError  # noqa: E402
from ttfs_convert.simulation.engines import simulate  # noqa: E402
from ttfs_convert.training.torch import LcTtfs, ReLU1, Residual, export_onnx, pre_activation_loss  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of PyTorch's exporters


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


def block(inputs: int, outputs: int, stride: int = 1) -> Residual:
    branch = nn.Sequential(conv(inputs, outputs, 3, stride), ReLU1(), conv(outputs, outputs))
    return Residual(branch, None if (inputs, stride) == (outputs, 1) else conv(inputs, outputs, 1, stride))


def resnet() -> nn.Module:
    return nn.Sequential(conv(1, 6), ReLU1(), block(6, 6), block(6, 8, 2), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(8, 3))


def sgd(model: nn.Module, rate: float = 0.05) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=rate)


def train(model: nn.Module, shape: tuple[int, ...], steps: int = 3, **options) -> LcTtfs:
    """A few steps at a loss that needs no labels."""
    lc = LcTtfs(model, optimizer := sgd(model), **options)
    for _ in range(steps):
        y = model(torch.rand(4, *shape)).flatten(1)
        loss = lc.loss((y - torch.arange(y.shape[1]) % 2).square().mean())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return lc


def sums(layer: nn.Module) -> np.ndarray:
    return layer.weight.detach().double().flatten(1).sum(1).numpy()


def assert_converts(model: nn.Module, shape: tuple[int, ...], tmp_path, layers: int) -> None:
    """Strict conversion takes it, with so many spiking layers, and its output is the model's."""
    x = torch.rand(5, *shape)
    export_onnx(model, tmp_path / "model.onnx", x, dynamo=False)
    network = convert(tmp_path / "model.onnx", steps=None)
    assert sum(layer.kind == "spiking" for layer in network.layers) == layers and not network.violations
    with torch.no_grad():
        expected = model.eval()(x).numpy()
    assert expected.std(0).max() > 1e-3
    np.testing.assert_allclose(simulate(network, x.numpy()).potentials.reshape(expected.shape), expected, atol=2e-5)


def test_residual_is_relu1_of_the_sum():
    branch, shortcut, x = conv(2, 3), conv(2, 3, 1), 4 * torch.randn(4, 2, 5, 5)
    expected = torch.clamp(branch(x) + shortcut(x), 0, 1)
    assert torch.equal(Residual(branch, shortcut)(x), expected) and (expected == 0).any() and (expected == 1).any()
    branch = conv(2, 2)
    assert torch.equal(Residual(branch)(x), torch.clamp(branch(x) + x, 0, 1))


def test_weights_of_a_residual_neuron_sum_to_one_in_total():
    lc = train(model := resnet(), (1, 8, 8))
    stem, _, identity, projected, *_ = model
    np.testing.assert_allclose(sums(stem), 1, atol=1e-6)
    np.testing.assert_allclose(sums(identity.branch[0]), 1, atol=1e-6)
    np.testing.assert_allclose(sums(identity.branch[2]), 0, atol=1e-6)
    np.testing.assert_allclose(sums(projected.branch[2]) + sums(projected.shortcut), 1, atol=1e-6)
    assert np.abs(sums(projected.shortcut)).min() > 1e-3 < np.abs(sums(projected.branch[2])).min()  # it shares, nothing is fixed
    assert len(lc.neurons) == 5


def test_deviation_is_spread_over_both_fan_ins():
    model = nn.Sequential(nn.Linear(3, 4), ReLU1(), Residual(nn.Linear(4, 4), nn.Linear(4, 4)), nn.Linear(4, 2))
    lc = LcTtfs(model, sgd(model))
    branch, shortcut = model[2].branch, model[2].shortcut
    with torch.no_grad():
        branch.weight += 0.3  # 4 weights: a deviation of 1.2, over 8 synapses
    before = branch.weight.clone(), shortcut.weight.clone()
    lc.project_()
    for old, layer in zip(before, (branch, shortcut)):
        np.testing.assert_allclose((old - layer.weight).detach().numpy(), 0.15, atol=1e-6)


def test_residual_losses_by_hand():
    """L_W of the joint sums, L_A of the sum in front of the activation, not of the branch."""
    model, x = nn.Sequential(conv(1, 4), ReLU1(), block(4, 4), nn.Flatten(), nn.Linear(4 * 36, 2)), torch.rand(3, 1, 6, 6)
    lc = LcTtfs(model, sgd(model), lambda_w=2.0, lambda_a=3.0)
    first, second = model[2].branch[0], model[2].branch[2]
    with torch.no_grad():
        second.weight += 0.01
    model(x)
    total = lc.loss(torch.tensor(0.0)).item()
    a = torch.clamp(z0 := model[0](x), 0, 1)
    z1 = first(a)
    z2 = second(torch.clamp(z1, 0, 1)) + a
    expected = 2 * 4 * 36 * 0.01 + 3 * sum(pre_activation_loss(z).item() for z in (z0, z1, z2))
    assert total == pytest.approx(expected, rel=1e-4)
    assert abs(pre_activation_loss(z2 - a) - pre_activation_loss(z2)) > 1e-3  # the branch's alone would differ


@pytest.mark.parametrize(
    "make, shape, layers",
    [
        (resnet, (1, 8, 8), 5),
        (lambda: nn.Sequential(conv(2, 4), ReLU1(), Residual(conv(4, 4, 3, 2), nn.AvgPool2d(2)), nn.Flatten(), nn.Linear(64, 3)), (2, 8, 8), 2),
        (
            lambda: nn.Sequential(
                nn.Conv2d(2, 8, 3, padding=1),
                ReLU1(),
                nn.Conv2d(8, 6, 3, groups=2),
                ReLU1(),
                nn.Conv2d(6, 6, 3, groups=6),
                ReLU1(),
                nn.Flatten(),
                nn.Linear(96, 3),
            ),
            (2, 8, 8),
            3,
        ),
        (lambda: nn.Sequential(nn.Conv1d(2, 4, 3), ReLU1(), nn.ConvTranspose1d(4, 4, 4, 2, 1), ReLU1(), nn.Flatten(), nn.Linear(48, 3)), (2, 8), 2),
    ],
    ids=["resnet", "pooled shortcut", "grouped", "1-D"],
)
@pytest.mark.parametrize("steps", [0, 3])
def test_converts_strictly(make, shape, layers, steps, tmp_path):
    train(model := make(), shape, steps)
    assert_converts(model, shape, tmp_path, layers)


TRANSPOSED = {
    "kernel is stride": dict(kernel_size=2, stride=2),
    "overlapping": dict(kernel_size=4, stride=2, padding=1),
    "odd": dict(kernel_size=3, stride=2, padding=1, output_padding=1),
    "grouped": dict(kernel_size=4, stride=2, padding=1, groups=2),
    "stride 1": dict(kernel_size=3, stride=1, padding=1),
    "both axes": dict(kernel_size=(4, 3), stride=(2, 3), padding=(1, 0)),
    "cropped": dict(kernel_size=4, stride=2, padding=2),
}


@pytest.mark.parametrize("kind", TRANSPOSED)
def test_transposed_convolutions_convert_at_their_borders_too(kind, tmp_path):
    model = nn.Sequential(conv(1, 4), ReLU1(), nn.ConvTranspose2d(4, 6, **TRANSPOSED[kind]), ReLU1(), conv(6, 2))
    lc = train(model, (1, 5, 5))
    assert_converts(model, (1, 5, 5), tmp_path, 2)
    weight = model[2].weight.detach().numpy()  # (in, out / groups, *kernel)
    groups = model[2].groups
    taps = np.concatenate([part.sum(0) for part in np.split(weight, groups)])  # (out, *kernel)
    np.testing.assert_allclose(taps, np.broadcast_to(np.round(taps[0]), taps.shape), atol=1e-6)
    assert taps.sum() == pytest.approx(6 * np.prod(model[2].stride))
    with torch.no_grad():
        model[2].weight += 0.1
    deviations = 0.1 * 4 / groups * 6 * np.prod(model[2].kernel_size)
    assert lc.neurons[1].loss().item() == pytest.approx(deviations, rel=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        dict(kernel_size=3, stride=2),
        dict(kernel_size=1, stride=2),
        dict(kernel_size=2, stride=2, output_padding=1),
        dict(kernel_size=4, stride=2, padding=1, dilation=2),
    ],
)
def test_refuses_transposed_convolutions_whose_borders_differ(options, tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 3, 3), ReLU1(), nn.Sequential(nn.ConvTranspose2d(3, 3, **options)), ReLU1(), nn.Conv2d(3, 2, 1))
    with pytest.raises(UsageError, match=r"Sequential\): 2.0: .*kernel .* stride times the input's size"):
        LcTtfs(model, sgd(model))
    LcTtfs(model, sgd(model), readout=[model[2][0], model[4]])  # without its constraint ...
    export_onnx(model, tmp_path / "model.onnx", torch.rand(1, 1, 6, 6), dynamo=False)
    with pytest.raises(ConstraintError, match="1 layer"):  # ... strict mode refuses it
        convert(tmp_path / "model.onnx")


def hidden(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), *layers, ReLU1(), nn.Linear(4, 4))


@pytest.mark.parametrize(
    "model, message",
    [
        (hidden(nn.BatchNorm1d(4)), "Sequential.*: 1: a BatchNorm.*leave it out"),
        (hidden(nn.Conv3d(1, 1, 1)), "1: a 3-D convolution; expected 1-D or 2-D"),
        (hidden(nn.LazyLinear(4)), "1: a lazy layer.*one batch"),
        (hidden(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))), "1: weights computed from others.*remove the parametrisation"),
        (hidden(Residual(nn.Sequential(nn.Linear(4, 4), ReLU1()))), r"1.branch: it ends in an activation"),
        (hidden(Residual(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.ReLU6()))), r"1.shortcut: it ends in an activation"),
        (hidden(Residual(nn.Identity())), r"1.branch: no convolution or linear layer"),
        (hidden(Residual(nn.ConvTranspose1d(4, 4, 1), nn.Conv1d(4, 4, 1))), r"1: a transposed convolution beside another layer"),
        (nn.Sequential(nn.Linear(3, 3)), "nothing to constrain"),
        (nn.Sequential(nn.PReLU()), "nothing to constrain"),
    ],
)
def test_refuses_models_that_cannot_be_constrained(model, message):
    with pytest.raises(UsageError, match=message):
        LcTtfs(model, torch.optim.SGD(model.parameters(), lr=0.1))


def test_refuses_options_that_do_not_fit():
    model = hidden(Residual(nn.Linear(4, 4)))
    end = model[1].branch
    for options, message in [
        ({"readout": [nn.Linear(1, 1)]}, "readout: Linear; expected .* of the model"),
        ({"targets": {nn.Flatten(): 1.0}}, "targets: Flatten; expected"),
        ({"targets": {end: 0.0}}, "1.branch: the end of a Residual among"),
        ({"readout": [end]}, "1.branch: the end of a Residual among"),
        ({"lambda_w": -1.0}, "lambda_w: -1"),
        ({"deviation": float("nan")}, "deviation: nan"),
    ]:
        with pytest.raises(UsageError, match=message):
            LcTtfs(model, sgd(model), **options)


@pytest.mark.parametrize("example, found", [(torch.zeros(0, 3), r"shape \(0, 3\)"), (torch.tensor(1.0), r"shape \(\)"), ([1.0], "list")])
def test_export_refuses_an_empty_example(example, found, tmp_path):
    with pytest.raises(UsageError, match=f"example: {found}; expected a tensor"):
        export_onnx(hidden(), tmp_path / "model.onnx", example)
