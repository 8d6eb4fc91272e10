"""How do shares, gaps and ranks grow with the number of classes, and with the width of a network?

``python examples/classes_and_width.py classes|shares|limit|width [figure.png]``

Softmax regression on k classes: at a given time, along training and at its end; the same in the
proportional limit; and the XOR network of K hidden units.  Each table states the exponent of a
power law with its interval, and what the law leaves over.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import numpy as np
from scipy import stats

import specalign as sa
from verify.evidence.outcomes import separated_clusters

CLASSES = (3, 5, 10, 20, 50)
WIDTHS = (4, 8, 16)
Array = np.ndarray


# --- power laws -----------------------------------------------------------------------------------


def power_law(x: Iterable[float], y: Iterable[float]) -> tuple[float, float, float, float, float]:
    """Least squares of log y = a + b log x: b, half its 95 % interval from the residuals, the
    largest residual, and the slopes between the first and between the last two points.
    """
    log_x, log_y = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    fit = stats.linregress(log_x, log_y)
    half = stats.t.ppf(0.975, len(log_x) - 2) * fit.stderr
    residual = float(np.abs(log_y - fit.intercept - fit.slope * log_x).max())
    local = np.diff(log_y) / np.diff(log_x)
    return float(fit.slope), float(half), residual, float(local[0]), float(local[-1])


def show(name: str, x: Iterable[float], y: Iterable[float]) -> None:
    """A row of a table: the numbers, their exponent, and whether it is one."""
    slope, half, residual, first, last = power_law(x, y)
    verdict = "" if abs(last - first) < 0.2 else "; no power law"
    numbers = " ".join(f"{value:.3g}" for value in y)
    print(
        f"  {name:36}{numbers}; exponent {slope:+.2f} ± {half:.2f}, largest residual "
        f"{residual:.0%}, local {first:+.2f} to {last:+.2f}{verdict}"
    )


def extrapolated(x: Array, y: Array, at: float) -> tuple[float, float]:
    """Where the line through the last two points of log y leads."""
    slope = np.log(y[-1] / y[-2]) / np.log(x[-1] / x[-2])
    return float(y[-1] * (at / x[-1]) ** slope), float(slope)


# --- softmax regression ---------------------------------------------------------------------------


def softmax(k: int, precision: float = 10.0, ridge: float | None = None) -> sa.Problem:
    """k equally likely classes with orthonormal means; the ridge 0.3 / k, so that learning, which
    takes a time of order k, ends at a length of the weights that hardly depends on k.
    """
    model = sa.kgmm(k, directions_gram="orthonormal")
    numbers = {"precision": precision, "ridge": 0.3 / k if ridge is None else ridge, "step": 1}
    return sa.Problem(model, weights=np.full(k, 1 / k), **numbers)


def share_of_weights(state: sa.State) -> float:
    """Share of the squared length of all weights in the span of orthonormal directions."""
    inside = float(np.sum(state.overlap**2))
    return inside / (inside + float(np.trace(state.gram_perp)))


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


def simulated_share(k: int, time: float, dimension: int, runs: int, **more) -> tuple[float, float]:
    """Share of SGD's weights in the span: mean and standard error over units and runs."""
    ridge = more.pop("ridge", None)
    problem = softmax(k, ridge=ridge)
    found = sa.simulate_sgd(
        problem, sa.State.zero(problem), [time], dimension, runs, seed=1, **more
    )
    inside = np.sum(found.overlap.values[:, -1] ** 2, axis=-1)
    off = np.diagonal(found.gram_perp.values[:, -1], axis1=1, axis2=2)
    shares = (inside / (inside + off)).ravel()
    return float(shares.mean()), float(shares.std(ddof=1) / shares.size**0.5)


