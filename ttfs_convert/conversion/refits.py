"""The same conversion for other grids: the original lowered anew, with ranges and weights fitted to each."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..compensation import check_compensation
from ..data import Dataset
from ..errors import ModelError, UsageError
from ..files.atomic import writing
from ..network.network import Network
from ..onnx_model.given_model import ModelFile
from ..onnx_model.input_sizes import chosen_sizes
from ..onnx_model.simplify import Simplified, simplified
from .options import ConversionOptions
from .pipeline import converted, fitted


def options_of(network: Network) -> ConversionOptions:
    """Options with which its model converts to `network` again, with any rounding of its own compensated. Raises UsageError where the file does
    not say them."""
    kept = network.conversion
    if kept is None:
        raise UsageError(
            "network", "a file that does not say how it was converted", "one that keeps the options of its conversion", "convert the model again"
        )
    return ConversionOptions(
        mode=network.mode,
        slope=network.slope if network.mode == "exact" else "gated",
        steps=network.steps,
        rounding=network.rounding,
        pooling=network.pooling,
        tolerance=kept.tolerance,
        input_range=kept.input_range,
        input_shape=network.input_sizes or None,
        method=kept.method,
        margin=kept.margin,
        embed=network.onnx is not None,
        allow_analog=kept.allow_analog,
        compensate=True,
        weight_bits=None if network.weight_grid is None else network.weight_grid.bits,
    )


class Refits:
    """Networks of one model and one set of options, each with ranges and weights fitted to its own grid on `data`, from the original's weights.

    network: of which these are the others. file, model: its original. count: of the fits so far.
    """

    def __init__(self, network: Network, file: ModelFile, model: Simplified, data: Dataset):
        self._network, self._file, self._model, self._data = network, file, model, data
        self._options = options_of(network)
        self.count = 0

    def __call__(self, steps: Mapping[str, int]) -> Network:
        """With N of every population that takes a window, by name. Raises as `convert`, and ValueError as `Network.with_layer_steps`."""
        self.count += 1
        one = len(set(steps.values())) == 1
        options = replace(self._options, steps=max(steps.values()))
        network = converted(self._file, self._model, options, self._data, {} if one else steps)
        network = network.changed(onnx_sha256=self._network.onnx_sha256)  # of an original in several files, which the embedded one is not
        return fitted(network, self._model, self._data, options)


@contextlib.contextmanager
def refits(network: Network, onnx_file: str | Path | None, data: Dataset) -> Iterator[Refits]:
    """What converts the original of `network` again, which is embedded or in `onnx_file`; its weights lie on the disk meanwhile. data: to fit to.

    Raises UsageError where there is no original or the file does not say how it was converted, ModelError for another original, else as
    `check_compensation`.
    """
    check_compensation(data, network.steps)
    options = options_of(network)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx" if onnx_file is None else Path(onnx_file)
        if onnx_file is None:
            if network.onnx is None:
                raise UsageError("network", "the original model is not inside", remedy="name it with --onnx FILE")
            with writing(path, "free some space, or set TMPDIR to a folder on another disk"):
                path.write_bytes(network.onnx.tobytes())
        file = ModelFile(path, network.name, network.name if onnx_file is None else str(onnx_file))
        with simplified(path, lambda original, where: chosen_sizes(original, where, options.input_shape, data), file.where) as model:
            if onnx_file is not None and model.sha256 != network.onnx_sha256:
                raise ModelError(file.where, f"SHA-256 {model.sha256[:16]}...", f"{network.onnx_sha256[:16]}..., the model that was converted")
            yield Refits(network, file, model, data)
