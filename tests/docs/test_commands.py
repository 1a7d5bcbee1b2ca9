"""Commands in the documentation are the commands that there are."""

import re
import shlex

import pytest
import typer

from ksi_pipeline.cli import app

from .pages import PAGES, REFERENCE, REPO, bare, blocks, name_of, rows, section

ROOT = typer.main.get_command(app)


def verbs(command=ROOT, path="ksi"):
    """Every verb by its full name; of groups only those that do something by themselves."""
    found = {}
    for name, child in command.commands.items():
        full = f"{path} {name}"
        found |= verbs(child, full) if hasattr(child, "commands") else {}
        if not hasattr(child, "commands") or child.invoke_without_command:
            found[full] = child
    return found


VERBS = verbs()


def options(verb):
    """Options as they are typed, and arguments in capitals."""
    typed = set()
    for parameter in VERBS[verb].params:
        named = (
            parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()]
        )
        typed |= set(named)
    return typed - {"--help"}


def used():
    """Every `ksi` command line in a console block: (page, words)."""
    for page in PAGES:
        for block in blocks(page, "console"):
            for line in re.findall(r"^\$ (ksi .+)$", block, re.M):
                yield name_of(page), shlex.split(line)


def test_every_verb_has_its_heading_and_no_heading_is_stale():
    text = (REFERENCE / "command-line.md").read_text()
    assert set(re.findall(r"^## (ksi .+)$", text, re.M)) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_a_verb_is_documented_and_none_is_stale(verb):
    listed = rows(section(REFERENCE / "command-line.md", verb))
    assert {bare(row[0]) for row in listed} == options(verb)


@pytest.mark.parametrize("verb", VERBS)
def test_the_documented_defaults_are_the_real_ones(verb):
    listed = {
        bare(row[0]): bare(row[1]) for row in rows(section(REFERENCE / "command-line.md", verb))
    }
    for parameter in VERBS[verb].params:
        if parameter.name == "help":
            continue
        typed = (
            parameter.opts[0] if parameter.param_type_name == "option" else parameter.name.upper()
        )
        if parameter.required:
            assert listed[typed] == "required"
        elif parameter.default not in (None, False):
            assert listed[typed] == str(parameter.default)


def test_commands_shown_in_the_docs_exist_with_their_options():
    shown = list(used())
    assert len(shown) > 10
    for page, words in shown:
        verb = next((name for name in VERBS if words[: len(name.split())] == name.split()), None)
        assert verb, f"{page}: there is no command {' '.join(words)}"
        given = {word for word in words if word.startswith("--")}
        assert given <= options(verb), f"{page}: {' '.join(words)}"


def test_make_targets_shown_in_the_docs_are_in_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(), re.M))
    shown = {
        target
        for page in PAGES
        for target in re.findall(r"(?:\$ |`)make ([a-z-]+)", page.read_text())
    }
    assert {"demo", "test"} <= shown <= targets


def test_the_readme_opens_with_the_two_commands():
    first_block = blocks(REPO / "README.md", "console")[0]
    assert re.findall(r"^\$ (.+)$", first_block, re.M) == ["make demo", "make test"]
