"""nbconvert's exporter with the template beside this file, and formulas converted as the page is made."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import pass_context
from nbconvert.exporters.html import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from traitlets.config import Config

from ductaflow_runtime.html_export.formulas import environment_to_mathml, latex_to_html, to_mathml

# As nbconvert has it, but without what needs a library from outside: a widget and a Mermaid diagram
# also come as text.
_PREFERRED = [
    "application/javascript",
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "text/latex",
    "image/png",
    "image/jpeg",
    "text/plain",
]


class Renderer(IPythonRenderer):
    """Markdown with formulas as MathML, and local images inside the page."""

    def block_math(self, body: str) -> str:
        """A formula on a line of its own."""
        return to_mathml(body, display=True)

    def inline_math(self, body: str) -> str:
        """A formula within a line."""
        return to_mathml(body, display=False)

    def latex_environment(self, name: str, body: str) -> str:
        """A formula given as an environment."""
        return environment_to_mathml(name, body)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """A local image inside the page; one that lies outside would be asked for, so it becomes a link."""
        if url.startswith(("http:", "https:", "//")):
            return str(self.link(text or "image", url, title))
        return str(super().image(text, url, title))


class PageExporter(HTMLExporter):
    """Notebook to page."""

    def __init__(self, show_code: bool) -> None:
        config = Config()
        config.NbConvertBase.display_data_priority = _PREFERRED
        config.CSSHTMLHeaderPreprocessor.enabled = False  # the template has its own colours
        # Under our name, for what nbconvert has to say of a page is not the flow's log.
        log = logging.getLogger("ductaflow.html")
        log.addHandler(logging.NullHandler())
        log.propagate = False
        super().__init__(
            config=config,
            log=log,
            template_name="ductaflow",
            extra_template_basedirs=[str(Path(__file__).parent)],
            exclude_input=not show_code,
            exclude_input_prompt=not show_code,
            exclude_output_prompt=not show_code,
        )

    def default_filters(self) -> Iterator[tuple[str, Any]]:
        """Ours beside nbconvert's."""
        yield from super().default_filters()
        yield "latex2html", latex_to_html

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """Markdown to HTML; images are looked for in the folder of the page."""
        renderer = Renderer(
            escape=False,
            attachments=context.get("cell", {}).get("attachments", {}),
            embed_images=True,
            path=context.get("resources", {}).get("metadata", {}).get("path", ""),
            exclude_anchor_links=True,
        )
        return str(MarkdownWithMath(renderer=renderer).render(source))
