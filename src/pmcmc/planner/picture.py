"""A picture of predicted time and efficiency against the number of ranks."""

from __future__ import annotations

import io
from collections.abc import Sequence

from .predict import Prediction


def efficiency_picture(predictions: Sequence[Prediction], title: str) -> bytes:
    """Return the picture as PNG.

    Parameters
    ----------
    predictions : sequence of Prediction
        In the order of ranks.
    title : str
        Of the picture.

    Returns
    -------
    bytes

    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ranks = [one.shape.ranks for one in predictions]
    figure = Figure(figsize=(7, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    time, share = figure.subplots(2, 1, sharex=True)
    seconds = [one.seconds for one in predictions]
    time.plot(ranks, seconds, "o-", label="predicted")
    ideal = [seconds[0] * ranks[0] / n for n in ranks]
    time.plot(ranks, ideal, ":", color="0.5", label="in proportion to the ranks")
    time.set(xscale="log", yscale="log", ylabel="wall time (s)", title=title)
    time.legend()
    share.plot(ranks, [one.efficiency for one in predictions], "o-")
    share.set(ylim=(0, 1.05), xlabel="ranks", ylabel="share of time in log_prob")
    share.set_xticks(ranks, [str(n) for n in ranks])
    share.minorticks_off()
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=130)
    return data.getvalue()
