"""Figures of ``sa.plot``: on axes of the user's, in new figures, in the user's style, in grey."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import xarray as xr
from figure_checks import assert_inside, assert_title_free
from matplotlib import pyplot, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import specalign as sa
from numerics.proportional.emergence_times import times_of_action
from theory import InputError
from verify.figures.canvas import canvas, new_figure


@pytest.fixture(autouse=True)
def close():
    yield
    pyplot.close("all")


@pytest.fixture
def ax():
    return Figure(figsize=(4, 3), layout="constrained").subplots()


@pytest.fixture(scope="module")
def problem():
    return sa.Problem(sa.kgmm(2), weights=[0.5, 0.5], precision=2, ridge=0.05, step=1)


@pytest.fixture(scope="module")
def curve(problem):
    return sa.integrate_curves(problem, sa.State.zero(problem), time=np.linspace(0, 8, 17))


@pytest.fixture(scope="module")
def runs(problem, curve):
    start = sa.State.zero(problem)
    sizes = {"dimension": 1000, "replicas": 3, "seed": 1, "method": "reduced"}
    return sa.simulate_sgd(problem, start, time=curve.time, **sizes)


@pytest.fixture(scope="module")
def predicted(problem, curve):
    return sa.effective_spectrum(problem, sa.State.at(curve, 4), 4, block=(0, 0))


@pytest.fixture(scope="module")
def course(problem):
    start = sa.State(np.zeros((2, 2)), 0.01 * np.eye(2))
    dense = sa.solve_curve(problem, start, 8)
    return sa.emergence(problem, dense, 4, block=(0, 0), time=[0, 2, 4, 8])


@pytest.mark.slow
def test_each_figure_draws_on_axes_of_the_user_and_returns_them(
    ax, problem, curve, runs, predicted, course
):
    population = sa.population_spectrum(problem, sa.State.at(curve, 4), dimension=50)
    share = predicted[["overlap"]]
    drawn = [
        lambda ax: sa.plot.curves(curve, runs, ax=ax),
        lambda ax: sa.plot.curves(curve, ax=ax, quantity="gram_perp"),
        lambda ax: sa.plot.spectrum(population, ax=ax),
        lambda ax: sa.plot.effective(predicted, ax=ax),
        lambda ax: sa.plot.effective(predicted, ax=ax, part="outliers"),
        lambda ax: sa.plot.emergence(course, ax=ax),
        lambda ax: sa.plot.alignment(predicted, share, ax=ax),
        lambda ax: sa.plot.layers({"layer 1": [0, 0.5], "layer 2": [0, 1]}, [0, 1], ax=ax),
    ]
    for draw in drawn:
        ax.clear()
        assert draw(ax) is ax
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        assert ax.has_data()
    assert not pyplot.get_fignums()


@pytest.mark.slow
def test_new_figures_are_those_of_pyplot(curve, course):
    panels = sa.plot.curves(curve)
    assert panels.shape == (4,)
    single = sa.plot.curves(curve, quantity="misalignment", size=(3.4, 3.4), title="a column")
    assert isinstance(single, Axes)
    assert single.figure.get_size_inches().tolist() == [3.4, 3.4]
    assert single.get_title() == "a column"
    assert_inside(single.figure)
    assert isinstance(sa.plot.emergence(course), Axes)
    assert len(pyplot.get_fignums()) == 3


def test_what_the_user_has_set_stays(curve, ax):
    with rc_context({"font.size": 20, "lines.linewidth": 4.5, "axes.grid": False}):
        sa.plot.curves(curve, ax=ax, quantity="misalignment")
        assert new_figure(4, 2).get_size_inches().tolist() == [8, 4]
    assert ax.lines[-1].get_linewidth() == pytest.approx(3 * 1.8)
    with rc_context({"axes.prop_cycle": "cycler('color', ['#123456'])"}):
        ax.clear()
        sa.plot.curves(curve, ax=ax)
        assert ax.lines[0].get_color() == "#123456"
    with rc_context({"figure.figsize": (5, 5)}):
        assert new_figure(4, 2).get_size_inches().tolist() == [5, 5]
    with sa.plot.style("paper"):
        small = sa.plot.curves(curve)[0].figure.get_size_inches()
    assert small[0] < sa.plot.curves(curve)[0].figure.get_size_inches()[0]


def test_lines_are_told_apart_without_colours_and_where_they_coincide(curve, runs, ax):
    # two classes of equal weight: both curves of every panel but the overlaps are the same
    for further in ({}, {"runs": runs}):
        ax.clear()
        sa.plot.curves(curve, ax=ax, quantity="gram_perp", **further)
        FigureCanvasAgg(ax.figure).draw()
        marked = [line for line in ax.lines if line.get_marker() != "None"]
        assert len({line.get_marker() for line in marked}) == 2
        assert len({line.get_markevery() for line in marked}) == 2
        assert ax.get_legend() is not None


def test_emergence_shows_the_times_of_its_events(course, problem, ax):
    sa.plot.emergence(course, ax=ax)
    (event,) = course.event_time.values
    low, high = ax.get_xlim()
    assert low <= event <= high
    time = course.time.values
    assert times_of_action(20 * time, np.array([event])) == pytest.approx((0.0, 1.5 * event))
    assert times_of_action(time, np.array([])) is None


@pytest.mark.parametrize(
    ("draw", "named"),
    [
        (lambda c, ax: sa.plot.curves(c, ax="axes"), "ax"),
        (lambda c, ax: sa.plot.curves(c, ax=ax, quantity="speed"), "quantity"),
        (lambda c, ax: sa.plot.curves(c, ax=ax, unit=3), "unit"),
        (lambda c, ax: sa.plot.curves(c, size=(0, 3)), "size"),
        (lambda c, ax: sa.plot.curves(c, size="large"), "size"),
        (lambda c, ax: sa.plot.layers([], [0, 1], ax=ax), "shares"),
        (lambda c, ax: sa.plot.layers({"layer 1": [0]}, [0, 1], ax=ax), "shares"),
        (lambda c, ax: sa.plot.emergence(c, ax=ax), "emergence"),
        (lambda c, ax: sa.plot.style("poster").__enter__(), "style"),
        (lambda c, ax: sa.plot.save([1], "figure.png"), "figure"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, named, curve, ax):
    with pytest.raises(InputError) as caught:
        draw(curve, ax)
    assert caught.value.parameter.startswith(named)


def test_a_sweep_is_asked_for_a_time_and_says_over_what_it_averages(ax):
    values = np.arange(24.0).reshape(2, 3, 4)
    data = xr.Dataset(
        {"alignment": (("precision", "time", "replica"), values)},
        coords={"precision": [1.0, 2.0], "time": [0.0, 1.0, 2.0]},
    )
    with pytest.raises(InputError, match="one of the 3 times from 0 to 2"):
        sa.plot.sweep(data, "precision", "alignment", ax=ax)
    sa.plot.sweep(data, "precision", "alignment", select={"time": 2.0}, ax=ax)
    assert ax.lines[-1].get_ydata().tolist() == [9.5, 21.5]
    panel = sa.plot.sweep(data, "time", "alignment", lines="precision")
    assert "mean over 4 runs" in panel.figure.get_suptitle()


def test_a_canvas_is_left_as_it_was():
    def fail():
        assert new_figure(8, 4).get_size_inches().tolist() == [3, 2]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), canvas(size=(3, 2)):
        fail()
    assert new_figure(8, 4).get_size_inches().tolist() == [8, 4]


def test_signatures_are_what_can_be_written(curve, ax):
    assert list(inspect.signature(sa.plot.emergence).parameters) == [
        "emergence",
        "measured",
        "ax",
        "size",
        "title",
    ]
    with pytest.raises(InputError, match="colour"):
        sa.plot.curves(curve, ax=ax, colour="red")


def test_a_legend_of_two_columns_begins_the_second_with_its_heading(curve, runs):
    axes = sa.plot.curves(curve, runs, quantity="overlap")
    (legend,) = axes.figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    rows = -(-len(texts) // 2)
    assert texts[rows] == "in every colour"
    assert texts[:2] == ["direction 1", "direction 2"]


def test_axes_of_one_scale_say_once_what_it_is_of(curve):
    panels = pyplot.figure().subplots(2, 2, sharey="row")
    for ax in panels.flat:
        sa.plot.curves(curve, ax=ax, quantity="misalignment")
    assert [bool(ax.get_ylabel()) for ax in panels.flat] == [True, False, True, False]
    # another quantity, and another scale
    sa.plot.curves(curve, ax=panels[0, 1], quantity="gram_perp")
    apart = pyplot.figure().subplots(1, 2)
    for ax in apart:
        sa.plot.curves(curve, ax=ax, quantity="misalignment")
    assert all(ax.get_ylabel() for ax in [panels[0, 1], *apart])


def test_outliers_beside_data_are_told_apart_without_colours(course):
    measured = xr.Dataset(
        {"eigenvalue": (("time", "eigen"), [[0.36, 0.35]])}, coords={"time": [0.0]}
    )
    ax = sa.plot.emergence(course, measured)
    (legend,) = ax.figure.legends or [ax.get_legend()]
    lines = [h for h in legend.get_lines() if h.get_linestyle() != "None"]
    looks = [(h.get_linestyle(), h._dash_pattern) for h in lines]
    assert len(set(map(str, looks))) == len(looks) == 3


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 4])
def test_a_legend_beside_all_panels_leaves_the_title_free(classes):
    numbers = sa.Parameters(np.full(classes, 1 / classes), 3, 0.02, 0.5)
    state = sa.State(np.eye(classes), np.eye(classes))
    runs = sa.simulate_sgd(sa.kgmm(classes), numbers, state, [0, 0.5, 1], 20, 2, 0)
    figure = sa.plot_curves(None, runs, title="SGD and effective dynamics, " * 4)
    assert_inside(figure)
    assert_title_free(figure)


def test_a_name_that_no_figure_can_have_is_refused_before_it_is_drawn(curve, tmp_path):
    drawn = sa.plot.curves(curve, quantity="misalignment")
    with pytest.raises(InputError, match=r"x\.jpgg; expected a name that ends in .*\.png"):
        sa.plot.save(drawn, tmp_path / "x.jpgg")
    with pytest.raises(InputError, match=r"path: .* expected a file in a folder that exists"):
        sa.plot.save(drawn, tmp_path / "nowhere" / "x.png")
    assert not list(tmp_path.iterdir())
