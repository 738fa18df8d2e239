"""The LC-TTFS constraints against NumPy twins, and the whole way: train, export, convert, and run without loss."""

import copy

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from ttfs_convert.conversion.pipeline import convert  # noqa: E402
from ttfs_convert.conversion.refusals import ConstraintError  # noqa: E402
from ttfs_convert.errors import UsageError  # noqa: E402
from ttfs_convert.simulation.engines import simulate  # noqa: E402
from ttfs_convert.training.torch import LcTtfs, ReLU1, export_onnx, initialise_, pre_activation_loss, project_weight_sum_, weight_sum_loss  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of PyTorch's exporters


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def weight_sums(weight: torch.Tensor) -> np.ndarray:
    """Per neuron, in float64."""
    return weight.detach().double().numpy().reshape(len(weight), -1).sum(1)


def normalised(z: np.ndarray, mean: float = 0.0, deviation: float = 1 / 3) -> np.ndarray:
    """A of Eq. 20, plainly: channel by channel."""
    target = np.empty(z.shape)
    for channel in range(z.shape[1]):
        values = z[:, channel].astype(np.float64)
        target[:, channel] = (values - values.mean()) / values.std() * deviation + mean
    return target


def test_relu1():
    x = torch.tensor([-2.0, 0.0, 0.25, 1.0, 1.5], requires_grad=True)
    y = ReLU1()(x)
    assert y.tolist() == [0.0, 0.0, 0.25, 1.0, 1.0]
    y.sum().backward()
    assert x.grad[[0, 2, 4]].tolist() == [0.0, 1.0, 0.0]


LAYERS = {
    "linear": lambda: nn.Linear(12, 7),
    "conv1d": lambda: nn.Conv1d(3, 6, 5),
    "conv2d": lambda: nn.Conv2d(3, 8, 3),
    "grouped": lambda: nn.Conv2d(4, 8, 3, groups=2),
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("target", [1.0, 0.0, -0.5])
def test_weight_sum_loss_is_the_sum_of_deviations(kind, target):
    weight = LAYERS[kind]().weight
    expected = np.abs(weight_sums(weight) - target).sum()
    loss = weight_sum_loss(weight, target)
    assert loss.shape == () and loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    signs = np.sign(weight_sums(weight) - target).reshape(-1, *[1] * (weight.ndim - 1))
    np.testing.assert_array_equal(weight.grad.numpy(), np.broadcast_to(signs, weight.shape))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("target", [1.0, 0.0, -0.5])
def test_projection_gives_the_sum_and_spreads_evenly(kind, target):
    weight = LAYERS[kind]().weight
    before = weight.detach().clone()
    project_weight_sum_(weight, target)
    assert np.abs(weight_sums(weight) - target).max() < 1e-6
    moved = (before - weight.detach()).flatten(1).numpy()
    fan_in = moved.shape[1]
    even = (weight_sums(before) - target) / fan_in
    np.testing.assert_allclose(moved, np.repeat(even[:, None], fan_in, axis=1), atol=1e-6)
    assert np.abs(even).min() > 1e-5  # so that a projection that does nothing fails
    assert weight.requires_grad and weight.grad is None


def test_projection_of_a_wide_layer():
    """4704 float32 weights far from their target: one pass would leave 1e-4."""
    weight = torch.randn(128, 4704) * 0.01 + 1
    project_weight_sum_(weight)
    assert np.abs(weight_sums(weight) - 1).max() < 2e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_projection_of_half_precision_weights(dtype):
    """The sums are formed in float32; only the result is rounded to the weight's type."""
    weight = (torch.randn(6, 16, 3, 3) * 0.1).to(dtype)
    rows = weight.double().numpy().reshape(6, -1)
    expected = rows - (rows.sum(1, keepdims=True) - 1) / rows.shape[1]
    project_weight_sum_(weight)
    assert weight.dtype == dtype
    rounding = torch.finfo(dtype).eps / 2 * np.abs(expected) + 1e-7
    assert (np.abs(weight.double().numpy().reshape(6, -1) - expected) <= rounding).all()
    assert np.abs(rows.sum(1) - 1).min() > 0.1 > np.abs(weight_sums(weight) - 1).max()


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 6), (4, 3, 5, 6)])
@pytest.mark.parametrize("options", [{}, {"mean": 0.25, "deviation": 0.5}])
def test_pre_activation_loss_and_its_gradient(shape, options):
    z = (torch.randn(shape) * 2 + 0.5).requires_grad_()
    target = normalised(z.detach().numpy(), **options)
    difference = z.detach().numpy() - target
    loss = pre_activation_loss(z, **options)
    assert loss.shape == () and loss.item() == pytest.approx(np.abs(difference).mean(), rel=1e-5)
    loss.backward()
    np.testing.assert_allclose(z.grad.numpy(), np.sign(difference) / z.numel(), rtol=1e-6)


