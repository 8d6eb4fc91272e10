"""Weights that turn within a few nodes: two rules of one family differ by less than their error."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.calibrate_spectra import spectrum_record
from numerics import Parameters, State
from numerics.proportional import effective_spectrum
from numerics.proportional.limiting_spectrum import quadrature_rules
from numerics.proportional.line_witness import line_witness
from numerics.proportional.weight_law import WeightNodes
from theory import Loss, Mixture, Model, Softplus, symbols

# a wide field behind tanh units with biases, found by random search
FAULT = 1145871718


def edges():
    return next(r for r in spectrum_record(FAULT) if r.what == "effective edges")


def test_an_edge_is_covered_where_two_rules_agree_by_accident(monkeypatch):
    assert edges().covered
    monkeypatch.setattr(effective_spectrum, "witnessed_rules", quadrature_rules)
    assert not edges().covered


def test_panels_find_a_narrow_turn():
    """The loss log(1 + e^(200 u)) / 200^2 has H = sigma'(200 u), of mass 1 / 200 about 0."""
    u = symbols.vector("u", 1)
    one = Mixture.build(weights=[1], labels=[1], coordinates=[[1]], directions_gram=[[1]])
    model = Model.build(one, Loss(Softplus(200 * u[0]) / 200**2, units=1), name="narrow")
    parameters, state = Parameters([1], 1.0, 0, 1, [[1.0]]), State([[0.0]], [[1.0]])
    nodes = WeightNodes(model, parameters, state, "hessian", (0, 0))
    rule = line_witness(nodes)
    law = nodes.law(rule)
    # the normal density is constant there, up to (pi^2 / 6) / 200^2
    found = float(law.probability @ law.weight[:, 0, 0])
    assert found == pytest.approx(1 / (200 * np.sqrt(2 * np.pi)), rel=5e-5)
    assert rule.weights.sum() == pytest.approx(1, abs=1e-12)
