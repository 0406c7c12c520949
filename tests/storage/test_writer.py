"""The file: its layout, commits and readers, and what damage does."""

import json
import os
import subprocess
import sys

import emcee
import h5py
import numpy as np
import pytest

import pmcmc
from fake_run import (
    BLOBS,
    BURNIN,
    COMMITS,
    RECORD,
    STEPS,
    D,
    Draws,
    W,
    assert_holds,
    header,
    write,
)
from pmcmc.errors import StoreError, UsageError
from pmcmc.mpi.timing import RankTimes
from pmcmc.options import OPTIONS
from pmcmc.storage.file import GuardedFile, check_output, part_path
from pmcmc.storage.output_file import OutputFile
from pmcmc.storage.reader import RunReader
from pmcmc.storage.writer import RunWriter


@pytest.fixture(autouse=True)
def synced(monkeypatch):
    """Spare the disk; return what was synced."""
    calls = []
    monkeypatch.setattr(os, "fsync", calls.append)
    return calls


@pytest.mark.parametrize("blobs", BLOBS)
@pytest.mark.parametrize("memory", [False, True])
def test_what_is_committed_is_read(blobs, memory, tmp_path):
    path = None if memory else tmp_path / "x.h5"
    for n in range(len(COMMITS) + 1):
        if path is not None:
            path.unlink(missing_ok=True)
        store, draws = write(path, blobs, COMMITS[:n], finish=n == len(COMMITS))
        reader = store.read() if memory else RunReader(path)
        assert_holds(reader, draws, COMMITS[n - 1] if n else (0, 0))
        assert reader.status == ("finished" if n == len(COMMITS) else "running")
        assert reader.sequence == n
        assert reader.header == draws.head


def test_a_reader_keeps_to_what_was_there_when_it_was_made(tmp_path):
    store, draws = write(tmp_path / "x.h5", "number", COMMITS[:3], finish=False)
    reader = RunReader(tmp_path / "x.h5")
    store.commit([draws.block(1, 4, 6)])
    assert_holds(reader, draws, COMMITS[2])
    assert_holds(RunReader(tmp_path / "x.h5"), draws, (5, 6))


def test_layout_is_that_of_the_contract(tmp_path):
    write(tmp_path / "x.h5", "record")
    with h5py.File(tmp_path / "x.h5") as file:
        expected = {
            "format": "pmcmc",
            "format_version": 1,
            "pmcmc_version": pmcmc.__version__,
            "status": "finished",
            "problem": "demo",
            "fingerprint": "f00",
            "seed": 2**63 - 1,
            "nensembles": 2,
            "nwalkers": W,
            "ndim": D,
            "nsteps": 9,
            "burnin": BURNIN,
            "thin_by": 1,
        }
        assert {name: file.attrs[name] for name in expected} == expected
        assert json.loads(file.attrs["config"]) == {"nsteps": 9, "output": None}
        assert [name.decode() for name in file["parameter_names"]] == ["a", "β"]
        for phase, rows in (("ensembles", STEPS), ("burnin", (BURNIN, BURNIN))):
            assert list(file[phase]) == ["0000", "0001"]
            for e, n in enumerate(rows):
                group = file[f"{phase}/{e:04d}"]
                assert sorted(group) == ["accepted", "blobs", "chain", "log_prob"]
                assert (group["chain"].shape, group["chain"].dtype) == ((n, W, D), "f8")
                assert (group["log_prob"].shape, group["log_prob"].dtype) == ((n, W), "f8")
                assert (group["blobs"].shape, group["blobs"].dtype) == ((n, W), RECORD)
                assert group["accepted"].shape == (W,)
                assert (group.attrs["iteration"], group.attrs["nwalkers"]) == (n, W)
                assert (group.attrs["ndim"], group.attrs["has_blobs"]) == (D, True)
                assert group.attrs["version"] == emcee.__version__
                assert group.attrs["random_state_0"] == "MT19937"
                assert {f"random_state_{k}" for k in range(5)} <= set(group.attrs)


def test_a_run_records_all_its_options(tmp_path):
    problem = pmcmc.Problem(lambda t: -0.5 * float(t @ t), ["a"], initial=[0.0], name="mine")
    moves = [(emcee.moves.DEMove(), 1.0)]
    path = tmp_path / "x.h5"
    pmcmc.run(problem, nsteps=3, burnin=1, nwalkers=6, moves=moves, output=path)
    with h5py.File(path) as file:
        config = json.loads(file.attrs["config"])
        assert set(OPTIONS) <= set(config)
        assert config["seed"] == file.attrs["seed"]
        assert (config["nsteps"], config["burnin"], config["nwalkers"]) == (3, 1, 6)
        assert (config["nensembles"], config["output"]) == (3, str(path))
        assert "DEMove" in config["moves"]
        assert file.attrs["problem"] == "mine"
        assert file.attrs["fingerprint"] == problem.fingerprint()


