"""The setting of training that reaches a goal soonest, or is best at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp

from numerics.core.problem import Problem
from numerics.core.state import State, check_state
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import as_integer, as_scalar, kind_of
from numerics.dynamics.curve import Curve
from theory import Drift, InputError, derive_drift
from theory.errors import brief, check_choice
from theory.keywords import with_known_keywords
from theory.notebook import equations_latex, short_repr

from .axes import CLOCKS, ScheduleFamily, Setting, read_axes, with_setting
from .courses import Course, Training
from .quantities import quantity_of
from .search import Goal, Search
from .slices import AS_GOOD, Slice, slice_of

# nodes of accuracies while settings are compared, and of the best one
SEARCH_NODES, FINAL_NODES = 2**10, 2**14
# absolute errors of statistics asked for: searching, and of the best setting with and without
# quasi-Monte Carlo
SEARCH_TOLERANCE, SOBOL_TOLERANCE, TENSOR_TOLERANCE = 1e-3, 1e-4, 1e-7
WITHIN = 64.0


class TargetNotReached(ArithmeticError):
    """No setting of the box reaches the target; ``best`` is the value that comes closest, and
    ``setting`` has it.

    Examples
    --------
    >>> closest = Setting(step=20, ridge=0.1)
    >>> try:
    ...     raise TargetNotReached("accuracy 0.99 is not reached", 0.95, closest)   # by design
    ... except TargetNotReached as missed:
    ...     print(f"{missed}; at best {missed.best}, with step {missed.setting.step}")
    accuracy 0.99 is not reached; at best 0.95, with step 20
    """

    def __init__(self, message: str, best: float, setting: Setting) -> None:
        super().__init__(message)
        self.best, self.setting = best, setting


@with_known_keywords
@dataclass(frozen=True)
class Design:
    """The best setting of a box, and how well it is determined.

    Attributes
    ----------
    problem, initial, drift
        What is trained; the problem as it was stated.
    quantity : str
        "accuracy", "alignment" or "loss".
    target : float or None
        To be reached soonest; None where the value at a time was asked for.
    clock : str
        "samples" or "steps"; times on it are divided by d.
    setting : Setting
    when : float
        Time on the clock at which the target is reached, or that was asked about.
    value : float
        Of the quantity then.
    error : float
        Of ``when``, or of ``value`` where there is no target: from the errors of curve and
        expectations.
    slope : float
        Improvement of the quantity per unit of the clock, then.
    slices : tuple of Slice
        One for each setting that was chosen.
    start : float
        The quantity before training.
    stated : Course or None
        What the setting does that was stated, without any choice.
    schedule : sympy.Expr or None
        With the letters that were chosen.
    curve : Curve
        Of the best setting; its batch acts as step / batch.
    looked_at : tuple of (Setting, float)
        All settings and their times (infinite where the target was not reached) or values.
    curves : int
        Number of curves that were integrated.
    """

    problem: Problem
    initial: State
    drift: Drift
    quantity: str
    target: float | None
    clock: str
    setting: Setting
    when: float
    value: float
    error: float
    slope: float
    slices: tuple[Slice, ...]
    start: float
    stated: Course | None
    schedule: sp.Expr | None
    curve: Curve
    looked_at: tuple[tuple[Setting, float], ...]
    curves: int

    def __repr__(self) -> str:
        clock = f"{self.clock} per dimension"
        reached = f"{self.quantity} {self.value:.5g} at {self.when:.5g} {clock}"
        model = f"of {brief(self.problem.model.name)!r}"
        return short_repr(self, model, reached, **{s.name: f"{s.value:.4g}" for s in self.slices})

    def _repr_latex_(self) -> str:
        """What is reached when, and by which settings, for notebooks."""
        letters = {"step": r"c_\delta", "ridge": r"\beta"}
        goal = rf"\text{{{self.quantity}}}"
        when = rf"{self.when:.5g}\;\text{{{self.clock} per dimension}}"
        settings = [
            (letters.get(s.name, rf"\text{{{s.name}}}"), f"{s.value:.4g}") for s in self.slices
        ]
        return equations_latex([(goal, rf"{self.value:.5g}\;\text{{at}}\;{when}"), *settings])

    @property
    def trained(self) -> Problem:
        """The problem with the numbers of the best setting; its batch is not in them."""
        return with_setting(self.problem, self.setting)

    def at(self, time: float) -> State:
        """The state at a time of the clock."""
        return self.curve.state(min(time * self.setting.per_unit(self.clock), self.curve.end))


@takes_problem(tokens=True)
def design(
    problem: Problem,
    initial: State,
    *,
    over: Mapping[str, tuple[float, float]],
    reach: tuple[str, float] | None = None,
    best: tuple[str, float] | None = None,
    clock: str = "samples",
    within: float = WITHIN,
    batch: int = 1,
    schedule: sp.Expr | None = None,
    drift: Drift | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Design:
    r"""Find the setting that reaches a target soonest, or is best at a time.

    .. math:: \min_{c,\beta,b,\dots}\ \tau:\ q(s(\tau))\ge q^*,\qquad
              \frac{ds}{d\tau}=\eta\,c'\,F(s;\beta,\eta c/b)

    with :math:`\tau` = samples / d (:math:`c'=c/b`) or steps / d (:math:`c'=c`), along the
    effective dynamics (mathematics.md section 4, :class:`numerics.Schedule`).  The box is scanned;
    then quasi-Newton steps with slopes by differences (L-BFGS-B) where the quantity is smooth, and
    quadratic models (COBYQA) else, start from the best points that are apart.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.  What is not in ``over`` is as it says.
    initial : State
    over : mapping of name to (low, high)
        What is chosen: "step" (c_delta), "ridge", "batch", letters of the schedule, free parameters
        of the loss.  A box whose ends are a factor of 8 apart is searched on a logarithmic scale.
    reach : (quantity, target), optional
        "accuracy" or "alignment", to be at least the target; or "loss", at most.  The alignment is
        the share of the first layer's squared length in the span of the directions.
    best : (quantity, time), optional
        Instead: the quantity that is to be best at this time of the clock.
    clock : {"samples", "steps"}
        What the time counts, divided by d.
    within : float
        Latest time of the clock at which a target counts as reached.
    batch : int
        Samples a step, where it is not chosen.
    schedule : sympy.Expr, optional
        Factor of the step in terms of ``sa.TIME`` and of letters that ``over`` has.
    drift : theory.Drift, optional
        Instead of the derived one.
    seed : int
        Of the scan, and of quasi-Monte Carlo scramblings.
    progress : callable, optional
        Called with the fraction done.

    Returns
    -------
    Design

    Raises
    ------
    theory.InputError
        Before any work.
    TargetNotReached
        After a scan and a short search for the setting that comes closest.

    Examples
    --------
    Two classes, no ridge: the largest step aligns no more, the smallest takes long.

    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0, step=1)
    >>> found = design(problem, State.zero(problem), over={"step": (1, 90)},
    ...                reach=("alignment", 0.5))
    >>> found.slices[0].edge, found.when < found.stated.when
    ('', True)
    """
    check_state(problem.model, initial)
    asked, goal = _goal(reach, best, within)
    check_choice("clock", clock, CLOCKS)
    seed = as_integer("seed", seed, 0, "seeds are non-negative integers")
    batch = as_integer("batch", batch, 1, "a step needs at least one sample")
    family = ScheduleFamily.of(schedule, over)
    now = problem.parameters
    base = Setting(now.step, now.ridge, float(batch), dict(now.values))
    axes = read_axes(over, problem, family.names, base)
    middle = {a.name: a.value(0.5) for a in axes if a.name in family.names}
    base = replace(base, letters=middle)
    derived = derive_drift(problem.model) if drift is None else drift
    training = Training(
        problem, initial, derived, family, clock, quantity_of(*asked), SEARCH_TOLERANCE,
        SEARCH_NODES, seed,
    )  # fmt: skip
    start = _check_start(training, base, goal)
    search = Search(training, axes, goal, base, progress)
    search.scan()
    if goal.target is not None and not search.best()[1].is_reached:
        search.come_closest()
        if not search.best()[1].is_reached:
            raise _not_reached(search, goal)
    search.polish()
    search.take_whole_batch()
    fine = search.pinned(_final_tolerance(training, search.best()[1]))
    return _finish(search, fine, start)


def _goal(reach: object, best: object, within: float) -> tuple[tuple[str, str], Goal]:
    """The quantity, the argument that names it, and what is wanted of it."""
    if (reach is None) == (best is None):
        got = "both" if reach is not None else "neither"
        expected = "one of the two: a target to reach, or a time at which to be best"
        remedy = 'write reach=("accuracy", 0.9) or best=("accuracy", 4)'
        raise InputError("reach, best", got, expected, remedy)
    name, pair = ("reach", reach) if reach is not None else ("best", best)
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not isinstance(pair[0], str):
        remedy = f'write {name}=("accuracy", 0.9)'
        raise InputError(name, kind_of(pair), "a quantity and a number", remedy)
    quantity = quantity_of(pair[0], name)
    if name == "best":
        when = as_scalar("best", pair[1], 0.0, True, "give a time of the clock, over d")
        return (quantity.name, name), Goal(None, when)
    target = as_scalar("reach", pair[1], -np.inf, False, "give the value to be reached")
    if not quantity.least < target < quantity.most:
        expected = f"an {quantity.name} between {quantity.least:g} and {quantity.most:g}"
        raise InputError("reach", f"{target:g}", expected, "training does not get there")
    limit = as_scalar("within", within, 0.0, True, "give the latest time of the clock, over d")
    return (quantity.name, name), Goal(target, limit)


def _final_tolerance(training: Training, course: Course) -> float:
    """The error asked of the best curve: what is cheap depends on how expectations are computed."""
    assert course.curve is not None
    is_sobol = course.curve.rule.kind == "sobol"
    return SOBOL_TOLERANCE if is_sobol else TENSOR_TOLERANCE


def _check_start(training: Training, base: Setting, goal: Goal) -> float:
    """The quantity before training, which has to be short of the target."""
    start, _ = training.quantity_at(base, training.initial)
    sign = training.quantity.sign
    if goal.target is not None and sign * (start - goal.target) >= 0:
        expected = f"more than the {training.quantity.name} of the start, {start:.6g}"
        expected = expected if sign > 0 else expected.replace("more", "less")
        raise InputError("reach", f"{goal.target:g}", expected, "the start is there already")
    return start


def _not_reached(search: Search, goal: Goal) -> TargetNotReached:
    _, course = search.best()
    name, clock = search.training.quantity.name, search.training.clock
    where = ", ".join(f"{a.name} = {course.setting.number(a.name):.4g}" for a in search.axes)
    return TargetNotReached(
        f"no setting of the box reaches {name} {goal.target:g} within {goal.limit:g} {clock} per "
        f"dimension: of {len(search.courses)} looked at the closest comes to "
        f"{course.value:.4g}, at {where}",
        float(course.value),
        course.setting,
    )


def _finish(search: Search, pinned: Search, start: float) -> Design:
    """The best setting computed once more with finer rules, and what is as good."""
    goal = search.goal
    point, course = pinned.best()
    training = replace(pinned.training, nodes=FINAL_NODES)
    if goal.target is None:
        exact = training.at(course.setting, goal.limit)
    else:
        exact = training.reach(course.setting, goal.target, goal.limit, 1.2 * course.when)
    error = training.error(exact, goal.target)
    # a setting is not told from the best one where their times differ by less than both errors
    slack = np.log1p(AS_GOOD) if goal.target is not None else AS_GOOD * abs(course.value)
    slices = tuple(slice_of(search, point, i, slack, 2 * error) for i in range(len(search.axes)))
    assert exact.curve is not None
    results = tuple(
        (c.setting, c.value if goal.target is None else c.when)
        for c in {**search.courses, **pinned.courses}.values()
    )
    if goal.target is not None:
        error *= exact.when
    return Design(
        training.problem, training.initial, training.drift, training.quantity.name, goal.target,
        training.clock, course.setting, exact.when, exact.value, error, training.slope(exact),
        slices, start, search.stated(), training.schedule.at(course.setting.letters), exact.curve,
        results, search.training.curves + pinned.training.curves + training.curves,
    )  # fmt: skip
