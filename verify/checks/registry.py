"""Every check with the source of its statement."""

from __future__ import annotations

from collections.abc import Callable

from verify.evidence.evidence import Evidence
from verify.verdict.results import Outcome

from . import blocks, chain, dynamics, effective, fluctuations, proportional, separation, spectra
from .judged_theory import Theory
from .networks import drift, layers

CheckFunction = Callable[[Theory, Evidence], Outcome]

# name -> (function, where the statement comes from)
CHECKS: dict[str, tuple[CheckFunction, str]] = {
    "curves": (dynamics.curves, "arXiv 2206.04030; mathematics.md section 4"),
    "finite_size": (fluctuations.finite_size, "mathematics.md sections 4 and 9"),
    "chain": (chain.chain, "mathematics.md section 6"),
    "fluctuations": (
        fluctuations.fluctuations,
        "arXiv 2206.04030, section 2; mathematics.md sections 4 and 6",
    ),
    "stationary": (fluctuations.stationary, "mathematics.md section 4"),
    "universality": (chain.universality, "mathematics.md sections 4 and 6"),
    "alignment": (dynamics.alignment, "arXiv 2310.03010; mathematics.md sections 8 and 9"),
    "risk": (dynamics.risk, "arXiv 2310.03010, figures; mathematics.md section 2"),
    "blocks": (blocks.blocks, "mathematics.md section 3"),
    "curvature": (blocks.curvature, "mathematics.md sections 2 and 3"),
    "span": (spectra.span, "arXiv 2310.03010; mathematics.md sections 8 and 9"),
    "eigenspaces": (spectra.eigenspaces, "arXiv 2310.03010; mathematics.md section 9"),
    "top_vector": (spectra.top_vector, "arXiv 2310.03010; mathematics.md section 5"),
    "concentration": (spectra.concentration, "mathematics.md section 9"),
    "proportional": (proportional.proportional, "mathematics.md section 7; arXiv 2502.15655"),
    "large_aspect": (effective.large_aspect, "mathematics.md sections 3 and 7"),
    "train_spectra": (effective.train_spectra, "arXiv 2310.03010; mathematics.md section 7"),
    "precision_exponents": (dynamics.precision_exponents, "mathematics.md section 9"),
    "fixed_point": (dynamics.fixed_point, "mathematics.md section 5"),
    "routes": (dynamics.routes, "mathematics.md section 2"),
    "second_layer": (
        separation.second_layer,
        "arXiv 2310.03010, section 3; mathematics.md sections 5, 8 and 9",
    ),
    "separated_points": (
        separation.separated_points,
        "arXiv 2310.03010, section 3; mathematics.md section 5",
    ),
    "outcomes": (separation.outcomes, "mathematics.md section 5"),
    "drift": (drift.drift, "arXiv 2206.04030; mathematics.md sections 4, 6 and 13"),
    "layer_spectra": (layers.layer_spectra, "mathematics.md sections 3 and 13"),
    "layer_alignment": (
        layers.layer_alignment,
        "arXiv 2310.03010, third check; mathematics.md sections 8 and 13",
    ),
    "layer_rank": (layers.layer_rank, "arXiv 2310.03010, third check; mathematics.md section 13"),
}


def statement_of(check: str) -> str:
    """What a check states, in words: the first paragraph of its docstring."""
    paragraph = (CHECKS[check][0].__doc__ or check).strip().split("\n\n")[0]
    return " ".join(paragraph.split())
