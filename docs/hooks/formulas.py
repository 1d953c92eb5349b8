"""Formulas without a script or a font to load: what stands in a line as MathML, what stands alone as a drawing.

Browsers lay MathML out by themselves, but large sums and fractions well only with a font for mathematics, which many
readers don't have. So Matplotlib draws those; what it doesn't know, MathML does.
"""

import functools
import html
import io
import re

from latex2mathml.converter import convert

# What pymdownx.arithmatex leaves of $...$ and $$...$$.
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
_SVG = re.compile(
    r'<svg .*?width="([\d.]+)pt" height="([\d.]+)pt" viewBox="([^"]+)".*?>(?:.*?</metadata>)?(.*)', re.DOTALL
)
_POINTS = 10  # to an em
# Matplotlib sets no space behind a sum.
_SUM = re.compile(r"\\sum(?:[_^](?:\w|\{(?:[^{}]|\{[^{}]*\})*\}))*")


def draw(page: str) -> str:
    """A page's HTML with each formula drawn."""

    def replace(match: re.Match[str]) -> str:
        tag, formula = match[1], " ".join(html.unescape(match[2]).split())
        drawn = _mathml(formula) if tag == "span" else _drawing(formula)
        return f'<{tag} class="formula">{drawn}</{tag}>'

    return _FORMULA.sub(replace, page)


def _mathml(formula: str, display: str = "inline") -> str:
    return convert(formula, display=display)


@functools.cache
def _drawing(formula: str) -> str:
    import matplotlib
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import math_to_image

    file = io.StringIO()
    settings = {
        "mathtext.fontset": "stix",
        "savefig.facecolor": "none",
        "svg.fonttype": "path",
        "svg.hashsalt": "bnn_tf",
    }
    try:
        with matplotlib.rc_context(settings):
            spaced = _SUM.sub(lambda match: rf"\;{match[0]}\;", formula).replace(r"\frac", r"\dfrac")
            math_to_image(f"${spaced}$", file, prop=FontProperties(size=_POINTS), format="svg")
    except ValueError:
        return _mathml(formula, display="block")
    width, height, box, content = _SVG.search(file.getvalue()).groups()  # type: ignore[union-attr]
    content = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>|<!--.*?-->", "", content, flags=re.DOTALL)
    size = f'width="{float(width) / _POINTS:.3f}em" height="{float(height) / _POINTS:.3f}em"'
    return f'<svg role="img" aria-label="{html.escape(formula)}" {size} viewBox="{box}" fill="currentColor">{content}'
