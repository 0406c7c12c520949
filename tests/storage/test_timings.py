"""How the ranks spent their time: what the file keeps of many ranks and hosts, and the report."""

import os
import re

import h5py
import numpy as np
import pytest

import pmcmc
from fake_run import COMMITS, Draws, assert_holds, header, write
from pmcmc.mpi.timing import RankTimes
from pmcmc.results.report import report
from pmcmc.storage.reader import RunReader
from pmcmc.storage.writer import RunWriter

MANY = 700
# as pmcmc wrote them at first, by rank
OLD = np.dtype(
    [
        ("host", "S32"),
        ("wall", "f8"),
        ("log_prob", "f8"),
        ("waiting", "f8"),
        ("writing", "f8"),
        ("evaluations", "i8"),
    ]
)


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    monkeypatch.setattr("pmcmc.results.report.pictures", lambda result, *, summary: [])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.h5"


def job(ranks, cluster="n"):
    """Return what the ranks of a job spent, 64 of them on a host; rank r evaluates r + 1 times."""
    return [
        RankTimes(f"{cluster}{r // 64:03}", 10.0, 7.0 + r / 1000, 2.0, 0.5, r + 1)
        for r in range(ranks)
    ]


def assert_sums(rows, *jobs):
    """Check that the rows hold the times of all ranks of some jobs."""
    ranks = [one for ranks in jobs for one in ranks]
    for name in ("wall", "log_prob", "waiting", "writing", "evaluations"):
        assert rows[name].sum() == pytest.approx(sum(getattr(one, name) for one in ranks))


def make_old(path, ranks):
    """Put the times of some ranks into a file in the way of before."""
    table = np.zeros(512, OLD)
    for row, one in zip(table, ranks, strict=False):
        row["host"] = one.host.encode()
        for name in OLD.names[1:]:
            row[name] = getattr(one, name)
    with h5py.File(path, "r+") as file:
        del file.attrs["timings"]
        file.attrs["timings"] = table


def places(rows):
    return [(int(row["rank"]), row["host"].decode()) for row in rows]


# ---- what the file keeps


@pytest.mark.parametrize("memory", [True, False])
def test_a_job_that_goes_on_adds_to_the_ranks_that_stayed_where_they_were(path, memory):
    store, _ = write(None if memory else path)
    store.add_timings(job(3))
    store.add_timings([*job(2), *job(3, "m")[2:]])  # rank 2 moved
    store.add_timings(job(4))
    rows = store.read().timings()
    assert places(rows) == [(0, "n000"), (1, "n000"), (2, "n000"), (2, "m000"), (3, "n000")]
    assert rows["wall"].tolist() == [30.0, 30.0, 20.0, 10.0, 10.0]
    assert rows["evaluations"].tolist() == [3, 6, 6, 3, 4]
    assert rows["ranks"].tolist() == [1] * 5


def test_long_names_of_hosts_are_told_apart(path):
    store, _ = write(path)
    names = [f"a-very-long-name-of-a-host-in-some-cloud-{n}.example.org" for n in (1, 2)]
    for name in names:
        store.add_timings([RankTimes(name, 1.0, 0.5, 0.0, 0.0, 1)])
    assert places(RunReader(path).timings()) == [(0, name) for name in names]


def test_of_more_ranks_than_there_is_room_for_none_is_lost(path):
    store, _ = write(path)
    store.add_timings(job(MANY))
    rows = RunReader(path).timings()
    assert_sums(rows, job(MANY))
    assert rows["ranks"].sum() == MANY
    assert places(rows[:512]) == [(r, f"n{r // 64:03}") for r in range(512)]
    [others] = rows[512:]
    assert (others["rank"], others["ranks"], others["host"]) == (-1, MANY - 512, b"")
    # on other hosts no rank finds a row; on those of before, 512 find theirs
    store.add_timings(job(MANY, "m"))
    rows = RunReader(path).timings()
    assert_sums(rows, job(MANY), job(MANY, "m"))
    assert places(rows[:512]) == [(r, f"n{r // 64:03}") for r in range(512)]
    assert (rows["wall"][:512] == 10.0).all()
    assert rows["ranks"].sum() == 2 * MANY
    store.add_timings(job(512))
    rows = RunReader(path).timings()
    assert_sums(rows, job(MANY), job(MANY, "m"), job(512))
    assert (rows["wall"][:512] == 20.0).all()
    assert rows["ranks"].sum() == 2 * MANY


@pytest.mark.parametrize("ranks", [511, 512, 513])
def test_about_as_many_ranks_as_there_is_room_for(path, ranks):
    store, _ = write(path)
    store.add_timings(job(ranks))
    rows = RunReader(path).timings()
    assert rows["rank"].tolist() == [*range(min(ranks, 512)), -1][:ranks]
    assert_sums(rows, job(ranks))


