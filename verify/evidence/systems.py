"""The systems `specalign verify` knows: a model, settings to test it in, and the statements it has
to meet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from numerics import Parameters, State
from theory import InputError, Model, kgmm, separated_fixed_point, softmax_fixed_point, xor
from theory.keywords import with_known_keywords
from theory.names import CLUSTERS, COORDINATES, LABELS

from .networks import mlp_kgmm_system, mlp_xor_system
from .system import OutcomeStudy as OutcomeStudy
from .system import Scenario as Scenario
from .system import System as System

# fmt: off
COMMON_CHECKS = (
    "curves", "finite_size", "chain", "universality", "risk", "alignment", "blocks", "curvature",
    "span", "eigenspaces", "concentration", "proportional", "large_aspect", "train_spectra",
    "precision_exponents", "routes",
)
# fmt: on
SINGLE_LAYER_CHECKS = (*COMMON_CHECKS, "top_vector", "fixed_point", "fluctuations", "stationary")
TWO_LAYER_CHECKS = (*COMMON_CHECKS, "second_layer", "separated_points", "outcomes")


def kgmm_system(k: int = 3) -> System:
    """The single-layer system of arXiv 2310.03010: k classes, softmax regression."""
    model = kgmm(k)
    rng = np.random.default_rng(
        20231003
    )  # fixed initial conditions: part of the definition, not of a run
    small = 0.3 * rng.normal(size=(k, k))
    perpendicular = 0.5 * np.eye(k) + 0.1
    weights = np.linspace(1.5, 0.5, k)
    weights /= weights.sum()
    offsets = np.subtract.outer(np.arange(k), np.arange(k))
    correlated = np.where(offsets == 0, 1.0, 0.4 * (-0.5) ** (np.abs(offsets) - 1))
    return System(
        name="kgmm",
        model=model,
        scenarios=(
            Scenario(
                "orthonormal",
                Parameters(weights, 10.0, 0.1, 2.0),
                State(small, perpendicular),
                (1.0, 2.0, 4.0, 8.0),
            ),
            Scenario(
                "correlated",
                Parameters(weights[::-1], 4.0, 0.05, 2.0, correlated),
                State(-small, perpendicular),
                (1.0, 2.0, 4.0, 8.0),
            ),
        ),
        trained=lambda precision: (
            Scenario(
                f"aligned, lambda = {precision:g}",
                Parameters(np.full(k, 1.0 / k), precision, 0.2, 1.0),
                State(small, 0.1 * np.eye(k)),
                (30.0,),
            ),
        ),
        precisions=(8.0, 32.0, 128.0, 512.0),
        checks=SINGLE_LAYER_CHECKS,
        description=f"{k}-component Gaussian mixture, softmax regression",
        implicit=softmax_fixed_point(kgmm(k, directions_gram="orthonormal")),
        full_spectra=True,
    )


# every cluster has a unit, one has two: all clusters are separated, and the four features do not
# fill R^5
OPTIMAL = ("mu", "-mu", "nu", "-nu", "mu")
# nobody picks -nu: rank 3
SUB_OPTIMAL = ("mu", "mu", "-mu", "nu", "nu")


def xor_system() -> System:
    """The two-layer system of arXiv 2310.03010: XOR clusters, five ReLU units, logistic loss.

    Five units, not four: with four the span of the four feature vectors is all of R^4 and nothing
    could be misaligned with it.
    """
    width = len(OPTIMAL)
    model = xor(width)
    rng = np.random.default_rng(
        20231004
    )  # fixed initial conditions: part of the definition, not of a run
    noise, perpendicular = 0.05 * rng.normal(size=(2, width, 2)), 0.2 * np.eye(width) + 0.05
    readout_noise = 0.1 * rng.uniform(-1, 1, size=(2, width))

    def leaning(assignment: Sequence[str], i: int) -> State:
        """Every unit leans towards its cluster by more than the noise of the summary statistics at
        any d used.
        """
        directions, signs = picks(assignment)
        return State(0.4 * directions + noise[i], perpendicular, 0.6 * signs + readout_noise[i])

    def trained(precision: float) -> tuple[Scenario, ...]:
        return tuple(
            _near_fixed_point(model, name, assignment, precision)
            for name, assignment in (("optimal", OPTIMAL), ("sub-optimal", SUB_OPTIMAL))
        )

    return System(
        name="xor",
        model=model,
        scenarios=(
            Scenario(
                "optimal",
                Parameters([0.3, 0.25, 0.25, 0.2], 20.0, 0.04, 1.0, np.eye(2)),
                leaning(OPTIMAL, 0),
                (1.0, 2.0, 4.0, 8.0),
                3e-4,
            ),
            Scenario(
                "sub-optimal",
                Parameters([0.25, 0.2, 0.25, 0.3], 40.0, 0.05, 2.0, np.eye(2)),
                leaning(SUB_OPTIMAL, 1),
                (1.0, 2.0, 4.0, 8.0),
                3e-4,
            ),
        ),
        trained=trained,
        precisions=(32.0, 128.0, 512.0, 2048.0),
        checks=TWO_LAYER_CHECKS,
        quadrature=1e-5,
        replica_share=0.5,
        description=f"XOR mixture, two-layer ReLU network of {width} units",
        outcomes=OutcomeStudy(
            xor(4),
            0.02,
            (4 / 256, 84 / 256, 144 / 256, 24 / 256),
            64,
            (1e6, 640.0, 64.0, 64.0 / 3),
            (80.0, 120.0, 160.0, 200.0),
        ),
    )


def picks(assignment: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Direction (K x 2) and sign of the readout of units that pick the named clusters."""
    chosen = [CLUSTERS.index(name) for name in assignment]
    return np.array(COORDINATES, dtype=float)[chosen], np.where(
        np.array(LABELS)[chosen] == 1, 1.0, -1.0
    )


