"""At which layer, and at which precision, a trained network stops to align with its own spaces."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from numerics.core.parameters import Parameters
from numerics.core.results import library_versions
from numerics.core.validation import Array, as_integer, as_scalar, check_kind, check_times
from theory import InputError, Mixture
from theory.errors import check_choice
from theory.keywords import with_known_keywords

from .dense_network import DenseNetwork
from .effective_weights import check_reach, effective_weights
from .layer_measures import measure_layers
from .train_network import Clusters, random_weights, train_network

METHODS = ("sgd", "effective")


@with_known_keywords
def trained_layers(
    mixture: Mixture,
    units: Sequence[int],
    *,
    precision: ArrayLike,
    ridge: float,
    time: ArrayLike,
    dimension: int,
    replicas: int,
    seed: int = 0,
    step: float = 1.0,
    activation: str = "tanh",
    biases: bool = False,
    method: str = "sgd",
    samples: int = 4_000,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> xr.Dataset:
    r"""Train networks of any depth and width by SGD, and say how far each layer is off its space.

    Layer j meets the means as feature vectors; P projects on their span, as far as they extend
    in it (mathematics.md section 13).  Its weights V, and the Hessian and G blocks :math:`M_a` of
    its units, lie in that space up to

    .. math:: \varepsilon_V = \frac{\|V(I-P)\|_F}{\|V\|_F},\qquad
              \varepsilon_M = \frac{\sum_a\|(I-P)M_a\|_{op}}{\sum_a\|M_a\|_{op}}

    (mathematics.md section 8).  The network is that of :func:`theory.mlp`, without symbols: widths
    of 20 cost microseconds a step.  Classes have equal weights and directions are orthonormal
    unless the mixture holds numbers.

    Parameters
    ----------
    mixture : theory.Mixture
        Labels 0 and 1 get one logistic output, labels 1 .. k the softmax.
    units : sequence of int
        Widths of the hidden layers; the readout is one layer more.
    precision : float or array
        Values of lambda, the inverse variance of the noise.
    ridge, step : float
        beta >= 0 and c_delta > 0.
    time : float or array
        Increasing times >= 0, in units of steps * c_delta / d, at which to look.
    dimension : int
        d, at least the directions and the units of layer 1 together.
    replicas : int
        Runs at each precision, each from random weights of its own: rows of length one in the mean.
    seed : int
        Root of a numpy SeedSequence; a run does not depend on other runs or on ``workers``.
    activation : {"tanh", "relu"}
        Second derivatives of a ReLU are those almost everywhere.
    biases : bool
    method : {"sgd", "effective"}
        SGD; or the effective dynamics of :func:`numerics.integrate_curves` from the same weights
        as SGD with this seed, for smooth activations and widths that derivations reach.
    samples : int
        Fresh samples behind the blocks of a state and its accuracy.
    workers : int, optional
        Threads; all processors when omitted.
    progress : callable, optional
        Called with the fraction done.

    Returns
    -------
    xarray.Dataset
        Over (precision, replica, time, layer): ``weights``, ``hessian``, ``gradient``, the
        epsilons; ``random``, that of random rows; ``rank``, the dimension of the space;
        ``weight_rank``; ``hessian_rank`` and ``gradient_rank``, leading eigenvectors of the largest
        block of a unit that lie in the space to 3/4 of their squared length or more, before the
        first that does not.  Without the layer: ``accuracy`` and ``best_accuracy``, that of the
        best classifier of these samples.

    Raises
    ------
    theory.InputError
        Before any work, for bad values; and when a run diverges.

    Examples
    --------
    >>> from theory import kgmm
    >>> found = trained_layers(kgmm(3).mixture, [6, 6], precision=100, ridge=0.01, time=[0, 40],
    ...                        dimension=50, replicas=2, seed=1)
    >>> dict(found.weights.sizes)
    {'precision': 1, 'replica': 2, 'time': 2, 'layer': 3}
    >>> off = found.weights.mean(("precision", "replica")).sel(layer="layer 1")
    >>> bool(off[0] > 0.9 and off[1] < 0.7)
    True
    """
    times = check_times(time)
    check_choice("method", method, METHODS)
    study = _Study.checked(mixture, units, precision, ridge, step, activation, biases, dimension)
    if method == "effective":
        check_reach(study.network)
    replicas = as_integer("replicas", replicas, 1, "ask for at least one run")
    samples = as_integer("samples", samples, 100, "blocks need samples")
    seed = as_integer("seed", seed, 0, "seeds are non-negative integers")
    roots = np.random.SeedSequence(seed).spawn(len(study.precisions))
    jobs = [
        (value, child)
        for value, root in zip(study.precisions, roots, strict=True)
        for child in root.spawn(replicas)
    ]
    done = 0

    def run(job: tuple[float, np.random.SeedSequence]) -> list[dict[str, Array]]:
        nonlocal done
        found = study.run(*job, times, samples, method)
        done += 1
        if progress is not None:
            progress(done / len(jobs))
        return found

    # curves share a cache of compiled code
    threads = 1 if method == "effective" else workers or os.cpu_count()
    with ThreadPoolExecutor(threads) as pool:
        measured = list(pool.map(run, jobs))
    shape = (len(study.precisions), replicas, len(times))
    variables = {}
    for name in measured[0][0]:
        values = np.array([[at[name] for at in each] for each in measured])
        dims = ("precision", "replica", "time", *(("layer",) if values.ndim == 3 else ()))
        variables[name] = (dims, values.reshape(*shape, *values.shape[2:]))
    coordinates = {
        "precision": study.precisions,
        "time": np.round(times * dimension / step) * step / dimension,
        "layer": list(study.network.layers),
    }
    attributes = {
        **study.attributes(),
        "method": method,
        "samples": samples,
        "seed": seed,
        "library_versions": library_versions(),
    }
    return xr.Dataset(variables, coordinates, attributes)


class _Study(NamedTuple):
    """A network, its data at several precisions, and how it is trained."""

    mixture: Mixture
    network: DenseNetwork
    directions: Array
    means: Array
    labels: Array
    class_weights: Array
    precisions: Array
    ridge: float
    step: float
    dimension: int

    @classmethod
    def checked(
        cls,
        mixture: Mixture,
        units: Sequence[int],
        precision: ArrayLike,
        ridge: float,
        step: float,
        activation: str,
        biases: bool,
        dimension: int,
    ) -> _Study:
        check_kind("mixture", mixture, Mixture, "write sa.xor(4).mixture")
        if mixture.bands is not None or mixture.tokens > 1:
            expected = "isotropic noise and one feature vector a sample"
            raise InputError("mixture", "bands or tokens", expected, "use sa.simulate_sgd")
        check_choice("activation", activation, ("tanh", "relu"))
        labels = np.array([float(y) for y in mixture.labels])
        logistic = set(labels) <= {0.0, 1.0}
        if not logistic and set(labels) != set(range(1, len(set(labels)) + 1)):
            expected = "0 and 1, or 1 .. k"
            raise InputError("labels", list(labels), expected, "number the classes from 1")
        if isinstance(units, str) or not isinstance(units, Sequence) or not units:
            remedy = "write units=[8, 8] for two hidden layers of eight units"
            raise InputError("units", repr(units), "widths of the hidden layers", remedy)
        widths = [as_integer("units", w, 1, "count the units of a layer") for w in units]
        weights, gram = _numbers(mixture)
        values = np.atleast_1d(np.asarray(precision, dtype=float))
        for value in values:
            Parameters(weights, value, ridge, step, gram)  # refuses what is out of its domain
        coordinates = np.array(mixture.coordinates.tolist(), dtype=float)
        least = coordinates.shape[1] + widths[0]
        remedy = "take as many dimensions as directions and units of layer 1 together"
        directions = np.asarray(np.linalg.cholesky(gram), dtype=float)
        return cls(
            mixture,
            DenseNetwork(
                tuple(widths), 1 if logistic else len(set(labels)), activation,
                "logistic" if logistic else "softmax", biases,
            ),
            directions, coordinates @ directions, labels, weights, values,
            as_scalar("ridge", ridge, 0.0, False, "give the weight decay"), float(step),
            as_integer("dimension", dimension, least, remedy),
        )  # fmt: skip

    def run(
        self,
        precision: float,
        seed: np.random.SeedSequence,
        times: Array,
        samples: int,
        method: str,
    ) -> list[dict[str, Array]]:
        """Measures of one run at every time."""
        train, look = map(np.random.default_rng, seed.spawn(2))
        clusters = Clusters(self.means, self.labels, self.class_weights, precision)
        start = random_weights(self.network, self.dimension, train)
        if method == "effective":
            parameters = Parameters(
                self.class_weights, precision, self.ridge, self.step,
                self.directions @ self.directions.T,
            )  # fmt: skip
            states = effective_weights(
                self.mixture, self.network, parameters, start, self.directions, times
            )
        else:
            steps = np.round(times * self.dimension / self.step).astype(int)
            states = train_network(
                self.network, clusters, start, steps.tolist(), ridge=self.ridge, step=self.step,
                generator=train,
            )  # fmt: skip
        return [
            measure_layers(self.network, clusters, state, self.dimension, samples, look)
            for state in states
        ]

    def attributes(self) -> dict[str, object]:
        """What the data do not say themselves."""
        net = self.network
        return {
            "widths": list(net.widths),
            "outputs": net.outputs,
            "activation": net.activation,
            "biases": str(net.biases),
            "ridge": self.ridge,
            "step": self.step,
            "dimension": self.dimension,
        }


def _numbers(mixture: Mixture) -> tuple[Array, Array]:
    """Class weights and Gram matrix of a mixture; equal and orthonormal where it leaves them
    open.
    """
    weights = np.full(mixture.components, 1 / mixture.components)
    if not any(w.free_symbols for w in mixture.weights):
        weights = np.array(mixture.weights, dtype=float)
    gram = np.eye(mixture.directions)
    if not mixture.directions_gram.free_symbols:
        gram = np.array(mixture.directions_gram.tolist(), dtype=float)
    return weights, gram
