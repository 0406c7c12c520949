"""The command line: what it refuses, what it prints, exit statuses, the config file."""

import json
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from pmcmc.__main__ import main
from pmcmc.signals import SIGNALS

MODEL = """
import numpy as np
parameters = ["a", "b"]
initial = [0.0, 0.0]
def log_prob(theta):
    return -0.5 * float(theta @ theta)
"""


@pytest.fixture
def pmcmc_run(launch, tmp_path, model):
    """Run `python -m pmcmc` on two ranks, or without mpiexec, in a folder with model.py."""
    model(MODEL)

    def run(*args, ranks=0, **options):
        return launch(ranks, "-m", "pmcmc", *args, cwd=tmp_path, **options)

    return run


@pytest.fixture
def here(model, tmp_path, monkeypatch, capfd):
    """Run `pmcmc ARGS` in this process."""
    model(MODEL)
    monkeypatch.chdir(tmp_path)
    handlers = {s: signal.getsignal(s) for s in SIGNALS}

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["pmcmc", *args])
        status = main()
        return subprocess.CompletedProcess(args, status, *capfd.readouterr())

    yield run
    for number, handler in handlers.items():  # at the end of a process main ignores signals
        signal.signal(number, handler)


def refused(done, *expected, status=2):
    assert done.returncode == status, done
    assert done.stderr.count("pmcmc: error:") == 1, done.stderr
    assert "Traceback" not in done.stderr
    for text in expected:
        assert text in done.stderr, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("model.py --nstep 5", ["--nstep ", "did you mean --nsteps?"]),
        ("model.py --nsteps many", ["nsteps: expected a whole number", "got 'many'"]),
        ("model.py --nsteps 0", ["at least 1"]),
        ("model.py --seed -1", ["seed", "9223372036854775807", "'-1'"]),
        ("model.py --mode both", ["mode: expected auto, split or pool, got 'both'"]),
        ("model.py --mode pool --teams 2", ["teams", "mode", "one of them"]),
        ("model.py --moves hop", ["no move 'hop'", "stretch, walk, de, desnooker, kde"]),
        ("model.py --moves de:-1", ["weight of de"]),
        ("model.py --nwalkers 33", ["33", "even"]),
        ("model.py --nwalkers 2", ["nwalkers is 2", "at least 4", "--nwalkers 4"]),
        ("model.py --nsteps 3 --nensembles 4", ["nsteps is 3", "nensembles is 4"]),
        ("model.py --checkpoint 0", ["checkpoint", "seconds above 0"]),
        ("model.py --output nowhere/x.h5", ["nowhere/x.h5", "no folder nowhere"]),
        ("model.py --output .", ["is a folder"]),
        ("model.py other.py", ["other.py"]),
        ("nothing.py", ["no model file nothing.py"]),
        ("no_such_module", ["no_such_module", ".py file", "line"]),
        ("--config none.toml", ["none.toml", "No such file"]),
        ("model.py --until-ess much", ["until_ess: expected an effective number", "'much'"]),
        ("model.py --until-rhat 1", ["until_rhat: expected an R-hat above 1", "'1'"]),
    ],
)
def test_bad_usage_is_refused_with_status_2(here, args, expected):
    refused(here(*args.split()), *expected)


def test_on_ranks_one_of_them_refuses(pmcmc_run):
    refused(pmcmc_run("model.py", "--nsteps", "many", ranks=2), "nsteps: expected a whole number")
    refused(pmcmc_run("model.py", "--nwalkers", 2, ranks=2), "--nwalkers 4")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ndim, log_prob = 2, 3", ["log_prob must be a function"]),
        ("def log_prob(t): return 0.0", ["there are no parameters"]),
        ("parameters = ['a']\ndef log_prob(t): return 0.0", ["there is no initial"]),
        (
            "parameters = ['a', 'a']\ninitial = [0, 0]\ndef log_prob(t): return 0.0",
            ["a more than"],
        ),
        (
            "parameters = {'a': 3}\ndef log_likelihood(t): return 0.0",
            ["all parameters are fixed", "give a prior"],
        ),
        ("x = 1 +", ["SyntaxError", "line 1"]),
        (MODEL.replace("float(theta @ theta)", "theta"), ["shape (2,)", "a = 0.0", "sum missing"]),
        (MODEL + "\ninitial = np.zeros((8, 2))", ["do not span"]),
        (MODEL + "\ndef initial(n, rng): return np.zeros(3)", ["shape (3,)", "(32, 2)"]),
        (MODEL.replace("-0.5 *", "-np.inf *"), ["log_prob"]),
        (MODEL.replace("return", "return 0.0, 'x' #"), ["blobs_dtype = [('blob0', 'S16')]"]),
    ],
)
def test_bad_models_are_refused_with_status_1(here, model, text, expected):
    model(text, "bad.py")
    done = here("bad.py")
    assert done.returncode == 1, done
    assert done.stderr.count("pmcmc: error:") == 1, done.stderr
    for part in expected:
        assert part in done.stderr


