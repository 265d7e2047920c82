"""Environments of the templates, one for each language."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, nodes
from jinja2.ext import InternationalizationExtension
from jinja2.visitor import NodeTransformer

from stemsplitter.console import assets
from stemsplitter.console.tasks import TASKS
from stemsplitter.console.tools import TOOLS
from stemsplitter.languages import LANGUAGES, catalog
from stemsplitter.version import __version__

TEMPLATES = Path(__file__).parent / "templates"


class _Trans(InternationalizationExtension):
    """``trans`` blocks. Those without values become constants of the template, which cost no time on each page."""

    def _make_node(self, singular: str, *rest: Any) -> nodes.Output:
        if any(rest):
            return super()._make_node(singular, *rest)
        # a literal percent sign is doubled in texts
        text = self.environment.gettext_of(singular).replace("%%", "%")  # type: ignore[attr-defined]
        return nodes.Output([nodes.TemplateData(text)])


class _Constants(NodeTransformer):
    """Replaces calls of pure functions that have a constant as their only argument by the result."""

    def __init__(self, functions: Mapping[str, Callable[[str], str]]) -> None:
        self._functions = functions

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.node, nodes.Name) or len(node.args) != 1 or node.kwargs:
            return node
        function, argument = self._functions.get(node.node.name), node.args[0]
        if function is None or not isinstance(argument, nodes.Const):
            return node
        return nodes.Const(function(argument.value), lineno=node.lineno)


class _Environment(Environment):
    """An environment for one language."""

    def __init__(self, language: str) -> None:
        self.gettext_of = catalog(language).translations.gettext
        super().__init__(
            loader=FileSystemLoader(TEMPLATES),
            extensions=[_Trans],
            autoescape=True,
            auto_reload=False,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.policies["ext.i18n.trimmed"] = True
        self.install_gettext_translations(catalog(language).translations, newstyle=True)  # type: ignore[attr-defined]
        self._constants = _Constants(
            {"_": lambda text: self.gettext_of(text).replace("%%", "%"), "static": assets.url}
        )

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed: nodes.Template = self._constants.visit(super()._parse(source, name, filename))
        return parsed


@cache
def environment(language: str) -> Environment:
    """Return the environment of a language. Values are escaped; an undefined variable is an error."""
    made = _Environment(language)
    made.globals |= {
        "languages": LANGUAGES,
        "language": language,
        "static": assets.url,
        "tools": (*TASKS, *TOOLS),
        "version": __version__,
    }
    return made
