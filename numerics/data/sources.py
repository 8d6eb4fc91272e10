"""Where features come from: an array, a file mapped into memory, or chunks that are made again for
every pass.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numerics.core.validation import Array, Floats, as_path, check_entries, check_memory, kind_of
from theory import InputError
from theory.regular_files import check_regular

from .one_pass import row_blocks

# numbers of a block that is copied or checked at a time
BLOCK_NUMBERS = 2**21
# chunks of a pass, and what a pass of unstated length may give: more is taken to have no end
MOST_CHUNKS, MOST_SAMPLES, MOST_BYTES = 5 * 10**4, 10**7, 10**9
# what is kept of a chunk beside its labels, counted in doubles
CHUNK_NUMBERS = 32
ChunkFactory = Callable[[], Iterable[tuple[ArrayLike, ArrayLike]]]


@dataclass(frozen=True)
class Source:
    """Rows of Y in blocks that are C-contiguous float32 or float64, the same in every pass.

    Attributes
    ----------
    samples, dimension : int
        N and d.
    dtype : numpy dtype
        float32 or float64.
    kind : {"resident", "memory-mapped", "streamed"}
    array : array, shape (N, d), or None
        The features where they are one array (also a mapped file).
    factory : callable, or None
        Makes the chunks of a streamed source.
    fingerprints : tuple of int
        Of its chunks in the first pass, features and labels.
    """

    samples: int
    dimension: int
    dtype: np.dtype[Any]
    kind: str
    array: Floats | None = None
    factory: ChunkFactory | None = None
    fingerprints: tuple[int, ...] = ()

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """Pairs (first row, rows), in order."""
        if self.array is not None:
            if self.array.flags.c_contiguous and self.kind == "resident":
                yield 0, self.array
                return
            for rows in row_blocks(self.samples, max(1, BLOCK_NUMBERS // self.dimension)):
                yield rows.start, np.array(self.array[rows], order="C")
            return
        start = 0
        for features, _ in self.chunks():
            yield start, features
            start += len(features)
        if start != self.samples:
            raise InputError(
                "features",
                f"{start} samples in this pass",
                f"{self.samples}, as in the first pass",
                "a chunk factory has to give the same chunks at every call",
            )

    def chunks(self) -> Iterator[tuple[Floats, Array]]:
        """Checked chunks of a streamed source: features and labels."""
        if self.factory is None:
            raise ValueError("only a streamed source has chunks")
        for number, chunk in enumerate(_made(self.factory)):
            features, labels = check_chunk(chunk, number, self.dimension, self.dtype)
            if self.fingerprints and (
                number >= len(self.fingerprints)
                or _fingerprint(features, labels) != self.fingerprints[number]
            ):
                raise InputError(
                    f"features, chunk {number + 1}",
                    "other samples, or samples in another order, than in the first pass",
                    "the same chunks at every call",
                    "shuffle before the first pass, or with one seed in every pass",
                )
            yield features, labels


def open_source(
    features: object, dimension: int, samples: int | None = None
) -> tuple[Source, Array | None]:
    """The source of what a user gave, and the labels of a streamed one.

    Parameters
    ----------
    features : array, path of a .npy file, or a callable
        float32 and float64 arrays are kept by reference, other numbers become float64.
    dimension : int
        d, the columns that the weights ask for.
    samples : int, optional
        N, where the user says so.

    Raises
    ------
    theory.InputError
        Wrong shapes, no numbers, NaN or infinities, chunks without end, another N than stated.
    """
    if callable(features):
        return _streamed(features, dimension, samples)
    kind = "resident"
    if isinstance(features, (str, Path)):
        features = _mapped(features)
    if isinstance(features, np.memmap):
        kind = "memory-mapped"
    array = _as_floats(features, "features")
    _check_shape("features", array, dimension)
    if kind == "resident":
        _check_size("features", array)
    if not len(array):
        raise InputError("features", "no rows", "at least one sample", "give samples in rows")
    _check_stated(len(array), samples)
    source = Source(len(array), dimension, array.dtype, kind, array)
    for start, block in source.blocks():
        for rows in row_blocks(len(block), max(1, BLOCK_NUMBERS // dimension)):
            _check_finite("features", block[rows], start + rows.start)
    return source, None


def _mapped(path: str | Path) -> Any:
    """The array of a .npy file, which stays on disk; nothing in it is unpickled."""
    expected = "a .npy file of numbers"
    file = check_regular(
        "features", as_path("features", path), expected, "write it with numpy.save"
    )
    try:
        found = np.load(file, mmap_mode="r", allow_pickle=False)
    # a header may claim anything, and readers of it raise as they like
    except Exception as error:
        raise InputError("features", str(path), expected, str(error)) from error
    if not isinstance(found, np.ndarray):
        raise InputError("features", f"{path}, an archive", expected, "save the array by itself")
    return found


def _streamed(factory: ChunkFactory, dimension: int, samples: int | None) -> tuple[Source, Array]:
    """Read all chunks once: number of samples, labels, and whether they are what they should be."""
    labels: list[NDArray[Any]] = []
    fingerprints: list[int] = []
    dtype: np.dtype[Any] | None = None
    chunks, count = _made(factory), 0
    if iter(chunks) is chunks and factory() is chunks:
        raise InputError(
            "features",
            "the same iterator at every call",
            "a new one at every call",
            "give a function that makes the chunks, such as a generator function",
        )
    for number, chunk in enumerate(chunks):
        features, y = check_chunk(chunk, number, dimension, dtype)
        dtype = features.dtype
        labels.append(_compact(y))
        count += y.size
        _check_end(number + 1, count, count * features[:1].nbytes, samples)
        fingerprints.append(_fingerprint(features, y))
    if dtype is None:
        raise InputError("features", "no chunk", "at least one chunk (X, y)", "give samples")
    _check_stated(count, samples)
    found = np.concatenate(labels, dtype=float)
    return (
        Source(
            found.size,
            dimension,
            dtype,
            "streamed",
            factory=factory,
            fingerprints=tuple(fingerprints),
        ),
        found,
    )


def _made(factory: ChunkFactory) -> Iterable[tuple[ArrayLike, ArrayLike]]:
    """The chunks of a pass."""
    chunks = factory()
    if not hasattr(type(chunks), "__iter__") and not hasattr(type(chunks), "__getitem__"):
        got = f"a function that returns {kind_of(chunks)}"
        remedy = "yield the chunks, such as in a generator function"
        raise InputError("features", got, "one that returns pairs (X, y)", remedy)
    return chunks


def _compact(labels: Array) -> NDArray[Any]:
    """The labels in bytes where they are small integers, as most are."""
    with np.errstate(invalid="ignore"):
        small = labels.astype(np.int8)
    return small if (small == labels).all() else labels


def _check_end(chunks: int, count: int, size: int, samples: int | None) -> None:
    """Refuse chunks that seem to have no end, or that go on beyond the stated end."""
    if samples is not None and count > samples:
        _check_stated(count, samples)
    remedy = "end the chunks, or make fewer and larger ones"
    if chunks > MOST_CHUNKS:
        expected = f"at most {MOST_CHUNKS} chunks in a pass"
        raise InputError("features", f"{chunks} chunks and no end", expected, remedy)
    if samples is None and (count > MOST_SAMPLES or size > MOST_BYTES):
        raise InputError(
            "features",
            f"{count} samples of {size / 1e9:.2g} GB and no end",
            f"at most {MOST_SAMPLES} samples and {MOST_BYTES / 1e9:g} GB where no number is stated",
            "end the chunks, or say how many samples they have: samples=...",
        )
    check_memory("features", f"{count} samples", count + CHUNK_NUMBERS * chunks, remedy)


def _check_stated(count: int, samples: int | None) -> None:
    """Refuse more or fewer samples than the user stated."""
    if samples is not None and count != samples:
        more = "or more " if count > samples else ""
        remedy = "give as many samples as stated, or state as many as there are"
        raise InputError("samples", samples, f"{count} {more}that features have", remedy)


def _fingerprint(features: Floats, labels: Array) -> int:
    """Of the samples of a chunk in their order."""
    return zlib.crc32(labels.tobytes(), zlib.crc32(features.data))


def check_chunk(
    chunk: object, number: int, dimension: int, dtype: np.dtype[Any] | None
) -> tuple[Floats, Array]:
    """Features and labels of a chunk, or what is wrong with it."""
    name = f"features, chunk {number + 1}"
    if not isinstance(chunk, tuple) or len(chunk) != 2:
        raise InputError(
            name, type(chunk).__name__, "a pair (X, y)", "yield features and their labels"
        )
    features = _as_floats(chunk[0], name)
    _check_shape(name, features, dimension)
    _check_size(name, features)
    features = np.ascontiguousarray(features)
    if dtype is not None and features.dtype != dtype:
        raise InputError(
            name, features.dtype, f"{dtype}, as in the first chunk", "use one precision"
        )
    _check_finite(name, features, 0)
    labels = np.asarray(chunk[1])
    if labels.shape != (len(features),) or labels.dtype.kind not in "iufb":
        raise InputError(
            name,
            f"labels of shape {labels.shape}, {labels.dtype}",
            f"{len(features)} numbers",
            "give one label per sample",
        )
    return features, labels.astype(float)


def _as_floats(features: object, name: str) -> Floats:
    check_entries(name, features)
    try:
        array = np.asanyarray(features)
    except Exception as error:  # what is no array may raise anything where it is asked for one
        remedy = "give an array, a path, or a function that makes chunks"
        raise InputError(name, kind_of(features), "rows of numbers", remedy) from error
    if array.dtype in (np.float32, np.float64) and array.dtype.isnative:
        return array
    if array.dtype.kind not in "iuf":
        raise InputError(name, f"dtype {array.dtype}", "real numbers", "use float32 or float64")
    with np.errstate(over="ignore"):  # what is infinite as a double is refused as such
        return array.astype(float)


def _check_shape(name: str, array: Floats, dimension: int) -> None:
    if array.ndim != 2 or array.shape[1] != dimension:
        raise InputError(
            name,
            f"shape {array.shape}",
            f"(samples, {dimension}), the dimension of the weights",
            "give one sample per row",
        )


def _check_size(name: str, array: Floats) -> None:
    """Refuse views that repeat a few numbers more often than memory could hold them."""
    remedy = "give fewer samples, or the path of a .npy file"
    check_memory(name, f"shape {array.shape}", array.size * array.itemsize / 8, remedy)


def _check_finite(name: str, rows: Floats, start: int) -> None:
    good = np.isfinite(rows).all(axis=1)
    if not good.all():
        raise InputError(
            name,
            f"NaN or infinity in row {start + int(np.argmin(good))}",
            "finite numbers",
            "remove the samples that are not finite",
        )
