"""What a run takes, by the sizes of the network alone: memory and work, refused before anything is allocated."""

from __future__ import annotations

import math

from ..errors import ModelError, UsageError
from ..memory_bound import in_words, memory_bound
from ..network.network import Network
from ..network.populations import Layer, MaxPool, Readout, Spiking
from ..network.synapses.average_pool import AveragePool
from ..network.synapses.kind import WeightedKind
from .recording import step_dtype

MAX_WORK = 10**12  # synaptic operations of one sample: sixty times VGG-16's
FLOAT = 4  # bytes
MOST_SAMPLES = 64  # at a time, by default
LITTLE = 128 << 20  # bytes of a batch
ORIGINALS = 4  # floats of the original for every neuron: what ONNX Runtime works with, has, gives, and what is compared
AT_ONCE = 3  # arrays of float32 of the widest layer that are at work at a time: what is read, potentials, what a step in between makes


def check_run(network: Network, samples: int = 1) -> None:
    """Raise ModelError for a network of which one sample alone takes more memory than `memory_bound`, or more work than MAX_WORK; UsageError
    where `samples` at a time take more memory."""
    work, bound = run_work(network), memory_bound()
    if work > MAX_WORK:
        raise ModelError(f"network {network.name!r}", f"{work:.1e} synaptic operations a sample", f"at most {MAX_WORK:.0e}", "make the model smaller")
    fixed, each = run_bytes(network)
    if fixed + each > bound:
        raise ModelError(
            f"network {network.name!r}",
            f"its sizes ask for {in_words(fixed + each)} of memory for one sample",
            f"at most {in_words(bound)}",
            "allow more with --max-memory, if the machine has it",
        )
    if fixed + each * samples > bound:
        raise UsageError(
            "batch",
            f"{samples} samples ask for {in_words(fixed + each * samples)} of memory",
            f"at most {in_words(bound)}",
            f"set --batch {max(1, (bound - fixed) // each)}, or allow more with --max-memory",
        )


def run_bytes(network: Network) -> tuple[int, int]:
    """Estimated bytes of a run: those of weights, which are laid out once more, and those of each sample, its spike times and what is at work of the
    widest layer."""
    each = widest = 0
    counts = network.steps_per_layer()
    for layer in network.layers:
        each += math.prod(layer.shape) * step_dtype(counts[layer.name])().itemsize
        widest = max(widest, math.prod(layer.shape))
        if isinstance(layer, (Spiking, Readout)):
            steps = [step for connection in layer.connections for step in connection.path]
            widest = max([widest, *(math.prod(shape) for step in steps for shape in (step.in_shape, step.out_shape))])
    return 2 * weight_bytes(network), each + AT_ONCE * FLOAT * widest


def weight_bytes(network: Network) -> int:
    """Of all synapses."""
    steps = (
        step for layer in network.layers if isinstance(layer, (Spiking, Readout)) for connection in layer.connections for step in connection.path
    )
    return sum(step.weights.nbytes for step in steps if isinstance(step, WeightedKind))


def usual_batch(network: Network) -> int:
    """Samples at a time where nobody says how many: as many as leave the network's weights, or little memory, the larger part of a run beside its
    original, which gives a float for every neuron; never more than `MOST_SAMPLES`, nor than `memory_bound` allows."""
    fixed, each = run_bytes(network)
    each += ORIGINALS * FLOAT * sum(math.prod(layer.shape) for layer in network.layers)
    return max(1, min(MOST_SAMPLES, max(LITTLE, fixed // 4, 1) // each, (memory_bound() - fixed) // each))


def run_work(network: Network) -> int:
    """Multiply-adds and comparisons of one sample, all inputs being used."""
    return sum(map(_work, network.layers))


def _work(layer: Layer) -> int:
    if isinstance(layer, MaxPool):
        return math.prod(layer.out_shape) * math.prod(layer.kernel)
    if not isinstance(layer, (Spiking, Readout)):
        return math.prod(layer.shape)
    work = math.prod(layer.shape)
    for connection in layer.connections:
        for step in connection.path:
            pooled = math.prod(step.kernel) if isinstance(step, AveragePool) else 1
            work += max(step.macs(None), math.prod(step.out_shape) * pooled)
    return work
