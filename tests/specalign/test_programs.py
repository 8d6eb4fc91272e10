"""What using it feels like: short programs as their users write them, each from one import."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from matplotlib import pyplot

import specalign as sa


@pytest.fixture(scope="module")
def problem():
    model = sa.kgmm(3, directions_gram="orthonormal")
    return sa.Problem(model, weights=[0.5, 0.3, 0.2], precision=10, ridge=0.1, step=1)


@pytest.fixture(scope="module")
def curve(problem):
    return sa.integrate_curves(problem, sa.State.zero(problem), time=np.linspace(0, 8, 9))


def test_a_curve_with_sgd_beside_it(problem, curve):
    runs = sa.simulate_sgd(
        problem,
        sa.State.at(curve, 0),
        time=curve.time,
        dimension=20_000,
        replicas=4,
        seed=1,
        method="reduced",
    )
    assert np.array_equal(runs.time, curve.time)
    # the spread of a run about the curve is of order 1/sqrt(d), 0.007 here
    assert abs(runs.overlap.mean("replica") - curve.overlap).max() < 0.1
    panels = sa.plot.curves(curve, runs=runs)
    assert panels.shape == (5,)
    assert pyplot.fignum_exists(panels[0].figure.number)  # a notebook shows it
    pyplot.close(panels[0].figure)


def test_a_model_whose_numbers_are_fixed_needs_no_second_statement_of_them():
    u = sa.symbols.vector("u", 1)
    logistic = sa.Loss(sa.Softplus(u[0]) - sa.symbols.LABEL * u[0], units=1)
    clusters = sa.Mixture.build(
        labels=[1, 0],
        coordinates=[[1], [-1]],
        directions_gram=[["3/4"]],
        weights=["1/2", "1/2"],
        precision=10,
    )
    model = sa.Model.build(clusters, logistic, ridge="1/10", step=1, name="logistic")
    problem = sa.Problem(model)
    curve = sa.integrate_curves(problem, sa.State.zero(problem), time=[0, 4])
    assert curve.overlap[-1, 0, 0] > 0.3
    assert problem.parameters.directions_gram.tolist() == [[0.75]]
    # the Gram matrix is not asked for where the model leaves other numbers open
    other = sa.Problem(sa.Model.build(clusters, logistic, name="logistic"), ridge=0.1, step=1)
    assert other.parameters.to_json() == problem.parameters.to_json()


@pytest.mark.slow
def test_check_a_formula():
    claim = r"\frac{c_\delta}{\lambda}\sum_l p_l\,\mathbb E_l[g_a g_b]"
    model = sa.kgmm(2, directions_gram="orthonormal")
    said = str(sa.check(model, "corrector_a_b", claim))
    assert said.startswith("claim: proved")
    wrong = str(sa.check(model, "corrector_a_b", claim.replace(r"{\lambda}", "{1}")))
    assert "claim: refuted" in wrong
    assert "repair       multiply the whole by lambda^-1" in wrong
    assert "counterexample" in wrong


@pytest.mark.slow
def test_spectra_at_one_time_of_a_curve(problem, curve):
    state = sa.State.at(curve, time=8)
    population = sa.population_spectrum(problem, state, block=(0, 0))
    effective = sa.effective_spectrum(problem, state, aspect_ratio=4, block=(0, 0))
    assert population.eigenvalue[0] > population.bulk.max()
    assert effective.edges.values[-1, 1] > population.bulk[0]
    found = sa.emergence(problem, curve, aspect_ratio=4, block=(0, 0))
    assert found["count"].sel(side=1).values[-1] >= 1


def test_own_arrays():
    model = sa.kgmm(3, directions_gram="orthonormal", ridge=0)
    rng = np.random.default_rng()
    X, y = rng.standard_normal((200, 30)), rng.integers(1, 4, size=200)
    data = sa.user_data(model, X, y, np.zeros((3, 30)))
    # at weights 0 the Hessian is (I - 1/3) / 3 on the units times X^T X / M
    leading = np.linalg.eigvalsh(X.T @ X / len(X))[::-1]
    for method in ("auto", "krylov", "lanczos"):
        found = sa.empirical_spectrum(data, count=4, method=method)
        assert np.allclose(found.eigenvalue[:2], leading[0] / 3, atol=1e-9)
        assert np.allclose(found.eigenvalue[2:], leading[1] / 3, atol=1e-9)


def test_results_load_back(problem, curve, tmp_path):
    curve.to_netcdf(tmp_path / "curve.nc")
    loaded = sa.from_netcdf(tmp_path / "curve.nc")
    again = sa.Problem(problem.model, loaded)
    assert again.parameters.to_json() == problem.parameters.to_json()
    assert again.parameters.to_json() == sa.parameters_of(loaded).to_json()
    first, second = (
        sa.population_spectrum(p, sa.State.at(c, time=4), block=(1, 1))
        for p, c in ((problem, curve), (again, loaded))
    )
    assert first.identical(second)


@pytest.mark.slow
def test_a_model_of_ones_own():
    u = sa.symbols.vector("u", 2)

    def g(z):
        return sp.erf(z / sp.sqrt(2))

    loss = sa.Loss((g(u[0]) + g(u[1]) - sa.symbols.LABEL) ** 2 / 2, units=2)
    data = sa.Mixture.build(
        labels=["3/10", "-3/10"], coordinates=[[1], [-1]], directions_gram=[[1]], precision=1
    )
    committee = sa.Model.build(data, loss, name="committee")
    problem = sa.Problem(committee, weights=[0.5, 0.5], ridge=0.1, step=1)
    start = sa.State([[0.2], [-0.1]], np.eye(2))
    curve = sa.integrate_curves(problem, start, time=[0, 1], tolerance=1e-5)
    assert np.isfinite(curve.overlap).all()
    assert callable(sa.parametrize_checks(committee))


def test_figures_have_short_names():
    figures = {"curves", "spectrum", "effective", "emergence", "phases", "alignment"}
    assert set(dir(sa.plot)) >= figures | {"layers", "sweep", "save", "style"}
    assert all(callable(getattr(sa.plot, name)) for name in dir(sa.plot))
    with pytest.raises(AttributeError, match="no figure 'curve'"):
        sa.plot.curve  # noqa: B018
