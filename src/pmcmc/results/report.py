"""One page on a run, with nothing beside it: problem, plan, verdict, figures, plots, times."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from importlib import metadata
from typing import Any

import numpy as np

from .._version import __version__
from ..diagnostics.summary import Summary
from ..diagnostics.table import periodic_lines
from ..sampler.optima import Pool
from ..storage.timings import OWN
from ..text import announced, count_text, duration_text, progress_bar, some_text, span_text
from .html import MADE_BY, escape, fixed_line, image, parameters_table, png, table, verdict_box
from .methods import methods_text
from .plots import pictures
from .plots.rendering import render
from .rejects import group_rejects, read_rejects
from .result import Result
from .tables import best_draw, latex_table, markdown_table

_RANKS = 64  # shown one by one
_TIMES = (("work", "log_prob"), ("wait", "waiting"), ("write", "writing"))
_STYLE = """
:root { color-scheme: light dark; --text: #222; --page: #fff; --box: #f6f6f6; --line: #ddd;
  --rest: #eee; --link: #0645ad; }
@media (prefers-color-scheme: dark) { :root { --text: #ddd; --page: #16181c; --box: #23262c;
  --line: #444; --rest: #333; --link: #8ab4f8; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
a { color: var(--link); }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child, table.facts td { text-align: left; }
.scroll { overflow-x: auto; } img { max-width: 100%; height: auto; }
.verdict { border-left: .4rem solid; padding: .4rem 1rem; background: var(--box); }
.enough { border-color: #2a7; } .short { border-color: #d80; }
.verdict p { margin: .3rem 0; }
.bar { display: inline-block; width: 16rem; height: .9rem; background: var(--rest);
  white-space: nowrap; font-size: 0; } .bar i { display: inline-block; height: 100%; }
.work { background: #2a7; } .wait { background: #d80; } .write { background: #48c; }
pre { white-space: pre-wrap; background: var(--box); padding: .6rem; font-size: 14px; }
table.facts td:last-child { overflow-wrap: anywhere; }
.key i { display: inline-block; width: .9rem; height: .9rem; margin: 0 .3rem 0 1rem; }
"""
_CAPTIONS = {
    "corner": "Marginal distributions",
    "trace": "Traces",
    "autocorrelation": "Autocorrelation",
    "ranks": "Ranks of the draws, by ensemble",
    "running": "ESS and R-hat while running",
    "acceptance": "Acceptance",
}


def report(result: Result, parallel: bool = False) -> str:
    """Return the page, as HTML.

    Parameters
    ----------
    result : Result
        With a draw at least.
    parallel : bool
        Whether pictures may be drawn by forked processes. Default: False.

    Raises
    ------
    PmcmcError
        If matplotlib or corner is not there.
    StoreError
        If there are no draws.

    """
    with announced("working out the figures"):
        summary = result.summary()
    verdict = result.assess(summary)
    parts = [
        f"<h1>{escape(result.problem)}</h1>",
        f"<p>{escape(str(result.path))}: {result.status}, {summary.ndraws} draws. "
        f"Written {datetime.datetime.now():%Y-%m-%d %H:%M} by pmcmc {__version__}.</p>",
        verdict_box(verdict),
        "<h2>Parameters</h2>",
        parameters_table(summary.rows, summary.derived),
        fixed_line(summary.fixed),
        *(
            f"<p>{escape(line)}</p>"
            for line in [" ".join(periodic_lines(summary.periodic))]
            if line
        ),
        "<p>ess: effective draws for the mean, and for the 5% and 95% quantiles; r_hat compares "
        "ensembles; mcse: standard error of the mean; tau in steps.</p>",
        "<h2>Ensembles</h2>",
        _ensembles(summary),
        *_rejects(result),
    ]
    drawn = pictures(result, summary=summary)
    with progress_bar("drawing", len(drawn)) as done:
        for name, data in render(drawn, png, parallel):
            caption = _CAPTIONS[name.partition("-")[0]]
            parts += [] if "-" in name else [f"<h2>{caption}</h2>"]
            parts.append(image(data, caption))
            done(1)
    parts += [
        "<h2>To be pasted</h2>",
        _folded("A table in LaTeX", latex_table(result, [*summary.rows, *summary.derived])),
        _folded("A table in Markdown", markdown_table(result, [*summary.rows, *summary.derived])),
        _folded("A paragraph of methods", methods_text(result, summary, verdict.enough)),
        _folded("The best draw, as a start", best_draw(summary)),
        "<h2>Time</h2>",
        _times(result),
        "<h2>Settings</h2>",
        _facts(_settings(result)),
        *_model(result),
        "<h2>Versions</h2>",
        _facts(_versions(result)),
    ]
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="generator" content="{MADE_BY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(result.problem)}: pmcmc</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _ensembles(summary: Summary) -> str:
    heads = ("", "log_prob", "best", "acceptance", f"mean {summary.worst}", "trapped", "stuck")
    lines = [
        [
            str(e),
            *(f"{x:.6g}" for x in (row.log_prob, row.best, row.acceptance, row.mean)),
            *(str(len(which)) for which in (row.trapped, row.stuck)),
        ]
        for e, row in enumerate(summary.ensembles)
    ]
    return table(heads, lines)


def _rejects(result: Result) -> list[str]:
    """Return why evaluations were rejected, how often, and where first; nothing without."""
    burnin, production = result.reader.rejected.sum(axis=0).tolist()
    if not burnin + production:
        return []
    found, whole = read_rejects(result.reader)
    groups, more = group_rejects(found)
    heads = ("times", "why", "first", "at")
    told = (
        f"<p>{burnin} of the start and burn-in, {production} after it, "
        f"{100 * result.reader.rejected_share:.2g}% of the evaluations there; each "
        f"counts as log_prob -inf. One again: python -m pmcmc try {escape(str(result.path))} N."
    )
    if not whole:
        told += f" Below are the first {len(found)}."
    if more:
        told += f" {count_text(more, 'other reason')} have no line."
    lines = [[str(g.count), g.message, f"{g.number}: {g.place}", g.at] for g in groups]
    return ["<h2>Rejected evaluations</h2>", told + "</p>", table(heads, lines)]


def _times(result: Result) -> str:
    rows = result.reader.timings()
    if not len(rows):
        return "<p>They are kept when a run ends in order; none has yet.</p>"
    own, others = rows[rows["rank"] >= 0], rows[rows["rank"] < 0]
    own = own[np.argsort(own["rank"], kind="stable")]
    rest = np.concatenate([own[_RANKS:], others])
    lines = [
        _time_line(f"{one['rank']} ({one['host'].decode(errors='replace')})", one)
        for one in own[:_RANKS]
    ]
    more = []
    if len(own) > len(set(own["rank"])):
        more.append("A rank that moved to another host between jobs counts on each.")
    if len(rest):
        count, total = rest["ranks"].sum(), rows["ranks"].sum()
        told = f"The first {len(lines)} of {total} ranks have a line each"
        more.append(f"{told}, the other {count} ranks have one together.")
        lines.append(_time_line(f"the other {count} ranks", rest))
    if len(others):
        more.append(f"A rank beyond the first {OWN} counts once in each job.")
    wall, evaluations = rows["wall"].sum(), int(rows["evaluations"].sum())
    shares = ", ".join(f"{100 * rows[n].sum() / wall:.1f}% {n}" for _, n in _TIMES)
    each = duration_text(rows["log_prob"].sum() / max(evaluations, 1))
    heads = ("rank", "time", "log_prob", "waiting", "writing", "other", "evaluations", "")
    key = "".join(f'<i class="{kind}"></i>{name}' for kind, name in _TIMES)
    key += " (commits, and checks of the stop rules)"
    return (
        f"<p>Of all ranks' time: {shares}, the rest in emcee and messages; {evaluations} "
        f"evaluations of {each}. Jobs that were killed are not in it. {' '.join(more)}</p>"
        f'<p class="key">{key}</p>' + table(heads, lines, escaped=True)
    )


def _time_line(name: str, rows: Any) -> list[str]:
    """Return the cells of one line on one or more rows of the file's times."""
    wall = max(float(np.sum(rows["wall"])), 1e-9)
    shares = [float(np.sum(rows[time])) / wall for _, time in _TIMES]
    bar = "".join(
        f'<i class="{kind}" style="width:{100 * min(share, 1.0):.1f}%"></i>'
        for (kind, _), share in zip(_TIMES, shares, strict=True)
    )
    percent = (f"{100 * share:.1f}%" for share in (*shares, max(0.0, 1 - sum(shares))))
    evaluations = str(np.sum(rows["evaluations"]))
    return [
        escape(name),
        duration_text(wall),
        *percent,
        evaluations,
        f'<span class="bar">{bar}</span>',
    ]


def _folded(title: str, text: str) -> str:
    """Return a text that is shown when its title is clicked."""
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


def _model(result: Result) -> list[str]:
    """Return the priors, and the text of the model, where the file has them."""
    settings, origin = result.reader.header.settings, result.reader.header.origin
    parts = []
    if priors := settings.get("priors"):
        facts = list(zip(result.names, map(str, priors), strict=False))
        facts += [(name, f"fixed at {value:.10g}") for name, value in result.fixed.items()]
        parts += ["<h2>Priors</h2>", _facts(facts)]
    if origin.get("model"):
        parts += ["<h2>Model</h2>", _folded("Its text", origin["model"])]
    return parts


def _cost(result: Result) -> list[tuple[str, str]]:
    """Return wall time, ranks and core-hours, as far as jobs ended in order."""
    rows = result.reader.timings()
    if not len(rows):
        return []
    total, ranks = float(rows["wall"].sum()), int(rows["ranks"].sum())
    return [
        ("wall time", duration_text(total / max(1, ranks))),
        ("ranks", str(ranks)),
        ("core-hours", f"{total / 3600:.3g}"),
    ]


def _settings(result: Result) -> list[tuple[str, str]]:
    origin = result.reader.header.origin
    facts = [("command", origin["command"])] if origin.get("command") else []
    facts += [
        *_cost(result),
        ("ensembles", f"{result.nensembles} of {result.nwalkers} walkers"),
        (
            "steps",
            f"{span_text(result.steps)} kept of each, after {max(result.burnin_steps)} of burn-in",
        ),
    ]
    told = {k: v for k, v in result.config.items() if v not in (None, False)}
    told["seed"] = result.seed  # also where it was drawn
    told["moves"] = "; ".join(map(str, result.reader.header.settings.get("moves", [])))
    if origin.get("start"):
        facts.append(("start", _start_text(origin["start"])))
    return facts + [(k, v if isinstance(v, str) else json.dumps(v)) for k, v in told.items()]


def _start_text(record: str) -> str:
    """Return the optima round which ensembles began, in words."""
    read = Pool.read(record)
    if read is None:
        return "not told"
    optima = read[0].optima
    pairs = zip(optima, read[0].weights, strict=True)
    some = [f"log_prob {one.log_prob:.6g} (mass {weight:.2g})" for one, weight in pairs if weight]
    found = "1 optimum" if len(optima) == 1 else f"{len(optima)} optima"
    return f"{found} found; begun at {some_text(some, 5)}"


def _versions(result: Result) -> list[tuple[str, str]]:
    facts = [("pmcmc (that sampled)", result.version), ("pmcmc (of this page)", __version__)]
    libraries = ("emcee", "numpy", "scipy", "h5py")
    return facts + [(f"{name} (of this page)", metadata.version(name)) for name in libraries]


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in facts)
    return f'<table class="facts">{rows}</table>'
