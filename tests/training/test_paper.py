"""The paper's networks and recipe in examples/paper: they convert from the first step on, count as the paper counts, and restart."""

import argparse
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from ttfs_convert.conversion.pipeline import convert  # noqa: E402
from ttfs_convert.data import Dataset  # noqa: E402
from ttfs_convert.errors import DataError, UsageError  # noqa: E402
from ttfs_convert.measurement import operation_counts  # noqa: E402
from ttfs_convert.simulation.engines import simulate  # noqa: E402
from ttfs_convert.training.torch import LcTtfs, ReLU1, export_onnx  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of PyTorch's exporters
FOLDER = Path(__file__).parents[2] / "examples" / "paper"
WEIGHT_LAYERS = {"vgg9": 9, "vgg11": 11, "vgg16": 16, "resnet11": 11, "resnet20": 20}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


# Networks


def projected(paper, name: str, channels: int = 3, classes: int = 10, width: float = 1 / 16) -> nn.Module:
    model = paper.architectures.network(name, channels, classes, width)
    LcTtfs(model, torch.optim.SGD(model.parameters(), lr=0.01))
    return model


@pytest.mark.parametrize("name", WEIGHT_LAYERS)
def test_random_weights_convert_strictly_after_the_projection(paper, name, tmp_path):
    channels, classes = (1, 100) if name == "vgg11" else (3, 10)
    model, x = projected(paper, name, channels, classes), torch.rand(3, channels, 32, 32)
    export_onnx(model, tmp_path / "model.onnx", x, dynamo=False)
    network = convert(tmp_path / "model.onnx", steps=None)
    assert not network.violations and network.windows == WEIGHT_LAYERS[name]  # the input's window, one a hidden layer, none the readout's
    expected = model.eval()(x).detach().numpy()
    assert expected.shape == (3, classes) and expected.std(1).min() > 1e-4
    np.testing.assert_allclose(simulate(network, x.numpy()).potentials, expected, atol=1e-5)
    assert paper.table2.paper_count(model, channels) == tuple(
        getattr(operation_counts.paper(network.model_copy(update={"steps": 50})), part) for part in ("synops", "neuronops")
    )


def conv(inputs: int, outputs: int, kernel: int = 9) -> int:
    return inputs * outputs * kernel


WEIGHTS = {  # by hand
    "vgg9": 5_938_880,
    "vgg11": conv(3, 64) + conv(64, 128) + conv(128, 256) + conv(256, 512) + 4 * conv(512, 512) + 2048 * 4096 + 4096 * 4096 + 40_960,
    "vgg16": (
        conv(3, 64)
        + conv(64, 64)
        + conv(64, 128)
        + conv(128, 128)
        + conv(128, 256)
        + 2 * conv(256, 256)
        + conv(256, 512)
        + 5 * conv(512, 512)
        + 2048 * 4096
        + 4096 * 4096
        + 40_960
    ),
    "resnet11": (
        conv(3, 64)
        + conv(64, 128)
        + conv(128, 128)
        + conv(128, 256)
        + conv(256, 256)
        + conv(256, 512)
        + 3 * conv(512, 512)
        + conv(64, 128, 1)
        + conv(128, 256, 1)
        + conv(256, 512, 1)
        + 8192 * 1024
        + 10_240
    ),
    "resnet20": (
        conv(3, 64)
        + 6 * conv(64, 64)
        + conv(64, 128)
        + 3 * conv(128, 128)
        + conv(128, 256)
        + 3 * conv(256, 256)
        + conv(256, 512)
        + 3 * conv(512, 512)
        + conv(64, 128, 1)
        + conv(128, 256, 1)
        + conv(256, 512, 1)
        + 20_480
    ),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_full_width(paper, name):
    with torch.device("meta"):
        model = paper.architectures.network(name)
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    modules = list(model.modules())
    assert sum(weight.numel() for weight in model.parameters()) == WEIGHTS[name]
    assert sum(isinstance(module, ReLU1) for module in modules) + 1 == WEIGHT_LAYERS[name]
    assert all(layer.bias is None for layer in modules if isinstance(layer, (nn.Conv2d, nn.Linear)))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in modules)


def test_dropout_stands_where_the_paper_has_it(paper):
    for name in ("vgg9", "vgg11", "vgg16"):
        layers = list(paper.architectures.network(name, width=1 / 32, dropout=0.3))
        for layer, following in zip(layers, layers[1:]):
            assert isinstance(following, nn.Dropout) == isinstance(layer, ReLU1)
        assert {layer.p for layer in layers if isinstance(layer, nn.Dropout)} == {0.3}
    layers = list(paper.architectures.network("resnet20", width=1 / 32))
    assert [type(layer) for layer in layers[-3:]] == [nn.Flatten, nn.Dropout, nn.Linear]
    assert sum(isinstance(module, nn.Dropout) for layer in layers for module in layer.modules()) == 1