def _near_fixed_point(
    model: Model, name: str, assignment: Sequence[str], precision: float
) -> Scenario:
    """A start at the noiseless fixed point, from where the rest is relaxation to that of the given
    precision.

    At the end of the run exp(-2 beta t) = 0.2 % is left of the initial R_perp, which is of the
    order of the stationary one at every precision: what is measured then is not what was put in.
    """
    parameters = Parameters(np.full(4, 0.25), precision, 0.08, 1.0, np.eye(2))
    point = separated_fixed_point(xor(model.units, weights=["1/4"] * 4, ridge="2/25"), assignment)
    readout = np.empty(model.units)
    for l, square in point.squared_norms.items():
        members = list(point.members[l])
        readout[members] = np.sqrt(float(square) / len(members))
    directions, signs = picks(assignment)
    state = State(
        readout[:, None] * directions, np.eye(model.units) / (2 * precision), signs * readout
    )
    return Scenario(f"{name}, lambda = {precision:g}", parameters, state, (40.0,), 1e-3, point)


SYSTEMS: dict[str, Callable[[], System]] = {
    "kgmm": kgmm_system,
    "xor": xor_system,
    "mlp_kgmm": mlp_kgmm_system,
    "mlp_xor": mlp_xor_system,
}
# the systems of arXiv 2310.03010, which `specalign verify` judges where nothing is said
PAPER_SYSTEMS = ("kgmm", "xor")
# a word of the command -> the systems it stands for
GROUPS = {"paper": PAPER_SYSTEMS, "mlp": ("mlp_kgmm", "mlp_xor"), "all": tuple(SYSTEMS)}


@with_known_keywords
def get_system(name: str) -> System:
    """Return a system by name.

    Examples
    --------
    >>> get_system("xor")
    System('xor', model 'xor5', 2 scenarios, 19 checks)
    """
    if not isinstance(name, str) or name not in SYSTEMS:
        raise InputError(
            "system", repr(name), f"one of {sorted(SYSTEMS)}", "see specalign verify --help"
        )
    return SYSTEMS[name]()
