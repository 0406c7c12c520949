"""The model and the options of a run, from the command line and the config file."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..model import load as model
from ..option_values import fail, whole
from ..options import OPTIONS, check
from .parsing import needs_ranks, parse

if TYPE_CHECKING:
    from ..mpi.control import ControlChannel

CONFIG_FILE = "pmcmc.toml"
_RANKS = whole(1, 10**6)
STARTED = "PMCMC_RANKS"  # set where the ranks that were asked for are there


def asked_ranks(words: Sequence[str], env: MutableMapping[str, str]) -> int | None:
    """Return how many ranks a command line, or its config file, wants started; None: no such wish.

    Parameters
    ----------
    words : sequence of str
        The command line.
    env : mapping
        The environment; there it says in the ranks that they were started, and is said here.

    Raises
    ------
    UsageError
        For a number that cannot be.

    """
    if env.get(STARTED) or not needs_ranks(words) or words[:1] == ["doctor"]:
        return None
    _, args = parse(words)
    config = args.get("config") or (CONFIG_FILE if args["model"] is None else None)
    ranks = args["ranks"]
    if ranks is None and config is not None and Path(config).is_file():
        ranks = _toml(Path(config)).get("ranks")
    if ranks is None:
        return None
    number: int = _RANKS("ranks", ranks)
    env[STARTED] = str(number)
    return number


def read(args: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the model and the options, from the command line over the config file.

    Raises
    ------
    UsageError
        For an option or value that cannot be, or a file that is not there.

    """
    given = dict(args)
    name, config = given.pop("model"), given.pop("config")
    given.pop("ranks", None)  # they are there
    given = check(given)
    found: dict[str, Any] = {}
    if config is not None:
        found = read_config(Path(config))
    elif name is None and Path(CONFIG_FILE).is_file():
        config = CONFIG_FILE
        found = read_config(Path(config))
    from_file = found.pop("model", None)
    name = name or from_file
    if name is None:
        if config is not None:
            raise UsageError(f'{config} names no model: add a line such as model = "model.py"')
        name = "line"
    if "teams" in given:
        found.pop("mode", None)
    if "mode" in given:
        found.pop("teams", None)
    found.update(given)
    model.find(name)
    return name, found


def read_config(path: Path) -> dict[str, Any]:
    """Return the keys of a TOML file; ``model`` is relative to its folder.

    Raises
    ------
    UsageError
        If it cannot be read, or has a key that is no option.

    """
    values = _toml(path)
    model, ranks = values.pop("model", None), values.pop("ranks", None)
    if ranks is not None:
        _RANKS(f"{path}: ranks", ranks)
    if model is not None and not isinstance(model, str):
        raise UsageError(f"{path}: {fail('model', 'the name of a model', model)}")
    try:
        found = check(values, "key", [*OPTIONS, "model", "ranks"])
    except UsageError as exc:
        raise UsageError(f"{path}: {exc}") from None
    if isinstance(model, str) and model.endswith(".py") and not Path(model).is_absolute():
        model = str(path.parent / model)
    return found if model is None else {"model": model, **found}


def _toml(path: Path) -> dict[str, Any]:
    import tomllib  # not needed where there is no such file

    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as exc:
        raise UsageError(f"the config file {path} cannot be read: {exc.strerror}") from None
    except RecursionError:
        raise UsageError(f"the config file {path} is nested too deep") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"the config file {path} is not TOML: {exc}") from None


def agree(args: dict[str, Any], control: ControlChannel) -> tuple[str, dict[str, Any]]:
    """Return the same as ``read``, with the output, on every rank; ends ``control``.

    Raises
    ------
    UsageError
        On every rank, whichever lacks a file or has another.

    """
    mine: tuple[str, Any]
    try:
        mine = control.where, read(args)
    except UsageError as error:
        mine = control.where, str(error)

    def decide(all_ranks: list[tuple[str, Any]]) -> tuple[str, dict[str, Any]]:
        first = all_ranks[0][1]
        for where, found in all_ranks:
            if isinstance(found, str):
                alone = any(other != found for _, other in all_ranks)
                raise UsageError(found + (where if alone else ""))
            if found != first:
                raise UsageError(_difference(found, first, where))
        name, options = first
        if "output" not in options:
            options["output"] = _output(name, options)
        return name, options

    try:
        agreed: tuple[str, dict[str, Any]] = control.gather_and_decide(mine, decide)
    except BaseException as exc:
        control.end(exc)
    control.close()
    return agreed


def _difference(found: Any, first: Any, where: str) -> str:
    if found[0] != first[0]:
        return f"the model is {found[0]}{where}, and {first[0]} on rank 0. Do all read the same?"
    return (
        f"the settings differ{where}: {found[1]}, and on rank 0 {first[1]}. Do all read the same "
        "config file?"
    )


def output_of(words: list[str]) -> Path:
    """Return the file of a run that was started with these words; of a built-in example the last.

    Raises
    ------
    UsageError
        If they are not those of a run.

    """
    _, arguments = parse(["run", *words])
    name, options = read({**arguments, "resume": True, "overwrite": None})
    return Path(options.get("output") or _output(name, options))


def _output(name: str, options: dict[str, Any]) -> str:
    if model.is_builtin(name) and not options.get("overwrite"):
        return _free_name(name, bool(options.get("resume")))
    return model.stem(name) + ".h5"


def _free_name(name: str, resume: bool) -> str:
    """Return line.h5, or line-2.h5 and so on if there is one: for the built-in examples only.

    To resume, the last that is there.
    """
    output, i = Path(f"{name}.h5"), 1
    last = output
    while output.exists():
        i += 1
        last, output = output, Path(f"{name}-{i}.h5")
    return str(last if resume else output)
