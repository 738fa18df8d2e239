"""The ablations of the paper's Table III: each model leaves out what the table says, and the command restarts."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from ttfs_convert.conversion.pipeline import convert  # noqa: E402
from ttfs_convert.errors import DataError, UsageError  # noqa: E402
from ttfs_convert.training.torch import ReLU1, Residual  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of PyTorch's exporters

TABLE = """
Baseline  x x x x x  91.30 91.25
1         - - - - -  91.33 10.00
2a        x - x x x  91.57 86.95
2b        - - x x x  92.10 29.18
3         x x - x x  90.87 64.44
4         x x x - x  89.60 89.67
5         x x x x -  91.30 77.82
"""  # the paper's: soft, hard, ReLU1, norm, dynamic, ANN, SNN


def test_models_are_those_of_the_papers_table(paper):
    rows = [line.split() for line in TABLE.strip().splitlines()]
    assert [row[0].lower() for row in rows] == list(paper.table3.MODELS)
    for (_, *marks, ann, snn), model in zip(rows, paper.table3.MODELS.values()):
        assert [getattr(model, name) for name in paper.table3.CONSTRAINTS] == [mark == "x" for mark in marks]
        assert (model.ann, model.snn) == (float(ann), float(snn))
    modes = {model.name: (model.mode, model.threshold) for model in paper.table3.MODELS.values()}
    assert modes == {
        "baseline": ("strict", "dynamic"),
        "1": ("unchecked", "fixed"),
        "2a": ("unchecked", "dynamic"),
        "2b": ("unchecked", "dynamic"),
        "3": ("unchecked", "dynamic"),
        "4": ("strict", "dynamic"),
        "5": ("strict", "fixed"),
    }
    assert {name: model.trained_as() for name, model in paper.table3.MODELS.items()} == {
        **{name: name for name in paper.table3.MODELS},
        "5": "baseline",
    }


def test_recipes_differ_only_in_what_is_left_out(paper):
    given = paper.table3.options(["--out", "x"])
    recipes = {name: vars(model.recipe(given, 0)) for name, model in paper.table3.MODELS.items()}
    differing = {name: {key: value for key, value in recipe.items() if value != recipes["baseline"][key]} for name, recipe in recipes.items()}
    assert differing == {
        "baseline": {},
        "1": {"lambda_w": 0, "lambda_a": 0, "activation": "relu", "hard": False},
        "2a": {"hard": False},
        "2b": {"hard": False, "lambda_w": 0},
        "3": {"activation": "relu"},
        "4": {"lambda_a": 0},
        "5": {},
    }
    runs = [(model.name, seed) for model, seed in paper.table3.runs(given)]
    assert runs == [("baseline", 0), ("baseline", 1), ("baseline", 2), ("1", 0), ("2a", 0), ("2b", 0), ("3", 0), ("4", 0), ("5", 0)]


def trained(paper, name: str, steps: int = 4):
    """A few steps of a model's training on noise."""
    given = paper.table3.options(["--out", "x", "--width", "0.3", "--epochs", "1"])
    training = paper.recipe.Training(paper.table3.MODELS[name].recipe(given, 0), 1)
    training.optimizer.param_groups[0]["lr"] = 0.05
    for _ in range(steps):
        loss = training.lc.loss(nn.functional.cross_entropy(training.model(torch.rand(8, 1, 28, 28)), torch.arange(8)))
        training.optimizer.zero_grad()
        loss.backward()
        training.optimizer.step()
    return training


def deviation(training) -> float:
    """Largest distance of a hidden neuron's weight sum from 1."""
    layers = [layer for layer in training.model if isinstance(layer, (nn.Conv2d, nn.Linear))][:-1]
    return max(float((layer.weight.detach().flatten(1).sum(1) - 1).abs().max()) for layer in layers)


def test_weight_sums_stay_one_only_with_the_hard_constraint(paper):
    for name, model in paper.table3.MODELS.items():
        assert (deviation(trained(paper, name)) < 1e-4) == model.hard


def test_soft_constraint_draws_weight_sums_to_one(paper):
    assert deviation(trained(paper, "2a", 60)) < 0.5 * deviation(trained(paper, "2b", 60))


def test_loss_has_the_terms_that_the_model_keeps(paper):
    """Unprojected weights break the soft constraint, and ReLU's or ReLU1's pre-activations are not normal."""
    for name, model in paper.table3.MODELS.items():
        training = trained(paper, name, 1)
        training.model.train()
        with torch.no_grad():
            for layer in training.model:
                if isinstance(layer, nn.Conv2d):
                    layer.weight.add_(0.1)
        x, zero = torch.rand(8, 1, 28, 28), torch.tensor(0.0)
        training.model(x)
        extra = training.lc.loss(zero).item()
        weight_sums = sum(neurons.loss() for neurons in training.lc.neurons).item()
        training.lc.lambda_w, training.lc.lambda_a = 0.0, 1.0
        training.model(x)
        pre_activations = training.lc.loss(zero).item()
        assert pre_activations > 0.1 and weight_sums > 1
        assert extra == pytest.approx(1e-3 * weight_sums * model.soft + 1e-2 * pre_activations * model.norm, rel=1e-4)


