"""Train the paper's autoencoder on digits, 784-128-64-32-64-128-784 (LC-TTFS, section V-A), with the constraints that make it convert without
loss, and export it to ONNX.

    python examples/mnist/train_autoencoder.py --out examples/mnist/autoencoder.onnx

Mean squared error, SGD with momentum 0.9, a cosine schedule, a sigmoid behind the last layer. The last 1,000 training images choose the epoch;
the test images are read for the last line alone. `autoencoder.onnx` is trained on a subset of MNIST, 10,000 digits of which 8,000 train and 2,000
test, not the official split (`train_autoencoder.log`); its weights are kept in float16. Interrupted, the same command goes on behind the last
whole epoch, bit by bit as if nothing had happened: until the end a checkpoint lies beside OUT.
"""

import argparse
import math
import os
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn.functional import mse_loss

import ttfs_convert
from ttfs_convert.data import load_dataset
from ttfs_convert.training.torch import LcTtfs, ReLU1, export_onnx

HELD_OUT = 1000  # or an eighth of a small training set
SIZES = (784, 128, 64, 32, 64, 128, 784)


def network() -> nn.Sequential:
    """Pictures (n, 1, 28, 28) in [0, 1] to pictures. Weights from N(0, 4 / fan-in), before they are projected: those of the paper, from N(0, 1e-4),
    leave neurons alike whose weights sum to 1, and the gradient does not tell them apart."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in zip(SIZES, SIZES[1:]):
        layers += [nn.Linear(inputs, outputs), ReLU1()]
        nn.init.normal_(layers[-2].weight, 0, 2 / math.sqrt(inputs))
    return nn.Sequential(*layers[:-1], nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))


def decibels(error: float) -> float:
    """PSNR of a mean squared error, for values in [0, 1]."""
    return -10 * math.log10(error)


@torch.no_grad()
def round_weights_(model: nn.Module, constrained: set[nn.Module]) -> None:
    """Weights to values that float16 holds, in place. What the rounding takes from the sum of a constrained neuron its smallest weight makes up for,
    around which float16 is finest."""
    for layer in model:
        if isinstance(layer, nn.Linear):
            rows = layer.weight.half().float()
            if layer in constrained:
                smallest = rows.abs().argmin(1, keepdim=True)
                rest = layer.weight.double().sum(1, keepdim=True) - rows.double().sum(1, keepdim=True)
                rows.scatter_(1, smallest, (rows.gather(1, smallest) + rest.float()).half().float())
            layer.weight.copy_(rows)


def halve(path: Path) -> None:
    """The matrices of the ONNX file, which float16 holds, as float16 behind a Cast: half the size, the same figures to the last bit. What the
    exporter notes beside the nodes is left out."""
    model, casts = onnx.load(path), []
    for matrix in model.graph.initializer:
        if len(matrix.dims) == 2 and matrix.data_type == onnx.TensorProto.FLOAT:
            values, name = onnx.numpy_helper.to_array(matrix), matrix.name
            matrix.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(onnx.helper.make_node("Cast", [matrix.name], [name], name=f"{name}.cast", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    for part in (model, model.graph, *nodes, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
    del model.graph.value_info[:]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)


class Training:
    """A training under way. best: the weights that did best on the held-out images, and their mean squared error there."""

    def __init__(self, options: argparse.Namespace):
        torch.manual_seed(options.seed)
        self.options = options
        self.model = network()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=options.rate, momentum=0.9)
        self.lc = LcTtfs(self.model, self.optimizer, mean=options.mean, lambda_a=options.lambda_a, initialise=False)
        self.epoch, self.seconds, self.best, self.best_error = 0, 0.0, {}, math.inf

    def run(self, x: torch.Tensor, checkpoint: Path) -> nn.Module:
        """Train to the end and give back the best network."""
        count = len(x) - min(HELD_OUT, len(x) // 8)
        x, held = x[:count], x[count:]
        epochs = self.options.epochs
        while self.epoch < epochs:
            torch.manual_seed(1000 * self.options.seed + self.epoch + 1)  # an epoch's chance is its own, whoever starts with it
            self.optimizer.param_groups[0]["lr"] = self.options.rate * (1 + math.cos(math.pi * self.epoch / epochs)) / 2
            start, losses = time.time(), []
            for chosen in torch.randperm(len(x)).split(self.options.batch):
                loss = self.lc.loss(mse_loss(self.model(x[chosen]), x[chosen]))
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                losses.append(loss.item())
            with torch.no_grad():
                error = mse_loss(self.model(held), held).item()
            if error < self.best_error:
                self.best_error, self.best = error, {name: value.clone() for name, value in self.model.state_dict().items()}
            self.epoch, self.seconds = self.epoch + 1, self.seconds + time.time() - start
            if self.epoch % 10 == 0 or self.epoch == epochs:
                print(f"epoch {self.epoch}/{epochs}: loss {np.mean(losses):.5f}, held out {error:.5f}, {self.seconds:.0f} s", flush=True)
            self.save(checkpoint)
        self.model.load_state_dict(self.best)
        round_weights_(self.model, {layer for neurons in self.lc.neurons for layer in neurons.layers})
        print(f"best: held out {self.best_error:.5f}, PSNR {decibels(self.best_error):.2f} dB", flush=True)
        return self.model.eval()

    def save(self, checkpoint: Path) -> None:
        """An interruption leaves the one before it."""
        state = {name: getattr(self, name) for name in ("epoch", "seconds", "best", "best_error")}
        state |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "recipe": recipe(self.options)}
        torch.save(state, checkpoint.with_suffix(".tmp"))
        os.replace(checkpoint.with_suffix(".tmp"), checkpoint)

    def resume(self, checkpoint: Path) -> None:
        state = torch.load(checkpoint, weights_only=True)
        if state["recipe"] != recipe(self.options):
            raise SystemExit(f"error: {checkpoint} is of a training with {state['recipe']}; repeat its options, or remove it")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in ("epoch", "seconds", "best", "best_error"):
            setattr(self, name, state[name])


def recipe(options: argparse.Namespace) -> dict[str, float]:
    return {name: getattr(options, name) for name in ("epochs", "batch", "rate", "mean", "lambda_a", "seed")}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rate", type=float, default=10.0, help="of a loss that is a mean over 784 pixels")
    parser.add_argument("--mean", type=float, default=0.2, help="of the pre-activation's target distribution")
    parser.add_argument("--lambda-a", type=float, default=2e-3, help="weight of the pre-activation loss")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir", type=Path, help="where the raw files are; else $TTFS_DATA, the user cache, a download")
    parser.add_argument("--threads", type=int, help="default: all cores")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    data, test = (load_dataset("mnist", split=split, data_dir=options.data_dir) for split in ("train", "test"))
    training, checkpoint = Training(options), options.out.with_suffix(".pt")
    if checkpoint.exists():
        training.resume(checkpoint)
    print(recipe(options) if not training.epoch else f"going on with epoch {training.epoch + 1}", flush=True)
    print("; ".join(note for each in (data, test) for note in each.notes), flush=True)
    x = torch.tensor(data.x).permute(0, 3, 1, 2).float() / 255
    export_onnx(training.run(x, checkpoint), options.out, x[:1])
    halve(options.out)
    snn = ttfs_convert.convert(options.out)
    for steps in (50, None):
        report = ttfs_convert.evaluate(snn, test, steps=steps, task="reconstruction").report
        time_of_run = "continuous time" if steps is None else f"{steps} steps"
        print(
            f"{report.data.samples:,} test images, {time_of_run}: ANN PSNR {report.ann.psnr:.2f} dB, SSIM {report.ann.ssim:.4f}; "
            f"SNN {report.snn.psnr:.2f} dB, {report.snn.ssim:.4f}"
        )
    checkpoint.unlink()


if __name__ == "__main__":
    main()
