"""Does training happen in the outlier space?  ``python examples/dominant_space.py kgmm|xor``

Three rules (plain SGD; steps projected onto the span of the means, "dominant", or off it, "bulk")
by theory, reduced chain and direct runs; where the gradient lies; and the step at which its share
in that span would stop falling.
"""

from __future__ import annotations

import sys

import numpy as np

import specalign as sa
from verify.settings.configuration import Configuration

RULES = {"plain": None, "dominant": "dominant", "bulk": "bulk"}
TIMES = {"kgmm": [0, 1, 4, 16], "xor": [0, 0.5, 1, 2, 4]}


def problem_with(problem: sa.Problem, rule: str | None) -> sa.Problem:
    """The problem trained by a rule."""
    if rule is None:
        return problem
    model = problem.model.with_update(sa.Update(project=rule))
    return sa.Problem(model, problem.parameters)


def drift_at(problem: sa.Problem, state: sa.State, step: float) -> np.ndarray:
    """The plain drift of all statistics at a step."""
    vector = sa.derive_drift(problem.model).vector
    compiled = sa.compile_expressions(problem.model, vector)
    return compiled.estimate(problem.parameters.with_step(step), state, tolerance=1e-4).values


def gradient_on_span(problem: sa.Problem, state: sa.State) -> tuple[np.ndarray, np.ndarray]:
    """Gram matrices (C x C) of the parts of the population gradient in the span of the directions
    and off it.
    """
    layer = sa.derive_gradient(problem.model).first_layer
    compiled = sa.compile_expressions(problem.model, tuple(layer))
    found = compiled.estimate(problem.parameters, state, tolerance=1e-4).values
    on_directions, on_weights = np.hsplit(found.reshape(layer.shape), [problem.model.directions])
    gram = problem.parameters.directions_gram
    inside = on_directions + on_weights @ state.overlap @ np.linalg.inv(gram)
    return inside @ gram @ inside.T, on_weights @ state.gram_perp @ on_weights.T


def share(problem: sa.Problem, state: sa.State) -> float:
    """Share of the squared population gradient in the span of the directions."""
    inside, off = gradient_on_span(problem, state)
    return float(np.trace(inside) / (np.trace(inside) + np.trace(off)))


def share_of_batch(problem: sa.Problem, state: sa.State) -> float:
    """The same of the gradient of a batch of d samples, to leading order in d: its noise has the
    squared length Tr E[g g^T] / lambda, all of it off the span.
    """
    inside, off = map(np.trace, gradient_on_span(problem, state))
    rows = np.triu_indices(problem.model.units)
    corrector = drift_at(problem, state, 2.0) - drift_at(problem, state, 1.0)
    first = state.overlap.size
    noise = corrector[first : first + rows[0].size][rows[0] == rows[1]].sum()
    return float(inside / (inside + off + noise))


def share_in_outliers(problem: sa.Problem, state: sa.State) -> float:
    """Mean over units of the share of a unit's population gradient in the outlier eigenvectors of
    its own Hessian block, as many as there are directions; NaN where the errors do not tell their
    space from the bulk.
    """
    layer = sa.derive_gradient(problem.model).first_layer
    compiled = sa.compile_expressions(problem.model, tuple(layer))
    rows = compiled.estimate(problem.parameters, state, tolerance=1e-4).values
    m, gram = state.overlap, problem.parameters.directions_gram
    vectors = np.block([[gram, m.T], [m, state.gram(gram)]])  # Gram matrix of e_s and x^a
    shares = []
    for a, row in enumerate(rows.reshape(layer.shape)):
        found = sa.population_spectrum(problem, state, block=(a, a), tolerance=1e-4)
        if not found.attrs["outliers_separated"]:
            return float("nan")
        top = found.eigenvector.values[found.outlier.values == 1]
        inside = top @ found.basis.values @ vectors @ row
        shares.append(float(inside @ inside / (row @ vectors @ row)))
    return float(np.mean(shares))


def share_rates(problem: sa.Problem, state: sa.State) -> tuple[float, float]:
    """How fast the share of the gradient in the span grows in time: without corrector, and what a
    unit of c_delta adds.  The drift is affine in c_delta, so the sign turns at minus their ratio.
    """
    rates, small = [], 0.05  # a time that lifts the change above errors of expectations
    for step in (1.0, 2.0):
        moved = state.flatten() + small * drift_at(problem, state, step)
        c, r, n = problem.model.units, problem.model.directions, state.overlap.size
        perp, rows = np.zeros((c, c)), np.triu_indices(c)
        perp[rows] = moved[n : n + rows[0].size]
        perp = perp + np.triu(perp, 1).T
        later = sa.State(moved[:n].reshape(c, r), perp, moved[n + rows[0].size :])
        rates.append((share(problem, later) - share(problem, state)) / small)
    return 2 * rates[0] - rates[1], rates[1] - rates[0]


def main(name: str) -> None:
    """Print the three tables of a system."""
    problem, start = Configuration(name=name).problem()
    times = TIMES[name]
    curves = {}
    print(f"{name}: loss and accuracy, theory (d to infinity)")
    for label, rule in RULES.items():
        trained = problem_with(problem, rule)
        curve = curves[label] = sa.integrate_curves(trained, start, times, tolerance=1e-3)
        risk = sa.population_risk(trained, curve, tolerance=3e-3)
        cells = zip(times, risk.loss.values, risk.accuracy.values, strict=True)
        row = "; ".join(f"t {t:g}: {loss:.3f} {accuracy:.3f}" for t, loss, accuracy in cells)
        print(f"  {label:9}{row}")
    print("overlap m_11 and alignment at the end: theory, reduced chain d = 2000, SGD d = 400")
    for label, rule in RULES.items():
        trained, cells = problem_with(problem, rule), []
        for method, d in (("reduced", 2000), ("direct", 400)):
            runs = sa.simulate_sgd(trained, start, [times[-1]], d, 10, seed=1, method=method)
            m = runs.overlap[:, -1, 0, 0].values
            aligned = 1 - runs.misalignment[:, -1, 0].values ** 2
            cells += [f"{m.mean():.4f} ± {m.std(ddof=1) / 10**0.5:.4f}, {aligned.mean():.4f}"]
        end = curves[label].isel(time=-1)
        theory = f"{float(end.overlap[0, 0]):.4f}, {1 - float(end.misalignment[0]) ** 2:.4f}"
        print(f"  {label:9}{theory}; {'; '.join(cells)}")
    print("plain SGD, share of the gradient: in the span, in the outliers, in the span of a batch")
    print("of d samples; and the rate of the first: without corrector, for each unit of c_delta")
    for t in times:
        state = sa.State.at(curves["plain"], t)
        shares = [f(problem, state) for f in (share, share_in_outliers, share_of_batch)]
        rates = share_rates(problem, state)
        cells = [*(f"{x:.3f}" for x in shares), *(f"{x:+.4f}" for x in rates)]
        print(f"  t {t:g}: {', '.join(cells)}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "kgmm")
