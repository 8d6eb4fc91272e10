"""Figures of effective spectra, emergence and phase diagrams: complete, labelled, and where the
numbers are.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from figure_checks import assert_inside, assert_legend_free, texts

from numerics import (
    Parameters,
    State,
    draw_data,
    effective_spectrum,
    emergence,
    empirical_spectrum,
    phase_diagram,
    solve_curve,
)
from numerics.proportional import measured_outliers as effective_data
from numerics.proportional.measured_outliers import measure_outliers
from theory import InputError, Loss, Mixture, Model, kgmm, symbols
from verify.figures.alignment import MIXED, plot_alignment
from verify.figures.effective import plot_effective_spectrum
from verify.figures.emergence import plot_emergence, plot_phase_diagram
from verify.figures.style import TIME_LABEL
from verify.tables.effective import atom_place

STATE = State([[0.3]], [[0.7]])


def spiked() -> Model:
    """Square loss, D = 1: Marchenko-Pastur with one spike."""
    u = symbols.vector("u", 1)
    mixture = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    return Model.build(mixture, Loss(u[0] ** 2 / 2, units=1), name="square")


def predicted(ratio: float, precision: float = 4.0, ridge: float = 0.0) -> xr.Dataset:
    return effective_spectrum(spiked(), Parameters([1], precision, ridge, 1), STATE, ratio)


def data(ratio: float, precision: float = 4.0, ridge: float = 0.0, d: int = 60, seed: int = 0):
    return draw_data(
        spiked(), Parameters([1], precision, ridge, 1), STATE, d, round(ratio * d), seed
    )


@pytest.mark.slow
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(("ratio", "ridge"), [(4.0, 0.0), (0.5, 0.0), (0.5, 0.2)])
def test_a_spectrum_has_bulk_edges_outliers_and_atom(ratio, ridge, log):
    found = predicted(ratio, ridge=ridge)
    measured, whole = measure_outliers(data(ratio, ridge=ridge), found)
    figure = plot_effective_spectrum(found, whole, measured, log=log, data_label="data, d = 60")
    assert_inside(figure)
    assert_legend_free(figure)
    words = texts(figure)
    assert "density per unit of eigenvalue" in words
    assert any(w.startswith("square: Hessian, block (1, 1)") or "first layer" in w for w in words)
    assert f"φ = M/d = {ratio:g}" in figure.get_suptitle()
    assert "λ = 4" in figure.get_suptitle()
    assert "outlier, predicted" in words
    # the atom, at the ridge, is in the legend with the exact mass and not in the histogram
    assert sum(f"atom at {ridge:g}: mass 0.5" in w for w in words) == (2 if ratio < 1 else 0)
    top, bottom = figure.axes
    assert top.get_yscale() == ("log" if log else "linear")
    lines = {float(line.get_xdata()[0]) for line in top.lines if len(set(line.get_xdata())) == 1}
    assert set(found.edges.values.ravel()) <= lines
    assert measured.eigenvalue.values[0] > found.edges.values.max()
    assert top.get_xlim() == bottom.get_xlim()


def test_the_histogram_has_the_mass_beside_the_atom():
    found = predicted(0.5)
    _, whole = measure_outliers(data(0.5), found)
    figure = plot_effective_spectrum(found, whole)
    (stairs,) = [p for p in figure.axes[0].patches if hasattr(p, "get_data")]
    heights, cells = stairs.get_data()[:2]
    assert float(np.sum(heights * np.diff(cells))) == pytest.approx(0.5, abs=1e-12)
    assert float(np.trapezoid(found.density, found.grid)) == pytest.approx(0.5, abs=0.01)


def test_a_narrow_bulk_has_a_scale_of_its_own():
    found = predicted(400.0, precision=100.0)
    figure = plot_effective_spectrum(found)
    top, bottom = figure.axes
    assert np.ptp(top.get_xlim()) < 0.2 * np.ptp(bottom.get_xlim())
    assert "scale of its own" in top.get_title()
    assert_inside(figure)


def test_kinds_of_edges_and_near_critical_outliers_are_told_apart():
    found = predicted(4.0)
    plain = texts(plot_effective_spectrum(found))
    found = found.assign(near_critical=("eigen", [1])).assign_attrs(
        edge_kind_right="essential", edge_kind_left="zero"
    )
    figure = plot_effective_spectrum(found)
    words = texts(figure)
    for word in ("edge of the support, behind a thin tail", "end of the support, at the atom"):
        assert word in words
        assert word not in plain
    assert "outlier near an edge, predicted" in words
    assert "outlier, predicted" not in words
    styles = {
        line.get_linestyle() for line in figure.axes[0].lines if len(set(line.get_xdata())) == 1
    }
    assert len(styles) == 2


def test_equal_outliers_are_counted():
    found = predicted(4.0)
    figure = plot_effective_spectrum(found.isel(eigen=[0, 0]))
    assert [t.get_text() for t in figure.axes[1].texts] == ["×2"]


def test_where_the_atom_lies():
    attrs = {"regularized": 1, "parameters": Parameters([1], 4, 0.2, 1).to_json()}
    for block, place in (("(0, 0)", 0.2), ("(0, 1)", 0.0), ("first_layer", 0.2), ("mixed", 0.0)):
        assert atom_place(xr.Dataset(attrs=attrs | {"block": block})) == place
    assert atom_place(xr.Dataset(attrs=attrs | {"block": "(0, 0)", "regularized": 0})) == 0.0


def test_measured_outliers_are_those_of_the_matrix():
    """Against numpy on the matrix itself, at equal weights; overlap and share from projections
    written out.
    """
    found, sample = predicted(4.0), data(4.0, seed=3)
    measured, whole = measure_outliers(sample, found)
    features = sample.features
    values, vectors = np.linalg.eigh(features.T @ features / len(features))
    np.testing.assert_allclose(whole, values, atol=1e-12 * values[-1])
    assert float(measured.eigenvalue[0]) == pytest.approx(values[-1], rel=1e-12)
    span = np.linalg.qr(np.concatenate([sample.directions, sample.weights]).T)[0]
    assert float(measured.overlap[0]) == pytest.approx(
        np.sum((span.T @ vectors[:, -1]) ** 2), rel=1e-9
    )
    x = sample.weights[0]
    share = (vectors[:, -1] @ x) ** 2 / (x @ x)
    assert float(measured.weight_share[0, 0]) == pytest.approx(share, rel=1e-9)
    assert float(measured.leading_share[0]) == pytest.approx(share, rel=1e-9)


@pytest.mark.parametrize("block", ["first_layer", (0, 1)])
def test_large_matrices_are_measured_without_being_formed(block, monkeypatch):
    """The same outliers from either end, and a density in place of the eigenvalues."""
    parameters, state = Parameters([0.5, 0.5], 20, 0.1, 1), State(np.eye(2) - 0.3, 0.1 * np.eye(2))
    found = effective_spectrum(kgmm(2), parameters, state, 4.0, block=block, density=False)
    sample = draw_data(kgmm(2), parameters, state, 150, 600, 1)
    exact, whole = measure_outliers(sample, found)
    monkeypatch.setattr(effective_data, "WHOLE_SIZE", 10)
    other, density = measure_outliers(sample, found)
    assert (found.side == (-1 if block == (0, 1) else 1)).all()
    assert found.sizes["eigen"] >= 2
    for name in ("eigenvalue", "overlap", "weight_share", "leading_share"):
        np.testing.assert_allclose(other[name], exact[name], rtol=0, atol=1e-7)
    assert isinstance(density, xr.Dataset)
    figure = plot_effective_spectrum(found, density, other)
    assert_inside(figure)
    (stairs,) = [p for p in figure.axes[0].patches if hasattr(p, "get_data")]
    mass = float(np.sum(stairs.get_data()[0] * np.diff(stairs.get_data()[1])))
    assert mass == pytest.approx(1 - float(density.atom_mass.sum()), abs=1e-9)
    assert np.shape(whole) == ((300,) if block == "first_layer" else (150,))


def test_alignment_stands_on_the_line_for_equal_data():
    found = predicted(4.0)
    figure = plot_alignment(found, found)
    assert_inside(figure)
    assert_legend_free(figure)
    axes = figure.axes[0]
    assert {"predicted squared cosine", "measured squared cosine", "equal"} <= set(texts(figure))
    points = np.array(
        [line.get_xydata()[0] for line in axes.lines[1:] if line.get_marker() in ("o", "^", "s")]
    )
    assert len(points) == 3
    np.testing.assert_allclose(points[:, 0], points[:, 1])


def test_close_outliers_are_averaged_and_replicas_make_bars():
    close = 1 - MIXED / 2
    theory = xr.Dataset(
        {"outliers": ("eigen", [1.0, close, 0.5]), "overlap": ("eigen", [0.8, 0.6, 0.4])},
        {"eigen": [1, 2, 3]},
    )
    replicas = xr.Dataset(
        {"overlap": (("replica", "eigen"), [[0.7, 0.6, 0.3], [0.9, 0.6, 0.5]])},
        {"eigen": [1, 2, 3]},
    )
    figure = plot_alignment(theory, replicas, title="t")
    (line,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(line.get_xydata(), [[0.7, 0.7], [0.4, 0.4]])
    (bars,) = [c for c in figure.axes[0].collections if len(c.get_segments()) == 2]
    lengths = [np.ptp(segment[:, 1]) for segment in bars.get_segments()]
    np.testing.assert_allclose(lengths, 2 * np.std([[0.65, 0.3], [0.75, 0.5]], axis=0, ddof=1))


@pytest.fixture(scope="module")
def merging() -> xr.Dataset:
    parameters = Parameters([0.5, 0.5], 2.0, 0.05, 1.0)
    curve = solve_curve(kgmm(2), parameters, State(np.zeros((2, 2)), 0.01 * np.eye(2)), 6.0)
    return emergence(kgmm(2), parameters, curve, 4.0, block=(0, 0), time=[0, 2, 4, 6])


@pytest.mark.slow
def test_emergence_marks_its_events(merging):
    assert merging.sizes["event"] == 1
    measured = xr.Dataset(
        {"eigenvalue": (("time", "replica", "eigen"), np.ones((2, 3, 2)) * 0.3)},
        coords={"time": [0.0, 4.0]},
    )
    figure = plot_emergence(merging, measured)
    assert_inside(figure)
    assert_legend_free(figure)
    words, event = texts(figure), float(merging.event_time[0])
    assert {TIME_LABEL, "eigenvalue", "bulk, between its predicted edges"} <= set(words)
    assert any(f"outlier 2 merges at t = {event:.4g}" == w.splitlines()[0] for w in words)
    assert any("deviation of 3" in w for w in words)
    axes = figure.axes[0]
    assert any(set(line.get_xdata()) == {event} for line in axes.lines)
    # the line of the second outlier ends in the edge at that time, and not at the last time that
    # was reported
    second = [line for line in axes.lines if line.get_gid() == "outlier"][1]
    known = np.isfinite(second.get_ydata())
    assert second.get_xdata()[known][-1] == event
    assert second.get_ydata()[known][-1] == float(merging.event_place[0])


def test_emergence_without_events_says_so(merging):
    quiet = merging.isel(event=[])
    assert "no outlier emerges or merges" in texts(plot_emergence(quiet))


@pytest.mark.slow
@pytest.mark.parametrize("quantity", ["outlier_count", "excess", "alignment"])
def test_phase_diagrams_have_lines_and_say_what_is_outside(quantity):
    """The square loss: the threshold is 1 / sqrt(phi), off the grid of precisions for the last
    aspect ratio.
    """
    found = phase_diagram(
        spiked(), Parameters([1], 1, 0, 1), STATE, [0.2, 1, 10], [1.5, 9.0, 400.0]
    )
    figure = plot_phase_diagram(found, quantity=quantity)
    assert_inside(figure)
    axes, words = figure.axes[0], texts(figure)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert {"precision λ", "aspect ratio φ = M/d"} <= set(words)
    assert any("outlier 1 exists above\n(below the grid at φ = 400)" in w for w in words)
    assert any("(BBP)\n(outside the grid at φ = 400)" in w for w in words)
    threshold = next(
        line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata()) == 3
    )
    np.testing.assert_allclose(threshold.get_ydata()[:2], 1 / np.sqrt([1.5, 9.0]), rtol=1e-5)


def test_swapped_arguments_of_measured_outliers_are_refused():
    sample, other = data(0.5), xr.Dataset()
    with pytest.raises(InputError, match=r"data: got a Dataset.*sa\.SampleData"):
        measure_outliers(other, sample)
    for wrong in (other, sample, None):
        with pytest.raises(InputError, match=r"effective: .* the order is \(data, effective\)"):
            measure_outliers(sample, wrong)


def test_a_spectrum_of_data_is_drawn_as_its_eigenvalues_and_others_are_refused():
    found, drawn_data = predicted(4.0), data(4.0)
    spectrum = empirical_spectrum(drawn_data, block="first_layer", count=60)
    figures = [plot_effective_spectrum(found, given) for given in (spectrum, spectrum.eigenvalue)]
    densities = [figure.axes[0].patches[0].get_data().values for figure in figures]
    np.testing.assert_array_equal(*densities)
    with pytest.raises(InputError, match=r"measured: .* measure_outliers returns, with overlap"):
        plot_effective_spectrum(found, spectrum, spectrum)
    part = empirical_spectrum(drawn_data, block="first_layer", count=4)
    with pytest.raises(InputError, match=r"got 4 eigenvalues of 60; .*count=60"):
        plot_effective_spectrum(found, part)
    with pytest.raises(InputError, match=r"eigenvalues: .* empirical_density returns"):
        plot_effective_spectrum(found, found)