@pytest.mark.parametrize("ranks", [3, MANY])
def test_they_stay_where_a_file_is_written_anew(path, ranks):
    store, draws = write(path, finish=False)
    store.add_timings(job(ranks))
    before = RunReader(path).timings()
    longer = RunWriter(path, header(steps=(8, 7)))
    longer.reopen(RunReader(path))
    np.testing.assert_array_equal(RunReader(path).timings(), before)
    longer.add_timings(job(ranks))
    assert_sums(RunReader(path).timings(), job(ranks), job(ranks))
    assert_holds(RunReader(path), draws, COMMITS[-1])


# ---- a file of before


def test_a_file_of_before_is_read_alike(path):
    write(path)
    make_old(path, job(3))
    rows = RunReader(path).timings()
    assert places(rows) == [(r, "n000") for r in range(3)]
    assert rows["ranks"].tolist() == [1, 1, 1]
    assert_sums(rows, job(3))


@pytest.mark.parametrize("ranks", [3, 512])
@pytest.mark.parametrize("status", ["running", "stopped"])
@pytest.mark.parametrize("steps", [None, (8, 7)])
def test_a_run_goes_on_in_a_file_of_before(path, ranks, status, steps):
    store, _ = write(path, commits=COMMITS[:3], finish=False)
    store.commit([], status)
    make_old(path, job(ranks))
    draws = Draws(header(**({"steps": steps} if steps else {})))
    store = RunWriter(path, draws.head)
    store.reopen(RunReader(path))
    rows = RunReader(path).timings()
    assert len(rows) == ranks
    assert_sums(rows, job(ranks))
    store.add_timings(job(MANY, "m"))
    assert_sums(RunReader(path).timings(), job(ranks), job(MANY, "m"))
    assert RunReader(path).timings()["ranks"].sum() == ranks + MANY
    assert RunReader(path).steps.tolist() == list(COMMITS[2])


def sample(path, **options):
    problem = pmcmc.Problem(
        lambda t: -0.5 * float(t @ t), ["a"], initial=lambda n, rng: rng.normal(size=(n, 1))
    )
    fixed = {"nwalkers": 8, "nensembles": 2, "burnin": 5, "seed": 2}
    return pmcmc.run(problem, output=path, **(options if "resume" in options else fixed | options))


def test_a_finished_file_of_before_is_left_as_it_is_until_there_is_more_to_do(path):
    sample(path, nsteps=20)
    make_old(path, [RankTimes("elsewhere", 1.0, 0.5, 0.0, 0.0, 100)])
    before = path.read_bytes()
    assert "elsewhere" in report(pmcmc.load(path))
    assert sample(path, resume=True).status == "finished"
    assert path.read_bytes() == before
    assert sample(path, resume=True, nsteps=40).status == "finished"
    rows = RunReader(path).timings()
    assert places(rows)[0] == (0, "elsewhere")
    assert len(rows) == 2
    assert rows["evaluations"].tolist() == [100, 8 * 20]


# ---- what the report says


def shown(page):
    """Return the text of the part on time, and the first cell of each line."""
    part = page.partition("<h2>Time</h2>")[2].partition("<h2>")[0]
    return re.sub(r"<[^>]*>", "", part), re.findall("<tr><td>(.*?)</td>", part)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    path = tmp_path_factory.mktemp("sampled") / "x.h5"
    sample(path, nsteps=40)
    return path.read_bytes()


@pytest.fixture
def told(path, sampled):
    """Give a function that returns `shown` of a report on some jobs."""

    def tell(*jobs):
        path.write_bytes(sampled)
        with h5py.File(path, "r+") as file:
            file.attrs.modify("timings", np.zeros_like(file.attrs["timings"]))
        reader = RunReader(path)
        store = RunWriter(path, reader.header)
        store.reopen(reader)
        for ranks in jobs:
            store.add_timings(ranks)
        return shown(report(pmcmc.load(path)))

    return tell


def test_the_report_says_which_ranks_its_lines_are(told):
    text, lines = told(job(3))
    assert lines == ["0 (n000)", "1 (n000)", "2 (n000)"]
    assert "70.0% log_prob, 20.0% waiting, 5.0% writing" in text
    for word in ("ranks have", "host", "beyond"):
        assert word not in text
    text, lines = told(job(100))
    assert lines == [*(f"{r} (n000)" for r in range(64)), "the other 36 ranks"]
    assert "The first 64 of 100 ranks have a line each, the other 36 ranks" in text
    assert f"{100 * 101 // 2} evaluations" in text


def test_the_report_on_more_ranks_than_the_file_has_room_for(told):
    text, lines = told(job(MANY))
    assert lines[-1] == "the other 636 ranks"
    assert f"The first 64 of {MANY} ranks have a line each" in text
    assert f"{MANY * (MANY + 1) // 2} evaluations" in text
    assert "beyond the first 512 counts once in each job" in text


def test_the_report_shows_a_rank_that_moved_on_both_hosts(told):
    text, lines = told(job(2), [*job(2, "m&")[:1], *job(2)[1:]])
    assert lines == ["0 (n000)", "0 (m&amp;000)", "1 (n000)"]
    assert "A rank that moved to another host between jobs counts on each" in text
