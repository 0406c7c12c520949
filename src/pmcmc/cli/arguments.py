"""The arguments of the command line: one table of commands. It loads no numpy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from ..options import OPTIONS
from .definitions import Argument, Command, Groups, argument, option_argument


def _whole(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers of at least ``least``."""

    def read(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at least {least}, got {text!r}"
            )
        return int(text)

    return read


# ---- the table

_FILE = argument("path", metavar="FILE", type=Path)
_FILE_OR_NONE = argument("path", metavar="FILE", type=Path, nargs="?")
_FILES = argument("paths", metavar="FILE", type=Path, nargs="+")
_NAMES = argument(
    "--parameters",
    dest="names",
    metavar="NAMES",
    type=lambda text: text.split(","),
    help="these only, as in m,b or 'beta[*]' (default: all)",
)
_OF_RUN = argument(
    "--of-run",
    metavar="...",
    nargs=argparse.REMAINDER,
    help="instead of FILE: the words of a `run`, whose file it is",
)
_CUT = (
    argument(
        "--discard",
        metavar="N",
        type=_whole(0),
        default=0,
        help="leave out the first N kept steps of each ensemble (default: 0)",
    ),
    argument(
        "--thin",
        metavar="M",
        type=_whole(1),
        default=1,
        help="then take every M-th (default: 1)",
    ),
)
_OVERWRITE = argument(
    "--overwrite", action="store_true", help="replace files that pmcmc did not make"
)
_FOLLOW = argument("--follow", action="store_true", help="show how far the run is, until it ends")
_VERIFY = argument(
    "--verify",
    action="store_true",
    help="compare the draws with their checksums (exit status 1: they differ)",
)
_JSON = argument("--json", dest="as_json", action="store_true", help="for programs")


def _model() -> list[Argument]:
    from ..model.load import BUILTIN

    examples = ", ".join(BUILTIN)
    text = "the options of the run as keys, `-` as `_`"
    return [
        argument(
            "model",
            metavar="MODEL",
            nargs="?",
            help=f"a .py file, a module, or a built-in example ({examples})",
        ),
        argument("--config", metavar="FILE.toml", help=text),
    ]


_RANKS = argument(
    "--ranks",
    metavar="N",
    help="start so many ranks, as mpiexec -n N would; refused under a launcher",
)


def _of_run() -> Groups:
    return {"": [*_model(), _RANKS, *map(option_argument, OPTIONS.values())]}


def _rank_counts(text: str) -> list[int]:
    """Read 1,16,256."""
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = [0]
    if not all(1 <= n <= 10**6 for n in counts):
        raise argparse.ArgumentTypeError(
            f"expected numbers of ranks from 1 to 1000000, as in 1,16,256, got {text!r}"
        )
    return sorted(set(counts))


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def _of_plan() -> Groups:
    ranks = argument(
        "--ranks",
        metavar="N,N,...",
        type=_rank_counts,
        default=[1, 4, 16, 64, 256],
        help="(default: 1,4,16,64,256)",
    )
    ess = argument(
        "--target-ess",
        metavar="E",
        type=_above_zero,
        help="effective draws of every parameter (default: as --until-ess, else enough)",
    )
    tau = argument(
        "--tau",
        metavar="STEPS",
        type=_above_zero,
        help="autocorrelation time, as a short run prints it (default: a normal posterior's)",
    )
    network = argument(
        "--doctor",
        dest="network",
        metavar="FILE.json",
        type=Path,
        help="what `doctor --json` printed where the run is to be: how long messages take",
    )
    picture = argument(
        "--plot", dest="picture", metavar="FILE.png", type=Path, help="draw time and efficiency"
    )
    options = [option for option in OPTIONS.values() if option.name != "overwrite"]
    return {
        "": [*_model(), ranks, ess, tau, network, _JSON, picture, _OVERWRITE],
        "options of the run": map(option_argument, options),
    }


def _of_slurm() -> Groups:
    from ..slurm.script_options import SCRIPT_OPTIONS

    submit = argument(
        "--submit", action="store_true", help="hand the script to sbatch, and say which job it is"
    )
    return {
        "": [*_model(), submit],
        "options of the job": map(option_argument, SCRIPT_OPTIONS.values()),
        "options of the run": map(option_argument, OPTIONS.values()),
    }


def _of_summary() -> Groups:
    ensembles = argument("--ensembles", action="store_true", help="a table of ensembles besides")
    kind = argument(
        "--kind",
        choices=("quantiles", "hdi", "mode"),
        default="quantiles",
        help="beside mean and sd: 16%%, 50%% and 84%% quantiles (default), or the 68%% interval "
        "of highest density round the median or the mode",
    )
    correlation = argument("--correlation", action="store_true", help="of pairs of parameters")
    form = argument(
        "--format",
        dest="form",
        choices=("text", "latex", "markdown"),
        default="text",
        help="a table to be pasted alone (default: text)",
    )
    return {"": [_FILES, ensembles, kind, _NAMES, correlation, form, _JSON, *_CUT]}