def test_activation_is_everywhere_the_one_asked_for(paper):
    for name in ("vgg7", "resnet11"):
        with torch.device("meta"):
            plain = list(paper.architectures.network(name, 1, 10, 0.1, activation="relu").modules())
            clipped = list(paper.architectures.network(name, 1, 10, 0.1).modules())
        assert not any(isinstance(module, ReLU1) for module in plain) and not any(isinstance(module, nn.ReLU) for module in clipped)
        assert all(isinstance(module.activation, nn.ReLU) for module in plain if isinstance(module, Residual))
        assert sum(isinstance(module, nn.ReLU) for module in plain) == sum(isinstance(module, ReLU1) for module in clipped)


def test_one_cycle(paper):
    given = paper.table3.options(["--out", "x", "--epochs", "10", "--lr", "0.5"])
    rate = paper.table3.MODELS["baseline"].recipe(given, 0).rate
    np.testing.assert_allclose([rate(0), rate(1.5), rate(3), rate(6.5), rate(10)], [0.02, 0.26, 0.5, 0.25, 0], atol=1e-12)
    reference = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(reference, 0.5, total_steps=1001)
    for step in range(1000):
        assert reference.param_groups[0]["lr"] == pytest.approx(rate(step / 100), rel=0.02, abs=1e-3)
        reference.step()
        schedule.step()


def command(squares, out, *more):
    return [
        "--out",
        str(out),
        "--data-dir",
        str(squares),
        "--epochs",
        "1",
        "--limit",
        "160",
        "--test-limit",
        "40",
        "--batch",
        "16",
        "--lr",
        "0.05",
        "--width",
        "0.3",
        "--threads",
        "1",
        *more,
    ]


def test_one_command_trains_converts_and_goes_on(paper, squares, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr(paper.table3, "export_onnx", lambda *given: paper.train.export_onnx(*given, dynamo=False))  # the quicker one
    paper.table3.main(command(squares, out, "--only", "2a"))
    printed = capsys.readouterr().out
    assert "160 training and 40 validation images" in printed and "hard=False" in printed and "epoch 1/1" in printed
    last = printed.splitlines()[-1]
    assert last.startswith("| 2a | hard constraint | x |  | x | x | x | 0 | ") and " pp [" in last
    assert last.endswith(" | 91.57 % | 86.95 % |")
    assert {path.name for path in out.iterdir()} == {"2a-seed0"}
    assert {path.name for path in (out / "2a-seed0").iterdir()} == {"log.txt", "checkpoint.pt", "model.onnx", "snn.npz", "report.json"}
    assert last in (out / "2a-seed0" / "log.txt").read_text()
    assert convert(out / "2a-seed0" / "model.onnx", mode="unchecked").violations

    monkeypatch.setattr(paper.table3, "trained", lambda *given: pytest.fail("trained again"))
    paper.table3.main(command(squares, out, "--only", "2a"))
    assert capsys.readouterr().out.splitlines()[-1] == last
    with pytest.raises(SystemExit, match="2"):
        paper.table3.main(command(squares, out, "--only", "2a", "--lr", "0.1"))
    assert "a checkpoint with lr 0.05 (now 0.1); expected the same options" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        paper.table3.main(command(squares, out, "--only", "2a", "--test-limit", "30"))
    assert "40 test images; expected 30" in capsys.readouterr().out


def test_fixed_threshold_takes_the_baselines_training(paper, squares, tmp_path, capsys, monkeypatch):
    out, trainings = tmp_path / "out", []
    monkeypatch.setattr(paper.table3, "export_onnx", lambda *given: paper.train.export_onnx(*given, dynamo=False))
    monkeypatch.setattr(paper.table3, "trained", lambda *given: trainings.append(given) or paper.train.trained(*given))
    paper.table3.main(command(squares, out, "--only", "5", "baseline", "--seeds", "4"))
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[-2:]]
    assert [row[0] for row in rows] == ["| baseline", "| 5"] and rows[0][8] == rows[1][8] and {row[7] for row in rows} == {"4"}
    assert len(trainings) == 1
    reports = [json.loads((out / f"{name}-seed4" / "report.json").read_text()) for name in ("baseline", "5")]
    assert [report["engine"]["threshold"] for report in reports] == ["dynamic", "fixed"]
    assert reports[0]["model"]["onnx_sha256"] == reports[1]["model"]["onnx_sha256"]


def test_checkpoint_says_which_constraint_differs(paper, tmp_path):
    given = paper.table3.options(["--out", "x", "--width", "0.1"])
    paper.recipe.Training(paper.table3.MODELS["baseline"].recipe(given, 0), 1).save(tmp_path)
    with pytest.raises(UsageError, match=r"activation relu1 \(now relu\)"):
        paper.recipe.checkpoint(tmp_path, paper.table3.MODELS["3"].recipe(given, 0))


def test_a_training_that_diverges_does_not_keep_the_others_back(paper, squares, tmp_path, capsys, monkeypatch):
    def diverging(given, model, seed, test):
        done.append(model.name)
        raise DataError("epoch 1, batch 1", "loss nan", "a finite number", "lower --lr")

    done = []
    monkeypatch.setattr(paper.table3, "run", diverging)
    paper.train.log_to(tmp_path)
    with pytest.raises(SystemExit, match="4"):
        paper.table3.main(command(squares, tmp_path / "out", "--only", "1", "4"))
    assert done == ["1", "4"] and capsys.readouterr().out.count("loss nan; expected a finite number; lower --lr") == 2
