"""The command `derive`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from theory.errors import InputError
from verify.settings.configuration import Configuration
from verify.settings.option_table import ORTHONORMAL
from verify.settings.user_model import UserConfiguration
from verify.settings.values import Number, shown

from .command import takes_options
from .documents import derive_document
from .messages import inform, say
from .shared import check_kink_rule, is_smooth
from .terminal import spinner, write_text

FIXED_POINT = "fixed-point"
# orders of the expansion in 1 / lambda that are worked out
MOST_ORDER = 12
# characters on a screen beyond which shorter forms are named
MUCH = 5000


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

    Example:  specalign derive --model model.py:model --quantity drift
    """
    from verify.printing import formulas
    from verify.printing.fixed_points import check_existence

    if quantity == FIXED_POINT and isinstance(settings, UserConfiguration):
        remedy = "solve_fixed_point in Python finds its numbers"
        expected = "another quantity of a model of your own"
        raise InputError("--quantity", repr(quantity), expected, remedy)
    limit = _check_limit(quantity, limit, settings)
    clusters = _assignment(quantity, assignment, settings)
    if clusters is not None:
        _check_closed_form(settings)
    if limit != "exact":
        settings = settings.but(precision=None)
    if quantity == FIXED_POINT and settings.directions_gram is None:
        settings = settings.but(directions_gram=ORTHONORMAL)
    rule = check_kink_rule(kink_rule, quantity, settings)
    if clusters is not None:
        from theory.fixed_points.separated import read_assignment

        read_assignment(clusters, settings.size)
        check_existence(settings.smallest.symbolic_model(), clusters)
    if entry is not None:
        _check_entry(entry, quantity, clusters, settings)
    if document is not None:
        _check_document(assignment, clusters, quantity, settings)
    with spinner(f"deriving the {quantity} for {settings.size_name}"):
        model = settings.symbolic_model()
        found = formulas.collect(
            model,
            quantity,
            route,
            kink_rule=rule,
            assignment=clusters,
            notation=settings.kind.notation,
            entry=entry,
        )
        found = formulas.apply_limit(found, limit)
    if document is not None:
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
        if len(text) > MUCH and entry is None and quantity != FIXED_POINT:
            first = next(iter(found.entries))
            one = f"one entry alone: --entry {first}"
            inform(f"{one}; in letters a, b, l, with every step: --document derivation.html")
    else:
        write_text(output, text)


def _check_limit(quantity: str, limit: str | None, settings: Configuration) -> str:
    if limit is None:
        return "exact"
    if limit.isascii() and limit.isdigit() and (len(limit) > 2 or int(limit) > MOST_ORDER):
        remedy = "terms grow like the factorial of the order"
        raise InputError("--limit", shown(limit), f"an order up to {MOST_ORDER}", remedy)
    if quantity == FIXED_POINT:
        remedy = "the fixed point is that of the noiseless dynamics"
        raise InputError("--limit", repr(limit), f"no limit for {FIXED_POINT}", remedy)
    if limit != "exact" and "precision" in settings.typed:
        expected = f"no number together with --limit {limit}"
        raise InputError("--precision", settings.precision, expected, "leave --precision away")
    from verify.printing.formulas import read_limit

    read_limit(limit, settings.shape.name, is_smooth(settings))
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
    elsewhere = "use sa.solve_fixed_point in Python for another one"
    if settings.value("activation") != "relu":
        expected = f"relu for {FIXED_POINT}: its closed form is that of ReLU units"
        remedy = f"leave --activation away, or {elsewhere}"
        raise InputError("activation", repr(settings.activation), expected, remedy)
    gram = settings.directions_gram
    if isinstance(gram, list) and gram != [[1, 0], [0, 1]]:
        expected = f"orthonormal for {FIXED_POINT}: its closed form is that of orthonormal mu, nu"
        remedy = f"leave --directions-gram away, or {elsewhere}"
        raise InputError("directions_gram", repr(_rows(gram)), expected, remedy)


def _check_entry(
    entry: str, quantity: str, clusters: list[str] | None, settings: Configuration
) -> None:
    """Refuse a name that no entry has: its sizes tell what a model has, before it is derived."""
    from verify.printing.entries import check_entry
    from verify.printing.labels import LABELS, Indices, separated_point_labels, softmax_point_labels

    shape = settings.shape
    labels = LABELS.get(quantity)
    if clusters is not None:
        from theory import SeparatedFixedPoint
        from theory.fixed_points.separated import read_assignment

        assignment = read_assignment(clusters, shape.units)
        point = SeparatedFixedPoint(settings.smallest.symbolic_model(), assignment)
        flows = len(point.flow_eigenvalues())
        labels = partial(separated_point_labels, assignment=assignment, flows=flows)
    elif labels is None:
        implicit = _is_orthonormal(settings)
        solved = settings.weights is not None and settings.ridge is not None
        labels = partial(softmax_point_labels, implicit=implicit, solved=solved)
    sizes = shape.units, shape.directions, shape.readout_size, shape.bands
    check_entry(labels, Indices.all(*sizes), entry)


def _is_orthonormal(settings: Configuration) -> bool:
    gram, size = settings.directions_gram, settings.shape.directions
    identity = [[int(i == j) for j in range(size)] for i in range(size)]
    return gram is None or gram in (ORTHONORMAL, identity)


def _check_document(
    text: str | None, clusters: list[str] | None, quantity: str, settings: Configuration
) -> None:
    """Refuse fixed points that the checker does not know, or whose numbers are solved for."""
    if clusters is not None and clusters != settings.kind.unit_clusters(settings.size):
        expected = "the assignment in turn together with --document"
        remedy = "the checker knows that fixed point alone: leave --assignment away"
        raise InputError("--assignment", repr(text), expected, remedy)
    if quantity == FIXED_POINT and clusters is None and not _is_orthonormal(settings):
        expected = "orthonormal means for a derivation of the fixed point"
        remedy = "its numbers are solved: leave --document away, or --directions-gram"
        raise InputError("directions_gram", _rows(settings.directions_gram), expected, remedy)


def _rows(gram: list[list[Number]]) -> str:
    return ";".join(",".join(f"{float(x):g}" for x in row) for row in gram)
