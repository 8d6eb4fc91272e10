"""Does training happen in the outlier space?

``python examples/dominant_space.py kgmm|xor [--json FILE]``

Three rules (plain SGD; steps projected onto the span of the means, "dominant", or off it, "bulk")
by theory, reduced chain and direct runs; where the gradient lies; and the step at which its share
in that span would stop falling.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from measured import arguments, mean_and_error, write_json

import specalign as sa
from verify.settings.configuration import Configuration

RULES = {"plain": None, "dominant": "dominant", "bulk": "bulk"}
TIMES = {"kgmm": [0, 1, 4, 16], "xor": [0, 0.5, 1, 2, 4]}
TOLERANCE = 1e-7  # of expectations: shares are known better than they are printed
DIMENSIONS = {"reduced": 2000, "direct": 400}


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
    return compiled.estimate(problem.parameters.with_step(step), state, tolerance=TOLERANCE).values


def gradient_on_span(problem: sa.Problem, state: sa.State) -> tuple[np.ndarray, np.ndarray]:
    """Gram matrices (C x C) of the parts of the population gradient in the span of the directions
    and off it.
    """
    layer = sa.derive_gradient(problem.model).first_layer
    compiled = sa.compile_expressions(problem.model, tuple(layer))
    found = compiled.estimate(problem.parameters, state, tolerance=TOLERANCE).values
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
    rows = compiled.estimate(problem.parameters, state, tolerance=TOLERANCE).values
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


def moved(state: sa.State, change: np.ndarray) -> sa.State:
    """A state whose statistics are changed by a vector."""
    c, r = state.overlap.shape
    overlap, perp, readout = np.split(state.flatten() + change, [c * r, c * r + c * (c + 1) // 2])
    full, rows = np.zeros((c, c)), np.triu_indices(c)
    full[rows] = full[rows[::-1]] = perp
    return sa.State(overlap.reshape(c, r), full, readout)


def share_rates(problem: sa.Problem, state: sa.State, small: float = 0.02) -> tuple[float, float]:
    """How fast the share of the gradient in the span grows in time: without corrector, and what a
    unit of c_delta adds.  The drift is affine in c_delta, so the sign turns at minus their ratio.
    """
    rates = []
    for step in (1.0, 2.0):
        drift = drift_at(problem, state, step)
        # a difference of fourth order: up to `small`^4, and errors of expectations over `small`
        near, far = (
            share(problem, moved(state, n * small * drift))
            - share(problem, moved(state, -n * small * drift))
            for n in (1, 2)
        )
        rates.append((8 * near - far) / (12 * small))
    return 2 * rates[0] - rates[1], rates[1] - rates[0]


def losses_by_rule(problem: sa.Problem, start: sa.State, times: list[float]) -> dict[str, Any]:
    """Loss and accuracy along the effective dynamics of each rule, and its overlap m_11 and
    alignment at the end.
    """
    found = {}
    for label, rule in RULES.items():
        trained = problem_with(problem, rule)
        curve = sa.integrate_curves(trained, start, times, tolerance=1e-3)
        risk = sa.population_risk(trained, curve, tolerance=3e-3)
        end = curve.isel(time=-1)
        found[label] = {
            "loss": risk.loss.values.tolist(),
            "accuracy": risk.accuracy.values.tolist(),
            "end": [float(end.overlap[0, 0]), 1 - float(end.misalignment[0]) ** 2],
        }
        cells = zip(times, risk.loss.values, risk.accuracy.values, strict=True)
        row = "; ".join(f"t {t:g}: {loss:.3f} {accuracy:.3f}" for t, loss, accuracy in cells)
        print(f"  {label:9}{row}")
    return found


def simulated_end(
    problem: sa.Problem, start: sa.State, end: float, method: str, seed: int = 1
) -> dict[str, Any]:
    """Overlap m_11 and alignment at the end: means over ten runs, with their standard errors."""
    d = DIMENSIONS[method]
    runs = sa.simulate_sgd(problem, start, [end], d, 10, seed=seed, method=method)
    aligned = 1 - runs.misalignment[:, -1, 0].values ** 2
    return mean_and_error(np.column_stack([runs.overlap[:, -1, 0, 0].values, aligned]))


def ends_by_rule(problem: sa.Problem, start: sa.State, end: float) -> dict[str, Any]:
    """The same of each rule, by the reduced chain and by direct runs."""
    found = {}
    for label, rule in RULES.items():
        trained = problem_with(problem, rule)
        found[label] = {m: simulated_end(trained, start, end, m) for m in DIMENSIONS}
        cells = [
            ", ".join(f"{x:.4f} ± {e:.4f}" for x, e in zip(at["mean"], at["error"], strict=True))
            for at in found[label].values()
        ]
        print(f"  {label:9}{'; '.join(cells)}")
    return found


def gradient_row(problem: sa.Problem, state: sa.State, time: float) -> dict[str, float]:
    """Where the gradient lies, and how fast its share in the span grows."""
    shares = {
        "span": share(problem, state),
        "outliers": share_in_outliers(problem, state),
        "batch": share_of_batch(problem, state),
    }
    rate, by_step = share_rates(problem, state)
    cells = [*(f"{x:.3f}" for x in shares.values()), f"{rate:+.4f}", f"{by_step:+.4f}"]
    print(f"  t {time:g}: {', '.join(cells)}")
    return {"t": time, **shares, "rate": rate, "by step": by_step}


def main(name: str) -> dict[str, Any]:
    """The three tables of a system."""
    problem, start = Configuration(name=name).problem()
    times = TIMES[name]
    print(f"{name}: loss and accuracy, theory (d to infinity)")
    found: dict[str, Any] = {"times": times, "theory": losses_by_rule(problem, start, times)}
    print("overlap m_11 and alignment at the end: reduced chain d = 2000, SGD d = 400")
    found["ends"] = ends_by_rule(problem, start, times[-1])
    print("plain SGD, share of the gradient: in the span, in the outliers, in the span of a batch")
    print("of d samples; and the rate of the first: without corrector, for each unit of c_delta")
    curve = sa.integrate_curves(problem, start, times, tolerance=1e-6)
    found["gradient"] = [gradient_row(problem, sa.State.at(curve, t), t) for t in times]
    return found


if __name__ == "__main__":
    chosen = arguments(__doc__, TIMES, draws=False)
    write_json(main(chosen.name), chosen.json)