def test_table_two(paper, capsys):
    paper.table2.main()
    printed = capsys.readouterr().out
    assert "| VGG-9 | 5,938,880 | 111,057,300 | 116,996,180 | 117.0 M |" in printed
    neurons = 64 * 1024 + 2 * 128 * 256 + 256 * 256 + 256 * 64 + 3 * 512 * 64 + 512 * 16 + 1024 + 10
    assert f"| ResNet-11 | {WEIGHTS['resnet11']:,} | {neurons * 11 * 50:,} |" in printed
    lines = [line for line in printed.splitlines() if line.startswith(("| VGG", "| Res"))]
    assert all(line in (FOLDER.parents[1] / "docs" / "training.md").read_text() for line in lines) and len(lines) == 3


# Images


def fake(count: int, side: int = 32, channels: int = 3) -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (count, side, side, channels), np.uint8)
    return Dataset("cifar10", x, np.arange(count) % 10, "0" * 64, count, (), True)


def test_validation_images_are_the_last_ones(paper, monkeypatch):
    whole = fake(1)
    whole = Dataset("cifar10", np.broadcast_to(whole.x, (50_000, 32, 32, 3)).copy(), np.arange(50_000), "0" * 64, 50_000, (), True)
    monkeypatch.setattr(paper.images, "load_dataset", lambda name, **options: whole)
    training, validation = paper.images.training_images("cifar10")
    assert (len(training), len(validation)) == (45_000, 5_000) and validation.y[0] == 45_000 and training.y[-1] == 44_999
    training, validation = paper.images.training_images("cifar10", limit=100)
    assert training.y.tolist() == list(range(100)) and validation.y.tolist() == list(range(45_000, 45_100))
    x, y = training.batch(torch.tensor([3, 5]))
    assert x.shape == (2, 3, 32, 32) and x.dtype == torch.float32 and y.tolist() == [3, 5]
    np.testing.assert_allclose(x[0].numpy(), np.moveaxis(whole.x[3], -1, 0) / np.float32(255))


def test_small_images_are_padded_evenly(paper):
    data = fake(2, 28, 1)
    large = paper.images.padded(data)
    assert large.x.shape == (2, 32, 32, 1) and "padded" in large.name
    np.testing.assert_array_equal(large.x[:, 2:30, 2:30], data.x)
    assert large.x.sum(dtype=np.int64) == data.x.sum(dtype=np.int64)
    assert paper.images.padded(fake(2)).name == "cifar10"


def test_one_channel_keeps_plain_strides(paper, monkeypatch):
    """Strides that look like channels last made PyTorch's convolutions write beyond their buffers."""
    monkeypatch.setattr(paper.images, "load_dataset", lambda name, **options: fake(40, 28, 1))
    x, _ = paper.images.training_images("mnist")[0].batch(torch.arange(5))
    assert x.stride() == paper.images.varied(x, True).stride() == paper.images.varied(x, False).stride() == (1024, 1024, 32, 1)


@pytest.mark.parametrize("flip", [False, True])
def test_varied_images_are_shifts_and_mirror_images(paper, flip):
    x = torch.rand(20, 2, 32, 32)
    padded = nn.functional.pad(x, (4, 4, 4, 4))
    found = []
    for image, result in zip(padded, paper.images.varied(x, flip)):
        matches = [
            (dy, dx, mirrored)
            for dy in range(9)
            for dx in range(9)
            for mirrored in (False, True)
            if torch.equal(result.flip(2) if mirrored else result, image[:, dy : dy + 32, dx : dx + 32])
        ]
        assert len(matches) == 1
        found += matches
    assert len({(dy, dx) for dy, dx, _ in found}) > 10 and {mirrored for *_, mirrored in found} == ({False, True} if flip else {False})


# Recipe


def recipe(paper, **changes):
    return paper.recipe.Recipe(
        **{
            **dict(
                data="mnist",
                architecture="vgg9",
                width=1 / 32,
                epochs=2,
                batch=8,
                lr=0.05,
                seed=1,
                limit=None,
                dropout=0.1,
                mean=0.1,
                lambda_w=1e-3,
                lambda_a=1e-2,
            ),
            **changes,
        }
    )


def splits(paper, count: int = 40):
    data = paper.images.padded(fake(count, 28, 1))
    x = paper.images.channels_first(data.x)
    return paper.images.Split(x, torch.from_numpy(data.y)), paper.images.Split(x[:16], torch.from_numpy(data.y[:16]))


