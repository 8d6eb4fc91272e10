r"""Statistics in the loss: what a kernel computes of the weights before a step, and what it adds.

A sample moves :math:`x^a` by :math:`-\delta(g_aY+\sum_b\kappa_{ab}x^b+\sum_s\eta_{as}e_s)` with
:math:`\kappa_{ab}=(1+\delta_{ab})\,\partial\ell/\partial Q_{ab}` and
:math:`\eta_{as}=\partial\ell/\partial m_{as}` (mathematics.md section 12a).  The derivatives in the
statistics stand in ``g`` behind those in u and v; ``held`` holds free parameters, then statistics.
"""

from __future__ import annotations

from theory import Loss
from theory.problem.held.loss_symbols import GRAM


def gain_lines(loss: Loss) -> str:
    """Lines that fill ``gains``: the ridge, and the mean of kappa over the batch."""
    lines = ["gains[:] = decay"]
    for n, each in enumerate(loss.statistics, start=len(loss.variables)):
        if each.kind != GRAM:
            continue
        lines += _mean(n)
        if each.first == each.second:
            lines.append(f"gains[{each.first}, {each.first}] += 2.0 * moved")
        else:
            pair = f"{each.first}, {each.second}", f"{each.second}, {each.first}"
            lines += [f"gains[{at}] += moved" for at in pair]
    return "\n".join(lines) + "\n"


def push_lines(loss: Loss, reduced: bool) -> str:
    """Lines that add the mean of eta_as e_s to what a step subtracts."""
    lines = []
    for n, each in enumerate(loss.statistics, start=len(loss.variables)):
        if each.kind == GRAM:
            continue
        a, s = each.first, each.second
        lines += [*_mean(n), f"for q in range({s + 1}):"]
        if reduced:
            lines.append(f"    change[{a}, q] += delta * moved * factor[{s}, q]")
        else:
            lines += [
                "    for i in range(basis.shape[1]):",
                f"        change[{a}, i] += delta * moved * factor[{s}, q] * basis[q, i]",
            ]
    return "\n".join(lines) + "\n"


def _mean(position: int) -> list[str]:
    """Lines that put the mean of a column of ``g`` into ``moved``."""
    return ["moved = 0.0", "for j in range(batch):", f"    moved += g[j, {position}] / batch"]


def statistics_lines(loss: Loss, reduced: bool) -> str:
    """Lines that put the statistics of the weights into ``held``, once a step."""
    lines = []
    for n, each in enumerate(loss.statistics, start=len(loss.free_parameters)):
        a, b = each.first, each.second
        lines.append(f"held[{n}] = 0.0")
        if each.kind == GRAM and reduced:
            lines += [
                "for i in range(m.shape[1]):",
                f"    held[{n}] += m[{a}, i] * m[{b}, i]",
                f"for c in range({min(a, b) + 1}):",
                f"    held[{n}] += a_perp[{a}, c] * a_perp[{b}, c]",
            ]
        elif each.kind == GRAM:
            lines += ["for i in range(x.shape[1]):", f"    held[{n}] += x[{a}, i] * x[{b}, i]"]
        elif reduced:
            lines += [f"for q in range({b + 1}):", f"    held[{n}] += m[{a}, q] * factor[{b}, q]"]
        else:
            lines += [
                f"for q in range({b + 1}):",
                "    for i in range(basis.shape[1]):",
                f"        held[{n}] += factor[{b}, q] * basis[q, i] * x[{a}, i]",
            ]
    return "\n".join(lines)
