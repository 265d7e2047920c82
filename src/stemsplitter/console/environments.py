"""Environments of the templates, one for each language."""

import re
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

_VALUE = re.compile(r"%\((\w+)\)s")
TEMPLATES = Path(__file__).parent / "templates"


class _Trans(InternationalizationExtension):
    """``trans`` blocks. Those without a plural become parts of the template, as fast as other text."""

    def _make_node(
        self,
        singular: str,
        plural: str | None,
        context: str | None,
        variables: dict[str, nodes.Expr],
        *rest: Any,
    ) -> nodes.Output:
        if plural is not None or context is not None:
            return super()._make_node(singular, plural, context, variables, *rest)
        parts: list[nodes.Expr] = []
        text = self.environment.gettext_of(singular)  # type: ignore[attr-defined]
        for at, part in enumerate(_VALUE.split(text)):
            # a literal percent sign is doubled in texts
            parts.append(variables[part] if at % 2 else nodes.TemplateData(part.replace("%%", "%")))
        return nodes.Output(parts)


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
        "tools": [
            (tool.path, catalog(language).translations.gettext(tool.name)) for tool in (*TASKS, *TOOLS)
        ],
        "version": __version__,
    }
    return made
