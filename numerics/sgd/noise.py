"""Laws of the noise's entries: independent, mean 0 and variance 1, before the scale 1 /
sqrt(lambda).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from numerics.core.validation import Array, as_scalar
from theory import InputError
from theory.keywords import with_known_keywords

Sampler = Callable[[np.random.Generator, tuple[int, int]], Array]

# kinds of laws, by the numbers that kernels know them by
LAWS = ("gaussian", "rademacher", "uniform", "student", "sampler")
_EXPECTED = (
    '"gaussian", "rademacher", "uniform", "student:NU" with NU > 2, '
    "or a function (generator, shape) -> array"
)


@with_known_keywords
@dataclass(frozen=True)
class Noise:
    """The law of the entries of sqrt(lambda) Z.

    Attributes
    ----------
    kind : str
        One of ``LAWS``.
    degrees : float
        Degrees of freedom of Student's law, scaled to variance 1; 0 for the others.
    sampler : callable, optional
        ``sampler(generator, (count, d))`` returns that many noise vectors with mean 0 and
        covariance I.

    Examples
    --------
    >>> print(Noise.of("student:5"), Noise.of("rademacher"))
    student:5 rademacher
    >>> sign = Noise.of(lambda generator, shape: generator.choice([-1.0, 1.0], shape))
    >>> sign.kind, np.unique(sign.draw(np.random.default_rng(0), (50, 4)))
    ('sampler', array([-1.,  1.]))
    """

    kind: str = "gaussian"
    degrees: float = 0.0
    sampler: Sampler | None = None

    @classmethod
    def of(cls, given: str | Sampler | Noise) -> Noise:
        """Read what a user says.

        Raises
        ------
        theory.InputError
            An unknown law, or one without a variance.

        Examples
        --------
        >>> Noise.of("student:5")
        Noise(kind='student', degrees=5.0, sampler=None)
        """
        if isinstance(given, Noise):
            return given
        if callable(given):
            return cls("sampler", 0.0, given)
        name, colon, text = str(given).partition(":")
        if (
            not isinstance(given, str)
            or name not in LAWS
            or name == "sampler"
            or (name == "student") != bool(colon)
        ):
            raise InputError("noise", repr(given), _EXPECTED, "name one of these laws")
        if name != "student":
            return cls(name)
        try:
            degrees = float(text if text.isascii() else "")  # digits of other scripts are none here
        except ValueError:
            raise InputError(
                "noise", repr(given), _EXPECTED, "give the degrees of freedom: student:5"
            ) from None
        remedy = "Student's law has a finite variance above 2 degrees of freedom only"
        return cls(name, as_scalar("noise", degrees, 2.0, True, remedy))

    def __str__(self) -> str:
        if self.kind == "sampler":
            return f"sampler {getattr(self.sampler, '__qualname__', repr(self.sampler))}"
        return f"student:{self.degrees:g}" if self.kind == "student" else self.kind

    def draw(self, generator: np.random.Generator, shape: tuple[int, int]) -> Array:
        """A block of vectors from the user's sampler, checked.

        Raises
        ------
        theory.InputError
            Another shape, or numbers that are not finite.
        """
        assert self.sampler is not None
        found = np.asarray(self.sampler(generator, shape), dtype=float)
        if found.shape != shape:
            raise InputError(
                "noise",
                f"an array of shape {found.shape} from {self}",
                f"shape {shape}, a vector a row",
                "return as many vectors as asked for",
            )
        if not np.all(np.isfinite(found)):
            raise InputError(
                "noise",
                f"numbers from {self} that are not finite",
                "finite numbers",
                "mend the sampler",
            )
        return found
