"""Make the pages of the gallery: each example of ../examples is run as it is, on two ranks.

    python docs/gallery.py

needs a C compiler and dynesty, and takes some minutes. What a run printed and its pictures are
kept in _build/gallery, and made again only where the example's text has changed; remove that
folder to make all anew. The tests compare the pages with the examples' texts.
"""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

import pmcmc

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
KEPT = HERE / "_build" / "gallery"
PAGES = HERE / "gallery"


@dataclass(frozen=True)
class Example:
    """One example: its file, and how it is run."""

    name: str
    title: str
    options: tuple[str, ...] = ()
    status: int = 0
    script: bool = False  # a script that calls pmcmc, not a model
    alt: str = "Corner plot: each parameter's distribution and each pair's."
    draws: str | None = None  # the file that a script writes

    @property
    def file(self) -> Path:
        return EXAMPLES / f"{self.name}.py"

    @property
    def page(self) -> str:
        return self.name.split("/")[0]

    def command(self) -> list[str]:
        """Return the words of its command, as typed in the project's folder."""
        script = [f"examples/{self.name}.py"] if self.script else []
        given = ["--seed", "1", "--no-progress", *self.options]
        words = script or ["-m", "pmcmc", f"examples/{self.name}.py", *given]
        return ["mpiexec", "-n", "2", "python", *words]


ALL = (
    Example("line", "A straight line with underestimated errors"),
    Example("line_python_api", "The line, from a Python script", script=True),
    Example("rv_orbit", "A planet's orbit from radial velocities"),
    Example("supernovae", "Dark energy from supernova distances"),
    Example("lotka_volterra", "Predators and prey: a differential equation"),
    Example("eight_schools", "Eight schools: a hierarchical model"),
    Example("gaussian_process", "A Gaussian process, vectorized"),
    Example("external/model", "A likelihood that another program works out"),
    Example("shared_data", "Large data, one copy a node"),
    Example(
        "transits_mpi",
        "A likelihood that several ranks work out together",
        ("--ranks-per-evaluation", "2"),
    ),
    Example("dynesty_pool", "Nested sampling through MPIPool", script=True),
    Example("bimodal", "A lesson: one ensemble misleads, several tell", status=3),
)


def run(example: Example, folder: Path) -> None:
    """Run an example and keep what it prints, and its pictures, in ``folder``."""
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "examples").symlink_to(EXAMPLES)
        here = str(Path(sys.executable).parent)
        path = os.pathsep.join([here, os.environ.get("PATH", "")])
        environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
        environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        command = example.command()
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
        if done.returncode != example.status:
            raise RuntimeError(
                f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
            )
        (folder / "printed.txt").write_text(done.stdout)
        for file in Path(work).glob("*.h5"):
            pmcmc.load(file).plot_corner().savefig(folder / "corner.png", dpi=80)
            with Image.open(folder / "corner.png") as picture:  # few colours: a third of the bytes
                picture.convert("RGB").quantize(64).save(folder / "corner.png", optimize=True)


def kept(example: Example) -> Path:
    """Return the folder with what an example printed and its pictures, run if that is needed."""
    sources = sorted(p for p in example.file.parent.glob("*") if p.suffix in (".py", ".c"))
    sources = sources if example.file.parent != EXAMPLES else [example.file]
    text = b"".join(p.read_bytes() for p in sources) + repr(example).encode()
    folder = KEPT / f"{example.page}-{hashlib.sha256(text).hexdigest()[:16]}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"running {example.file.relative_to(HERE.parent)} ...", flush=True)
        if example.page == "external":
            subprocess.run(["make", "-s", "-C", example.file.parent], check=True)
        run(example, folder)
        (folder / "done").touch()
    return folder


def make() -> None:
    """Make all pages."""
    for example in ALL:
        folder = kept(example)
        summary = ast.get_docstring(ast.parse(example.file.read_text()))
        assert summary is not None
        prose = summary.split("\n\n    ")[0]  # without the command, which stands below
        text = [f"# {example.title}", "", prose, ""]
        if (folder / "corner.png").exists():
            shutil.copy(folder / "corner.png", PAGES / f"{example.page}.png")
            text += [f"![{example.alt}]({example.page}.png)", ""]
        text += ["```console", "$ " + " ".join(example.command())]
        text += [(folder / "printed.txt").read_text().rstrip(), "```", ""]
        text += [f"examples/{example.name}.py:", ""]
        text += ["```python", example.file.read_text().rstrip(), "```", ""]
        page = PAGES / f"{example.page}.md"
        if not page.exists() or page.read_text() != "\n".join(text):
            page.write_text("\n".join(text))


if __name__ == "__main__":
    make()
