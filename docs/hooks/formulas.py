"""Formulas as MathML, which browsers draw by themselves: no script, no font to load."""

import html
import re

from latex2mathml.converter import convert

# What pymdownx.arithmatex leaves of $...$ and $$...$$.
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def to_mathml(page: str) -> str:
    """A page's HTML with each formula drawn."""

    def replace(match: re.Match[str]) -> str:
        tag, formula = match.groups()
        display = "block" if tag == "div" else "inline"
        drawn = convert(html.unescape(formula).strip(), display=display)
        return f'<{tag} class="formula">{drawn}</{tag}>'

    return _FORMULA.sub(replace, page)