def test_rate_is_divided_by_ten_at_the_papers_epochs(paper):
    rates = [recipe(paper, epochs=300, lr=0.01).rate(epoch) for epoch in (0, 179, 180, 239, 240, 269, 270, 299)]
    np.testing.assert_allclose(rates, [1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5], rtol=1e-9)


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("after", [3, 5, 7])
def test_training_restarts_bit_by_bit(paper, after, tmp_path, monkeypatch):
    """Stopped within an epoch and between two; batches, augmentation, dropout and momentum go on as if nothing had happened."""
    images = splits(paper)
    (tmp_path / "whole").mkdir()
    whole = paper.recipe.Training(recipe(paper), 1)
    whole.run(*images, tmp_path / "whole")
    first = paper.recipe.Training(recipe(paper), 1)
    step, done = first.optimizer.step, []

    def interrupted():
        if len(done) == after:
            raise Interrupted
        done.append(step())

    monkeypatch.setattr(first.optimizer, "step", interrupted)
    with pytest.raises(Interrupted):
        first.run(*images, tmp_path, every=0.0)
    torch.manual_seed(99)
    second = paper.recipe.Training(recipe(paper), 1)
    second.resume(tmp_path)
    assert (second.epoch, second.step) == divmod(after, 5) and second.seconds > 0
    second.run(*images, tmp_path)
    for ours, theirs in ((second.model.state_dict(), whole.model.state_dict()), (second.best, whole.best)):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert second.best_accuracy == whole.best_accuracy


def test_checkpoint_of_another_recipe_is_refused(paper, tmp_path):
    paper.recipe.Training(recipe(paper), 1).save(tmp_path)
    with pytest.raises(UsageError, match=r"a checkpoint with lr 0.05 \(now 0.1\), mean 0.1 \(now 0\); expected the same options"):
        paper.recipe.Training(recipe(paper, lr=0.1, mean=0), 1).resume(tmp_path)


def test_loss_that_is_not_finite_ends_the_training(paper, tmp_path):
    training = paper.recipe.Training(recipe(paper), 1)
    with torch.no_grad():
        list(training.model.parameters())[-1].fill_(float("inf"))
    with pytest.raises(DataError, match="epoch 1, batch 1: loss nan; expected a finite number; lower --lr"):
        training.run(*splits(paper), tmp_path)


# The command


def test_one_command_trains_converts_and_prints_the_row(paper, squares, tmp_path, capsys):
    out = tmp_path / "out"
    command = [
        "resnet11",
        "mnist",
        "--out",
        str(out),
        "--data-dir",
        str(squares),
        "--width",
        "0.05",
        "--epochs",
        "1",
        "--limit",
        "160",
        "--batch",
        "16",
        "--lr",
        "0.05",
        "--threads",
        "1",
    ]
    paper.train.main(command)
    printed = capsys.readouterr().out
    assert "160 training and 40 validation images" in printed and "epoch 1/1: rate 0.05" in printed
    last = printed.splitlines()[-1]
    assert last.startswith("| mnist | resnet11, width 0.05 | 60 | ") and " pp [" in last
    assert {path.name for path in out.iterdir()} == {"log.txt", "checkpoint.pt", "model.onnx", "snn.npz", "report.json", "continuous.json"}
    assert last in (out / "log.txt").read_text()
    assert convert(out / "model.onnx").mode == "strict"
    with pytest.raises(SystemExit, match="2"):
        paper.train.main(command)
    assert "holds a checkpoint; go on with --resume" in capsys.readouterr().out
    paper.train.main([*command, "--resume"])
    assert capsys.readouterr().out.splitlines()[-1] == last
    with pytest.raises(SystemExit, match="4"):
        paper.train.main([*command[:2], "--out", str(out), "--data-dir", str(tmp_path / "nowhere")])


def test_options(paper, capsys):
    given = paper.train.options(["vgg16", "cifar10", "--out", "x"])
    assert (given.epochs, given.lr, given.width, given.mean) == (300, 0.01, 1.0, 0.0)
    assert paper.train.options(["resnet20", "cifar100", "--out", "x"]).epochs == 200
    for wrong in (["--epochs", "-1"], ["--width", "0"], ["--lr", "nan"]):
        with pytest.raises(SystemExit, match="2"):
            paper.train.options(["vgg16", "cifar10", "--out", "x", *wrong])
        assert f"{wrong[0]} must be above 0" in capsys.readouterr().err


def test_papers_row_stands_below_that_of_a_full_width_network(paper):
    report = argparse.Namespace(
        data=argparse.Namespace(samples=10_000),
        ann=argparse.Namespace(accuracy=0.9),
        snn=argparse.Namespace(accuracy=0.89),
        drift=argparse.Namespace(accuracy_pp=-1.0, ci95_pp=(-1.2, -0.8), agreement=0.97),
    )
    exact = argparse.Namespace(drift=argparse.Namespace(agreement=0.9999))
    given = paper.train.options(["vgg16", "cifar10", "--out", "x"])
    *_, ours, theirs = paper.train.row(given, report, exact).splitlines()
    assert ours == "| cifar10 | vgg16 | 10,000 | 90.00 % | 89.00 % | -1.00 pp [-1.20, -0.80] | 97.00 % | 99.99 % |"
    assert theirs == "| cifar10 | vgg16, the paper's | 10,000 | 92.79 % | 92.72 % | -0.07 pp | | |"
    given.width = 0.5
    assert "the paper's" not in paper.train.row(given, report, exact)
