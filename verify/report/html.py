"""Reports of `specalign verify`: strict JSON, and one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import rc_context

from numerics.core.files import write_text
from verify.figures.of_exhibits import draw
from verify.printing.mathml import mathml_parts
from verify.tables.verdicts import rank_comparisons
from verify.verdict.results import CheckResult, Exhibit, JointReport, Report
from verify.verdict.tolerance import Comparison, Verdict

# an SVG larger than this is embedded as a bitmap instead
_SVG_LIMIT = 200_000
# comparisons shown before the rest is folded away
_OPEN_ROWS = 5


def write_json(report: Report | JointReport, path: Path) -> None:
    """Write the report of one system, or of several, as strict JSON (RFC 8259).

    A number that is not finite becomes null, and ``<key>_text`` beside it says what it was.
    """
    text = json.dumps(strict(report.to_dict()), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_html(report: Report | JointReport, path: Path) -> None:
    """Write a report as one HTML file: styles and figures inside, no script, no network.

    Every check has an anchor, its name: ``report.html#curves``; in the report of several systems
    with the name of its system in front: ``report.html#xor-curves``.
    """
    write_text(path, render_html(report))


def render_html(report: Report | JointReport) -> str:
    """The HTML of a report: a summary, then a section per system with all of its checks."""
    environment = Environment(
        loader=PackageLoader("verify.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figures": format_number,
        "greek": greek,
        "references": _references,
        # made here, of LaTeX that is known
        "equations": lambda latex: [Markup(part) for part in mathml_parts(latex)],
    }
    joint = isinstance(report, JointReport)
    reports = report.reports if isinstance(report, JointReport) else [report]
    systems = [_system(r, f"{r.system}-" if joint else "") for r in reports]
    return environment.get_template("report.html.j2").render(
        report=report,
        systems=systems,
        joint=joint,
        counts=_counts(report.results),
        open_rows=_OPEN_ROWS,
        open_checks=[c for s in systems for c in s.checks if c.result.verdict is not Verdict.HOLDS],
    )


def _counts(judged: Sequence[CheckResult] | Sequence[Comparison]) -> dict[Verdict, int]:
    return {v: sum(one.verdict is v for one in judged) for v in Verdict}


def strict(value: Any) -> Any:
    """Plain data for strict JSON: NumPy scalars and arrays unpacked, numbers that are not finite
    explained.

    Examples
    --------
    >>> strict({"measured": float("nan"), "sizes": [1, 2]})
    {'measured': None, 'measured_text': 'NaN', 'sizes': [1, 2]}
    """
    if isinstance(value, Mapping):
        plain: dict[str, Any] = {}
        for key, entry in value.items():
            plain[str(key)] = strict(entry)
            if (text := _not_finite(entry)) is not None:
                plain[f"{key}_text"] = text
        return plain
    if isinstance(value, np.ndarray):
        return strict(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [strict(entry) for entry in value]
    if isinstance(value, Enum):
        return strict(value.value)
    if isinstance(value, np.generic):
        return strict(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    return str(value)


def format_number(value: float | None, digits: int = 4, zero: float = 0.0) -> str:
    """A number for a reader: few digits, a true minus sign, infinities and NaN in words, 0 up to
    ``zero``.
    """
    if value is None:
        return "–"
    if (text := _not_finite(value)) is not None:
        return text
    if abs(value) <= zero:
        return "0"
    return f"{float(value):.{digits}g}".replace("-", "−")


def greek(text: str) -> str:
    """Letters and signs as a reader of mathematics expects them, where plain text spells them out.

    Examples
    --------
    >>> greek("lambda = 8: sin^2 of |P_perp M|, M/d -> infinity, c_delta E[x^a], O(1/sqrt d), x^3")
    'λ = 8: sin² of |P⊥ M|, M/d → ∞, c_δ E[xᵃ], O(1/√d), x³'
    """
    for pattern, sign in _SIGNS:
        text = pattern.sub(sign, text)
    return text


# fmt: off
# whole words only: an underscore may follow (lambda_min) or precede (c_delta)
_WORDS = {
    "lambda": "λ", "beta": "β", "delta": "δ", "Gamma": "Γ", "mu": "μ", "phi": "φ", "infinity": "∞",
}
_PATTERNS = {
    r"\bsqrt (?=\w)": "√", r"->": "→", r"<=": "≤", r">=": "≥", r"_perp\b": "⊥",
    r"(?<=\w)\^2(?![\w.])": "²", r"(?<=\w)\^a(?!\w)": "ᵃ", r"(?<=\w)\^b(?!\w)": "ᵇ", r"\^T\b": "ᵀ",
}
# fmt: on
_SIGNS = [
    (re.compile(pattern), sign)
    for pattern, sign in (
        *((rf"(?<![A-Za-z]){word}(?![A-Za-z])", sign) for word, sign in _WORDS.items()),
        *_PATTERNS.items(),
        *((rf"(?<=\bx)\^{n}(?![\w.])", sign) for n, sign in enumerate("¹²³⁴⁵⁶⁷⁸⁹", start=1)),
    )
]


def _references(text: str) -> list[tuple[str, str | None]]:
    """A source in pieces, each with its address if it is an arXiv number; the report itself loads
    nothing.
    """
    pieces = re.split(r"(arXiv \d{4}\.\d{5})", text)
    return [
        (piece, f"https://arxiv.org/abs/{piece.split()[1]}" if piece.startswith("arXiv ") else None)
        for piece in pieces
        if piece
    ]


def _not_finite(value: Any) -> str | None:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (float, np.floating)) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, (list, tuple)):
        texts = [_not_finite(entry) for entry in value]
        if any(text is not None for text in texts):
            return ", ".join(
                str(entry) if text is None else text
                for entry, text in zip(value, texts, strict=True)
            )
    return None


@dataclass(frozen=True)
class _Figure:
    name: str
    caption: str
    source: str  # data URI


@dataclass(frozen=True)
class _Section:
    """A check as the template shows it."""

    anchor: str
    result: CheckResult
    comparisons: list[Comparison]  # worst first
    counts: dict[Verdict, int]
    samples: list[tuple[str, str]]
    figures: list[_Figure]


@dataclass(frozen=True)
class _System:
    """A system as the template shows it."""

    report: Report
    counts: dict[Verdict, int]
    checks: list[_Section]


def _system(report: Report, prefix: str) -> _System:
    return _System(report, _counts(report.results), [_section(r, prefix) for r in report.results])


def _section(result: CheckResult, prefix: str) -> _Section:
    ranked = rank_comparisons(result.comparisons)
    return _Section(
        anchor=re.sub(r"[^A-Za-z0-9_.-]+", "-", prefix + result.name),
        result=result,
        comparisons=ranked,
        counts=_counts(ranked),
        samples=[(str(key), _plain(value)) for key, value in result.samples.items()],
        figures=[_embed(exhibit) for exhibit in result.exhibits],
    )


def _plain(value: Any) -> str:
    clean = strict(value)
    if isinstance(clean, list):
        return ", ".join(map(str, clean))
    if isinstance(clean, dict):
        return "; ".join(f"{key}: {entry}" for key, entry in clean.items())
    return str(clean)


@dataclass(frozen=True)
class _Drawn:
    """Data of an exhibit whose figure has been drawn, or could not be."""

    figure: _Figure | Exception

    def __call__(self) -> _Figure:
        if isinstance(self.figure, Exception):
            raise self.figure
        return self.figure


def drawn(exhibit: Exhibit) -> Exhibit:
    """The exhibit with its figure, which can be sent to another process.

    What went wrong is raised by the report, after the verdicts.
    """
    try:
        data = _Drawn(_embed(exhibit))
    except Exception as error:
        data = _Drawn(error)
    return replace(exhibit, data=data)


def _embed(exhibit: Exhibit) -> _Figure:
    """Draw an exhibit and put its figure into a data URI: SVG where that is small, else PNG."""
    record = exhibit.data()
    if isinstance(record, _Figure):
        return record
    figure = draw(record)
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "specalign"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    kind = "svg+xml"
    if buffer.tell() > _SVG_LIMIT:
        buffer, kind = io.BytesIO(), "png"
        figure.savefig(buffer, format="png", dpi=150)
    return _Figure(
        exhibit.name,
        exhibit.caption,
        f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}",
    )
