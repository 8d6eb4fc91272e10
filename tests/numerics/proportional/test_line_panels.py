"""Laws of weights on the line: panels find what turns within a few nodes, and end where a tail is
cut off.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from benchmarks.calibrate_spectra import spectrum_record
from numerics import Parameters, State
from numerics.expectations.quadrature import gauss_hermite
from numerics.proportional import effective_spectrum, limiting_spectrum, line_panels, support
from numerics.proportional.line_panels import ended_at_cuts, line_rules
from numerics.proportional.weight_nodes import WeightNodes
from theory import Loss, Mixture, Model, Softplus, symbols

# a wide field behind tanh units with biases, found by random search
FAULT = 1145871718
# the most extreme thousandth of the weights, of one class, lies between two nodes
HILL = 1977674629
# wide fields with a cut tail, of a softmax, and of a ReLU in two problems
CUT_TAILS = (3773978920, 52206201, 2827294702)


def edges(seed):
    return next(r for r in spectrum_record(seed) if r.what == "effective edges")


@pytest.mark.slow
def test_an_edge_is_covered_where_two_rules_agree_by_accident(monkeypatch):
    assert edges(FAULT).covered
    pair = [(gauss_hermite(1, size), 0) for size in (96, 192)]
    monkeypatch.setattr(effective_spectrum, "quadrature_rules", lambda *_: pair)
    assert not edges(FAULT).covered


@pytest.mark.slow
@pytest.mark.parametrize("seed", CUT_TAILS)
def test_edges_of_a_cut_tail_are_covered(seed):
    assert edges(seed).covered


@pytest.mark.slow
def test_panels_that_do_not_end_at_the_cut_share_an_error(monkeypatch):
    """What a cut between two nodes costs, and any two rules may have in common."""
    assert np.max(edges(CUT_TAILS[0]).errors) < 1e-11
    monkeypatch.setattr(limiting_spectrum, "ended_at_cuts", lambda _, rule, __: rule)
    assert np.max(edges(CUT_TAILS[0]).errors) > 1e-7


def narrow():
    """The loss log(1 + e^(200 u)) / 200^2 has H = sigma'(200 u), of mass 1 / 200 about 0."""
    u = symbols.vector("u", 1)
    one = Mixture.build(weights=[1], labels=[1], coordinates=[[1]], directions_gram=[[1]])
    model = Model.build(one, Loss(Softplus(200 * u[0]) / 200**2, units=1), name="narrow")
    parameters, state = Parameters([1], 1.0, 0, 1, [[1.0]]), State([[0.0]], [[1.0]])
    return WeightNodes(model, parameters, state, "hessian", (0, 0))


def test_panels_find_a_narrow_turn():
    nodes = narrow()
    for rule in line_rules(nodes):
        law = nodes.law(rule)
        # the normal density is constant there, up to (pi^2 / 6) / 200^2
        found = float(law.probability @ law.weight[:, 0, 0])
        assert found == pytest.approx(1 / (200 * np.sqrt(2 * np.pi)), rel=5e-5)
        assert law.probability.sum() == pytest.approx(1, abs=1e-12)


def test_panels_end_at_the_cut():
    """Without the share p of the largest weights, those of |u| < a are left out, P(|u| < a) = p."""
    nodes, share = narrow(), 1e-3
    end = -scipy.special.ndtri((1 - share) / 2)
    for rule in line_rules(nodes):
        cut = ended_at_cuts(nodes, rule, share)
        assert np.abs(np.abs(cut.ends[0]) - end).min() < 1e-12 < np.abs(rule.ends[0] - end).min()
        law = nodes.law(cut).without_tail(share)
        assert law.probability.sum() == pytest.approx(1 - share, abs=1e-12)
        steep = 200 * end
        # 0.25 / cosh(100 u)^2 with antiderivative tanh(100 u) / 400 over the normal density at 0
        tail = 2 * (1 - np.tanh(steep / 2)) / 400 / np.sqrt(2 * np.pi)
        found = float(law.probability @ law.weight[:, 0, 0])
        assert found == pytest.approx(tail, rel=1e-3)


@pytest.mark.slow
def test_a_hill_between_two_nodes_that_passes_the_cut_is_seen(monkeypatch):
    """The edge is off by 3e-8 where it is not."""
    assert edges(HILL).covered
    monkeypatch.setattr(line_panels._Profile, "with_turning_points", lambda self: self)
    monkeypatch.setattr(line_panels, "NEAR_PEAK", np.inf)
    assert not edges(HILL).covered


# a rare weight is near its pole at the left edge
NEAR_POLE = 3638260882


@pytest.mark.slow
def test_an_edge_found_from_another_one_is_found_as_well(monkeypatch):
    """Started from the edge of the coarser rule, with a coarse last step, it is off by 5e-6."""
    assert np.max(edges(NEAR_POLE).errors) < 1e-11
    monkeypatch.setattr(support, "EDGE_STEP", 1e-5)
    assert np.max(edges(NEAR_POLE).errors) > 1e-9