@pytest.mark.parametrize("blobs", ["none", "number", "matrix", "record"])
@pytest.mark.parametrize("commits", range(3, len(COMMITS) + 1))
def test_emcee_reads_the_file_finished_or_not(blobs, commits, tmp_path):
    path, after = tmp_path / "x.h5", COMMITS[commits - 1]
    _, draws = write(path, blobs, COMMITS[:commits], finish=commits == len(COMMITS))
    for phase in ("burnin", "ensembles"):
        for e in range(2):
            backend = emcee.backends.HDFBackend(path, name=f"{phase}/{e:04d}", read_only=True)
            n = min(after[e], BURNIN) if phase == "burnin" else after[e] - BURNIN
            assert (backend.iteration, backend.shape) == (n, (W, D))
            np.testing.assert_array_equal(backend.get_chain(), draws.phase("chain", e, phase)[:n])
            log_prob = draws.phase("log_prob", e, phase)[:n]
            np.testing.assert_array_equal(backend.get_log_prob(), log_prob)
            np.testing.assert_array_equal(
                backend.accepted, draws.phase("accepted", e, phase)[:n].sum(axis=0)
            )
            state = draws.random_state(e, n if phase == "burnin" else n + BURNIN)
            np.testing.assert_equal(backend.random_state, state)
            assert backend.has_blobs() == (blobs != "none")
            if blobs != "none":
                expected = draws.phase("blobs", e, phase)[:n]
                np.testing.assert_array_equal(backend.get_blobs(), expected)


def test_of_many_ensembles_emcee_sees_some_later_and_all_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("pmcmc.storage.emcee_view._AT_ONCE", 1)
    path = tmp_path / "x.h5"
    store, draws = write(path, "number", COMMITS[:2], finish=False)
    shown, done = [], list(COMMITS[1])

    def iterations():
        reader = RunReader(path)
        with h5py.File(path) as file:
            found = [int(file[f"ensembles/{e:04d}"].attrs["iteration"]) for e in range(2)]
        assert all(0 <= n <= rows for n, rows in zip(found, reader.rows, strict=True))
        for e in range(2):
            backend = emcee.backends.HDFBackend(path, name=f"ensembles/{e:04d}", read_only=True)
            if found[e]:
                expected = reader.values("chain", e, slice(0, found[e]))
                assert np.array_equal(backend.get_chain(), expected)
        return found

    for more in (1, 1, 1):
        blocks = [draws.block(e, done[e], done[e] + more) for e in range(2)]
        store.commit(blocks)
        done = [n + more for n in done]
        shown.append(iterations())
    assert all(len({s[e] for s in shown}) > 1 for e in range(2)), "each has its turn"
    store.commit([], "stopped")
    assert iterations() == RunReader(path).rows.tolist()


def test_a_run_without_burnin_reads_alike(tmp_path):
    draws = Draws(header(burnin=0))
    store = RunWriter(tmp_path / "x.h5", draws.head)
    store.create()
    store.commit([draws.block(0, 0, 5), draws.block(1, 0, 4)], "finished")
    reader = RunReader(tmp_path / "x.h5")
    assert reader.burnin_rows.tolist() == [0, 0]
    np.testing.assert_array_equal(
        reader.values("chain", 1, slice(None)), draws.ensembles[1]["chain"]
    )
    assert reader.values("chain", 1, slice(None), "burnin").shape == (0, W, D)


