r"""o(\lambda^{-n}) allows half powers that O(\lambda^{-n-1}) does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import fresh_rng

from verify.claims.judge import judge
from verify.claims.judgement import Finding
from verify.claims.reading.manuscripts import list_manuscript
from verify.claims.stages.orders import exponent

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
        (r"+ \frac{1}{\log(1 + \lambda)} + o(1)", Finding.AGREES),
        # a logarithm inside of another function is seen, but not told from none
        (r"+ \tanh(\frac{p_1}{\log(1 + \lambda)}) + o(1)", Finding.INCONCLUSIVE),
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


def test_a_last_change_that_is_small_by_chance_pins_nothing() -> None:
    """As where terms of both signs meet: local orders turn just below the order itself."""
    errors = [1.0]
    for slope in (0.9, 0.99976, 0.9997649):
        errors.append(errors[-1] * 3.0**-slope)
    order, interval = exponent(errors, 3)
    assert order == pytest.approx(0.9997649)
    assert order + interval > 1
    # and where they settle like 1/x, what is left is known
    errors = [(1 + 1 / x) / x for x in (20 * 3.0**n for n in range(6))]
    order, interval = exponent(errors, 3)
    assert abs(order - 1) < interval < 0.01
