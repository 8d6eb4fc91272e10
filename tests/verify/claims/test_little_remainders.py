r"""o(\lambda^{-n}) allows half powers that O(\lambda^{-n-1}) does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import fresh_rng

from verify.claims.judge import judge
from verify.claims.judgement import Finding
from verify.claims.reading.manuscripts import list_manuscript

MEAN = r"\mathbb{E}_l[u_a] &= m_{al}"


@pytest.mark.parametrize(
    ("rest", "finding"),
    [
        (r"+ \lambda^{-1/2} + o(1)", Finding.AGREES),
        (r"+ \lambda^{-1/2} + O(\lambda^{-1})", Finding.REFUTED),
        (r"+ \lambda^{-3/2} + o(\lambda^{-1})", Finding.AGREES),
        (r"+ \frac{1}{\lambda} + o(\lambda^{-1})", Finding.REFUTED),
        (r"+ \frac{1}{\lambda} + o(1)", Finding.PROVED),
        (r"+ 1/10 + o(1)", Finding.REFUTED),
        # a logarithm is seen, but not told from none
        (r"+ \frac{1}{\log(1 + \lambda)} + o(1)", Finding.INCONCLUSIVE),
    ],
)
def test_half_powers_between_two_orders(rest: str, finding: Finding, tmp_path: Path) -> None:
    file = tmp_path / "a.tex"
    head = "% model: kgmm\n% k: 2\n"
    file.write_text(head + f"\\begin{{align}}\n{MEAN} {rest}\n\\end{{align}}\n")
    (listed,) = list_manuscript(file)
    claim = listed.read()
    assert claim.little == ("o(" in rest)
    assert ("up to o(lambda^-" in claim.read_as) == claim.little
    assert judge(claim, int(fresh_rng().integers(2**32))).finding is finding
