"""Links in the documentation lead somewhere, and code that points to a page points to one."""

import re

import pytest

from .pages import PAGES, REPO, anchors, name_of

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_NAMED_IN_CODE = re.compile(r"docs/[\w/-]+\.md")


def _text_without_code(page):
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_resolves(page):
    dead = []
    for link in _LINK.findall(_text_without_code(page)):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [REPO / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for link in _LINK.findall(_text_without_code(page)):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.is_file():
                waiting.append(target)
    assert [name_of(page) for page in PAGES if page not in reached] == []


def test_pages_named_in_code_exist():
    sources = [*REPO.glob("ksi_pipeline/**/*.py"), *REPO.glob("video_ingest/**/*.py")]
    named = {name for path in sources for name in _NAMED_IN_CODE.findall(path.read_text())}
    assert named
    assert [name for name in sorted(named) if not (REPO / name).exists()] == []
