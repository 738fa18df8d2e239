"""Spike times of a run as one `.npz` file that NumPy opens.

Members: `spikes/<layer>`, (images, *shape) in channels-last order: steps (unsigned integers, N silent) or tau (float32, 1 silent; with a
fixed threshold below 0 premature, above 1 late, NaN missing), both counted from the opening of the layer's own window;
`potentials/<tensor>`, (images, *shape) float32, of each readout; `about`, JSON: network, data, engine, and of each layer name, window,
steps (null: tau) and shape; of names that no archive can hold, which members stand for them.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import DataError
from ..files.atomic import check_target, write_whole, writing
from ..files.content_kind import SPIKES, refuse_others
from ..files.npz_archive import BROKEN_ARCHIVE, npz_archive, read_member
from ..files.temporary import remove_abandoned, temporary_folder
from ..network.network import Network
from ..shown import shown
from .recording import Recording

FORMAT_VERSION = 1


def member_of(name: str) -> str:
    """What the array of the layer or tensor `name` is called: its name, or, if an archive cannot hold that, its beginning and end with a checksum."""
    return name if shown(name) == name else f"{shown(name)} {zlib.crc32(name.encode('utf-8', 'surrogatepass')):08x}"


class SpikeWriter:
    """Collects recordings batch by batch, on disk beside `path`, and writes the file when it is left without an error.

    about: what else the file says of itself. Raises UsageError for a `path` where no file can stand, and TtfsError, as all its
    methods do, if the disk takes no more.
    """

    def __init__(self, path: str | Path, network: Network, about: dict):
        self._path, self._network, self._images, self._about = path, network, 0, about
        parent = check_target(path).parent
        with writing(path):
            remove_abandoned(parent)
            self._open = contextlib.ExitStack()
            self._folder = self._open.enter_context(temporary_folder(parent, Path(path).name))
        self._members: dict[str, tuple[Path, np.dtype, tuple[int, ...]]] = {}  # where, of what, and the shape of one image's
        self._steps: dict[str, int | None] = {}

    def __enter__(self) -> SpikeWriter:
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            if error is None:
                write_whole(self._path, self._write)
        finally:
            self._open.close()

    def add(self, recording: Recording) -> None:
        """The next batch."""
        parts = {
            **{f"spikes/{member_of(name)}": times for name, times in recording.spike_times.items()},
            **{f"potentials/{member_of(name)}": values for name, values in recording.readouts.items()},
        }
        with writing(self._path):
            for name, values in parts.items():
                part, *_ = self._members.setdefault(name, (self._folder / f"{len(self._members)}", values.dtype, values.shape[1:]))
                with open(part, "ab") as file:  # no memory map: on a full disk that ends the process
                    file.write(np.ascontiguousarray(values).data)
        self._images += len(recording.potentials)
        self._steps = recording.steps

    def _write(self, file: IO[bytes]) -> None:
        layers = [
            {"name": layer.name, "window": layer.window, "steps": self._steps[layer.name], "shape": layer.shape}
            for layer in self._network.layers
            if f"spikes/{member_of(layer.name)}" in self._members
        ]
        names = [name for layer in self._network.layers for name in (layer.name, layer.tensor) if name is not None]
        odd = {member_of(name): name for name in names if member_of(name) != name}
        about = {
            "format_version": FORMAT_VERSION,
            "network": self._network.name,
            "onnx_sha256": self._network.onnx_sha256,
            "rounding": self._network.rounding,
            **self._about,
            "images": self._images,
            "layers": layers,
            **({"names": odd} if odd else {}),
        }
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            with archive.open("about.npy", "w") as member:
                np.lib.format.write_array(member, np.array(json.dumps(about)), allow_pickle=False)
            for name, (part, dtype, shape) in self._members.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member, open(part, "rb") as source:
                    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (self._images, *shape)}
                    np.lib.format.write_array_header_1_0(member, header)
                    shutil.copyfileobj(source, member)


def load_spikes(path: str | Path) -> tuple[Recording, dict]:
    """A file of `SpikeWriter`: all images as one recording, and what the file says of itself. Raises DataError for any other file."""
    refuse_others(path, SPIKES, DataError, "a file of ttfs-run --spikes")
    try:
        with npz_archive(path) as archive:
            about = json.loads(str(read_member(archive, "about")))
            names, members = about.get("names", {}), [name.removesuffix(".npy") for name in archive.namelist()]
            spikes, potentials = (
                {names.get(name.split("/", 1)[1], name.split("/", 1)[1]): read_member(archive, name) for name in members if name.startswith(kind)}
                for kind in ("spikes/", "potentials/")
            )
        steps = {layer["name"]: layer["steps"] for layer in about["layers"]}
        if steps.keys() != spikes.keys():
            raise ValueError(f"spike times of {', '.join(map(shown, spikes))}, which are not those of its layers")
        return Recording(spikes, potentials, steps), about
    except (*BROKEN_ARCHIVE, KeyError, TypeError, AttributeError) as error:
        raise DataError(str(path), f"cannot be read ({error})", "a file of ttfs-run --spikes") from error