def _of_plot() -> Groups:
    folder = argument(
        *("-o", "--output"),
        dest="folder",
        metavar="FOLDER",
        type=Path,
        default=".",
        help="(default: here)",
    )
    truth = argument(
        "--truth",
        dest="truths",
        metavar="NAME=VALUE",
        type=_truths,
        action="append",
        default=[],
        help="a true value to be marked, as in m=-0.96; may be given again",
    )
    form = argument(
        "--format", dest="form", choices=("png", "pdf"), default="png", help="(default: png)"
    )
    return {"": [_FILES, folder, _NAMES, truth, form, _OVERWRITE, *_CUT]}


def _truths(text: str) -> dict[str, float]:
    """Read m=-0.96, or several with commas between."""
    found = {}
    for pair in text.split(",") if text.count("=") > 1 else [text]:
        name, _, value = pair.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError:
            name = ""
        if not name:
            raise argparse.ArgumentTypeError(f"expected NAME=VALUE, as in m=-0.96, got {pair!r}")
    return found


def _of_report() -> Groups:
    text = "(default: FILE's stem, here)"
    output = argument("-o", "--output", metavar="FILE.html", type=Path, help=text)
    return {"": [_FILE, output, _OVERWRITE, *_CUT]}


FORMATS = ("netcdf", "getdist", "npz", "csv")  # of results.exports, which is slow to load


def _of_export() -> Groups:
    form = argument(
        "--format", dest="form", metavar="|".join(FORMATS), required=True, choices=FORMATS
    )
    output = argument(
        *("-o", "--output"),
        metavar="OUTPUT",
        type=Path,
        help="the file, or GetDist's root (default: FILE's stem, here)",
    )
    replace = argument("--overwrite", action="store_true", help="replace files that are there")
    return {"": [_FILE, form, output, replace, *_CUT]}


def _of_derive() -> Groups:
    return {"": [_FILE, argument("model", metavar="MODEL.py")]}


def _of_try() -> Groups:
    number = argument("number", metavar="N", type=_whole(0), help="which, from 0")
    model = argument("--model", metavar="MODEL", help="(default: that of the run)")
    path = argument("path", metavar="FILE", type=Path, help="of a run, or its FILE.rejects.jsonl")
    return {"": [path, number, model]}


def _of_init() -> Groups:
    from ..model.template import STYLES

    style = argument(
        "--style",
        choices=STYLES,
        default=STYLES[0],
        help="a table of priors and a log-likelihood (default); the whole posterior as emcee "
        "takes it; another program; many points at once",
    )
    return {"": [argument("path", metavar="FILE.py", type=Path), style]}


def _of_doctor() -> Groups:
    folder = argument(
        "--output",
        metavar="FOLDER",
        default=".",
        help="where output is to go, or a file there (default: the current folder)",
    )
    return {"": [folder, _JSON]}


COMMANDS = {
    "run": Command("sample a model", _of_run, module="run", ranks=True),
    "summary": Command(
        "figures of the draws, and whether there are enough of them",
        _of_summary,
        more="Of several FILEs: in what they differ from the first.",
    ),
    "plot": Command(
        "corner, trace, autocorrelation, ranks, running figures, acceptance, as PNG or PDF",
        _of_plot,
        more="Of several FILEs: one corner that compares them.",
    ),
    "report": Command("one HTML page with the verdict, figures, plots and times", _of_report),
    "export": Command("the draws in another format", _of_export),
    "derive": Command(
        "work out derived quantities of each draw, and keep them in the file",
        _of_derive,
        more="MODEL.py gives them as functions of theta by name: derived = {'ecc': ecc}. It may "
        "be the model of the run.",
    ),
    "rejects": Command(
        "evaluations that were rejected: why, how often, where first",
        lambda: {"": [_FILE, _JSON]},
        module="failures",
    ),
    "try": Command(
        "evaluate one of them again: the value, or the whole traceback, and the time",
        _of_try,
        module="failures",
    ),
    "status": Command(
        "what is in a file (exit status: 0 finished, 3 finished short of its stop rule, 4 a job "
        "is writing it, 75 to be resumed, 1 unusable)",
        lambda: {"": [_FILE_OR_NONE, _FOLLOW, _VERIFY, _JSON, _OF_RUN]},
    ),
    "plan": Command(
        "time log_prob here, and tell what a run takes on numbers of ranks",
        _of_plan,
        module="planning",
    ),
    "slurm": Command(
        "print a Slurm batch script",
        _of_slurm,
        more="It samples MODEL: pmcmc slurm MODEL > job.sh, then sbatch job.sh. Options of `run` "
        "are passed on to it.",
        module="cluster",
    ),
    "init": Command(
        "write a model to begin with: it runs as it is, and says what else a model may have",
        _of_init,
    ),
    "doctor": Command(
        "examine MPI, ranks, cores, threads and the output folder; start it as you would a run",
        _of_doctor,
        more="As in: mpiexec -n 16 python -m pmcmc doctor. Exit status: 1 if something is wrong, "
        "else 0.",
        module="cluster",
        ranks=True,
    ),
}
