"""Claims about teachers, other updates, layers, statistics in the loss and free parameters.

Run by ``specalign check examples/claims/teachers_updates_layers.py``.
"""

import sympy as sp

import specalign as sa

u, y, g = sa.symbols.vector("u", 1)[0], sa.symbols.LABEL, sa.symbols.SLOPE
t, xi = sa.symbols.vector("t", 1)[0], sa.symbols.LABEL_NOISE
Q, T = sa.symbols.symmetric("Q", 1)[0, 0], sp.Symbol("T", positive=True)
PURE = sa.Mixture.build(labels=[0], coordinates=[[0]])
TWO = sa.Mixture.build(labels=[1, 0], coordinates=[[1], [-1]])
SIGNED = sa.Mixture.build(labels=[1, -1], coordinates=[[1], [-1]])


def built(name, mixture, loss, **more):
    """A model of one unit."""
    update = more.pop("update", None)
    return sa.Model.build(mixture, sa.Loss(loss, units=1, **more), name=name, update=update)


PHASE = built("phase retrieval", PURE, (u**2 - t**2) ** 2 / 8)
COMMITTEE = built("student", PURE, (sp.erf(u) - sp.erf(t) - xi / 2) ** 2 / 2)
SIGN_TEACHER = built("sign teacher", PURE, (u - sp.sign(t)) ** 2 / 2, kinks=(t,))
SQUARE = (u - y) ** 2 / 2
RATES = built("rates", SIGNED, SQUARE, update=sa.Update(rates={"layer 1": "1/2"}))
SIGN = built("sign", SIGNED, SQUARE, update=sa.Update(rules={"layer 1": sp.sign(g)}))
RULE = {"layer 1": -y * sa.Step(-y * u)}
PERCEPTRON = built("perceptron", SIGNED, SQUARE, update=sa.Update(rules=RULE))
LAYERS = sa.mlp(TWO, units=[1, 1], activation="tanh", output="logistic")
FROZEN = LAYERS.with_update(sa.Update(frozen=["layer 2"]))
OJA = built("Oja", SIGNED, -(u**2) + Q * u**2 / 2)
TEMPERED = built("tempered", TWO, T * (sa.Softplus(u / T) - y * u / T), parameters={"T": (0.5, 2)})
# of two units with the activation erf, and of what is taken for it
ARCSINE = "2/pi*asin({}/sqrt((lambda + {}*Q_1_1)*(lambda + {}*Gamma_1_1)))"
BEHIND = "v_2*(1 - tanh(v_1*tanh(u_1))^2)"

STATEMENTS = [
    (PHASE, "drift m_1_1", "-E[g_1*t_1] - beta*m_1_1", "true"),
    (PHASE, "drift m_1_1", "(Gamma_1_1 - 3*Q_1_1/2)*m_1_1/lambda^2 - beta*m_1_1", "false"),
    (PHASE, "drift m_1_1", "3*(Gamma_1_1 - Q_1_1)*m_1_1/(2*lambda^2) - beta*m_1_1", "true"),
    (PHASE, "E[t_1^2*u_1^2]", "(Gamma_1_1*Q_1_1 + 2*m_1_1^2)/lambda^2", "true"),
    (PHASE, "E[t_1^2*u_1^2]", "Gamma_1_1*Q_1_1/lambda^2", "false"),
    (COMMITTEE, "E[xi*g_1]", "-E[exp(-u_1^2)]/sqrt(pi)", "true"),
    (
        COMMITTEE,
        "corrector_1_1",
        "c_delta/lambda*E[4/pi*exp(-2*u_1^2)*((erf(u_1) - erf(t_1))^2 + 1/4)]",
        "true",
    ),
    (
        COMMITTEE,
        "corrector_1_1",
        "c_delta/lambda*E[4/pi*exp(-2*u_1^2)*(erf(u_1) - erf(t_1))^2]",
        "false",
    ),
    (
        SIGN_TEACHER,
        "drift m_1_1",
        "sqrt(2*Gamma_1_1/(pi*lambda)) - m_1_1/lambda - beta*m_1_1",
        "true",
    ),
    (PHASE, r"\dot m_{11}", r"-\mathbb{E}[g_1 t_1] - \beta m_{11}", "true"),
    (PHASE, r"\mathbb{E}[t_1^2 u_1^2]", r"\lambda^{-2}(\Gamma_{11} Q_{11} + 2 m_{11}^2)", "true"),
    (PHASE, r"\mathbb{E}[t_1^2 u_1^2]", r"\lambda^{-2}(\Gamma_{11} Q_{11} + m_{11}^2)", "false"),
    (COMMITTEE, "E[erf(u_1)*erf(t_1)]", ARCSINE.format("2*m_1_1", 2, 2), "true"),
    (COMMITTEE, "E[erf(u_1)*erf(t_1)]", ARCSINE.format("m_1_1", 1, 1), "false"),
    (SIGN_TEACHER, "drift m_1_1", "sqrt(2*Gamma_1_1/pi) - m_1_1/lambda - beta*m_1_1", "false"),
    (RATES, "drift m_a_s", "-(E[g_a*Y_s] + beta*m_a_s)/2", "true"),
    (RATES, "corrector_a_b", "c_delta*E[g_a*g_b]/(4*lambda)", "true"),
    (RATES, "corrector_a_b", "c_delta*E[g_a*g_b]/(2*lambda)", "false"),
    (RATES, "H_a_b[bulk]", "1/lambda + beta", "true"),
    (SIGN, "corrector_1_1", "c_delta/lambda", "true"),
    (SIGN, "corrector_1_1", "c_delta*E[g_1^2]/lambda", "false"),
    (PERCEPTRON, "corrector_1_1", "c_delta*E[step(-y*u_1)]/lambda", "true"),
    (PERCEPTRON, "drift m_1_s", "E[y*step(-y*u_1)*Y_s] - beta*m_1_s", "true"),
    (PERCEPTRON, "drift m_1_s", "E[y*step(y*u_1)*Y_s] - beta*m_1_s", "false"),
    (LAYERS, "g_v_2", "(sigmoid(f) - y)*tanh(v_1*tanh(u_1))", "true"),
    (LAYERS, "g_v_2", "(sigmoid(f) - y)*tanh(u_1)", "false"),
    (LAYERS, "g_1", f"(sigmoid(f) - y)*{BEHIND}*v_1*(1 - tanh(u_1)^2)", "true"),
    (LAYERS, "drift v_1", f"-E[(sigmoid(f) - y)*{BEHIND}*tanh(u_1)] - beta*v_1", "true"),
    (FROZEN, "drift v_1", "0", "true"),
    (FROZEN, "drift v_1", "-E[g_v_1] - beta*v_1", "false"),
    (OJA, "drift m_a_s", "-E[g_a*Y_s] - sum_b(E[kappa_a_b]*m_b_s) - beta*m_a_s", "true"),
    (OJA, "drift m_a_s", "-E[g_a*Y_s] - beta*m_a_s", "false"),
    (TEMPERED, "g_1", "sigmoid(u_1/T) - y", "true"),
    (TEMPERED, "H_a_b[bulk]", "E[exp(u_1/T)/(1 + exp(u_1/T))^2]/(T*lambda) + beta", "true"),
    (TEMPERED, "H_a_b[bulk]", "E[exp(u_1/T)/(1 + exp(u_1/T))^2]/lambda + beta", "false"),
]
CLAIMS = [
    sa.make_claim(model, quantity, formula, name=f"{model.name} {n}", expected=expected)
    for n, (model, quantity, formula, expected) in enumerate(STATEMENTS, start=1)
]
