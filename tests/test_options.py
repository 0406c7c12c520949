"""Options: what is accepted, what is refused and how it is said; the TOML file."""

import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path

import emcee
import numpy as np
import pytest

import pmcmc
from pmcmc.cli.arguments import COMMANDS
from pmcmc.cli.parsing import needs_ranks, parse
from pmcmc.cli.settings import read_config
from pmcmc.errors import UsageError
from pmcmc.options import OPTIONS, RunOptions, check

# the contract's table; None: off, drawn, or worked out from the model and the ranks
CONTRACT = {
    "output": None,
    "nsteps": "auto",
    "burnin": "auto",
    "rescue": None,
    "nwalkers": None,
    "nensembles": None,
    "mode": "auto",
    "teams": None,
    "seed": None,
    "initial": None,
    "moves": None,
    "thin_by": 1,
    "until_ess": None,
    "until_rhat": None,
    "until_of": "parameters",
    "checkpoint": 60,
    "max_time": None,
    "stop_grace": 30,
    "resume": False,
    "no_verify": False,
    "overwrite": False,
    "break_lock": False,
    "gpus": "auto",
    "on_error": "abort",
    "log_prob_timeout": None,
    "progress": None,
    "ranks_per_evaluation": None,  # 1, and log_prob takes no comm
    "keep_scratch": False,
    "dry_run": False,
}
WHOLE = {
    "nsteps": 1,
    "burnin": 0,
    "nwalkers": 2,
    "nensembles": 1,
    "teams": 1,
    "seed": 0,
    "thin_by": 1,
}


def test_defaults_are_those_of_the_contract():
    ours = {"schedule": "auto"}  # beside the contract
    assert vars(RunOptions()) == {name: (CONTRACT | ours)[name] for name in OPTIONS}


def test_given_values_stand_over_defaults():
    assert vars(RunOptions(nsteps=7)) == vars(RunOptions()) | {"nsteps": 7}


def test_run_spells_out_every_option():
    parameters = inspect.signature(pmcmc.run).parameters.values()
    keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    asked = ["ranks", "launcher", *(n for n in OPTIONS if n != "dry_run")]
    assert [p.name for p in keywords] == asked
    assert all(p.default is None for p in keywords)  # not given: with resume, the file's
    text = inspect.getdoc(pmcmc.run)
    told = dict(re.findall(r"^(\w+) : .*\n((?:    .*\n)+)", text, re.M))
    assert list(told)[2:] == [p.name for p in keywords]
    for name, text in told.items():
        default = OPTIONS[name].default if name in OPTIONS else None
        if default is not None:
            expected = f'"{default}"' if isinstance(default, str) else f"{default:g}"
            expected = {"0": "False"}.get(expected, expected)
            assert f" Default: {expected}." in " ".join(text.split()), name
        assert "Default: " in text or name == "problem"


def test_the_command_line_has_every_option():
    command, given = parse([])
    assert (command, [n for n in given if n not in ("model", "config", "ranks")]) == (
        "run",
        [*OPTIONS],
    )
    assert set(given.values()) == {None}  # not given
    flags = [f for argument in COMMANDS["run"].arguments() for f in argument.long_flags()]
    switched = ["--" + name.replace("_", "-") for name in OPTIONS]
    besides = ("--config", "--ranks", "--no-progress", "--no-rescue")
    assert [f for f in flags if f not in besides] == switched
    slurm = {f for argument in COMMANDS["slurm"].arguments() for f in argument.long_flags()}
    assert set(flags) < slurm


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_a_key_of_the_file(name, tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(f"{name} = 2024-01-01")  # what no option takes
    with pytest.raises(UsageError, match=f"{name}: expected|moves is .*: expected"):
        read_config(path)


def test_every_command_has_somebody_to_do_it():
    assert all(callable(command.handler(name)) for name, command in COMMANDS.items())


@pytest.mark.parametrize(
    ("arguments", "needs"),
    [
        ("", True),
        ("model.py", True),
        ("--nsteps 5", True),
        ("doctor", True),
        ("run --help", False),
        ("-h", False),
        ("--version", False),
        ("status x.h5", False),
        ("slurm model.py", False),
    ],
)
def test_which_command_needs_ranks(arguments, needs):
    assert needs_ranks(arguments.split()) is needs


def test_what_comes_before_the_limit_on_threads_loads_no_numpy():
    code = "import sys, pmcmc.__main__; print({'numpy', 'mpi4py.MPI'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_run_refuses_other_keywords():
    with pytest.raises(UsageError, match=r"no option nstep \(did you mean nsteps\?\)$"):
        pmcmc.run(None, nstep=3)
    with pytest.raises(UsageError, match="dry_run is for the command line"):
        pmcmc.run(None, dry_run=True)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize(
    ("value", "number"),
    [("12", 12), (12, 12), (12.0, 12), ("1e6", 10**6), (1e6, 10**6), (np.int64(12), 12)],
)
def test_whole_numbers(name, value, number):
    found = check({name: value})
    assert found == {name: number}
    assert type(found[name]) is int


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize(
    "value",
    ["1.5", 1.5, True, "x", "", "nan", "inf", float("nan"), float("inf"), "-1", -1, [1], b"1"],
)
def test_what_is_no_whole_number_is_refused(name, value):
    with pytest.raises(UsageError) as caught:
        check({name: value})
    text = str(caught.value)
    assert text.startswith(f"{name}: expected a whole number ")
    assert text.endswith(f", got {value!r}")


@pytest.mark.parametrize(("name", "least"), WHOLE.items())
def test_least_values(name, least):
    assert check({name: least}) == {name: least}
    with pytest.raises(UsageError, match=f"of at least {least}|from {least} to"):
        check({name: least - 1})


def test_seeds_reach_2_to_the_63_minus_1_exactly():
    assert check({"seed": str(2**63 - 1)}) == {"seed": 2**63 - 1}
    with pytest.raises(UsageError, match=f"from 0 to {2**63 - 1}, got"):
        check({"seed": 2**63})


@pytest.mark.parametrize(
    ("value", "seconds"), [("30", 30.0), (0.5, 0.5), ("1e-3", 0.001), (60, 60.0)]
)
def test_checkpoint_takes_seconds(value, seconds):
    assert check({"checkpoint": value}) == {"checkpoint": seconds}


@pytest.mark.parametrize("value", ["0", 0, -1, "soon", True, float("nan"), float("inf"), []])
def test_checkpoint_refuses_what_is_no_time(value):
    with pytest.raises(UsageError, match="checkpoint: expected a number of seconds above 0, got"):
        check({"checkpoint": value})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mode", "spilt", "mode: expected auto, split or pool.*got 'spilt'"),
        ("overwrite", "yes", "overwrite: expected true or false, got 'yes'"),
        ("dry_run", 1, "dry_run: expected true or false, got 1"),
        ("progress", 0, "progress: expected true or false, got 0"),
        ("output", "", "output: expected a file name, got ''"),
        ("output", 3, "output: expected a file name, got 3"),
        ("moves", "dee", "there is no move 'dee'"),
        ("moves", [3], "expected emcee moves"),
    ],
)
def test_other_values_are_refused(name, value, message):
    with pytest.raises(UsageError, match=message):
        check({name: value})


