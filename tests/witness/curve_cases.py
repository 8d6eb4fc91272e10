"""Problems with known curves."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from theory import Loss, Mixture, Model, kgmm, symbols


@lru_cache(maxsize=None)
def softmax(k):
    return kgmm(k)


def difference(one, other, names=("overlap", "gram_perp")):
    return max(float(np.abs(one[n].values - other[n].values).max(initial=0.0)) for n in names)


def linear_model():
    """Square loss (u - y)^2 / 2 of one unit on two classes y = +-1 with means +-e."""
    u = symbols.vector("u", 1)
    mixture = Mixture.build(labels=[1, -1], coordinates=[[1], [-1]])
    return Model.build(mixture, Loss((u[0] - symbols.LABEL) ** 2 / 2, units=1), name="linear")
