"""Files that were altered, by chance or on purpose: every command ends with one message of ours.

Each is read by status, summary, export and a resume, in processes with little memory and time.
"""

import collections
import contextlib
import io
import os
import resource
import shutil
import signal
import sys
from pathlib import Path

import h5py
import numpy as np

import pmcmc
from pmcmc.storage.checkpoint import checksum

MODEL = """
import numpy as np
parameters = ["a", "b"]
initial = [0.0, 0.0]
blobs_dtype = float
def log_prob(t):
    return -0.5 * float(t @ t), float(t[0])
"""
VALUES = [
    -1, 0, 1, 7, 10**12, 2**63 - 1, -(2**63), 1.5, float("nan"), float("inf"), "", "running",
    "x" * 70000, "\x1b[31menough: \n", "[" * 100000, '{"nsteps": [[]]}', '{"until_ess": "much"}',
    "null", "\ud800",
    np.zeros(0), np.zeros((3, 3)), np.arange(5, dtype="u1"), b"\xff\xfe", True, np.zeros(3, "c16"),
    np.array(["a", "b"], dtype="S1"),
]  # fmt: skip
SHAPES = [(), (0,), (1,), (10**12, 8, 2), (40, 8, 2), (2**40,), (5, 8), (3, 3, 3, 3)]
TYPES = ["f8", "f4", "i8", "u1", ">f8", "S5", "c16", "?"]
COMMANDS = ("status", "summary", "export", "resume")
SECONDS, MEMORY = 60, 1 << 30  # beyond what the libraries take


def victims(folder):
    """Return small files to begin with: finished, stopped in burn-in, with walkers redrawn."""
    (folder / "model.py").write_text(MODEL)
    problem = pmcmc.Problem.load(str(folder / "model.py"))
    given = {"nwalkers": 8, "nensembles": 2, "seed": 1}
    pmcmc.run(problem, nsteps=80, burnin=10, output=folder / "finished.h5", **given)
    pmcmc.run(problem, nsteps=80, burnin=10, until_ess=1e6, output=folder / "short.h5", **given)
    pmcmc.run(problem, output=folder / "auto.h5", **given)
    return sorted(folder.glob("*.h5"))


def _objects(file):
    found = [file]
    file.visititems(lambda name, item: found.append(item))
    return found


def _pick(rng, values):
    return values[int(rng.integers(len(values)))]


def alter_attribute(file, rng):
    owner = _pick(rng, _objects(file))
    names = list(owner.attrs)
    name = _pick(rng, names) if names else "new"
    if rng.random() < 0.2 and names:
        del owner.attrs[name]
    else:
        owner.attrs[name] = _pick(rng, VALUES)
    return f"attribute {name} of {owner.name}"


