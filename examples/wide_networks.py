"""How do shares, outliers and ranks depend on the width of a network?

``python examples/wide_networks.py [--json FILE]``

The XOR network of K hidden units in balanced weights, with the exponent of each quantity over K
and its interval; and how often random weights end where all four clusters are told apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from measured import arguments, law_row, mean_and_error, share_of_weights, write_json

import specalign as sa
from verify.evidence.outcomes import separated_clusters

WIDTHS = (4, 8, 16)
WIDE, CHAINS = 50, 4
Array = np.ndarray

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


def random_ends(width: int, runs: int, precision: float, seed: int) -> tuple[sa.Problem, object]:
    """Ends of the reduced chain from random weights and random signs of the readout."""
    problem, generator, d = network(width, precision), np.random.default_rng([width, seed]), 200
    starts = []
    for _ in range(runs):
        readout = tuple(0.5 * generator.choice([-1.0, 1.0], size=width))
        start = sa.RandomStart(0.1, readout)
        starts.append(start.draw(problem.model, problem.parameters, d, generator))
    ends = sa.simulate_sgd(problem, starts, [100], d, runs, seed=seed, method="reduced")
    return problem, ends.isel(time=-1)


def by_chance(width: int) -> float:
    """Probability that every cluster is picked by a unit, if each picks one of four by chance."""
    return 1 - 4 * 0.75**width + 6 * 0.5**width - 4 * 0.25**width


def width() -> dict[str, Any]:
    """The tables of the XOR network."""
    table = {}
    for size in WIDTHS:
        problem, start = network(size), balanced_start(size)
        curve = sa.integrate_curves(problem, start, [0, 16], tolerance=3e-3)
        table[size] = network_numbers(problem, sa.State.at(curve, 16))
    table[WIDE], errors = wide_numbers()
    sizes = (*WIDTHS, WIDE)
    print(f"XOR network, K = {', '.join(map(str, sizes))}, t = 16; the last by the reduced chain")
    found: dict[str, Any] = {"K": list(sizes), "rows": {}}
    for name in table[4]:
        kept = [size for size in sizes if name in table[size]]
        y = [table[size][name] for size in kept]
        if name == "layer 2, rank":
            print(f"  {name:36}{' '.join(f'{rank:g}' for rank in y)}")
            found[name] = y
        else:
            found["rows"][name] = law_row(name, kept, y) | {"error": errors.get(name)}
    print(
        "all four clusters told apart, reduced chain, lambda = 10^6: share of 200 runs, by chance"
    )
    found["ends"] = {size: share_of_ends(size) for size in (4, 8, 16)}
    return found


def wide_numbers(dimension: int = 5_000, seed: int = 1) -> tuple[dict, dict]:
    """The numbers of 50 units at the states of reduced chains: means and standard errors."""
    problem, start = network(WIDE), balanced_start(WIDE)
    runs = sa.simulate_sgd(problem, start, [16], dimension, CHAINS, seed=seed, method="reduced")
    states = [sa.State.at(runs.isel(replica=[i], time=-1)) for i in range(CHAINS)]
    rows = [network_numbers(problem, state) for state in states]
    found = mean_and_error(np.array([list(row.values()) for row in rows]))
    names = list(rows[0])
    return tuple(dict(zip(names, found[kind], strict=True)) for kind in ("mean", "error"))


def share_of_ends(width: int, runs: int = 200, seed: int = 1) -> dict[str, Any]:
    """How often all four clusters are told apart, and the ranks that tell how many are."""
    problem, ends = random_ends(width, runs, 1e6, seed)
    counts = separated_clusters(ends, problem.parameters).sum(axis=1)
    hit, expected = float(np.mean(counts == 4)), by_chance(width)
    error = (hit * (1 - hit) / runs) ** 0.5
    print(f"  K = {width}: {hit:.3f} ± {error:.3f}, {expected:.3f}")
    found = {"runs": runs, "share": hit, "error": error, "by chance": expected}
    return found | ({"ranks": ranks_of_ends(problem, ends, counts)} if width == 8 else {})


def ranks_of_ends(problem: sa.Problem, ends, counts: Array) -> dict[int, dict[str, int]]:
    """Rank of the block of the second layer at ends that tell one to four clusters apart: that of
    the first such run, and the number of runs.
    """
    found = {}
    for clusters in range(1, 5):
        where = np.flatnonzero(counts == clusters)
        if not where.size:
            continue
        state = sa.State.at(ends, replica=int(ends.replica.values[where[0]]))
        block = sa.population_block(problem, state, block="readout", regularized=False)
        values = np.linalg.eigvalsh(block.matrix)[::-1]
        rank = int(np.sum(values > 1e-3 * values[0]))
        print(f"    {clusters} clusters ({where.size} runs): rank of layer 2 {rank}")
        found[clusters] = {"runs": int(where.size), "rank": rank}
    return found


if __name__ == "__main__":
    write_json(width(), arguments(__doc__, draws=False).json)
