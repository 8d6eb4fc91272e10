"""How do shares, gaps and ranks grow with the number of classes?

``python examples/many_classes.py classes|shares|limit [figure.png] [--json FILE]``

Softmax regression on k classes: at a given time, along training and at its end; the same beside
simulations; and in the proportional limit.  Each table states the exponent of a power law with its
interval, and what the law leaves over.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from measured import arguments, extrapolated, law_row, mean_and_error, share_of_weights, write_json

import specalign as sa
from verify.verdict.extrapolation import extrapolate_means

CLASSES, PRECISION = (3, 5, 10, 20, 50), 10.0
Array = np.ndarray


# --- softmax regression ---------------------------------------------------------------------------


def softmax(k: int, precision: float = PRECISION, ridge: float | None = None) -> sa.Problem:
    """k equally likely classes with orthonormal means; the ridge 0.3 / k, so that learning, which
    takes a time of order k, ends at a length of the weights that hardly depends on k.
    """
    model = sa.kgmm(k, directions_gram="orthonormal")
    numbers = {"precision": precision, "ridge": 0.3 / k if ridge is None else ridge, "step": 1}
    return sa.Problem(model, weights=np.full(k, 1 / k), **numbers)


def block_numbers(problem: sa.Problem, state: sa.State, matrix: str) -> dict[str, float]:
    """Block (1, 1) of the population: how far its first and its k-th eigenvalue stand off the bulk,
    the bulk, and the share of x^1 in the k leading eigenvectors.

    With scrambled quadrature the means over the scramblings: errors of eigenvalues and bulk go
    together, and their difference is known better than either.
    """
    k = problem.model.directions
    found = sa.population_block(
        problem, state, matrix=matrix, block=(0, 0), regularized=False, tolerance=1e-3 / k
    )
    one = (found.matrix[None], found.bulk[None])
    rows = []
    for block, bulk in zip(*(found.samples or one), strict=True):
        values, vectors = np.linalg.eigh(block)
        level = float(bulk.ravel()[0])
        share = sa.eigenspace_share(vectors.T[-k:], found.basis.weights[0])
        rows.append([values[-1] - level, values[-k] - level, level, share])
    names = ("first outlier", "k-th outlier", "bulk", "share of x^1")
    return dict(zip(names, np.mean(rows, axis=0), strict=True))


def of_classes(k: int) -> dict[str, float]:
    """All numbers of k classes along the effective dynamics."""
    problem = softmax(k)
    times = sorted({0.0, 8.0, float(k), 16.0 * k})
    curve = sa.integrate_curves(problem, sa.State.zero(problem), times, tolerance=2e-3)
    found = {}
    for label, time in (("t = 8", 8), ("t = k", k), ("end", 16 * k)):
        state = sa.State.at(curve, time)
        found[f"share, {label}"] = share_of_weights(state)
    found["m_11, end"], found["1 - share, end"] = state.overlap[0, 0], 1 - found["share, end"]
    found["R_11, end"] = state.gram_perp[0, 0]
    singular = np.linalg.svd(state.overlap, compute_uv=False)
    found["rank of overlaps"] = int(np.sum(singular > 1e-2 * singular[0]))
    for label, time in (("start", 0), ("end", 16 * k)):
        for matrix, letter in (("hessian", "H"), ("gradient", "G")):
            numbers = block_numbers(problem, sa.State.at(curve, time), matrix)
            found |= {f"{letter} {name}, {label}": x for name, x in numbers.items()}
    for label in ("start", "end"):
        for name in ("first", "k-th"):
            ratio = found[f"H {name} outlier, {label}"] / found[f"H bulk, {label}"]
            found[f"H {name} over bulk, {label}"] = ratio
    return found


def full_rank(k: int) -> tuple[int, int]:
    """Eigenvalues of the full population Hessian and of G beyond their bulk, at the end."""
    problem, counts = softmax(k), []
    state = sa.solve_curve(problem, sa.State.zero(problem), 16 * k, tolerance=2e-3).state(16 * k)
    for matrix in ("hessian", "gradient"):
        found = sa.population_block(
            problem, state, matrix=matrix, regularized=False, tolerance=1e-4 / k
        )
        values, level = np.linalg.eigvalsh(found.matrix), np.linalg.eigvalsh(found.bulk)[-1]
        counts.append(int(np.sum(values - level > 0.02 * (values[-1] - level))))
    return counts[0], counts[1]


def simulated_share(
    k: int, time: float, dimension: int, runs: int, seed: int = 1, **more: Any
) -> dict[str, Any]:
    """Share of SGD's weights in the span: mean and standard error over runs at d, and the limit of
    1/d to 0 from d / 2 and d, since k of d parts of the noise of steps lie in the span.

    Units of a run see the same samples, so that their scatter is none of independent values.
    """
    problem = softmax(k, ridge=more.pop("ridge", None))
    start, sizes, found = sa.State.zero(problem), (dimension, dimension // 2), []
    for i, d in enumerate(sizes):
        ends = sa.simulate_sgd(problem, start, [time], d, runs, seed=seed + i, **more)
        states = [sa.State.at(ends.isel(replica=[j], time=-1)) for j in range(runs)]
        found.append(np.array([share_of_weights(state) for state in states]))
    limit = extrapolate_means(1 / np.array(sizes), found)
    ends = {"limit": float(limit.value), "limit error": float(limit.error)}
    return {"d": dimension, "runs": runs, **mean_and_error(found[0]), **ends}


def classes(plot: str | None) -> dict[str, Any]:
    """The tables of k classes."""
    table = {k: of_classes(k) for k in CLASSES}
    found: dict[str, Any] = {"k": list(CLASSES), "rows": {}}
    print(f"softmax regression, k = {', '.join(map(str, CLASSES))}; theory, d to infinity")
    for name in table[CLASSES[0]]:
        y = [table[k][name] for k in CLASSES]
        if name == "rank of overlaps":
            print(f"  {name:36}{' '.join(map(str, y))}")
            found[name] = y
        else:
            found["rows"][name] = law_row(name, CLASSES, y)
    print("eigenvalues of the whole first layer beyond the bulk, at the end: Hessian, G")
    found["full rank"] = {k: full_rank(k) for k in (3, 5, 8)}
    for k, (of_hessian, of_gradient) in found["full rank"].items():
        print(f"  k = {k}: {of_hessian}, {of_gradient}")
    if plot:
        sa.plot.save(figure(np.array(CLASSES, float), table), plot)
    return found


# k, how, dimension and runs: as many as the errors need that tell theories apart
SIMULATIONS = ((20, "direct", 1000, 8), (50, "reduced", 2000, 8), (100, "reduced", 2000, 8))


def shares(plot: str | None) -> dict[str, Any]:
    """Shares by simulation beside those of theory, and beyond its largest k; one ridge for all."""
    found: dict[str, Any] = {"rows": []}
    print("share of the weights in the span of the means: simulation, theory")
    known: dict[str, list[float]] = {"t = 8": [], "t = k": []}
    for k, method, d, runs in SIMULATIONS:
        theory, slopes = {}, {"t = 8": None, "t = k": None}
        if k < 100:
            theory = theory_of_shares(k)
            for label, share in theory.items():
                known[label].append(share)
        else:
            for label, both in known.items():
                theory[label], slopes[label] = extrapolated(np.array([20, 50]), np.array(both), k)
        for label, time in (("t = 8", 8), ("t = k", k)):
            row = {"k": k, "time": label, "method": method, "theory": theory[label]}
            row |= {"slope": slopes[label]}
            row |= simulated_share(k, time, d, runs, method=method)
            print(f"  k = {k}, {label}, {method}, d = {d}: {beside(row, row['theory'])}", end="")
            print("" if slopes[label] is None else f" by the exponent {slopes[label]:+.2f}")
            found["rows"].append(row)
    return found | {"one ridge": shares_with_one_ridge()}


def shares_with_one_ridge(beta: float = 0.1) -> dict[str, Any]:
    """Shares at t = 80 with the same ridge for all k: theory, its law for many classes, and the
    chain.
    """
    print("one ridge 0.1 for all k, t = 80: share, 1 / (1 + c_delta beta k / 2 lambda)")
    found: dict[str, Any] = {"k": [3, 10, 20, 100], "theory": []}
    found["law"] = [1 / (1 + beta * k / (2 * PRECISION)) for k in found["k"]]
    for k, law in zip(found["k"][:-1], found["law"], strict=False):
        problem = softmax(k, ridge=beta)
        curve = sa.integrate_curves(problem, sa.State.zero(problem), [0, 80], tolerance=2e-3)
        found["theory"].append(share_of_weights(sa.State.at(curve, 80)))
        print(f"  k = {k}: theory {found['theory'][-1]:.4f}, {law:.4f}")
    k, d = found["k"][-1], 2000
    chain = simulated_share(k, 80, d, 8, method="reduced", ridge=beta)
    print(f"  k = {k}, reduced, d = {d}: {beside(chain, found['law'][-1])}")
    return found | {"chain": chain}


def theory_of_shares(k: int) -> dict[str, float]:
    """Shares of the weights at two times by the effective dynamics."""
    problem = softmax(k)
    curve = sa.integrate_curves(problem, sa.State.zero(problem), [0, 8, k], tolerance=3e-3)
    times = {"t = 8": 8, "t = k": k}
    return {name: share_of_weights(sa.State.at(curve, time)) for name, time in times.items()}


def beside(row: dict[str, Any], theory: float) -> str:
    limit = f"{row['limit']:.4f} ± {row['limit error']:.4f}"
    return f"{row['mean']:.4f} ± {row['error']:.4f}, d to infinity {limit}, {theory:.4f}"


def figure(ks: Array, table: dict[int, dict[str, float]]):
    """Shares, and outliers beside the bulk, over the number of classes."""
    from matplotlib.figure import Figure

    shown = Figure(figsize=(9.4, 3.7), layout="constrained")
    left, right = shown.subplots(1, 2)
    for label, marker in (("t = 8", "s"), ("t = k", "o"), ("end", "^")):
        left.plot(ks, [table[int(k)][f"share, {label}"] for k in ks], marker + "-", label=label)
    left.set(ylabel="share of the weights\nin the span of the means", ylim=(0, 1.05))
    for i, name in enumerate(("first outlier", "k-th outlier", "bulk")):
        for label, style in (("start", "o:"), ("end", "^-")):
            y = [table[int(k)][f"H {name}, {label}"] for k in ks]
            text = name if name == "bulk" else f"{name} above the bulk"
            right.plot(ks, y, style, color=f"C{i}", label=f"{text}, {label}")
    right.set(ylabel="eigenvalues of Hessian block (1, 1)", yscale="log")
    for axes in (left, right):
        axes.set(xscale="log", xlabel="number of classes k")
        axes.set_xticks(ks, labels=[f"{k:g}" for k in ks])
        axes.set_xticks([], minor=True)
        axes.grid(True, color="#e3e3e3")
        axes.legend(fontsize=8, frameon=False)
    return shown


# --- the proportional limit -----------------------------------------------------------------------


def outliers_of(problem: sa.Problem, state: sa.State, ratio: float) -> int:
    """Outliers right of the bulk of Hessian block (1, 1) of samples, M / d = ratio."""
    found = sa.effective_spectrum(
        problem, state, ratio, block=(0, 0), regularized=False, density=False
    )
    return int(np.sum(found.side.values == 1))


def first_point(holds, low: float, high: float, accuracy: float) -> float:
    """Where a condition that fails at low and holds at high begins to hold, by bisection."""
    while high - low > accuracy:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return (low + high) / 2


def limit(plot: str | None) -> dict[str, Any]:
    """How many samples a dimension show the outliers, and when the first one emerges."""
    ks = (3, 4, 5, 6)
    print(f"M/d from which samples show outliers of block (1, 1), k = {', '.join(map(str, ks))}")
    ratios: dict[str, list[float]] = {}
    for k in ks:
        for label, ratio in ratios_that_show(k).items():
            ratios.setdefault(label, []).append(ratio)
    found: dict[str, Any] = {"k": list(ks)}
    found["rows"] = {label: law_row(label, ks, y) for label, y in ratios.items()}
    print(f"  (k / lambda)^2: {' '.join(f'{(k / PRECISION) ** 2:.3g}' for k in ks)}")
    print("emergence of the first outlier, lambda = 4, M/d = 1: time, over k")
    late = (6, 7, 8)
    times = [time_of_emergence(k) for k in late]
    for k, time in zip(late, times, strict=True):
        print(f"  k = {k}: {time:.2f}, {time / k:.3f}")
    found["late"], found["emergence"] = list(late), law_row("time of emergence", late, times)
    return found | {"data": limit_beside_data()}


def ratios_that_show(k: int) -> dict[str, float]:
    """Samples a dimension from which outliers of block (1, 1) are seen, up to 1 %."""
    problem = softmax(k)
    curve = sa.solve_curve(problem, sa.State.zero(problem), 16.0 * k, tolerance=2e-3)
    zero, end = sa.State(np.zeros((k, k)), np.zeros((k, k))), curve.state(16.0 * k)
    found = {}
    for label, state, count in (
        ("k-th, zero weights", zero, k), ("first, end", end, 1), ("k-th, end", end, k)
    ):  # fmt: skip

        def shown(log_ratio: float, state=state, count=count) -> bool:
            return outliers_of(problem, state, float(np.exp(log_ratio))) >= count

        found[label] = float(np.exp(first_point(shown, np.log(0.01), np.log(30), 0.01)))
    return found


def time_of_emergence(k: int) -> float:
    """When samples begin to show an outlier, up to half a percent of k."""
    problem = softmax(k, 4.0)
    curve = sa.solve_curve(problem, sa.State.zero(problem), float(k), tolerance=2e-3)

    def emerged(time: float) -> bool:
        return outliers_of(problem, curve.state(time), 1.0) >= 1

    return first_point(emerged, 0.0, float(k), 0.01 * k)


def limit_beside_data(k: int = 8, d: int = 400, draws: int = 20, seed: int = 0) -> dict[str, Any]:
    """Predicted outliers and edge beside the two largest eigenvalues of draws, and the
    population's.
    """
    problem = softmax(k)
    state = sa.State.at(sa.solve_curve(problem, sa.State.zero(problem), 16.0 * k), 16.0 * k)
    whole = {"block": (0, 0), "regularized": False}
    predicted = sa.effective_spectrum(problem, state, 4.0, density=False, **whole)
    tops = [
        sa.empirical_spectrum(
            problem, state, dimension=d, samples=4 * d, seed=seed + i, count=2, **whole
        ).eigenvalue.values
        for i in range(draws)
    ]
    population = block_numbers(problem, state, "hessian")
    found = {"k": k, "d": d, "draws": draws, **mean_and_error(np.array(tops))}
    found["outliers"] = predicted.outliers.values.tolist()
    found["edge"] = float(predicted.edges.values[-1, -1])
    found["population"] = population["first outlier"] + population["bulk"]
    first, second = (
        f"{m:.5f} ± {e:.5f}" for m, e in zip(found["mean"], found["error"], strict=True)
    )
    print(f"k = {k}, end, M/d = 4: outliers {predicted.outliers.values.round(5)}, edge ", end="")
    print(f"{found['edge']:.5f}; data, d = {d}: {first}, {second}; population ", end="")
    print(f"{found['population']:.5f}")
    return found


if __name__ == "__main__":
    commands = {"classes": classes, "shares": shares, "limit": limit}
    chosen = arguments(__doc__, commands)
    write_json(commands[chosen.name](chosen.figure), chosen.json)
