"""Every check with the source of its statement."""

from __future__ import annotations

from collections.abc import Callable

from verify.evidence.evidence import Evidence
from verify.verdict.results import Outcome

from . import blocks as checks_blocks
from . import chain as checks_chain
from . import dynamics as checks_dynamics
from . import effective as checks_effective
from . import risk as checks_risk
from . import separation as checks_separation
from . import spectra as checks_spectra
from .judged_theory import Theory

CheckFunction = Callable[[Theory, Evidence, float], Outcome]

# name -> (function, where the statement comes from)
CHECKS: dict[str, tuple[CheckFunction, str]] = {
    "curves": (checks_dynamics.curves, "arXiv 2206.04030; mathematics.md section 4"),
    "finite_size": (checks_dynamics.finite_size, "mathematics.md sections 4 and 9"),
    "chain": (checks_chain.chain, "mathematics.md section 6"),
    "fluctuations": (
        checks_chain.fluctuations,
        "arXiv 2206.04030, section 2; mathematics.md sections 4 and 6",
    ),
    "stationary": (checks_chain.stationary, "mathematics.md section 4"),
    "universality": (checks_chain.universality, "mathematics.md sections 4 and 6"),
    "alignment": (checks_dynamics.alignment, "arXiv 2310.03010; mathematics.md sections 8 and 9"),
    "risk": (checks_risk.risk, "arXiv 2310.03010, figures; mathematics.md section 2"),
    "blocks": (checks_blocks.blocks, "mathematics.md section 3"),
    "curvature": (checks_blocks.curvature, "mathematics.md sections 2 and 3"),
    "span": (checks_spectra.span, "arXiv 2310.03010; mathematics.md sections 8 and 9"),
    "eigenspaces": (checks_spectra.eigenspaces, "arXiv 2310.03010; mathematics.md section 9"),
    "top_vector": (checks_spectra.top_vector, "arXiv 2310.03010; mathematics.md section 5"),
    "concentration": (checks_spectra.concentration, "mathematics.md section 9"),
    "proportional": (checks_effective.proportional, "mathematics.md section 7; arXiv 2502.15655"),
    "large_aspect": (checks_effective.large_aspect, "mathematics.md sections 3 and 7"),
    "train_spectra": (checks_effective.train_spectra, "arXiv 2310.03010; mathematics.md section 7"),
    "precision_exponents": (checks_dynamics.precision_exponents, "mathematics.md section 9"),
    "fixed_point": (checks_dynamics.fixed_point, "mathematics.md section 5"),
    "routes": (checks_dynamics.routes, "mathematics.md section 2"),
    "second_layer": (
        checks_separation.second_layer,
        "arXiv 2310.03010, section 3; mathematics.md sections 5, 8 and 9",
    ),
    "separated_points": (
        checks_separation.separated_points,
        "arXiv 2310.03010, section 3; mathematics.md section 5",
    ),
    "outcomes": (checks_separation.outcomes, "mathematics.md section 5"),
}


def statement_of(check: str) -> str:
    """What a check states, in words."""
    return (CHECKS[check][0].__doc__ or check).strip().splitlines()[0]
