"""GPUs: which a process sees, and which each rank gets; lists are made up, none is here."""

import pytest

from pmcmc.errors import UsageError
from pmcmc.model.devices import CUDA, ROCM, Visible, share_out, take, visible_devices


@pytest.fixture
def drivers(tmp_path):
    nvidia, amd = tmp_path / "nvidia", tmp_path / "amd"
    return {"nvidia": nvidia, "amd": amd}


def test_what_the_environment_says_is_trusted(drivers):
    assert visible_devices({CUDA: "0,2"}, **drivers) == Visible(CUDA, ("0", "2"))
    assert visible_devices({CUDA: "GPU-a, MIG-b"}, **drivers).names == ("GPU-a", "MIG-b")
    assert visible_devices({ROCM: "1"}, **drivers) == Visible(ROCM, ("1",))
    assert visible_devices({CUDA: ""}, **drivers).names == ()
    assert visible_devices({CUDA: "-1"}, **drivers).names == ()


def test_what_the_drivers_list(drivers):
    assert visible_devices({}, **drivers) == Visible()
    for node, units in enumerate((0, 304, 304)):  # the first is the CPU
        folder = drivers["amd"] / str(node)
        folder.mkdir(parents=True)
        (folder / "properties").write_text(f"cpu_cores_count 0\nsimd_count {units}\n")
    assert visible_devices({}, **drivers) == Visible(ROCM, ("0", "1"))
    for bus in ("0000:17:00.0", "0000:65:00.0", "0000:ca:00.0"):
        (drivers["nvidia"] / bus).mkdir(parents=True)
    assert visible_devices({}, **drivers) == Visible(CUDA, ("0", "1", "2"))


def shares(wish, hosts, seen):
    given, said = share_out(wish, list(hosts), [Visible(CUDA, tuple(names)) for names in seen])
    return [None if one is None else "".join(one.names) for one in given], said


def test_each_rank_gets_one_of_its_host_in_turn():
    given, said = shares("auto", "aaaabb", ["01"] * 4 + ["01"] * 2)
    assert given == ["0", "1", "0", "1", "0", "1"]
    assert said == "GPUs: a 2, each for 2 ranks at most, b 2, each for 1 rank at most"
    given, said = shares("auto", "aabb", ["57"] * 4)
    assert given == ["5", "7", "5", "7"]
    assert said == "GPUs: on each of 2 hosts 2, each for 1 rank at most"


def test_what_is_bound_already_is_left_alone():
    assert shares("auto", "aa", ["0", "1"]) == ([None, None], "GPUs: a bound to ranks already")
    assert shares("auto", "aaa", ["0"] * 3) == ([None] * 3, "GPUs: a 1, for 3 ranks")
    assert shares("auto", "ab", ["", ""]) == ([None, None], "")


def test_so_many_of_each_host():
    assert shares(2, "aaa", ["0123"] * 3)[0] == ["0", "1", "0"]
    assert shares(1, "aa", ["0123"] * 2)[0] == ["0", "0"]
    with pytest.raises(UsageError, match="gpus is 3, and host a shows 2 devices"):
        shares(3, "a", ["01"])


def test_none_are_hidden():
    given, said = shares("none", "aab", ["01", "01", ""])
    assert given == ["", "", None]
    assert said == "GPUs: hidden (--gpus none)"
    env = {}
    take(Visible(CUDA), env)
    assert env == {CUDA: ""}
