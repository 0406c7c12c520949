"""Names of parameters: which one means, and which belong together as a vector."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ..errors import UsageError
from ..options import unknown

_ELEMENT = re.compile(r"(.+)\[(\d+)\]")


def choose(given: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """Return the names that are meant, each once, in the order given.

    Parameters
    ----------
    given : sequence of str or None
        Names; ``*`` stands for anything, as in ``beta[*]``. None: all.
    known : sequence of str
        All that there are.

    Raises
    ------
    UsageError
        If there is no such name.

    """
    if given is None:
        return tuple(known)
    if isinstance(given, str):
        raise UsageError(f"names is {given!r}: expected a list, as {list(known[:2])}")
    found: list[str] = []
    for one in given:
        matching = [one] if one in known else []
        if not matching and "*" in one:
            pattern = re.escape(one).replace(r"\*", ".*")
            matching = [name for name in known if re.fullmatch(pattern, name)]
        if not matching:
            raise unknown(one, list(known), "parameter")
        found += matching
    return tuple(dict.fromkeys(found))


def vectors(names: Sequence[str], others: Iterable[str] = ()) -> Iterator[tuple[str, list[int]]]:
    """Give each vector once, and each other name.

    Parameters
    ----------
    names : sequence of str
        Those of a vector are ``beta[0]``, ``beta[1]``, ..., in this order.
    others : iterable of str
        Names, as of fixed parameters, some of whose elements may be missing. Default: none.

    Yields
    ------
    name : str
        Of the vector, or of a single parameter; also where elements of a vector are missing.
    places : list of int
        Where its elements are among the names.

    """
    elements = [_ELEMENT.fullmatch(name) for name in names]
    broken = {element[1] for name in others if (element := _ELEMENT.fullmatch(name))}
    done = set[int]()
    for i, (name, element) in enumerate(zip(names, elements, strict=True)):
        if i in done:
            continue
        places = [i]
        if element:
            places = [k for k, other in enumerate(elements) if other and other[1] == element[1]]
            whole = [names[k] for k in places] == [
                f"{element[1]}[{k}]" for k in range(len(places))
            ]
            if whole and element[1] not in (*names, *broken):
                name = element[1]
            else:
                places = [i]
        done.update(places)
        yield name, places
