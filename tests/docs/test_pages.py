"""The README and the manual: their code runs and prints what they show, their links hold."""

import re
import subprocess
import sys

import pytest

from blocks import ROOT, blocks, dialogue, pages, run_page, same
from conftest import slow_but

PAGES = [p.relative_to(ROOT).as_posix() for p in pages()]
# what --help prints is laid out otherwise by other versions of argparse
HELP = "docs/reference/command_line.md"


@pytest.mark.parametrize("page", slow_but(["docs/start/first_run.md"], PAGES))
def test_the_code_of_a_page_runs_and_prints_what_is_shown(page):
    if page == HELP and sys.version_info[:2] != (3, 11):
        pytest.skip("shown as the argparse of Python 3.11 prints it")
    wrong = run_page(ROOT / page)
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_says_why(page):
    for block in blocks(ROOT / page):
        assert block.language, f"{block.place}: a block without a language"
        if block.language in ("bash", "shell", "py", "python3", "zsh"):
            assert block.not_run, f"{block.place}: {block.language} blocks are not run"
        if block.not_run is not None:
            assert len(block.not_run) > 8, block.place


def anchors(text):
    """Return the anchors of a page's headings, as MyST and most hosts make them."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    found = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in found}


@pytest.mark.parametrize("page", [*PAGES, "docs/gallery/index.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page):
    path = ROOT / page
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    text = re.sub(r"`[^`\n]*`", "", text)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img src="([^"]+)"', text)
    for target in targets:
        if re.match(r"[a-z]+:", target):
            assert target.startswith(("https://", "mailto:")), f"{page}: {target}"
            continue
        name, _, anchor = target.partition("#")
        to = (path.parent / name).resolve() if name else path
        assert to.exists(), f"{page}: there is no {target}"
        if anchor:
            assert anchor in anchors(to.read_text()), f"{page}: no heading for {target}"


def gallery_pages():
    """Return the names of the pages that the gallery makes."""
    text = (ROOT / "docs/gallery.py").read_text()
    return {name.split("/")[0] for name in re.findall(r'Example\(\s*"([\w/]+)"', text)}


def test_every_example_has_a_page_in_the_gallery():
    files = (ROOT / "examples").rglob("*.py")
    assert gallery_pages() == {
        p.relative_to(ROOT / "examples").with_suffix("").parts[0] for p in files
    }


@pytest.mark.parametrize("name", sorted(gallery_pages()))
def test_a_page_of_the_gallery_is_that_of_the_example_as_it_is(name):
    folder = ROOT / "examples" / name
    source = (folder / "model.py" if folder.is_dir() else folder.with_suffix(".py")).read_text()
    page = (ROOT / "docs/gallery" / f"{name}.md").read_text()
    assert source.rstrip() in page, "python docs/gallery.py makes it anew"


def test_every_page_is_in_the_contents():
    listed = {"docs/index.md", "docs/WRITING.md"}
    for index in (ROOT / "docs").rglob("index.md"):
        for toctree in re.findall(r"^```\{toctree\}\n(.*?)^```", index.read_text(), re.M | re.S):
            names = [n for n in toctree.split() if not n.startswith(":")]
            listed |= {(index.parent / f"{n}.md").relative_to(ROOT).as_posix() for n in names}
    assert {p for p in PAGES if p.startswith("docs/")} <= listed


def test_the_page_of_options_is_that_of_the_table():
    made = subprocess.run(
        [sys.executable, "-c", "import options_table; print(options_table.page(), end='')"],
        cwd=ROOT / "docs",
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    page = ROOT / "docs/reference/options.md"
    assert page.read_text() == made, "python docs/options_table.py makes it anew"


def test_the_reference_of_models_has_every_name():
    from pmcmc.model.load import KEYS, OLD_NAMES

    text = (ROOT / "docs/reference/model_file.md").read_text()
    missing = [name for name in (*KEYS, *OLD_NAMES) if f"`{name}`" not in text]
    assert not missing


def test_the_reference_of_python_has_every_name():
    import pmcmc

    text = (ROOT / "docs/reference/python.md").read_text()
    names = [n for n in pmcmc.__all__ if n != "__version__"]
    missing = [name for name in names if not re.search(rf"\bpmcmc\.{name}\b", text)]
    assert not missing


def test_the_reference_of_the_command_line_has_every_command():
    from pmcmc.cli.arguments import COMMANDS

    text = (ROOT / HELP).read_text()
    assert re.findall(r"^## (\w+)$", text, re.M) == list(COMMANDS)


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        ("done in 3.1 s, 100 draws\n", "done in 12 ms, 2300\ndraws\n", True),
        ("a\n...\nz\n", "a\nb 1\nc\nz\n", True),
        ("a\n...\nz\n", "a\nb\ny\n", False),
        ("a\n...\n", "a\nb\ny\n", True),
        ("enough: ESS at least 500\n", "not enough: ESS at least 500\n", False),
        ("R-hat 1.01\n", "R-hat 1.02\n", True),
        ("enough: R-hat at most 1.001 (b)\n", "enough: R-hat at most 1.000\n(log_f)\n", True),
        ("enough: ensembles of 50 tau\n(b)\n", "enough: ensembles of 60 tau (m)\n", True),
        ("short: 13 tau for b (tau 15)\n", "short: 14 tau for m (tau 14)\n", True),
        ("$1 \\pm 0.16$\n", "$1^{+0.16}_{-0.15}$\n", True),
        ("ESS 60 (b)\n", "ESS 60 (m)\n", False),
        ("x\n", "x\ny\n", False),
        ("a\n", "loading the model ...\na\nthe same draws would take about 3 s on 1 rank\n", True),
        ("5 evaluations\n", "7 evaluations, about 12 s of work per rank\n", True),
    ],
)
def test_what_counts_as_the_same(shown, printed, expected):
    assert same(shown, printed) is expected


def test_commands_of_a_dialogue():
    assert dialogue("$ a \\\n  b\nout\n$ c\n") == [("a \\\n  b\n", "out\n"), ("c\n", "")]
