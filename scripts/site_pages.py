"""Hook of mkdocs: adds the pages that are kept outside docs/, and removes links to files that have no page."""

import re
from pathlib import Path
from textwrap import indent

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# file in the repository → page of the site
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
FENCE = re.compile(r"^```(\w+) (\S+)$", re.MULTILINE)
# adjacent blocks with titles, the languages of one program
TABS = re.compile(r"(?:^```\w+ \S+\n(?:(?!```).*\n)*```\n\n?){2,}", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[((?:`[^`]*`|[^\]`])+)\]\(([^)\s]+)\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that are kept outside docs/."""
    for source, target in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, target, content=LINK.sub(_to_page, text)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show adjacent blocks as tabs and file names as titles; remove links out of docs/, as the console does."""
    markdown = TABS.sub(_to_tabs, markdown)
    markdown = FENCE.sub(r'```\1 title="\2"', markdown)
    if page.file.src_uri.startswith("reference/"):
        return markdown
    return LINK.sub(lambda link: link[1] if link[2].startswith("../") else link[0], markdown)


def _to_tabs(blocks: re.Match[str]) -> str:
    """One tab per block."""

    def tab(block: str) -> str:
        head, body = block.split("\n", 1)
        language, title = head.split()
        return f'=== "{title}"\n\n' + indent(f"```{language}\n{body}```\n", "    ")

    found = re.findall(r"^```(\w+ \S+\n(?:(?!```).*\n)*)```$", blocks[0], re.MULTILINE)
    return "\n".join(tab(each) for each in found) + "\n"


def _to_page(link: re.Match[str]) -> str:
    """A link of a page that is kept outside docs/."""
    target, _, anchor = link[2].partition("#")
    if target in PAGES:
        return f"[{link[1]}]({PAGES[target]}{'#' * bool(anchor)}{anchor})"
    is_page = target.endswith(".md") and (ROOT / "docs" / target).exists()
    return link[0] if is_page or not target or "://" in target else link[1]