def test_pre_activation_loss_vanishes_at_its_target():
    z = torch.tensor(normalised(np.random.default_rng(0).normal(size=(8, 2, 9)), 0.5, 0.2), dtype=torch.float32)
    assert pre_activation_loss(z, 0.5, 0.2) < 1e-6 < pre_activation_loss(z)
    assert torch.isfinite(pre_activation_loss(torch.ones(4, 3)))  # a constant channel has no deviation to divide by


def test_initialise_draws_the_variances_of_the_paper():
    model = nn.Sequential(nn.Conv2d(16, 64, 5), nn.Conv1d(32, 100, 7), nn.Linear(300, 200), nn.Conv2d(8, 64, (1, 9)), nn.BatchNorm2d(64))
    variances = (2 / (25 * 64), 2 / (7 * 100), 1e-4, 2 / (9 * 64))
    norm = copy.deepcopy(model[4].state_dict())
    initialise_(model)
    for layer, variance in zip(model, variances):
        weight = layer.weight.detach().double()
        error = 5 * np.sqrt(2 / weight.numel())  # five standard errors of a variance
        assert weight.var().item() == pytest.approx(variance, rel=error) and error < 0.2
        assert abs(weight.mean().item()) < 5 * np.sqrt(variance / weight.numel())
        assert not layer.bias.any()
    assert all(torch.equal(value, norm[key]) for key, value in model[4].state_dict().items())


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(10, 8), ReLU1(), nn.Linear(8, 6), ReLU1(), nn.Linear(6, 3))


def conv1d_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 6, 3, padding=1),
        ReLU1(),
        nn.AvgPool1d(2),
        nn.Conv1d(6, 6, 3, padding=1, bias=False),
        ReLU1(),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(36, 3),
    )


def conv2d_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        ReLU1(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 6, 3, padding=1, bias=False),
        ReLU1(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 3),
    )


NETS = {"mlp": (mlp, (10,)), "conv1d": (conv1d_net, (2, 12)), "conv2d": (conv2d_net, (1, 8, 8))}


@pytest.mark.parametrize("optimiser", [lambda p: torch.optim.SGD(p, lr=0.5, momentum=0.9), lambda p: torch.optim.Adam(p, lr=0.05)])
def test_weights_are_projected_at_construction_and_after_every_step(optimiser):
    model = conv2d_net()
    first, second, readout = model[0], model[3], model[7]
    lc = LcTtfs(model, optimiser_ := optimiser(model.parameters()), targets={second: 0.0})
    seen = []
    for _ in range(4):
        for layer, target in ((first, 1.0), (second, 0.0)):
            assert np.abs(weight_sums(layer.weight) - target).max() < 1e-6
        assert np.abs(weight_sums(readout.weight) - 1).min() > 1e-3
        seen.append(first.weight.detach().clone())
        loss = lc.loss(functional.cross_entropy(model(torch.rand(8, 1, 8, 8)), torch.randint(3, (8,))))
        optimiser_.zero_grad()
        loss.backward()
        assert np.abs(weight_sums(first.weight.grad)).max() > 1e-4  # without the projection the step would change the sums
        optimiser_.step()
    assert all(not torch.equal(one, other) for one, other in zip(seen, seen[1:]))


