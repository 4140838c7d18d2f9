"""Text for LaTeX: what plain pdflatex sets, and an upper bound of its width."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from prunebert.errors import visible

SIGNS = {
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    **{sign: rf"${sign}$" for sign in "<>|"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≈": r"$\approx$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "·": r"$\cdot$",
    "°": r"$^\circ$",
    "→": r"$\rightarrow$",
    "†": r"\dag{}",
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
    "−": "$-$",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "[": "{[}",  # after a row's end, [ begins a length
    "]": "{]}",
    "*": "{*}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "\N{NO-BREAK SPACE}": "~",
}
GREEK = {  # letters for which plain LaTeX has a command of this name
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"),
    *("xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
    *("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega"),
}
ACCENTS = {  # combining characters, and the commands that the font encoding OT1 has for them
    **{"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": "."},
    **{"\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c", "\u0323": "d"},
}
LIGATURES = re.compile(r"-(?=-)|'(?=')|`(?=`)|[?!](?=`)|,(?=,)")
UNSET = re.compile(r"(\\texttt\{U\+[0-9A-F]+\})(?! |$)")
NARROWEST, SMALLEST = 60.0, 8  # points of the narrowest column of labels, and its font size; wider words may be broken
CHUNK, WIDE_CHUNK = 12, 6  # characters after which a word may be broken; the second where 12 are too wide
WORD_PARTS = re.compile(rf"[^\s_=,/.:;&-]{{1,{CHUNK}}}[_=,/.:;&-]{{0,{CHUNK}}}|[_=,/.:;&-]{{1,{CHUNK}}}|\s+")

WIDTHS = {  # of cmr10, rounded up
    0.28: "il.,:;!'`|",
    0.4: "jfrst()[]- _",
    0.5: 'acegoz0123456789/?*"${}',
    0.56: "bdhknpquvxy",
    0.84: "mw&%<>+=~#@^",
}
RELATIVE = {10: 1, 9: 1.03, 8: 1.065, 7: 1.14, 6: 1.23}  # digits of cmr9 and smaller are wider in proportion
BOLD = 1.16  # digits of cmbx beside those of cmr


def escape(text: object, breaks: bool = False) -> str:
    r"""Return LaTeX that shows the text, in one line.

    Characters that plain pdflatex cannot set, such as those of Chinese, appear as \texttt{U+4E2D}.

    Args:
        text: any text.
        breaks: let a line break inside long words too.
    """
    plain = unicodedata.normalize("NFC", visible(" ".join(str(text).split())))
    if breaks:
        words = plain.split(" ")
        marked = " ".join("\1".join(_breakable(word)) for word in words)
        return UNSET.sub(r"\1\\allowbreak{}", _escape(marked)).replace("\1", r"\allowbreak{}")
    return _escape(plain)


@cache
def width(text: str, size: int, bold: bool = False) -> float:
    """Return an upper bound of the text's width in points, in Computer Modern of `size` points, 6 to 10.

    Times, in which most conferences print, is narrower.
    """
    plain = unicodedata.normalize("NFC", visible(text))
    return sum(map(_width, plain)) * size * RELATIVE[size] * (BOLD if bold else 1)


def lines(title: str, limit: float, size: int) -> list[str]:
    """Return the title broken into lines that are at most `limit` points wide, as far as its letters allow."""
    found = [""]
    for part in _word_parts(" ".join(title.split())):
        for piece in [part] if width(part, size) <= limit else part:
            if found[-1] and width(found[-1] + piece.rstrip(), size) > limit:
                found.append("")
            found[-1] += piece
    return [line.strip() for line in found if line.strip()] or [""]


def _breakable(word: str) -> list[str]:
    """Return the pieces between which a line may break. A word that fits into the narrowest column is one piece."""
    if width(word, SMALLEST) <= NARROWEST:
        return [word]
    return [piece for part in _word_parts(word) for piece in _narrow(part)]


def _narrow(part: str) -> list[str]:
    if width(part, SMALLEST) <= NARROWEST:
        return [part]
    return [part[begin : begin + WIDE_CHUNK] for begin in range(0, len(part), WIDE_CHUNK)]


def _word_parts(text: str) -> list[str]:
    return WORD_PARTS.findall(text)


def _escape(text: str) -> str:
    return "".join(map(_sign, LIGATURES.sub(lambda found: found[0] + "\0", text))).replace("\0", "{}")


def _sign(character: str) -> str:
    """Return LaTeX for one character. "\0" and "\1" are marks of `escape`."""
    if character in SIGNS:
        return SIGNS[character]
    if character.isascii():
        return character
    name = unicodedata.name(character, "").removeprefix("GREEK ")
    case, _, letter = name.partition(" LETTER ")
    command = letter.lower() if case == "SMALL" else letter.capitalize()
    command = {"lamda": "lambda", "Lamda": "Lambda"}.get(command, command)
    if case in ("SMALL", "CAPITAL") and command in GREEK and "GREEK" in unicodedata.name(character):
        return rf"$\{command}$"
    base, *accents = list(unicodedata.normalize("NFD", character))
    if base.isascii() and base.isalpha() and len(accents) == 1 and accents[0] in ACCENTS:
        letter = rf"\{base}" if base in "ij" and ACCENTS[accents[0]] not in "cd" else base
        return rf"\{ACCENTS[accents[0]]}{{{letter}}}"
    return rf"\texttt{{U+{ord(character):04X}}}"


def _width(character: str) -> float:
    """Return an upper bound of a character's width, as a fraction of the size."""
    if character in "±≈−":
        return 0.84
    if not character.isascii():
        shown = _sign(character)
        return 0.53 * shown.count("U+") * len(shown[len(r"\texttt{") : -1]) or 1.03
    for fraction, characters in WIDTHS.items():
        if character in characters:
            return fraction
    return 0.8 if character.isupper() and character not in "MW" else 1.03
