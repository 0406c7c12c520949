"""Text for people."""

import time

import pytest

from pmcmc import streams, text
from pmcmc.text import announced, count_text, duration_text, ordinal_text, some_text, span_text


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (duration_text(0.0042), "4.2 ms"),
        (duration_text(12600), "3.5 h"),
        (duration_text(119.99), "2 min"),
        (count_text(1, "ensemble"), "1 ensemble"),
        (count_text(2, "ensemble"), "2 ensembles"),
        (" ".join(map(ordinal_text, (1, 2, 3, 4, 11, 12, 13, 21, 112))),
         "1st 2nd 3rd 4th 11th 12th 13th 21st 112th"),
        (span_text([3, 5, 4]), "3 to 5"),
        (some_text(list("abcdefg")), "a, b, c, d, e, ..."),
    ],
)  # fmt: skip
def test_numbers_and_lists(made, expected):
    assert made == expected


def test_only_what_takes_long_is_announced(monkeypatch):
    monkeypatch.setattr(text, "_SOON", 0.1)
    said = []
    with announced("quick", said.append):
        pass
    with announced("slow", said.append):
        time.sleep(0.3)
    assert said == ["slow ..."]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_command_that_reads_files_says_it_on_a_terminal_only(capsys, monkeypatch, terminal):
    monkeypatch.setattr(text, "_SOON", 0.1)
    monkeypatch.setattr(streams.sys.stderr, "isatty", lambda: terminal)
    with announced("working out plots"):
        time.sleep(0.3)
    assert capsys.readouterr().err == ("working out plots ...\n" if terminal else "")
