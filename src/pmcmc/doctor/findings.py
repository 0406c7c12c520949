"""What the doctor makes of the facts that it measured: facts in, findings out (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..mpi.startup import OVERRIDE, ROOT_ONLY_DISPATCHES, launched
from ..text import count_text, duration_text, some_text
from .folder import find_of_folder
from .records import Facts, Finding, RankFacts

ALIKE = ("pmcmc", "Python", "emcee", "numpy", "MPI library")  # the draws, or the talk, need these
SLOW_MESSAGE = 5e-4  # seconds, one way: longer is no fast network
SLOW_BYTES = 50e6  # per second
CLOCKS_APART = 1.0  # seconds
_SHOWN = 4  # hosts or ranks that are named before "and 7 more"


def find(facts: Facts) -> list[Finding]:
    """Return what the facts mean, in the order of the report."""
    checks = (
        _versions,
        _mpi,
        _launch,
        _slurm,
        _ranks,
        _cores,
        _threads,
        _gpus,
        _messages,
        _clocks,
    )
    found = [finding for check in checks for finding in check(facts)]
    return found + list(find_of_folder(facts.folder, facts) if facts.folder else ())


def exit_status(findings: Iterable[Finding]) -> int:
    """Return 1 if something is wrong, else 0."""
    return int(any(f.level == "wrong" for f in findings))


# ---- what is installed


def _versions(facts: Facts) -> Iterator[Finding]:
    first = facts.ranks[0]
    names = [n for n in first.versions if n not in ("HDF5", "MPI library")]
    shown = ", ".join(f"{n} {first.versions[n]}" for n in names)
    yield Finding("versions", "ok", f"{shown} (HDF5 {first.versions.get('HDF5', '?')})")
    for name in first.versions:
        by = {r: f.versions.get(name, "missing") for r, f in facts.ranks.items()}
        if len(set(by.values())) > 1:
            yield Finding(
                "versions",
                "wrong" if name in ALIKE else "warning",
                f"the ranks have different versions of {name}: {facts.kinds(by)}",
                "run the same environment on every host: one on a file system that all share, "
                "named by its full path in the job script",
            )
    paths = {r: f.executable for r, f in facts.ranks.items()}
    if len(set(paths.values())) > 1:
        yield Finding(
            "versions",
            "warning",
            f"the ranks run different interpreters: {facts.kinds(paths)}",
            "give the interpreter by its full path: mpiexec -n 16 /path/to/python -m pmcmc",
        )


def _mpi(facts: Facts) -> Iterator[Finding]:
    first, levels = facts.ranks[0], {f.thread_level for f in facts.ranks.values()}
    if first.thread_level is None:
        return  # MPI was not started: the launch check says so
    library = f"{first.versions['MPI library']}, thread level {first.thread_level}"
    if not levels & {"single", "funneled"}:
        yield Finding("MPI", "ok", library)
        return
    yield Finding(
        "MPI",
        "warning",
        f"{library}: {ROOT_ONLY_DISPATCHES}",
        "unset MPI4PY_RC_THREADS and MPI4PY_RC_THREAD_LEVEL if they are set; else use an MPI "
        "that was built with thread support",
    )


# ---- how the ranks were started


def _launch(facts: Facts) -> Iterator[Finding]:
    told = launched(facts.env)
    if facts.launch_error is not None:
        first, *rest = (line.strip() for line in facts.launch_error.splitlines())
        started = max(told.values(), default=1)
        if started > 1:
            rest.insert(0, _type(facts, started))
        yield Finding("launcher", "wrong", first, "\n".join(rest))
    elif told and facts.size not in told.values():
        variable, started = next(iter(told.items()))
        alone = facts.size == 1 and bool(facts.env.get(OVERRIDE))
        surely = not alone and not variable.startswith("SLURM")
        yield Finding(
            "launcher",
            "wrong" if surely else "warning",
            f"the launcher started {started} ranks ({variable}={started}), MPI sees {facts.size}"
            + (f", as {OVERRIDE} allows" if alone else ""),
            f"for {started} separate runs this is right; for one, unset {OVERRIDE}"
            if alone
            else _type(facts, started),
        )


def _type(facts: Facts, ranks: int) -> str:
    """Return the command that starts so many ranks as one world."""
    first = facts.ranks[0]
    pmi = "pmix" if "Open MPI" in first.versions.get("MPI library", "") else "pmi2"
    command = f"{first.executable} -m pmcmc doctor"
    text = f"type: {facts.mpiexec} -n {ranks} {command}"
    return text + (f"\nor: srun --mpi={pmi} -n {ranks} {command}" if facts.job else "")


def _slurm(facts: Facts) -> Iterator[Finding]:
    if facts.job is None:
        return
    if facts.time_left is None:
        yield Finding(
            "Slurm",
            "warning",
            f"job {facts.job}; nothing says when it ends",
            "unless it has no time limit, give pmcmc --max-time, so that it stops in time",
        )
    else:
        yield Finding("Slurm", "ok", f"job {facts.job}, {duration_text(facts.time_left)} left")
    tasks = facts.env.get("SLURM_NTASKS", "")
    if facts.launch_error is None and tasks.isdigit() and int(tasks) > facts.size:
        yield Finding(
            "Slurm",
            "warning",
            f"the job has {tasks} tasks (SLURM_NTASKS), {facts.size} of them run",
            _type(facts, int(tasks)),
        )


def _ranks(facts: Facts) -> Iterator[Finding]:
    hosts = facts.hosts()
    counts = [f"{host} ({len(ranks)})" for host, ranks in hosts.items()]
    if len({len(ranks) for ranks in hosts.values()}) == 1 and len(hosts) > 1:
        counts = [f"{len(facts.ranks) // len(hosts)} on each of {_some(list(hosts))}"]
    yield Finding(
        "ranks",
        "ok",
        f"{count_text(facts.size, 'rank')} on {count_text(len(hosts), 'host')}: {_some(counts)}",
    )
    if facts.silent:
        yield Finding(
            "ranks",
            "wrong",
            f"{count_text(len(facts.silent), 'rank')} did not answer within {facts.patience:g} s "
            f"({facts.kinds(facts.silent)}); what needs them was not measured",
            "do those hosts and their file systems answer, and do messages pass (firewall)?",
        )


def _cores(facts: Facts) -> Iterator[Finding]:
    crowded, most = [], 0
    for host, ranks in facts.hosts().items():
        cores = _union(ranks)
        most = max(most, cores)
        if len(ranks) > cores:
            crowded.append(f"{host} has {len(ranks)} ranks on {count_text(cores, 'core')}")
    if crowded:
        yield Finding(
            "cores",
            "warning",
            f"ranks share cores: {_some(crowded)}",
            f"start at most {count_text(most, 'rank')} per host; if the hosts have more cores, "
            "the job asked for too few, or the launcher bound the ranks to too few: mpiexec "
            "--bind-to none, srun --cpu-bind=none",
        )
        return
    own = [len(f.cores) for f in facts.ranks.values()]
    each = str(min(own)) if min(own) == max(own) else f"{min(own)} to {max(own)}"
    hosts = [f"{host} ({_union(ranks)})" for host, ranks in facts.hosts().items()]
    yield Finding("cores", "ok", f"each rank may use {each}; together: {_some(hosts)}")


def _threads(facts: Facts) -> Iterator[Finding]:
    first = facts.ranks[0]
    omp = "is not set" if first.omp is None else f"= {first.omp}"
    by = " (pmcmc set it)" if facts.limited else ""
    blas = "" if first.blas is None else f", numpy's BLAS takes {count_text(first.blas, 'thread')}"
    text = f"OMP_NUM_THREADS {omp}{by}{blas}"
    crowded, fitting = [], []
    for host, ranks in facts.hosts().items():
        takes = [_takes(f) for f in ranks]
        cores = _union(ranks)
        tight = any(t > len(f.cores) for t, f in zip(takes, ranks, strict=True))
        if max(takes) > 1 and (sum(takes) > cores or tight):
            crowded.append(
                f"{host} has {count_text(len(ranks), 'rank')} of up to {max(takes)} threads on "
                f"{count_text(cores, 'core')}"
            )
            fitting.append(min(cores // len(ranks), min(len(f.cores) for f in ranks)))
    if not crowded:
        yield Finding("threads", "ok", text)
        return
    yield Finding(
        "threads",
        "warning",
        f"{text}: {_some(crowded)}",
        f"export OMP_NUM_THREADS={max(1, min(fitting))}, or give a rank more cores (Slurm: "
        "--cpus-per-task)",
    )


def _takes(one: RankFacts) -> int:
    """Return the threads of a rank: what OpenMP may start, and what BLAS does."""
    omp = (one.omp or "").partition(",")[0]
    return max(int(omp) if omp.isdigit() else 1, one.blas or 1)


def _gpus(facts: Facts) -> Iterator[Finding]:
    """Compare devices with ranks; nothing is said where there are none."""
    crowded, seen = [], []
    for host, ranks in facts.hosts().items():
        alike = len({one.devices for one in ranks}) == 1
        count = len(ranks[0].devices) if alike else sum(len(one.devices) for one in ranks)
        if count:
            seen.append(f"{host} ({count})")
        if 0 < count < len(ranks):
            crowded.append(f"{host} has {len(ranks)} ranks for {count_text(count, 'GPU')}")
    if not crowded:
        if seen:
            text = f"each rank has one of its own: {_some(seen)}"
            yield Finding("gpus", "ok", text)
        return
    cure = "start as many ranks per host as it has GPUs, or let CUDA's MPS share them"
    if facts.env.get("XLA_PYTHON_CLIENT_PREALLOCATE", "true").lower() != "false":
        cure += (
            "; for JAX export XLA_PYTHON_CLIENT_PREALLOCATE=false, or the first rank takes most "
            "of the memory"
        )
    yield Finding("gpus", "warning", f"ranks share GPUs: {_some(crowded)}", cure)


# ---- between ranks


def _messages(facts: Facts) -> Iterator[Finding]:
    here = facts.ranks[0].host
    shared = any(len(ranks) > _union(ranks) for ranks in facts.hosts().values())
    for link in facts.links:
        place = "on this host" if link.host == here else f"on host {link.host}"
        if link.latency is None or link.bandwidth is None:
            continue  # the rank is among the silent
        text = (
            f"to rank {link.rank} {place}: {link.latency * 1e6:.3g} us, "
            f"{link.bandwidth / 1e6:.3g} MB/s"
        )
        slow = link.latency > SLOW_MESSAGE or link.bandwidth < SLOW_BYTES
        if not slow or shared:
            why = " (slow, as ranks share cores)" if slow else ""
            yield Finding("messages", "ok", text + why)
            continue
        yield Finding(
            "messages",
            "warning",
            f"{text}: slow",
            "find out whether MPI uses the fast network of this cluster (its documentation "
            "names the MPI module); until then prefer --mode split, which sends little",
        )


def _clocks(facts: Facts) -> Iterator[Finding]:
    if not facts.clocks:
        return
    host, ahead = max(facts.clocks.items(), key=lambda item: abs(item[1]))
    others = count_text(len(facts.clocks), "other host")
    text = f"those of {others} differ by up to {duration_text(abs(ahead))}"
    if abs(ahead) <= CLOCKS_APART:
        yield Finding("clocks", "ok", text)
    else:
        advice = (
            "ask for time synchronisation: draws do not depend on it, but times in logs mislead"
        )
        yield Finding("clocks", "warning", f"{text} ({host})", advice)


# ---- words


def _union(ranks: Iterable[RankFacts]) -> int:
    return len({core for f in ranks for core in f.cores})


def _some(texts: list[str]) -> str:
    return some_text(texts, _SHOWN, counted=True)
