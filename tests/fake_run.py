"""Made-up runs, for tests of the file: draws to be committed piece by piece."""

import contextlib

import numpy as np
from scipy.signal import lfilter

from pmcmc.sampler.state import Block, EnsembleState, Rows
from pmcmc.storage.header import Header
from pmcmc.storage.writer import RunWriter

W, D, BURNIN = 4, 2, 3
STEPS = (5, 4)
RECORD = np.dtype([("r", "f8"), ("n", "i4"), ("tag", "S4"), ("v", "f8", (3,))])
BLOBS = {
    "none": (None, ()),
    "number": (np.dtype("f8"), ()),
    "matrix": (np.dtype("f8"), (2, 3)),
    "record": (RECORD, ()),
    "records": (RECORD, (2,)),
    "bytes": (np.dtype("S5"), ()),
    "boolean": (np.dtype("?"), (2,)),
    "complex": (np.dtype("c16"), ()),
}


def header(blobs="none", **more):
    dtype, shape = BLOBS[blobs]
    fields = {
        "problem": "demo",
        "names": ("a", "β"),
        "fingerprint": "f00",
        "settings": {"parameters": ["a", "β"]},
        "seed": 2**63 - 1,
        "nwalkers": W,
        "burnin": BURNIN,
        "thin_by": 1,
        "steps": STEPS,
        "config": {"nsteps": 9, "output": None},
        "blobs_dtype": dtype,
        "blobs_shape": shape,
    }
    return Header(**fields | more)


class Draws:
    """All rows of both phases of a made-up run, to be committed piece by piece."""

    def __init__(self, head, seed=1):
        rng = np.random.default_rng(seed)
        self.head, self.ensembles = head, []
        for steps in head.steps:
            n = head.burnin + steps
            blobs = None
            if head.blobs_dtype is not None:
                full = np.dtype((head.blobs_dtype, head.blobs_shape))
                raw = rng.integers(1, 100, (n, W, *head.blobs_shape))
                blobs = np.zeros((n, W), full)
                if head.blobs_dtype.names:
                    for field in head.blobs_dtype.names:
                        blobs[field] = np.broadcast_to(
                            raw.reshape(raw.shape + (1,) * (blobs[field].ndim - raw.ndim)),
                            blobs[field].shape,
                        )
                else:
                    blobs[...] = raw
            self.ensembles.append(
                {
                    "chain": rng.normal(size=(n, W, D)),
                    "log_prob": rng.normal(size=(n, W)),
                    "blobs": blobs,
                    "accepted": rng.integers(0, 2, (n, W)).astype(float),
                }
            )

    def random_state(self, e, step):
        return np.random.RandomState(1000 * e + step).get_state()

    def rows(self, e, start, stop, first):
        """Return the rows of steps start to stop of the phase that begins with step ``first``."""
        one = self.ensembles[e]
        state = self.random_state(e, stop) if stop > first else None
        blobs = None if one["blobs"] is None else one["blobs"][start:stop]
        return Rows(one["chain"][start:stop], one["log_prob"][start:stop], blobs, state)

    def block(self, e, start, stop):
        """Return what ensemble e adds from step ``start`` to ``stop``, burn-in included."""
        b, one = self.head.burnin, self.ensembles[e]
        state = EnsembleState(
            steps=stop,
            burnin_accepted=one["accepted"][: min(stop, b)].sum(axis=0),
            accepted=one["accepted"][b:stop].sum(axis=0),
            coords=one["chain"][stop - 1],
            log_prob=one["log_prob"][stop - 1],
            blobs=None if one["blobs"] is None else one["blobs"][stop - 1],
            random_state=self.random_state(e, stop),
        )
        burnin = self.rows(e, min(start, b), min(stop, b), 0)
        kept = self.rows(e, max(start, b), max(stop, b), b)
        return Block(e, burnin, kept, state)

    def phase(self, name, e, phase):
        b = self.head.burnin
        return self.ensembles[e][name][slice(None, b) if phase == "burnin" else slice(b, None)]


# steps after each commit, burn-in included: in burn-in, into production, with one ensemble still
COMMITS = ((2, 0), (3, 3), (5, 4), (5, 6), (8, 7))


def write(path, blobs="none", commits=COMMITS, finish=True):
    """Create a file and commit; return the store and the draws."""
    draws = Draws(header(blobs))
    store = RunWriter(path, draws.head)
    store.create()
    before = (0, 0)
    for after in commits:
        steps = zip(before, after, strict=True)
        blocks = [draws.block(e, a, b) for e, (a, b) in enumerate(steps) if b > a]
        last = finish and after is commits[-1]
        store.commit(blocks, "finished" if last else "running")
        before = after
    return store, draws


def assert_holds(reader, draws, after):
    """Check that a reader gives exactly the draws up to ``after`` steps of each ensemble."""
    burnin = [min(n, BURNIN) for n in after]
    kept = [n - b for n, b in zip(after, burnin, strict=True)]
    assert (reader.burnin_rows.tolist(), reader.rows.tolist()) == (burnin, kept)
    for e in range(len(after)):
        for phase, n in (("burnin", burnin[e]), ("ensembles", kept[e])):
            names = ["chain", "log_prob"] + ["blobs"] * (draws.head.blobs_dtype is not None)
            for name in names:
                values = reader.values(name, e, slice(0, n), phase)
                expected = draws.phase(name, e, phase)[:n]
                assert values.dtype == expected.dtype
                np.testing.assert_array_equal(values, expected)
            accepted = reader.burnin_accepted if phase == "burnin" else reader.accepted
            expected = draws.phase("accepted", e, phase)[:n].sum(axis=0)
            np.testing.assert_array_equal(accepted[e], expected)


class Readable:
    """Stands for a reader of draws that were made up: a chain and log_prob for each ensemble."""

    def __init__(self, chain, log_prob, thin_by=1, accepted=None, **fields):
        self.chain, self.log_prob = chain, log_prob
        w, ndim = chain[0].shape[1:]
        self.rows = self.burnin_rows = np.array([len(c) for c in chain])
        self.starts, self.derived_names = {}, ()
        self.rejected, self.rejected_share = np.zeros((len(chain), 2), dtype=int), 0.0
        moved = np.ones((len(chain), w)) if accepted is None else accepted
        self.accepted = self.burnin_accepted = moved
        names = tuple(f"p{i}" for i in range(ndim))
        fields = {
            "names": names,
            "nwalkers": w,
            "thin_by": thin_by,
            "steps": tuple(self.rows),
        } | fields
        self.header = header(**fields)

    def open(self):
        """Give itself: there is no file."""
        return contextlib.nullcontext(self)

    def values(self, name, e, rows, phase="ensembles"):
        """Return rows of one ensemble."""
        return getattr(self, name)[e][rows]


def ar1(rng, steps, walkers, rho, mean=0.0):
    """Return walkers of an autoregression with variance 1, (step, walker)."""
    noise = rng.normal(size=(steps, walkers))
    noise[1:] *= np.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], noise, axis=0) + mean
