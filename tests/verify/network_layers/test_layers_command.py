"""The command on small networks: what it prints and writes, what it refuses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from command_cases import invoke, succeed
from matplotlib import pyplot

from numerics import alignment_breakdown, trained_layers
from specalign import plot
from theory import InputError, kgmm

FAST = ("--time", 4, "--replicas", 2, "--samples", 200, "--dimension", 24, "--precision", "1,100")


@pytest.mark.slow
def test_tables_figure_and_numbers(tmp_path):
    data, figure = tmp_path / "layers.nc", tmp_path / "layers.png"
    text = succeed(
        "layers", "xor", *FAST, "--widths", "2,5", "--depth", 3, "--seed", 7, "--output", data,
        "--plot", figure,
    )  # fmt: skip
    assert "XOR clusters, 3 hidden layers, tanh: β = 0.002, d = 24, 2 runs" in text
    for title in ("λ* below which", "epsilon at the end", "ranks at the end", "along training"):
        assert title in text
    found = xr.open_dataset(data)
    assert list(found.layer.values) == ["layer 1", "layer 2", "layer 3", "layer 4"]
    assert found.weights.sel(width=5, layer="layer 1").shape == (2, 2, 4)
    assert figure.stat().st_size > 10_000
    stops = alignment_breakdown(found)
    assert stops.precision.dims == ("width", "quantity", "layer")
    off = float(found.weights.isel(time=-1).sel(width=5, layer="layer 2", precision=1).mean())
    assert f"{off:.3f} ±" in text


@pytest.mark.slow
def test_theory_stands_beside_sgd(tmp_path):
    words = ("--widths", 2, "--k", 2, "--theory", "--precision", 100, "--ridge", 0.1)
    data = tmp_path / "layers.nc"
    text = succeed("layers", "kgmm", *FAST[:-2], *words, "--output", data)
    assert "SGD / effective dynamics" in text
    with xr.open_dataset(data) as found:
        last = found.isel(time=-1, width=0, precision=0).mean("replica")
        both = [float(last[name].sel(layer="layer 1")) for name in ("weights", "theory_weights")]
    assert f"{both[0]:.3f} / {both[1]:.3f}" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--widths", "2.5"), "--widths"),
        (("--depth", 0), "--depth"),
        (("--activation", "cosine"), "activation"),
        (("--widths", 30, "--dimension", 12), "dimension"),
        (("--theory", "--widths", 8), "units"),
    ],
)
def test_bad_input_is_named(words, message):
    result = invoke("layers", "kgmm", *FAST, *words)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.slow
def test_a_panel_a_layer():
    found = trained_layers(
        kgmm(2).mixture, [3], precision=[1, 10], ridge=0.1, time=2, dimension=9, replicas=2,
        samples=100,
    )  # fmt: skip
    panels = plot.layers(found)
    pyplot.close(panels[0].figure)
    assert panels.shape == (6,)
    assert [a.get_title() for a in panels[:2]] == ["layer 1", "readout"]
    (bars,) = panels[0].containers
    line = bars.lines[0].get_ydata()
    off = found.weights.isel(time=-1).sel(layer="layer 1").mean("replica").values
    assert np.allclose(line, off)
    with pytest.raises(InputError, match="ax: got an Axes"):
        plot.layers(found, ax=panels[0])


def test_small_values_are_drawn_where_they_are():
    """Down to zero: nothing is raised to an end of the axis, and bars do not pass zero."""
    values = np.array([[[3e-4, 0.2], [1e-5, 0.4]], [[0.0, 0.1], [5e-4, 0.3]]])
    off = xr.DataArray(values[:, :, None], dims=("replica", "precision", "time", "layer"))
    off = off.assign_coords(precision=[1.0, 10.0], layer=["layer 1", "layer 2"])
    names = ("weights", "hessian", "gradient")
    found = xr.Dataset({name: off for name in names}, attrs={"widths": [3, 3]})
    panels = plot.layers(found, theory=found)
    pyplot.close(panels[0].figure)
    (bars,) = panels[0].containers
    drawn = bars.lines[0].get_ydata()
    assert np.allclose(drawn, values[..., 0].mean(axis=0), rtol=1e-12)
    lowest = [segment[:, 1].min() for segment in bars.lines[2][0].get_segments()]
    assert np.allclose(lowest, 0, atol=1e-12)
    theory = panels[0].lines[-1].get_ydata()
    assert np.allclose(theory, drawn, rtol=1e-12)
    low, high = panels[0].get_ylim()
    heights = panels[0].transData.transform([(1, y) for y in (low, 0, *sorted(drawn), 1e-3, high)])
    assert np.all(np.diff(heights[:, 1]) > 1)


def test_precisions_within_a_decade_have_plain_numbers():
    """Powers of ten would touch each other."""
    off = xr.DataArray(np.full((2, 2, 1, 1), 0.3), dims=("replica", "precision", "time", "layer"))
    off = off.assign_coords(precision=[2.0, 8.0], layer=["layer 1"])
    found = xr.Dataset(dict.fromkeys(("weights", "hessian", "gradient"), off))
    panels = plot.layers(found.assign_attrs(widths=[3, 3]))
    figure = panels[-1].figure
    pyplot.close(figure)
    figure.draw_without_rendering()
    boxes = [
        label.get_window_extent()
        for label in panels[-1].get_xticklabels(which="both")
        if label.get_text() and label.get_visible()
    ]
    texts = [label.get_text() for label in panels[-1].get_xticklabels(which="both")]
    assert {"2", "5"} <= set(texts)
    boxes.sort(key=lambda box: box.x0)
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
