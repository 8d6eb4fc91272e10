r"""Contractions: sums of products of tensors over repeated indices, expanded only where asked.

A derived quantity such as the drift is

.. math:: \dot m_{as} = -\sum_l p_l\,E_l[g_a]\,(S\Gamma)_{ls}
          - \lambda^{-1}\sum_{lb} p_l\,E_l[H_{ab}]\,m_{bs} - \beta m_{as}:

a handful of terms, whatever the number of classes, while its entries written out are thousands of
products.  A :class:`Contraction` holds the terms.  An entry is expanded when it is printed, claimed
or proved; numerics evaluates the tensors and contracts them as matrices.  Both read the same
object.

An index is a letter, and nothing is known of it but its range: components l, units a b c d,
directions s t, readout parameters i j, and whatever a larger class of models needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby

import sympy as sp


class Tensor:
    """A named array of expressions, each built once, when it is asked for.

    Parameters
    ----------
    name : str
    shape : tuple of int
    build : callable
        From an index to the expression of this entry.
    """

    def __init__(self, name: str, shape: tuple[int, ...], build: Callable[..., sp.Expr]) -> None:
        self.name = name
        self.shape = shape
        self._build = build
        self._entries: dict[tuple[int, ...], sp.Expr] = {}

    def __repr__(self) -> str:
        return f"{self.name}{list(self.shape)}"

    def entry(self, *index: int) -> sp.Expr:
        """The expression at a 0-based index."""
        if index not in self._entries:
            self._entries[index] = sp.sympify(self._build(*index))
        return self._entries[index]

    def map(self, function: Callable[[sp.Expr], sp.Expr]) -> Tensor:
        """The tensor of ``function`` of every entry."""
        return Tensor(self.name, self.shape, lambda *index: function(self.entry(*index)))


class MomentTensor(Tensor):
    """Expectations E_l[f_j]: the first index is the component, the others choose the integrand.

    Parameters
    ----------
    name, shape
    integrand : callable
        From the indices after the first to the integrand, with the label still a symbol.
    expectation : callable
        From an integrand and a component to the node E_l[f].
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        integrand: Callable[..., sp.Expr],
        expectation: Callable[[sp.Expr, int], sp.Expr],
    ) -> None:
        super().__init__(name, shape, lambda l, *at: expectation(self.integrand(*at), l))
        self._integrand = integrand
        self._integrands: dict[tuple[int, ...], sp.Expr] = {}

    def integrand(self, *index: int) -> sp.Expr:
        """f_j, common to all components."""
        if index not in self._integrands:
            self._integrands[index] = self._integrand(*index)
        return self._integrands[index]


# a tensor with a letter for each of its indices
Operand = tuple[Tensor, str]


@dataclass(frozen=True)
class Term:
    """A factor times a product of tensors, each with a letter for every index.

    Examples
    --------
    >>> x = Tensor("x", (2,), lambda a: sp.Symbol(f"x_{a}"))
    >>> list(Term(sp.Integer(3), ((x, "a"), (x, "b"))).products({"a": 0}))
    [3*x_0**2, 3*x_0*x_1]
    """

    factor: sp.Expr
    operands: tuple[Operand, ...]

    def scaled(self, factor: sp.Expr) -> Term:
        return replace(self, factor=self.factor * factor)

    def products(self, at: Mapping[str, int]) -> Iterator[sp.Expr]:
        """The products that are not 0, over all values of the letters that are not given."""
        return (sp.Mul(*factors) for _, factors in self.assignments(at))

    def assignments(
        self, at: Mapping[str, int]
    ) -> Iterator[tuple[dict[str, int], tuple[sp.Expr, ...]]]:
        """Values of all letters where no factor is 0, and the factors there."""
        # integrals last: they are costly, and a factor 0 makes them superfluous
        ordered = sorted(self.operands, key=lambda o: isinstance(o[0], MomentTensor))
        return _factors(ordered, dict(at), (self.factor,))


def _factors(
    operands: Sequence[Operand], at: dict[str, int], factors: tuple[sp.Expr, ...]
) -> Iterator[tuple[dict[str, int], tuple[sp.Expr, ...]]]:
    if not operands:
        yield at, factors
        return
    (tensor, letters), rest = operands[0], operands[1:]
    for assigned in _assignments(tensor.shape, letters, at):
        value = tensor.entry(*(assigned[letter] for letter in letters))
        if value != 0:
            yield from _factors(rest, assigned, (*factors, value))


def _assignments(
    shape: tuple[int, ...], letters: str, at: dict[str, int]
) -> Iterator[dict[str, int]]:
    """All extensions of ``at`` to the letters of an operand."""
    free = {c: n for c, n in zip(letters, shape, strict=True) if c not in at}
    if not free:
        yield at
        return
    letter, size = next(iter(free.items()))
    for value in range(size):
        yield from _assignments(shape, letters, at | {letter: value})


