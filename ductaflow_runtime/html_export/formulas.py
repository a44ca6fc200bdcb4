r"""Formulas as MathML, which browsers show by themselves: no script, no font, nothing to load."""

from __future__ import annotations

import html
import re
from xml.etree import ElementTree

from latex2mathml.converter import convert_to_element

# Numbered, each would begin at (1) again, since every formula is converted by itself.
_NUMBERED = frozenset(["align", "alignat", "eqnarray", "equation", "gather", "multline"])
_FORMULA = re.compile(
    r"(?<!\\)\$\$(?P<display>.+?)(?<!\\)\$\$"
    r"|\\\[(?P<bracket>.+?)\\\]"
    r"|(?P<environment>\\begin\{(?P<name>[a-z]+\*?)\}(?P<body>.+?)\\end\{(?P=name)\})"
    r"|\\\((?P<paren>.+?)\\\)"
    r"|(?<![\\$])\$(?P<inline>[^$]+?)(?<!\\)\$",
    re.DOTALL,
)


def to_mathml(latex: str, *, display: bool) -> str:
    """One formula, without its delimiters; what cannot be converted is shown as it was written."""
    try:
        element = convert_to_element(latex.strip(), display="block" if display else "inline")
    except Exception:  # noqa: BLE001 - its parser fails in many ways on what is not quite LaTeX
        return f'<code class="formula">{html.escape(latex)}</code>'
    for node in element.iter():
        # It gives symbols as character references, and `<` in a text as it is: let one place escape both.
        node.text = html.unescape(node.text) if node.text else node.text
    return ElementTree.tostring(element, encoding="unicode")


def environment_to_mathml(name: str, body: str) -> str:
    r"""A formula given as `\begin{name}...\end{name}`."""
    starred = f"{name}*" if name in _NUMBERED else name
    if starred == "equation*":
        return to_mathml(body, display=True)
    return to_mathml(rf"\begin{{{starred}}}{body}\end{{{starred}}}", display=True)


def latex_to_html(text: str) -> str:
    """A `text/latex` output: its formulas as MathML, the rest as text."""
    parts: list[str] = []
    position = 0
    for match in _FORMULA.finditer(text):
        parts.append(html.escape(text[position : match.start()]))
        parts.append(_convert(match))
        position = match.end()
    return "".join([*parts, html.escape(text[position:])])


def _convert(match: re.Match[str]) -> str:
    if match["environment"] is not None:
        return environment_to_mathml(match["name"], match["body"])
    display = match["display"] or match["bracket"]
    if display is not None:
        return to_mathml(display, display=True)
    inline = match["paren"] or match["inline"]
    return to_mathml(inline, display=inline.lstrip().startswith(r"\displaystyle"))
