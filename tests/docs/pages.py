"""The documentation as text: pages, tables, code blocks, headings."""

import re
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
REFERENCE = REPO / "docs" / "reference"
TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md")
PAGES = [*(REPO / name for name in TOP), *sorted((REPO / "docs").rglob("*.md"))]


def name_of(path):
    return path.relative_to(REPO).as_posix()


def section(page, heading):
    """The text under one heading, up to the next of the same level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", page.read_text(), re.M | re.S)
    assert found, f"{name_of(page)} has no heading '## {heading}'"
    return found[1]


def rows(text):
    """Rows of all Markdown tables in a text, as lists of cells without backticks."""
    lines = [line for line in text.splitlines() if line.startswith(("| `", "| an "))]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[cell.strip() for cell in row] for row in cells]


def bare(cell):
    return cell.replace("`", "")


def blocks(page, language):
    """Fenced code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


def anchors(page):
    """The anchors that a page's headings get on the usual hosts."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}
