"""A release has one version, wherever that stands."""

import re

from conftest import ROOT
from pmcmc import __version__


def test_the_version_is_the_same_everywhere():
    first = re.search(r"^## (\S+) \((unreleased|\d{4}-\d\d-\d\d)\)$", changes(), re.M)
    assert first[1] == __version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (\S+)$", citation, re.M)[1] == __version__
    recipe = (ROOT / "docs/packaging/meta.yaml").read_text()
    assert re.search(r'set version = "(\S+)"', recipe)[1] == __version__


def changes():
    return (ROOT / "CHANGELOG.md").read_text()


def test_the_recipe_has_the_dependencies():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    recipe = (ROOT / "docs/packaging/meta.yaml").read_text()
    for dependency in project["dependencies"]:
        name, least = dependency.split(">=")
        assert f"- {name} >={least}\n" in recipe
