"""The manual, by Sphinx: ``pip install '.[docs]' && sphinx-build -W docs docs/_build/html``."""

from __future__ import annotations

from pathlib import Path

import sphobjinv
from docutils import nodes
from latex2mathml.converter import convert

import pmcmc

HERE = Path(__file__).parent

project = "pmcmc"
author = "the developers of pmcmc"
release = version = pmcmc.__version__
copyright = author

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "inventories", "WRITING.md"]
nitpicky = True

myst_enable_extensions = ["dollarmath", "deflist", "attrs_inline"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 120
nb_execution_raise_on_error = True

autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True


def inventory(name: str) -> str:
    """Return an inventory of what the manual refers to, so that no network is needed."""
    listed = sphobjinv.Inventory(str(HERE / "inventories" / f"{name}.txt"))
    made = HERE / "_build" / "inventories" / f"{name}.inv"
    made.parent.mkdir(parents=True, exist_ok=True)
    sphobjinv.writebytes(str(made), sphobjinv.compress(listed.data_file()))
    return str(made)


PROJECTS = {
    "arviz": "https://python.arviz.org/en/stable/",
    "emcee": "https://emcee.readthedocs.io/en/stable/",
    "h5py": "https://docs.h5py.org/en/stable/",
    "mpi4py": "https://mpi4py.readthedocs.io/en/stable/",
    "numpy": "https://numpy.org/doc/stable/",
    "scipy": "https://docs.scipy.org/doc/scipy/",
    "python": "https://docs.python.org/3/",
}
intersphinx_mapping = {name: (url, inventory(name)) for name, url in PROJECTS.items()}

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "pmcmc"
html_static_path = ["_static"]
html_css_files = ["pmcmc.css"]
html_js_files = ["pmcmc.js"]
html_show_sourcelink = False
html_theme_options = {
    "navigation_depth": 2,
    "show_toc_level": 2,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def formula(display: str):
    """Return what writes a formula as MathML, which browsers show by themselves: no network."""

    def visit(self, node):
        self.body.append(convert(node.astext(), display=display))
        raise nodes.SkipNode

    return visit


def setup(app):
    """Write formulas as MathML."""
    app.add_html_math_renderer("mathml", (formula("inline"), None), (formula("block"), None))
