"""Write the numbers of the pages: ``PYTHONPATH=. python docs/make_numbers.py [PAGE [RUN ...]]``.

Every run of a page (all pages without PAGE) whose command or script has changed is made anew, or
the runs named, whatever has changed.  What they found is kept in docs/data with its command, its
processor time and date, a run at a time, so that a stopped one goes on where it was.  Then the
places of the page between ``<!--= name -->`` and ``<!--/-->`` are written from that file.
``--page`` writes pages alone; building the documentation runs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from page_numbers.markdown import filled
from page_numbers.runs import make, record

DOCS = Path(__file__).resolve().parent
PAGES = ("layers", "architectures", "classes_and_width", "dominant_space", "real_data", "design")


def page_text(page: str) -> str:
    """A page as its runs say."""
    values = import_module(f"page_numbers.{page}").values(record(page))
    return filled((DOCS / f"{page}.md").read_text("utf-8"), values)


def main(*words: str) -> None:
    """Make what is stale, or the runs named, and write the pages."""
    named = [word for word in words if word != "--page"]
    for page in named[:1] or PAGES:
        module = import_module(f"page_numbers.{page}")
        if "--page" not in words:
            make(page, module.RUNS, named[1:])
        missing = {run.name for run in module.RUNS} - set(record(page))
        if missing:
            print(f"{page} is not written yet: no run of {', '.join(sorted(missing))}")
        else:
            (DOCS / f"{page}.md").write_text(page_text(page), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
