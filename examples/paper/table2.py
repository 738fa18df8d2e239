"""Print the paper's Table II beside our count of its rows: operations per inference, counted as the paper counts them.

    python examples/paper/table2.py

SynOPs are weights, each once however many positions share it; NeuronOPs are neurons x weight layers x 50 time steps, the readout's
neurons included, the input's and the pools' not. Layers whose outputs are added are one layer of neurons.
"""

from __future__ import annotations

import torch
from architectures import SIDE, lee_resnet, network
from torch import nn

from ttfs_convert.training.torch import ReLU1

STEPS = 50
PAPER = {"VGG-9": 117.0, "ResNet-9": 107.8, "ResNet-11": 144.4}  # P_proxy in millions


def paper_count(model: nn.Module, channels: int = 3, steps: int = STEPS) -> tuple[int, int]:
    """SynOPs and NeuronOPs of one inference. model: one ReLU1 module behind every hidden layer of neurons."""
    sizes: list[int] = []
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output: sizes.append(output[0].numel()))
        for module in model.modules()
        if isinstance(module, ReLU1)
    ]
    with torch.no_grad():
        sizes.append(model.eval()(torch.zeros(1, channels, SIDE, SIDE))[0].numel())
    for hook in hooks:
        hook.remove()
    return sum(weight.numel() for weight in model.parameters()), sum(sizes) * len(sizes) * steps


def rows() -> dict[str, tuple[int, int]]:
    resnet9 = lee_resnet(((128, 1), (256, 2), (512, 2)), 3, 10, 1.0, 0.0)
    return {"VGG-9": paper_count(network("vgg9")), "ResNet-9": paper_count(resnet9), "ResNet-11": paper_count(network("resnet11"))}


def main() -> None:
    print("| network | SynOPs | NeuronOPs | P_proxy | the paper's |\n|---|---|---|---|---|")
    for name, (synops, neuronops) in rows().items():
        print(f"| {name} | {synops:,} | {neuronops:,} | {synops + neuronops:,} | {PAPER[name]:.1f} M |")


if __name__ == "__main__":
    main()
