"""Samples and the weights they are looked at with: drawn from the mixture or given, test data or
train data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from numerics.core.flatten import free_values
from numerics.core.geometry import labels_of, orthonormal_rows
from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.results import common_attributes
from numerics.core.state import State, check_state
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import (
    Array,
    Floats,
    as_array,
    as_generator,
    as_integer,
    check_kind,
    check_memory,
)
from numerics.core.weights import check_dimension, realise_weights, state_of_weights
from theory import InputError, Model
from theory.errors import check_choice
from theory.keywords import with_known_keywords
from theory.problem.model import check_no_statistics

from .derivatives import derivative_function, unpacked
from .mixture_samples import sample_label_noise, sample_mixture
from .one_pass import project, row_blocks
from .sources import Source

ROLES = ("test data", "train data")
DTYPES = ("float64", "float32")
# samples whose derivatives are computed at a time
BLOCK_SAMPLES = 2**14


@with_known_keywords
@dataclass(frozen=True, eq=False)
class SampleData:
    """Samples, and the weights at which the derivatives of the loss are taken.

    Made by :func:`draw_data` (fresh samples of the mixture), :func:`user_data` (arrays, files or
    chunks of one's own) and :func:`train_data` (the samples that trained the weights).

    Attributes
    ----------
    model : theory.Model
    ridge : float
        beta.
    weights : array, shape (C, d)
    readout : array, shape (q,)
    labels : array, shape (M,)
    source : Source
        The features, shape (M, d): float32 or float64; resident, memory-mapped or streamed.
    directions : array, shape (r, d), or None
        e_1..e_r; None where they are not known.  What is measured against them is then left out of
        results.
    parameters : Parameters or None
        Those of the mixture the samples come from, where they are known.
    state : State or None
        Summary statistics of the weights; None without directions.
    role : {"test data", "train data"}
    label_noise : array, shape (M,), or None
        xi of every sample, for a loss that holds it.

    Examples
    --------
    >>> from numerics import user_data
    >>> from theory import kgmm
    >>> data = user_data(kgmm(2), [[1.0, 0.0], [0.0, 2.0]], [1, 2], [[3, 0], [0, 1]], ridge=0)
    >>> data
    SampleData(test data of 'kgmm2', samples=2, dimension=2, float64, resident)
    >>> data.preactivations                                   # a unit a row, a sample a column
    array([[3., 0.],
           [0., 2.]])
    """

    model: Model
    ridge: float
    weights: Array
    readout: Array
    labels: Array
    source: Source
    directions: Array | None = None
    parameters: Parameters | None = None
    state: State | None = None
    role: str = ROLES[0]
    label_noise: Array | None = None
    _kept: dict[str, Array] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        source = self.source
        features = f"{source.dtype}, {source.kind}"
        size = f"samples={self.samples}, dimension={self.dimension}"
        return f"SampleData({self.role} of {self.model.name!r}, {size}, {features})"

    @property
    def samples(self) -> int:
        """M."""
        return self.source.samples

    @property
    def dimension(self) -> int:
        """d."""
        return self.source.dimension

    @property
    def features(self) -> Floats:
        """The features as one array; a streamed source has none."""
        if self.source.array is None:
            raise InputError(
                "data",
                "a streamed source",
                "features in one array",
                "use a resident or mapped array",
            )
        return self.source.array

    @property
    def generators(self) -> Array:
        """Rows e_1..e_r, where known, and x^1..x^C."""
        return (
            self.weights if self.directions is None else np.vstack([self.directions, self.weights])
        )

    @property
    def span(self) -> Array:
        """Orthonormal rows with the span of the generators."""
        return self._keep("span", lambda: orthonormal_rows(self.generators))

    @property
    def projections(self) -> Array:
        """V Y^T for the generators V, shape (r + C, M), in one pass over the data."""
        return self._keep("projections", lambda: self.projected(self.generators))

    @property
    def preactivations(self) -> Array:
        """u = x Y^T, shape (C, M)."""
        return self.projections[-len(self.weights) :]

    @property
    def fields(self) -> Array:
        """What the loss sees of every sample, shape (fields, M): u, t of the teachers, xi."""
        teachers = list(self.model.loss.teachers)
        noise = [] if self.label_noise is None else [self.label_noise]
        if not teachers and not noise:
            return self.preactivations
        return np.vstack([self.preactivations, self.projections[teachers], *noise])

    @property
    def held(self) -> Array:
        """What the loss holds beside a sample: the readout, and free parameters."""
        if not self.model.loss.beside:
            return self.readout
        check_no_statistics(self.model, "spectra of samples")
        if self.parameters is None:
            names = ", ".join(each.name for each in self.model.loss.free_parameters)
            remedy = "give a Problem, which has them, in the place of the model"
            raise InputError("data", f"no numbers of {names}", "free parameters", remedy)
        return np.concatenate([self.readout, free_values(self.model, self.parameters)])

    def projected(self, rows: Array) -> Array:
        """R Y^T for rows R in R^d, shape (n, M)."""
        out = np.empty((len(rows), self.samples))
        for start, block in self.source.blocks():
            out[:, start : start + len(block)] = project(block, rows)
        return out

    def packed_derivatives(self, matrix: str) -> Array:
        """Sample derivatives at the data as rows over samples, computed once.

        Upper triangle of the second derivatives by rows for the Hessian, first ones for G;
        variables (u, v).
        """
        return self._keep(matrix, lambda: self._derivatives(matrix))

    def derivatives(self, matrix: str) -> Array:
        """Sample derivatives at the data as full matrices: see :func:`compile_derivatives`."""
        packed = self.packed_derivatives(matrix)
        return packed if matrix == "gradient" else unpacked(self.model, packed)

    @with_known_keywords
    def fresh(
        self, samples: int, seed: int | np.random.SeedSequence | np.random.Generator
    ) -> SampleData:
        """Test data at the same weights: new samples of the mixture, to compare train data with.

        Parameters
        ----------
        samples : int
        seed : int, SeedSequence or Generator

        Raises
        ------
        theory.InputError
            The mixture is not known: use :meth:`with_samples`.
        """
        if self.parameters is None or self.directions is None:
            got, expected = "samples of an unknown mixture", "parameters and directions"
            remedy = "give them with the data, or test samples of your own to with_samples"
            raise InputError("data", got, expected, remedy)
        samples = as_integer("samples", samples, 1, "give the number M of test samples")
        generator = as_generator(seed)
        component, features = sample_mixture(
            self.model, self.parameters, self.directions, samples, generator, self.source.dtype.name
        )
        return replace(
            self,
            labels=labels_of(self.model)[component],
            source=resident(features),
            role=ROLES[0],
            label_noise=sample_label_noise(self.model, samples, generator),
        )

    def attributes(self, what: str = "empirical") -> dict[str, Any]:
        """What every result from these samples says about them."""
        return common_attributes(self.model, self.parameters, f"{what}, {self.role}") | {
            "data": self.role,
            "dimension": self.dimension,
            "samples": self.samples,
        }

    def _derivatives(self, matrix: str) -> Array:
        function, rows = derivative_function(self.model, matrix)
        u = self.fields
        out = np.empty((rows, self.samples))
        for part in row_blocks(self.samples, BLOCK_SAMPLES):
            function(self.labels[part], u[:, part], self.held, out[:, part])
        return out

    def _keep(self, key: str, make: Callable[[], Array]) -> Array:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


def check_data(data: object) -> None:
    """Refuse what is not data that spectra of samples are made from."""
    check_kind("data", data, SampleData, "make it with draw_data(...) or user_data(...)")


def resident(features: Floats) -> Source:
    """The source of an array in memory that is known to be right."""
    return Source(len(features), features.shape[1], features.dtype, "resident", features)


@takes_problem(bands=True)
def draw_data(
    problem: Problem,
    state: State,
    dimension: int,
    samples: int,
    seed: int | np.random.SeedSequence | np.random.Generator,
    weights: ArrayLike | None = None,
    dtype: str = "float64",
) -> SampleData:
    """Draw ``samples`` fresh samples in R^dimension at weights that realise ``state``.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    state : State
    dimension : int
        d >= r + C.
    samples : int
        M >= 1.
    seed : int, SeedSequence or Generator
    weights : array, shape (C, d), optional
        First-layer vectors with these statistics, in the coordinates of
        :func:`numerics.realise_weights`.
    dtype : {"float64", "float32"}
        Precision in which features are drawn and kept.

    Returns
    -------
    SampleData

    Examples
    --------
    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0, step=1)
    >>> data = draw_data(problem, State(np.eye(2), np.eye(2)), dimension=20, samples=100, seed=0)
    >>> data.features.shape, data.role
    ((100, 20), 'test data')
    """
    model, parameters = problem.model, problem.parameters
    check_state(model, state, "state")
    samples = as_integer("samples", samples, 1, "give the number M of test samples")
    dtype = check_choice("dtype", dtype, DTYPES)
    dimension = check_dimension(dimension, model.directions, model.units)
    numbers = samples * (dimension / (2 if dtype == "float32" else 1) + model.units + 2)
    check_memory("samples", samples, numbers, "take fewer samples, or a smaller dimension")
    directions, x = realise_weights(problem, state, dimension)
    if weights is not None:
        x = _given_weights(problem, state, x.shape, weights)
    generator = as_generator(seed)
    component, features = sample_mixture(model, parameters, directions, samples, generator, dtype)
    return SampleData(
        model,
        parameters.ridge,
        x,
        state.readout,
        problem.labels[component],
        resident(features),
        directions,
        parameters,
        state,
        label_noise=sample_label_noise(model, samples, generator),
    )


def _given_weights(
    problem: Problem, state: State, shape: tuple[int, ...], weights: ArrayLike
) -> Array:
    x = as_array("weights", weights, 2)
    if x.shape != shape:
        raise InputError(
            "weights", f"shape {x.shape}", f"shape {shape}", "give one row x^a per unit"
        )
    found = state_of_weights(problem, x)
    scale = 1e-8 * (1 + np.abs(x).max(initial=0.0) ** 2)
    for part in ("overlap", "gram_perp"):
        difference = np.abs(getattr(found, part) - getattr(state, part)).max()
        if difference > scale:
            raise InputError(
                "weights",
                f"{part} off by {difference:.3g} from the state",
                "weights with these statistics",
                "use sa.state_of_weights(problem, weights, readout) as the state",
            )
    return x
