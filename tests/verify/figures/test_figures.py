"""Figures: drawn for every shape of result, with labels and units, nothing cut off, no global
state.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest
import xarray as xr
from figure_checks import assert_inside, assert_legend_free, assert_marks_whole, texts
from matplotlib import colormaps, rcParams
from matplotlib.colors import to_rgb

from numerics import Problem, State, integrate_curves, population_spectrum
from theory import InputError, kgmm
from verify import figures
from verify.figures.canvas import canvas


def curve(units: int, directions: int, times: int = 11) -> xr.Dataset:
    rng = np.random.default_rng(1)
    t = np.linspace(0, 8, times)
    decay = np.exp(-t / 4)[:, None, None]
    return xr.Dataset(
        {
            "overlap": (
                ("time", "unit", "direction"),
                decay * rng.normal(size=(times, units, directions)),
            ),
            "gram_perp": (("time", "unit", "unit_b"), decay * np.eye(units)),
            "misalignment": (("time", "unit"), np.abs(np.sin(t))[:, None] * np.ones(units)),
        },
        coords={"time": t},
    )


def runs(units: int, directions: int, replicas: int, times: int = 11) -> xr.Dataset:
    noise = np.random.default_rng(2)
    parts = [
        curve(units, directions, times).map(lambda v: v + 0.02 * noise.normal(size=v.shape))
        for _ in range(replicas)
    ]
    return xr.concat(parts, "replica").assign_attrs(dimension=100)


def spectrum(shape: tuple[int, ...], eigen: int, **attributes: object) -> xr.Dataset:
    dims = ("eigen", "unit", "direction") if len(shape) == 2 else ("eigen", "direction")
    overlaps = (
        np.random.default_rng(3)
        .dirichlet(np.ones(int(np.prod(shape))), size=eigen)
        .reshape(eigen, *shape)
    )
    return xr.Dataset(
        {
            "eigenvalue": ("eigen", np.linspace(1, 0.1, eigen)),
            "bulk": ("bulk", [0.05]),
            "bulk_distance": ("eigen", np.linspace(0.95, 0.05, eigen)),
            "outlier": ("eigen", (np.arange(eigen) < 3).astype(int)),
            "population_eigen": ("eigen", np.where(np.arange(eigen) < 3, np.arange(eigen) + 1, 0)),
            "bulk_edge": ("edge", [0.0, 0.2]),
            "mean_overlap": (dims, overlaps),
        },
        attrs={"error_estimate": 1e-12, "block": "first_layer"} | attributes,
    )


LONG = (
    "kgmm3, lambda = 10, beta = 0.1, c_delta = 1, a long title that has to be broken into lines; "
    "dots: M/d = 512"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("units", "directions", "source"),
    [
        (1, 1, "theory"),
        (2, 2, "both"),
        (3, 3, "theory"),
        (3, 3, "both"),
        (3, 3, "runs"),
        (4, 2, "both"),
        (10, 10, "both"),
    ],
)
def test_curves_of_every_shape(units, directions, source):
    theory = curve(units, directions) if source != "runs" else None
    simulated = runs(units, directions, 3) if source != "theory" else None
    figure = figures.plot_curves(theory, simulated, title=LONG)
    assert_inside(figure)
    assert_legend_free(figure)
    words = texts(figure)
    assert sum(w == figures.TIME_LABEL for w in words) == units + 2
    assert any("theory" in w for w in words) == (theory is not None)
    assert any("SGD" in w and "d = 100" in w for w in words) == (simulated is not None)


@pytest.mark.slow
@pytest.mark.parametrize("style", [None, "paper"])
@pytest.mark.parametrize("units", range(2, 7))
def test_the_title_stands_beside_the_legend_and_a_paper_has_room(units, style):
    with canvas(style=style):
        figure = figures.plot_curves(curve(units, units), runs(units, units, 3), title=LONG)
    assert_inside(figure)
    assert_legend_free(figure)
    assert style is None or figure.get_figwidth() == pytest.approx(7.1)


def test_lines_of_a_title_that_is_not_asked_for_end_outside_of_brackets():
    figure = figures.plot_curves(curve(1, 1), title="x" * 80 + " p = (0.4, 0.3, 0.2, 0.1), end" * 3)
    assert all(line.count("(") == line.count(")") for line in texts(figure)[-1].splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("width", [3, 5, 8])
def test_curves_fit_the_width_that_is_asked_for(width):
    with canvas(size=(width, 12)):
        figure = figures.plot_curves(curve(4, 4), runs(4, 4, 3), title=LONG)
    assert_inside(figure)
    assert_legend_free(figure)


def with_readout(data: xr.Dataset, size: int) -> xr.Dataset:
    shape = (*data["misalignment"].shape[:-1], size)
    values = np.broadcast_to(np.arange(1.0, size + 1), shape) * (-1) ** np.arange(size)
    return data.assign(readout=((*data["misalignment"].dims[:-1], "parameter"), values))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("units", "source"), [(1, "theory"), (4, "both"), (4, "theory"), (7, "both"), (20, "theory")]
)
def test_curves_of_two_layers(units, source):
    theory = with_readout(curve(units, 2), units)
    simulated = with_readout(runs(units, 2, 3), units) if source == "both" else None
    figure = figures.plot_curves(theory, simulated, title=LONG, directions=("μ", "ν"))
    assert_inside(figure)
    assert_legend_free(figure)
    words = texts(figure)
    assert "readout $v_i$" in words
    assert sum(w == figures.TIME_LABEL for w in words) == units + 3
    # a colour stands for a direction in some panels and for a unit in others: each has a swatch of
    # its own
    assert {"direction μ", "direction ν", *(f"unit {a + 1}" for a in range(units))} <= set(words)
    readouts = next(a for a in figure.axes if a.get_ylabel() == "readout $v_i$")
    styles = {
        (line.get_color(), line.get_linestyle())
        for line in readouts.lines
        if line.get_alpha() is None
    }
    assert len(styles) >= units


def test_curves_on_top_of_each_other_are_all_seen():
    figure = figures.plot_curves(
        curve(4, 2).assign(misalignment=curve(1, 2)["misalignment"].isel(unit=[0] * 4))
    )
    for axes in figure.axes:
        if "misalignment" in axes.get_ylabel() or "squared length" in axes.get_ylabel():
            widths = [line.get_linewidth() for line in axes.lines]
            assert widths == sorted(widths, reverse=True)
            assert len(set(widths)) == 4
        elif axes.axison:
            assert {line.get_linewidth() for line in axes.lines} == {1.8}


@pytest.mark.slow
@pytest.mark.parametrize("times", [3, 33])
@pytest.mark.parametrize("source", ["theory", "both"])
def test_marks_at_the_first_and_the_last_time_are_whole(source, times):
    figure = figures.plot_curves(
        curve(2, 2, times), runs(2, 2, 2, times) if source == "both" else None
    )
    for panel in figure.axes:
        assert_marks_whole(panel)


def test_overlaps_have_one_scale():
    figure = figures.plot_curves(curve(3, 3))
    assert len({axes.get_ylim() for axes in figure.axes if "overlap" in axes.get_ylabel()}) == 1


def test_few_times_are_marked_on_a_fine_curve():
    few = curve(2, 2).isel(time=[0, 5, 10])
    figure = figures.plot_curves(few, fine=curve(2, 2))
    axes = figure.axes[0]
    assert sorted(len(line.get_xdata()) for line in axes.lines) == [3, 3, 11, 11]
    assert {line.get_marker() for line in axes.lines if len(line.get_xdata()) == 3} == {"o", "s"}
    assert "at the recorded times" in texts(figure)
    # runs are dots with bars, the theory a dashed line in the shade of its own colour
    figure = figures.plot_curves(few, runs(2, 2, 3).isel(time=[0, 5, 10]), fine=curve(2, 2))
    dashed = [line for line in figure.axes[2].lines if len(line.get_xdata()) == 11]
    assert len({line.get_color() for line in dashed}) == 2
    assert_inside(figure)


def test_sliding_has_a_panel():
    shares = np.zeros((11, 2))
    shares[4:, 0] = 0.5
    data = (
        curve(2, 2)
        .assign(active_share=(("time", "surface"), shares))
        .assign_coords(surface=["m_2_1 > 0", "-m_2_1 > 0"])
    )
    figure = figures.plot_curves(data)
    panel = next(a for a in figure.axes if a.get_ylabel() == "share of active samples")
    (line,) = panel.lines
    np.testing.assert_array_equal(np.isnan(line.get_ydata()), shares[:, 0] == 0)
    assert line.get_color() == figures.PALETTE[1]
    assert panel.get_xlim() == pytest.approx(figure.axes[0].get_xlim())
    assert "share of active samples" not in texts(figures.plot_curves(curve(2, 2)))


def test_both_layers_have_a_column_of_the_second():
    data = spectrum((2, 2), 6)
    data = data.assign(eigenvector_readout=(("eigen", "parameter"), np.full((6, 2), 0.5)))
    figure = figures.plot_spectrum(data)
    assert [t.get_text() for t in figure.axes[1].get_xticklabels()][-1] == "v"
    assert {t.get_text() for t in figure.axes[1].texts if t.get_position()[0] == 4} == {"0.50"}


def test_the_width_of_a_spectrum_is_bounded():
    measured = spectrum((4, 3), 20, samples=10, dimension=20)
    figure = figures.plot_spectrum(spectrum((4, 3), 24), measured, title=LONG)
    assert figure.get_figwidth() < 16
    assert_inside(figure)


def test_legends_name_only_what_is_drawn():
    data = spectrum((2,), 3)
    words = texts(figures.plot_spectrum(data.assign(outlier=("eigen", [1, 1, 1]))))
    assert "population outliers" in words
    assert "population, in or near the bulk" not in words


def test_equations_in_titles_are_not_broken():
    figure = figures.plot_spectrum(spectrum((2,), 4).drop_vars("mean_overlap"), title=LONG)
    assert "\n" in figure.get_suptitle()
    assert figure.get_suptitle().replace("\n", " ") == LONG
    assert not any(
        line.endswith("=") or line.startswith("=") for line in figure.get_suptitle().splitlines()
    )


@pytest.mark.parametrize("shape", [(2,), (4, 2)])
def test_spectra_name_the_directions(shape):
    figure = figures.plot_spectrum(spectrum(shape, 24), directions=("μ", "ν"))
    assert_inside(figure)
    labels = [t.get_text() for a in figure.axes for t in a.get_xticklabels()]
    assert ("μ" if len(shape) == 1 else "4,μ") in labels
    assert ("direction" if len(shape) == 1 else "unit, direction") in texts(figure)
    # few enough ranks are written that they do not touch
    assert len(figure.axes[0].get_xticks()) <= 12


def test_one_replica_has_no_band():
    figure = figures.plot_curves(curve(2, 2), runs(2, 2, 1))
    assert not any("standard deviation" in t for t in texts(figure))
    assert not any(a.collections for a in figure.axes)


def test_curves_need_data():
    with pytest.raises(ValueError, match="a curve, runs, or both"):
        figures.plot_curves(None)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (5, 5)])
@pytest.mark.parametrize("empirical", [False, True])
def test_spectra(shape, empirical):
    measured = spectrum(shape, 5, samples=1000, dimension=50) if empirical else None
    figure = figures.plot_spectrum(spectrum(shape, 8), measured, title=LONG)
    assert_inside(figure)
    words = texts(figure)
    assert "eigenvalue" in words
    assert "squared cosine" in words
    assert ("empirical eigenvectors" in words) == empirical
    assert any("1000 samples, d = 50" in w for w in words) == empirical
    assert {"population outliers", "population, in or near the bulk", "population bulk"} <= set(
        words
    )
    assert ("empirical bulk" in words) == empirical
    # the maps show the outliers, in the order of the eigenvalues on the left
    ranks = np.sort(
        np.concatenate(
            [line.get_xdata() for line in figure.axes[0].lines if line.get_marker() == "o"]
        )
    )
    np.testing.assert_array_equal(ranks, np.arange(1, 9))
    assert [t.get_text() for t in figure.axes[1].get_yticklabels()] == ["1", "2", "3"]


def test_outliers_below_the_bulk_stand_beside_their_counterparts():
    population = spectrum((3,), 6)
    below = {"bulk_distance": -population.bulk_distance[::-1], "outlier": population.outlier[::-1]}
    population = population.assign(
        {name: ("eigen", values.values) for name, values in below.items()}
    )
    measured = spectrum((3,), 5, samples=10, dimension=20)
    measured = measured.assign(population_eigen=("eigen", [0, 0, 4, 5, 6]))
    figure = figures.plot_spectrum(population, measured)
    assert [t.get_text() for t in figure.axes[1].get_yticklabels()] == ["4", "5", "6"]
    crosses = next(line for line in figure.axes[0].lines if line.get_marker() == "x")
    placed = dict(zip(crosses.get_xdata().astype(int), crosses.get_ydata(), strict=True))
    assert placed == dict(zip([6, 5, 4], measured.eigenvalue.values[::-1][:3], strict=True))


def test_spectrum_without_first_layer():
    data = xr.Dataset({"eigenvalue": ("eigen", [2.0, 1.0])})
    figure = figures.plot_spectrum(data)
    assert len(figure.axes) == 1
    assert_inside(figure)


@pytest.mark.parametrize("edges", [False, True])
def test_eigenvalues_along_training(edges):
    t = np.linspace(0, 4, 9)
    values = np.stack([np.exp(-t), np.exp(-2 * t)], axis=1)
    bulk = np.stack([0.1 + 0 * t, 0.2 + 0 * t], axis=1) if edges else 0.1 + 0 * t
    figure = figures.plot_eigenvalues_along_training(
        t, values, bulk, values[::4], measured_times=t[::4], title=LONG
    )
    assert_inside(figure)
    assert_legend_free(figure)
    assert {"bulk, predicted", "eigenvalue 2, predicted", "measured", figures.TIME_LABEL} <= set(
        texts(figure)
    )


def test_measured_eigenvalues_of_the_bulk_are_named():
    t = np.linspace(0, 4, 9)
    values = np.stack([np.exp(-t), np.exp(-2 * t)], axis=1)
    dots = np.column_stack([values, 0.11 + 0 * t])
    figure = figures.plot_eigenvalues_along_training(t, values, 0.1 + 0 * t, dots)
    assert "measured, edge of the bulk" in texts(figure)
    faces = [
        line.get_markerfacecolor() for line in figure.axes[0].lines if line.get_marker() != "None"
    ]
    assert len(set(faces)) == 3


@pytest.mark.parametrize("rows", [2, 12])
def test_heat_map_annotates_every_value_legibly(rows):
    values = np.random.default_rng(0).random((rows, 3))
    labels = [f"block (1, 1), eigenvector {i}" for i in range(rows)]
    figure = figures.plot_alignment_heatmap(
        values, labels, ["mean 1", "mean 2", "mean 3"], title=LONG
    )
    assert_inside(figure)
    axes = figure.axes[0]
    written = [t for t in axes.texts if t.get_text()]
    assert len(written) == 3 * rows
    colours = colormaps["cividis"]
    for text in written:
        i, j = round(text.get_position()[1]), round(text.get_position()[0])
        assert text.get_text() == f"{values[i, j]:.2f}"
        ground, ink = luminance(colours(values[i, j])[:3]), luminance(to_rgb(text.get_color()))
        assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) > 4


def luminance(colour: tuple[float, float, float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("error", [False, True])
def test_exponents(error):
    x = np.array([8.0, 32.0, 128.0])
    y = 2 * x**-0.5
    figure = figures.plot_exponent(
        x,
        y,
        2 * y if error else None,
        -0.5,
        -0.5,
        "precision λ",
        "norm ratio",
        title=LONG,
        slope_error=0.02,
    )
    assert_inside(figure)
    assert_legend_free(figure)
    words = texts(figure)
    assert "predicted slope −0.5" in words
    assert "fitted slope −0.5 ± 0.02" in words
    # both lines go through the points when the slopes agree
    predicted, fitted = (line.get_ydata() for line in figure.axes[0].lines[:2])
    np.testing.assert_allclose(predicted, fitted)
    np.testing.assert_allclose(fitted, 2 * np.array([8 / 1.15, 128 * 1.15]) ** -0.5)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", figures.FORMATS)
def test_files_are_the_same_every_time(suffix, tmp_path):
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    for path in (first, second):
        figures.save_figure(figures.plot_curves(curve(2, 2)), path)
    assert first.stat().st_size > 1000
    assert first.read_bytes() == second.read_bytes()


def test_no_global_state_is_touched():
    before = dict(rcParams)
    figures.plot_curves(curve(2, 2), runs(2, 2, 2))
    assert dict(rcParams) == before
    module = sys.modules.get("matplotlib.pyplot")
    assert module is None or module.get_fignums() == []


def test_every_colour_is_visible_on_white():
    assert len(set(figures.PALETTE)) == len(figures.PALETTE)
    assert all(1.05 / (luminance(to_rgb(c)) + 0.05) > 2 for c in figures.PALETTE)


@pytest.mark.parametrize(
    ("draw", "parameter"),
    [
        (lambda curve, spectrum: figures.plot_curves(spectrum), "curve"),
        (lambda curve, spectrum: figures.plot_curves("curve"), "curve"),
        (lambda curve, spectrum: figures.plot_curves(None), "curve"),
        (lambda curve, spectrum: figures.plot_curves(curve, spectrum), "runs"),
        (lambda curve, spectrum: figures.plot_curves(curve, curve.isel(unit=[0])), "runs"),
        (lambda curve, spectrum: figures.plot_spectrum(curve), "population"),
        (lambda curve, spectrum: figures.plot_spectrum(spectrum, curve), "empirical"),
        (lambda curve, spectrum: figures.plot_effective_spectrum(curve), "effective"),
        (lambda curve, spectrum: figures.plot_emergence(curve), "emergence"),
        (lambda curve, spectrum: figures.plot_phase_diagram(spectrum), "diagram"),
    ],
)
def test_what_a_figure_cannot_draw_is_named(draw, parameter):
    problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=4, ridge=0.1, step=1)
    curve = integrate_curves(problem, State.zero(problem), [0.0, 1.0])
    spectrum = population_spectrum(problem, State.at(curve, time=1))
    with pytest.raises(InputError, match=rf"^{parameter}: got .*Remedy"):
        draw(curve, spectrum)


def test_a_spectrum_of_data_is_called_by_its_name():
    problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=4, ridge=0.1, step=1)
    state = State.zero(problem)
    population = population_spectrum(problem, state)
    assert "population" in " ".join(texts(figures.plot_spectrum(population)))
    measured = population.assign_attrs(source="empirical, test data")
    words = " ".join(texts(figures.plot_spectrum(measured)))
    assert "empirical" in words
    assert "population" not in words
