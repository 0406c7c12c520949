"""Every message about a mistake of the user's is explained in docs/trouble, and no other is.

Read from the source with ast. An entry of the manual is the message itself, in bold code, with
``…`` for what varies: **`nwalkers is …; expected an even number: …?`**.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import pmcmc
from pmcmc import errors

ROOT = Path(__file__).parents[2]
SOURCE = Path(pmcmc.__file__).parent
PAGES = ROOT / "docs" / "trouble"
ERRORS = {n for n, c in vars(errors).items() if isinstance(c, type) and issubclass(c, Exception)}
HOLE = "…"
FEWEST = 2  # words: what has fewer passes on the words of others

_ENTRY = re.compile(r"\*\*(?P<mark>`+)(?P<text>.+?)(?P=mark)\*\*", re.S)


@dataclass(frozen=True)
class Message:
    """A text in the source, with holes for what it is given."""

    text: str
    place: str
    kind: str

    @property
    def forms(self) -> set[str]:
        """As an entry may have it: whole, or the first line, where values follow."""
        return {plain(self.text), plain(self.text.split("\n", 1)[0])} - {""}

    @property
    def entry(self) -> str:
        """The line to add to the manual."""
        line = " ".join(self.text.split("\n", 1)[0].split()).strip()
        mark = "``" if "`" in line else "`"
        return f"**{mark}{line}{mark}**"


def plain(text: str) -> str:
    """Return a text to be compared: without line breaks, and without holes at its ends."""
    text = re.sub(rf"{HOLE}(\s*{HOLE})+", HOLE, " ".join(text.split()))
    return text.strip(f"{HOLE} ")


def words(text: str) -> int:
    return len(re.findall(r"[A-Za-z]{2,}", text))


# ---- what the code says


def template(node: ast.AST) -> list[str]:
    """Return the texts that an expression gives, with holes; one for each branch, [] for none."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        parts = [v.value if isinstance(v, ast.Constant) else HOLE for v in node.values]
        return ["".join(map(str, parts))]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = template(node.left), template(node.right)
        if left or right:
            return [a + b for a in left or [HOLE] for b in right or [HOLE]]
    if isinstance(node, ast.IfExp):
        return template(node.body) + template(node.orelse)
    return []


def said_by(call: ast.Call) -> list[str]:
    """Return what a call says to the user of a mistake of theirs: an error, or a finding."""
    name, given = getattr(call.func, "id", getattr(call.func, "attr", "")), call.args
    if name in ERRORS and given:
        return template(given[0])
    if name == "BadOutput":  # row, what, hint
        return [f"log_prob returned {what}{HOLE}" for what in template(given[1])]
    if name == "Finding" and getattr(given[1], "value", "") != "ok":  # check, level, text, advice
        return template(given[2])
    return []


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE), ast.parse(path.read_text())


def messages() -> list[Message]:
    """Return the messages that the manual has to have."""
    found = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                kind = getattr(node.func, "id", getattr(node.func, "attr", ""))
                place = f"{path}:{node.lineno}"
                found += [Message(text, place, kind) for text in said_by(node)]
    return [one for one in found if words(one.text.replace(HOLE, " ")) >= FEWEST]


def all_texts() -> set[str]:
    """Return all texts in the code, as they are compared: notes and warnings are among them."""
    found: set[str] = set()
    for path, tree in trees():
        for node in ast.walk(tree):
            found |= {f for text in template(node) for f in Message(text, str(path), "").forms}
    return found | {form for one in messages() for form in one.forms}


# ---- what the manual says


def entries() -> list[tuple[str, str]]:
    """Return the entries of the manual, each with its place."""
    found = []
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text()
        for entry in _ENTRY.finditer(text):
            line = text.count("\n", 0, entry.start()) + 1
            found.append((entry["text"], f"{page.relative_to(ROOT)}:{line}"))
    return found


ALL = messages()


@pytest.mark.parametrize("path", sorted({one.place.split(":")[0] for one in ALL}))
def test_every_message_is_explained(path):
    there = {plain(text) for text, _ in entries()}
    missing = [one for one in ALL if one.place.split(":")[0] == path and not one.forms & there]
    told = "\n".join(f"  src/pmcmc/{m.place} ({m.kind})\n    {m.entry}" for m in missing)
    assert not missing, (
        f"messages that docs/trouble does not explain:\n{told}\nAdd such a line, with {HOLE} for "
        "what varies, to docs/trouble/messages.md, and below it what it means and what to type"
    )


def test_no_entry_is_of_a_message_that_is_gone():
    there = all_texts()
    stale = [
        f"  {place}\n    {' '.join(t.split())}" for t, place in entries() if plain(t) not in there
    ]
    assert not stale, "entries of no message in src/pmcmc: change or remove them\n" + "\n".join(
        stale
    )


def test_no_entry_stands_twice():
    texts = [plain(text) for text, _ in entries()]
    assert sorted(texts) == sorted(set(texts))


def test_the_search_finds_what_it_should():
    assert len(ALL) > 200
    assert {"UsageError", "ModelError", "StoreError", "LaunchError", "BadOutput", "Finding"} <= {
        one.kind for one in ALL
    }
