"""Run the code blocks of the README and of the manual, and compare what they print.

    python tests/docs/blocks.py [--write] [PAGE ...]

Each page is worked through from top to bottom in an empty folder of its own:

- ``sh``: bash runs it; it has to end with status 0;
- ``console``: lines that begin with ``$ `` are run by bash, and the lines after each are what it
  prints; a line ``...`` stands for any number of lines. Numbers and white space are not compared:
  times and the last digits differ between machines. ``--write`` puts what is printed today in the
  place of what stands there (blocks with a ``...`` are left alone);
- ``python`` whose first line is ``# name.py``, and ``toml`` with ``# name.toml``: written to that
  file; other ``python`` blocks of a page are run one after another in one interpreter;
- any other language is shown, and not run.

A comment directly before a block changes that: ``<!-- not run: why -->``,
``<!-- exit status: 3 -->``, ``<!-- seconds: 60 -->``, its time limit. ``<!-- run: command -->`` by
itself runs what the reader does not see, such as a file of data that the page takes for given.
"""

from __future__ import annotations

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 120.0
_PIECE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w{}-]+)?[^\n]*\n(?P<body>.*?)^(?P=indent)```[ ]*$"
    r"|^<!-- (?P<key>not run|exit status|seconds|run): (?P<value>.*?) -->[ ]*$",
    re.M | re.S,
)
# one process for the python blocks of a page: takes a file's name, says its end
_PYTHON = """
import sys, traceback
for name in sys.stdin:
    name = name.strip()
    try:
        exec(compile(open(name).read(), name, "exec"), globals())
        print("\\0", flush=True)
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        print("\\1", flush=True)
"""


class PageError(AssertionError):
    """A block that fails, or prints something else than what stands there."""


@dataclass
class Block:
    """One block of code, or a command that is not shown."""

    page: Path
    line: int
    language: str
    body: str
    span: tuple[int, int]  # of the body in the text of the page
    not_run: str | None = None
    status: int = 0
    seconds: float = LIMIT

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file_name(self) -> str | None:
        found = re.match(r"# ([\w/-]+\.(?:py|toml))\s*$", self.body.split("\n", 1)[0])
        return found[1] if found and self.language in ("python", "toml") else None


def pages() -> list[Path]:
    """Return the README and the pages of the manual that are written by hand."""
    made = ("_build", "gallery")
    found = [p for p in (ROOT / "docs").rglob("*.md") if p.relative_to(ROOT).parts[1] not in made]
    return [ROOT / "README.md", *sorted(found)]


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    text, found, said = page.read_text(), [], {}
    for piece in _PIECE.finditer(text):
        line = text.count("\n", 0, piece.start()) + 1
        if piece["key"] == "run":
            found.append(Block(page, line, "sh", piece["value"] + "\n", (0, 0)))
        elif piece["key"]:
            said[piece["key"]] = (piece["value"], piece.end())
        else:
            near = {k: v for k, (v, end) in said.items() if not text[end : piece.start()].strip()}
            said = {}
            found.append(
                Block(
                    page,
                    line,
                    piece["language"] or "",
                    re.sub(f"^{piece['indent']}", "", piece["body"], flags=re.M),
                    piece.span("body"),
                    near.get("not run"),
                    int(near.get("exit status", 0)),
                    float(near.get("seconds", LIMIT)),
                )
            )
    return found


def environment() -> dict[str, str]:
    """Return that of a user who has pmcmc installed, with no colours, and 80 columns."""
    here = str(Path(sys.executable).parent)
    path = os.pathsep.join([here, os.environ.get("PATH", "")])
    more = {
        "PATH": path,
        "COLUMNS": "80",
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
        "MPLBACKEND": "agg",
    }
    more |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return {
        k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "PMI", "PYTEST"))
    } | more


@dataclass
class Runner:
    """What runs the blocks of one page."""

    folder: Path
    python: subprocess.Popen[str] | None = None
    said: queue.Queue[str] = field(default_factory=queue.Queue)
    listener: threading.Thread | None = None

    def shell(self, command: str, block: Block, status: int) -> str:
        """Run a command and return what it prints."""
        try:
            done = subprocess.run(
                ["bash", "-e", "-c", command],
                cwd=self.folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=block.seconds,
            )
        except subprocess.TimeoutExpired as late:
            raise PageError(
                f"{block.place}: not done after {block.seconds:g} s: {command}"
            ) from late
        if done.returncode != status:
            raise PageError(
                f"{block.place}: status {done.returncode}, not {status}:\n{command}\n{done.stdout}"
            )
        return done.stdout

    def interpret(self, block: Block) -> None:
        """Run a block in the page's interpreter."""
        if self.python is None:
            self.python = subprocess.Popen(
                [sys.executable, "-c", _PYTHON],
                cwd=self.folder,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            self.listener = threading.Thread(target=self._listen, daemon=True)
            self.listener.start()
        source = self.folder / f".block-{block.line}.py"
        source.write_text(block.body)
        assert self.python.stdin is not None
        self.python.stdin.write(f"{source}\n")
        self.python.stdin.flush()
        printed = []
        while True:
            try:
                line = self.said.get(timeout=block.seconds)
            except queue.Empty:
                raise PageError(f"{block.place}: not done after {block.seconds:g} s") from None
            if line.endswith(("\0\n", "\1\n", "\2")):
                break
            printed.append(line)
        if not line.endswith("\0\n"):
            raise PageError(f"{block.place}:\n{''.join(printed)}")

    def _listen(self) -> None:
        assert self.python is not None
        assert self.python.stdout is not None
        for line in self.python.stdout:
            self.said.put(line)
        self.said.put("\2")

    def close(self) -> None:
        """End the interpreter."""
        if self.python is not None and self.listener is not None:
            self.python.kill()
            self.python.wait()
            self.listener.join()
            for stream in (self.python.stdin, self.python.stdout):
                if stream is not None:
                    stream.close()


def dialogue(body: str) -> list[tuple[str, str]]:
    """Return the commands of a console block, each with what it prints."""
    parts = re.split(r"^\$ ", body, flags=re.M)[1:]
    found = []
    for part in parts:
        lines = part.splitlines(keepends=True)
        n = 1
        while lines[n - 1].rstrip().endswith("\\") and n < len(lines):
            n += 1
        found.append(("".join(lines[:n]), "".join(lines[n:])))
    return found


# what is printed or not as the machine is quick or slow, and has more cores or fewer
_BY_THE_CLOCK = re.compile(
    r"^(?:the same draws would take .*|(?:loading|working out|timing|simulating|drawing|"
    r"reading|comparing)\b.* \.\.\.)\n|, about [\d.]+ \w+ of work per rank| \([\d.]+ m?s\)",
    re.M,
)


# which parameter is the weakest, and whether a LaTeX error is symmetric, hang on last digits,
# which may differ from machine to machine
_WEAKEST = re.compile(r"(?<=least # \()\w+|(?<=most # \()\w+|(?<=of # tau \()\w+|(?<=tau for )\w+")
_SYMMETRIC = re.compile(r" \\pm #")


def words(printed: str) -> str:
    """Return what is compared of a text: its words, without numbers and line breaks."""
    printed = _BY_THE_CLOCK.sub("", printed)
    printed = re.sub(r"(?<![\w.])[+-]?\d[\d.,:]*(e[+-]?\d+)?%?", "#", printed)
    printed = re.sub(r"# (us|ms|s|min|h|d)\b", "# s", printed)
    printed = re.sub(r"\b(pmcmc) \S+", r"\1 #", printed)
    printed = _SYMMETRIC.sub("^{#}_{#}", " ".join(printed.split()))
    return _WEAKEST.sub("x", printed)


def same(shown: str, printed: str) -> bool:
    """Return whether a command prints what is shown, but for numbers; ... is anything."""
    parts = [words(p) for p in re.split(r"^ *\.\.\. *$", shown, flags=re.M)]
    pattern = r"(?:.*)".join(rf"\s*{re.escape(part)}\s*" for part in parts)
    return re.fullmatch(pattern, words(printed), re.S) is not None


def run_page(page: Path, write: bool = False) -> list[str]:
    """Run all blocks of a page; return what is wrong, or with ``write`` correct it."""
    text, changes, wrong = page.read_text(), [], []
    folder = Path(tempfile.mkdtemp(prefix="page-"))
    (folder / "examples").symlink_to(ROOT / "examples")
    runner = Runner(folder)
    try:
        for block in blocks(page):
            if block.not_run is not None:
                continue
            if block.file_name:
                (folder / block.file_name).parent.mkdir(parents=True, exist_ok=True)
                (folder / block.file_name).write_text(block.body)
            elif block.language == "python":
                runner.interpret(block)
            elif block.language == "sh":
                runner.shell(block.body, block, block.status)
            elif block.language == "console":
                new = ""
                for command, shown in dialogue(block.body):
                    printed = runner.shell(command, block, block.status)
                    printed = re.sub(r"[ \t]+$", "", printed, flags=re.M)
                    new += f"$ {command}" + (
                        printed if printed.endswith("\n") or not printed else printed + "\n"
                    )
                    if not write and not same(shown, printed):
                        wrong.append(
                            f"{block.place}: $ {command}prints\n{printed}and not\n{shown}"
                        )
                if write and not re.search(r"^ *\.\.\. *$", block.body, re.M):
                    changes.append((block.span, new))
    except PageError as error:
        wrong.append(str(error))
    finally:
        runner.close()
        shutil.rmtree(folder)
    for (begin, end), new in reversed(changes):
        text = text[:begin] + new + text[end:]
    if changes:
        page.write_text(text)
    return wrong


def main() -> int:
    """Run pages; with --write put what they print in their place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    wrong = []
    for page in [p.resolve() for p in args.pages] or pages():
        found = run_page(page, args.write)
        print(f"{page.relative_to(ROOT)}: {len(found)} wrong", flush=True)
        wrong += found
    print("\n\n".join(wrong))
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
