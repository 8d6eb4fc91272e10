"""Claims about samples of two features: patches, contrastive pairs, attention.

Run by ``specalign check examples/claims/tokens.py``.
"""

import sympy as sp

import specalign as sa

y, v = sa.symbols.LABEL, sa.symbols.vector("v", 1)[0]
((left, right),) = sa.symbols.tokens("u", 1, 2)
f = v * (sp.tanh(left) + sp.tanh(right))
PATCHES = sa.Model.build(
    sa.Mixture.build(labels=[1, 0], tokens=[[[1], [0]], [[-1], [0]]]),
    sa.Loss(sa.Softplus(f) - y * f, units=1, readout_size=1, tokens=2),
    name="patches",
)
PAIRS = sa.Model.build(  # views of one cluster, or of two
    sa.Mixture.build(labels=[1, -1], tokens=[[[1], [1]], [[1], [-1]]]),
    sa.Loss(sa.Softplus(-y * left * right), units=1, tokens=2),
    name="pairs",
)
score, value = sa.symbols.tokens("u", 2, 2)
f = sum(sa.Softmax(p + 1, *score) * value[p] for p in range(2))
ATTENTION = sa.Model.build(
    sa.Mixture.build(labels=[1, 0], tokens=[[[1, 0], [0, 1]], [[-1, 0], [0, 1]]]),
    sa.Loss(sa.Softplus(f) - y * f, units=2, tokens=2),
    name="attention",
)
OUTPUT = "sum_q(exp(u_1_q)*u_2_q)/sum_q(exp(u_1_q))"
NOISE = "-sum_p(E[g_a_p*zeta_p_b] + E[g_b_p*zeta_p_a]) - 2*beta*R_a_b"

STATEMENTS = [
    (PATCHES, "drift m_a_s", "-sum_p(E[g_a_p*Y_p_s]) - beta*m_a_s", "true"),
    (PATCHES, "drift m_a_s", "-E[g_a_1*Y_1_s] - beta*m_a_s", "false"),
    (
        PATCHES,
        "drift m_a_s",
        "-sum_p_l_t(p_l*E_l[g_a_p]*S_l_p_t*Gamma_t_s) - sum_p_b(E[H_a_p_b_p]*m_b_s)/lambda"
        " - beta*m_a_s",
        "true",
    ),
    (PATCHES, "corrector_a_b", "c_delta/lambda*sum_p(E[g_a_p*g_b_p])", "true"),
    (PATCHES, "corrector_a_b", "c_delta/lambda*sum_p_q(E[g_a_p*g_b_q])", "false"),
    (PATCHES, "drift R_a_b", f"{NOISE} + c_delta/lambda*sum_p(E[g_a_p*g_b_p])", "true"),
    (PATCHES, "H_a_b[bulk]", "sum_p(E[H_a_p_b_p])/lambda + beta*delta_a_b", "true"),
    (PATCHES, "H_a_b[bulk]", "E[H_a_1_b_1]/lambda + beta*delta_a_b", "false"),
    (PATCHES, "H_1_1[e_1,e_1]", "sum_l_p_q(p_l*E_l[H_1_p_1_q]*S_l_p_1*S_l_q_1)", "true"),
    (PATCHES, "g_a_p", "(sigmoid(f) - y)*v_a*(1 - tanh(u_a_p)^2)", "true"),
    (PATCHES, "E_l[u_1_p*u_1_q] - E_l[u_1_p]*E_l[u_1_q]", "delta_p_q*Q_1_1/lambda", "true"),
    (PATCHES, "E_l[u_1_p*u_1_q] - E_l[u_1_p]*E_l[u_1_q]", "Q_1_1/lambda", "false"),
    (PAIRS, "drift m_1_1", "2*E[y*u_1_2*Y_1_1*sigmoid(-y*u_1_1*u_1_2)] - beta*m_1_1", "true"),
    (PAIRS, "drift m_1_1", "E[y*u_1_2*Y_1_1*sigmoid(-y*u_1_1*u_1_2)] - beta*m_1_1", "false"),
    (PAIRS, r"\dot m_{11}", r"-\sum_\tau \mathbb{E}[g_{1\tau} Y_{\tau 1}] - \beta m_{11}", "true"),
    (ATTENTION, "sum_p(g_1_p)", "0", "true"),  # all scores together change nothing
    (ATTENTION, "g_2_p", f"(sigmoid({OUTPUT}) - y)*exp(u_1_p)/sum_q(exp(u_1_q))", "true"),
    (ATTENTION, "g_2_p", f"(sigmoid({OUTPUT}) - y)/2", "false"),
]
CLAIMS = [
    sa.make_claim(model, quantity, formula, name=f"tokens {n}", expected=expected)
    for n, (model, quantity, formula, expected) in enumerate(STATEMENTS, start=1)
]
