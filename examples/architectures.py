"""Do convolution and attention align with the outliers of their blocks, and in which space?

``python examples/architectures.py [figure.png] [--json FILE]``

A sample is two tokens.  The first has the mean e_1 or -e_1, by its class; the second has the mean
e_2 in both classes.  Two networks read it: two filters that slide over the tokens, and one layer
of attention with softmax scores.  Printed are the shares of weights and of outlier eigenvectors in
the spans of all means and of each token's mean, along training, by theory, by SGD and by blocks of
samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import sympy as sp
from measured import arguments, mean_and_error, write_json

import specalign as sa

TIMES = [0.0, 2.0, 8.0, 32.0]
PRECISION, RIDGE, DIMENSION, RUNS = 10.0, 0.02, 400, 10
TOKENS = [[[1, 0], [0, 1]], [[-1, 0], [0, 1]]]
Array = np.ndarray


# --- two networks ---------------------------------------------------------------------------------


def convolution(u: list, softmax: Callable) -> sp.Expr:
    """Two filters with tanh, their outputs summed over both patches."""
    return sum(sp.tanh(seen) for row in u for seen in row)


def attention(u: list, softmax: Callable) -> sp.Expr:
    """The values of both tokens, weighted by the softmax of their scores."""
    score, value = u
    return sum(softmax(p, score) * value[p] for p in range(2))


NETWORKS = {"convolution": convolution, "attention": attention}
UNITS = {"convolution": ("filter 1", "filter 2"), "attention": ("score", "value")}


def problem_of(name: str) -> sa.Problem:
    """The network under the logistic loss."""
    u, y = sa.symbols.tokens("u", 2, 2), sa.symbols.LABEL
    f = NETWORKS[name](u, lambda p, row: sa.Softmax(p + 1, *row))
    gauge = sp.ImmutableDenseMatrix([1, 0, 1, 0]) if name == "attention" else None
    loss = sa.Loss(sa.Softplus(f) - y * f, units=2, tokens=2, gauge=gauge)
    model = sa.Model.build(sa.Mixture.build(labels=[1, 0], tokens=TOKENS), loss, name=name)
    return sa.Problem(model, weights=[0.5, 0.5], precision=PRECISION, ridge=RIDGE, step=1)


def start_of(name: str) -> sa.State:
    """Weights of length about 1/2 that lean a little to the signal; of two filters one to e_1, the
    other to neither mean.
    """
    overlap = {"convolution": [[0.1, 0], [0.02, 0]], "attention": [[0.05, 0], [0.1, 0]]}[name]
    return sa.State(overlap, 0.25 * np.eye(2))


# --- shares ---------------------------------------------------------------------------------------


def shares(vectors: Array, directions: Array) -> Array:
    """Share of the squared length of each row in the span of all means, of the first and of the
    second token's mean, which are orthonormal.
    """
    inside = (vectors @ directions.T) ** 2 / np.sum(vectors**2, axis=1, keepdims=True)
    return np.column_stack([inside.sum(axis=1), inside])


def shares_of_weights(overlap: Array, gram_perp: Array) -> Array:
    """The same of the rows of weights with these statistics."""
    total = np.sum(overlap**2, axis=-1) + np.diagonal(gram_perp, axis1=-2, axis2=-1)
    inside = overlap**2 / total[..., None]
    return np.concatenate([inside.sum(axis=-1, keepdims=True), inside], axis=-1)


def leading(values: Array, level: float, count: int = 2) -> Array:
    """The eigenvalues that lie farthest from the bulk, by their numbers."""
    return np.argsort(-np.abs(values - level), kind="stable")[:count]


def population_outliers(problem: sa.Problem, state: sa.State, unit: int, matrix: str):
    """Two outliers of a unit's block, their shares, and the bulk."""
    found = sa.population_block(
        problem, state, matrix=matrix, block=(unit, unit), regularized=False, tolerance=1e-5
    )
    values, vectors = np.linalg.eigh(found.matrix)
    level = float(found.bulk[0, 0])
    top = leading(values, level)
    directions = np.eye(found.basis.rank)[: found.basis.directions]
    return values[top], shares(vectors.T[top], directions), level


# --- samples, without anything derived ------------------------------------------------------------


def sample_weights(name: str, matrix: str, unit: int) -> Callable[..., list[list[Array]]]:
    """The weights D_pp' of Y_p Y_p'^T in a unit's block, from the loss in elementary functions."""
    u = [list(sp.symbols(f"u{a}_1:3")) for a in range(2)]
    y = sp.Symbol("y")
    f = NETWORKS[name](u, lambda p, row: 1 / sum(sp.exp(other - row[p]) for other in row))
    loss = sp.log(1 + sp.exp(f)) - y * f
    slope = [sp.diff(loss, seen) for seen in u[unit]]
    if matrix == "gradient":
        rows = [[g * h for h in slope] for g in slope]
    else:
        rows = [[sp.diff(g, seen) for seen in u[unit]] for g in slope]
    return sp.lambdify([*u[0], *u[1], y], rows, "numpy", cse=True)


