"""Labelled arrays: checked, centred and scaled, with a note on everything that was done to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numerics.core.validation import Array, as_scalar, check_entries, check_memory, kind_of
from theory import InputError
from theory.errors import brief
from theory.keywords import with_known_keywords

SCALES = ("unit", "standard", "none")
# a covariance needs two samples
FEWEST = 2
# squares of larger numbers, and their sums, are no numbers any more
LARGEST = 1e120


@with_known_keywords
@dataclass(frozen=True, eq=False, repr=False)
class LabelledData:
    """Features and classes as the fit and the training see them.

    Attributes
    ----------
    features : array, shape (M, d)
        Centred, scaled, without constant columns.
    labels : int array, shape (M,)
        1 .. k, in the order of ``classes``.
    classes : tuple of str
        The labels of the data, as text.
    columns : int array, shape (d,)
        Which columns of the original array these are, counted from 0.
    shift : array, shape (d,)
        The mean that was taken away, in units of the original.
    scale : array, shape (d,)
        What the centred columns were divided by.
    notes : tuple of str
        What was done, and what is peculiar, in words.

    Examples
    --------
    >>> data = label_data([[0, 7, 1], [2, 7, 0], [4, 7, 5], [0, 7, 4]], ["b", "a", "b", "a"])
    >>> data
    LabelledData(samples=4, dimension=2, classes=['a', 'b'])
    >>> data.labels, data.counts, data.columns                # the constant column is left out
    (array([2, 1, 2, 1]), array([2, 2]), array([0, 2]))
    """

    features: Array
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    columns: NDArray[np.int64]
    shift: Array
    scale: Array
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        n, d = self.features.shape
        return f"LabelledData(samples={n}, dimension={d}, classes={brief(list(self.classes))})"

    @property
    def dimension(self) -> int:
        """d."""
        return int(self.features.shape[1])

    @property
    def counts(self) -> NDArray[np.int64]:
        """Samples of every class."""
        return np.bincount(self.labels, minlength=len(self.classes) + 1)[1:]


@with_known_keywords
def label_data(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    classes: Sequence[object] | None = None,
    scale: str | float = "unit",
) -> LabelledData:
    """Check labelled arrays, and bring them into the form that the theory is about.

    Columns are centred on the samples that are used.  A column that is constant there holds
    nothing and is left out; a column that repeats another one is kept, and a note says so.

    Parameters
    ----------
    features : array, shape (M, D)
        Finite numbers.
    labels : array, shape (M,)
        Numbers or texts; classes are their distinct values in ascending order.
    classes : sequence, optional
        The labels to use, in this order; samples of others are left out.
    scale : {"unit", "standard", "none"} or number
        "unit": all columns are divided by one number, the largest absolute entry; "standard": each
        by its standard deviation; a number: all by it.

    Returns
    -------
    LabelledData

    Raises
    ------
    theory.InputError
        NaN or infinities, shapes that disagree, a class that is not there, one class, a class of
        one sample (as where there are as many classes as samples), columns that are all constant.

    Examples
    --------
    >>> data = label_data([[0, 7, 1], [2, 7, 1], [4, 7, 3], [6, 7, 3]], ["b", "b", "a", "a"])
    >>> data.classes, data.labels, data.columns
    (('a', 'b'), array([2, 2, 1, 1]), array([0, 2]))
    >>> data.notes
    ('1 of 3 columns is constant and left out',)
    """
    x = _as_rows(features)
    y = _as_labels(labels, len(x))
    names, number = np.unique(y, return_inverse=True)
    chosen = _chosen(names, classes)
    position = np.zeros(len(names), dtype=np.int64)
    position[chosen] = np.arange(1, len(chosen) + 1)
    numbered = position[number]
    rows = numbered > 0
    x, numbered = x[rows], numbered[rows]
    texts = tuple(_text(names[c]) for c in chosen)
    _check_classes(texts, np.bincount(numbered, minlength=len(chosen) + 1)[1:])
    return _prepared(x, numbered, texts, scale)


def _prepared(
    x: Array, labels: NDArray[np.int64], classes: tuple[str, ...], scale: str | float
) -> LabelledData:
    """Centre and scale what has been checked."""
    unit = float(np.abs(x).max())
    if unit > LARGEST:
        got = f"numbers up to {unit:.3g}"
        raise InputError("features", got, f"numbers up to {LARGEST:g}", "use other units")
    columns = np.flatnonzero(np.ptp(x, axis=0) > 0)
    if not columns.size:
        remedy = "give features that differ between samples"
        raise InputError("features", "constant columns alone", "a column that varies", remedy)
    notes = []
    left = x.shape[1] - columns.size
    if left:
        verb = "is" if left == 1 else "are"
        notes.append(f"{left} of {x.shape[1]} columns {verb} constant and left out")
    x = x[:, columns]
    shift = x.mean(axis=0)
    divisor = _divisor(scale, x, unit)
    centred = (x - shift) / divisor
    repeated = columns.size - np.unique(centred, axis=1).shape[1]
    if repeated:
        verb, each = ("repeats", "a column") if repeated == 1 else ("repeat", "columns")
        notes.append(f"{repeated} {each} {verb} another one: kept, the noise there is degenerate")
    return LabelledData(centred, labels, classes, columns, shift, divisor, tuple(notes))


def _as_rows(features: ArrayLike) -> Array:
    """Features as rows of finite doubles."""
    check_entries("features", features)
    remedy = "give one sample per row, numbers alone"
    try:
        array = np.asarray(features)
    except Exception as error:
        raise InputError("features", kind_of(features), "rows of numbers", remedy) from error
    if array.dtype.kind not in "iufb" or array.ndim != 2 or 0 in array.shape:
        got = f"dtype {array.dtype}" if array.dtype.kind not in "iufb" else f"shape {array.shape}"
        raise InputError("features", got, "an array of numbers of shape (samples, d)", remedy)
    count, dimension = array.shape
    most = "take fewer samples or columns"
    check_memory("features", f"shape {array.shape}", 3 * count * dimension, most)
    check_memory("features", f"{dimension} columns", 6 * dimension**2, most)
    rows = array.astype(float)
    good = np.isfinite(rows)
    if not good.all():
        i, j = np.argwhere(~good)[0]
        bad = int(np.sum(~good.all(axis=1)))
        raise InputError(
            "features",
            f"{rows[i, j]:g} in row {i + 1}, column {j + 1} ({bad} such row(s))",
            "finite numbers",
            "leave these rows or columns out, or fill them in: nothing is imputed here",
        )
    return rows


def _as_labels(labels: ArrayLike, samples: int) -> NDArray[np.generic]:
    """Labels as an array of numbers or texts, one a sample."""
    check_entries("labels", labels)
    remedy = "give one number or text per sample"
    try:
        array = np.asarray(labels)
    except Exception as error:
        raise InputError("labels", kind_of(labels), "one label per sample", remedy) from error
    if array.dtype.kind not in "iufbUS":
        raise InputError("labels", f"dtype {array.dtype}", "numbers or texts", remedy)
    if array.shape != (samples,):
        expected = f"shape ({samples},), one per row of the features"
        raise InputError("labels", f"shape {array.shape}", expected, remedy)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array))) + 1
        raise InputError("labels", f"{array[row - 1]:g} in row {row}", "finite labels", remedy)
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8", "replace")
    return array


def _chosen(names: NDArray[np.generic], classes: Sequence[object] | None) -> list[int]:
    """Positions of the classes to use among all there are."""
    if classes is None:
        return list(range(len(names)))
    known = [_text(name) for name in names]
    if isinstance(classes, str) or not hasattr(classes, "__iter__"):
        remedy = "write classes=[0, 1, 2]"
        raise InputError("classes", kind_of(classes), "a list of labels", remedy)
    wanted = [_text(name) for name in classes]
    for name in wanted:
        if name not in known:
            expected = f"labels of the data: {brief(known)}"
            raise InputError("classes", repr(name), expected, "check the spelling")
        if wanted.count(name) > 1:
            raise InputError("classes", f"{name} twice", "classes that differ", "leave one away")
    return [known.index(name) for name in wanted]


def _text(name: object) -> str:
    """A label as text: 3 for the number 3.0."""
    if isinstance(name, (float, np.floating)) and float(name).is_integer():
        return str(int(name))
    return str(name)


def _check_classes(classes: tuple[str, ...], counts: NDArray[np.int64]) -> None:
    """Two classes at least, each of samples enough for a covariance."""
    if len(classes) < 2:
        expected = "at least two classes"
        remedy = "there is nothing to tell apart: check the labels"
        raise InputError("labels", f"one class, {classes[0]!r}", expected, remedy)
    few = int(np.argmin(counts))
    if counts[few] < FEWEST:
        total = int(counts.sum())
        raise InputError(
            "labels",
            f"{len(classes)} classes in {total} samples, {counts[few]} of {classes[few]!r}",
            f"at least {FEWEST} samples in every class",
            "leave rare classes out with classes=[...]; are the labels numbers to be fitted?",
        )


def _divisor(scale: str | float, x: Array, unit: float) -> Array:
    """What the centred columns are divided by."""
    if isinstance(scale, str):
        if scale not in SCALES:
            remedy = "'unit' divides all columns by one number"
            expected = f"a number > 0, or one of {SCALES}"
            raise InputError("scale", repr(scale), expected, remedy)
        if scale == "standard":
            spread = x.std(axis=0)
            return np.where(spread > 0, spread, 1.0)
        return np.full(x.shape[1], unit if scale == "unit" else 1.0)
    number = as_scalar("scale", scale, 0.0, True, "give what all columns are divided by")
    return np.full(x.shape[1], number)
