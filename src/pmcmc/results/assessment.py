"""Whether a run's draws are enough by its own rules, and how it can go on."""

from __future__ import annotations

from dataclasses import replace

from ..diagnostics.advice import Continuation
from ..diagnostics.limits import looked_at
from ..diagnostics.summary import Summary
from ..diagnostics.verdict import Verdict, assess
from ..storage.cut import CutReader
from .draws import Draws


def assess_draws(draws: Draws, summary: Summary) -> Verdict:
    """Return the verdict on the draws of a run.

    Parameters
    ----------
    draws : Draws
        With the run's options.
    summary : Summary
        Of these draws.

    """
    rules = (draws.config.get("until_ess"), draws.config.get("until_rhat"))
    header = draws.reader.header
    names = looked_at(draws.config.get("until_of"), draws.names, header.derived_names)
    how = Continuation(
        resumable=draws.path is not None,
        open_ended=draws.open_ended,
        at_most=draws.open_ended and draws.status == "finished",
        rescued=bool(draws.config.get("rescue")),
    )
    if isinstance(draws.reader, CutReader):
        how = replace(how, thin=draws.reader.thin, left_out=draws.reader.left_out)
    return assess(summary, *rules, how, names)
