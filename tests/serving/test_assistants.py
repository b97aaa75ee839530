"""The tools as an assistant calls them, over stdin and stdout of the verb, by the library's own client."""

import os
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from nextitem.errors import DataError
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.serving.assistants import Tools
from nextitem.serving.recommender import Recommender
from worlds.command_line import typed
from worlds.small_runs import RECIPES, metrics, outcome

NAME = "sasrec-ce"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(Workplace(tmp_path_factory.mktemp("runs"), NAME, 0), RECIPES[NAME], outcome(NAME), metrics(NAME))


async def asked(run: Path, calls: list[tuple[str, dict[str, Any]]]) -> tuple[dict[str, Any], list[Any]]:
    """(the tools by name, what each call gave)."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    words = ["-m", "nextitem", "mcp", str(run)]
    parameters = StdioServerParameters(command=sys.executable, args=words, env=environment)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        async with Client(stdio_client(parameters, errlog=nowhere)) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            return tools, [await client.call_tool(name, words) for name, words in calls]


def test_an_assistant_is_answered_over_stdio(run: Path) -> None:
    calls = [
        ("recommend", {"history": ["i03", "the first"], "k": 3}),
        ("similar", {"item": "The First", "k": 2}),
        ("explain", {"history": ["i03", "i04"], "k": 1, "without": ["i04"]}),
        ("similar", {"item": "The"}),
    ]
    tools, (recommended, similar, explained, refused) = anyio.run(asked, run, calls)
    assert set(tools) == {"recommend", "similar", "explain"}
    assert all(tool.description for tool in tools.values())
    recommender = Recommender.load(run)
    assert [one["item"] for one in recommended.structured_content["items"]] == [
        one.item for one in recommender.recommend([["i03", "i00"]], 3)[0]
    ]
    assert similar.structured_content["item"] == "i00"
    assert len(similar.structured_content["similar"]) == 2
    carriers = explained.structured_content["items"][0]["carriers"]
    assert {one["item"] for one in carriers} == {"i03", "i04"}
    assert explained.structured_content["what_if"]["items"]
    assert refused.is_error
    assert "no id and no title of an item; did you mean 'The First' (id 'i00')?" in refused.content[0].text


def test_an_item_is_found_by_id_and_by_title() -> None:
    tools = Tools(Recommender.from_outcome(outcome(NAME)))
    assert tools.item("i05") == "i05"
    assert tools.item("THE FIRST") == "i00"
    with pytest.raises(DataError, match=r"'nothing like it' is no id and no title of an item$"):
        tools.item("nothing like it")


def test_without_the_library_the_verb_says_what_to_install(
    run: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    monkeypatch.delitem(sys.modules, "nextitem.serving.assistants")
    assert typed(monkeypatch, "mcp", str(run)) == 2
    assert "pip install 'nextitem[mcp]'" in capfd.readouterr().err
