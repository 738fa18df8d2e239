"""Data in the forms that people have it in: a name, a file, arrays, or a `Dataset`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from . import Dataset, dataset_of_arrays, image_size, load_dataset

Arrays: TypeAlias = np.ndarray | Mapping[str, np.ndarray]
GivenData: TypeAlias = Dataset | str | Path | Arrays | tuple[Arrays, np.ndarray | None]


def dataset_of(
    data: GivenData,
    input_shapes: Sequence[tuple[int, ...]] = (),
    *,
    limit: int | None = None,
    data_dir: str | Path | None = None,
    split: Literal["test", "train"] = "test",
    skip_broken: bool = False,
) -> Dataset:
    """The data set that `data` stands for.

    data: a `Dataset`; what `load_dataset` takes, a name or a path; samples x (n, ...), or for several inputs a mapping from the model's inputs
    to arrays (n, ...); or a pair (x, y) with labels (n,), targets, or None: read as an .npz with x and y is. input_shapes: of the model's
    inputs, without the batch; they tell how large the pictures of a folder should be. limit: the first samples only. data_dir, split,
    skip_broken: see `load_dataset`. Raises as `load_dataset`."""
    if isinstance(data, (str, Path)):
        return load_dataset(data, data_dir=data_dir, limit=limit, split=split, size=picture_size(input_shapes), skip_broken=skip_broken)
    if not isinstance(data, Dataset):
        x, y = data if isinstance(data, tuple) else (data, None)
        data = dataset_of_arrays(x, y)
    return data if limit is None else data.first(limit)


def picture_size(input_shapes: Sequence[tuple[int, ...]]) -> tuple[int, int] | None:
    """Height and width of the pictures that a model with inputs of these shapes, without the batch, takes; None if it takes none, any size (0),
    or something beside them."""
    return image_size(input_shapes[0]) if len(input_shapes) == 1 and 0 not in input_shapes[0] else None
