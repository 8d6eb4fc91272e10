"""The language of claims: what is printed is read back, what cannot be read is refused with its
position.
"""

from __future__ import annotations

import math
import pickle
from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from theory import InputError, kgmm, xor
from verify.claims.language.latex.formula import parse_latex
from verify.claims.language.number_sizes import MOST_BITS, largest_bits
from verify.claims.language.text import parse_formula
from verify.claims.language.tree import (
    Add,
    Call,
    Condition,
    Divide,
    Expectation,
    FormulaError,
    Multiply,
    Name,
    Negative,
    Number,
    Power,
    Sum,
    show,
)
from verify.claims.language.vocabulary import Vocabulary
from verify.claims.quantity_names import parse_quantity

INDICES = st.one_of(st.integers(1, 12), st.sampled_from("abcstlij"))
NAMES = st.builds(
    Name,
    st.sampled_from(["m", "R", "c_delta", "lambda", "pi", "Gamma", "u"]),
    st.lists(INDICES, max_size=3).map(tuple),
)
LEAVES = st.one_of(st.integers(0, 10**6).map(lambda n: Number(Fraction(n))), NAMES)


def _larger(inner: st.SearchStrategy) -> st.SearchStrategy:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    condition = st.builds(Condition, st.sampled_from("abc"), INDICES, st.booleans())
    return st.one_of(
        several.map(Add),
        several.map(Multiply),
        st.builds(Divide, inner, inner),
        st.builds(Negative, inner),
        st.builds(Power, inner, inner),
        st.builds(Call, st.sampled_from([Name("exp"), Name("diff"), Name("relu")]), several),
        st.builds(Expectation, st.one_of(st.none(), INDICES), inner),
        st.builds(
            Sum,
            st.sampled_from([("b",), ("b", "c")]),
            inner,
            st.lists(condition, max_size=2).map(tuple),
        ),
    )


@given(st.recursive(LEAVES, _larger, max_leaves=12))
def test_what_is_printed_is_read_back(node) -> None:  # type: ignore[no-untyped-def]
    if largest_bits(node) > MOST_BITS:
        with pytest.raises(FormulaError, match="too large"):
            parse_formula(show(node))
    else:
        assert parse_formula(show(node)) == node


def test_powers_of_zero_and_one_do_not_grow() -> None:
    for text in ("0^(4^9)", "(-1)^(4^9)", "u_1^(4^9)", "1^(4^(2^9))"):
        assert largest_bits(parse_formula(text)) < MOST_BITS, text
    with pytest.raises(FormulaError, match="too large"):
        parse_formula("2^(4^9)")


def _value(node) -> Fraction:  # type: ignore[no-untyped-def]
    match node:
        case Number(value):
            return value
        case Add(terms):
            return sum(map(_value, terms), Fraction(0))
        case Multiply(factors):
            return Fraction(math.prod(map(_value, factors)))
        case Divide(above, below):
            return _value(above) / _value(below)
        case Negative(inside):
            return -_value(inside)
        case Power(base, Number(exponent)):
            return _value(base) ** int(exponent)
    raise TypeError(node)


def _arithmetic(inner: st.SearchStrategy) -> st.SearchStrategy:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        several.map(Add),
        several.map(Multiply),
        st.builds(Divide, inner, inner),
        st.builds(Negative, inner),
        st.builds(Power, inner, st.integers(0, 3).map(lambda n: Number(Fraction(n)))),
    )


@given(
    st.recursive(st.integers(0, 9).map(lambda n: Number(Fraction(n))), _arithmetic, max_leaves=12)
)
def test_what_is_printed_means_the_same(node) -> None:  # type: ignore[no-untyped-def]
    try:
        value = _value(node)
    except ZeroDivisionError:
        return
    assert _value(parse_formula(show(node))) == value


@given(st.text(alphabet="mRE_1a()[]+-*/^, .$=!", max_size=25))
def test_any_text_is_read_or_refused_with_a_position(text: str) -> None:
    position = _position_of_error(parse_formula, text)
    assert position is None or 0 <= position <= len(text)


PIECES = ["\\frac", "\\pi", "_", "{", "}", "a", "1", "^", "\\sum", "(", ")", "+", "\\foo", " "]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_latex_is_read_or_refused_with_a_position(text: str) -> None:
    position = _position_of_error(parse_latex, text)
    assert position is None or 0 <= position <= len(text)


