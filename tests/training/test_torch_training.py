"""The PyTorch shim inside a training loop: optimisers, clipping, accumulation, autocast, torch.compile, checkpoints of both kinds."""

import copy
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from ttfs_convert.errors import UsageError  # noqa: E402
from ttfs_convert.training.torch import LcTtfs, ReLU1, Residual, pre_activation_loss, weight_sum_loss  # noqa: E402


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    yield
    torch.compiler.reset()


def net() -> nn.Module:
    """A convolution, a residual block and a linear layer in front of the readout. Input (n, 1, 6, 6)."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        ReLU1(),
        Residual(nn.Conv2d(4, 4, 3, padding=1)),
        nn.Flatten(),
        nn.Linear(144, 8),
        ReLU1(),
        nn.Linear(8, 3),
    )


SHAPE = (1, 6, 6)


def worst_deviation(lc: LcTtfs) -> float:
    return max(
        abs(float(sum(layer.weight.detach().double().flatten(1).sum(1) for layer in neurons.layers).sub(neurons.target).abs().max()))
        for neurons in lc.neurons
    )


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return torch.rand(6, *SHAPE, generator=generator), torch.randint(3, (6,), generator=generator)


def step(lc: LcTtfs, model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> float:
    x, y = batch(number)
    loss = lc.loss(nn.functional.cross_entropy(model(x), y))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


OPTIMISERS = {
    "SGD": dict(lr=0.1, momentum=0.9, weight_decay=5e-4),
    "Adam": dict(lr=0.01),
    "AdamW": dict(lr=0.01),
    "RMSprop": dict(lr=0.01),
    "Adagrad": dict(lr=0.05),
    "NAdam": dict(lr=0.01),
    "Rprop": {},
    "Adadelta": dict(lr=1.0),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_is_followed_by_the_projection(name):
    model = net()
    optimizer = getattr(torch.optim, name)(model.parameters(), **OPTIMISERS[name])
    lc = LcTtfs(model, optimizer)
    before = model[0].weight.clone()
    for number in range(3):
        step(lc, model, optimizer, number)
        assert worst_deviation(lc) < 2e-6
    assert not torch.equal(before, model[0].weight)


def test_lbfgs_with_its_closure():
    model = net()
    lc = LcTtfs(model, optimizer := torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3))
    x, y = batch(0)

    def closure():
        optimizer.zero_grad()
        loss = lc.loss(nn.functional.cross_entropy(model(x), y))
        loss.backward()
        return loss

    first = optimizer.step(closure).item()
    assert worst_deviation(lc) < 2e-6
    assert optimizer.step(closure).item() < first


def test_gradient_clipping_and_accumulation():
    model = net()
    lc = LcTtfs(model, optimizer := torch.optim.SGD(model.parameters(), lr=0.1))
    for number in range(2):
        x, y = batch(number)
        lc.loss(nn.functional.cross_entropy(model(x), y)).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
    before = copy.deepcopy(model.state_dict())
    optimizer.step()
    moved = torch.cat([(model.state_dict()[key] - before[key]).flatten() for key in before]).norm().item()
    assert 1e-6 < moved < 1.1e-4 and worst_deviation(lc) < 2e-6  # 0.1 times the clipped norm, less what the projection takes back


def test_autocast_computes_both_losses_in_float32():
    model, (x, y) = net(), batch(0)
    lc = LcTtfs(model, optimizer := torch.optim.SGD(model.parameters(), lr=0.1), lambda_w=1.0, lambda_a=1.0)
    with torch.no_grad():
        model[0].weight += 0.001  # a sum of 1.009, which bfloat16 rounds to 1.0078
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(x)
        loss = lc.loss(nn.functional.cross_entropy(outputs, y))
        lone = lc.neurons[0].loss() if lc.neurons[0].name == "0" else lc.neurons[1].loss()
    assert outputs.dtype == torch.bfloat16 and loss.dtype == torch.float32
    assert lone.item() == pytest.approx(4 * 9 * 0.001, rel=1e-3)
    loss.backward()
    optimizer.step()
    assert model[0].weight.dtype == torch.float32 and worst_deviation(lc) < 2e-6


def test_losses_of_half_precision_tensors_are_float32():
    weight, z = torch.randn(5, 300).bfloat16(), torch.randn(40, 5).bfloat16()
    assert weight_sum_loss(weight).item() == pytest.approx(np.abs(weight.double().sum(1).numpy() - 1).sum(), rel=1e-5)
    assert pre_activation_loss(z).item() == pytest.approx(pre_activation_loss(z.double()).item(), rel=1e-5)


def test_float64_stays_float64():
    model = net().double()
    lc = LcTtfs(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert worst_deviation(lc) < 1e-14 and lc.neurons[0].loss().dtype == torch.float64


@pytest.mark.parametrize("when", ["before", "after"])
def test_compiled_model_trains_like_the_plain_one(when):
    """In one graph, hooks and losses included; backend aot_eager traces and differentiates as the default does, without its compiler."""
    plain, losses = net(), {}
    for compiled in (False, True):
        inner = copy.deepcopy(plain)
        model = torch.compile(inner, backend="aot_eager", fullgraph=True) if compiled else inner
        lc = LcTtfs(model if when == "after" else inner, optimizer := torch.optim.SGD(model.parameters(), lr=0.1), initialise=False, lambda_a=1.0)
        losses[compiled] = [step(lc, model, optimizer, number) for number in range(3)]
        assert worst_deviation(lc) < 2e-6 and {neurons.name for neurons in lc.neurons} == {"0", "2", "4"}
    np.testing.assert_allclose(losses[True], losses[False], rtol=1e-5)
    assert losses[True][0] != losses[True][2]


class Recomputed(nn.Module):
    """The net with its first layers under activation checkpointing."""

    def __init__(self, inner: nn.Sequential, reentrant: bool = False):
        super().__init__()
        self.inner, self.reentrant = inner, reentrant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner[3:](checkpoint(self.inner[:3], x, use_reentrant=self.reentrant))


def test_activation_checkpointing_changes_nothing():
    plain, found = net(), {}
    for recomputed in (False, True):
        inner = copy.deepcopy(plain)
        model = Recomputed(inner) if recomputed else inner
        lc = LcTtfs(inner, optimizer := torch.optim.SGD(model.parameters(), lr=0.1), initialise=False, lambda_a=1.0)
        losses = [step(lc, model, optimizer, number) for number in range(3)]
        found[recomputed] = losses, inner[0].weight
        with pytest.raises(UsageError, match="no pre-activations"):  # the pass repeated in backward() leaves nothing behind
            lc.loss(torch.tensor(0.0))
    assert found[True][0] == found[False][0] and torch.equal(found[True][1], found[False][1])


def test_training_resumes_from_a_checkpoint_bit_by_bit(tmp_path):
    model = net()
    lc = LcTtfs(model, optimizer := torch.optim.Adam(model.parameters(), lr=0.01))
    for number in range(2):
        step(lc, model, optimizer, number)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "checkpoint.pt")
    expected = [step(lc, model, optimizer, number) for number in (2, 3)]
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    resumed = net()
    lc = LcTtfs(resumed, optimizer := torch.optim.Adam(resumed.parameters(), lr=0.01))
    resumed.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    assert [step(lc, resumed, optimizer, number) for number in (2, 3)] == expected
    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in model.state_dict().items())


def test_model_can_be_copied_and_pickled():
    model = net()
    lc = LcTtfs(model, optimizer := torch.optim.SGD(model.parameters(), lr=0.1))
    step(lc, model, optimizer, 0)
    x = batch(1)[0]
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(x), model(x))


def test_weights_in_channels_last_memory():
    model = net().to(memory_format=torch.channels_last)
    assert not model[0].weight.is_contiguous() or not model[2].branch.weight.is_contiguous()
    lc = LcTtfs(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert worst_deviation(lc) < 2e-6
