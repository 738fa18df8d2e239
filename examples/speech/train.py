"""Train the speech enhancement network and export it to ONNX.

    python examples/speech/train.py --data FOLDER --out examples/speech/model.onnx

FOLDER holds train-clean/ (utterances) and train-noise/ (music), 16 kHz FLAC; mixtures are made on the fly (`mixtures.py`). Every twentieth
utterance and the end of each track of music are held out and choose the weights. The learning rate follows a cosine over --minutes of
training; the last fifth of them trains on the grid of --grid time steps. Interrupted, the same command goes on where its last checkpoint was
written; until the end that lies beside OUT.
"""

import argparse
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from export import export
from mixtures import HELD_OUT, MUSIC_HELD_OUT, RATE, Mixtures, read
from network import Enhancer
from torch import Tensor

from ttfs_convert.training.torch import LcTtfs, train_on_grid

VALIDATION = 96  # mixtures
ON_GRID = 0.8  # of the training behind which activations are rounded
OBSERVED = 8  # every so many steps the pre-activations are part of the loss


def si_sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Eq. 23, in dB, of each sample of a batch: both with mean zero, the target scaled to what the estimate holds of it."""
    estimate, target = (each.flatten(1) - each.flatten(1).mean(1, keepdim=True) for each in (estimate, target))
    share = (estimate * target).sum(1, keepdim=True) / (target.square().sum(1, keepdim=True) + 1e-8)
    wanted = share * target
    return 10 * torch.log10((wanted.square().sum(1) + 1e-8) / ((estimate - wanted).square().sum(1) + 1e-8))


class Training:
    """A training under way. best: the weights that did best on the held-out mixtures, and their gain over the noisy ones in dB."""

    def __init__(self, options: argparse.Namespace):
        torch.manual_seed(options.seed)
        self.options = options
        self.model = Enhancer(options.width, options.filters)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=options.rate)
        free = (self.model.encoder, self.model.body[0], self.model.mask, self.model.decoder)  # currents and potentials, no spikes
        self.lc = LcTtfs(self.model, self.optimizer, readout=free, initialise=False)
        self.step, self.seconds, self.best, self.best_gain = 0, 0.0, {}, -math.inf

    def run(self, training: Mixtures, held_out: tuple[Tensor, Tensor], checkpoint: Path) -> Enhancer:
        """Train to the end and give back the best network."""
        options = self.options
        begin, saved, losses = time.time() - self.seconds, self.seconds, []
        while (share := self.seconds / (60 * options.minutes)) < 1:
            random = np.random.default_rng((options.seed, self.step))  # a step's chance is its own, whoever makes it
            noisy, clean = (torch.from_numpy(each) for each in training.batch(options.batch, random))
            self.optimizer.param_groups[0]["lr"] = options.rate * min(1, self.step / 100) * (1 + math.cos(math.pi * share)) / 2
            train_on_grid(self.model, options.grid if share > ON_GRID else None)
            observed = self.step % OBSERVED == 0
            self.model.train(observed or share > ON_GRID)
            loss = -si_sdr(self.model(noisy), clean).mean()
            losses.append(loss.item())
            self.optimizer.zero_grad()
            (self.lc.loss(loss) if observed else loss).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
            self.optimizer.step()
            self.step, self.seconds = self.step + 1, time.time() - begin
            if self.seconds - saved > options.every or self.seconds >= 60 * options.minutes:
                gain = self.gain(*held_out)
                if gain > self.best_gain:
                    self.best_gain, self.best = gain, {name: value.clone() for name, value in self.model.state_dict().items()}
                print(f"step {self.step}: loss {np.mean(losses):.3f}, held out {gain:+.2f} dB, {self.seconds:.0f} s", flush=True)
                saved, losses = self.seconds, []
                self.save(checkpoint)
        self.model.load_state_dict(self.best)
        return self.model.eval()

    @torch.no_grad()
    def gain(self, noisy: Tensor, clean: Tensor) -> float:
        """Mean SI-SDR over that of the noisy mixtures, in dB."""
        self.model.eval()
        estimate = torch.cat([self.model(batch) for batch in noisy.split(8)])
        return (si_sdr(estimate, clean) - si_sdr(noisy, clean)).mean().item()

    def save(self, checkpoint: Path) -> None:
        """An interruption leaves the one before it."""
        state = {name: getattr(self, name) for name in ("step", "seconds", "best", "best_gain")}
        state |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "recipe": recipe(self.options)}
        torch.save(state, checkpoint.with_suffix(".tmp"))
        os.replace(checkpoint.with_suffix(".tmp"), checkpoint)

    def resume(self, checkpoint: Path) -> None:
        state = torch.load(checkpoint, weights_only=True)
        if state["recipe"] != recipe(self.options):
            raise SystemExit(f"error: {checkpoint} is of a training with {state['recipe']}; repeat its options, or remove it")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in ("step", "seconds", "best", "best_gain"):
            setattr(self, name, state[name])


def recipe(options: argparse.Namespace) -> dict[str, float]:
    return {name: getattr(options, name) for name in ("width", "filters", "batch", "crop", "rate", "grid", "seed")}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train-clean/ and train-noise/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--width", type=int, default=48, help="channels of the body; the paper's: 128")
    parser.add_argument("--filters", type=int, default=128, help="of the encoder")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=180.0, help="seconds between two looks at the held-out mixtures, with a checkpoint")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=float, default=1.0, help="seconds of each training mixture")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--grid", type=int, default=16, help="time steps of the last fifth of the training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="default: all cores")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    utterances, music = (read(options.data / part) for part in ("train-clean", "train-noise"))
    held = Mixtures(utterances[::HELD_OUT], [track[-MUSIC_HELD_OUT:] for track in music], 2 * RATE)
    held_out = tuple(torch.from_numpy(each) for each in held.batch(VALIDATION, np.random.default_rng(1)))
    del utterances[::HELD_OUT]
    mixtures = Mixtures(utterances, [track[:-MUSIC_HELD_OUT] for track in music], int(options.crop * RATE))
    training, checkpoint = Training(options), options.out.with_suffix(".pt")
    if checkpoint.exists():
        training.resume(checkpoint)
    print(recipe(options), flush=True)
    print(f"from step {training.step}: held out {training.gain(*held_out):+.2f} dB", flush=True)
    model = training.run(mixtures, held_out, checkpoint)
    print(f"best: held out {training.best_gain:+.2f} dB")
    export(model, options.out)


if __name__ == "__main__":
    main()
