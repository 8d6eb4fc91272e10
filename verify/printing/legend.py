"""Headers of printed formulas: what every symbol means, as text and as LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sympy as sp

from theory import GaussianExpectation, Model, ReLU, Sigmoid, Step
from theory.expectations.derived import find_expectations
from theory.problem.softmax import Softmax

from .note import Note


def band_notes(model: Model) -> Iterator[Note]:
    """What the first index of a name is, where the noise has bands."""
    if model.bands > 1:
        yield Note(
            "The noise has bands: the first index of m, R, corrector, e, x and bulk is the band.",
            "The noise has bands: the first index of $m$, $R$ and the corrector is the band, and"
            " $P_g$ projects on it.",
        )


def block_notes(letter: str, model: Model) -> Iterator[Note]:
    """How the entries of the blocks of a matrix are named."""
    yield Note(
        f"Block (a, b) is V B V^T + c I with V = [e_1..e_r, x^1..x^C]; {letter}_a_b[z,w] is the"
        f" entry of B at z, w, {letter}_a_b[bulk] is c.",
        f"Block $(a, b)$ is $V B V^T + c I$ with $V = [e_1..e_r, x^1..x^C]$; ${letter}_{{a b}}[z,"
        rf" w]$ is the entry of $B$ at $z, w$, ${letter}_{{a b}}[\mathrm{{bulk}}]$ is $c$.",
    )
    if model.readout_size:
        yield Note(
            f"Layers mixed: {letter}_a_v_i[z] is the coefficient of z in the vector that is the"
            f" block of x^a and v_i; {letter}_v_i_v_j is the entry of the second-layer block."
            f" --entry {letter}_v selects the latter.",
            f"Layers mixed: ${letter}_{{a, v_i}}[z]$ is the coefficient of $z$ in the vector that"
            f" is the block of $x^a$ and $v_i$; ${letter}_{{v_i v_j}}$ is the entry of the"
            " second-layer block.",
        )


def legend(values: Sequence[sp.Expr], bands: int = 1) -> Iterator[Note]:
    """Explain the symbols that occur, and only those."""
    noise = _ISOTROPIC if bands == 1 else _BANDED
    nodes: list[GaussianExpectation] = [n for v in values for n in find_expectations(v)]
    free = {str(s).split("_")[0] for v in values for s in v.free_symbols}
    if nodes:
        yield noise["u"]
    inside = {str(s).split("_")[0] for n in nodes for s in n.general_integrand.free_symbols}
    if "t" in inside:
        yield noise["t"]
    if "xi" in inside:
        yield Note(
            "xi ~ N(0, 1): label noise, independent of the features.",
            r"$\xi \sim N(0, 1)$: label noise, independent of the features.",
        )
    if any(v.has(Softmax) for v in values) or any(n.general_integrand.has(Softmax) for n in nodes):
        yield Note(
            "softmax_a(u_1, ..., u_C) = exp(u_a) / sum_c exp(u_c), c = 1..C.",
            r"$\pi_a(u_1, \ldots, u_C) = e^{u_a} / \sum_{c=1}^C e^{u_c}$ (softmax); inside"
            r" $\mathbb{E}_l$ its arguments $u_1, \ldots, u_C$ are not written.",
        )
    used = [
        f
        for f in _FUNCTIONS
        if any(v.has(f) for v in values) or any(n.general_integrand.has(f) for n in nodes)
    ]
    if used:
        meanings = [_FUNCTIONS[f] for f in used]
        yield Note(
            "; ".join(n.text for n in meanings) + ".", "; ".join(n.latex for n in meanings) + "."
        )
    if nodes or "Q" in free:
        yield noise["Q"]
    if any(node.uses_whitening for node in nodes) or "P" in free:
        yield Note(
            "w = P (u - E_l u), P the pseudo-inverse of Q (projection route).",
            r"$w = P (u - \mathbb{E}_l u)$, $P$ the pseudo-inverse of $Q$ (projection route).",
        )
    known = _MEANINGS | (_OF_BANDS if bands > 1 else {})
    meant = [note for symbol, note in known.items() if symbol in free]
    if meant:
        yield Note("; ".join(n.text for n in meant) + ".", "; ".join(n.latex for n in meant) + ".")


_ISOTROPIC = {
    "u": Note(
        "E_l[f(u)]: Gaussian expectation within component l, u ~ N(m S_l^T, Q/lambda), y = y_l.",
        r"$\mathbb{E}_l[f(u)]$: Gaussian expectation within component $l$, $u \sim N(m S_l^T,"
        r" Q/\lambda)$, $y = y_l$.",
    ),
    "t": Note(
        "t_s = Y . e_s, what a teacher sees; (u, t) has the covariance [[Q, m], [m^T, Gamma]] /"
        " lambda.",
        r"$t_s = Y \cdot e_s$, what a teacher sees; $(u, t)$ has the covariance $\lambda^{-1}"
        r" \begin{pmatrix} Q & m \\ m^T & \Gamma \end{pmatrix}$.",
    ),
    "Q": Note(
        "Q = R + m Gamma^-1 m^T is the Gram matrix of the weight vectors: Q_a_b = x^a . x^b.",
        r"$Q = R + m \Gamma^{-1} m^T$ is the Gram matrix of the weight vectors: $Q_{a b} = x^a"
        r" \cdot x^b$.",
    ),
}
# with bands, sums over them
_BANDED = {
    "u": Note(
        "E_l[f(u)]: Gaussian expectation within component l, u ~ N(sum_g m_g S_l^T, sum_g"
        " sigma_l_g^2 Q_g / lambda), y = y_l.",
        r"$\mathbb{E}_l[f(u)]$: Gaussian expectation within component $l$, $u \sim N(\sum_g m^g"
        r" S_l^T, \lambda^{-1} \sum_g \sigma_{l g}^2 Q^g)$, $y = y_l$.",
    ),
    "t": Note(
        "t_s = Y . e_s, what a teacher sees; (u, t) has the covariance sum_g sigma_l_g^2 [[Q_g,"
        " m_g], [m_g^T, Gamma_g]] / lambda.",
        r"$t_s = Y \cdot e_s$, what a teacher sees; $(u, t)$ has the covariance $\lambda^{-1}"
        r" \sum_g \sigma_{l g}^2 \begin{pmatrix} Q^g & m^g \\ m^{g T} & \Gamma^g \end{pmatrix}$.",
    ),
    "Q": Note(
        "Q_g = R_g + m_g Gamma_g^+ m_g^T is the Gram matrix of the weight vectors in band g.",
        r"$Q^g = R^g + m^g (\Gamma^g)^+ m^{g T}$ is the Gram matrix of the weight vectors in band"
        r" $g$.",
    ),
}
_FUNCTIONS = {
    Sigmoid: Note("Sigmoid(z) = 1/(1 + exp(-z))", r"$\sigma(z) = 1/(1 + e^{-z})$"),
    ReLU: Note("relu(z) = max(z, 0)", r"$(z)_+ = \max(z, 0)$"),
    Step: Note("step(z) = 1 for z > 0, else 0", r"$\mathbf{1}_{z > 0} = 1$ for $z > 0$, else 0"),
    sp.DiracDelta: Note("DiracDelta(z): delta function", r"$\delta(z)$: delta function"),
}
_OF_BANDS = {
    "m": Note("m_g_a_s = x^a . P_g e_s", r"$m_{g a s} = x^a \cdot P_g e_s$"),
    "R": Note(
        "R_g_a_b = inner product of the parts of P_g x^a, P_g x^b orthogonal to all P_g e_s",
        "$R_{g a b}$: inner product of the parts of $P_g x^a, P_g x^b$ orthogonal to all $P_g e_s$",
    ),
    "Gamma": Note("Gamma_g_s_t = e_s . P_g e_t", r"$\Gamma_{g s t} = e_s \cdot P_g e_t$"),
}
_MEANINGS = {
    "m": Note("m_a_s = x^a . e_s", r"$m_{a s} = x^a \cdot e_s$"),
    "R": Note(
        "R_a_b = inner product of the parts of x^a, x^b orthogonal to all e_s",
        "$R_{a b}$: inner product of the parts of $x^a, x^b$ orthogonal to all $e_s$",
    ),
    "v": Note("v_i: readout parameters", "$v_i$: readout parameters"),
    "p": Note("p_l: weights of the components", "$p_l$: weights of the components"),
    "lambda": Note("lambda: precision", r"$\lambda$: precision"),
    "beta": Note("beta: ridge", r"$\beta$: ridge"),
    "c": Note("c_delta: step size times dimension", r"$c_\delta$: step size times dimension"),
    "Gamma": Note("Gamma_s_t = e_s . e_t", r"$\Gamma_{s t} = e_s \cdot e_t$"),
    "s": Note(
        "s_l > 0: gap m_l_l - m_a_l of column l",
        r"$s_l > 0$: gap $m_{l l} - m_{a l}$ of column $l$",
    ),
}