def _position_of_error(parse, text: str) -> int | None:  # type: ignore[no-untyped-def]
    try:
        parse(text)
    except FormulaError as error:
        return error.position
    return None


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 0, "expected a formula"),
        ("m_1_2 +", 7, "a number, a name or a bracket"),
        ("(beta", 5, "not closed"),
        ("beta lambda", 5, r"write \* between factors"),
        ("E_l_s[u_1]", 0, "one component"),
        ("sum(m_1_1)", 0, "letters summed over"),
        ("m[ab]", 2, "an index: a letter or a number"),
        ("beta $ 2", 5, r"the character '\$'"),
        ("sum_b(m_b_b, b)", 14, "'==', '!=', '<=' or '>='"),
    ],
)
def test_malformed_formulas_give_position_and_reason(
    text: str, position: int, message: str
) -> None:
    with pytest.raises(FormulaError, match=message) as caught:
        parse_formula(text)
    assert caught.value.position == position
    assert pickle.loads(pickle.dumps(caught.value)).position == position


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        (r"\frac{1}", 8, "a group in braces"),
        (r"\lambda^{-1", 11, "not closed"),
        (r"\foo", 0, "see docs/derivations.md"),
        (r"\langle x, y \rangle", 0, "an inner product"),
        (r"m_{as", 5, "an index"),
        (r"\sum b", 5, "expected '_'"),
    ],
)
def test_malformed_latex_gives_position_and_reason(text: str, position: int, message: str) -> None:
    with pytest.raises(FormulaError, match=message) as caught:
        parse_latex(text)
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        (r"\lambda^12", 8, r"TeX takes one digit, 1.*write \{12\}, or \{1\} 2"),
        (r"\frac\lambda12", 12, "TeX takes one digit"),
        (r"\frac123", 5, "TeX takes one digit"),
        (r"\sqrt23", 5, "TeX takes one digit"),
        (r"\lambda^{2}^{2}", 11, "a second exponent"),
        (r"2 3\lambda", 2, "an operator between numbers"),
        (r"1/2\lambda", 1, "a slash with several factors behind it"),
        (r"m_{11}/2\cdot\lambda", 6, "a slash with several factors behind it"),
        (r"\tanh u_1 v_1", 0, r"\\tanh of several factors without brackets"),
        (r"\tanh 2 u_1 v_1", 0, "of several factors"),
        (r"\sin^{-1}(u_1)", 0, "a negative exponent"),
        (r"\sigma^2 Q_{11}", 9, "its argument in brackets"),
        (r"Q_{ab}^{-1}", 6, "1/Q_{ab} for the inverse of the entry"),
        (r"\Gamma^{-1}_{st}", 6, "no name"),
        (r"\sum_{b=2} m_{bs}", 11, "an upper limit"),
        (r"\sum_b^k m_{bs}", 6, "a lower limit with it"),
        (r"\sum_{b,c=1}^k m_{bc}", 12, "a lower limit with it"),
        (r"\partial_c \pi_a \pi_b", 0, "a derivative of several factors"),
        (r"\mathbb{E}_l[u_1]^2", 17, "an exponent of an expectation"),
        (r"(u_i)_+^2", 7, "brackets around a part with an exponent"),
    ],
)
def test_latex_that_can_be_read_in_two_ways_is_refused(
    text: str, position: int, message: str
) -> None:
    with pytest.raises(FormulaError, match=message) as caught:
        parse_latex(text)
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sum_b(m_b_1, b <= k - 1)", "m_1_1 + m_2_1"),
        ("sum_b(m_b_1, b >= 2)", "m_2_1 + m_3_1"),
        ("sum_b(m_b_1, b >= 2, b <= k)", "m_2_1 + m_3_1"),
        ("sum_b(m_b_1, b <= k - 3)", "0"),
        ("sum_a(sum_b(m_a_b, b <= a - 1))", "m_2_1 + m_3_1 + m_3_2"),
    ],
)
def test_sums_with_limits(text: str, value: str) -> None:
    def read(formula: str) -> object:
        return Vocabulary(kgmm(3)).read(parse_formula(formula), formula)

    assert read(text) == read(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sum_b(R_b_b, b <= 4)", "a sum of 'b' up to 4.*1..3"),
        ("sum_b(R_b_b, b >= 0)", "a sum of 'b' from 0"),
        ("sum_b(R_b_b, c <= 2)", "a limit of 'c', which is not summed over"),
        ("sum_b(R_b_b, b <= beta)", "the free index 'beta'"),
        ("sum_b(R_b_b, b <= 3/2)", "the limit '3/2' of a sum"),
        ("E_1[y_1*u_1]", "one-hot"),
        ("E_1[y_l*u_1]", "one-hot|where a sample is at hand"),
    ],
)
def test_what_means_something_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        Vocabulary(kgmm(3)).read(parse_formula(text), text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sum_a(E_2[y_a*u_a])", "E_2[u_2]"),
        ("sum_a(E_2[(pi_a - y_a)^2])", "sum_a(E_2[(pi_a - delta_a_y)^2])"),
        ("E_1[u_y]", "E_1[u_1]"),
        ("E_3[u_y^2]", "E_3[u_3^2]"),
    ],
)
def test_labels_by_their_entries(text: str, value: str) -> None:
    """y_a is entry a of the label as a unit vector; u_y the entry of u at the label."""

    def read(formula: str) -> sp.Expr:
        return Vocabulary(kgmm(3)).read(parse_formula(formula), formula)

    assert sp.expand(read(text).doit() - read(value).doit()) == 0
    with pytest.raises(FormulaError, match="one-hot"):
        Vocabulary(xor(2)).read(parse_formula("E_1[y_a*u_1]"), "", {"a": 1})