def test_an_existing_output_is_refused_and_kept(pmcmc_run, tmp_path):
    (tmp_path / "model.h5").write_text("precious")
    refused(pmcmc_run("model.py", ranks=2), "model.h5 exists", "--overwrite")
    assert (tmp_path / "model.h5").read_text() == "precious"
    refused(pmcmc_run("model.py", "--overwrite"), "model.h5 is not a file that pmcmc wrote")
    (tmp_path / "model.h5").unlink()
    short = ("--nsteps", 20, "--burnin", 0)
    assert pmcmc_run("model.py", *short).returncode == 0
    done = pmcmc_run("model.py", "--overwrite", *short)
    assert done.returncode == 0
    assert h5py.File(tmp_path / "model.h5").attrs["status"] == "finished"


def test_a_failed_run_keeps_the_file_it_was_to_overwrite(pmcmc_run, model, tmp_path):
    short = ("--nsteps", 20, "--burnin", 0, "--output", "bad.h5")
    assert pmcmc_run("model.py", *short).returncode == 0
    before = (tmp_path / "bad.h5").read_bytes()
    model(MODEL + "\ndef initial(n, rng): return np.zeros((n, 2))", "bad.py")
    assert pmcmc_run("bad.py", "--overwrite").returncode == 1
    assert (tmp_path / "bad.h5").read_bytes() == before


def test_an_output_folder_that_cannot_be_written(pmcmc_run, tmp_path):
    # root may write anywhere, so the folder is one that nobody may write
    refused(pmcmc_run("model.py", "--output", "/proc/x.h5"), "/proc/x.h5", "cannot be written")


def test_nsteps_is_the_total_and_shares_are_exact(pmcmc_run, tmp_path):
    args = "model.py --nsteps 1001 --nensembles 4 --burnin 3 --seed 7"
    assert pmcmc_run(*args.split(), ranks=3).returncode == 0
    with h5py.File(tmp_path / "model.h5") as file:
        assert [len(g["chain"]) for g in file["ensembles"].values()] == [251, 250, 250, 250]
        assert [len(g["chain"]) for g in file["burnin"].values()] == [3] * 4
        assert file.attrs["nsteps"] == 1001
        assert file.attrs["seed"] == 7
        assert json.loads(file.attrs["config"])["nensembles"] == 4
    done = pmcmc_run("summary", "model.h5", "--json")
    values = json.loads(done.stdout)
    assert values["ndraws"] == 1001 * 32
    chain = np.concatenate([g["chain"][...] for g in file_groups(tmp_path / "model.h5")])
    np.testing.assert_allclose(values["parameters"][0]["mean"], chain[..., 0].mean(), rtol=1e-12)


def file_groups(path):
    with h5py.File(path) as file:
        yield from file["ensembles"].values()


def test_dry_run_prints_the_plan_and_writes_nothing(pmcmc_run, tmp_path):
    before = sorted(p.name for p in tmp_path.iterdir() if p.suffix)
    done = pmcmc_run("model.py", "--dry-run", "--nensembles", 5, "--teams", 2, ranks=2)
    assert done.returncode == 0
    assert "2 teams of 1 rank, 2 to 3 ensembles each" in done.stdout
    assert "uneven" in done.stdout
    assert "nothing was sampled" in done.stdout
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix) == before


