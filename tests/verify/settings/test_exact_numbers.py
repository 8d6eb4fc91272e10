"""Numbers of options and files: exact, and quick whatever is written."""

from __future__ import annotations

from fractions import Fraction
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processor import is_within

from verify.settings.values import exact_number


@pytest.mark.parametrize("exponent", ["9999999", "-9999999", "+99999999999999999999", "1_000_000"])
@pytest.mark.parametrize("mantissa", ["0", "-0.0", "0.", "00_0"])
def test_a_zero_with_a_large_exponent_is_a_zero(mantissa, exponent):
    """Ten to such an exponent took a quarter of a minute, and for one digit more hours."""
    begin = process_time()
    assert exact_number(f"{mantissa}e{exponent}") == 0
    assert is_within(process_time() - begin, 0.1)


@pytest.mark.parametrize("text", ["1e-9999999", "-0.01e-400", "1e99999999_", "0e", "e5", "0x1", ""])
def test_what_is_no_double_is_no_number(text):
    with pytest.raises(ValueError, match=r"^(could not convert|1e|-0)"):
        exact_number(text)


@given(st.integers(-(10**30), 10**30), st.integers(-300, 270))
def test_a_decimal_is_the_fraction_it_writes(digits, exponent):
    assert exact_number(f"{digits}e{exponent}") == digits * Fraction(10) ** exponent


@given(st.fractions())
def test_a_fraction_is_itself(number):
    assert exact_number(str(number)) == number
