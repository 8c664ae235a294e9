"""Names in figures: as they are written, whatever letters they have.

Matplotlib takes what stands between two dollar signs for a formula, and draws letters that its font lacks as boxes.
Names come from people: "price_$5_$6.jpg", 猫.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text

__all__ = ["plain", "written"]

FORMULA = re.compile(r"\$(?=\S)[^$\n]+(?<=\S)\$(?!\d)")
PARSER = MathTextParser("path")  # one for all: it keeps what it has parsed
BOX = "\N{WHITE SQUARE}"
# Fonts of boxes, and of symbols that have the numbers of other letters.
NO_LETTERS = ("Last Resort", "cm", "STIXNonUnicode", "STIXSize")


def plain(name: object) -> str:
    """Return a name such that matplotlib draws it as it is, also inside a title that has a formula: $ becomes \\$."""
    return " ".join(str(name).split()).replace("$", r"\$")


def written(text: Text) -> Text:
    """Return a text of a figure, changed so that it can be drawn: by other fonts, and without formulas that are none.

    Letters that no installed font has become boxes, and a warning says so.
    """
    words = text.get_text()
    formula = words.count("$") == words.count(r"\$") or _is_formula(words)
    text.set_parse_math(formula)
    if not formula:
        text.set_text(words := words.replace(r"\$", "$"))
    if words.isascii():
        return text
    usual = findfont(text.get_fontproperties())
    fonts, without = _others(frozenset(letter for letter in words if not _has(usual, letter)))
    text.set_fontfamily(list(dict.fromkeys([*text.get_fontfamily(), *fonts])))
    if without:
        warnings.warn(
            f"no installed font has the letters {without}: they are drawn as boxes. Install a font that has them, such "
            "as Noto Sans CJK for Chinese, Japanese and Korean.",
            stacklevel=3,
        )
        text.set_text("".join(BOX if letter in without else letter for letter in words))
    return text


def _is_formula(words: str) -> bool:
    """As Pandoc has it: no space inside the dollars that stand for math, no digit behind them; and it can be parsed."""
    unescaped = words.replace(r"\$", "")
    if "$" in FORMULA.sub("", unescaped):
        return False
    try:
        for formula in FORMULA.findall(unescaped):
            PARSER.parse(formula)
    except ValueError:
        return False
    return True


def _has(path: str, letter: str) -> bool:
    return letter.isspace() or get_font(path).get_char_index(ord(letter)) > 0


@lru_cache
def _others(letters: frozenset[str]) -> tuple[tuple[str, ...], str]:
    """Fonts that have letters which the usual one lacks, each as many as it can; and the letters that none has."""
    fonts, rest = [], set(letters)
    for entry in fontManager.ttflist if rest else ():
        if entry.name.startswith(NO_LETTERS) or entry.name in fonts:
            continue
        try:
            own = {letter for letter in rest if _has(entry.fname, letter)}
        except (OSError, RuntimeError):  # a font of bitmaps, or one that was removed
            continue
        if own:
            fonts.append(entry.name)
            rest -= own
    return tuple(fonts), "".join(sorted(rest))
