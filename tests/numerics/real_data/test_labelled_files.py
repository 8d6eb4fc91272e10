"""Files of data: what is read, and what is refused without harm."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from numerics import load_labelled
from numerics.real_data import labelled_files
from theory import InputError

X, Y = np.arange(12.0).reshape(4, 3), np.array([0, 0, 1, 1])


class Trap:
    """Leaves a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_arrays_come_as_they_were_saved(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    np.savez(tmp_path / "both.npz", X=X, y=Y)
    np.savez_compressed(tmp_path / "named.npz", data=X, target=Y, more=Y)
    pair = [tmp_path / "x.npy", tmp_path / "y.npy"]
    for source in (pair, tmp_path / "both.npz", str(tmp_path / "named.npz")):
        features, labels = load_labelled(source)
        assert np.array_equal(features, X)
        assert np.array_equal(labels, Y)


@pytest.mark.parametrize(
    ("text", "label", "features", "labels"),
    [
        ("a,b,c\n1,2,u\n3,4,v\n", None, [[1, 2], [3, 4]], ["u", "v"]),
        ("1,2,0\n3,4,1\n", None, [[1, 2], [3, 4]], [0, 1]),
        ("\ufeffkind,a\n0,1e3\n\n2,-4\n", "kind", [[1e3], [-4]], [0, 2]),
        ("5,1,2\n6,3,4\n", "1", [[1, 2], [3, 4]], [5, 6]),
        ('a,"b, c"\n1,"x, y"\n', None, [[1]], ["x, y"]),
        ("1,nan\n2,3\n", None, [[1], [2]], ["nan", "3"]),
    ],
)
def test_tables_of_text(tmp_path, text, label, features, labels):
    file = tmp_path / "table.csv"
    file.write_text(text, encoding="utf-8")
    found = load_labelled(file, label=label)
    assert np.array_equal(found[0], features)
    assert found[1].tolist() == labels


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        ("1,2\n3\n", None, "1 fields in line 2"),
        ("1,2\n,4\n", None, "'' in line 2, column 1"),
        ("a,b,c\n1,red,0\n", None, "'red' in line 2, column 2"),
        ("", None, "without a line"),
        ("a,b\n", None, "a line of names"),
        ("1;2\n3;4\n", None, "1 column"),
        ("a,b\n1,2\n", "c", "a column: "),
        ("1,2\n3,4\n", "3", "a number up to 2"),
        ("1," * 5000 + "1\n", None, "2 to 4096 columns"),
        ('1,"' + "x" * 200_000 + '"\n', None, "field larger than"),
    ],
)
def test_tables_that_are_none(tmp_path, text, label, message):
    file = tmp_path / "table.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_labelled(file, label=label)
    assert len(str(caught.value)) < 3000


def test_pickled_objects_are_never_loaded(tmp_path):
    sign = tmp_path / "sign"
    trapped = np.array([Trap(sign)], dtype=object)
    np.save(tmp_path / "x.npy", trapped, allow_pickle=True)
    np.savez(tmp_path / "both.npz", X=trapped, y=Y)
    (tmp_path / "raw.npy").write_bytes(pickle.dumps(Trap(sign)))
    (tmp_path / "raw.npz").write_bytes(pickle.dumps(Trap(sign)))
    np.save(tmp_path / "y.npy", Y)
    y = tmp_path / "y.npy"
    for source in (
        [tmp_path / "x.npy", y],
        [tmp_path / "raw.npy", y],
        [y, tmp_path / "x.npy"],
        tmp_path / "both.npz",
        tmp_path / "raw.npz",
    ):
        with pytest.raises(InputError, match=r"Remedy: write"):
            load_labelled(source)
    assert not sign.exists()


def test_files_larger_than_they_are_or_than_the_memory(tmp_path, monkeypatch):
    header = np.lib.format
    with (tmp_path / "claims.npy").open("wb") as file:
        shape = {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**6)}
        header.write_array_header_1_0(file, shape)
    np.save(tmp_path / "y.npy", Y)
    np.savez_compressed(tmp_path / "bomb.npz", X=np.zeros((1000, 100)), y=np.zeros(1000))
    with pytest.raises(InputError, match="features"):
        load_labelled([tmp_path / "claims.npy", tmp_path / "y.npy"])
    monkeypatch.setattr("numerics.core.validation.memory", lambda: 1e5)
    with pytest.raises(InputError, match="GB of memory"):
        load_labelled(tmp_path / "bomb.npz")
    (tmp_path / "table.csv").write_text("1,2\n3,4\n")
    monkeypatch.setattr(labelled_files, "MOST_TEXT", 3)
    with pytest.raises(InputError, match=r"two \.npy files"):
        load_labelled(tmp_path / "table.csv")


def test_names_that_lead_to_no_data(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "bytes.csv").write_bytes(b"1,2\n\xff\xfe,3\n")
    np.savez(tmp_path / "other.npz", a=X, b=Y)
    np.save(tmp_path / "x.npy", X)
    for source, message in (
        (tmp_path / "pipe.csv", "a pipe or device"),
        (tmp_path / "folder.npz", "a directory"),
        (tmp_path / "missing.csv", "No such file"),
        (tmp_path / "bytes.csv", "utf-8"),
        (tmp_path / "other.npz", "arrays X and y"),
        (tmp_path / "x.npy", r"two \.npy files"),
        (tmp_path / "x.parquet", "the ending of the name"),
        ([tmp_path / "x.npy"] * 3, "3 names"),
        ([tmp_path / "other.npz", tmp_path / "x.npy"], "an archive"),
        ("sklearn:mnist", "sklearn:digits"),
        ("digits", "Remedy: write sklearn:digits"),
        ("a\0.csv", "zero bytes"),
        (7, "the path of a file"),
    ):
        with pytest.raises(InputError, match=message):
            load_labelled(source)
    with pytest.raises(InputError, match=r"but with a \.csv"):
        load_labelled(tmp_path / "other.npz", label="a")


def test_what_scikit_learn_ships_and_how_to_get_it(monkeypatch):
    pytest.importorskip("sklearn", reason="the extra data is not installed")
    features, labels = load_labelled("sklearn:iris")
    assert features.shape == (150, 4)
    assert set(labels) == {"setosa", "versicolor", "virginica"}
    assert load_labelled("sklearn:digits")[0].shape == (1797, 64)

    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(labelled_files, "import_module", absent)
    with pytest.raises(InputError, match=r"pip install 'specalign\[data\]'"):
        load_labelled("sklearn:iris")