def classes(plot: str | None) -> None:
    """Print the tables of k classes."""
    table = {k: of_classes(k) for k in CLASSES}
    ks = np.array(CLASSES, float)
    print(f"softmax regression, k = {', '.join(map(str, CLASSES))}; theory, d to infinity")
    for name in table[CLASSES[0]]:
        y = np.array([table[k][name] for k in CLASSES])
        if name == "rank of overlaps":
            print(f"  {name:36}{' '.join(map(str, y))}")
        else:
            show(name, ks, y)
    print("eigenvalues of the whole first layer beyond the bulk, at the end: Hessian, G")
    for k in (3, 5, 8):
        print(f"  k = {k}: {', '.join(map(str, full_rank(k)))}")
    if plot:
        sa.plot.save(figure(ks, table), plot)


def shares(plot: str | None) -> None:
    """Print shares by simulation beside those of theory, and beyond its largest k."""
    print("share of the weights in the span of the means: simulation, theory")
    found: dict[str, list[float]] = {}
    for k, method, d, runs in ((20, "direct", 1000, 4), (50, "reduced", 4000, 1)):
        problem = softmax(k)
        curve = sa.integrate_curves(problem, sa.State.zero(problem), [0, 8, k], tolerance=3e-3)
        for label, time in (("t = 8", 8), ("t = k", k)):
            theory = share_of_weights(sa.State.at(curve, time))
            found.setdefault(label, []).append(theory)
            mean, error = simulated_share(k, time, d, runs, method=method)
            print(f"  k = {k}, {label}, {method}, d = {d}: {mean:.4f} ± {error:.4f}, {theory:.4f}")
    for label, time in (("t = 8", 8), ("t = k", 100)):
        mean, error = simulated_share(100, time, 2000, 1, method="reduced")
        value, slope = extrapolated(np.array([20, 50]), np.array(found[label]), 100)
        print(f"  k = 100, {label}, reduced, d = 2000: {mean:.4f} ± {error:.4f}, ", end="")
        print(f"by the exponent {slope:+.2f} from 20 to 50: {value:.4f}")
    print("one ridge 0.1 for all k, t = 80: share, 1 / (1 + c_delta beta k / 2 lambda)")
    for k in (3, 10, 20):
        problem = softmax(k, ridge=0.1)
        curve = sa.integrate_curves(problem, sa.State.zero(problem), [0, 80], tolerance=2e-3)
        share = share_of_weights(sa.State.at(curve, 80))
        print(f"  k = {k}: theory {share:.4f}, {1 / (1 + k / 200):.4f}")
    mean, error = simulated_share(100, 80, 4000, 1, method="reduced", ridge=0.1)
    print(f"  k = 100, reduced, d = 4000: {mean:.4f} ± {error:.4f}, {1 / (1 + 100 / 200):.4f}")


def figure(ks: Array, table: dict[int, dict[str, float]]):
    """Shares, and outliers beside the bulk, over the number of classes."""
    from matplotlib.figure import Figure

    shown = Figure(figsize=(9.4, 3.7), layout="constrained")
    left, right = shown.subplots(1, 2)
    for label, marker in (("t = 8", "s"), ("t = k", "o"), ("end", "^")):
        left.plot(ks, [table[int(k)][f"share, {label}"] for k in ks], marker + "-", label=label)
    left.set(ylabel="share of the weights in the span of the means", ylim=(0, 1.05))
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


