"""Attacks on pmcmc: altered files, models that misbehave, pools used oddly, streams and locks.

    python tests/attack.py [--files 2000] [--models 300] [--pools 60] [--streams 200] [--seed 1]

Prints what is wrong, and a table of how all ended; status 1 if anything is wrong. ``--python``
names an interpreter with pmcmc and another MPI. Each case can be tried alone by its seed.
"""

import argparse
import collections
import sys
import tempfile
import time
from pathlib import Path

from attacks import files, models, pools, streams

KINDS = {"models": models, "pools": pools, "streams": streams}


def main() -> int:
    """Attack, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    for name in ("files", *KINDS):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--python", default=sys.executable)
    args = parser.parse_args()
    began, ends, bad = time.monotonic(), collections.Counter[tuple[str, str]](), 0
    if args.files:
        with tempfile.TemporaryDirectory() as scratch:
            wrong, table = files.campaign(scratch, args.files, args.seed, print)
        bad += len(wrong)
        ends.update({(f"file, {name}", end): count for (name, end), count in table.items()})
    for name, kind in KINDS.items():
        with tempfile.TemporaryDirectory() as scratch:
            if count := getattr(args, name):
                kind.prepare(Path(scratch), args.python)
            for seed in range(args.seed, args.seed + count):
                group, end, wrong = kind.attempt(Path(scratch), seed, args.python)
                ends[group, "WRONG" if wrong else end] += 1
                bad += bool(wrong)
                if wrong:
                    print(f"--{name} 1 --seed {seed}: {wrong}\n", flush=True)
    for (group, end), count in sorted(ends.items()):
        print(f"{group:<18}{end:<28}{count:>6}")
    print(f"{sum(ends.values())} attacks, {bad} wrong, {time.monotonic() - began:.0f} s")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
