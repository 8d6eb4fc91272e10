"""What is judged: a model with the formulas somebody claims for it."""

from __future__ import annotations

from dataclasses import dataclass

from theory import BlockMatrix, Drift, Model, derive_drift, derive_gradient_matrix, derive_hessian


@dataclass(frozen=True)
class Theory:
    """A model and the formulas to be judged; by default those the engine derives.

    The Hessian is that of the loss without ridge, as in the statements of arXiv 2310.03010: beta I shifts every
    eigenvalue alike, belongs to no subspace, and would hide how the rest scales with 1/lambda.

    Replace a field to judge somebody else's formula (or a wrong one on purpose: :mod:`verify.mutants`).
    """

    model: Model
    drift: Drift
    hessian: BlockMatrix
    gradient: BlockMatrix

    @classmethod
    def derive(cls, model: Model) -> Theory:
        """The engine's own theory of ``model``."""
        return cls(
            model, derive_drift(model), derive_hessian(model, regularized=False), derive_gradient_matrix(model)
        )

    def blocks(self, matrix: str) -> BlockMatrix:
        """The Hessian ("hessian") or gradient-matrix ("gradient") blocks."""
        return self.hessian if matrix == "hessian" else self.gradient
