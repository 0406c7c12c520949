"""Put the one table of options into reference/options.md: ``python docs/options_table.py``."""

from __future__ import annotations

import re
from pathlib import Path

from pmcmc.options import OPTIONS, Option

PAGE = Path(__file__).parent / "reference" / "options.md"
BEGIN, END = "<!-- made by docs/options_table.py -->\n", "<!-- until here -->\n"

# where more is said of an option
MORE = {
    "nsteps burnin until_ess until_rhat until_of rescue": "[enough](../tasks/enough.md)",
    "nwalkers nensembles mode teams schedule moves dry_run": "[shape](../tasks/shape.md)",
    "checkpoint max_time stop_grace resume no_verify": "[stopping](../tasks/stop_resume.md)",
    "overwrite break_lock": "[file exists, locked](../trouble/locked.md)",
    "on_error log_prob_timeout keep_scratch": "[external code](../tasks/external.md)",
    "ranks_per_evaluation": "[MPI likelihood](../tasks/mpi_likelihood.md)",
    "gpus": "[GPUs](../tasks/gpus.md)",
    "initial": "[model](../tasks/model.md)",
    "seed": "[same draws](../explained/same_draws.md)",
}


def flag(option: Option) -> str:
    """Return an option as it is typed."""
    name = option.name.replace("_", "-")
    if option.metavar is None:
        return f"`--{name}`" + (f", `--no-{name}`" if option.default is None else "")
    return "`--{} {}`".format(name, option.metavar.replace("|", "\\|"))


def row(option: Option) -> str:
    """Return an option's line of the table."""
    text = option.help
    found = re.search(r" \(default: (.*)\)$", text)
    default = found[1] if found else ""
    text = text[: found.start()] if found else text
    if option.metavar is None and option.default is False:
        default = "off"
    elif option.default is not None:
        number = isinstance(option.default, int | float)
        default = f"{option.default:g}" if number else option.default
    more = next((link for names, link in MORE.items() if option.name in names.split()), "")
    return f"| {flag(option)} | {text} | {default} | {more} |"


def page() -> str:
    """Return the page, with the table as it is today."""
    before, rest = PAGE.read_text().split(BEGIN)
    head = "| option | meaning | default | more |\n|---|---|---|---|\n"
    table = head + "\n".join(map(row, OPTIONS.values())) + "\n"
    return before + BEGIN + table + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page())
