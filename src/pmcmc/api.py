"""What Python users call to sample: `pmcmc.run` and `pmcmc.start`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Never

from .errors import PmcmcError, UsageError
from .model.problem import Problem
from .option_words import in_python
from .options import OPTIONS, check
from .results.result import Result
from .tracebacks import warn

if TYPE_CHECKING:
    from emcee.moves import Move

    from ._types import Comm
    from .launch.handle import Run


def run(
    problem: Problem | None,
    comm: Comm | None = None,
    *,
    ranks: int | Literal["auto"] | None = None,
    launcher: str | None = None,
    output: str | Path | None = None,
    nsteps: int | Literal["auto"] | None = None,
    burnin: int | Literal["auto"] | None = None,
    rescue: bool | None = None,
    nwalkers: int | None = None,
    nensembles: int | None = None,
    mode: Literal["auto", "split", "pool"] | None = None,
    teams: int | None = None,
    schedule: Literal["auto", "static", "demand"] | None = None,
    seed: int | None = None,
    initial: str | Path | None = None,
    moves: str | Sequence[Any] | Move | None = None,
    thin_by: int | None = None,
    until_ess: float | None = None,
    until_rhat: float | None = None,
    until_of: str | Sequence[str] | None = None,
    checkpoint: float | None = None,
    max_time: float | str | None = None,
    stop_grace: float | str | None = None,
    resume: bool | None = None,
    no_verify: bool | None = None,
    overwrite: bool | None = None,
    break_lock: bool | None = None,
    progress: bool | None = None,
    ranks_per_evaluation: int | None = None,
    gpus: int | Literal["auto", "none"] | None = None,
    on_error: Literal["abort", "reject"] | None = None,
    log_prob_timeout: float | str | None = None,
    keep_scratch: bool | None = None,
    **unknown: Never,
) -> Result | None:
    """Sample ``problem``: on ranks that are started for it, or on those that call it.

    With ``ranks``, from a script, an interpreter or a notebook, that many ranks are started, and
    the draws come back; Ctrl-C, or the notebook's stop button, commits what there is and returns
    it. Without, the call is collective: every rank of the job makes it, with its own Problem; a
    process that no launcher started is one rank.

    An option that is None was not given: it is that of the file where ``resume`` goes on from
    one, else the default that stands here.

    Parameters
    ----------
    problem : Problem or None
        Where it is None, rank 0's is sent there, once, by dill.
    comm : MPI communicator
        The ranks to use. Default: all.
    ranks : int or "auto"
        Start so many, and send them the problem, by dill; "auto": the cores that this process may
        use, fewer where the measured cost of log_prob says that more do not pay.
        Default: none are started.
    launcher : str
        What starts them, as in "srun --mpi=pmi2". Default: the mpiexec of mpi4py's MPI library.
    output : str or Path
        The HDF5 file. Default: none, the draws stay in memory.
    nsteps : int or "auto"
        Kept production steps in total, shared exactly over the ensembles; with a stop rule, the
        most. "auto": until the stop rule is met, or without one until the draws are enough, at
        most 200,000. Default: "auto".
    burnin : int or "auto"
        Steps per ensemble before production, in addition; "auto": until it has settled.
        Default: "auto".
    rescue : bool
        At the end of burn-in redraw walkers that are trapped where no mass is, from the others of
        their ensemble. Default: with burnin "auto".
    nwalkers : int
        Walkers per ensemble, even. Default: the problem's, else max(32, 4 ndim).
    nensembles : int
        Independent ensembles. Default: 4, or as many as all ranks can work for; one per rank in
        split (but never so many that one would get fewer production steps than burn-in steps,
        where both are given), one per team with ``teams``, 1 in pool.
    mode : {"auto", "split", "pool"}
        As many teams of ranks as possible, or one; "auto": as suits the cost of log_prob, the
        draws are the same. Default: "auto".
    teams : int
        That many teams, instead of ``mode``. Default: as ``mode`` says.
    schedule : {"auto", "static", "demand"}
        How a team shares out evaluations: in equal blocks, one by one to whoever is free, or
        whichever suits the measured times. The draws are the same. Default: "auto".
    seed : int
        From 0 to 2^63 - 1, for the same draws again. Default: drawn, and recorded.
    initial : str or Path
        The file of an earlier run: begin where its walkers were; where they were not as many, at
        some of its last positions and draws. Default: the problem's.
    moves : str, emcee move, or list of moves or (move, weight) pairs
        As in "de:0.8,stretch:0.2"; "auto" is a mixture. Default: the problem's, else "auto".
    thin_by : int
        Keep every that many-th step; ``nsteps`` counts kept ones. Default: 1.
    until_ess : float
        Stop when every parameter has that many effective draws. Default: no such rule.
    until_rhat : float
        Stop when the R-hat of every parameter is that low. Default: no such rule.
    until_of : str or list of str
        What stop rules and verdict look at: "parameters", "derived", or names.
        Default: "parameters".
    checkpoint : float
        Write the draws at least every so many seconds. Default: 60.
    max_time : float or str
        Commit and stop after so many seconds, or "3h50m". Default: no limit but the Slurm job's.
    stop_grace : float or str
        At a stop wait so many seconds for ranks that are in log_prob; then leave them.
        Default: 30.
    resume : bool
        Go on from ``output``, if it is there, to its target. Default: False.
    no_verify : bool
        Do not check the draws' checksums before going on. Default: False.
    overwrite : bool
        Replace ``output``, if it is there and pmcmc wrote it. Default: False.
    break_lock : bool
        Take over an ``output`` whose writer is surely gone. Default: False.
    progress : bool
        Show how far it is, with a bar on a terminal, else a line now and then. Default: with
        ``ranks``, on a terminal and in a notebook; else not.
    ranks_per_evaluation : int
        ``log_prob(theta, comm)``, or log_likelihood, is evaluated by so many ranks together, of
        one host as far as that is possible: all call it with the same theta and their
        communicator, and the first one's value counts. Default: 1.
    gpus : int, "auto" or "none"
        GPUs of a host are given to its ranks in turn: one each, "none", or so many of each host.
        What the batch system bound is left alone. Default: "auto".
    on_error : {"abort", "reject"}
        Where log_prob raises, is NaN or +inf, or takes too long: end the run, or count it as -inf
        and record it. Default: "abort".
    log_prob_timeout : float or str
        Seconds that one evaluation may take. Default: no limit.
    keep_scratch : bool
        Keep the folders of `pmcmc.scratch`, which else are removed when a rank ends.
        Default: False.
    **unknown
        Refused, with the options there are.

    Returns
    -------
    Result or None
        With an output, on every rank; without, the draws on rank 0 and None elsewhere. After a
        signal or ``max_time`` its ``status`` is "stopped"; None if that came before the first
        commit.

    Raises
    ------
    PmcmcError
        On every rank, whichever failed; its class says what, see `pmcmc.errors`. Interrupted
        where a signal came before the sampling began.

    """
    given = {name: value for name, value in locals().items() if name in OPTIONS}
    try:
        found = _options({**given, **unknown})
        if ranks is not None:
            if comm is not None:
                raise UsageError("ranks starts ranks, comm names some that are there: give one")
            return _attend(start(problem, ranks, launcher, **found), found.get("progress"))
        if comm is not None and not hasattr(comm, "Get_rank"):
            raise UsageError(
                f"comm is {comm!r}: expected an MPI communicator; did you mean ranks={comm!r}?"
            )
        if launcher is not None:
            raise UsageError("launcher is for ranks=...: how many is it to start?")
        from .engine.run import run_together

        return run_together(None if problem is None else _checked(problem), comm, found)
    except PmcmcError as error:
        error.args = (in_python(str(error)),)
        raise error.with_traceback(None) from error.__cause__


def start(
    problem: Problem | None,
    ranks: int | Literal["auto"] = "auto",
    launcher: str | None = None,
    **options: Any,
) -> Run:
    """Start to sample ``problem`` on ranks of its own, and return at once.

    Parameters
    ----------
    problem : Problem
        Sent to the ranks, by dill.
    ranks : int or "auto"
        How many; "auto": as for `run`. Default: "auto".
    launcher : str
        What starts them, as in "srun --mpi=pmi2". Default: the mpiexec of mpi4py's MPI library.
    **options
        As for `run`.

    Returns
    -------
    Run
        ``progress``, ``result()``, ``stop()``, ``wait()``, ``log``.

    Raises
    ------
    PmcmcError
        If an option cannot be, or the ranks cannot be started.

    """
    try:
        from .launch.handle import start_run

        return start_run(_checked(problem), _options(options), ranks, launcher)
    except PmcmcError as error:
        error.args = (in_python(str(error)),)
        raise error.with_traceback(None) from error.__cause__


def _options(given: dict[str, Any]) -> dict[str, Any]:
    found = check(given, known=(*OPTIONS, "ranks", "launcher", "comm"))
    if found.get("dry_run"):
        raise UsageError("dry_run is for the command line; in Python, see pmcmc.make_plan")
    return found


def _checked(problem: Any) -> Problem:
    if not isinstance(problem, Problem):
        raise UsageError(
            f"expected a pmcmc.Problem, got {type(problem).__name__}: wrap a function as "
            'pmcmc.Problem(log_prob, parameters=["a", "b"], initial=p0)'
        )
    return problem


def _attend(run: Run, shown: bool | None) -> Result | None:
    """Show the progress of a run until it ends; a Ctrl-C stops it in order."""
    from .launch.display import Bar

    bar, pressed = Bar(shown), 0
    try:
        while True:
            try:
                over = run.over(0.1)
                bar.show(run.progress)
                if over:
                    result = run.wait()
                    if pressed and result is None:
                        warn("interrupted before the first commit: there are no draws")
                    return result
            except KeyboardInterrupt:
                pressed += 1
                if pressed > 2:
                    raise
                run.stop()
    finally:
        bar.close()
        run.kill()
