"""Schedules written as text: what is read, and what is refused with its name."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from processor import is_within

from numerics import TIME, Schedule
from theory import InputError
from verify.settings.texts.schedule_text import MAX_LENGTH, MAX_PARTS, parse_schedule
from verify.settings.texts.schedule_text import TIME as TEXT_TIME


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/(1 + t)", 1 / (1 + TIME)),
        ("2", sp.Integer(2)),
        ("exp(-t/10)", sp.exp(-TIME / 10)),
        ("1e-1*t**2", TIME**2 / 10),
        ("(1 + t)^-0.5", 1 / sp.sqrt(1 + TIME)),
        ("Max(1, 2 - t)", sp.Max(1, 2 - TIME)),
        ("1 + cos(2*pi*t)/2", 1 + sp.cos(2 * sp.pi * TIME) / 2),
        ("-(t - 3)", 3 - TIME),
        ("0.01**t", sp.Rational(1, 100) ** TIME),
        (" sqrt(1+t)\n", sp.sqrt(1 + TIME)),
        ("\uff11/(1+\uff54)", 1 / (1 + TIME)),
    ],
)
def test_texts_become_exact_expressions(text, value):
    assert parse_schedule("schedule", text) == value
    shifted = Schedule.of(parse_schedule("schedule", text) + 5)
    assert np.all(np.isfinite(shifted(np.array([0.5, 1.0]))))


def test_the_time_is_that_of_the_numerics():
    assert TEXT_TIME == TIME


def test_random_sums_of_products_are_worked_out_as_python_works_them_out():
    rng = np.random.default_rng()
    for _ in range(20):
        a, b, c, d, n = (int(i) for i in rng.integers(1, 9, 5))
        text = f"({a} + {b}*t)/{c} - {d}e-1*t**{n}"
        for t in rng.uniform(0, 2, 3):
            exact = Fraction(float(t))
            direct = (a + b * exact) / c - Fraction(d, 10) * exact**n
            read = parse_schedule("schedule", text).subs(
                TIME, sp.Rational(*exact.as_integer_ratio())
            )
            assert Fraction(int(read.p), int(read.q)) == direct, text


# what a text holds -> a word of the message
HOSTILE = {
    # not a formula
    "": "expected",
    "1/(1+t": "the end at column 7",
    ")": r"'\)' at column 1",
    "1/(1 + t))": r"'\)' at column 10",
    "1 2": "'2' at column 3",
    "t t": "'t' at column 3",
    "1e": "'e' at column 2",
    "0x10": "'x10'",
    "t[0]": r"t_0 is not known here|expected",
    # other names, other syntax
    "1/(1+u)": "u is not known here",
    "exp": "exp is a function: give it an argument",
    "exp(1, t)": "exp takes one argument",
    "Max()": "expected",
    "Max(1,2,3,4,5,6,7)": "1 to 6 arguments",
    "t.diff(t)": r"the character '\.'",
    "__import__('os')": "the character '_'",
    "lambda: t": "the character ':'",
    "t if t else 1": "'if'",
    "[t for t in t]": r"'\['",
    "open('x')": "the character",
    "exec(1)": "exec is not known here",
    "eval(t)": "eval is not known here",
    "exit()": "expected",
    "E(1)": "no meaning here",
    "I": "I is not known here",
    "oo": "oo is not known here",
    "sum_a(t)": "no meaning here",
    "E_1[t]": "no meaning here",
    "m_1_2": "m_1_2 is not known here",
    "diff(t, t)": "diff is not known here",
    "delta_1_1": "delta_1_1 is not known here",
    "Symbol(t)": "Symbol is not known here",
    "factorial(99999999)": "factorial is not known here",
    "t!": "the character '!'",
    "9999999!": "the character '!'",
    "1;2": "the character ';'",
    "t\x00": "the character",
    "t@t": "the character '@'",
    "`t`": "the character",
    "$t": "the character",
    "\\frac{1}{t}": "the character",
    # other alphabets that look like ours
    "\uff45\uff58\uff49\uff54()": "expected",
    "\uff45\uff58\uff45\uff43(1)": "exec is not known here",
    "\uff4f\uff50\uff45\uff4e(1)": "open is not known here",
    "\uff43\uff48\uff52(1)": "chr is not known here",
    "\uff25\uff38\uff29\uff34(t)": "EXIT is not known here",
    "e\uff58ec(1)": "exec is not known here",
    "\U0001d41e\U0001d431\U0001d422\U0001d42d(t)": "exit is not known here",
    "\u0663": "the character|number",
    "t\u00b2": "the character",
    "2\u00b2": "the character",
    "\u03c0": "the character",
    "\u221a2": "the character",
    "1\u22121": "the character",
    "t\u200b": "the character",
    # no real number
    "sqrt(-1) + 1": "a real number everywhere",
    "1/0": "a real number",
    "0**-1": "a real number",
    "log(0)": "a real number",
    "(-1)**(1/2)": "a real number",
    # numbers that would take for ever
    "9**9**9**9": "towers of powers",
    "9**999999999": "towers of powers",
    "2**-999999999": "towers of powers",
    "t**99999999999": "towers of powers",
    "((9**64)**64)**64": "too large",
    "9**64*9**64*9**64*9**64*9**64*9**64": "too large",
    "exp(99999999*log(3))": "towers of powers",
    "exp(t + 99999999*log(3))": "towers of powers",
    "1e999999999": "exponents up to 10000",
    "1e-999999999": "exponents up to 10000",
    "1e0000000000000009999999": "exponents up to 10000",
    "1e" + "9" * 300: "exponents up to 10000",
    "1e9999": "too large",
    "9" * 300: "at most 60 digits",
    "1." + "3" * 300: "at most 60 digits",
    "a" * 200: "is not known here",
    "m_" + "9" * 300: "a number that is too long",
    # texts without end
    "1" * 10_000: f"at most {MAX_LENGTH} characters",
    "t+" * 1_000_000 + "t": f"at most {MAX_LENGTH} characters",
    "t+" * 150 + "t": f"at most {MAX_PARTS} numbers",
    "(" * 180 + "t" + ")" * 180: "at most 100 levels",
    "-" * 300 + "t": f"at most {MAX_PARTS} numbers",
    "t/" * 150 + "t": f"at most {MAX_PARTS} numbers",
}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_everything_else_is_refused_by_name(text):
    begin = time.process_time()
    with pytest.raises(
        InputError, match=f"(?s)schedule: got .*(Remedy|expected).*({HOSTILE[text]})"
    ):
        parse_schedule("schedule", text)
    assert is_within(time.process_time() - begin, 2)