def limit(plot: str | None) -> None:
    """Print how many samples a dimension show the outliers, and when the first one emerges."""
    ks = (3, 4, 5, 6)
    print(f"M/d from which samples show outliers of block (1, 1), k = {', '.join(map(str, ks))}")
    rows: dict[str, list[float]] = {}
    for k in ks:
        problem = softmax(k)
        curve = sa.solve_curve(problem, sa.State.zero(problem), 16.0 * k, tolerance=2e-3)
        zero = sa.State(np.zeros((k, k)), np.zeros((k, k)))
        for label, state, count in (
            ("k-th, zero weights", zero, k),
            ("first, end", curve.state(16.0 * k), 1),
            ("k-th, end", curve.state(16.0 * k), k),
        ):

            def shown(log_ratio: float, problem=problem, state=state, count=count) -> bool:
                return outliers_of(problem, state, float(np.exp(log_ratio))) >= count

            found = np.exp(first_point(shown, np.log(0.01), np.log(30), 0.01))
            rows.setdefault(label, []).append(float(found))
    for label, y in rows.items():
        show(label, ks, y)
    print(f"  (k / lambda)^2: {' '.join(f'{(k / 10) ** 2:.3g}' for k in ks)}")
    print("emergence of the first outlier, lambda = 4, M/d = 1: time, over k")
    times, late = [], (6, 7, 8)
    for k in late:
        problem = softmax(k, 4.0)
        curve = sa.solve_curve(problem, sa.State.zero(problem), float(k), tolerance=2e-3)

        def emerged(time: float, problem=problem, curve=curve) -> bool:
            return outliers_of(problem, curve.state(time), 1.0) >= 1

        times.append(first_point(emerged, 0.0, float(k), 0.01 * k))
        print(f"  k = {k}: {times[-1]:.2f}, {times[-1] / k:.3f}")
    show("time of emergence", late, times)
    k, d = 8, 400
    problem = softmax(k)
    state = sa.State.at(sa.solve_curve(problem, sa.State.zero(problem), 16.0 * k), 16.0 * k)
    whole = {"block": (0, 0), "regularized": False}
    found = sa.effective_spectrum(problem, state, 4.0, density=False, **whole)
    tops = [
        sa.empirical_spectrum(
            problem, state, dimension=d, samples=4 * d, seed=seed, count=2, **whole
        ).eigenvalue.values
        for seed in range(20)
    ]
    mean, error = np.mean(tops, axis=0), np.std(tops, axis=0, ddof=1) / len(tops) ** 0.5
    population = block_numbers(problem, state, "hessian")
    print(f"k = {k}, end, M/d = 4: outliers {found.outliers.values.round(5)}, edge ", end="")
    print(
        f"{found.edges.values[-1, -1]:.5f}; data, d = {d}: {mean[0]:.5f} ± {error[0]:.5f}, ", end=""
    )
    print(f"{mean[1]:.5f} ± {error[1]:.5f}; population ", end="")
    print(f"{population['first outlier'] + population['bulk']:.5f}")


# --- the XOR network ------------------------------------------------------------------------------

OWN = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
SIGN = np.array([1, 1, -1, -1])


def network(width: int, precision: float = 100.0) -> sa.Problem:
    """The XOR network with ReLU units."""
    numbers = {"precision": precision, "ridge": 0.05, "step": 1}
    return sa.Problem(sa.xor(width), weights=np.full(4, 0.25), **numbers)


def balanced_start(width: int) -> sa.State:
    """Weights and readout of size 1 / sqrt(K), units leaning to the four clusters in turn."""
    cluster = np.arange(width) % 4
    size = width**-0.5
    return sa.State(0.4 * size * OWN[cluster], np.eye(width) / width, size * SIGN[cluster])


def network_numbers(problem: sa.Problem, state: sa.State) -> dict[str, float]:
    """Blocks of the first unit and of the second layer: outliers, bulk, and share of the weights.

    A ReLU has two Hessians: the mean of those of samples, and that of the population loss, which
    also counts what happens at the kinks.
    """
    found = {"share of the weights": share_of_weights(state), "v_1^2": float(state.readout[0] ** 2)}
    rules = ["almost-everywhere", "distributional"][: 1 if problem.model.units > 16 else 2]
    numbers = {"regularized": False, "tolerance": 4e-3 / problem.model.units}
    for rule in rules:
        blocks = sa.derive_hessian(problem.model, regularized=False, kink_rule=rule)
        block = sa.population_block(problem, state, block=(0, 0), blocks=blocks, **numbers)
        level = float(block.bulk[0, 0])
        values = np.linalg.eigvalsh(block.matrix)[::-1] - level
        name = "of samples" if rule == rules[0] else "of the loss"
        found[f"block (1, 1) {name}, 1st outlier"] = values[0]
        found[f"block (1, 1) {name}, 2nd outlier"] = values[1]
        found[f"block (1, 1) {name}, bulk"] = level
    second = sa.population_block(problem, state, block="readout", **numbers)
    behind = np.linalg.eigvalsh(second.matrix)[::-1]
    found |= {"layer 2, 1st eigenvalue": behind[0], "layer 2, 4th eigenvalue": behind[3]}
    found["layer 2, rank"] = int(np.sum(behind > 0.01 * behind[0]))
    return found


