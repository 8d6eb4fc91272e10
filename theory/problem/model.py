"""A model: one mixture, one loss, the ridge and the step size.  Everything is derived from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import sympy as sp

from theory import symbols
from theory.errors import InputError, brief, brief_parts
from theory.keywords import with_known_keywords
from theory.notebook import equations_latex

from .covariance.bands import rank_of, refuse_bands
from .covariance.tokens import check_tokens, refuse_tokens
from .exact_numbers import check_positive, exact
from .held.loss_symbols import OVERLAP
from .loss import Loss
from .mixture import Mixture
from .updating.rule import Rule, rule_of
from .updating.update import DOMINANT, Update


@with_known_keywords
@dataclass(frozen=True)
class Model:
    r"""Online SGD with a ridge on a Gaussian mixture.

    The sample loss is :math:`L = \ell(y_l; u, v) + \frac\beta2(\|x\|^2+\|v\|^2)`.

    SGD is :math:`x \leftarrow x - \delta\nabla L`, :math:`\delta = c_\delta/d`, one fresh sample a
    step; time is t = steps * delta (mathematics.md section 1).

    Parameters
    ----------
    mixture : Mixture
    loss : Loss
    ridge : sympy.Expr
        beta >= 0.
    step : sympy.Expr
        c_delta > 0.
    name : str
        Shown in reports and stored in results.
    update : Update, optional
        What a step does where it is not the plain gradient: rates and ridges by layer or unit, what
        is frozen, other rules, momentum (mathematics.md section 12).

    Raises
    ------
    InputError
        If a numeric ridge is negative or a numeric step not positive, or an update names what the
        loss does not have.

    Examples
    --------
    >>> u, two = symbols.vector("u", 1), Mixture.build(labels=[1, -1], coordinates=[[1], [-1]])
    >>> squares = Loss((u[0] - symbols.LABEL) ** 2 / 2, units=1)
    >>> model = Model.build(two, squares, ridge="1/10", name="least squares")
    >>> model.ridge, model.step, model.units
    (1/10, c_delta, 1)
    """

    mixture: Mixture
    loss: Loss
    ridge: sp.Expr
    step: sp.Expr
    name: str = "model"
    update: Update | None = None

    @classmethod
    @with_known_keywords
    def build(
        cls,
        mixture: Mixture,
        loss: Loss,
        *,
        ridge: object | None = None,
        step: object | None = None,
        name: str = "model",
        update: Update | None = None,
    ) -> Model:
        """Build a model; a ridge or step that is None becomes the symbol beta or c_delta."""
        beta = symbols.RIDGE if ridge is None else exact("ridge", ridge)
        c_delta = symbols.STEP if step is None else exact("step", step)
        return cls(mixture, loss, beta, c_delta, name, update)

    def __post_init__(self) -> None:
        for name, kind in (("mixture", Mixture), ("loss", Loss)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                remedy = "the order is Model.build(mixture, loss)"
                raise InputError(name, type(value).__name__, f"an sa.{kind.__name__}", remedy)
        check_positive(
            "ridge", self.ridge, "give the weight decay beta, 0 for none", allow_zero=True
        )
        check_positive("step", self.step, "give c_delta, the step size times the dimension")
        check_tokens(self)
        check_teachers(self.loss.teachers, self.mixture)
        check_statistics(self)
        if not self.name:
            raise InputError("name", repr(self.name), "a non-empty text", "name the model")
        self._take_update()

    def _take_update(self) -> None:
        """Check the update; the loss has the kinks of its rules among its own from here on."""
        if self.update is not None and not isinstance(self.update, Update):
            remedy = "write Update(rates={...}, ...)"
            raise InputError("update", brief(repr(self.update)), "an sa.Update", remedy)
        if self.update == Update():
            object.__setattr__(self, "update", None)
        if self.rule is not None and self.rule.project is not None:
            refuse_bands(self.mixture, "a projection of the steps onto the span of the means")
        if self.rule is not None:
            object.__setattr__(self, "loss", self.rule.loss)

    def __repr__(self) -> str:
        numbers = brief_parts(ridge=self.ridge, step=self.step)
        trained = "" if self.update is None else f", {self.update!r}"
        return f"Model({brief(self.name)!r}, {self.mixture!r}, {self.loss!r}, {numbers}{trained})"

    def _repr_latex_(self) -> str:
        """Data, loss and step, for notebooks."""
        step = r"-\tfrac{c_\delta}{d}\,(\nabla_{x^a}\ell + \beta x^a)"
        scalars = [(symbols.RIDGE, self.ridge), (symbols.STEP, self.step)]
        return equations_latex(
            [
                *self.mixture.equations(),
                *self.loss.equations(),
                (r"\Delta x^a", step),
                *((str(sp.latex(letter)), str(sp.latex(value))) for letter, value in scalars),
            ]
        )

    @cached_property
    def rule(self) -> Rule | None:
        """What the update does with every weight; None for the plain gradient."""
        if self.update is None:
            return None
        return rule_of(self.update, self.loss, self.mixture, self.ridge)

    @with_known_keywords
    def with_update(self, update: Update | None) -> Model:
        """The same model, trained otherwise.

        Examples
        --------
        >>> from theory import Update, kgmm
        >>> kgmm(2).with_update(Update(frozen=["unit 2"])).update
        Update(frozen=['unit 2'])
        """
        return replace(self, update=update)

    @property
    def ridges(self) -> tuple[sp.Expr, ...]:
        """The ridge of the loss on every unit, then on every readout parameter."""
        if self.rule is None:
            return (self.ridge,) * (self.units + self.readout_size)
        return self.rule.ridges

    @cached_property
    def kept_directions(self) -> sp.ImmutableDenseMatrix | None:
        """Pi, r x r, of the projector P of the update: (P w).e_s = sum_t (w.e_t) Pi_ts.

        Onto the span of the means, or off it; None where all of a step is taken.
        """
        if self.rule is None or self.rule.project is None:
            return None
        onto = self.mixture.span_projector
        one = sp.eye(self.directions)
        return sp.ImmutableDenseMatrix(onto if self.rule.project == DOMINANT else one - onto)

    @property
    def units(self) -> int:
        """C, the number of first-layer vectors."""
        return self.loss.units

    @property
    def directions(self) -> int:
        """r, the number of directions."""
        return self.mixture.directions

    @property
    def components(self) -> int:
        """n, the number of mixture components."""
        return self.mixture.components

    @property
    def bands(self) -> int:
        """B, the number of bands of the noise; 1 without them."""
        return self.mixture.band_count

    @property
    def tokens(self) -> int:
        """P, the number of features of a sample."""
        return self.mixture.tokens

    @property
    def readout_size(self) -> int:
        """q, the number of readout parameters."""
        return self.loss.readout_size

    @cached_property
    def symbols(self) -> symbols.Symbols:
        """The symbols of the state, in their fixed order."""
        loss = self.loss
        return symbols.Symbols(
            self.units,
            self.directions,
            self.readout_size,
            loss.teachers,
            loss.has_label_noise,
            self.bands,
            None if self.mixture.bands is None else self.components,
            loss.beside,
            self.tokens,
        )

    @cached_property
    def preactivation_means(self) -> sp.ImmutableDenseMatrix:
        """m S^T transposed, n x C: row l is the mean of u in component l, token by token."""
        return self._rows_of_components(self.mixture.coordinates * self.symbols.total_overlap.T)

    def _rows_of_components(self, means: sp.MatrixBase) -> sp.ImmutableDenseMatrix:
        """Rows of components and tokens, those of a component one behind the other."""
        return sp.ImmutableDenseMatrix(self.components, means.cols * self.tokens, list(means))

    @cached_property
    def field_overlaps(self) -> sp.ImmutableDenseMatrix:
        """Overlaps of the vectors behind the fields: m, rows of Gamma for teachers, 0 for noise."""
        gamma = self.mixture.total_gram
        rows = [gamma.row(s) for s in self.loss.teachers]
        noise = [sp.zeros(1, self.directions)] if self.loss.has_label_noise else []
        return sp.ImmutableDenseMatrix.vstack(self.symbols.total_overlap, *rows, *noise)

    @cached_property
    def field_gram(self) -> sp.ImmutableDenseMatrix:
        """lambda times the covariance of the fields: [[Q, m], [m^T, Gamma]] over the teachers."""
        refuse_bands(self.mixture, "a covariance of the fields that all components share")
        return self.field_gram_of(0)

    def field_gram_of(self, component: int) -> sp.ImmutableDenseMatrix:
        """lambda times the covariance of the fields in a 0-based component.

        With bands the sum of sigma_lg^2 [[Q^g, m^g], [m^gT, Gamma^g]] over these.
        """
        s, units, mixture = self.symbols, self.units, self.mixture
        gram = sp.zeros(*[len(s.fields) // self.tokens] * 2)
        for g in range(self.bands):
            variance, gamma = mixture.variance(component, g), mixture.band_gram(g)
            rows = slice(g * units, (g + 1) * units)
            overlaps = sp.Matrix.vstack(s.overlap[rows, :], *(gamma.row(t) for t in s.teachers))
            gram[:units, :units] += variance * s.gram[rows, :]
            for n, direction in enumerate(s.teachers, start=units):
                for a in range(n + 1):
                    gram[a, n] += variance * overlaps[a, direction]
                    gram[n, a] = gram[a, n]
        if s.label_noise:
            gram[-1, -1] = mixture.precision
        return symbols.of_tokens(gram, self.tokens)

    @cached_property
    def field_means(self) -> sp.ImmutableDenseMatrix:
        """n x fields: row l is the mean of (u, t, xi) in component l."""
        return self._rows_of_components(self.mixture.coordinates * self.field_overlaps.T)

    @cached_property
    def parameter_symbols(self) -> frozenset[sp.Symbol]:
        """Symbols of mixture, loss, ridge and step that are not fixed to numbers."""
        parts: list[sp.Expr] = [
            *self.mixture.weights,
            *self.mixture.directions_gram,
            *self.mixture.coordinates,
            *self.mixture.labels,
            self.mixture.precision,
            self.ridge,
            self.step,
        ]
        bands = self.mixture.bands
        if bands is not None:
            parts += [*bands.fractions, *bands.scales]
        parts += [each.symbol for each in self.loss.free_parameters]
        return frozenset().union(*(e.free_symbols for e in parts))

    def substitute(self, values: Mapping[sp.Symbol, object]) -> Model:
        """Return the model with numbers for open parameters, validated like any other.

        Parameters
        ----------
        values : mapping Symbol -> number
            Values of weights, Gamma, lambda, beta, c_delta, free parameters of the loss.

        Raises
        ------
        InputError
            A value out of its domain.

        Examples
        --------
        >>> from theory import kgmm
        >>> kgmm(2).substitute({symbols.RIDGE: "1/10"}).ridge
        1/10
        """
        numbers = {s: exact(str(s), v) for s, v in values.items()}
        mixture = Mixture(
            tuple(p.xreplace(numbers) for p in self.mixture.weights),
            self.mixture.labels,
            self.mixture.coordinates,
            sp.ImmutableDenseMatrix(self.mixture.directions_gram.xreplace(numbers)),
            self.mixture.precision.xreplace(numbers),
            None if self.mixture.bands is None else self.mixture.bands.substitute(numbers),
            self.tokens,
        )
        ridge, step = self.ridge.xreplace(numbers), self.step.xreplace(numbers)
        update = None if self.update is None else self.update.substitute(numbers)
        return Model(mixture, self.loss.substitute(numbers), ridge, step, self.name, update)

    def gram_definition(self) -> dict[sp.Symbol, sp.Expr]:
        r"""Return {Q_ab: R_ab + (m Gamma^{-1} m^T)_ab}, to eliminate Q from an expression.

        Derived expressions keep Q as a symbol: it enters only through the law of the
        pre-activations.

        Examples
        --------
        >>> from theory import kgmm
        >>> kgmm(2, directions_gram="orthonormal").gram_definition()[sp.Symbol("Q_1_2", real=True)]
        R_1_2 + m_1_1*m_2_1 + m_1_2*m_2_2
        """
        s, definition = self.symbols, {}
        for g in range(self.bands):
            first = g * self.units
            overlap = s.overlap[first : first + self.units, :]
            gamma = self.mixture.band_gram(g)
            # a band may hold nothing of a direction
            inverse = gamma.inv() if rank_of(gamma) == gamma.rows else gamma.pinv()
            parallel = overlap * inverse * overlap.T
            for a, b in symbols.upper_triangle(self.units):
                at = first + a, b
                definition[s.gram[at]] = s.gram_perp[at] + parallel[a, b]
        return definition


def check_plain(model: Model, what: str) -> None:
    """Refuse a model with an update where something is known of the plain gradient alone."""
    if model.update is not None:
        expected = "a model trained by the plain gradient"
        remedy = f"{what} know the plain gradient alone: take model.with_update(None)"
        raise InputError("model", f"{brief(model.name)} with {model.update!r}", expected, remedy)


def check_is_model(model: object) -> None:
    """Refuse what is no model where one is asked for."""
    if not isinstance(model, Model):
        remedy = "build one with kgmm, xor or Model.build"
        raise InputError("model", brief(type(model).__name__), "an sa.Model", remedy)


def check_statistics(model: Model) -> None:
    """Refuse statistics in the loss that the mixture does not have, or beside what ignores them."""
    statistics, r = model.loss.statistics, model.directions
    if not statistics:
        return
    for each in statistics:
        if each.kind == OVERLAP and each.second >= r:
            expected = f"m_a_s of a direction s in 1..{r} of the mixture"
            remedy = "give the mixture a column of coordinates and a row of directions_gram for it"
            raise InputError("loss", f"the statistic {each.symbol}", expected, remedy)
    refuse_bands(model.mixture, "a loss that holds statistics")
    refuse_tokens(model.mixture, "a loss that holds statistics")
    if model.update is not None:
        shown = ", ".join(str(each.symbol) for each in statistics)
        expected = f"the plain gradient of a loss that holds {shown}"
        remedy = "leave the update out, or write the loss without statistics"
        raise InputError("update", repr(model.update), expected, remedy)


def check_no_statistics(model: Model, what: str) -> None:
    """Refuse a loss that holds statistics where they are not known."""
    if model.loss.statistics:
        shown = ", ".join(str(each.symbol) for each in model.loss.statistics)
        expected = "a loss of the sample and the readout alone"
        remedy = f"{what} does not know statistics in the loss"
        raise InputError(
            "model", f"{brief(model.name)}, whose loss holds {shown}", expected, remedy
        )


def check_teachers(teachers: tuple[int, ...], mixture: Mixture) -> None:
    """Refuse teachers that are no directions of the mixture."""
    for s in teachers:
        if s >= mixture.directions:
            raise InputError(
                "loss",
                f"the teacher t_{s + 1}",
                f"t_s of a direction s in 1..{mixture.directions} of the mixture",
                "a teacher is a direction: give the mixture a column of coordinates, 0 where no "
                "mean lies along it, and a row of directions_gram for each",
            )