def sampled_outliers(name: str, weights: Array, unit: int, matrix: str, ratio: int, seed: int):
    """Two outliers of a block of ratio * d samples at these weights, and their shares; the means
    are the first two coordinates.
    """
    d, generator = weights.shape[1], np.random.default_rng(seed)
    count = ratio * d
    y = (np.arange(count) % 2 == 0).astype(float)
    tokens = generator.normal(scale=PRECISION**-0.5, size=(2, count, d))
    tokens[0, :, 0] += 2 * y - 1
    tokens[1, :, 1] += 1
    seen = np.einsum("ad,pnd->apn", weights, tokens)
    terms = sample_weights(name, matrix, unit)(*seen[0], *seen[1], y)
    block = sum(
        (tokens[p] * np.broadcast_to(terms[p][q], count)[:, None]).T @ tokens[q]
        for p in range(2)
        for q in range(2)
    )
    values, vectors = np.linalg.eigh((block + block.T) / (2 * count))
    top = leading(values, float(np.median(values)))
    return values[top], shares(vectors.T[top], np.eye(2, d))


# --- tables ---------------------------------------------------------------------------------------


def weights_rows(name: str, times: list[float] = TIMES, seed: int = 1) -> list[dict]:
    """Shares of the weights along training: theory, and SGD with its standard error."""
    problem, start = problem_of(name), start_of(name)
    curve = sa.integrate_curves(problem, start, times, tolerance=1e-4)
    runs = sa.simulate_sgd(problem, start, times, DIMENSION, RUNS, seed=seed)
    measured = shares_of_weights(runs.overlap.values, runs.gram_perp.values)
    rows = []
    for i, time in enumerate(times):
        state = sa.State.at(curve, time)
        theory = shares_of_weights(state.overlap, state.gram_perp)
        for a, unit in enumerate(UNITS[name]):
            row = {"t": time, "unit": unit, "theory": theory[a].tolist()}
            rows.append(row | mean_and_error(measured[:, i, a]))
    return rows


def block_rows(name: str, times: list[float] = TIMES) -> Iterator[dict]:
    """Outliers of the blocks: population, and samples at the last of the times."""
    problem = problem_of(name)
    curve = sa.integrate_curves(problem, start_of(name), times, tolerance=1e-4)
    for time in times:
        state = sa.State.at(curve, time)
        for a, unit in enumerate(UNITS[name]):
            for matrix, letter in (("hessian", "H"), ("gradient", "G")):
                values, inside, level = population_outliers(problem, state, a, matrix)
                row = {"t": time, "unit": unit, "block": letter, "values": values.tolist()}
                row |= {"shares": inside.tolist(), "bulk": level}
                if time == TIMES[-1]:
                    row |= beside_samples(name, problem, state, a, matrix)
                yield row


def beside_samples(
    name: str, problem: sa.Problem, state: sa.State, unit: int, matrix: str, first: int = 0
) -> dict[str, list[float]]:
    """The first outlier of samples, M/d = 100, with its shares: mean and standard error."""
    weights = np.asarray(sa.realise_weights(problem, state, 200)[1])
    seeds = range(first, first + 5)
    found = [sampled_outliers(name, weights, unit, matrix, 100, seed) for seed in seeds]
    return mean_and_error(np.array([[values[0], *inside[0]] for values, inside in found]))


def triple(numbers: list[float]) -> str:
    return " ".join(f"{number:.3f}" for number in numbers)


def print_tables(name: str, weights: list[dict], blocks: list[dict]) -> None:
    """What was found of a network."""
    print(f"{name}: shares of the weights in the spans of all means, e_1, e_2; theory, SGD")
    for row in weights:
        pairs = zip(row["mean"], row["error"], strict=True)
        beside = " ".join(f"{m:.3f}±{e:.3f}" for m, e in pairs)
        print(f"  t {row['t']:g} {row['unit']:9} {triple(row['theory'])}; {beside}")
    print(f"{name}: two outliers of the unit's block, each with its shares; bulk; samples beside")
    for row in blocks:
        pairs = zip(row["values"], row["shares"], strict=True)
        parts = ", ".join(f"{value:.4f} ({triple(shares)})" for value, shares in pairs)
        line = f"  t {row['t']:g} {row['unit']:9} {row['block']} {parts}; bulk {row['bulk']:.4f}"
        if "mean" in row:
            pairs = zip(row["mean"], row["error"], strict=True)
            line += "; samples " + " ".join(f"{m:.4f}±{e:.4f}" for m, e in pairs)
        print(line)


def main() -> None:
    """Print the tables of both networks."""
    chosen = arguments(__doc__)
    found = {}
    for name in NETWORKS:
        found[name] = {"weights": weights_rows(name), "blocks": list(block_rows(name))}
        print_tables(name, **found[name])
    write_json(found, chosen.json)
    if chosen.figure:
        courses = {
            name: sa.integrate_curves(
                problem_of(name), start_of(name), np.linspace(0, 32, 65), tolerance=1e-3
            )
            for name in NETWORKS
        }
        sa.plot.save(figure(courses), chosen.figure)


def figure(courses: dict):
    """Shares of the weights over time, a panel a network."""
    from matplotlib.figure import Figure

    shown = Figure(figsize=(9.0, 3.5), layout="constrained")
    for axes, (name, curve) in zip(shown.subplots(1, 2), courses.items(), strict=True):
        inside = shares_of_weights(curve.overlap.values, curve.gram_perp.values)
        for a, unit in enumerate(UNITS[name]):
            for column, style, label in ((1, "-", "e_1"), (2, "--", "e_2")):
                text = f"{unit}, ${label}$"
                axes.plot(curve.time, inside[:, a, column], style, color=f"C{a}", label=text)
        axes.set(title=name, xlabel="time t", ylim=(-0.02, 1.02))
        axes.set_ylabel("share of the weights along a mean")
        axes.grid(True, color="#e3e3e3")
        axes.legend(fontsize=8, frameon=False)
    return shown


if __name__ == "__main__":
    main()
