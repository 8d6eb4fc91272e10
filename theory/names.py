"""Names that a user chooses from, without SymPy: the command line knows them at once."""

from __future__ import annotations

ACTIVATION_NAMES = ("relu", "leaky_relu", "softplus", "sigmoid", "tanh", "erf")

# what is kept of a second derivative across a kink: see theory.problem.kinks
KINK_RULES = ("distributional", "almost-everywhere", "difference")
DISTRIBUTIONAL, ALMOST_EVERYWHERE, DIFFERENCE = KINK_RULES

# clusters mu, -mu (label 1) and nu, -nu (label 0) of the XOR mixture, in the directions e_1 = mu,
# e_2 = nu
CLUSTERS = ("mu", "-mu", "nu", "-nu")
COORDINATES = ((1, 0), (-1, 0), (0, 1), (0, -1))
LABELS = (1, 1, 0, 0)

# the remedy where somebody writes lambda = infinity
WITHOUT_NOISE = (
    "lambda -> infinity is the noiseless limit: sa.noiseless, "
    "sa.integrate_noiseless, or --limit noiseless on the command"
)
