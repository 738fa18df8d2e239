"""Training on the grid of N steps: what the forward pass rounds to, what the gradient is, and that it pays."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from ttfs_convert.conversion.pipeline import convert  # noqa: E402
from ttfs_convert.errors import UsageError  # noqa: E402
from ttfs_convert.kernels.threshold import time_step  # noqa: E402
from ttfs_convert.simulation.engines import simulate  # noqa: E402
from ttfs_convert.training.torch import LcTtfs, ReLU1, Residual, export_onnx, on_grid, train_on_grid  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of PyTorch's exporters


def test_levels_are_those_of_spike_times():
    """Ties included."""
    for steps in (1, 3, 8):
        a = np.concatenate([np.linspace(0, 1, 201), (np.arange(steps) + 0.5) / steps]).astype(np.float32)
        expected = [1 - time_step(1 - float(value), steps, 0.5) / steps for value in a]
        np.testing.assert_allclose(on_grid(torch.tensor(a), steps).numpy(), expected, atol=1e-6)


def test_gradients_pass_straight_through_inside_the_range():
    x = torch.tensor([-0.5, 0.1, 0.4, 0.9, 1.5], requires_grad=True)
    activation = ReLU1(steps=2)
    y = activation(x)
    assert y.tolist() == [0, 0, 0.5, 1, 1]
    y.sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 0]
    assert activation.eval()(x).tolist() == pytest.approx([0, 0.1, 0.4, 0.9, 1])


def test_all_activations_of_a_model_are_switched():
    model = nn.Sequential(nn.Linear(3, 3), ReLU1(), Residual(nn.Linear(3, 3)), nn.Linear(3, 2))
    train_on_grid(model, 4)
    assert [each.steps for each in model.modules() if isinstance(each, ReLU1)] == [4, 4]
    train_on_grid(model, None)
    assert [each.steps for each in model.modules() if isinstance(each, ReLU1)] == [None, None]
    for steps in (0, 70_000):
        with pytest.raises(UsageError, match="1 to 65535"):
            train_on_grid(model, steps)
    with pytest.raises(UsageError, match="no ReLU1"):
        train_on_grid(nn.Linear(2, 2), 4)


def test_training_on_the_grid_takes_most_of_the_loss_of_few_steps_away(tmp_path):
    """One step per window, so that neurons are silent or not: trained on without the grid, and with it, from the same weights."""
    torch.manual_seed(0)
    x = on_grid(torch.rand(2000, 8), 8)
    y = ((x[:, 0] + x[:, 1] - x[:, 2] - x[:, 3]) > 0).long() + 2 * ((x[:, 4] - x[:, 5]) > 0).long()
    accuracies = {}
    for steps in (None, 1):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(8, 24), ReLU1(), nn.Linear(24, 24), ReLU1(), nn.Linear(24, 4))
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        constraints = LcTtfs(model, optimizer)
        for update in range(300):
            if update == 150:
                train_on_grid(model, steps)
            loss = constraints.loss(functional.cross_entropy(model(x[:1000]), y[:1000]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        export_onnx(model, tmp_path / "model.onnx", x[:1], dynamo=False)
        network = convert(tmp_path / "model.onnx", mode="strict", steps=1, input_steps=8)
        accuracies[steps] = float((simulate(network, x[1000:].numpy()).potentials.argmax(1) == y[1000:].numpy()).mean())
    assert accuracies[1] > accuracies[None] + 0.08, accuracies
