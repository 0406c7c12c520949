"""Which ranks evaluate log_prob together, where several do: groups of ranks of one host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UsageError
from ..model.problem import Problem
from ..mpi.control import ControlChannel
from ..options import check_width
from ..pool.together import EvaluationGroup


@dataclass(frozen=True)
class Groups:
    """Ranks that evaluate log_prob together.

    Attributes
    ----------
    ranks : tuple of tuple of int
        Of each group, the root first; in the order of the roots.
    remark : str
        What the user should know; "" for nothing.

    """

    ranks: tuple[tuple[int, ...], ...]
    remark: str = ""

    @property
    def width(self) -> int:
        """Ranks of a group."""
        return len(self.ranks[0])

    def number_of(self, rank: int) -> int:
        """Return which group a rank belongs to."""
        return next(i for i, group in enumerate(self.ranks) if rank in group)


def form_groups(hosts: Sequence[str], width: int) -> Groups:
    """Share ranks out over groups, each within a host as far as that is possible.

    Parameters
    ----------
    hosts : sequence of str
        Of each rank.
    width : int
        Ranks of a group.

    Returns
    -------
    Groups

    Raises
    ------
    UsageError
        If ``width`` does not divide the number of ranks.

    """
    size = len(hosts)
    check_width(size, width)
    groups: list[tuple[int, ...]] = []
    over: list[int] = []  # ranks of hosts whose number of ranks the width does not divide
    for host in dict.fromkeys(hosts):
        ranks = [rank for rank, its in enumerate(hosts) if its == host]
        whole = len(ranks) // width * width
        groups += [tuple(ranks[i : i + width]) for i in range(0, whole, width)]
        over += ranks[whole:]
    over.sort()  # the first of a group is its root
    spread = [tuple(over[i : i + width]) for i in range(0, len(over), width)]
    remark = ""
    if spread:
        remark = (
            f"{len(spread)} of {size // width} groups of {width} ranks are spread over hosts, "
            f"where the ranks of a host are no multiple of {width}: their messages cross the "
            f"network; ask for a multiple of {width} ranks on each host"
        )
    return Groups(tuple(sorted(groups + spread)), remark)


def check_function(problem: Problem, width: int | None) -> None:
    """Refuse a function that takes no comm where several ranks call it, and the reverse.

    Parameters
    ----------
    problem : Problem
        With the function.
    width : int or None
        Ranks of an evaluation; None where that was not said.

    Raises
    ------
    UsageError
        If so.

    """
    name = getattr(problem.posterior.function, "__name__", "log_prob")
    if width is None and problem.posterior.needs_comm:
        raise UsageError(
            f"{name} takes comm, the communicator of the ranks that evaluate it together: say how "
            "many these are, --ranks-per-evaluation R (1: each by itself)"
        )
    if width is not None and width > 1 and not problem.posterior.takes_comm:
        raise UsageError(
            f"ranks_per_evaluation is {width}, and {name} takes no comm: expected "
            f"def {name}(theta, comm), which shares its work out over the ranks of comm; without, "
            f"leave --ranks-per-evaluation out, and all ranks evaluate {name} on their own"
        )


def join_group(
    problem: Problem, width: int | None, hosts: Sequence[str], control: ControlChannel
) -> tuple[Groups, EvaluationGroup | None]:
    """Form the groups, and let the problem evaluate with this rank's; collective.

    A member takes part in what its root evaluates whenever it waits for rank 0.

    Parameters
    ----------
    problem : Problem
        Of this rank.
    width : int or None
        Ranks of an evaluation.
    hosts : sequence of str
        Of each rank.
    control : ControlChannel
        Of all ranks.

    Returns
    -------
    Groups
        Of one rank each, as a rule.
    EvaluationGroup or None
        This rank's; None where log_prob takes no comm.

    Raises
    ------
    UsageError
        As ``form_groups`` and ``check_function``.

    """
    check_function(problem, width)
    groups = form_groups(hosts, width or 1)
    if width is None or not problem.posterior.takes_comm:
        return groups, None
    number = groups.number_of(control.rank)
    group = EvaluationGroup(control.comm.Split(number, control.rank), control.where)
    group.tick = control.take_in
    problem.join(group)
    return groups, group
