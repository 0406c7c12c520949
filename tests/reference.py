"""The plain emcee runs that pmcmc promises to equal, spelled out from the promise alone."""

from __future__ import annotations

import emcee
import h5py
import numpy as np

from pmcmc.sampler.moves import SnookerMove


def default_moves():
    """Return the mixture that is the default."""
    return [
        (emcee.moves.StretchMove(), 0.2),
        (emcee.moves.DEMove(), 0.4),
        (SnookerMove(), 0.4),
    ]


def streams(seed, e):
    """Return the start's generator and the sampling state of ensemble e."""
    a, b = np.random.SeedSequence(seed, spawn_key=(e,)).spawn(2)
    rng = np.random.Generator(np.random.PCG64(a))
    return rng, np.random.RandomState(np.random.MT19937(b)).get_state()


def plain_emcee(log_prob, p0, state, steps, burnin=100, thin_by=1, **options):
    """Run one ensemble and return its sampler."""
    nwalkers, ndim = p0.shape
    sampler = emcee.EnsembleSampler(nwalkers, ndim, log_prob, **options)
    sampler.random_state = state
    st = sampler.run_mcmc(p0, burnin, store=False) if burnin else p0
    if not burnin:
        st = emcee.State(p0, random_state=state)
    sampler.run_mcmc(st, steps, thin_by=thin_by)
    return sampler


def shares(nsteps, nensembles):
    """Share the steps exactly, larger shares first."""
    return [len(part) for part in np.array_split(np.arange(nsteps), nensembles)]


def assert_same_as_plain(path, samplers):
    """Check every ensemble of a file against plain samplers: chain, log_prob, blobs, accepted."""
    with h5py.File(path) as file:
        assert sorted(file["ensembles"]) == [f"{e:04d}" for e in range(len(samplers))]
        for e, sampler in enumerate(samplers):
            group = file[f"ensembles/{e:04d}"]
            assert group.attrs["iteration"] == sampler.iteration == len(group["chain"])
            np.testing.assert_array_equal(group["chain"][...], sampler.get_chain())
            np.testing.assert_array_equal(group["log_prob"][...], sampler.get_log_prob())
            np.testing.assert_array_equal(group["accepted"][...], sampler.backend.accepted)
            blobs = sampler.get_blobs()
            assert ("blobs" in group) == (blobs is not None)
            if blobs is not None:
                np.testing.assert_array_equal(group["blobs"][...], blobs)


def datasets(path):
    """Return every dataset of a file by name, and the attributes of its ensembles."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[...]
        elif "iteration" in item.attrs:
            found[name] = {k: np.array(v) for k, v in item.attrs.items()}

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def assert_same_draws(one, other):
    """Check that two files hold the same draws and burn-in, bit for bit."""
    a, b = datasets(one), datasets(other)
    names = [n for n in b if n.rpartition("/")[2] in ("chain", "log_prob", "accepted", "blobs")]
    assert names
    for name in names:
        np.testing.assert_equal(a[name], b[name], err_msg=name)


def assert_same_files(one, other):
    """Check that two files hold the same draws, burn-in and random states, bit for bit."""
    a, b = datasets(one), datasets(other)
    assert a.keys() == b.keys()
    for name in a:
        if name == "state":  # how many commits it took may differ
            np.testing.assert_equal(
                a[name]["ensembles"][np.argmax(a[name]["sequence"])].tobytes(),
                b[name]["ensembles"][np.argmax(b[name]["sequence"])].tobytes(),
            )
        else:
            np.testing.assert_equal(a[name], b[name], err_msg=name)
