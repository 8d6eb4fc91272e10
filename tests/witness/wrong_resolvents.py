"""Wrong theories of limiting spectra, which data refute."""

from __future__ import annotations

from numerics.proportional.resolvent import Resolvent


def without_inverse_precision(monkeypatch):
    """A wrong theory: 1/lambda is missing in the Stieltjes equation."""
    right = Resolvent.sums

    def wrong(self, s, squares=True, of=None):
        mean, curvature = right(self, s, squares, of)
        return tuple(None if x is None else x * self.law.precision for x in (mean, curvature))

    monkeypatch.setattr(Resolvent, "sums", wrong)
