"""Text for LaTeX, character by character, and its width against the metrics of Computer Modern."""

import pytest

from prunebert.report.export.text import escape, lines, width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[2em]* {x} a|b>c 1−2–3 #&", r"{[}2em{]}{*} \{x\} a$|$b$>$c 1$-$2--3 \#\&"),  # \\[2em] would be a length
        ("a±b \\ ~^$<", r"a$\pm$b \textbackslash{} \textasciitilde{}\textasciicircum{}\$$<$"),
        ("50%_of", r"50\%\_of"),
        ("a--b ''c", "a-{}-b '{}'c"),  # no ligatures
        ("naïve Łódź ǎ í", r"na\"{\i}ve \L{}\'{o}d\'{z} \v{a} \'{\i}"),
        ("λ Ω ο", r"$\lambda$ $\Omega$ \texttt{U+03BF}"),  # LaTeX has no omicron
        ("中 ש 😀 ħ", r"\texttt{U+4E2D} \texttt{U+05E9} \texttt{U+1F600} \texttt{U+0127}"),
        ("a\x1b[1m\n\u202eb", r"a\textbackslash{}x1b{[}1m \textbackslash{}u202eb"),
        ("lamda e\u0301", r"lamda \'{e}"),
    ],
)
def test_text_is_shown_and_never_obeyed(text, expected):
    assert escape(text) == expected


def test_only_long_words_may_be_broken():
    assert escape("a short_word", breaks=True) == r"a short\_word"
    text = escape("x" * 30 + " keep_pretrained=true", breaks=True)
    assert max(map(len, text.replace(" ", r"\allowbreak{}").split(r"\allowbreak{}"))) <= len(r"pretrained=") + 2
    assert text.replace(r"\allowbreak{}", "") == "x" * 30 + r" keep\_pretrained=true"


@pytest.mark.parametrize(("letter", "points"), [("w", 6.139), ("W", 8.728), ("M", 7.783), ("m", 7.083), ("a", 4.25)])
@pytest.mark.parametrize("length", [12, 15, 40])
def test_a_wide_word_may_be_broken_for_the_narrowest_column_of_labels(letter, points, length):
    """The column has 40 % of 150 points. The points are those of cmr8, measured by \\settowidth."""
    pieces = escape(letter * length, breaks=True).split(r"\allowbreak{}")
    assert "".join(pieces) == letter * length and max(map(len, pieces)) * points <= 0.4 * 150


def test_the_width_is_at_least_that_of_computer_modern():
    """Points of TeX's cmr10, cmr8 and cmbx10, measured by \\settowidth."""
    for text, size, bold, points in (
        ("77.4", 10, False, 17.778),
        ("77.4", 8, False, 15.111),
        ("77.4", 10, True, 20.444),
        ("magnitude", 10, False, 46.111),
        ("MWQ%", 10, False, 35.278),
    ):
        assert points <= width(text, size, bold) < 1.15 * points + 1


def test_a_title_is_broken_at_its_joints():
    assert lines("rotten_tomatoes", 46, 8) == ["rotten_", "tomatoes"]
    assert lines("qnli", 46, 8) == ["qnli"]
    assert "".join(lines("w" * 40, 46, 8)) == "w" * 40 and max(map(len, lines("w" * 40, 46, 8))) < 12
