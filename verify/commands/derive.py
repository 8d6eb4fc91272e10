"""The command `derive`."""

from __future__ import annotations

from pathlib import Path

from theory import InputError
from verify.settings.configuration import Configuration
from verify.settings.option_table import ORTHONORMAL
from verify.settings.values import shown

from .command import takes_options
from .documents import derive_document
from .shared import check_kink_rule
from .terminal import say, spinner, write_text

FIXED_POINT = "fixed-point"
# orders of the expansion in 1 / lambda that are worked out
MOST_ORDER = 12


@takes_options
def derive(
    settings: Configuration,
    *,
    quantity: str,
    route: str | None,
    limit: str | None,
    style: str,
    entry: str | None,
    kink_rule: str | None,
    assignment: str | None,
    output: Path | None,
    document: Path | None,
) -> None:
    """Print closed-form theory: drift, Hessian, gradient, diffusion or fixed point, as formulas.

    Numbers that are not given stay symbols: the defaults named below are for the other commands.

    Example:  specalign derive --k 2 --quantity drift --limit noiseless --entry m_1_1 --format latex

    With --document the exit code is 1 where a step is refuted (nothing is written then) and 3 where
    one could not be told (it is marked).

    Example:  specalign derive xor --quantity fixed-point --assignment mu,-mu,nu,0

    Example:  specalign derive kgmm --k 2 --quantity drift --document appendix.tex
    """
    from verify.printing import formulas

    limit = _check_limit(quantity, limit, settings)
    clusters = _assignment(quantity, assignment, settings)
    if clusters is not None:
        _check_closed_form(settings)
    if limit != "exact":
        settings = settings.but(precision=None)
    if quantity == FIXED_POINT and settings.directions_gram is None:
        settings = settings.but(directions_gram=ORTHONORMAL)
    with spinner(f"deriving the {quantity} for {settings.size_name}"):
        model = settings.symbolic_model()
        found = formulas.collect(
            model,
            quantity,
            route,
            kink_rule=check_kink_rule(kink_rule, quantity, model),
            assignment=clusters,
            notation=settings.kind.notation,
        )
        if entry is not None:
            found = formulas.select(found, entry)
        found = formulas.apply_limit(found, limit)
    if document is not None:
        if clusters is not None and clusters != settings.kind.unit_clusters(settings.size):
            expected = "the assignment in turn together with --document"
            remedy = "the checker knows that fixed point alone: leave --assignment away"
            raise InputError("--assignment", repr(assignment), expected, remedy)
        notation = settings.kind.notation
        derive_document(
            model,
            document,
            settings,
            quantity=quantity,
            route=route,
            kink_rule=kink_rule,
            formulas=None if entry is None and limit == "exact" else found,
            order={"exact": None, "noiseless": 0}.get(limit, limit),
            notes=() if notation is None else (notation.latex,),
        )
        return
    text = formulas.render(found, style)
    if output is None:
        say(text.rstrip("\n"))
    else:
        write_text(output, text)


def _check_limit(quantity: str, limit: str | None, settings: Configuration) -> str:
    if limit is None:
        return "exact"
    if limit.isdigit() and (len(limit) > 2 or int(limit) > MOST_ORDER):
        remedy = "terms grow like the factorial of the order"
        raise InputError("--limit", shown(limit), f"an order up to {MOST_ORDER}", remedy)
    if quantity == FIXED_POINT:
        remedy = "the fixed point is that of the noiseless dynamics"
        raise InputError("--limit", repr(limit), f"no limit for {FIXED_POINT}", remedy)
    if limit != "exact" and "precision" in settings.typed:
        expected = f"no number together with --limit {limit}"
        raise InputError("--precision", settings.precision, expected, "leave --precision away")
    return limit


def _assignment(quantity: str, text: str | None, settings: Configuration) -> list[str] | None:
    """The clusters that the units pick at a fixed point; None for a model whose fixed point is
    unique.
    """
    kind = settings.kind
    if quantity != FIXED_POINT or not kind.clusters:
        if text is not None:
            wrong = quantity if kind.clusters else f"the model {settings.model_name}"
            remedy = "leave it away: it names one of the fixed points of xor"
            raise InputError("--assignment", repr(text), f"no assignment for {wrong}", remedy)
        return None
    if text is None:
        return kind.unit_clusters(settings.size)
    return [part.strip() for part in text.split(",")]


def _check_closed_form(settings: Configuration) -> None:
    """Separated fixed points are known for ReLU units and orthonormal directions only."""
    elsewhere = "use numerics.solve_fixed_point in Python for another one"
    if settings.value("activation") != "relu":
        expected = f"relu for {FIXED_POINT}: its closed form is that of ReLU units"
        remedy = f"leave --activation away, or {elsewhere}"
        raise InputError("activation", repr(settings.activation), expected, remedy)
    gram = settings.directions_gram
    if isinstance(gram, list) and gram != [[1, 0], [0, 1]]:
        rows = ";".join(",".join(f"{float(x):g}" for x in row) for row in gram)
        expected = f"orthonormal for {FIXED_POINT}: its closed form is that of orthonormal mu, nu"
        remedy = f"leave --directions-gram away, or {elsewhere}"
        raise InputError("directions_gram", repr(rows), expected, remedy)
