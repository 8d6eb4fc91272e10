"""The quantities a claim may name in a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from theory import GaussianExpectation, Model
from theory.names import DISTRIBUTIONAL
from verify.claims.raw.loss import RawLoss

from .conventions import BANDS, COMPONENTS, DIRECTIONS, PARAMETERS, SHAPES, TOKENS, UNITS, Scope
from .meaning import _Reading
from .tree import Node


def free_names(model: Model) -> dict[str, sp.Symbol]:
    """Letters of the author of a model: free parameters of the loss, and those in its bands."""
    bands = model.mixture.bands
    inside = () if bands is None else (*bands.fractions, *bands.scales)
    own = sorted(set().union(*(e.free_symbols for e in inside)), key=str)
    named = {str(x): x for x in own if str(x) not in SHAPES}
    return {each.name: each.symbol for each in model.loss.free_parameters} | named


@dataclass(frozen=True)
class Vocabulary:
    """The names of a model, and what they stand for.

    Parameters
    ----------
    model : Model
    kink_rule : str
        What second derivatives of the loss keep of a kink.
    raw : bool
        The raw reading in place of the derived one.
    gaps : bool
        The gaps s_l of a fixed point have names.
    sized : bool
        The dimension d has a name.
    """

    model: Model
    kink_rule: str = DISTRIBUTIONAL
    raw: bool = False
    gaps: bool = False
    sized: bool = False

    @cached_property
    def loss(self) -> RawLoss:
        return RawLoss(self.model)

    @cached_property
    def own_letters(self) -> dict[str, sp.Symbol]:
        """Letters of the author of the model."""
        return free_names(self.model)

    def read(
        self,
        tree: Node,
        text: str,
        bindings: Mapping[str, int] | None = None,
        *,
        sample: bool = False,
        parts: list[GaussianExpectation] | None = None,
    ) -> sp.Expr:
        """The expression that a formula stands for.

        Parameters
        ----------
        tree : Node
        text : str
            Where it was read from, for messages.
        bindings : mapping letter -> int, optional
            Values, counted from 1, of the indices that the quantity has.
        sample : bool
            The formula is about one sample: u, y and derivatives of the loss stand outside
            expectations.
        parts : list of GaussianExpectation, optional
            Is given every expectation of the formula, and those of terms in it, as they are
            written: what cancels has to exist too.

        Raises
        ------
        FormulaError
            An unknown name, a wrong number or range of indices, a free index, a name where it has
            no value.
        """
        reading = _Reading(self, text)
        value = reading.of(tree, Scope(dict(bindings or {}), inside=sample))
        if parts is not None:
            parts += reading.parts
        return value

    def size_of(self, letter: str) -> int | None:
        """How many values an index letter has."""
        model = self.model
        for letters, size in (
            (UNITS, model.units),
            (DIRECTIONS, model.directions),
            (COMPONENTS, model.components),
            (PARAMETERS, model.readout_size or model.units),
        ):
            if letter in letters:
                return size
        # where there is one of them it has no index
        several = {BANDS: model.bands, TOKENS: model.tokens}
        return next((n for letters, n in several.items() if letter in letters and n > 1), None)

    def names(self) -> list[str]:
        """What a formula may hold."""
        model, q = self.model, self.model.readout_size
        left = {"v"} if not q else set()
        left |= set() if self.gaps else {"s"}
        left |= set() if self.sized else {"d"}
        left |= {"f"} if not q else set()
        left |= set() if model.loss.gauge is not None and model.tokens == 1 else {"pi"}
        left |= set() if model.loss.teachers else {"t"}
        left |= set() if model.loss.has_label_noise else {"xi"}
        left |= set() if model.loss.statistics else {"kappa", "eta"}
        left |= set() if model.mixture.bands is not None else {"rho", "sigma"}
        return [*(n for n in SHAPES if n not in left), *self.own_letters]
