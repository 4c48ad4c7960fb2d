"""Every link of every page leads somewhere: to a file, and to a heading in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("crates", "deploy", "proto", "python", "tests")
PAGES = sorted(
    [*REPOSITORY.glob("*.md"), *(page for folder in FOLDERS for page in (REPOSITORY / folder).rglob("*.md"))]
)


def text(page: Path) -> str:
    """A page without its blocks of code, in which brackets mean other things."""
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """Targets of links and pictures."""
    return re.findall(r"\]\(([^()\s]+)\)", re.sub(r"`[^`\n]*`", "", text(page)))


def test_there_are_pages_with_links() -> None:
    """Else what is below would find nothing wrong."""
    assert {"README.md", "ARCHITECTURE.md"} <= {page.name for page in PAGES}
    assert sum(len(links(page)) for page in PAGES) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            assert target.startswith(("https://", "http://localhost")), link
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.is_relative_to(REPOSITORY) and file.exists(), link
        assert not anchor or anchor in anchors(file), link
