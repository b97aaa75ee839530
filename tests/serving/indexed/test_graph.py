"""The graph against products that are computed, on vectors of unlike lengths."""

import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from torch.testing import assert_close

from nextitem.serving.indexed.graph import Graph, longest, of_one_length
from worlds.vectors import ITEMS, WIDTH, graph, table

HEAD = 8 + 40 * 4 * (WIDTH + 1)  # where the vectors of a graph of 40 end


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("number", [1, 6])
def test_vectors_of_one_length_have_the_products_that_they_had(number: int, seed: int) -> None:
    vectors_Ne, asked_e = (
        3 * torch.randn(number, 2, generator=torch.Generator().manual_seed(seed)),
        torch.tensor([0.5, -2.0]),
    )
    longer_Nf = of_one_length(vectors_Ne, longest(vectors_Ne))
    assert_close(longer_Nf.norm(dim=1), torch.full((number,), longest(vectors_Ne)), rtol=1e-4, atol=1e-4)
    assert torch.equal(longer_Nf @ torch.cat([asked_e, torch.zeros(1)]), longer_Nf[:, :-1] @ asked_e)


@pytest.mark.parametrize("count", [1, 64])
def test_the_largest_products_are_nearest(count: int) -> None:
    asked_Ce = torch.randn(20, WIDTH, generator=torch.Generator().manual_seed(1))
    best_C10 = (asked_Ce @ table().T).topk(count).indices
    found_CK = graph().nearest(asked_Ce, count)
    assert found_CK.shape == (20, count)
    assert torch.isin(best_C10, found_CK).float().mean() > 0.9
    assert torch.equal(graph().nearest(asked_Ce[:1], count), found_CK[:1])


def test_fewer_vectors_than_are_asked_for_leave_places_empty() -> None:
    few = Graph.of(table()[:3], "f32", threads=1)
    for queries in (1, 2):
        found_CK = few.nearest(table()[:queries], 5)
        assert found_CK[:, 3:].eq(-1).all()
        assert found_CK[:, :3].sort(dim=1).values.tolist() == [[0, 1, 2]] * queries


def test_what_is_written_is_opened_and_added_to_some_at_a_time(tmp_path: Path) -> None:
    told: list[str] = []
    parts = Graph.empty(WIDTH, "f32")
    for part in table().split(1_200):
        parts.add(part, longest(table()), threads=1, say=told.append)
    assert told == ["1,200 of 1,200 items in the index", f"{ITEMS:,} of {ITEMS:,} items in the index"]
    parts.write(tmp_path / "graph")
    opened = Graph.opened(tmp_path / "graph")
    assert (len(opened), opened.width) == (ITEMS, WIDTH)
    assert opened.bytes > 0
    assert torch.equal(opened.nearest(table()[:2], 9), parts.nearest(table()[:2], 9))


@pytest.mark.parametrize("content", [b"", b"nothing of that kind", bytes(4096)])
def test_another_content_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "graph").write_bytes(content)
    with pytest.raises(ValueError, match="is no index"):
        Graph.opened(tmp_path / "graph")


def damaged(seed: int) -> bytes:
    """A graph of 40 vectors with a few bytes of what follows the vectors changed."""
    draws, whole = random.Random(seed), bytearray(whole_of(40))
    for place in draws.sample(range(HEAD + 64, len(whole)), 3):
        whole[place] = draws.randrange(256)
    return bytes(whole)


@cache
def whole_of(vectors: int) -> bytes:
    with TemporaryDirectory() as folder:
        Graph.of(table()[:vectors], "f32", links=16, threads=1).write(Path(folder) / "graph")
        return (Path(folder) / "graph").read_bytes()


def test_no_link_leads_out_of_a_graph_that_is_opened(tmp_path: Path) -> None:
    refused = 0
    for seed in range(150):
        (tmp_path / "graph").write_bytes(damaged(seed))
        try:
            graph = Graph.opened(tmp_path / "graph")
        except ValueError:
            refused += 1
        else:
            found = graph.nearest(table()[:3], 40)
            assert found.lt(40).all()
    assert 30 < refused < 150  # what is behind the links of a list is not read


@pytest.mark.parametrize(
    ("place", "value", "fact"),
    [
        (0, b"\x27", "is no index"),  # rows
        (HEAD + 7, b"\x63", "is no index|of another|cannot|[Vv]ersion|match"),  # of the library
        (HEAD + 64, b"\x29", "has 40 vectors and says"),
        (HEAD + 64 + 8, b"\x11", "lists of links should end"),
        (HEAD + 64 + 32, b"\x28", "has levels or a beginning"),
        (HEAD + 64 + 40, b"\x7f", "has levels or a beginning"),
        (HEAD + 64 + 40 + 80, b"\x01", "two vectors of one key"),
        (HEAD + 64 + 40 + 80 + 10, b"\x21", "links to vectors that are not there"),
        (HEAD + 64 + 40 + 80 + 14, b"\x28", "links to vectors that are not there"),
    ],
)
def test_what_cannot_be_is_said(place: int, value: bytes, fact: str, tmp_path: Path) -> None:
    whole = bytearray(whole_of(40))
    whole[place : place + 1] = value
    (tmp_path / "graph").write_bytes(whole)
    with pytest.raises(ValueError, match=fact):
        Graph.opened(tmp_path / "graph")


def test_without_the_extra_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "usearch.index", None)
    with pytest.raises(ValueError, match=r"pip install 'nextitem\[index\]'"):
        Graph.empty(3)
