"""README.md says what is there: its example runs, its commands exist, its links lead somewhere."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from nextitem.cli import app as cli
from nextitem.experiment.presets import load_preset, overrides_of_each, preset_names, resolve_recipe
from nextitem.studies.rows import entries
from nextitem.studies.study import StudyRequest, load_study, study_names

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", CHECKOUT / "CHANGELOG.md", *CHECKOUT.glob("docs/*.md")]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """What follows `nextitem` in the lines of the page's bash blocks."""
    texts = [block.replace("\\\n", " ") for block in blocks(page, "bash")]
    lines = [shlex.split(line, comments=True) for text in texts for line in text.splitlines()]
    # Variables of the environment may stand before the command.
    lines = [words[next((place for place, word in enumerate(words) if "=" not in word), 0) :] for words in lines]
    return [words[1:] for words in lines if words and Path(words[0]).name == "nextitem"]


def spoken_commands(page: Path) -> list[list[str]]:
    """What follows `nextitem` in the page's sentences, where a verb follows and nothing is left out by `…`."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)  # a heading names a verb, and not what it must be given
    codes = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)]
    said = [code for code in codes if re.match(r"nextitem [a-z]+ ", code) and not re.search(r"…|\[|FOLDER", code)]
    return [shlex.split(code)[1:] for code in said]


def settings_of(verb: str, given: dict[str, Any]) -> list[str]:
    """The settings of a recipe that a command names. Raises ConfigurationError where they are called otherwise."""
    words = [given.get("recipe"), *(given.get("recipes") or []), *(given.get("overrides") or given.get("words") or [])]
    recipes = [word for word in words if word in preset_names()]
    overrides = [word for word in words if word is not None and "=" in word]
    if verb in ("train", "compare", "tune"):
        for recipe, own in zip(recipes, overrides_of_each(recipes, overrides), strict=True):
            resolve_recipe(load_preset(recipe), own)
    elif verb == "study" and given["name"] in study_names():
        data = next((word.partition("=")[2] for word in overrides if word.startswith("data=")), None)
        settings = tuple(word for word in overrides if not word.startswith("data="))
        entries(StudyRequest(load_study(given["name"]), data, given["recipe"], settings))
    return overrides


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """Several threads of a small model mostly wait for each other, all the more beside other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_one_thread")
def test_the_example_prints_what_the_page_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,), (shown,) = blocks(PAGES[0], "python"), blocks(PAGES[0], "text")
    monkeypatch.chdir(tmp_path)  # it saves a recommender
    exec(compile(example, "README.md", "exec"), {})  # noqa: S102 - our own page
    printed, expected = capsys.readouterr().out.splitlines(), shown.splitlines()
    assert printed[0] == expected[0]
    assert numbers(printed[1]) == pytest.approx(numbers(expected[1]), abs=0.02)
    assert re.sub(r"0\.\d+", "", printed[1]) == re.sub(r"0\.\d+", "", expected[1])
    assert len(printed) == len(expected)
    assert printed[2] == expected[2]  # the best; what follows may change places


@pytest.mark.usefixtures("_one_thread")
def test_what_stands_beside_other_libraries_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = CHECKOUT / "docs" / "migration.md"
    ours = [block for block in blocks(page, "python") if "implicit" not in block and "rectools" not in block]
    people = ["ann", *(f"user {number}" for number in range(39))]
    events = [(who, f"i{(n + step) % 9}", step) for n, who in enumerate(people) for step in range(6)]
    monkeypatch.chdir(tmp_path)
    pl.DataFrame(events, schema=["user", "item", "time"], orient="row").write_csv("events.csv")
    films = [(f"i{n}", f"Film {n}", "Comedy|Drama" if n % 2 else "Comedy", 5.0 + n) for n in range(9)]
    pl.DataFrame(films, schema=["item", "title", "genres", "price"], orient="row").write_csv("films.csv")
    names: dict[str, Any] = {}
    for block in ours:  # each goes on from those before it
        exec(compile(block, "migration.md", "exec"), names)  # noqa: S102 - our own page
    assert len(ours) == 3
    assert len(names["lists"][0]) == 3


def numbers(line: str) -> list[float]:
    return [float(number) for number in re.findall(r"0\.\d+", line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_has_known_options(page: Path) -> None:
    for verb, *arguments in commands(page) + spoken_commands(page):
        with cli.verb(verb).make_context(verb, list(arguments)) as context:
            assert set(settings_of(verb, context.params)) <= {*arguments}, f"{verb} {arguments}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_script_that_is_named_exists_and_has_the_options(page: Path) -> None:
    text = " ".join(page.read_text(encoding="utf-8").split())
    for script, options in re.findall(r"python ((?:benchmarks|tools)/\w+\.py)((?: [\w./-]+)*)", text):
        source = (CHECKOUT / script).read_text(encoding="utf-8")
        assert all(f'"{option}"' in source for option in re.findall(r"--[a-z-]+", options)), f"{script}{options}"


def test_the_pages_show_commands() -> None:
    assert {verb for page in PAGES for verb, *_ in commands(page)} == {
        *("train", "compare", "reproduce", "study", "tune", "evaluate", "recommend", "report", "prepare", "check"),
        *("recipes", "similar", "explain", "items", "update", "refit", "forget", "export", "dump", "restore", "serve"),
        *("replay", "mcp", "ensemble", "blend", "distil", "index", "publish"),
    }


def test_the_first_page_names_every_verb() -> None:
    named = set(re.findall(r"nextitem ([a-z]+)", PAGES[0].read_text(encoding="utf-8")))
    assert set(cli.VERBS) <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for address in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if not address.startswith(("https://", "http://")):
            name, _, heading = address.partition("#")
            target = page.parent / name if name else page
            assert target.is_file(), f"{page.name} links to {name}, which is not there"
            assert not heading or heading in headings(target), f"{name} has no heading #{heading}"


def headings(page: Path) -> list[str]:
    """The addresses of a page's headings, as hosts of Markdown make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w\s-]", "", title).strip().lower().replace(" ", "-") for title in titles]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_recipe_that_is_named_exists(page: Path) -> None:
    for name in re.findall(r"`((?:sasrec|bert4rec)-[\w-]+)`", page.read_text(encoding="utf-8")):
        assert name in preset_names()
