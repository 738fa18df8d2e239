"""What every study is given: a network and data in any of their forms, and how both are run beside the original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypedDict

from ..conversion.other_sizes import OtherSizes
from ..data import Dataset
from ..data.given import GivenData, dataset_of
from ..network.network import Network
from ..network.store import load
from ..onnx_model.input_sizes import chosen_sizes
from ..simulation.run_size import MOST_SAMPLES, usual_batch
from ..tasks.drop_limit import DropLimit
from .comparison import Comparison
from .original import original_model


class StudyOptions(TypedDict, total=False):
    """Keywords that `evaluate`, `sweep` and `tune` share; all may be left out."""

    steps: int | Literal["own"] | None  # time steps per window, 1 to 65535, None for continuous time; by default "own": those of the network
    limit: int | None  # use the first samples only
    data_dir: str | Path | None  # where the raw files of a named data set are looked for first
    skip_broken: bool  # leave broken images of a folder out, and say so
    onnx_file: str | Path | None  # the original model where none is embedded; its SHA-256 must be that of the file that was converted
    batch: int | None  # samples at a time, by default 64 or as many as take little memory beside the weights; changes no figure but the times
    threads: int | None  # of both engines; by default as many as there are cores
    output: str | None  # which of the model's outputs labels judge, by default the first
    decision_threshold: float | None  # from where on a lone value means class 1, where its bounds do not say
    task: str | None  # classification, reconstruction, regression or segmentation; by default what labels and outputs leave no doubt about


@dataclass(frozen=True)
class Setting:
    """A network on its grid, its data, and the options of `StudyOptions` that are left."""

    network: Network
    data: Dataset
    onnx_file: str | Path | None = None
    batch: int = MOST_SAMPLES
    threads: int | None = None
    output: str | None = None
    decision_threshold: float | None = None
    task: str | None = None

    def comparison(self, data: Dataset | None = None, limits: Sequence[DropLimit] = ()) -> Comparison:
        """The network beside its original on `data`, by default all of it. Raises as `Comparison`."""
        return Comparison(
            self.network,
            self.data if data is None else data,
            self.onnx_file,
            self.batch,
            self.threads or 0,
            output=self.output,
            decision_threshold=self.decision_threshold,
            task=self.task,
            limits=limits,
        )


def setting_of(network: Network | str | Path, data: GivenData, options: StudyOptions) -> Setting:
    """network: or the path of its .npz. data: see `data.given.dataset_of`.

    Raises TypeError for options that there are none of, else as `load`, `with_steps` and `load_dataset`.
    """
    unknown = sorted(set(options) - StudyOptions.__optional_keys__)
    if unknown:
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}; options are {', '.join(sorted(StudyOptions.__optional_keys__))}")
    if not isinstance(network, Network):
        network = load(network, mapped=True)
    steps = options.get("steps", "own")
    if steps != "own":
        network = network.with_steps(steps)
    dataset = dataset_of(
        data, network.input_shapes, limit=options.get("limit"), data_dir=options.get("data_dir"), skip_broken=options.get("skip_broken", False)
    )
    network, dataset = _at_size_of(dataset, network, options.get("onnx_file"))
    others = {name: value for name, value in options.items() if name not in ("steps", "limit", "data_dir", "skip_broken")}
    if others.get("batch") is None:
        others["batch"] = usual_batch(network)
    return replace(Setting(network, dataset), **others)


def _at_size_of(data: Dataset, network: Network, onnx_file: str | Path | None) -> tuple[Network, Dataset]:
    """`network` at the size of the samples, where its original leaves sizes open and they have another; the data then says so."""
    if not network.input_sizes:
        return network, data
    model = original_model(network, onnx_file)
    sizes = chosen_sizes(model, network.name, None, data)
    if sizes == network.input_sizes:
        return network, data
    now, then = (", ".join("x".join(map(str, each[name])) for name in sizes) for each in (sizes, network.input_sizes))
    note = (
        f"the samples are {now}, the network was converted for {then}: it was converted again for this size, with the ranges and weights that it has"
    )
    return OtherSizes(network, model)(sizes), replace(data, notes=(*data.notes, note))
