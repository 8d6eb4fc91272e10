"""Run the atlas of published works: ``PYTHONPATH=. python docs/make_atlas.py [NAME ...]``.

Every entry whose files have changed since its last run is judged anew (names: these, whatever has
changed), and what was found is kept in docs/atlas.json with seed, version and date; an entry at a
time, so that a run that is stopped goes on where it was. Then docs/papers.md is written from that
file: building the documentation runs nothing. ``--page`` writes the page alone.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "docs" / "atlas.json"
PAGE = ROOT / "docs" / "papers.md"
FIGURES = ROOT / "docs" / "img" / "papers"
SEED, DOTS_PER_INCH = 1, 80

HEAD = """# Published results, judged

What do well-known papers say about SGD in high dimension, and is it so? Here are results of the
field as entries that anyone can run: what a work states, where, what specalign finds, and a verdict
with a tolerance whose parts have reasons. The first, for example, is the network of Saad and Solla,
which waits on a plateau before it learns:

```sh
specalign paper --list
specalign paper saad_solla_1995 --seed 1 --plot plateau.png --json plateau.json
```

A judge that agrees with everything is worth nothing. Each statement therefore stands beside a
*wrong theory* that is near it: what judges the statement has to refute that one, or it counts for
nothing. A statement that does not hold is a *finding*, with its numbers.

An entry is a folder of `examples/papers/` and part of every installation: `paper.toml` says what
is stated, `run.py` measures it with the public functions of specalign, `*.tex` holds formulas as
[claims](derivations.md). Of each work only facts are used, with their place. What of a text could
not be read is said below its title, and a formula that is known only as others quote it is called
*quoted*.

In the tables *here* is what specalign finds and *claimed* what the work states; of several numbers
the one that uses most of its tolerance is shown. Letters and words are explained in the line
*Model* of a work, or in the [glossary](glossary.md).

This page is written by `python docs/make_atlas.py` from the runs kept in `docs/atlas.json`; each
line can be had again by the command above it, with seed {seed}. All {count} works take
{minutes:.1f} minutes of one processor once their models are compiled, which takes longer the first
time.

| work | year | statements | hold | findings | wrong theories refuted |
|---|---|---|---|---|---|
"""


def record() -> dict[str, Any]:
    """What was found, by name of the entry."""
    return dict(json.loads(RECORD.read_text("utf-8"))) if RECORD.exists() else {}


def run(name: str) -> dict[str, Any]:
    """Judge an entry and draw its figure."""
    import matplotlib

    matplotlib.use("Agg")
    import specalign as sa
    from verify.papers.entry import load
    from verify.papers.judging import judge_paper

    entry = load(name)
    result = judge_paper(entry, SEED)
    FIGURES.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"savefig.dpi": DOTS_PER_INCH}):
        sa.plot.save(entry.draw(), FIGURES / f"{name}.png")
    return {**result.to_dict(), "date": datetime.now(UTC).date().isoformat()}


def page(found: dict[str, Any]) -> str:
    """The page, from what was found."""
    entries = [found[name] for name in sorted(found, key=lambda n: (found[n]["year"], n))]
    minutes = sum(e["seconds"] for e in entries) / 60
    rows = [_summary(e) for e in entries]
    head = HEAD.format(seed=SEED, minutes=minutes, count=len(entries))
    return head + "\n".join(rows) + "\n" + "".join(_section(e) for e in entries)


def _summary(e: dict[str, Any]) -> str:
    statements = e["statements"]
    holds = sum(s["verdict"] == "holds" for s in statements)
    findings = sum(s["verdict"] != "holds" for s in statements)
    refuted = sum(s["wrong_is_refuted"] for s in statements)
    link = f"[{e['authors']}](#{e['name']})"
    return f"| {link} | {e['year']} | {len(statements)} | {holds} | {findings} | {refuted} |"


def _section(e: dict[str, Any]) -> str:
    lines = [
        f"\n## {e['authors']} ({e['year']}) {{ #{e['name']} }}\n",
        f"*{_flat(e['title'])}.* {_flat(e['published'])}.\n",
        f"`specalign paper {e['name']} --seed {e['seed']}`: {e['seconds']:.0f} s of one processor, "
        f"{e['date']}, version {e['version']}.\n",
        f"**Model.** {_flat(e['model'])}. **Read:** {_flat(e['read'])}.\n",
        "| statement | place | number | here | claimed | tolerance | verdict | wrong theory |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(s) for s in e["statements"]),
        "",
        *(f"**Finding.** {_flat(s['finding'])}.\n" for s in e["statements"] if s["finding"]),
        f"![{_flat(e['figure'])}](img/papers/{e['name']}.png)\n",
        f"*{_flat(e['figure'])}.*",
    ]
    return "\n".join(lines) + "\n"


def _row(s: dict[str, Any]) -> str:
    worst = max(s["numbers"], key=_strain)
    if len(s["numbers"]) and worst["tolerance"] == 0 and ": " in worst["quantity"]:
        cells = [f"{len(s['numbers'])} formulas", "", "", "symbols, digits, samples"]
    else:
        bound = "≤ " if worst["one_sided"] else ""
        claimed = f"{bound}{worst['predicted']:.4g}"
        size = f"{worst['tolerance']:.2g}"
        cells = [worst["quantity"], f"{worst['measured']:.4g}", claimed, size]
    verdict = f"**{s['verdict']}**" + ("" if s["verdict"] == "holds" else " (finding)")
    refuted = "refuted" if s["wrong_is_refuted"] else "not refuted"
    first = f"{_flat(s['says'])}"
    wrong = f"{_flat(s['wrong'])}: {refuted}"
    return "| " + " | ".join([first, _flat(s["place"]), *map(_flat, cells), verdict, wrong]) + " |"


def _strain(n: dict[str, Any]) -> float:
    size = n["deviation"] if n["one_sided"] else abs(n["deviation"])
    total = n["tolerance"]
    return float(size / total) if total > 0 else float("inf") if size > 0 else 0.0


def _flat(text: str) -> str:
    """One line, without signs that Markdown reads."""
    flat = " ".join(text.split()).rstrip(".")
    for sign in "|*_<":
        flat = flat.replace(sign, f"\\{sign}")
    return flat


def main(*words: str) -> None:
    """Judge what is stale, or the entries named, and write the page."""
    from verify.papers.entry import load, names

    found = record()
    known = names()
    found = {name: value for name, value in found.items() if name in known}
    if "--page" not in words:
        for name in words or known:
            stale = found.get(name, {}).get("files") != load(name).fingerprint
            if words or stale:
                print(f"{name} ...", flush=True)
                found[name] = run(name)
                ordered = {n: found[n] for n in sorted(found)}
                RECORD.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", "utf-8")
                wrong = [s["name"] for s in found[name]["statements"] if not _expected(s)]
                print(
                    f"{name}: {found[name]['seconds']:.0f} s {wrong or 'as expected'}", flush=True
                )
    PAGE.write_text(page(found), "utf-8")


def _expected(s: dict[str, Any]) -> bool:
    return bool(s["verdict"] == s["expected"] and s["wrong_is_refuted"])


if __name__ == "__main__":
    main(*sys.argv[1:])
