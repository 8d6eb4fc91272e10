"""Population gradient, Hessian and G-matrix against sample averages in R^d."""

from __future__ import annotations

from dataclasses import replace

import mutants
import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng
from witness import (
    as_array,
    case,
    geometry,
    projected_blocks,
    sampled_gradient_matrix,
    sampled_hessian,
    test_vectors,
    verdict,
)

from theory import derive_gradient, derive_gradient_matrix, derive_hessian

NAMES = ["kgmm2", "kgmm3", "twolayer"]
ROUTES = ["stein", "projection"]
SIZE = 60_000  # samples; standard errors about 2e-3


def compare(blocks, geo, raw, rng, mutated=()):
    """Verdicts on a Hessian or G-matrix and its mutants, on T = [e, x, n]."""
    t = test_vectors(geo, rng)
    sampler = sampled_hessian if blocks.kind == "hessian" else sampled_gradient_matrix
    sampled = sampler(geo, raw, t, regularized=blocks.regularized)
    return verdict(
        blocks,
        geo,
        rng,
        sampled=sampled,
        predicted=lambda b: projected_blocks(b, geo, t),
        size=SIZE,
        mutants=mutated,
    )


@pytest.mark.parametrize("regularized", [True, False])
@pytest.mark.parametrize(
    "derive", [derive_hessian, derive_gradient_matrix], ids=["hessian", "gradient"]
)
@pytest.mark.parametrize(
    ("name", "route"),
    [(name, route) for name in ("kgmm2", "twolayer") for route in ROUTES]
    + [("kgmm3", "stein"), pytest.param("kgmm3", "projection", marks=pytest.mark.slow)],
)
def test_blocks_are_the_mean_of_sample_blocks(name, route, derive, regularized):
    rng = fresh_rng()
    model, raw = case(name)
    geo = geometry(model, rng, jitter=0.3)
    (result,) = compare(derive(model, route, regularized=regularized), geo, raw, rng)
    assert result.holds, result


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_the_mean_of_sample_gradients(name, route):
    rng = fresh_rng()
    model, raw = case(name)
    geo = geometry(model, rng, jitter=0.3)
    t = test_vectors(geo, rng)
    span = np.hstack([geo.directions, geo.x])

    def sampled(component, y):
        sample = raw(component, y @ geo.x, geo.readout)
        first = sample.g[:, :, None] * (y @ t)[:, None, :] + geo.ridge * geo.x.T @ t
        return np.hstack([first.reshape(len(y), -1), sample.readout + geo.ridge * geo.readout])

    def predicted(gradient):
        first = as_array(gradient.first_layer) @ span.T @ t
        return np.concatenate([first.ravel(), as_array(gradient.readout).ravel()])

    gradient = derive_gradient(model, route)
    wrong = [mutants.ridge_flipped(gradient), mutants.weights_ignored(gradient)]
    wrong.append(mutants.without_inverse_precision(gradient))
    right, *rest = verdict(
        gradient, geo, rng, sampled=sampled, predicted=predicted, size=SIZE, mutants=wrong
    )
    assert right.holds, right
    if route == "stein":  # the projection route has no explicit 1/lambda in the gradient
        assert [v.holds for v in rest] == [False] * 3


def transposed_mixed(blocks):
    """Exchange the roles of unit and readout index in the mixed block."""
    q = blocks.model.readout_size
    rows = [blocks.mixed.row(i * q + a) for a in range(blocks.model.units) for i in range(q)]
    return replace(blocks, mixed=sp.ImmutableDenseMatrix(sp.Matrix.vstack(*rows)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hessian", "gradient"])
@pytest.mark.parametrize("name", NAMES)
def test_block_witness_refutes_the_mutants(name, kind):
    rng = fresh_rng()
    model, raw = case(name)
    geo = geometry(model, rng)
    derive = derive_hessian if kind == "hessian" else derive_gradient_matrix
    blocks = derive(model, regularized=True)
    wrong = {
        "1/lambda dropped": mutants.without_inverse_precision(blocks),
        "ridge flipped": mutants.ridge_flipped(blocks),
        "weights ignored": mutants.weights_ignored(blocks),
    }
    if kind == "gradient":
        wrong["ridge convention confused"] = derive(model, regularized=False)
    if kind == "hessian" and name != "twolayer":
        wrong["missing softmax case"] = mutants.missing_softmax_case(blocks)
    if name == "twolayer":
        wrong["mixed block transposed"] = transposed_mixed(blocks)
    right, *rest = compare(blocks, geo, raw, rng, wrong.values())
    assert right.holds, right
    survivors = {k: v for k, v in zip(wrong, rest, strict=True) if v.holds}
    assert survivors == {}
    assert (
        min(v.largest for v in rest) > 2 * right.threshold
    )  # so that refutation holds for any seed