@pytest.mark.parametrize("parse", [parse_formula, parse_latex])
def test_deep_nesting_is_refused(parse) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(FormulaError, match="nested too deeply"):
        parse("(" * 5_000 + "1" + ")" * 5_000)


@pytest.mark.parametrize("parse", [parse_formula, parse_latex])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1" * 30_000, "30000 characters"),
        ("1" * 61, "a number that is too long"),
        ("+".join(["m"] * 6_000), "more than 5000 parts"),
        ("v_1²", "the character '²'"),
        ("½", "the character '½'"),
        ("v₁", "the character '₁'"),
    ],
)
def test_bounds_and_characters_that_mean_something_else(parse, text: str, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(FormulaError, match=message):
        parse(text)


@pytest.mark.parametrize("parse", [parse_formula, parse_latex])
@pytest.mark.parametrize(
    "text",
    [
        "(((((2^{64})^{64})^{64})^{64})^{64})",
        "1 + u_1 (((10^{60})^{30})^{30})^{30}",
        "(1/((3^{50})^{50}))^{-50}",
        "((((u_1^2 + 7)^{64})^{64})^{64})^{64}",
        "2^{10^{9}}",
        "2^{3^{3^{3}}}",
    ],
)
def test_powers_that_fill_the_memory_are_refused_before_they_are_worked_out(parse, text) -> None:  # type: ignore[no-untyped-def]
    plain = text.replace("{", "(").replace("}", ")").replace("u_1 (", "u_1*(")
    with pytest.raises(FormulaError, match="too large"):
        parse(plain if parse is parse_formula else text)


@pytest.mark.parametrize(
    "text",
    ["lambda^(-3/2)", "(u_1 - m_1_1)^24", "2^0.3333333333333333", "(1 + R_1_1/lambda)^(-64)"],
)
def test_powers_that_people_write_are_read(text: str) -> None:
    assert parse_formula(text)


def test_the_normal_form_comes_first() -> None:
    """Full-width letters and mathematical italics are letters."""
    assert parse_formula("ｍ_1_2 + 𝑚_2_1") == parse_formula("m_1_2 + m_2_1")
    with pytest.raises(FormulaError, match="a number that is too long"):
        parse_formula("1e99999")


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\lambda^{-1} R^\perp_{ab}", "lambda^-1*R_a_b"),
        (r"\tfrac{c_\delta}{\lambda}", "c_delta/lambda"),
        (r"\mathbb{E}_l\left[g_a\, Y\cdot e_s\right]", "E_l[g_a*Y_s]"),
        (r"\sum_{b\ne a} m_{bs}", "sum_b(m_b_s, b != a)"),
        (r"\mathbf 1\{a=y\}", "delta_a_y"),
        (r"\partial_{u_c}(\pi_a\pi_b)", "diff(pi_a*pi_b, u_c)"),
        (r"(u_i)_+", "relu(u_i)"),
        (r"e^{m_{12}}", "exp(m_1_2)"),
        (r"\pi_a^2", "pi_a^2"),
        (r"\Gamma_{st}\,p_l", "Gamma_s_t*p_l"),
        (r"Y\cdot x_\perp^b", "zeta_b"),
        (r"H_{a v_i}", "H_a_v_i"),
        (r"m_{10,2}", "m_10_2"),
        (r"\exp(-u_1)", "exp(-u_1)"),
        (r"\frac12\lambda", "1/2*lambda"),
        (r"\frac1\lambda", "1/lambda"),
        (r"\frac{1}2\,\beta", "1/2*beta"),
        (r"\lambda^2 m_{12}", "lambda^2*m_1_2"),
        (r"\sqrt[3]{\lambda}", "lambda^(1/3)"),
        (r"\sqrt2\,\lambda", "sqrt(2)*lambda"),
        (r"\sqrt{2\lambda}", "sqrt(2*lambda)"),
        (r"\tanh 2u_1", "tanh(2*u_1)"),
        (r"\log p_l", "log(p_l)"),
        (r"\tanh u_1 \cdot v_1", "tanh(u_1)*v_1"),
        (r"\tanh^2 u_1", "tanh(u_1)^2"),
        (r"\sum_{b=1}^{k-1} m_{bs}", "sum_b(m_b_s, b >= 1, b <= k - 1)"),
        (r"\sum_{b=2}^k m_{bs}", "sum_b(m_b_s, b >= 2, b <= k)"),
        (r"\sum_{b<a} m_{bs}", "sum_b(m_b_s, b <= a - 1)"),
        (r"\sum_{b\ge 2} m_{bs}", "sum_b(m_b_s, b >= 2)"),
        (r"m^2_{11}", "m_1_1^2"),
        (r"R_{ab}^\perp", "R_a_b"),
    ],
)
def test_latex_means_the_same_as_text(latex: str, text: str) -> None:
    assert parse_latex(latex) == parse_formula(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lamda*beta", "the unknown name 'lamda' at column 1.*did you mean lambda"),
        ("E_1[g_a]", "the free index 'a' at column 5.*sum over it"),
        ("m_1", "m with 1 indices.*write m_a_s"),
        ("m_1_4", "direction 4 at column 1.*1..3, the directions of kgmm3"),
        ("v_1", "'v', which kgmm3 does not have"),
        ("g_1", "differs from sample to sample"),
        ("E_1[E_1[u_1]]", "one level of"),
        ("1/0", "a division by zero"),
        ("beta^1000", "the exponent 1000"),
        ("foo(beta)", "the function 'foo'"),
        ("sum_z(p_1)", "a sum over 'z'"),
        ("sum_a(sum_a(p_a))", "has a value already"),
        ("E_4[u_1]", "component 4"),
        ("H_1_1_1 + 0", "differs from"),
        ("E_1[H_1]", "H with 1 indices"),
        ("tanh(u_1, u_2)", "differs from|2 arguments"),
        ("log(0)", "it is infinite"),
    ],
)
def test_formulas_without_meaning_are_refused_with_a_suggestion(text: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        Vocabulary(kgmm(3)).read(parse_formula(text), text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drfit m_a_s", "did you mean 'drift'"),
        ("drift corector_a_b", "write corrector_a_b"),
        ("drift n_a_s", "the entry 'n_a_s'"),
        ("H_1[bulk]", "the entry"),
        ("Cov[m_1_1]", "Cov"),
        ("H_1_2", r"such as H_1_2\[bulk\] or H_1_2\[e_1,e_1\]"),
        ("H_1_1[bulks]", r"did you mean 'H_1_1\[bulk\]'"),
        ("E_l[g_a*", "the end"),
        ("  ", "quantity: got nothing"),
        ("m_a_s", "did you mean 'drift m_a_s'"),
        ("v_1", "a variable.*did you mean 'drift v_1'"),
        ("corector_a_b", "quantity: .*did you mean 'corrector_a_b'"),
        ("drift_m_a_s", "did you mean 'drift m_a_s'"),
        ("covariance[m_1_1,R_1_1]", r"did you mean 'Cov\[m_1_1,R_1_1\]'"),
        ("Cov(m_1_1,R_1_1)", r"did you mean 'Cov\[m_1_1,R_1_1\]'"),
        ("h_1_2[bulk]", "did you mean 'H_1_2"),
        ("g_a[x_b]", "did you mean 'gradient g_a"),
        ("hessian G_1_2[bulk]", "without the word hessian"),
        ("diffusion m_1_1", "write the two variables"),
        ("foo", "quantity: got 'foo'.*see docs/derivations.md"),
    ],
)
def test_unknown_quantities_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_quantity(text)


def test_indices_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match=r"the unit 4; expected 1..3"):
        parse_quantity("drift m_4_1").target(kgmm(3), {})
    with pytest.raises(InputError, match="the index 'z'"):
        list(parse_quantity("drift m_z_1").instances(kgmm(3)))


def test_readings_without_and_with_the_engine_are_the_same_function() -> None:
    """The second derivative across a kink: jump times delta, from either reading."""
    model, tree = xor(2), parse_formula("E_1[H_1_1]")
    one = Vocabulary(model).read(tree, "").general_integrand
    two = Vocabulary(model, raw=True).read(tree, "").general_integrand
    u, v = model.symbols.preactivation, model.symbols.readout
    at = {u[0]: 0.3, u[1]: -0.2, v[0]: 0.7, v[1]: 1.1}
    label = {sp.Symbol("y", real=True): 1}
    assert abs(sp.N((one - two).xreplace(label).subs(at))) < 1e-12
    delta = sp.DiracDelta(u[0])
    difference = (one - two).xreplace(label).expand().coeff(delta).subs({u[0]: 0}).subs(at)
    assert abs(sp.N(difference)) < 1e-12
