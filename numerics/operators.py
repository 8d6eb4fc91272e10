"""Second-moment matrices of data, (1/M) sum_i D_i (x) Y_i Y_i^T, as operators that keep Y and nothing larger."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from theory import InputError

from .state import Array, as_integer

# dense eigh beats two GEMMs per Lanczos step up to about this size (measured with M = 8 d)
DENSE_SIZE = 3000


class SecondMoment(LinearOperator):
    r"""The symmetric operator of an empirical Hessian or G-matrix.

    .. math:: M = \frac1N\sum_{i=1}^N D_i\otimes Y_iY_i^T + \text{shift}\cdot I + \beta(nx^T+xn^T) + \beta^2xx^T

    with D_i of size k x k; a product costs two matrix products with Y.  Vectors are unit-major: entry a d + j
    is coordinate j in the row of x^a.

    Parameters
    ----------
    features : array, shape (N, d)
        Y, kept by reference.
    weight : array, shape (N, k, k)
        D, symmetric in its last two axes.
    shift : float
        Multiple of the identity (the ridge of a Hessian).
    ridge : float
        beta of the rank-two part (the ridge in the gradients of G); 0 for none.
    mean_gradient, parameters : array, shape (k d,), optional
        n and x of the rank-two part.

    Examples
    --------
    >>> operator = SecondMoment(np.array([[1.0, 2.0]]), np.ones((1, 1, 1)))
    >>> operator @ np.array([1.0, 0.0])
    array([1., 2.])
    """

    def __init__(
        self, features: Array, weight: Array, shift: float = 0.0, ridge: float = 0.0,
        mean_gradient: Array | None = None, parameters: Array | None = None,
    ) -> None:
        if weight.ndim != 3 or weight.shape[0] != features.shape[0] or weight.shape[1] != weight.shape[2]:
            raise InputError(
                "weight", f"shape {weight.shape}", f"shape ({features.shape[0]}, k, k)", "give one matrix per sample"
            )
        self.features = features
        self.weight = weight
        self.shift_value = shift
        self.blocks = int(weight.shape[1])
        size = self.blocks * features.shape[1]
        self._left, self._right = np.zeros((size, 0)), np.zeros((size, 0))
        if ridge and mean_gradient is not None and parameters is not None:
            n, x = mean_gradient, parameters
            self._left = np.column_stack([n, x])
            self._right = np.column_stack([ridge * x, ridge * n + ridge**2 * x])
        super().__init__(dtype=np.dtype(float), shape=(size, size))

    def _matmat(self, v: Array) -> Array:
        samples, d = self.features.shape
        k, columns = self.blocks, v.shape[1]
        tall = v.reshape(k, d, columns).transpose(1, 0, 2).reshape(d, k * columns)
        seen = (self.features @ tall).reshape(samples, k, columns)
        seen = np.matmul(self.weight, seen) if k > 1 else self.weight * seen
        out = (self.features.T @ seen.reshape(samples, k * columns)).reshape(d, k, columns)
        out = out.transpose(1, 0, 2).reshape(k * d, columns) / samples
        return out + self.shift_value * v + self._left @ (self._right.T @ v)

    def _matvec(self, v: Array) -> Array:
        return self._matmat(v.reshape(-1, 1))

    def _rmatmat(self, v: Array) -> Array:
        return self._matmat(v)

    def _adjoint(self) -> SecondMoment:
        return self

    def dense(self) -> Array:
        """The matrix itself, for small sizes."""
        samples, d = self.features.shape
        k = self.blocks
        out = np.empty((k * d, k * d))
        for a in range(k):
            for b in range(a, k):
                block = self.features.T @ (self.weight[:, a, b, None] * self.features) / samples
                out[a * d : (a + 1) * d, b * d : (b + 1) * d] = block
                out[b * d : (b + 1) * d, a * d : (a + 1) * d] = block
        out[np.diag_indices_from(out)] += self.shift_value
        return out + self._left @ self._right.T


@dataclass(frozen=True)
class Eigenpairs:
    """Leading eigenpairs of a symmetric operator.

    Attributes
    ----------
    values : array, shape (count,)
        Largest first.
    vectors : array, shape (count, size)
        Orthonormal rows.
    residuals : array, shape (count,)
        True residual norms ``|M v - theta v|``, computed with the operator.
    method : str
    """

    values: Array
    vectors: Array
    residuals: Array
    method: str


def leading_eigenpairs(
    operator: SecondMoment, count: int, *, method: str = "auto", tolerance: float = 1e-9,
    matrix: Array | None = None,
) -> Eigenpairs:
    """Return the ``count`` largest eigenvalues (with sign) and their eigenvectors.

    Parameters
    ----------
    operator : SecondMoment
    count : int
        Between 1 and the size of the operator.
    method : {"auto", "dense", "lanczos"}
        ``auto``: dense ``eigh`` up to size 3000, else implicitly restarted Lanczos (ARPACK).
    tolerance : float
        Relative accuracy of Lanczos.
    matrix : array, optional
        ``operator.dense()``, if it is there already.

    Returns
    -------
    Eigenpairs

    Raises
    ------
    theory.InputError
        ``count`` out of range, unknown method.
    ArithmeticError
        Lanczos did not converge.
    """
    size = operator.shape[0]
    count = as_integer("count", count, 1, "ask for at least one eigenpair")
    if count > size:
        raise InputError("count", count, f"at most {size}, the size of the matrix", "ask for fewer eigenpairs")
    if choose_method(size, count, method) == "dense":
        dense = operator.dense() if matrix is None else matrix
        values, vectors = scipy.linalg.eigh(dense, subset_by_index=[size - count, size - 1])
        if values.size < count:
            # LAPACK's search for a few eigenvalues may lose some of a multiple one
            values, vectors = (part[..., -count:] for part in scipy.linalg.eigh(dense))
        text = "dense eigh"
    else:
        start = np.random.default_rng(0).standard_normal(size)
        try:
            values, vectors = eigsh(operator, k=count, which="LA", v0=start, tol=tolerance)
        except ArpackNoConvergence as error:
            raise ArithmeticError(
                f"Lanczos found {len(error.eigenvalues)} of {count} eigenvalues of a {size} x {size} operator; "
                "ask for fewer, or use method='dense'"
            ) from error
        text = "Lanczos (scipy eigsh) on a LinearOperator"
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors[:, order]
    residuals = np.linalg.norm(operator @ vectors - vectors * values, axis=0)
    return Eigenpairs(values, vectors.T, residuals, text)


def choose_method(size: int, count: int, method: str) -> str:
    """Return "dense" or "lanczos"."""
    if method not in ("auto", "dense", "lanczos"):
        raise InputError("method", repr(method), "'auto', 'dense' or 'lanczos'", "check the spelling")
    if method == "auto":
        return "dense" if size <= DENSE_SIZE or count >= size else "lanczos"
    if method == "lanczos" and count >= size:
        raise InputError("count", count, f"less than {size} for Lanczos", "use method='dense'")
    return method

