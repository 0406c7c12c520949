"""Which wing may import which, and which may know a library: read from the source with ast."""

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

import pmcmc

ROOT = Path(pmcmc.__file__).parent
LEVELS = {  # a wing imports wings of lower levels
    "cores": 0,
    "launchers": 0,
    "processes": 0,
    "errors": 1,
    "streams": -1,
    "tracebacks": -1,
    "pickles": 1,
    "forks": 0,
    "signals": 1,
    "text": 1,
    "_types": 1,
    "_version": 1,
    "option_values": 2,
    "model": 2,
    "mpi": 2,
    "sampler": 3,
    "pool": 3,
    "options": 4,
    "option_words": 5,
    "slurm": 5,
    "storage": 6,
    "diagnostics": 7,
    "doctor": 7,
    "planner": 7.5,
    "prepare": 8,
    "results": 8,
    "engine": 9,
    "launch": 9,
    "api": 10,
    "cli": 10,
}
FACE = ("__init__", "__main__")  # import any
WITHOUT_MPI = (
    "model", "sampler", "options", "slurm", "storage", "diagnostics", "planner", "results",
)  # fmt: skip
ROOMS = {  # who may know a library
    "mpi4py": ("mpi", "pool", "engine", "doctor"),
    "h5py": ("storage", "doctor"),
    "emcee": ("sampler", "diagnostics"),
    "schwimmbad": ("pool",),
}
# numpy reads the number of threads as it loads: nothing that runs before it is set may load it
BEFORE_NUMPY = ("__main__", "errors", "signals", "options", "mpi", "mpi.startup")


@dataclass(frozen=True)
class Import:
    """One import: of a module of ours by its name within pmcmc, else of a library."""

    target: str
    ours: bool
    typing: bool  # under TYPE_CHECKING
    at_load: bool  # not within a function


def _imports(path: Path) -> list[Import]:
    found = []

    def walk(node: ast.AST, typing: bool, at_load: bool) -> None:
        typing = typing or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        at_load = at_load and not isinstance(node, ast.FunctionDef)
        if isinstance(node, ast.Import):
            found.extend(Import(a.name, False, typing, at_load) for a in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.append(Import(node.module or "", False, typing, at_load))
        elif isinstance(node, ast.ImportFrom):
            base = path.relative_to(ROOT).parts[: -node.level]
            target = [*base, *(node.module or "").split(".")]
            for alias in node.names:
                whole = [part for part in [*target, alias.name] if part]
                name = ".".join(whole if _exists(whole) else whole[:-1])
                found.append(Import(name, True, typing, at_load))
        for child in ast.iter_child_nodes(node):
            walk(child, typing, at_load)

    walk(ast.parse(path.read_text()), False, True)
    return found


def _exists(parts: list[str]) -> bool:
    return ROOT.joinpath(*parts).with_suffix(".py").exists() or ROOT.joinpath(*parts).is_dir()


def _modules() -> dict[str, list[Import]]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if not name.startswith("model.examples"):
            found[name if name in FACE else name.removesuffix(".__init__")] = _imports(path)
    return found


MODULES = _modules()


def _wing(name: str) -> str:
    return name.partition(".")[0]


def test_every_module_is_in_a_wing():
    assert {_wing(name) for name in MODULES} - set(FACE) <= set(LEVELS)


@pytest.mark.parametrize("name", sorted(set(MODULES) - set(FACE)))
def test_imports_go_down(name):
    for one in MODULES[name]:
        if one.ours and one.target:
            here, there = _wing(name), _wing(one.target)
            below = here == there or LEVELS[there] < LEVELS[here]
            assert below, f"{name} imports {one.target}, which is not below {here}"


def test_no_circle():
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"a circle: {' -> '.join([*above, name])}"
        if name in done or name not in MODULES or name in FACE:
            return
        for one in MODULES[name]:
            if one.ours and one.target and one.target != name:
                visit(one.target, (*above, name))
        done.add(name)

    for name in MODULES:
        visit(name, ())


@pytest.mark.parametrize("library", ROOMS)
def test_a_library_has_its_room(library):
    known = {
        n
        for n, found in MODULES.items()
        for i in found
        if _wing(i.target) == library and not i.typing and not i.ours
    }
    assert {n for n in known if _wing(n) not in ROOMS[library]} == set()


def test_what_reads_files_knows_no_mpi():
    for name, found in MODULES.items():
        if _wing(name) in WITHOUT_MPI:
            targets = {one.target for one in found if not one.typing} - {"pool.schedule"}  # pure
            assert not {_wing(one) for one in targets} & {"mpi4py", "mpi", "pool"}, name


@pytest.mark.parametrize("start", BEFORE_NUMPY)
def test_nothing_loads_numpy_before_the_threads_are_limited(start):
    loaded, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        loaded.add(name)
        for one in MODULES[name]:
            if one.at_load and not one.typing:
                assert _wing(one.target) not in ("numpy", "scipy", "emcee", "h5py"), name
                if one.ours and one.target not in loaded and one.target:
                    waiting.append(one.target)