def test_config_file_of_the_folder_runs_without_arguments(pmcmc_run, tmp_path):
    (tmp_path / "pmcmc.toml").write_text(
        'model = "model.py"\nnsteps = 40\nburnin = 2\nthin_by = 2'
    )
    done = pmcmc_run(ranks=2)
    assert done.returncode == 0, done
    with h5py.File(tmp_path / "model.h5") as file:
        assert (file.attrs["nsteps"], file.attrs["thin_by"]) == (40, 2)
    # options win over the file
    args = ["--nsteps", 60, "--output", "b.h5"]
    assert pmcmc_run("--config", "pmcmc.toml", *args).returncode == 0
    with h5py.File(tmp_path / "b.h5") as file:
        assert (file.attrs["nsteps"], file.attrs["thin_by"]) == (60, 2)
    (tmp_path / "pmcmc.toml").write_text('model = "model.py"\nn_steps = 40')
    refused(pmcmc_run(), "no key n_steps", "did you mean nsteps?")


ELSEWHERE = """
import os, sys
if os.environ["PMI_RANK"] == "1":
    os.chdir("elsewhere")
from pmcmc.__main__ import main
sys.exit(main())
"""


def test_a_rank_without_the_model_or_with_other_settings_ends_all(launch, tmp_path, model):
    """As where a folder is of one host, or a file arrives late: nobody waits for that rank."""
    model(MODEL)
    model(ELSEWHERE, "script.py")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    done = launch(2, "script.py", "model.py", cwd=tmp_path, timeout=30)
    refused(done, f"there is no model file model.py (in {folder}) on rank 1 of 2, host ")
    (folder / "model.py").write_text(MODEL)
    (tmp_path / "pmcmc.toml").write_text('model = "model.py"\nnsteps = 40')
    (folder / "pmcmc.toml").write_text('model = "model.py"\nnsteps = 50')
    done = launch(2, "script.py", cwd=tmp_path, timeout=30)
    refused(done, "the settings differ on rank 1 of 2, host ", "50", "40")
    (folder / "pmcmc.toml").unlink()
    done = launch(2, "script.py", cwd=tmp_path, timeout=30)
    refused(done, "the model is line on rank 1 of 2, host ", "model.py")
    assert not list(tmp_path.glob("*.h5"))


