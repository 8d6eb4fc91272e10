"""True formulas of all quantities, and changes of them that few points show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory import Model, kgmm, xor

TWO, THREE = (kgmm(k, directions_gram="orthonormal") for k in (2, 3))
NET, WIDE = xor(2), xor(3)


@dataclass(frozen=True)
class True_:
    """A formula that holds; ``letters`` are its open indices, ``kind`` says what may be added."""

    model: Model
    quantity: str
    formula: str
    kind: str = "exact"
    order: int | None = None


SIGMOID = "sigmoid(sum_j(v_j*relu(u_j)))"
FORMULAS = [
    True_(TWO, "drift m_a_s", "-E[g_a*Y_s] - beta*m_a_s"),
    True_(TWO, "drift m_a_s", "-p_s*E_s[g_a] - sum_b(E[H_a_b]*m_b_s)/lambda - beta*m_a_s"),
    True_(THREE, "drift m_a_s", "-E[g_a*Y_s] - beta*m_a_s"),
    True_(
        TWO,
        "drift R_a_b",
        "-E[g_a*zeta_b] - E[g_b*zeta_a] - 2*beta*R_a_b + c_delta*E[g_a*g_b]/lambda",
    ),
    True_(TWO, "corrector_a_b", "c_delta*E[g_a*g_b]/lambda"),
    True_(THREE, "corrector_a_b", "c_delta*E[g_a*g_b]/lambda"),
    True_(TWO, "H_a_b[e_s,e_t]", "delta_s_t*p_s*E_s[H_a_b]"),
    True_(TWO, "H_a_b[bulk]", "E[delta_a_b*pi_a - pi_a*pi_b]/lambda + beta*delta_a_b"),
    True_(TWO, "G_a_b[bulk]", "E[g_a*g_b]/lambda"),
    True_(TWO, "gradient g_a[e_s]", "p_s*E_s[g_a]"),
    True_(TWO, "Cov[m_1_1,m_1_1]", "E[g_1^2*Y_1^2] - E[g_1*Y_1]^2"),
    True_(TWO, "step m_a_s", "-E[g_a*Y_s] - beta*m_a_s"),
    True_(TWO, "E_l[u_a*u_b]", "m_a_l*m_b_l + Q_a_b/lambda"),
    True_(THREE, "E_l[u_a*u_b]", "m_a_l*m_b_l + Q_a_b/lambda"),
    True_(TWO, "E_l[exp(u_a)]", "exp(m_a_l + Q_a_a/(2*lambda))"),
    True_(TWO, "log(E_l[exp(u_a)])", "m_a_l + Q_a_a/(2*lambda)"),
    True_(TWO, "E_l[tanh(u_a)]", "E_l[2*sigmoid(2*u_a) - 1]"),
    True_(TWO, "E_l[u_a^3]", "m_a_l^3 + 3*m_a_l*Q_a_a/lambda"),
    True_(THREE, "E[g_a*zeta_b]", "sum_c(E[H_a_c]*R_b_c)/lambda"),
    True_(NET, "drift v_i", f"-E[({SIGMOID} - y)*relu(u_i)] - beta*v_i"),
    True_(NET, "drift m_a_s", f"-E[v_a*({SIGMOID} - y)*step(u_a)*Y_s] - beta*m_a_s"),
    True_(NET, "corrector_a_b", "c_delta*E[g_a*g_b]/lambda"),
    True_(NET, "E_l[u_a*step(u_a)]", "E_l[relu(u_a)]"),
    True_(WIDE, "E_l[u_a*u_b]", "E_l[u_b*u_a]"),
    True_(THREE, "diff(pi_a, u_b)", "pi_a*(delta_a_b - pi_b)", "sample"),
    True_(THREE, "g_a", "pi_a - delta_a_y", "sample"),
    True_(TWO, "H_a_b + 0", "delta_a_b*pi_a - pi_a*pi_b", "sample"),
    True_(NET, "g_a", f"v_a*({SIGMOID} - y)*step(u_a)", "sample"),
    True_(NET, "g_v_i", f"({SIGMOID} - y)*relu(u_i)", "sample"),
    True_(TWO, "E_l[u_a^2]", "m_a_l^2 + Q_a_a/lambda", "order", 1),
    True_(TWO, "E_l[pi_a]", "exp(m_a_l)/sum_b(exp(m_b_l))", "order", 0),
    True_(TWO, "E_l[tanh(u_1)]", "tanh(m_1_l)", "order", 0),
]
DET = "(R_1_1*R_2_2 - R_1_2^2)"
OVERLAPS = "(m_1_1*m_2_2 - m_1_2*m_2_1)"
DET3 = (
    "(Q_1_1*(Q_2_2*Q_3_3 - Q_2_3^2) - Q_1_2*(Q_1_2*Q_3_3 - Q_2_3*Q_1_3)"
    " + Q_1_3*(Q_1_2*Q_2_3 - Q_2_2*Q_1_3))"
)


def changes(true: True_, rng: np.random.Generator) -> list[str]:
    """Formulas that differ from a true one where few would look, each once."""
    return list(dict.fromkeys(_changes(true, rng)))


def _changes(true: True_, rng: np.random.Generator) -> list[str]:
    f = f"({true.formula})"
    letters = [c for c in "abst" if f"_{c}" in true.quantity.replace("[e_", "_")]
    first = letters[0] if letters else ""
    if true.kind == "sample":
        k = true.model.units
        everywhere = "*".join(f"step(u_{i + 1} - 1/2)" for i in range(k))
        label = "delta_1_y" if true.model in (TWO, THREE) else "y"
        parts = [
            f"{everywhere}/7",
            "step(u_1)*step(-u_2 - 1)*step(u_1 - 1)",
            f"{label}*(u_1 - u_2)/9",
            "relu(u_1 - 3)",
            "relu(-u_1 - u_2 - 4)",
            "relu(u_1 - 2)*relu(-u_2 - 2)",
        ]
        if true.model in (NET, WIDE):
            parts += ["relu(-v_1 - 20)", "relu(v_1 - v_2 - 6)", "sqrt(v_2^2) - v_2"]
        names = [f"u_{i + 1}" for i in range(k)] + ["v_1"] * (true.model in (NET, WIDE))
        parts += shifted(names, ["lambda", "beta"], rng)
        return [f"{f} + {part}" for part in parts] + [f"{f}*(1 + {part})" for part in parts[:3]]
    if true.kind == "order":
        n = true.order
        parts = [DET, OVERLAPS, "Q_1_1", "exp(m_1_1)"]
        powers = [f"lambda^(-{n})", f"lambda^(1/2 - {n})", f"log(lambda)*lambda^(-{n})"]
        parts += shifted(["m_1_1", "m_1_2", "R_1_2", "Q_1_2", "m_2_2"], ["p_1"], rng)[:6]
        return [f"{f} + {part}*{power}/5" for part in parts for power in powers]
    many, two = true.model.units > 2, true.model in (NET, WIDE)
    states = ["m_1_1", "m_2_1", "m_1_2", "R_1_2", "Q_1_2", *(["v_1", "v_2"] if two else [])]
    parts = [
        DET,
        OVERLAPS,
        f"{DET}*{OVERLAPS}",
        *([DET3, f"{DET3}*{OVERLAPS}"] if many else []),
        "(p_1 - p_2)*(m_1_1 - m_2_2)",
        "(Q_1_1 - Q_2_2)*(m_1_1 - m_2_2)/9",
        "relu(lambda - 8)",
        "relu(1/10 - lambda)",
        "relu(m_1_1 - 3)",
        "relu(-m_1_1 - 3)",
        "relu(R_1_1 - 20)",
        "exp(-10*lambda)",
        "exp(-lambda^2)*Q_1_1",
        "relu(lambda - 8)*relu(m_1_1 - 2)",
        "(sqrt(m_1_1^2) - m_1_1)/9",
    ]
    if "beta" in f:
        parts += ["relu(beta - 7/10)", "sqrt((1 - beta)^2)/(1 - beta) - 1"]
    if true.model in (NET, WIDE):
        parts += ["relu(-v_1 - 9)", "v_1*v_2*(v_1 - v_2)/7", "sqrt(v_1^2) - v_1"]
    parts += shifted(states, ["lambda", "p_1", "beta", "c_delta", "R_1_1", "Q_2_2"], rng)
    parts += [
        "m_1_1*m_2_2/10^12",
        f"{DET}/10^12",
        f"{DET}*{OVERLAPS}/10^9",
        "(m_1_2/10)^40",
        "(lambda/100)^50",
        "exp(-(m_1_1 - 20)^2)",
        "exp(-40*Q_1_1)",
        "1 - step((m_1_1 - m_2_2)^2)",
        "1 - step((lambda - 2)^2)",
        "m_1_1*m_1_2*(m_2_1 - sqrt(m_2_1^2))",
        "(m_1_2 - m_2_1)*(p_1 - p_2)*(R_1_1 - R_2_2)",
        "delta_1_1*m_1_1 - sqrt(m_1_1^2)*(step(m_1_1) - step(-m_1_1)) + relu(-m_2_1 - 5)",
    ]
    if first in ("a", "b"):
        parts += [f"delta({first},{true.model.units})*Q_1_2/9"]
    if {"a", "b"} <= set(letters):
        parts += ["delta(a,1)*delta(b,2)*R_1_2", "delta(a,2)*delta(b,2)*relu(m_2_2 - 4)"]
        parts += ["delta_a_b*R_1_2/9", "(1 - delta_a_b)*m_1_1/9", "(m_a_1 - m_b_1)/9"]
    found = [f"{f} + {part}" for part in parts] + [f"{f}*(1 + {part})" for part in parts[:4]]
    return [*found, f"{f} + E_1[exp(u_1^4)]/10^6", f"{f} + E_1[1/u_1^2]/10^6"]


def shifted(states: list[str], positive: list[str], rng: np.random.Generator) -> list[str]:
    """Terms that vanish wherever states are small: ramps and steps with thresholds of 3 to 10, of
    one or of several states, and at the ends of what is positive.
    """

    def ramp() -> str:
        if rng.random() < 0.3:
            name = str(rng.choice(positive))
            if name in ("p_1", "p_2"):
                return str(rng.choice([f"relu({name} - 9/10)", f"relu(1/20 - {name})"]))
            return str(
                rng.choice([f"relu({name} - {rng.integers(8, 40)})", f"relu(1/30 - {name})"])
            )
        sign = str(rng.choice(["", "-"]))
        kind = str(rng.choice(["relu", "step"]))
        return f"{kind}({sign}{rng.choice(states)} - {rng.integers(3, 11)})"

    size = int(rng.integers(3, 9))
    first, second, third = rng.permutation(states)[:3] if len(states) > 2 else (*states, states[0])
    found = [
        *(ramp() for _ in range(5)),
        f"relu({first} - 3)*relu({second} - 3)",
        f"relu({first} - 3)*relu(-{second} - 3)*step({third})",
        f"relu({first} - {second} - {size})",
        f"relu({first}*{second} - {size})",
        f"relu({first} - {size})*{ramp()}",
        f"step({first} - {size})*step({size} + 1/10 - {first})",
        f"(sqrt(({first} - {size})^2) + {first} - {size})/9",
        f"(sqrt(({first} + {second} + {size})^2) - {first} - {second} - {size})/9",
    ]
    return list(dict.fromkeys(found))
