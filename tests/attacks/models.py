"""Models that misbehave: the run goes on as if nothing were, or ends with one message of ours.

Whatever a model does, once, at import, in a call, in a thread or at exit, on any rank: nothing
hangs, draws that are in the file are those of an undisturbed run, and a resume with a model that
behaves ends with the same file.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from . import job

MODEL = """
import atexit, builtins, ctypes, gc, io, locale, multiprocessing, os, resource, shutil, signal
import socket, subprocess, sys, threading, time, warnings
from pathlib import Path
import numpy as np
parameters = ["a", "\\u03c9"]
initial = [0.0, 0.0]
calls = 0
what, when, rank = os.environ.get("MISCHIEF", ""), os.environ.get("WHEN"), os.environ.get("WHERE")
mine = rank in ("all", os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK", "0")))
class Ugly(Exception):
    def __str__(self):
        raise ValueError("no words")
class Foul(Exception):
    def __reduce__(self):
        raise TypeError("no pickle")
def misbehave(theta=None, honest=None):
    Path(HERE, "reached").touch()
    told = {**globals(), "theta": theta, "honest": honest, "value": honest}
    exec(what, told)
    return told["value"]
HERE = os.getcwd()
if mine and when == "import":
    misbehave()
if mine and when == "exit":
    atexit.register(misbehave)
if mine and when == "thread":
    timer = threading.Timer(0.05, misbehave)
    timer.daemon = True
    timer.start()
def log_prob(theta):
    global calls
    calls += 1
    honest = -0.5 * float(theta @ theta)
    if mine and when == str(calls):
        return misbehave(theta, honest)
    return honest
"""
RAISES = (
    "raise ValueError(theta)",
    "raise KeyboardInterrupt",
    "raise SystemExit(0)",
    "raise SystemExit(3)",
    "raise SystemExit('bye')",
    "raise GeneratorExit",
    "raise StopIteration",
    "raise MemoryError",
    "raise RecursionError('deep')",
    "raise Ugly",
    "raise Foul('x')",
    "raise BaseException('x' * 10**6)",
    "raise ValueError('\\x1b[31menough: \\n\\ud800')",
    "raise ExceptionGroup('many', [ValueError(1), KeyError(2)])",
    "assert False",
    "raise BrokenPipeError",
    "raise TimeoutError",
    "import no_such_module",
    "f = lambda n: f(n + 1); f(0)",
    "np.linalg.inv(np.zeros((2, 2)))",
    "np.zeros(2**60)",
)
LEAVES = (
    "os._exit(0)",
    "os._exit(5)",
    "exit(0)",
    "ctypes.CDLL(None).exit(0)",
    "ctypes.CDLL(None).exit(7)",
    "from mpi4py import MPI; MPI.Finalize()",
    "from mpi4py import MPI; MPI.COMM_WORLD.Abort(0)",
    "from mpi4py import MPI; MPI.COMM_WORLD.Abort(9)",
)
CRASHES = (
    "os.abort()",
    "ctypes.string_at(0)",
    "os.kill(os.getpid(), signal.SIGKILL)",
    "os.kill(os.getpid(), signal.SIGSEGV)",
    "os.kill(os.getpid(), signal.SIGALRM)",
    "resource.setrlimit(resource.RLIMIT_CPU, (1, 1)); [i for i in range(10**10) if i < 0]",
)
STOPS = (
    "os.kill(os.getpid(), signal.SIGTERM)",
    "os.kill(os.getpid(), signal.SIGINT)",
    "os.kill(os.getpid(), signal.SIGUSR1)",
    "[os.kill(os.getpid(), signal.SIGTERM) for _ in range(50)]",
)
VALUES = (
    "value = np.nan",
    "value = None",
    "value = 'much'",
    "value = np.zeros(2)",
    "value = 1j",
    "value = np.inf",
    "value = (honest, 1.0)",
    "value = object()",
    "value = b'x'",
    "value = np.ma.masked",
    "value = {}",
    "value = np.array([])",
    "value = 10**400",
)
HARMLESS_VALUES = (
    "value = np.float64(honest)",
    "value = np.array(honest)",
    "value = np.array([honest])[0]",
    "value = np.longdouble(honest)",
    "value = [honest]",  # to emcee: a log_prob, and no blobs
    "value = (honest,)",
    "value = [[[honest]]]",
)
DISTURBS = (
    "theta[:] = 7",
    "theta.setflags(write=True); theta *= 2",
    "theta.resize((0,), refcheck=False)",
    "os.close(1); os.close(2)",
    "os.close(0)",
    "sys.stdout.close(); sys.stderr.close()",
    "sys.stdout = sys.stderr = None",
    "sys.stdout = io.StringIO()",
    "sys.setrecursionlimit(70)",
    "os.chdir('/')",
    "os.makedirs('gone', exist_ok=True); os.chdir('gone'); os.rmdir(os.getcwd())",
    "sys.path.clear()",
    "sys.argv.clear()",
    "os.environ.clear()",
    "signal.signal(signal.SIGTERM, signal.SIG_DFL)",
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "signal.signal(signal.SIGALRM, lambda *a: None); signal.setitimer(0, 0.003, 0.003)",
    "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1])",
    "warnings.simplefilter('error')",
    "np.seterr(all='raise')",
    "np.random.seed(0)",
    "np.set_printoptions(precision=1, threshold=0)",
    "locale.setlocale(locale.LC_ALL, 'C')",
    "gc.disable(); gc.set_threshold(1)",
    "gc.freeze(); gc.collect()",
    "os.umask(0o777)",
    "os.nice(5)",
    "resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))",
    "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
    "resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))",
    "sys.setswitchinterval(1.0)",
    "sys.settrace(lambda *a: None)",
    "sys.setprofile(lambda *a: None)",
    "sys.unraisablehook = None",
    "builtins.print = None",
    "time.sleep = lambda s: None",
    "time.time = lambda: 0.0",
    "time.monotonic = lambda: 0.0",
    "del sys.modules['numpy']",
    "sys.modules.pop('h5py', None)",
    "threading.Thread(target=time.sleep, args=(600,)).start()",
    "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    "threading.Thread(target=lambda: 1 / 0).start()",
    "os.fork() or os._exit(0)",
    "os.fork() or os._exit(3)",
    "os.fork() or exec('raise ValueError(1)')",
    "pid = os.fork()\nif not pid: sys.exit(0)",
    "pid = os.fork()\nif not pid: time.sleep(5)",
    "multiprocessing.get_context('fork').Pool(2).map(abs, [1, -2])",
    "subprocess.run(['true'])",
    "subprocess.Popen(['sleep', '5'])",
    "os.kill(os.getpid(), signal.SIGUSR2) if signal.getsignal(signal.SIGUSR2) else None",
    "os.kill(os.getpid(), signal.SIGWINCH)",
    "os.kill(os.getpid(), signal.SIGHUP)",  # libraries of MPI catch it
    "os.kill(os.getpid(), signal.SIGCHLD)",
    "globals()['log_prob'] = None",
    "print('enough: x' * 10000)",
    "print('\\ud800')",
    "sys.stderr.write('\\x00')",
    "time.sleep(0.3)",
    "np.zeros(3 * 10**7).sum()",
    "socket.socket().bind(('127.0.0.1', 0))",
)
FILES = (  # the output, while the run writes it: draws may be lost, never wrong
    "os.unlink(os.path.join(HERE, 'x.h5'))",
    "os.truncate(os.path.join(HERE, 'x.h5'), 1000)",
    "os.rename(os.path.join(HERE, 'x.h5'), os.path.join(HERE, 'y.h5'))",
    "os.chmod(os.path.join(HERE, 'x.h5'), 0)",
    "os.unlink(os.path.join(HERE, '.x.h5.lock'))",
    "Path(HERE, '.x.h5.lock').write_text('{}')",
    "Path(HERE, 'x.h5').write_bytes(b'nothing')",
)
GROUPS = {
    "raises": RAISES,
    "leaves": LEAVES,
    "crashes": CRASHES,
    "stops": STOPS,
    "values": VALUES,
    "harmless values": HARMLESS_VALUES,
    "disturbs": DISTURBS,
    "files": FILES,
}
MUST_FAIL = ("leaves", "crashes", "values")
SHAPES = ([], ["--mode", "split"], ["--mode", "pool"], ["--teams", "2"], ["--schedule", "demand"])
RUN = ["-m", "pmcmc", "model.py", "--output", "x.h5", "--nsteps", "120", "--burnin", "5"]
RUN += ["--nensembles", "6", "--nwalkers", "8", "--seed", "1", "--no-progress"]


def prepare(folder: Path, python: str) -> None:
    """Write the model, and the file of an undisturbed run."""
    (folder / "model.py").write_text(MODEL)
    ended = job.run([python, *RUN], folder)
    if ended.status:
        raise SystemExit(f"an undisturbed run fails: {ended}")
    os.replace(folder / "x.h5", folder / "truth.h5")


def plan(seed: int) -> tuple[str, str, str, str, int, list[str]]:
    """Return group, mischief, when, on which rank, of how many, and options."""
    rng = np.random.default_rng(seed)
    every = [(group, what) for group, some in GROUPS.items() for what in some]
    group, what = every[seed % len(every)]  # each comes once in so many seeds
    ranks = int(rng.choice([0, 1, 2, 3, 3]))
    shape = list(SHAPES[rng.integers(len(SHAPES))])
    if ranks < 2:
        shape = []
    where = str(rng.choice([*map(str, range(max(1, ranks))), "all"]))
    whens = ["1", str(rng.integers(2, 300))] * 2
    if "theta" not in what and "honest" not in what and "value" not in what:
        whens += ["import", "thread"] + ["exit"] * ("setitimer" not in what)
    if rng.random() < 0.5:
        shape += ["--checkpoint", "0.0001"]
    return group, what, str(rng.choice(whens)), where, ranks, shape


def attempt(folder: Path, seed: int, python: str) -> tuple[str, str, str]:
    """Try one; return its group, how it ended, and what is wrong with that ("" if nothing)."""
    for name in ("x.h5", "y.h5", ".x.h5.lock", "reached"):
        (folder / name).unlink(missing_ok=True)
    group, what, when, where, ranks, shape = plan(seed)
    start = job.launcher(python)
    ended = job.run(
        [*job.ranks_of(start, ranks), *RUN, *shape],
        folder,
        MISCHIEF=what,
        WHEN=when,
        WHERE=where,
    )
    crash, reached = group == "crashes", (folder / "reached").exists()
    wrong = job.complaint(ended, crash)
    if wrong == "control characters" and when in ("exit", "thread"):
        wrong = ""  # Python itself shows what is raised there
    output, truth = folder / "x.h5", folder / "truth.h5"
    if wrong == "fails without a word" and when == "exit":
        wrong = job.same_files(output, truth)  # pmcmc has ended: the status is the model's own
    spoilt = group == "files" and reached
    if not wrong and ended.status == 0:
        if reached and group in MUST_FAIL and when != "exit" and when != "thread":
            wrong = "ends with status 0"
        elif not spoilt:
            wrong = job.same_files(output, truth)
    elif not wrong and not reached:
        wrong = "fails, and nothing was done to it"
    if not wrong and output.exists() and not spoilt:
        wrong = job.wrong_draws(output, truth)
    if not wrong and not spoilt:
        again = job.run([*job.ranks_of(start, 2), *RUN, "--resume", "--break-lock"], folder)
        wrong = f"the resume: {again.err}" if again.status else job.same_files(output, truth)
    how = "not reached" if not reached else f"status {ended.status}"
    if wrong:
        wrong = (
            f"{group}: {what!r} when {when} on rank {where} of {ranks}, {shape}: {wrong}\n"
            f"{ended.status}\n{ended.out[-300:]}\n{ended.err[-1500:]}"
        )
    return group, how, wrong
