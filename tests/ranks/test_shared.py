"""One copy of large data a node, on real ranks."""

import json

import numpy as np
import pytest

import pmcmc

MODEL = """
import json, os, sys
import numpy as np
import pmcmc
parameters, initial, nwalkers = ["a"], [0.1], 8
calls = []
def load():
    calls.append(1)
    LOADER
data = SHARE
def pss():
    for line in open("/proc/self/smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
def log_prob(theta):
    total = sum(float(x.sum()) for x in PARTS)
    about = {"calls": len(calls), "total": total, "pss": pss(),
             "writeable": [bool(x.flags.writeable) for x in PARTS],
             "kind": [type(x).__name__ for x in PARTS]}
    name = f"{pmcmc.rank_info().rank}.json"
    json.dump(about, open(name, "w"))  # the last time, when all have read the data
    return -0.5 * theta[0] ** 2
"""
ARRAY = "return np.arange(10_000.0).reshape(100, 100)"
ARGS = ["-m", "pmcmc", "m.py", "--nsteps", 8, "--burnin", 0, "--seed", 1, "--no-progress"]


def write(folder, loader=ARRAY, share="pmcmc.shared(load)", parts="[data]"):
    text = MODEL.replace("LOADER", loader).replace("SHARE", share).replace("PARTS", parts)
    (folder / "m.py").write_text(text)


def found(folder, ranks):
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(ranks)]


@pytest.mark.parametrize("ranks", [0, 3])
def test_one_rank_of_a_node_loads_and_all_read(launch, tmp_path, ranks):
    write(tmp_path)
    done = launch(ranks, *ARGS, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    told = found(tmp_path, ranks or 1)
    assert {one["total"] for one in told} == {float(np.arange(10_000.0).sum())}
    assert sum(one["calls"] for one in told) == 1
    assert not any(flag for one in told for flag in one["writeable"])


def test_several_arrays_and_a_map_of_a_file(launch, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((50, 20)))
    loader = (
        "return {'x': np.load('x.npy', mmap_mode='r'), 'n': np.arange(3, dtype='i4'), "
        "'e': np.empty((0, 2))}"
    )
    write(tmp_path, loader, parts="list(data.values())")
    done = launch(2, *ARGS, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    for one in found(tmp_path, 2):
        assert one["total"] == 1003.0
        assert one["kind"] == ["memmap", "ndarray", "ndarray"]


@pytest.mark.parametrize("skips", [0, 1, 2])
def test_a_rank_that_does_not_call_it_ends_all_in_an_error(launch, tmp_path, skips):
    write(tmp_path, share=f"load() if pmcmc.rank_info().rank == {skips} else pmcmc.shared(load)")
    done = launch(3, *ARGS, cwd=tmp_path, timeout=60)
    assert done.returncode == 1
    assert "pmcmc.shared is collective" in done.stderr


def test_a_second_call_that_one_rank_does_not_make(launch, tmp_path):
    more = "(pmcmc.shared(load), pmcmc.shared(load) if pmcmc.rank_info().rank else load())[0]"
    write(tmp_path, share=more)
    done = launch(2, *ARGS, cwd=tmp_path, timeout=60)
    assert done.returncode == 1
    assert "pmcmc.shared is collective" in done.stderr


@pytest.mark.parametrize(
    ("loader", "said"),
    [
        ("raise OSError('no such data')", "the loader failed on rank 0 of 2"),
        ("return np.array([{}])", "an array of object cannot be shared"),
    ],
)
def test_a_loader_that_fails(launch, tmp_path, loader, said):
    write(tmp_path, loader)
    done = launch(2, *ARGS, cwd=tmp_path, timeout=60)
    assert done.returncode == 1
    assert said in done.stderr


def test_in_a_script(launch, tmp_path):
    (tmp_path / "script.py").write_text(
        "import numpy as np, pmcmc\n"
        "data = pmcmc.shared(lambda: np.arange(1000.0))\n"
        "problem = pmcmc.Problem(lambda t: -t[0]**2 * data[1], ['a'], initial=[0.1])\n"
        "result = pmcmc.run(problem, nsteps=8, burnin=0, nwalkers=4, output='x.h5')\n"
        "assert not data.flags.writeable\n"
    )
    for ranks in (0, 2):
        done = launch(ranks, "script.py", cwd=tmp_path, timeout=60)
        assert done.returncode == 0, done.stderr
        (tmp_path / "x.h5").unlink()


def test_where_nothing_is_sampled_it_loads(tmp_path):
    data = pmcmc.shared(lambda: [np.arange(3), np.ones(2)])
    assert [x.tolist() for x in data] == [[0, 1, 2], [1, 1]]
    with pytest.raises(ValueError, match="read-only"):
        data[0][0] = 5


@pytest.mark.parametrize("size", [50_000_000, pytest.param(200_000_000, marks=pytest.mark.slow)])
def test_four_ranks_hold_one_copy(launch, tmp_path, size):
    loader = f"return np.random.default_rng(1).random({size // 8})"
    sums = {}
    for share in ("pmcmc.shared(load)", "np.zeros(1)"):
        write(tmp_path, loader, share=share)
        for rank in range(4):
            (tmp_path / f"{rank}.json").unlink(missing_ok=True)
        done = launch(4, *ARGS, "--output", f"{len(sums)}.h5", cwd=tmp_path, timeout=60)
        assert done.returncode == 0, done.stderr
        sums[share] = sum(one["pss"] for one in found(tmp_path, 4))
    with_data, without = sums.values()
    print(f"{size / 1e6:g} MB: {(with_data - without) / size:.3f} copies")
    assert (with_data - without) / size < 1.3
