"""What plots and exports write for a name: the model's label, else the name as it is typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def plot_labels(
    names: Sequence[str], labels: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    r"""Return what matplotlib is to write for names.

    Parameters
    ----------
    names : sequence of str
        What is shown.
    labels : mapping of str to str
        The model's, for some.

    Returns
    -------
    dict of str to str
        By name; a name without a label is no mathematics, whatever it holds.
    list of str
        A line on each label that matplotlib cannot draw; the name stands there.

    """
    from matplotlib.mathtext import MathTextParser

    parser, found, remarks = MathTextParser("path"), dict[str, str](), list[str]()
    for name in names:
        found[name] = name.replace("$", r"\$")
        if name not in labels:
            continue
        try:
            parser.parse(labels[name])
        except (ValueError, RuntimeError) as exc:
            why = str(exc).strip().splitlines()[-1]
            remarks.append(f"the label {labels[name]!r} of {name} cannot be drawn: {why}")
        else:
            found[name] = labels[name]
    return found, remarks


def latex(name: str, labels: Mapping[str, str]) -> str:
    r"""Return the label of a name as LaTeX has it within mathematics, for GetDist.

    Parameters
    ----------
    name : str
        Whose.
    labels : mapping of str to str
        The model's; text that is no mathematics as a whole becomes ``\text{...}``.

    Returns
    -------
    str
        Without $; a name without a label as it is typed, with what LaTeX would read escaped.

    """
    label = labels.get(name)
    if label is None:
        return _typed(name)
    inside = label[1:-1]
    if len(label) > 2 and label[0] == label[-1] == "$" and "$" not in inside:
        return inside
    parts = label.split("$")
    return "".join(part if k % 2 else rf"\text{{{part}}}" for k, part in enumerate(parts) if part)


def _typed(name: str) -> str:
    escaped = name.replace("\\", r"\backslash ")
    for mark in "_%&#{}$":
        escaped = escaped.replace(mark, "\\" + mark)
    return escaped.replace("^", r"\hat{\ }").replace("~", r"\sim ").replace(" ", r"\ ")
