"""Arrays that are not as they should be: a message, or the treatment that the page states."""

from __future__ import annotations

import numpy as np
import pytest

from numerics import fit_mixture, label_data
from theory import InputError

X = np.array([[0.0, 1, 5], [2, 1, 6], [4, 3, 7], [6, 3, 1], [5, 2, 0], [7, 1, 2]])
Y = [0, 0, 0, 1, 1, 1]


def changed(row: int, column: int, value: float) -> np.ndarray:
    x = X.copy()
    x[row, column] = value
    return x


BAD = {
    "NaN": (changed(1, 2, np.nan), Y, {}, r"nan in row 2, column 3 \(1 such"),
    "infinity": (changed(3, 0, np.inf), Y, {}, "inf in row 4, column 1"),
    "overflow": (changed(0, 0, 1e200), Y, {"scale": "standard"}, "up to 1e.120"),
    "constant": (np.ones((6, 2)), Y, {}, "constant columns alone"),
    "one class": (X, [3] * 6, {}, "one class, '3'"),
    "as many classes as samples": (X, range(6), {}, "6 classes in 6 samples"),
    "numbers to be fitted": (X, np.linspace(0, 1, 6), {}, "are the labels numbers to be fitted"),
    "more classes than samples": (X[:1], [1], {"classes": [1, 2]}, "labels of the data"),
    "a rare class": (X, [0, 0, 0, 1, 1, 2], {}, "1 of '2'"),
    "wrong shape": (X[:, 0], Y, {}, r"shape \(6,\)"),
    "no samples": (X[:0], [], {}, r"shape \(0, 3\)"),
    "labels too few": (X, Y[:5], {}, r"shape \(5,\)"),
    "label NaN": (X, [0, 0, 0, 1, 1, np.nan], {}, "nan in row 6"),
    "texts as features": (np.full((6, 2), "a"), Y, {}, "array of numbers"),
    "objects": (np.array([[object()] * 2] * 6), Y, {}, "dtype object"),
    "ragged": ([[1, 2], [3]] * 3, Y, {}, "rows of numbers"),
    "label objects": (X, [object()] * 6, {}, "numbers or texts"),
    "unknown class": (X, Y, {"classes": [0, 7]}, "'7'"),
    "class twice": (X, Y, {"classes": [0, 0]}, "0 twice"),
    "classes as text": (X, Y, {"classes": "01"}, "list of labels"),
    "unknown scale": (X, Y, {"scale": "minmax"}, "one of"),
    "scale zero": (X, Y, {"scale": 0}, "number > 0"),
    "masked": (np.ma.masked_equal(X, 7.0), Y, {}, "masked"),
    "too wide": (np.broadcast_to(np.float32(1), (6, 10**7)), Y, {}, "GB of memory"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arrays_are_refused_in_words(name):
    features, labels, options, message = BAD[name]
    with pytest.raises(InputError, match=message):
        label_data(features, labels, **options)


def test_constant_columns_are_left_out_and_named():
    data = label_data(np.column_stack([X, np.full(6, 4.0)]), Y)
    assert data.columns.tolist() == [0, 1, 2]
    assert data.notes == ("1 of 4 columns is constant and left out",)
    # constant on the classes that are used
    data = label_data(np.column_stack([X, [4, 4, 4, 4, 4, 9]]), [*Y[:5], 2], classes=[0, 1])
    assert data.columns.size == 3


def test_repeated_columns_are_kept_and_named():
    twice = np.column_stack([X, X[:, 0]])
    data = label_data(twice, Y, scale="none")
    assert data.dimension == 4
    assert "1 a column repeats another one" in data.notes[0]
    fitted = fit_mixture(data)
    assert fitted.fit.raised >= 1
    rows = data.features
    weights, means = fitted.fit.moments.weights, fitted.fit.moments.means
    pooled = (fitted.fit.basis * (weights @ fitted.fit.spread)) @ fitted.fit.basis.T
    found = pooled + (means.T * weights) @ means
    assert np.allclose(found, rows.T @ rows / 6, atol=1e-6)


def test_labels_may_be_texts_numbers_or_truth_values():
    names = np.array(["b", "b", "b", "a", "a", "a"])
    for labels, classes in (
        (names, ("a", "b")),
        (names.astype("S"), ("a", "b")),
        (np.array(Y, dtype=float), ("0", "1")),
        (np.array(Y, dtype=bool), ("False", "True")),
    ):
        data = label_data(X, labels)
        assert data.classes == classes
        assert data.labels.tolist() in ([1, 1, 1, 2, 2, 2], [2, 2, 2, 1, 1, 1])
    assert label_data(X, names, classes=["b", "a"]).labels.tolist() == [1, 1, 1, 2, 2, 2]


def test_features_are_centred_and_scaled():
    for scale, divisor in (("unit", 7.0), ("none", 1.0), (2, 2.0), ("standard", X.std(axis=0))):
        data = label_data(X, Y, scale=scale)
        assert np.allclose(data.features, (X - X.mean(axis=0)) / divisor)
        assert np.allclose(data.features * data.scale + data.shift, X)


def test_fits_refuse_what_has_no_theory():
    with pytest.raises(InputError, match="same mean"):
        fit_mixture([[1], [-1], [2], [-2]], [0, 0, 1, 1])
    with pytest.raises(InputError, match="without any spread"):
        fit_mixture([[1], [1], [2], [2]], [0, 0, 1, 1])
    with pytest.raises(InputError, match="at least 2 samples in every cluster"):
        fit_mixture(X, Y, clusters=2)
    with pytest.raises(InputError, match="bands"):
        fit_mixture(X, Y, bands=0)
    with pytest.raises(InputError, match="labels of the samples"):
        fit_mixture(X)
    with pytest.raises(InputError, match="leave labels"):
        fit_mixture(label_data(X, Y), Y)