def garble(path, age, how):
    """Spoil the newest record (age 0) or the one before (age 1)."""
    with h5py.File(path, "r+") as file:
        state = file["state"]
        slot = np.argsort(state["sequence"])[-1 - age]
        offset, size = (
            state.id.get_offset() + int(slot) * state.dtype.itemsize,
            state.dtype.itemsize,
        )
        record = state[slot]
        for field in ("coords", "log_prob", "accepted", "steps"):
            if how == field:
                record["ensembles"][field] += 1
        if how == "random":
            record["ensembles"]["random"]["key"][0, 17] ^= 1
        if how in ("sequence", "status", "crc"):
            record[how] += 2
        state[slot] = record
    if how == "torn":
        with path.open("r+b") as raw:
            raw.seek(offset + size // 2)
            raw.write(bytes(size - size // 2))


HOW = ["coords", "log_prob", "accepted", "steps", "random", "sequence", "status", "crc", "torn"]


@pytest.mark.parametrize("how", HOW)
def test_a_spoilt_newest_record_leaves_the_one_before(how, tmp_path):
    _, draws = write(tmp_path / "x.h5", "number", COMMITS[:4], finish=False)
    garble(tmp_path / "x.h5", 0, how)
    reader = RunReader(tmp_path / "x.h5")
    assert reader.sequence == 3
    assert_holds(reader, draws, COMMITS[2])


@pytest.mark.parametrize("how", HOW)
def test_a_spoilt_older_record_does_not_matter(how, tmp_path):
    _, draws = write(tmp_path / "x.h5", "number", COMMITS[:4], finish=False)
    garble(tmp_path / "x.h5", 1, how)
    assert_holds(RunReader(tmp_path / "x.h5"), draws, COMMITS[3])


def test_two_spoilt_records_are_said(tmp_path):
    write(tmp_path / "x.h5")
    garble(tmp_path / "x.h5", 0, "coords")
    garble(tmp_path / "x.h5", 1, "torn")
    with pytest.raises(StoreError, match=r"x\.h5 is damaged: none of its records is whole"):
        RunReader(tmp_path / "x.h5")


def test_commits_use_both_slots_in_turn(tmp_path):
    write(tmp_path / "x.h5", commits=COMMITS[:4])
    with h5py.File(tmp_path / "x.h5") as file:
        assert sorted(file["state"]["sequence"]) == [3, 4]


def test_commits_do_not_change_the_size_or_the_place_of_anything(tmp_path):
    def places():
        found = {"size": (tmp_path / "x.h5").stat().st_size}
        with h5py.File(tmp_path / "x.h5") as file:
            file.visititems(
                lambda name, item: (
                    found.update({name: item.id.get_offset()})
                    if isinstance(item, h5py.Dataset)
                    else None
                )
            )
        return found

    store, draws = write(tmp_path / "x.h5", "record", (), finish=False)
    created = places()
    assert len(created) == 2 + 2 * 2 * 4 + 1
    store.commit([draws.block(0, 0, 5), draws.block(1, 0, 4)])
    assert places() == created
    store.commit([draws.block(0, 5, 8), draws.block(1, 4, 7)], "finished")
    assert places() | {"size": 0} == created | {"size": 0}  # the word for the status is new


def test_creation_and_every_commit_reach_the_disk(tmp_path, synced):
    store, draws = write(tmp_path / "x.h5", commits=(), finish=False)
    assert len(synced) == 2  # the file, and its name in the folder
    for step in range(3):
        store.commit([draws.block(0, step, step + 1)])
        assert len(synced) == 4 + 2 * step  # the rows, and then what counts them


def test_nothing_in_the_file_needs_pickle(tmp_path):
    write(tmp_path / "x.h5", "record")
    seen = []

    def check(dtype):
        if h5py.check_string_dtype(dtype) is not None and dtype.kind == "O":
            seen.append("text")
            return
        seen.append(dtype.kind)
        assert dtype.kind in "fiubSV"
        if dtype.subdtype:
            check(dtype.base)
        for name in dtype.names or ():
            check(dtype[name])
        assert dtype.kind != "V" or dtype.names or dtype.subdtype  # not opaque bytes

    def visit(_, item):
        if isinstance(item, h5py.Dataset):
            check(item.dtype)
        for name in item.attrs:
            check(item.attrs.get_id(name).dtype)

    with h5py.File(tmp_path / "x.h5") as file:
        visit("", file)
        file.visititems(visit)
    assert {"text", "f", "u", "i", "S"} <= set(seen)


UNREADABLE = {
    "missing": (None, r"there is no file .*x\.h5"),
    "empty": (b"", "cannot be read as an HDF5 file"),
    "text": (b"chain\n1.0\n", "cannot be read as an HDF5 file"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_is_no_hdf5_file_is_said(kind, tmp_path):
    content, message = UNREADABLE[kind]
    if content is not None:
        (tmp_path / "x.h5").write_bytes(content)
    with pytest.raises(StoreError, match=message) as caught:
        pmcmc.load(tmp_path / "x.h5")
    assert "x.h5" in str(caught.value)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(StoreError, match="there is no file"):
        RunReader(tmp_path)


def test_a_truncated_file_is_said(tmp_path):
    path = tmp_path / "x.h5"
    write(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(StoreError, match=r"x\.h5 cannot be read as an HDF5 file: .*truncated"):
        RunReader(path)


@pytest.mark.parametrize("name", [None, "other", 3, ["a", "b"], b"pmcmc2"])
def test_a_foreign_hdf5_file_is_said(name, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["chain"] = np.zeros(3)
        if name is not None:
            file.attrs["format"] = name
    with pytest.raises(StoreError, match=r"x\.h5 is an HDF5 file, but not one that pmcmc wrote"):
        RunReader(tmp_path / "x.h5")


def test_the_file_of_a_newer_pmcmc_is_said(tmp_path):
    write(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file.attrs.modify("format_version", 2)
    with pytest.raises(StoreError, match=r"has format version 2; .* reads up to 1: use a newer"):
        RunReader(tmp_path / "x.h5")


@pytest.mark.parametrize("lost", ["state", "parameter_names", "ensembles/0001"])
def test_a_file_that_lost_a_part_is_said(lost, tmp_path):
    write(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        del file[lost]
    with pytest.raises(StoreError, match=r"x\.h5"):
        RunReader(tmp_path / "x.h5")


def test_blobs_that_are_not_there_are_said(tmp_path):
    write(tmp_path / "x.h5")
    with pytest.raises(StoreError, match=r"x\.h5 holds no blobs"):
        RunReader(tmp_path / "x.h5").values("blobs", 0, slice(None))


def test_an_existing_output_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "x.h5"
    path.write_bytes(b"precious")
    for refuse in (lambda: check_output(path), RunWriter(path, header()).create):
        with pytest.raises(UsageError, match=r"x\.h5 exists.*--overwrite to replace it"):
            refuse()
    assert path.read_bytes() == b"precious"
    assert [p.name for p in tmp_path.iterdir()] == ["x.h5"]


def test_a_run_refuses_an_existing_output_unless_told_to_replace_it(tmp_path):
    path = tmp_path / "x.h5"
    write(path)
    before = path.read_bytes()
    problem = pmcmc.Problem(lambda t: -float(t @ t), ["a"], initial=[0.0])
    with pytest.raises(UsageError, match="exists, and nothing was changed"):
        pmcmc.run(problem, nsteps=2, burnin=1, output=path)
    assert path.read_bytes() == before
    pmcmc.run(problem, nsteps=2, burnin=1, output=path, overwrite=True)
    assert pmcmc.load(path).names == ("a",)


@pytest.mark.parametrize("what", ["text", "empty", "other HDF5", "damaged"])
def test_overwrite_replaces_only_what_pmcmc_wrote(tmp_path, what):
    path = tmp_path / "model.py"
    if what == "other HDF5":
        with h5py.File(path, "w") as file:
            file["mine"] = 1.0
    elif what == "damaged":
        write(path)
        path.write_bytes(path.read_bytes()[:1000])
    else:
        path.write_text("precious" if what == "text" else "")
    before = path.read_bytes()
    problem = pmcmc.Problem(lambda t: -float(t @ t), ["a"], initial=[0.0])
    with pytest.raises(
        UsageError, match=r"model\.py is not a file that pmcmc wrote, or is damaged"
    ):
        pmcmc.run(problem, nsteps=2, burnin=1, output=path, overwrite=True)
    with pytest.raises(UsageError, match="is not a file that pmcmc wrote"):
        RunWriter(path, header(), overwrite=True).create()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.py"]


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}])
def test_what_is_no_regular_file_is_refused(tmp_path, options):
    fifo = tmp_path / "x.h5"
    os.mkfifo(fifo)
    problem = pmcmc.Problem(lambda t: -float(t @ t), ["a"], initial=[0.0])
    for path in (fifo, "/dev/null"):
        with pytest.raises(UsageError, match="is no regular file: give another name"):
            pmcmc.run(problem, nsteps=2, burnin=1, output=path, **options)
    assert fifo.is_fifo()
    assert [p.name for p in tmp_path.iterdir()] == ["x.h5"]


def test_the_file_that_is_made_first_follows_no_link_and_has_no_name_to_guess(
    tmp_path, monkeypatch
):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    names = iter(["a" * 16, "b" * 16])
    monkeypatch.setattr("pmcmc.storage.file.secrets.token_hex", lambda n=None: next(names))
    link = tmp_path / f".x.h5.{'a' * 16}.part"
    link.symlink_to(victim)
    with pytest.raises(OSError, match="File exists"):
        GuardedFile(part_path(tmp_path / "x.h5"), new=True)
    assert victim.read_text() == "precious"
    assert part_path(tmp_path / "x.h5").name == f".x.h5.{'b' * 16}.part"


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path):
    path = tmp_path / "x.h5"
    write(path)
    path.chmod(0o640)
    RunWriter(path, header(), overwrite=True).create()
    assert path.stat().st_mode & 0o777 == 0o640


def test_overwrite_replaces(tmp_path):
    path = tmp_path / "x.h5"
    write(path, "number")
    with h5py.File(path) as old:  # whoever has the old file open keeps it
        check_output(path, overwrite=True)
        store = RunWriter(path, header("none"), overwrite=True)
        store.create()
        assert "blobs" in old["ensembles/0000"]
    reader = RunReader(path)
    assert (reader.sequence, reader.header) == (0, header("none"))
    assert [p.name for p in tmp_path.iterdir()] == ["x.h5"]


def test_an_overwrite_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.h5"
    _, draws = write(path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        RunWriter(path, header("number"), overwrite=True).create()
    assert_holds(RunReader(path), draws, COMMITS[-1])
    assert [p.name for p in tmp_path.iterdir()] == ["x.h5"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere/x.h5", "there is no folder .*nowhere"),
        ("", "is a folder: give the name of a file"),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_that_cannot_be_is_refused(name, message, overwrite, tmp_path):
    with pytest.raises(UsageError, match=message):
        check_output(tmp_path / name, overwrite)
    with pytest.raises(UsageError, match=message):
        RunWriter(tmp_path / name, header(), overwrite).create()
    assert list(tmp_path.iterdir()) == []


def test_an_output_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    problem = pmcmc.Problem(lambda t: -float(t @ t), ["a"], initial=[0.0])
    assert pmcmc.run(problem, nsteps=2, burnin=0, output="x.h5").ndraws == 64
    assert [p.name for p in tmp_path.iterdir()] == ["x.h5"]


HOLD = """
import sys, h5py
with h5py.File(sys.argv[1]) as file:
    print(file["ensembles/0000/chain"][:1].shape, flush=True)
    sys.stdin.read()
"""


def test_a_reader_that_holds_the_file_does_not_disturb_a_commit(tmp_path):
    path = tmp_path / "x.h5"
    store, draws = write(path, "number", COMMITS[:3], finish=False)
    command = [sys.executable, "-c", HOLD, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as reader:
        assert reader.stdout.readline() == "(1, 4, 2)\n"
        store.commit([draws.block(0, 5, 8), draws.block(1, 4, 7)], "finished")
        reader.communicate(timeout=20)
        assert reader.returncode == 0
    assert_holds(RunReader(path), draws, (8, 7))


def test_a_file_that_this_process_has_open_can_be_read_and_grow(tmp_path):
    path = tmp_path / "x.h5"
    store, draws = write(path, commits=COMMITS[:3], finish=False)
    with h5py.File(path):
        assert_holds(RunReader(path), draws, COMMITS[2])
        store.commit([draws.block(0, 5, 8), draws.block(1, 4, 7)], "finished")
    store = RunWriter(path, header(steps=(8, 7)))
    with h5py.File(path):
        store.reopen(RunReader(path))
    assert_holds(RunReader(path), draws, (8, 7))


def test_a_file_that_another_program_cuts_is_not_called_safe(tmp_path):
    path = tmp_path / "x.h5"
    store, draws = write(path, "number", COMMITS[:2], finish=False)
    os.truncate(path, 3000)
    with pytest.raises(StoreError, match=r"(?s)x\.h5 cannot be written: .*can no longer be read"):
        store.commit([draws.block(0, *(c[0] for c in COMMITS[1:3]))])


def test_a_file_that_went_away_fails_the_commit_by_name(tmp_path):
    store, draws = write(tmp_path / "x.h5", commits=COMMITS[:1], finish=False)
    (tmp_path / "x.h5").unlink()
    with pytest.raises(StoreError, match=r"x\.h5 was removed or renamed while"):
        store.commit([draws.block(0, 2, 3)])


@pytest.mark.parametrize("damage", ["removed", "a text"])
def test_what_emcee_reads_is_written_anew_where_it_is_damaged(tmp_path, damage):
    path = tmp_path / "x.h5"
    store, draws = write(path, "number")
    with h5py.File(path, "r+") as file:
        attrs = file["ensembles/0000"].attrs
        right = attrs["random_state_2"]
        del attrs["random_state_2"]
        if damage == "a text":
            attrs["random_state_2"] = "x"
    store.reopen(RunReader(path))
    with h5py.File(path) as file:
        assert file["ensembles/0000"].attrs["random_state_2"] == right
    assert_holds(RunReader(path), draws, COMMITS[-1])


@pytest.mark.parametrize("status", ["finished", "stopped"])
def test_a_file_that_grew_is_running_from_the_rename_on(status, tmp_path):
    path = tmp_path / "x.h5"
    store, draws = write(path, finish=False)
    store.commit([], status)
    store = RunWriter(path, header(steps=(8, 7)))
    store.reopen(RunReader(path))  # and if it were killed here
    reader = RunReader(path)
    assert (reader.status, reader.header.steps) == ("running", (8, 7))
    assert_holds(reader, draws, COMMITS[-1])
    with h5py.File(path) as file:
        assert file.attrs["status"] == "running"


def test_a_file_that_another_program_replaced_is_left_alone(tmp_path):
    path = tmp_path / "x.h5"
    for content in ("older", "foreign", "text"):
        store, draws = write(path, commits=COMMITS[:2], finish=False)
        before = path.read_bytes()
        store.commit([draws.block(0, 3, 5)])
        path.unlink()
        if content == "foreign":
            with h5py.File(path, "w") as file:
                file["state"] = np.zeros(2)
        else:
            path.write_bytes(before if content == "older" else b"text")
        found = path.read_bytes()
        with pytest.raises(StoreError, match=r"x\.h5 (is no longer the file|cannot be written)"):
            store.commit([draws.block(0, 5, 6)])
        with pytest.raises(StoreError, match=r"x\.h5 (is no longer the file|cannot be written)"):
            store.add_timings([RankTimes("n1", 1.0, 0.5, 0.2, 0.1, 10)])
        assert path.read_bytes() == found
        path.unlink()


def test_runs_in_memory_are_kept_side_by_side():
    """One after another, as in a loop in Python that keeps the results."""
    readers = []
    for seed in range(4):
        store = RunWriter(None, header(seed=seed))
        store.create()
        readers.append(store.read())
        del store
    assert [reader.header.seed for reader in readers] == list(range(4))


def test_readers_that_hold_the_file_open_end_in_any_order(tmp_path):
    _, draws = write(tmp_path / "x.h5")
    reader, expected = RunReader(tmp_path / "x.h5"), draws.phase("chain", 0, "ensembles")
    first, second = reader.open(), reader.open()
    one, other = first.__enter__(), second.__enter__()
    np.testing.assert_array_equal(one.values("chain", 0, slice(0, 5)), expected)
    first.__exit__(None, None, None)
    for still in (other, reader):
        np.testing.assert_array_equal(still.values("chain", 0, slice(0, 5)), expected)
    second.__exit__(None, None, None)
    np.testing.assert_array_equal(reader.values("chain", 0, slice(0, 5)), expected)


def test_a_writer_that_wakes_after_another_took_over_spoils_nothing(tmp_path, monkeypatch):
    """It was stopped within a commit, wherever: the other's file stays as it is."""
    path, blobs = tmp_path / "x.h5", "record"
    wakes = 1
    while True:
        path.unlink(missing_ok=True)
        first, draws = write(path, blobs, COMMITS[:3], finish=False)
        flush, calls, taken_over = OutputFile.flush, 0, []

        def stopped(
            self, file, flush=flush, first=first, draws=draws, taken_over=taken_over, wakes=wakes
        ):
            nonlocal calls
            calls += self is first._file
            if self is first._file and calls == wakes:
                second = RunWriter(path, first.header)
                second.reopen(RunReader(path))
                done = [int(n) for n in second.steps]
                blocks = [draws.block(e, done[e], COMMITS[-1][e]) for e in range(2)]
                second.commit(blocks, "finished")
                taken_over.append(path.read_bytes())
            flush(self, file)

        monkeypatch.setattr(OutputFile, "flush", stopped)
        first.commit([draws.block(1, COMMITS[2][1], COMMITS[3][1])], "stopped")
        monkeypatch.setattr(OutputFile, "flush", flush)
        if not taken_over:
            break
        assert path.read_bytes() == taken_over[0]
        with pytest.raises(StoreError, match="no longer the file that this job wrote"):
            first.commit([], "stopped")
        wakes += 1
    assert wakes > 2
