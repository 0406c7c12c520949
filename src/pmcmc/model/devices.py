"""Which GPUs a process sees, and which of them each rank of a host is to use."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import UsageError
from ..text import count_text, some_text

CUDA, ROCM = "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"
_NVIDIA = Path("/proc/driver/nvidia/gpus")
_AMD = Path("/sys/class/kfd/kfd/topology/nodes")


class Visible(NamedTuple):
    """Devices that a process sees.

    Attributes
    ----------
    variable : str
        The environment variable that says which; empty where there are none.
    names : tuple of str
        Numbers, or identifiers, as the variable takes them.

    """

    variable: str = ""
    names: tuple[str, ...] = ()


def visible_devices(
    env: Mapping[str, str] = os.environ, nvidia: Path = _NVIDIA, amd: Path = _AMD
) -> Visible:
    """Return the devices that this process sees.

    Parameters
    ----------
    env : mapping
        The environment: what is set there is trusted.
    nvidia, amd : Path
        Where their drivers list devices.

    """
    for variable in (CUDA, ROCM):
        if variable in env:
            names = tuple(name.strip() for name in env[variable].split(",") if name.strip())
            return Visible(variable, names if "-1" not in names else ())
    if count := _count(nvidia):
        return Visible(CUDA, tuple(map(str, range(count))))
    if count := sum(_has_compute_units(node) for node in _folders(amd)):
        return Visible(ROCM, tuple(map(str, range(count))))
    return Visible()


def _folders(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError:
        return []


def _count(path: Path) -> int:
    return len(_folders(path))


def _has_compute_units(node: Path) -> bool:
    try:
        words = (node / "properties").read_text().split()
        return int(words[words.index("simd_count") + 1]) > 0
    except (OSError, ValueError, IndexError):
        return False


def share_out(
    wish: str | int, hosts: Sequence[str], seen: Sequence[Visible]
) -> tuple[list[Visible | None], str]:
    """Return what each rank is to see, None for what it sees now; and what to say.

    Parameters
    ----------
    wish : "auto", "none" or int
        One device of its host for each rank, in turn; none; or of so many devices of each host.
    hosts : sequence of str
        Of each rank.
    seen : sequence of Visible
        By each rank.

    Raises
    ------
    UsageError
        If a host has fewer than were asked for.

    """
    if wish == "none":
        hide = [Visible(one.variable) if one.names else None for one in seen]
        return list(hide), "GPUs: hidden (--gpus none)" if any(hide) else ""
    given: list[Visible | None] = [None] * len(hosts)
    shared: dict[str, str] = {}
    for host in dict.fromkeys(hosts):
        ranks = [rank for rank, name in enumerate(hosts) if name == host]
        first = seen[ranks[0]]
        if not isinstance(wish, str) and len(first.names) < wish:
            raise UsageError(
                f"gpus is {wish}, and host {host} shows "
                f"{count_text(len(first.names), 'device')}: ask for as many, or --gpus auto"
            )
        names = first.names if isinstance(wish, str) else first.names[:wish]
        if any(seen[rank] != first for rank in ranks):
            shared[host] = "bound to ranks already"
        elif len(names) > 1 or len(names) < len(first.names):
            for local, rank in enumerate(ranks):
                given[rank] = Visible(first.variable, (names[local % len(names)],))
            each = -(-len(ranks) // len(names))
            shared[host] = f"{len(names)}, each for {count_text(each, 'rank')} at most"
        elif names:
            shared[host] = f"1, for {count_text(len(ranks), 'rank')}"
    if not shared:
        return given, ""
    if len(shared) > 1 and len(set(shared.values())) == 1:
        return given, f"GPUs: on each of {len(shared)} hosts {next(iter(shared.values()))}"
    return given, f"GPUs: {some_text([f'{host} {text}' for host, text in shared.items()], 3)}"


def take(given: Visible | None, env: MutableMapping[str, str] = os.environ) -> None:
    """Let this process see certain devices, from now on; None: as it does."""
    if given is not None:
        env[given.variable] = ",".join(given.names)