def test_a_module_is_a_model(pmcmc_run, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package/mine.py").write_text(MODEL)
    assert pmcmc_run("package.mine", "--nsteps", 20, "--burnin", 0).returncode == 0
    assert (tmp_path / "mine.h5").exists()


def test_a_drawn_seed_is_printed_and_gives_the_same_draws(pmcmc_run, tmp_path):
    from reference import assert_same_files

    done = pmcmc_run("model.py", "--nsteps", 20, "--burnin", 5, "--nensembles", 2)
    seed = done.stdout.split("--seed ")[1].split()[0]
    args = [
        "--nsteps",
        20,
        "--burnin",
        5,
        "--nensembles",
        2,
        "--seed",
        seed,
        "--output",
        "again.h5",
    ]
    assert pmcmc_run("model.py", *args, ranks=2).returncode == 0
    assert_same_files(tmp_path / "model.h5", tmp_path / "again.h5")


def test_only_rank_0_prints(pmcmc_run):
    done = pmcmc_run("model.py", "--nsteps", 20, "--burnin", 5, ranks=3)
    assert done.stdout.count("done in") == 1
    assert done.stderr == ""


@pytest.mark.slow
def test_progress_lines_in_a_log(pmcmc_run, model):
    model(
        MODEL.replace("    return", "    time.sleep(1e-3)\n    return") + "import time", "slow.py"
    )
    done = pmcmc_run("slow.py", "--nsteps", 800, "--burnin", 10, ranks=2)
    assert done.returncode == 0
    assert "steps/s" in done.stdout
    assert "left; acceptance 0." in done.stdout
    done = pmcmc_run("model.py", "--nsteps", "20", "--burnin", 5, "--no-progress")
    assert "steps/s" not in done.stdout


def test_status_of_finished_foreign_and_missing_files(pmcmc_run, tmp_path):
    pmcmc_run("model.py", "--nsteps", 20, "--burnin", 5)
    done = pmcmc_run("status", "model.h5", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["status"] == "finished"
    assert pmcmc_run("status", "model.h5").stdout.startswith("model.h5: finished, 20 of 20 steps")
    refused(pmcmc_run("status", "no.h5"), "there is no file no.h5", status=1)
    refused(pmcmc_run("summary", "model.py"), "cannot be read as an HDF5 file", status=1)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    refused(pmcmc_run("status", "other.h5"), "not one that pmcmc wrote", status=1)


def test_help_tells_every_option(pmcmc_run):
    from pmcmc.options import OPTIONS

    done = pmcmc_run("run", "--help")
    assert done.returncode == 0
    for name in OPTIONS:
        assert "--" + name.replace("_", "-") in done.stdout
    assert pmcmc_run("--version").stdout.startswith("pmcmc 0.")
    assert "COMMAND" in pmcmc_run("--help").stdout


def test_threads_are_limited_before_numpy_loads(pmcmc_run, model, tmp_path):
    model(
        MODEL
        + "import os; os.mkdir(f'{os.getpid()}-' + os.environ.get('OMP_NUM_THREADS', 'unset'))"
    )

    def threads(ranks, **env):
        done = pmcmc_run("model.py", "--dry-run", ranks=ranks, env=env)
        folders = [p for p in tmp_path.iterdir() if "-" in p.name and p.is_dir()]
        for folder in folders:
            folder.rmdir()
        assert len(folders) == max(1, ranks)
        return {p.name.partition("-")[2] for p in folders}, "note: OMP_NUM_THREADS" in done.stdout

    assert threads(2, OMP_NUM_THREADS="3") == ({"3"}, False)
    assert threads(2, OMP_NUM_THREADS=None) == ({"1"}, True)
    assert threads(2, OMP_NUM_THREADS=None, SLURM_CPUS_PER_TASK="4") == ({"4"}, True)
    assert threads(0, OMP_NUM_THREADS=None) == ({"unset"}, False)


def test_from_python_a_late_limit_on_threads_is_a_warning(launch, tmp_path):
    (tmp_path / "script.py").write_text(
        "import numpy, pmcmc\n"
        "problem = pmcmc.Problem(lambda t: -float(t @ t), ['a'], initial=[0.0])\n"
        "pmcmc.run(problem, nsteps=20, burnin=5)\n"
    )
    env = {"OMP_NUM_THREADS": None, "OPENBLAS_NUM_THREADS": "2"}
    done = launch(2, "script.py", cwd=tmp_path, env=env)
    assert done.returncode == 0
    assert done.stderr.count("RuntimeWarning: ") == 1
    assert "script.py:3: RuntimeWarning: " in done.stderr
    assert "OMP_NUM_THREADS=1" in done.stderr or "OPENBLAS_NUM_THREADS=1" in done.stderr
    assert launch(2, "script.py", cwd=tmp_path).stderr == ""


def test_reading_commands_need_no_mpi(pmcmc_run, launch, tmp_path):
    assert pmcmc_run("model.py", "--nsteps", 20, "--burnin", 5).returncode == 0
    for command in ("summary", "status"):
        done = pmcmc_run(command, "model.h5", ranks=3, timeout=20)  # every rank but one goes home
        assert done.returncode == 0, done
        assert done.stdout.count("model.h5: ") == 1
        blocked = (
            f"import sys; sys.modules['mpi4py'] = None; sys.argv[1:] = ['{command}', 'model.h5']"
        )
        done = launch(0, "-c", f"{blocked}; from pmcmc.__main__ import main; main()", cwd=tmp_path)
        assert done.returncode == 0, done
        assert "finished" in done.stdout


def test_a_command_that_is_none_is_said(pmcmc_run):
    refused(
        pmcmc_run("sumary", "model.h5", ranks=2), "no command sumary", "mean summary?", "status"
    )


def test_a_missing_argument_of_log_prob_is_explained(pmcmc_run, model):
    model(MODEL.replace("(theta)", "(theta, x)"), "bad.py")
    done = pmcmc_run("bad.py")
    assert done.returncode == 1
    assert "missing 1 required positional argument: 'x'" in done.stderr
    assert "args = (x, y, yerr)" in done.stderr
