"""What may be wrong in the text of a model: the line that is meant, a name that is misspelt."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# other names of things, without underscores and in lower case
_OPTIONAL = {
    "vectorized": ("vectorised", "vectorize", "vectorise", "isvectorized", "vectorizd"),
    "blobs_dtype": ("blobdtype", "blobsdtypes", "blobtype"),
    "nwalkers": ("nwalker", "numwalkers"),
    "labels": ("label", "paramlabels"),
    "derived": ("derivedparams", "derivedparameters", "derivednames"),
}
_NEEDED = {
    "log_likelihood": ("loglike", "lnlikelihood", "likelihood", "llh", "loglik", "loglkl", "lnl"),
    "log_prob": (
        *("logprobability", "lnprobability", "logposterior", "lnposterior", "logpost", "lnpost"),
        *("logp", "lnp", "posterior", "logpdf", "logdensity"),
    ),
    "log_prior": ("lnpriors", "logpriors", "prior"),
    "parameters": ("params", "paramnames", "names", "priors", "priorsdict", "variables"),
    "initial": ("p0", "x0", "theta0", "pos0", "start", "initialguess", "init", "initialstate"),
}


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


_EXACT = {
    other: key
    for table in (_OPTIONAL, _NEEDED)
    for key, others in table.items()
    for other in (*others, _plain(key))
}


class ModelText:
    """The text of a model file.

    Parameters
    ----------
    text : str
        Python, or what cannot be read as such: then nothing is found in it.
    path : str
        Its file, for messages.

    """

    def __init__(self, text: str, path: str) -> None:
        self._path, self._lines = path, text.splitlines()
        self._defined = dict(_definitions(text))

    def at(self, name: str) -> str:
        """Return the line that defines a name, as ``  model.py:12: initial = [1, 2]``; or ""."""
        line = self._defined.get(name)
        if line is None:
            return ""
        return f"  {self._where(line)}: {self._lines[line - 1].strip()}"

    def line_of(self, message: str, keys: Sequence[str]) -> str:
        """Return the line that defines the first of some names in a message; "" if none does."""
        for word in re.findall(r"[A-Za-z_]\w*", message):
            if word in keys and word in self._defined:
                return self.at(word)
        return ""

    def misspelt(
        self, keys: Sequence[str], old: Mapping[str, str], surely: bool = False
    ) -> Iterator[tuple[str, str]]:
        """Give names that are defined and may be meant for others, which are not.

        Parameters
        ----------
        keys : sequence of str
            What is looked for.
        old : mapping
            Other names for some of them that are taken too.
        surely : bool
            Only names that nobody would choose for anything else, of things that a model does
            without. Default: False.

        Yields
        ------
        (str, str)
            The name, with its line; and what may be meant.

        """
        given = {old.get(name, name) for name in self._defined}
        missing = [key for key in keys if key not in given]
        for name, line in self._defined.items():
            if name in keys or name in old or name.startswith("_"):
                continue
            key = _EXACT.get(_plain(name))
            if key is None and not surely:
                key = next(iter(difflib.get_close_matches(name, missing, n=1, cutoff=0.8)), None)
            if key in missing and (not surely or key in _OPTIONAL):
                yield f"{self._where(line)} has {name}", str(key)

    def _where(self, line: int) -> str:
        return f"{self._path}:{line}"


def _definitions(text: str) -> Iterator[tuple[str, int]]:
    """Give the names that a module defines at its top level, and their lines."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in body:
        match node:
            case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
                yield node.name, node.lineno
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    for part in ast.walk(target):
                        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                            yield part.id, node.lineno


def in_package(path: Path) -> str | None:
    """Return the dotted name of a file of a package, or None where it is in none."""
    parts, folder = [path.stem], path.resolve().parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts) if len(parts) > 1 else None
