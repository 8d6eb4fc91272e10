"""The one face of the project: every public name of ``theory``, ``numerics`` and ``verify``.

>>> import specalign as sa
>>> sa.kgmm(2).name
'kgmm2'

A name is looked up in the package that defines it when it is first used, so that importing this
package costs nothing and ``sa.kgmm`` loads SymPy alone.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._packages import PACKAGES, check_packages

if TYPE_CHECKING:
    from numerics import *  # noqa: F403
    from theory import *  # noqa: F403
    from verify import *  # noqa: F403

check_packages()


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("specalign")
    if name == "plot":
        return import_module(".plot", __name__)
    # what Python and notebooks look for on any module is no name of ours: nothing is loaded for it
    if not name.startswith("_"):
        for package in PACKAGES:
            module = import_module(package)
            if name in module.__all__:
                value = getattr(module, name)
                globals()[name] = value
                return value
    # the names are loaded by now; private ones load nothing
    close = [] if name.startswith("_") else get_close_matches(name, __dir__(), n=1, cutoff=0.7)
    remedy = f"did you mean {close[0]!r}? " if close else ""
    raise AttributeError(
        f"specalign has no public name {name!r}: {remedy}dir(specalign) lists those there are"
    )


def __dir__() -> list[str]:
    public = (name for package in PACKAGES for name in import_module(package).__all__)
    return sorted({*public, "__version__", "plot"})
