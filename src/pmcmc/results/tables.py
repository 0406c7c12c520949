"""Tables to be pasted into a paper, correlations, and what sets two runs apart."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..diagnostics.statistics import ChainStatistics
from ..diagnostics.summary import Summary
from ..diagnostics.table import KINDS, Row
from ..errors import UsageError
from ..storage.place import shown_path
from .labels import latex
from .uncertain import Uncertain

if TYPE_CHECKING:
    from .result import Result

_WIDTH = 80
_MATRIX = 8  # quantities whose correlations are shown as a matrix
_PAIRS = 20  # of more, the strongest
_SOME = 2**17  # draws that correlations come from


def latex_table(result: Result, rows: Sequence[Row], kind: str = "quantiles") -> str:
    """Return a LaTeX table: the label of each parameter, and its value with the uncertainty.

    Parameters
    ----------
    result : Result
        Whose labels.
    rows : sequence of Row
        The parameters to show.
    kind : {"quantiles", "hdi", "mode"}
        What value and uncertainty are. Default: "quantiles".

    """
    lines = [
        rf"% {result.problem}, seed {result.seed}, pmcmc {result.version}: {KINDS[kind].caption}",
        r"\begin{tabular}{lc}",
        r"\hline",
        r"Parameter & Value \\",
        r"\hline",
        *(f"${_symbol(result, row.name)}$ & ${_value(row, kind).latex()}$ \\\\" for row in rows),
        *(
            f"${_symbol(result, name)}$ & ${value:.10g}$ (fixed) \\\\"
            for name, value in result.fixed.items()
        ),
        r"\hline",
        r"\end{tabular}",
    ]
    return "\n".join(lines)


def markdown_table(result: Result, rows: Sequence[Row], kind: str = "quantiles") -> str:
    """Return a Markdown table; parameters as for `latex_table`."""
    lines = [
        f"| parameter | value ({KINDS[kind].caption}) | mean | sd | ESS | R-hat |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        r_hat = f"{row.r_hat:.3f}" if math.isfinite(row.r_hat) else "-"
        ess = f"{row.ess:.0f}" if math.isfinite(row.ess) else "-"
        name = row.name.replace("|", r"\|")
        lines.append(
            f"| {name} | {_value(row, kind)} | {row.mean:.5g} | {row.sd:.3g} | {ess} | {r_hat} |"
        )
    fixed = result.fixed.items()
    lines += [f"| {name} | {value:.10g} (fixed) | - | - | - | - |" for name, value in fixed]
    return "\n".join(lines)


def _symbol(result: Result, name: str) -> str:
    symbol = latex(name, result.labels)
    return symbol if name in result.labels else rf"\mathrm{{{symbol}}}"


def _value(row: Row, kind: str) -> Uncertain:
    return Uncertain.of(*(getattr(row, name) for name in KINDS[kind].fields))


def best_draw(summary: Summary) -> str:
    """Return the draw of the highest log_prob, as a start to be pasted into a model."""
    e = int(np.nanargmax([row.best for row in summary.ensembles]))
    row = summary.ensembles[e]
    numbers = ", ".join(repr(float(f"{x:.10g}")) for x in row.best_draw)
    lines = textwrap.wrap(f"initial = [{numbers}]", _WIDTH, subsequent_indent="    ")
    return "\n".join([f"best draw, log_prob {row.best:.6g}, of ensemble {e}:", *lines])


def correlations(result: Result, names: Sequence[str] | None = None) -> str:
    """Return the correlation of each pair of parameters, as a table.

    Parameters
    ----------
    result : Result
        With a draw at least.
    names : sequence of str, optional
        Default: all. Of more than 8 the 20 pairs that correlate most are shown.

    """
    shown = result.checked(names)
    statistics = ChainStatistics(result.reader, most=_SOME)
    numbers = [statistics.quantities.index(n) for n in shown]
    flat = np.stack([np.concatenate([v.ravel() for v in statistics.values(i)]) for i in numbers])
    with np.errstate(divide="ignore", invalid="ignore"):
        matrix = np.atleast_2d(np.corrcoef(flat))
    if len(shown) <= _MATRIX:
        width = max(6, *(len(n) for n in shown))
        heads = "".join(f"{n:>{width + 1}}" for n in shown)
        lines = [f"{'':<{width}}{heads}"]
        lines += [
            f"{n:<{width}}" + "".join(f"{matrix[i, j]:>{width + 1}.2f}" for j in range(i + 1))
            for i, n in enumerate(shown)
        ]
        return "\n".join(lines)
    pairs = [(i, j) for i in range(len(shown)) for j in range(i)]
    pairs.sort(key=lambda pair: -abs(np.nan_to_num(matrix[pair])))
    told = [f"{matrix[i, j]:+.2f}  {shown[j]}, {shown[i]}" for i, j in pairs[:_PAIRS]]
    return "\n".join([f"the strongest of {len(pairs)} pairs:", *told])


def comparison(results: Sequence[Result]) -> dict[str, Any]:
    """Return in what runs differ, in standard errors of the difference of their means.

    Parameters
    ----------
    results : sequence of Result
        Two or more; each is compared with the first.

    Returns
    -------
    dict
        ``files``, and ``parameters``: a list of dicts with ``name`` and, in the order of the
        files, ``mean``, ``mcse``, ``sd``, ``difference`` to the first, and the same ``in_mcse``
        and ``in_sd``, None where one cannot be told.

    Raises
    ------
    UsageError
        If they have no parameter in common.

    """
    tables, turns = [], dict[str, float]()
    for result in results:
        summary = result.summary()
        tables.append({row.name: row for row in (*summary.rows, *summary.derived)})
        turns |= {name: high - low for name, (low, high) in summary.periodic.items()}
    names = [name for name in tables[0] if all(name in table for table in tables)]
    if not names:
        raise UsageError("these runs have no parameter in common")
    found = []
    for name in names:
        rows = [table[name] for table in tables]
        gaps = [row.mean - rows[0].mean for row in rows]
        if name in turns:  # the short way round
            gaps = [math.remainder(gap, turns[name]) for gap in gaps]
        errors = [math.hypot(row.mcse, rows[0].mcse) for row in rows]
        sds = [math.hypot(row.sd, rows[0].sd) / math.sqrt(2) for row in rows]
        found.append(
            {
                "name": name,
                **{
                    key: [_finite(getattr(r, key)) for r in rows] for key in ("mean", "mcse", "sd")
                },
                "difference": [_finite(gap) for gap in gaps],
                "in_mcse": [_ratio(gap, error) for gap, error in zip(gaps, errors, strict=True)],
                "in_sd": [_ratio(gap, sd) for gap, sd in zip(gaps, sds, strict=True)],
            }
        )
    return {"files": [str(shown_path(r.path)) for r in results], "parameters": found}


def comparison_table(found: dict[str, Any]) -> str:
    """Return a comparison as lines for people."""
    lines = []
    for k, file in enumerate(found["files"][1:], start=1):
        cells = [["", "mean of 1st", "mcse", "mean of 2nd", "mcse", "in mcse", "in sd"]]
        for one in found["parameters"]:
            pairs = [one[key][i] for i in (0, k) for key in ("mean", "mcse")]
            cells.append(
                [
                    one["name"][:24],
                    *(_text(x, ".5g" if i % 2 == 0 else ".2g") for i, x in enumerate(pairs)),
                    _text(one["in_mcse"][k], "+.1f"),
                    _text(one["in_sd"][k], "+.2f"),
                ]
            )
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines += [f"1st: {found['files'][0]}", f"2nd: {file}"]
        for row in cells:
            name, *rest = row
            text = "".join(f"{c:>{w + 2}}" for c, w in zip(rest, widths[1:], strict=True))
            lines.append(f"{name:<{widths[0]}}{text}")
        largest = max((abs(one["in_mcse"][k] or 0) for one in found["parameters"]), default=0)
        count = len(found["parameters"])
        lines.append(
            f"largest difference: {largest:.1f} standard errors, of {count} compared"
            + ("\nbeyond 4: the runs do not agree" if largest > 4 else "")
        )
    return "\n".join(lines)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _ratio(gap: float, unit: float) -> float | None:
    if gap == 0:
        return 0.0
    return _finite(gap / unit) if unit > 0 else None


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
