"""Which code computes: the version of the package and a digest of its source files."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

# the packages whose source decides a number
PACKAGES = ("theory", "numerics")


def make_identifier(packages: tuple[str, ...] = PACKAGES) -> Callable[[], str]:
    """A function that tells what a process would compute with.

    It is made inside this one and uses nothing of ours, so that it travels to another process as
    code: a worker with another version answers for itself.
    """

    def identify() -> str:
        import hashlib
        from importlib import metadata
        from importlib.util import find_spec
        from pathlib import Path

        digest = hashlib.blake2b(digest_size=6)
        for package in packages:
            try:
                spec = find_spec(package)
            except (ImportError, ValueError):
                spec = None
            if spec is None or not spec.origin:
                return f"no package {package!r}"
            root = Path(spec.origin).parent
            for file in sorted(root.rglob("*.py")):
                digest.update(f"{package}/{file.relative_to(root).as_posix()}\0".encode())
                digest.update(file.read_bytes())
        try:
            version = metadata.version("specalign")
        except metadata.PackageNotFoundError:
            version = "0+source"
        return f"specalign {version}, source {digest.hexdigest()}"

    return identify


@lru_cache(maxsize=1)
def source_identity() -> str:
    """Version and source digest of this process, as ``specalign 0.1.0, source 0123456789ab``."""
    return make_identifier()()