def alter_dataset(file, rng):
    items = [item for item in _objects(file) if item.name != "/"]
    item = _pick(rng, items)
    name, parent = item.name, item.parent
    base = name.rpartition("/")[2]
    shape, dtype = getattr(item, "shape", (3,)), getattr(item, "dtype", "f8")
    kind = _pick(rng, ["remove", "shape", "type", "chunked", "external", "soft", "hard", "link",
                       "virtual", "object", "group", "values"])  # fmt: skip
    if kind == "values" and isinstance(item, h5py.Dataset) and item.size:
        with contextlib.suppress(TypeError, ValueError):
            flat = item[...].reshape(-1).view("u1")
            flat[rng.integers(flat.size, size=3)] = rng.integers(256, size=3)
            item[...] = flat.view(item.dtype).reshape(item.shape)
        return f"values of {name}"
    del parent[base]
    if kind == "shape":
        shape = _pick(rng, SHAPES)
        big = int(np.prod(shape, dtype=float)) > 10**7
        parent.create_dataset(base, shape, dtype, chunks=(1,) * len(shape) if big else None)
    elif kind == "type":
        parent.create_dataset(base, shape, _pick(rng, TYPES))
    elif kind == "chunked" and shape and all(shape):
        parent.create_dataset(base, shape, dtype, compression="gzip", fletcher32=True)
    elif kind == "external":
        size = max(8, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        parent.create_dataset(base, shape, dtype, external=[("victim", 0, size)])
    elif kind == "soft":
        parent[base] = h5py.SoftLink(_pick(rng, ["/", name, "/nowhere", "/state"]))
    elif kind == "link":
        parent[base] = h5py.ExternalLink(_pick(rng, ["finished.h5", "nowhere.h5"]), name)
    elif kind == "hard":
        parent[base] = _pick(rng, [i for i in _objects(file) if i.name != name])
    elif kind == "virtual" and shape:
        layout = h5py.VirtualLayout(shape, dtype)
        layout[...] = h5py.VirtualSource("finished.h5", name, shape, dtype)
        parent.create_virtual_dataset(base, layout)
    elif kind == "object":
        parent.create_dataset(base, (2,), h5py.string_dtype())
    elif kind == "group":
        parent.create_group(base)
    return f"{kind} {name}"


def alter_record(file, rng):
    state = file["state"][...]
    field = _pick(rng, ["steps", "accepted", "pos", "status", "coords", "has_gauss", "sequence"])
    value = _pick(rng, [-1, 0, 5, 624, 625, 10**9, 10**12, 2**62])
    for slot in state:
        if field in ("status", "sequence"):
            slot[field] = abs(value)
        elif field in ("pos", "has_gauss"):
            slot["ensembles"]["random"][field] = value
            slot["ensembles"]["row_random"][field] = value
        else:
            slot["ensembles"][field] = value
        slot["crc"] = checksum(slot) if slot["status"] < 100 else slot["crc"]
    file["state"][...] = state
    return f"record {field} = {value}"


def alter_bytes(path, rng):
    data = bytearray(path.read_bytes())
    kind = _pick(rng, ["flip", "many", "cut", "zero", "longer"])
    if kind == "flip":
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    elif kind == "many":
        for at in rng.integers(min(len(data), 8192), size=int(rng.integers(1, 40))):
            data[int(at)] = int(rng.integers(256))
    elif kind == "cut":
        del data[int(rng.integers(len(data))) :]
    elif kind == "zero":
        at, n = int(rng.integers(len(data))), int(rng.integers(1, 5000))
        data[at : at + n] = bytes(len(data[at : at + n]))
    else:
        data += rng.bytes(1000)
    path.write_bytes(data)
    return f"bytes: {kind}"


def alter(path, seed):
    """Alter a file in one way or two; return in which."""
    rng = np.random.default_rng(seed)
    ways = [alter_attribute, alter_dataset, alter_record, alter_bytes]
    done = []
    for way in [_pick(rng, ways) for _ in range(1 + (rng.random() < 0.2))]:
        try:
            if way is alter_bytes:
                done.append(way(path, rng))
                break
            with h5py.File(path, "r+") as file:
                done.append(way(file, rng))
        except (OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError) as exc:
            done.append(
                f"({way.__name__}: {type(exc).__name__})"
            )  # HDF5 does not make such a file
    return ", ".join(done)


def _command(name, path):
    from pmcmc.cli.main import Launch, main
    from pmcmc.mpi.startup import world
    from pmcmc.signals import SignalWatch

    if name == "resume":
        arguments = ["run", "model.py", "--output", path, "--resume", "--no-progress"]
        arguments += ["--nsteps", "84"]
        return main(arguments, Launch(world(), watch=SignalWatch().__enter__()))
    more = {"export": ["--format", "npz", "-o", "x.npz", "--overwrite"]}.get(name, [])
    return main([name, path, *more])


def attempt(name, path):
    """Run a command on a file in a child; return how it ended, and what it printed."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        os.dup2(write, 1)
        os.dup2(write, 2)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), errors="replace")
        sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), errors="replace")
        status = 99
        try:
            status = _command(name, path)
        except pmcmc.PmcmcError as error:
            print(f"pmcmc: error: {error}")
            status = 2
        except BaseException:
            import traceback

            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read(1 << 20)
    _, ended = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(ended), said.decode(errors="replace")


def verdict(status, said):
    """Return what is wrong with how a command ended; "" if nothing."""
    if status < 0:
        return f"died of {signal.Signals(-status).name}"
    if status == 99 or "Traceback (most recent call last)" in said:
        return "traceback"
    return "control characters" if "\x1b" in said else ""


def campaign(folder, files, seed, show=lambda line: None):
    """Try altered files; return a list of (seed, way, command, what is wrong, words)."""
    folder = Path(folder)
    originals = victims(folder)
    shutil.copy(originals[0], folder / "victim")
    precious = (folder / "victim").read_bytes()
    here = os.getcwd()
    os.chdir(folder)
    bad, ends = [], collections.Counter()
    for k in range(seed, seed + files):
        path = folder / "x.h5"
        shutil.copy(originals[k % len(originals)], path)
        way = alter(path, k)
        (folder / "victim").write_bytes(precious)  # two alterations may have written to it
        for name in COMMANDS:
            status, said = attempt(name, "x.h5")
            wrong = verdict(status, said)
            if (folder / "victim").read_bytes() != precious:
                wrong = "wrote into another file"
                (folder / "victim").write_bytes(precious)
            ends[name, wrong or f"status {status}"] += 1
            if wrong:
                bad.append((k, way, name, wrong, said[-600:]))
                show(f"seed {k}, {path.name} with {way}: {name}: {wrong}\n{said[-600:]}")
        path.unlink(missing_ok=True)
    os.chdir(here)
    return bad, ends
