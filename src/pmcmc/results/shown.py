"""A run's draws as they are shown: in a line, and as text with their figures and the verdict."""

from __future__ import annotations

from ..diagnostics.summary import Summary
from ..diagnostics.verdict import Verdict
from ..option_words import in_python
from ..storage.place import shown_path
from ..text import count_text, span_text
from .draws import Draws


def in_short(draws: Draws) -> str:
    """Return in a line how many draws there are, and whether the run is over."""
    state = "short of its stop rule" if draws.short else draws.status
    if not draws.ndraws:
        state = f"in burn-in, at step {span_text(draws.burnin_steps)}; {state}"
        return f"no draws of {count_text(draws.ndim, 'parameter')} yet, {state}"
    return (
        f"{draws.ndraws} draws of {count_text(draws.ndim, 'parameter')}, "
        f"{count_text(draws.nensembles, 'ensemble')} of {draws.nwalkers} walkers, "
        f"{span_text(draws.steps)} steps each; {state}"
    )


def without_figures(draws: Draws) -> str:
    """Return what a Result is, in a line."""
    where = "in memory" if draws.path is None else f"in {shown_path(draws.path)}"
    return f"<pmcmc.Result of {draws.problem}: {in_short(draws)}; {where}>"


def with_figures(draws: Draws, summary: Summary, verdict: Verdict) -> str:
    """Return a Result as ``print`` shows it: the table of figures and the verdict."""
    return f"{draws.problem}: {in_short(draws)}\n\n{summary}\n\n{in_python(str(verdict))}"
