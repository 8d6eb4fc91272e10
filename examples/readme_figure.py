"""Draw the figures of the README: effective dynamics against SGD, and the alignment heat map.

Run from the repository root: ``python examples/readme_figure.py`` (about half a minute).
"""

from __future__ import annotations

from pathlib import Path

from verify import plots
from verify.evidence import Evidence, get_level
from verify.figures import save_figure
from verify.subject import Theory
from verify.systems import get_system


def main() -> None:
    """Write docs/img/curves.png and docs/img/alignment.png."""
    evidence = Evidence(get_system("kgmm"), get_level("quick"), seed=0)
    theory = Theory.derive(evidence.system.model)
    target = Path("docs/img")
    save_figure(plots.curves_plot(evidence.system.scenarios[0], theory, evidence).draw(), target / "curves.png")
    save_figure(plots.share_plot(theory, evidence).draw(), target / "alignment.png")


if __name__ == "__main__":
    main()
