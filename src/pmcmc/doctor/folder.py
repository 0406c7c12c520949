"""What the doctor makes of the folder where the draws go: facts in, findings out (pure)."""

from __future__ import annotations

from collections.abc import Iterator

from ..text import duration_text, size_text
from .records import Facts, Finding, FolderFacts, Level

SLOW_COMMIT = 1.0  # seconds
LITTLE_SPACE, NO_SPACE = 2**30, 64 * 2**20  # bytes; a block alone may take the latter
_STEPS = {
    "folder": "make it (mkdir -p), or give the folder of your output: --output FOLDER",
    "write": "give a folder that you may write to and that is not full, with --output",
    "fsync": "use a file system that can fsync files and folders: a power loss would cost draws",
    "rename": "use a file system that can rename over a file: files are put in place that way",
    "lock": "use another file system: the lock that keeps other writers out cannot be made here",
    "hard link": "without these a lock is not made at once: start no two jobs on one file",
    "HDF5": "use another file system: HDF5 cannot write a file here and read it back",
}


def find_of_folder(folder: FolderFacts, facts: Facts) -> Iterator[Finding]:
    """Give what the facts of a folder mean.

    Parameters
    ----------
    folder : FolderFacts
        As measured.
    facts : Facts
        All of them.

    """
    works = [step for step, error in folder.errors.items() if not error]
    for step, error in folder.errors.items():
        if error:
            level: Level = "warning" if step == "hard link" else "wrong"
            yield Finding("output", level, f"{folder.path}: {step}: {error}", _STEPS[step])
    if folder.stuck is not None:
        yield Finding(
            "output",
            "wrong",
            f"{folder.path}: {folder.stuck}: no end after {facts.patience:g} s",
            "this file system hangs or is overloaded: use another (.pmcmc-doctor-* may stay)",
        )
    if folder.commit is not None and folder.stuck is None:
        slow = "use a faster file system (scratch), or commit less often: --checkpoint 600"
        quick = folder.commit <= SLOW_COMMIT
        yield Finding(
            "output",
            "ok" if quick else "warning",
            f"{folder.path}: {', '.join(works)} work; a commit takes "
            f"{duration_text(folder.commit)}; {size_text(folder.free or 0)} are free",
            "" if quick else slow,
        )
    if folder.free is not None and folder.free < LITTLE_SPACE:
        yield Finding(
            "output",
            "wrong" if folder.free < NO_SPACE else "warning",
            f"{folder.path}: {size_text(folder.free)} are free",
            "make room or use another file system: a step takes 8 (ndim + 1) bytes per walker",
        )
    if folder.unseen:
        yield Finding(
            "output",
            "warning",
            f"{folder.path}: some ranks do not see rank 0's files there "
            f"({facts.kinds(folder.unseen)}): it belongs to one host",
            f"draws there are for {facts.ranks[0].host} alone: use a folder that all hosts share",
        )