def random_ends(width: int, runs: int, precision: float) -> tuple[sa.Problem, object]:
    """Ends of the reduced chain from random weights and random signs of the readout."""
    problem, generator, d = network(width, precision), np.random.default_rng(width), 200
    starts = []
    for _ in range(runs):
        readout = tuple(0.5 * generator.choice([-1.0, 1.0], size=width))
        start = sa.RandomStart(0.1, readout)
        starts.append(start.draw(problem.model, problem.parameters, d, generator))
    ends = sa.simulate_sgd(problem, starts, [100], d, runs, seed=1, method="reduced")
    return problem, ends.isel(time=-1)


def by_chance(width: int) -> float:
    """Probability that every cluster is picked by a unit, if each picks one of four by chance."""
    return 1 - 4 * 0.75**width + 6 * 0.5**width - 4 * 0.25**width


def width(plot: str | None) -> None:
    """Print the tables of the XOR network."""
    table = {}
    for size in WIDTHS:
        problem, start = network(size), balanced_start(size)
        curve = sa.integrate_curves(problem, start, [0, 16], tolerance=3e-3)
        table[size] = network_numbers(problem, sa.State.at(curve, 16))
    problem, start = network(50), balanced_start(50)
    runs = sa.simulate_sgd(problem, start, [16], 10_000, 1, seed=1, method="reduced")
    table[50] = network_numbers(problem, sa.State.at(runs, runs.time.values[0]))
    sizes = (*WIDTHS, 50)
    print(f"XOR network, K = {', '.join(map(str, sizes))}, t = 16; the last by the reduced chain")
    for name in table[4]:
        kept = [size for size in sizes if name in table[size]]
        y = [table[size][name] for size in kept]
        if name == "layer 2, rank":
            print(f"  {name:36}{' '.join(map(str, y))}")
        else:
            show(name, kept, y)
    print(
        "all four clusters told apart, reduced chain, lambda = 10^6: share of 200 runs, by chance"
    )
    for size in (4, 8, 16):
        problem, ends = random_ends(size, 200, 1e6)
        counts = separated_clusters(ends, problem.parameters).sum(axis=1)
        hit, expected = float(np.mean(counts == 4)), by_chance(size)
        error = (expected * (1 - expected) / len(counts)) ** 0.5
        print(f"  K = {size}: {hit:.3f}, {expected:.3f} ± {error:.3f}")
        if size == 8:
            print_ranks(problem, ends, counts)


def print_ranks(problem: sa.Problem, ends, counts: Array) -> None:
    """Rank of the block of the second layer at ends that tell one to four clusters apart."""
    for found in range(1, 5):
        where = np.flatnonzero(counts == found)
        if not where.size:
            continue
        state = sa.State.at(ends, replica=int(ends.replica.values[where[0]]))
        block = sa.population_block(problem, state, block="readout", regularized=False)
        values = np.linalg.eigvalsh(block.matrix)[::-1]
        rank = int(np.sum(values > 1e-3 * values[0]))
        print(f"    {found} clusters ({where.size} runs): rank of layer 2 {rank}")


if __name__ == "__main__":
    commands = {"classes": classes, "shares": shares, "limit": limit, "width": width}
    commands[sys.argv[1] if len(sys.argv) > 1 else "classes"](*(sys.argv[2:3] or [None]))
