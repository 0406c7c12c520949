"""Load a model: a .py file, an importable module, or a built-in example."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import forks
from ..errors import ControlFlow, ModelError, UsageError
from ..tracebacks import MODEL_FILE, traceback_text
from .hints import in_package

BUILTIN = ("line",)
OLD_NAMES = {"lnprob": "log_prob", "lnlike": "log_likelihood", "lnprior": "log_prior"}
KEYS = (
    "log_prob",
    "parameters",
    "log_likelihood",
    "log_prior",
    "initial",
    "args",
    "kwargs",
    "vectorized",
    "blobs_dtype",
    "moves",
    "nwalkers",
    "ndim",
    "periodic",
    "derived",
    "labels",
)


ENDING = ".problem"  # of a file that holds one as a pickle: see parcel


def is_builtin(model: str) -> bool:
    """Tell whether ``model`` names a built-in example."""
    return model in BUILTIN


def stem(model: str) -> str:
    """Return the name of a model without folder, package or ending."""
    return Path(model).stem if model.endswith((".py", ENDING)) else model.rpartition(".")[2]


def find(model: str) -> Path | None:
    """Return the file of a .py model, None for a module or a built-in example.

    Parameters
    ----------
    model : str
        What ends in .py or has a slash is a path; else a module or an example.

    Returns
    -------
    Path or None

    Raises
    ------
    UsageError
        If there is no such file or module.

    """
    if is_builtin(model):
        return None
    if model.endswith((".py", ENDING)) or "/" in model:
        path = Path(model)
        if not path.is_file():
            raise UsageError(f"there is no model file {model} (in {_folder()})")
        return path
    try:
        spec = importlib.util.find_spec(model)
    except (ImportError, ValueError, AttributeError):
        spec = None
    if spec is None:
        if model.endswith((".h5", ".hdf5")):
            raise UsageError(f"{model} is no model; of draws: python -m pmcmc summary {model}")
        if Path(model).exists():
            raise UsageError(f"{model} is no model: expected a .py file")
        raise UsageError(
            f"there is no model {model!r}: expected a .py file, a module that can be imported, or "
            f"a built-in example ({', '.join(BUILTIN)})"
        )
    return None


def source(model: str) -> str:
    """Return the text of a model's file; empty where it cannot be read."""
    path = find(model)
    if path is None:
        spec = importlib.util.find_spec(
            f"pmcmc.model.examples.{model}" if is_builtin(model) else model
        )
        path = Path(spec.origin) if spec is not None and spec.origin else None
    try:
        return path.read_text("utf-8", errors="replace") if path is not None else ""
    except OSError:
        return ""


def place(model: str) -> str:
    """Return the absolute path of a model that is a file; else its name."""
    path = find(model)
    return model if path is None else str(path.resolve())


def read(model: str) -> dict[str, Any]:
    """Run a model and return the keyword arguments of its Problem.

    Parameters
    ----------
    model : str
        A .py file, a module that can be imported, or a built-in example.

    Returns
    -------
    dict
        By the names that Problem has for them, also where the model has old ones, as lnprob.

    Raises
    ------
    UsageError
        If it is not there.
    ModelError
        If it does not run (with its traceback), or gives one thing under two names.

    """
    path = find(model)
    try:
        module = _import(model, path)
    except (KeyboardInterrupt, ControlFlow):
        raise
    except BaseException as exc:
        what = f"sys.exit({exc.code!r})" if isinstance(exc, SystemExit) else type(exc).__name__
        if forks.in_child():
            forks.leave(exc)
        text = f"the model {model} ended with {what} while it was loaded\n{traceback_text(exc)}"
        if isinstance(exc, ImportError) and path is not None and "relative import" in str(exc):
            name = in_package(path) or f"PACKAGE.{path.stem}"
            text += (
                f"\n  it is part of a package: python -m pmcmc {name}, from the folder that holds "
                "the package, or with it installed"
            )
        raise ModelError(text) from exc
    if forks.in_child():
        forks.leave()
    return _arguments(module, model)


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "a folder that is gone"


def _import(model: str, path: Path | None) -> ModuleType:
    if path is None:
        name = f"pmcmc.model.examples.{model}" if is_builtin(model) else model
        return importlib.import_module(name)
    folder = str(path.resolve().parent)
    if folder not in sys.path:  # so that a model can import its neighbours
        sys.path.insert(0, folder)
    name = f"{MODEL_FILE}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _arguments(module: ModuleType, model: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in (*KEYS, *OLD_NAMES):
        if hasattr(module, name):
            key = OLD_NAMES.get(name, name)
            if key in found:
                raise ModelError(f"the model {model} has both {key} and {name}: keep one")
            found[key] = getattr(module, name)
    if callable(found.get("periodic")):  # pmcmc.periodic, imported for the table of priors
        del found["periodic"]
    return found