def test_other_values_are_accepted():
    moves = [(emcee.moves.DEMove(), 0.5)]
    given = {
        "mode": "pool",
        "overwrite": True,
        "progress": False,
        "output": "a.h5",
        "moves": moves,
    }
    assert check(given) == given
    assert check({"output": Path("a/b.h5")}) == {"output": "a/b.h5"}


def test_what_is_none_was_not_given():
    assert check({"nsteps": None, "mode": None, "teams": 2}) == {"teams": 2}


def test_an_unknown_option_names_the_likely_one_or_all():
    with pytest.raises(UsageError) as caught:
        check({"nstep": 3})
    assert str(caught.value) == "there is no option nstep (did you mean nsteps?)"
    with pytest.raises(UsageError) as caught:
        check({"zzz": None})
    text = str(caught.value)
    assert text.startswith("there is no option zzz; the options are ")
    assert text.rpartition("are ")[2].split(", ") == list(OPTIONS)


@pytest.mark.parametrize("word", ["resume", "restart", "continue"])
def test_a_command_of_others_that_goes_on_is_told_of_resume(word):
    with pytest.raises(UsageError, match=r"the command that began a run .* with --resume"):
        parse(["run", word, "line.h5"])


@pytest.mark.parametrize("name", ["--ncores", "--n-jobs", "--nproc", "-n", "-np"])
def test_what_others_call_ranks_is_named_as_that(name):
    with pytest.raises(UsageError, match=r"did you mean --ranks\?"):
        parse(["run", "line", name, "4"])


def test_mode_and_teams_exclude_each_other():
    with pytest.raises(UsageError, match="teams is 3 and mode is split: give one of them"):
        check({"mode": "split", "teams": 3})


def test_the_error_is_a_value_error_and_pickles():
    with pytest.raises(ValueError) as caught:
        check({"nsteps": 0})
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (UsageError, str(caught.value))


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "some.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_the_file_has_the_same_keys(config):
    text = 'nsteps = 1000\nthin_by = 2\nmoves = "de:0.8,stretch:0.2"\n'
    assert read_config(config(text + "checkpoint = 5\nprogress = false")) == {
        "nsteps": 1000,
        "thin_by": 2,
        "moves": "de:0.8,stretch:0.2",
        "checkpoint": 5.0,
        "progress": False,
    }
    assert read_config(config("")) == {}


def test_the_model_is_relative_to_the_file(config, tmp_path):
    assert read_config(config('model = "sub/my.py"')) == {"model": str(tmp_path / "sub/my.py")}
    assert read_config(config('model = "/abs/my.py"')) == {"model": "/abs/my.py"}
    assert read_config(config('model = "package.module"')) == {"model": "package.module"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nstep = 3", r"there is no key nstep \(did you mean nsteps\?\)$"),
        ("zzz = 3", r"there is no key zzz; the keys are .*, model, ranks"),
        ("thin-by = 3", r"there is no key thin-by \(did you mean thin_by\?\)"),
        ("[run]\nnsteps = 3", "there is no key run"),
        ("nsteps = = 3", r"some\.toml is not TOML: .*line 1"),
        (b"\xff\xfe", r"some\.toml is not TOML"),
        ("nsteps = true", "nsteps: expected a whole number of at least 1, or auto, got True"),
        ("model = 3", "model: expected the name of a model, got 3"),
        ('mode = "pool"\nteams = 2', "teams is 2 and mode is pool"),
    ],
)
def test_a_file_that_is_wrong_says_where(config, text, message):
    with pytest.raises(UsageError, match=message) as caught:
        read_config(config(text))
    assert "some.toml" in str(caught.value)


def test_a_wrong_value_in_the_file_says_nothing_else(config):
    path = config("nsteps = 1.5")
    with pytest.raises(UsageError) as caught:
        read_config(path)
    assert (
        str(caught.value)
        == f"{path}: nsteps: expected a whole number of at least 1, or auto, got 1.5"
    )


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"none\.toml cannot be read: No such file"):
        read_config(tmp_path / "none.toml")
