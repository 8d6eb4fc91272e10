"""What the command says about a spectrum: bulk, outliers, alignment, warnings, sizes and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from theory.names import ALMOST_EVERYWHERE, DIFFERENCE, DISTRIBUTIONAL

from .spectra import NEAR_BULK, bulk_error, has_bulk, outliers
from .text import number, state_error_sentence

# an eigenvalue of the bulk farther from it than this share of the nearest outlier makes the line
# between them blurred
_BLURRED = 0.5

_WITH_DELTAS = "that of the population risk, with the delta functions on the kinks"
_WITHOUT_DELTAS = "that of the risk without its delta functions on the kinks"
_DELTAS_ALONE = "the kinks alone, without the ridge"
_RULES = {
    DISTRIBUTIONAL: f"Distributional Hessian: {_WITH_DELTAS}.",
    ALMOST_EVERYWHERE: f"Almost-everywhere Hessian: {_WITHOUT_DELTAS}.",
    DIFFERENCE: f"Difference of distributional and almost-everywhere Hessian: {_DELTAS_ALONE}.",
}
_DATA = " Samples never lie on a kink, so this is the one that averages over data approach."


def _near_bulk(population: xr.Dataset) -> NDArray[np.intp]:
    """0-based positions of the eigenvalues that are no outliers by the rule, and yet not those of
    the bulk.
    """
    distance = np.abs(population["bulk_distance"].to_numpy())
    return np.flatnonzero(~outliers(population) & (distance > bulk_error(population)))


def spectrum_remarks(
    population: xr.Dataset,
    empirical: xr.Dataset | None = None,
    time: float | None = None,
    state_error: float = 0.0,
) -> Iterator[str]:
    """Bulk, outliers and their alignment, warnings, sizes and errors, in sentences.

    ``time`` is the time on the theoretical curve the state was taken from, ``state_error`` its
    error there.
    """
    few = None if empirical is None else _few_samples(population, empirical)
    if few is not None:
        yield few
    if "bulk" in population and not has_bulk(population):
        yield "No bulk: in this dimension means and weights span everything."
    if has_bulk(population):
        yield _bulk_sentence(population)
        yield _outlier_sentence(population)
        yield from _alignment_sentences(population, empirical)
        yield from _separation_warnings(population)
        if empirical is not None and few is None:
            yield from _empirical_warnings(population, empirical)
    if (rule := population.attrs.get("kink_rule")) is not None:
        yield _RULES[rule] + (_DATA if empirical is not None else "")
    if "misfit" in population:
        misfit = number(float(population["misfit"]))
        yield f"Distance of the matrix from the span of the means, relative: {misfit}."
    if "mean_overlap" in population and _nearly_equal(population):
        yield (
            "Eigenvectors of equal or nearly equal eigenvalues are determined only up to rotation"
            " among themselves."
        )
    if empirical is not None:
        yield (
            f"Empirical matrix: {empirical.attrs['samples']} fresh samples in dimension"
            f" {empirical.attrs['dimension']}, seed {empirical.attrs['seed']}."
        )
    yield _error_sentence(population, time, state_error)


def _bulk_sentence(population: xr.Dataset) -> str:
    zero = float(population.attrs["error_estimate"]) + float(population.attrs["bulk_error"])
    values = population["bulk"].to_numpy().ravel()
    text = ", ".join(number(float(b), zero=zero) for b in values)
    note = f"; 0 means below the error {zero:.2g}" if np.any(np.abs(values) <= zero) else ""
    if "bulk_multiplicity" in population:
        counts = population["bulk_multiplicity"].to_numpy().ravel().tolist()
        each = "each " if values.size > 1 and len(set(counts)) == 1 else ""
        several = counts if len(set(counts)) > 1 else counts[:1]
        text += f", {each}with multiplicity {', '.join(map(str, several))}"
    return f"Bulk (eigenvalues off the span of means and weights): {text}{note}."


def _outlier_sentence(population: xr.Dataset) -> str:
    outlier = outliers(population)
    values, bulk = population["eigenvalue"].to_numpy()[outlier], population["bulk"].to_numpy()
    above, below = int(np.sum(values > bulk.max())), int(np.sum(values < bulk.min()))
    places = [
        (above, "above the bulk"),
        (below, "below it"),
        (values.size - above - below, "between its levels"),
    ]
    where = ", ".join(f"{n} {place}" for n, place in places if n) or "none"
    near = _near_bulk(population).size
    if _is_block(population):
        off = "not among them, but off the bulk by more than the error"
        rest = f" {_rows(near)} marked {NEAR_BULK}: {off}." if near else ""
        r = population.sizes["direction"]
        return f"Outliers, the {r} eigenvalues farthest from the bulk: {where}.{rest}"
    from numerics.spectra.population_spectrum import OUTLIER_SHARE

    share = f"{100 * OUTLIER_SHARE:.0f} %"
    off = "off the bulk by more than the error, and by this rule not told apart from it"
    rest = f" {_rows(near)} marked {NEAR_BULK}: within {share} of that distance, {off}."
    text = f"Outliers, at least {share} as far from the bulk as the farthest: {where}."
    return text + (rest if near else "")


def _rows(count: int) -> str:
    return f"{count} row{'s' if count > 1 else ''}"


def _alignment_sentences(population: xr.Dataset, empirical: xr.Dataset | None) -> Iterator[str]:
    if not _is_block(population):
        return
    if "outlier_share" not in population:
        found, r = int(population["outlier"].sum()), population.sizes["direction"]
        yield (
            f"No share and no angle of the outliers' eigenspace: only {found} of {r} eigenvalues"
            " differ from the bulk by more than the error."
        )
        return
    shares, angle = _alignment(population)
    other = None if empirical is None or "outlier_share" not in empirical else _alignment(empirical)
    beside = [f" (empirical: {text})." for text in other] if other else [".", "."]
    yield f"Share of each weight vector in the eigenspace of the outliers: {shares}{beside[0]}"
    yield (
        "Largest angle between the eigenspace of the outliers and the span of the means:"
        f" {angle}{beside[1]}"
    )


def _alignment(data: xr.Dataset) -> tuple[str, str]:
    shares = ", ".join(f"{s:.4f}" for s in data["outlier_share"].to_numpy())
    return shares, f"{np.degrees(data['outlier_angle'].to_numpy().max()):.2f} degrees"


def _separation_warnings(population: xr.Dataset) -> Iterator[str]:
    """What blurs the line between outliers and bulk in the population itself."""
    outlier = outliers(population)
    size = np.abs(population["bulk_distance"].to_numpy())
    if not population.attrs.get("outliers_separated", 1):
        yield (
            "Warning: the outliers are not separated from the bulk within the error: their"
            " eigenspace is not determined."
        )
    elif (
        outlier.any()
        and not outlier.all()
        and size[~outlier].max() > _BLURRED * size[outlier].min()
    ):
        i = int(np.flatnonzero(~outlier)[size[~outlier].argmax()])
        yield (
            "Warning: the outliers are not separated from the edge of the bulk: eigenvalue"
            f" {i + 1}, counted as bulk, is {size[i] / size[outlier].min():.0%} as far from it as"
            " the nearest outlier. Eigenspace, share and angle depend on where the line is drawn."
        ).replace("%", " %", 1)


def _empirical_warnings(population: xr.Dataset, empirical: xr.Dataset) -> Iterator[str]:
    edges = _edges(empirical)
    if edges is None:
        return
    zero = 1e-13 * float(np.abs(empirical["eigenvalue"].to_numpy()).max())
    values, outlier = population["eigenvalue"].to_numpy(), outliers(population)
    outside = [str(i + 1) for i in _near_bulk(population) if not edges[0] <= values[i] <= edges[1]]
    lie = "lies" if len(outside) == 1 else "lie"
    rows = f"; of the rows marked {NEAR_BULK}, {', '.join(outside)} {lie} outside it"
    yield (
        f"Empirical bulk: from {number(edges[0], zero=zero)} to {number(edges[1], zero=zero)};"
        " nothing stands beside an eigenvalue of the population within it"
        f"{rows if outside else ''}."
    )
    hidden = [str(i + 1) for i in np.flatnonzero(outlier) if edges[0] <= values[i] <= edges[1]]
    if hidden:
        several = len(hidden) > 1
        noun, verb, them = ("outliers", "lie", "them") if several else ("outlier", "lies", "it")
        yield (
            f"Warning: the {noun} {', '.join(hidden)} of the population {verb} within the"
            f" empirical bulk: what stands beside {them} is its edge or moved by it. More samples"
            " separate them."
        )


def _few_samples(population: xr.Dataset, empirical: xr.Dataset) -> str | None:
    """A warning where there are fewer samples than the matrix, or a block of it, has rows: it is
    then singular.
    """
    samples, d = int(empirical.attrs["samples"]), int(empirical.attrs["dimension"])
    if population.attrs["block"] == "readout":
        size, what = population.sizes["eigen"], "fewer samples than second-layer parameters"
    else:
        size, what = d, f"M/d = {samples / d:.2g} is too small for a comparison"
    if samples >= size:
        return None
    return (
        f"Warning: {what}. {samples} sample{'s' if samples > 1 else ''} leave a matrix of low rank,"
        " the rest of whose eigenvalues are 0 up to the ridge: nothing stands beside the"
        f" population beyond that rank, and what does is noise. Take more than {size} samples,"
        f" better {20 * size} and more."
    )


def _error_sentence(population: xr.Dataset, time: float | None, state_error: float) -> str:
    error = float(population.attrs["error_estimate"])
    text = f"Error of a population eigenvalue: below {error:.2g} (quadrature and rounding)"
    if not time:
        return f"{text}."
    return f"{text} at the state used. {state_error_sentence(time, state_error)}"


def readout_remarks(population: xr.Dataset, empirical: xr.Dataset | None = None) -> Iterator[str]:
    """The second layer against its features, as :func:`numerics.readout_alignment` measures it."""
    rank = int(population["rank"])

    def both(variable: str, show: Callable[[xr.DataArray], str]) -> str:
        other = "" if empirical is None else f" (empirical: {show(empirical[variable])})"
        return f"{show(population[variable])}{other}"

    features = ", ".join(f"{float(x):.4g}" for x in population["feature_length"])
    yield (
        f"Lengths of the features g(W mu_l) of the components: {features};"
        f" {rank} of them separated."
    )
    share = both("top_share", lambda x: f"{float(x):.4f}")
    yield (
        f"Share of the readout v in the leading {rank} eigenvectors: {share};"
        f" in the span of those features: {float(population['feature_share']):.4f}."
    )
    angle = both("feature_angle", lambda x: f"{float(np.degrees(x.max())):.2f} degrees")
    yield (
        f"Largest angle between the leading {rank} eigenvectors and the span of those features:"
        f" {angle}."
    )


def _edges(empirical: xr.Dataset) -> tuple[float, float] | None:
    if "bulk_edge" not in empirical:
        return None
    low, high = empirical["bulk_edge"].to_numpy()
    return float(low), float(high)


def _is_block(population: xr.Dataset) -> bool:
    return str(population.attrs["block"]).startswith("(")


def _nearly_equal(population: xr.Dataset) -> bool:
    values: NDArray[np.float64] = population["eigenvalue"].to_numpy()
    if has_bulk(population):
        values = values[outliers(population)]
    return bool(np.any(np.abs(np.diff(values)) < 0.05 * np.abs(values[:-1])))