@dataclass(frozen=True)
class Group:
    """(a + b) c for terms a c and b c: the operands they share, and what remains of each.

    Examples
    --------
    >>> x, y = (Tensor(n, (2,), lambda a, n=n: sp.Symbol(f"{n}_{a}")) for n in "xy")
    >>> both = [Term(sp.Integer(n), ((x, "a"), (y, c))) for n, c in ((3, "b"), (6, "a"))]
    >>> list(Group.of(both).products({"a": 0, "b": 1}))
    [3*x_0*(2*y_0 + y_1)]

    An operand that stands twice in one of them is shared once:

    >>> both = [Term(sp.Integer(1), ((x, "a"),) * n) for n in (2, 1)]
    >>> list(Group.of(both).products({"a": 0}))
    [x_0*(x_0 + 1)]
    """

    shared: Term
    rests: tuple[Term, ...]

    @classmethod
    def of(cls, terms: Sequence[Term]) -> Group:
        first = terms[0]
        shared = first.operands
        for term in terms[1:]:
            # an operand may stand twice: as often as in both
            shared = _without(shared, _without(shared, term.operands))
        rests = (Term(t.factor / first.factor, _without(t.operands, shared)) for t in terms)
        return cls(Term(first.factor, shared), tuple(rests))

    def products(self, at: Mapping[str, int]) -> Iterator[sp.Expr]:
        """The products that are not 0, over all values of the letters that are not given."""
        if len(self.rests) == 1:
            whole = replace(self.shared, operands=self.shared.operands + self.rests[0].operands)
            yield from whole.products(at)
            return
        for assigned, factors in self.shared.assignments(at):
            rest = sp.Add(*(e for term in self.rests for e in term.products(assigned)))
            if rest != 0:
                yield sp.Mul(*factors, rest)


def _without(operands: Sequence[Operand], others: Sequence[Operand]) -> tuple[Operand, ...]:
    """Operands but those of ``others``, each as often as it stands there."""
    left = Counter(others)
    rest = []
    for operand in operands:
        if left[operand]:
            left[operand] -= 1
        else:
            rest.append(operand)
    return tuple(rest)


@dataclass(frozen=True)
class Contraction:
    """A sum of terms with the same free letters.

    Attributes
    ----------
    output : str
        The free letters, in the order of the indices of the result.
    shape : tuple of int
        Their ranges.
    terms : tuple of Term

    Examples
    --------
    >>> x = Tensor("x", (2, 2), lambda a, b: sp.Symbol(f"x_{a}{b}"))
    >>> square = Contraction("ab", (2, 2), (Term(sp.Integer(1), ((x, "ac"), (x, "cb"))),))
    >>> square.entry(0, 1)
    x_00*x_01 + x_01*x_11
    """

    output: str
    shape: tuple[int, ...]
    terms: tuple[Term, ...] = ()
    _entries: dict[tuple[int, ...], sp.Expr] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def entry(self, *index: int) -> sp.Expr:
        """The entry written out, as a sum of products; neighbours are collected."""
        if index not in self._entries:
            at = dict(zip(self.output, index, strict=True))
            sums = (product for group in self._groups for product in group.products(at))
            self._entries[index] = sp.Add(*(flat for t in sums for flat in sp.Add.make_args(t)))
        return self._entries[index]

    @cached_property
    def _groups(self) -> list[Group]:
        """Neighbouring terms that hold the same moments at the same letters, together."""

        def moments(term: Term) -> object:
            found = tuple(o for o in term.operands if isinstance(o[0], MomentTensor))
            return found or id(term)

        return [Group.of(tuple(terms)) for _, terms in groupby(self.terms, moments)]

    def __add__(self, other: Contraction) -> Contraction:
        assert (self.output, self.shape) == (other.output, other.shape)
        return replace(self, terms=self.terms + other.terms)

    def scaled(self, factor: sp.Expr) -> Contraction:
        return replace(self, terms=tuple(t.scaled(factor) for t in self.terms))

    def limit(self, function: Callable[[sp.Expr], sp.Expr]) -> Contraction:
        """A limit that respects sums and products, taken of every factor and tensor alone."""
        tensors: dict[Tensor, Tensor] = {}
        terms = []
        for term in self.terms:
            factor = function(term.factor)
            if factor == 0:
                continue
            for tensor, _ in term.operands:
                tensors.setdefault(tensor, tensor.map(function))
            operands = tuple((tensors[tensor], letters) for tensor, letters in term.operands)
            terms.append(Term(factor, operands))
        return replace(self, terms=tuple(terms))


def sum_of(output: str, shape: Iterable[int], *parts: Iterable[Term]) -> Contraction:
    """The contraction of all terms of all parts."""
    return Contraction(output, tuple(shape), tuple(term for part in parts for term in part))
