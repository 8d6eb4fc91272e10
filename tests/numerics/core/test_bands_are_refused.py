"""Numbers and verdicts of a mixture with bands are refused by name, where bands are not known."""

from __future__ import annotations

import pytest
from band_cases import band_case
from helpers import fresh_rng

from numerics import Problem, State, compile_expressions
from theory import InputError, derive_drift
from verify import check, check_model, make_derivation

REFUSED = {
    "problem": lambda model: Problem(model),
    "state": lambda model: State.zero(model),
    "compiled": lambda model: compile_expressions(model, derive_drift(model).vector),
    "laws": check_model,
    "claim": lambda model: check(model, "m_dot_a_s", "0"),
    "derivation": make_derivation,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_know_bands_says_so(name):
    with pytest.raises(InputError, match=r"bands: .*2 band\(s\)"):
        REFUSED[name](band_case(fresh_rng()).model)
