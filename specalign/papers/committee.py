"""Soft committee machines, the setting of several entries."""

from __future__ import annotations

import sympy as sp

import specalign as sa


def committee(
    students: int, teachers: int, *, noise: sp.Expr | int = 0, trained_output: bool = False
) -> sa.Model:
    """Student units against orthonormal teachers with g(x) = erf(x / sqrt 2) under the square loss.

    Parameters
    ----------
    students, teachers : int
    noise : expression
        Standard deviation of the label noise.
    trained_output : bool
        Whether the second layer is trained too; else it consists of ones.
    """
    u, t = sa.symbols.vector("u", students), sa.symbols.vector("t", teachers)
    v = sa.symbols.vector("v", students) if trained_output else [1] * students
    data = sa.Mixture.build(
        weights=[1],
        labels=[0],
        coordinates=[[0] * teachers],
        directions_gram=sp.eye(teachers),
        precision=1,
    )
    output = sum(a * _erf(x) for a, x in zip(v, u, strict=True))
    error = output - sum(map(_erf, t)) - noise * sa.symbols.LABEL_NOISE
    readout = students if trained_output else 0
    loss = sa.Loss(error**2 / 2, units=students, readout_size=readout)
    return sa.Model.build(data, loss, ridge=0, name=f"committee{students}-{teachers}")


def _erf(x: sp.Expr) -> sp.Expr:
    return sp.erf(x / sp.sqrt(2))
