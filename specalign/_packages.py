"""The three packages behind the face, and what to say when something hides one of them."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("theory", "numerics", "verify")


def check_packages() -> None:
    """Refuse to start when a file or folder of the user's stands in front of one of the packages.

    Python looks for modules beside the script that runs before it looks among what is installed, so
    a script called ``theory.py`` is found in place of our package of that name.

    Raises
    ------
    ImportError
        Naming the file and what to do.
    """
    ours = Path(__file__).resolve().parent.parent
    for package in PACKAGES:
        found = _origin(package)
        if found is None:
            raise ImportError(
                f"specalign needs its package {package!r}, which is not installed beside it "
                f"in {ours}: install specalign again",
                name=package,
            )
        if found.parent.parent != ours:
            raise ImportError(
                f"{found} hides the package {package!r} of specalign, which stands in {ours}: "
                f"rename that file or folder (and delete {package}.pyc and __pycache__ beside it), "
                "or run from another folder",
                name=package,
                path=str(found),
            )


def _origin(package: str) -> Path | None:
    """The file that ``import package`` runs, or has run."""
    loaded = sys.modules.get(package)
    try:
        spec = find_spec(package) if loaded is None else loaded.__spec__
    except ValueError:  # a script that runs as __main__ under this name
        spec = None
    if spec is not None and spec.origin:
        return Path(spec.origin).resolve()
    file = getattr(loaded, "__file__", None)
    return None if file is None else Path(file).resolve()
