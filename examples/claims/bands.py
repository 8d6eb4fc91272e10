"""Claims about noise with bands: a covariance for each class, of numbers and of letters.

One logistic unit. Run by ``specalign check examples/claims/bands.py``.
"""

import sympy as sp

import specalign as sa

u, y = sa.symbols.vector("u", 1)[0], sa.symbols.LABEL
LOSS = sa.Loss(sa.Softplus(u) - y * u, units=1)
DATA = {"labels": [1, 0], "coordinates": [[1], [-1]]}
SHARES = sp.symbols("rho_1 rho_2", positive=True)
SCALES = [sp.symbols(f"sigma_{l}_1 sigma_{l}_2", positive=True) for l in (1, 2)]
# rho_g of the dimension are in band g, sigma_l_g is the scale of the noise of class l there
BANDS = {
    "two bands": sa.Bands(fractions=["1/4", "3/4"], scales=[[1, "1/2"], [2, "1/3"]]),
    "open bands": sa.Bands(fractions=SHARES, scales=SCALES),
}
MODELS = {
    name: sa.Model.build(sa.Mixture.build(**DATA, bands=bands), LOSS, name=name)
    for name, bands in BANDS.items()
}
SIGNAL = "-sum_l_t(p_l*E_l[g_a]*S_l_t*Gamma_g_s_t)"
CORRECTOR = "c_delta*rho_g/lambda*sum_l(p_l*sigma_l_g^2*E_l[g_a*g_b])"

STATEMENTS = [
    ("open bands", "drift m_g_a_s", "-E[g_a*Y_g_s] - beta*m_g_a_s", "true"),
    (
        "open bands",
        "drift m_g_a_s",
        f"{SIGNAL} - sum_l_b(p_l*sigma_l_g^2*E_l[H_a_b]*m_g_b_s)/lambda - beta*m_g_a_s",
        "true",
    ),
    (
        "two bands",
        "drift m_g_a_s",
        f"{SIGNAL} - sum_l_b(p_l*sigma_l_g*E_l[H_a_b]*m_g_b_s)/lambda - beta*m_g_a_s",
        "false",
    ),
    ("two bands", "drift m_g_a_s", "-E[g_a]*sum_h(m_h_a_s) - beta*m_g_a_s", "false"),
    ("open bands", "corrector_g_a_b", CORRECTOR, "true"),
    ("open bands", "corrector_g_a_b", CORRECTOR.replace("*rho_g", ""), "false"),
    (
        "two bands",
        "corrector_2_1_1",
        "c_delta*(3*p_1*E_1[g_1^2] + 4/3*p_2*E_2[g_1^2])/(16*lambda)",
        "true",
    ),
    (
        "two bands",
        "drift R_g_a_b",
        f"-E[g_a*zeta_g_b + g_b*zeta_g_a] - 2*beta*R_g_a_b + {CORRECTOR}",
        "true",
    ),
    ("two bands", "drift R_g_a_b", f"-E[g_a*zeta_g_b + g_b*zeta_g_a] + {CORRECTOR}", "false"),
    ("open bands", "H_a_b[bulk_g]", "sum_l(p_l*sigma_l_g^2*E_l[H_a_b])/lambda + beta", "true"),
    ("two bands", "H_a_b[bulk_g]", "E[H_a_b]/lambda + beta", "false"),
    ("two bands", "H_1_1[e_g_1,e_h_1]", "E[H_1_1]", "true"),
    (
        "two bands",
        "G_1_1[x_1_1,e_2_1]",
        "sum_l(p_l*sigma_l_1^2*S_l_1*E_l[diff(g_1^2,u_1)])/lambda",
        "true",
    ),
    ("open bands", "E_l[u_1^2] - E_l[u_1]^2", "sum_g(sigma_l_g^2*Q_g_1_1)/lambda", "true"),
    ("open bands", "E_l[u_1^2] - E_l[u_1]^2", "sum_g(Q_g_1_1)/lambda", "false"),
    ("two bands", r"\dot m^g_{as}", r"-\mathbb{E}[g_a Y^g_s] - \beta m^g_{as}", "true"),
]
CLAIMS = [
    sa.make_claim(MODELS[model], quantity, formula, name=f"bands {n}", expected=expected)
    for n, (model, quantity, formula, expected) in enumerate(STATEMENTS, start=1)
]
