r"""What every check states, as a displayed equation, and MathML for pages without scripts or
network.
"""

from __future__ import annotations

# check -> LaTeX, in the notation of docs/conventions.md; E_d is the mean over runs in d dimensions
EQUATIONS = {
    "curves": (
        r"\lim\limits_{d\to\infty} E_d\big[S_t\big] = s(t),"
        r" \qquad \dot s = F(s), \quad s = (m, R^\perp, v)"
    ),
    "finite_size": (
        r"\big|E_d[S_t] - s(t)\big| \propto d^{-1},"
        r" \qquad \big(\mathrm{Var}_d[S_t]\big)^{1/2} \propto d^{-1/2}"
    ),
    "chain": (
        r"(m, A, v)_{j+1} = \Phi\big((m, A, v)_j;\, l, z, \zeta, \chi^2\big),"
        r" \qquad R^\perp = A A^T, \qquad \chi^2 \sim \chi^2_{d-r-C}"
    ),
    "fluctuations": (
        r"\sqrt d\,\big(S_t - s(t)\big) \Rightarrow N(0, C_t),"
        r" \qquad \dot C = JC + CJ^T + c_\delta\,\mathrm{Cov}(G)"
    ),
    "stationary": r"JC + CJ^T + c_\delta\,\mathrm{Cov}(G) = 0 \quad \text{at } F(s) = 0",
    "universality": (
        r"Z_i \text{ independent},\; E[Z_i] = 0,\; E[Z_i^2] = 1"
        r" \qquad \Rightarrow\; \lim\limits_{d\to\infty} E_d[S_t] = s(t)"
    ),
    "alignment": (
        r"\frac{\|P_\perp x^a\|}{\|x^a\|} \to \sqrt{\frac{R^\perp_{aa}(t)}{Q_{aa}(t)}},"
        r" \qquad Q = R^\perp + m\,\Gamma^{-1} m^T"
    ),
    "risk": (
        r"E[\ell] = \sum_l p_l\,E_l\big[\ell(y_l; u, v)\big],"
        r" \qquad P(\text{correct}) = \sum_l p_l\,P_l\big(\mathrm{arg\,min}_y\,\ell(y; u, v) = "
        r"y_l\big)"
    ),
    "blocks": (
        r"E[h\,YY^T] = VBV^T + c\,I_d, \qquad V = [e_1, \dots, e_r, x^1, \dots, x^C],"
        r" \qquad h = H_{ab} \text{ or } g_a g_b"
    ),
    "curvature": r"E[\nabla^2 L] = \nabla\,E[\nabla L] \quad \text{(kinks included)}",
    "span": (
        r"\frac{\|P_\perp M_{aa}\|}{\|M_{aa}\|} \propto \lambda^{-1},"
        r" \qquad M = E[\nabla^2\ell] \text{ or } E[\nabla\ell\,\nabla\ell^T]"
    ),
    "eigenspaces": (
        r"\frac{\|P_{E_k} x^a\|^2}{\|x^a\|^2}\,,"
        r" \qquad \sin^2\angle\big(E_k(\hat M_{aa}), \mathrm{Span}(\mu)\big)"
        r" \qquad \to\; \text{population values as } M/d \to \infty"
    ),
    "top_vector": (
        r"\cos^2\angle\big(v_1(\hat M_{aa}), \mu_a\big)"
        r" \qquad \to \cos^2\angle\big(v_1(M_{aa}), \mu_a\big)"
    ),
    "concentration": r"\|\hat M_{11} - M_{11}\|_{op} \propto (M/d)^{-1/2}",
    "proportional": (
        r"M/d \to \varphi:"
        r" \qquad S^{-1} = -zI + \tfrac1\lambda E\big[D\,(I + "
        r"\tfrac{SD}{\varphi\lambda})^{-1}\big],"
        r" \qquad \det\big(zI - F(z)\big) = 0 \;\text{ at outliers}"
    ),
    "large_aspect": (
        r"\mathrm{spec}_{\text{effective}}(M/d) - \mathrm{spec}\big(VBV^T + cI\big) \propto d/M"
    ),
    "train_spectra": (
        r"\mathrm{spec}\,\hat M_{\text{train}} - \mathrm{spec}\,\hat M_{\text{test}} \propto d/M"
        r" \qquad \text{at the same weights}"
    ),
    "precision_exponents": (
        r"\frac{\|P_\perp x^a\|}{\|x^a\|} \propto \lambda^{-1/2} \quad (c_\delta > 0)"
    ),
    "fixed_point": (
        r"\|m^\ast(\lambda) - m^\ast(\infty)\| \propto \lambda^{-1},"
        r" \qquad \max\,\mathrm{Re}\,\mathrm{spec}\,J < 0"
    ),
    "routes": r"\lambda^{-1} E_l[\partial_c f] = E_l[f\,w_c], \qquad w = Q^{+}(u - E u)",
    "second_layer": (
        r"v,\; E[\partial_v\ell\,\partial_v\ell^T]"
        r" \qquad \in \mathrm{Span}\big(g(\pm W\mu), g(\pm W\nu)\big)"
        r" \qquad \text{up to } O(\lambda^{-1/2})"
    ),
    "separated_points": (
        r"\sum_{i \in I_l} v_i^2 \to \log\frac{p_l - \beta}{\beta},"
        r" \qquad W_i \to \pm v_i\,\mu_l"
    ),
    "outcomes": (
        r"P(\text{all four separated}) = \sum_{j} (-1)^j \binom{4}{j} \Big(\frac{4 - j}{4}\Big)^K,"
        r" \qquad \lambda \gg d"
    ),
    "drift": (
        r"\lim\limits_{d\to\infty} E_d\big[S_t\big] = s(t),"
        r" \qquad \dot s = F(s), \quad s = (m, R^\perp, v)"
    ),
    "layer_spectra": (
        r"q_i^T \hat M_j\, q_k = \theta_i\,\delta_{ik} \pm \text{chance},"
        r" \qquad M_j q_i = \theta_i q_i, \quad M_j \text{ the block of layer } j"
    ),
    "layer_alignment": (
        r"1 - \frac{\|V^j P_j\|^2}{\|V^j\|^2}\,, \quad 1 - \frac1r\,\|P_{E_r}(I \otimes P_j)\|^2"
        r" \qquad P_j \text{ onto } \mathrm{Span}_l\, h^{j-1}(\mu_l)"
    ),
    "layer_rank": (
        r"\mathrm{rank}\, V^j, \quad \mathrm{rank}\,\big(h^{j-1}(\mu_l)\big)_l"
        r" \qquad \text{those of } s(t) \text{ in every run}"
    ),
}