def test_initialisation_can_be_left_out():
    model = mlp()
    before = copy.deepcopy(model)
    LcTtfs(model, torch.optim.SGD(model.parameters(), lr=0.1), initialise=False)
    assert torch.equal(model[4].weight, before[4].weight)
    project_weight_sum_(before[0].weight)
    assert torch.equal(model[0].weight, before[0].weight) and torch.equal(model[0].bias, before[0].bias)
    LcTtfs(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert not torch.equal(model[4].weight, before[4].weight) and not model[0].bias.any()


@pytest.mark.parametrize("options", [{}, {"lambda_w": 0.3, "lambda_a": 0.7, "mean": 0.5, "deviation": 0.2}])
@pytest.mark.parametrize("given", [False, True])
def test_loss_by_hand(options, given):
    """Readout: the last layer, or the middle one as `given`. Weight sums are moved off their targets first, or L_W would be 0."""
    model, x = mlp(), torch.rand(9, 10)
    first, middle, last = model[0], model[2], model[4]
    readout = middle if given else last
    lc = LcTtfs(model, torch.optim.SGD(model.parameters(), lr=0.1), readout=[readout] if given else None, targets={first: 0.25}, **options)
    targets = {first: 0.25, (last if given else middle): 1.0}
    assert {neurons.layers[0]: neurons.target for neurons in lc.neurons} == targets
    with torch.no_grad():
        for layer in (first, middle, last):
            layer.weight += torch.randn(layer.weight.shape) * 0.1
            layer.bias += 0.05
    model(x)
    task = torch.tensor(1.5)
    sums, pre_activations, h = 0.0, 0.0, x.double().numpy()
    for layer in (first, middle, last):
        z = h @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()
        h = np.clip(z, 0, 1)
        if layer is not readout:
            sums += np.abs(weight_sums(layer.weight) - targets[layer]).sum()
            of_target = {key: options[key] for key in ("mean", "deviation") if key in options}
            pre_activations += np.abs(z - normalised(z, **of_target)).mean()
    expected = 1.5 + options.get("lambda_w", 1e-3) * sums + options.get("lambda_a", 1e-2) * pre_activations
    assert sums > 1 and pre_activations > 0.1
    assert lc.loss(task).item() == pytest.approx(expected, rel=1e-5)


def test_features_of_a_linear_layer_are_its_channels_at_every_position():
    model = nn.Sequential(nn.Linear(5, 4), ReLU1(), nn.Linear(4, 2))
    lc = LcTtfs(model, torch.optim.SGD(model.parameters(), lr=0.1), lambda_w=0.0, lambda_a=1.0)
    x = torch.rand(6, 7, 5)
    model(x)
    z = model[0](x).detach().numpy()
    target = normalised(z.transpose(0, 2, 1)).transpose(0, 2, 1)
    assert lc.loss(torch.tensor(0.0)).item() == pytest.approx(np.abs(z - target).mean(), rel=1e-4)


def test_loss_needs_a_forward_pass_in_training_mode():
    model, x = mlp(), torch.rand(4, 10)
    lc = LcTtfs(model, torch.optim.SGD(model.parameters(), lr=0.1))
    task = torch.tensor(0.0)
    with pytest.raises(UsageError, match="training mode"):
        lc.loss(task)
    model.eval()
    model(x)
    model.train()
    with torch.no_grad():
        model(x)
    with pytest.raises(UsageError, match="training mode"):
        lc.loss(task)
    model(x)
    lc.loss(task)
    with pytest.raises(UsageError, match="training mode"):
        lc.loss(task)


def test_an_evaluation_in_between_does_not_change_the_loss():
    model, x = mlp(), torch.rand(4, 10)
    lc = LcTtfs(model, torch.optim.SGD(model.parameters(), lr=0.1))
    model(x)
    alone = lc.loss(torch.tensor(0.0))
    model(x)
    model.eval()
    model(x * 5)
    assert lc.loss(torch.tensor(0.0)) == alone


@pytest.mark.parametrize("model", [nn.Sequential(nn.Linear(3, 3)), nn.Sequential(nn.PReLU())])
def test_refuses_a_model_with_nothing_to_constrain(model):
    with pytest.raises(UsageError, match="nothing to constrain"):
        LcTtfs(model, torch.optim.SGD(model.parameters(), lr=0.1))


@pytest.fixture(scope="module", params=NETS)
def trained(request) -> tuple[nn.Module, torch.Tensor, list[float]]:
    """A net after 80 steps on a linear rule, further inputs, and the task's loss in evaluation mode before and after."""
    torch.manual_seed(1)
    make, shape = NETS[request.param]
    model = make()
    x = torch.rand(96, *shape)
    y = ((x - 0.5).flatten(1) @ torch.randn(x[0].numel(), 3)).argmax(1)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    lc = LcTtfs(model, optimiser)
    losses = []
    for step in range(81):
        if step in (0, 80):
            with torch.no_grad():
                losses.append(functional.cross_entropy(model.eval()(x), y).item())
        model.train()
        loss = lc.loss(functional.cross_entropy(model(x), y))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model, torch.rand(7, *shape), losses


def test_training_lowers_the_loss(trained):
    before, after = trained[2]
    assert after < 0.8 * before


@pytest.mark.parametrize("dynamo", [True, False])
def test_exports_converts_and_runs_without_loss(trained, dynamo, tmp_path):
    if dynamo:
        pytest.importorskip("onnxscript")
    model, x, _ = trained
    path = tmp_path / "model.onnx"
    export_onnx(model, path, x[:1], dynamo=dynamo)
    assert model.training and [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert __file__.encode() not in path.read_bytes() and b"stack_trace" not in path.read_bytes()
    (given,), (output,) = onnx.load(path).graph.input, onnx.load(path).graph.output
    assert given.name == "input" and output.name == "output"
    batch, *rest = given.type.tensor_type.shape.dim
    assert batch.dim_param and not batch.dim_value and [dim.dim_value for dim in rest] == list(x.shape[1:])
    network = convert(path, steps=None)
    assert network.mode == "strict" and not network.violations
    with torch.no_grad():
        expected = copy.deepcopy(model).eval()(x).numpy()
    np.testing.assert_allclose(simulate(network, x.numpy()).potentials, expected, atol=1e-4)
    assert np.abs(expected - expected.mean(0)).max() > 1e-2  # a constant output would prove nothing


def test_export_restores_the_mode_of_every_module(tmp_path):
    model = conv1d_net()
    model[6].eval()
    export_onnx(model, tmp_path / "model.onnx", torch.rand(1, 2, 12), dynamo=False)
    assert model.training and model[0].training and not model[6].training


def test_a_net_trained_without_the_constraints_is_refused(tmp_path):
    export_onnx(mlp(), tmp_path / "model.onnx", torch.rand(1, 10), dynamo=False)
    with pytest.raises(ConstraintError, match="2 layers"):
        convert(tmp_path / "model.onnx")
