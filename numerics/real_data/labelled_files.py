"""Files of labelled data: CSV, NPZ, pairs of .npy, and the sets that scikit-learn ships."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.core.validation import as_path, check_memory
from theory import InputError
from theory.errors import brief
from theory.keywords import with_known_keywords
from theory.regular_files import check_regular

# the sets that scikit-learn holds itself: nothing is fetched from anywhere
SHIPPED = ("breast_cancer", "digits", "iris", "wine")
PREFIX = "sklearn:"
# names of the two arrays of an archive
FEATURES, LABELS = ("X", "x", "features", "data", "images"), ("y", "labels", "target", "targets")
# text files are read number by number: larger sets belong into a .npy file
MOST_TEXT = 2 * 10**8
# columns of a table, of which a covariance has the square
MOST_COLUMNS = 4096
WAYS = f"a .csv, an .npz, two .npy files, or {PREFIX}NAME"
Arrays = tuple[NDArray[Any], NDArray[Any]]


@with_known_keywords
def load_labelled(source: Sequence[object] | object, *, label: str | None = None) -> Arrays:
    """Load features and labels.

    Parameters
    ----------
    source : str or Path, or two of them
        A ``.csv`` file of one sample a line, with or without a line of names; an ``.npz`` archive
        with arrays X and y; two ``.npy`` files, features and labels; or ``"sklearn:digits"`` and
        the like (iris, wine, breast_cancer), which need scikit-learn.  Nothing is unpickled.
    label : str, optional
        The column of a ``.csv`` that holds the labels, by its name or its number counted from 1;
        the last one when omitted.

    Returns
    -------
    features, labels : arrays

    Raises
    ------
    theory.InputError
        Files that are none of these, pickled objects, lines of different lengths, texts in place
        of numbers, files larger than the memory.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "flowers.csv")
    ...     _ = file.write_text("long,wide,kind\\n5.1,3.5,setosa\\n7.0,3.2,versicolor\\n")
    ...     features, labels = load_labelled(file, label="kind")
    >>> features.tolist(), labels.tolist()
    ([[5.1, 3.5], [7.0, 3.2]], ['setosa', 'versicolor'])
    """
    parts = list(source) if isinstance(source, (list, tuple)) else [source]
    remedy = f"give {WAYS}"
    if len(parts) not in (1, 2):
        raise InputError("data", f"{len(parts)} names", "one name, or two .npy files", remedy)
    first = str(parts[0])
    is_csv = len(parts) == 1 and first.lower().endswith(".csv")
    if label is not None and not is_csv:
        raise InputError("label", label, "nothing of the kind but with a .csv", "leave it away")
    if len(parts) == 2:
        return _array("features", parts[0]), _array("labels", parts[1])
    if first.startswith(PREFIX):
        return _shipped(first.removeprefix(PREFIX))
    path = as_path("data", parts[0])
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _table(path, label)
    if suffix == ".npz":
        return _archive(path)
    if suffix == ".npy":
        raise InputError("data", first, "two .npy files", "name the file of the labels as well")
    if first in SHIPPED:
        raise InputError("data", first, WAYS, f"write {PREFIX}{first}")
    raise InputError("data", first, WAYS, "the ending of the name says what the file is")


def _shipped(name: str) -> Arrays:
    if name not in SHIPPED:
        expected = f"one of {', '.join(PREFIX + known for known in SHIPPED)}"
        raise InputError("data", f"{PREFIX}{name}", expected, "these come with scikit-learn")
    try:
        sets = import_module("sklearn.datasets")
    except ImportError as error:
        remedy = "pip install 'specalign[data]'"
        raise InputError("data", f"{PREFIX}{name}", "scikit-learn installed", remedy) from error
    found = getattr(sets, f"load_{name}")()
    if name == "digits":
        return np.asarray(found.data), np.asarray(found.target)
    return np.asarray(found.data), np.asarray(found.target_names)[found.target]


def _array(name: str, path: object) -> NDArray[Any]:
    """The array of a .npy file; nothing in it is unpickled."""
    expected, remedy = "a .npy file of numbers or texts", "write it with numpy.save"
    file = check_regular(name, as_path(name, path), expected, remedy)
    try:
        # mapped first: a header may claim more than the file, or the memory, holds
        mapped = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # readers of damaged files raise as they like
        raise InputError(name, brief(path), f"{expected} ({brief(error)})", remedy) from error
    if not isinstance(mapped, np.ndarray):
        raise InputError(name, f"{brief(path)}, an archive", expected, "give the .npz alone")
    check_memory(name, brief(path), mapped.nbytes / 8, "give fewer samples")
    return np.array(mapped)


def _archive(path: Path) -> Arrays:
    """Two arrays of an .npz archive, whose sizes are known before they are unpacked."""
    expected, remedy = "an .npz archive with arrays X and y", "write numpy.savez(file, X=X, y=y)"
    file = check_regular("data", path, expected, remedy)
    try:
        with zipfile.ZipFile(file) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
        check_memory("data", brief(path), sum(sizes.values()) / 8, "give fewer samples")
        with np.load(file, allow_pickle=False) as arrays:
            names = list(arrays.files)
            x = next((n for n in FEATURES if n in names), None)
            y = next((n for n in LABELS if n in names), None)
            if x is None or y is None:
                raise InputError("data", f"arrays {brief(names)}", expected, remedy)
            return np.asarray(arrays[x]), np.asarray(arrays[y])
    except InputError:
        raise
    except Exception as error:
        got = f"{expected} ({brief(error)})"
        raise InputError("data", brief(path), got, remedy) from error


def _table(path: Path, label: str | None) -> Arrays:
    """Features and labels of a .csv file."""
    expected, remedy = "a .csv file of numbers, a line per sample", "check how it was written"
    file = check_regular("data", path, expected, remedy)
    size = file.stat().st_size
    if size > MOST_TEXT:
        got = f"{brief(path)} of {size / 1e6:.0f} MB"
        most = f"at most {MOST_TEXT / 1e6:.0f} MB of text"
        raise InputError("data", got, most, "save the arrays with numpy.save: two .npy files")
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            return _read(opened, path, label)
    except InputError:
        raise
    except (csv.Error, OSError, UnicodeError) as error:
        got = f"{expected} ({brief(error)})"
        raise InputError("data", brief(path), got, remedy) from error


def _read(opened: Any, path: Path, label: str | None) -> Arrays:
    rows = _lines(opened, path)
    first = next(rows, None)
    if first is None:
        raise InputError("data", f"{brief(path)}, without a line", "samples", "check the file")
    number, fields = first
    names = [field.strip() for field in fields]
    at = _label_column(names, label)
    # a line of names holds no number where features stand
    has_names = not any(_is_number(f) for i, f in enumerate(fields) if i != at)
    if label is not None and not label.isdecimal() and not has_names:
        remedy = "give the number of the column, counted from 1"
        raise InputError("label", label, "a file with a line of names", remedy)
    labels: list[str] = []
    values: list[Any] = []
    if not has_names:
        _append(values, labels, number, fields, at)
    for number, fields in rows:
        _append(values, labels, number, fields, at)
    if not values:
        raise InputError("data", f"{brief(path)}, a line of names", "samples", "check the file")
    y = np.array(labels)
    try:
        whole = y.astype(float)
        if np.isfinite(whole).all():
            y = whole
    except ValueError:
        pass  # labels are texts
    return np.array(values), y


def _lines(opened: Any, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Lines that hold something, counted from 1, all of one length."""
    reader = csv.reader(opened)
    width = 0
    for fields in reader:
        if not fields:
            continue
        number = reader.line_num
        if not width:
            width = len(fields)
            if not 2 <= width <= MOST_COLUMNS:
                expected = f"2 to {MOST_COLUMNS} columns separated by commas"
                got = f"{width} column(s) in line {number} of {brief(path)}"
                raise InputError("data", got, expected, "the last one holds the labels")
        if len(fields) != width:
            got = f"{len(fields)} fields in line {number} of {brief(path)}"
            raise InputError("data", got, f"{width}, as in the first line", "complete the lines")
        yield number, fields


def _label_column(names: list[str], label: str | None) -> int:
    """Position of the column with the labels."""
    if label is None:
        return len(names) - 1
    if label.isdecimal():
        if len(label) < 9 and 1 <= int(label) <= len(names):
            return int(label) - 1
    elif label in names:
        return names.index(label)
    expected = f"a column: {brief(names, 200)}, or a number up to {len(names)}"
    raise InputError("label", label, expected, "check the first line of the file")


def _append(values: list[Any], labels: list[str], number: int, fields: list[str], at: int) -> None:
    """Read the numbers of a line."""
    row = np.empty(len(fields) - 1)
    others = (f for i, f in enumerate(fields) if i != at)
    for j, field in enumerate(others):
        try:
            row[j] = float(field)
        except ValueError as error:
            got = f"{brief(repr(field), 60)} in line {number}, column {j + 1 + (j >= at)}"
            remedy = "code categories as numbers, and fill in what is missing, before"
            raise InputError("data", got, "a number", remedy) from error
    values.append(row)
    labels.append(fields[at].strip())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
