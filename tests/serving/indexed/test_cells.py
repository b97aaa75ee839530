"""Cells against products that are computed, on vectors of unlike lengths, and against what a file may hold instead."""

import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nextitem.serving.indexed.cells import Cells, coded
from nextitem.serving.indexed.coded import Coded
from worlds.vectors import CELLS, ITEMS, WIDTH, cells, made, table


@pytest.mark.parametrize("width", [WIDTH, WIDTH - 1])
@pytest.mark.parametrize("count", [1, 64])
def test_the_largest_products_are_among_those_that_are_found(count: int, width: int) -> None:
    mine = cells() if width == WIDTH else Cells(coded(table()[:, :width], threads=1))
    asked_Ce = torch.randn(20, width, generator=torch.Generator().manual_seed(1))
    best_C10 = (asked_Ce @ table()[:, :width].T).topk(count).indices
    found_CK = mine.nearest(asked_Ce, max(32, 2 * count), CELLS)
    assert torch.stack([torch.isin(*pair).float().mean() for pair in zip(best_C10, found_CK, strict=True)]).mean() > 0.9
    assert torch.equal(
        mine.nearest(asked_Ce[:1], 64, CELLS).sort().values, mine.nearest(asked_Ce, 64, CELLS)[:1].sort().values
    )


def test_a_vector_is_the_middle_of_its_cell_and_a_rounded_difference() -> None:
    """What the library computes is that."""
    known, asked_e = made(), torch.randn(WIDTH, generator=torch.Generator().manual_seed(2))
    numbers_NE = np.stack([known.codes_NB & 15, known.codes_NB >> 4], axis=2).reshape(ITEMS, WIDTH)
    cell_N = np.repeat(np.arange(CELLS), known.sizes_G)
    rounded_NE = known.middles_GE[cell_N] + known.levels_El[np.arange(WIDTH), numbers_NE]
    restored_NE = torch.from_numpy(rounded_NE)[torch.from_numpy(known.places_N).argsort()]
    assert (restored_NE - table()).norm() < 0.2 * table().norm()
    best_10 = (restored_NE @ asked_e).topk(20).indices
    assert torch.isin(best_10, cells().nearest(asked_e[None], 24, CELLS)).all()  # look-ups are rounded once more


def test_only_cells_that_are_entered_are_looked_at() -> None:
    asked_Ce = table()[:3]
    best_C = torch.from_numpy(made().middles_GE).matmul(asked_Ce.T).argmax(0)
    found_CK = cells().nearest(asked_Ce, ITEMS, 1)
    assert found_CK.ge(0).sum(1).tolist() == made().sizes_G[best_C].tolist()
    assert cells().nearest(asked_Ce, ITEMS, 10 * CELLS).sort(dim=1).values.equal(torch.arange(ITEMS).expand(3, -1))


def test_fewer_vectors_than_are_asked_for_leave_places_empty() -> None:
    few = Cells(coded(table()[:3], threads=1))
    for queries in (1, 2):
        found_CK = few.nearest(table()[:queries], 5, 9)
        assert found_CK.eq(-1).sum(1).tolist() == [2] * queries
        assert found_CK.sort(dim=1).values[:, 2:].tolist() == [[0, 1, 2]] * queries


def test_the_same_vectors_give_the_same_cells_and_a_file_keeps_them(tmp_path: Path) -> None:
    told: list[str] = []
    again = coded(table(), threads=1, say=told.append)
    assert told == [f"learning {CELLS} cells from 1,408 items", f"{ITEMS:,} of {ITEMS:,} items in the index"]
    again.write(tmp_path / "coded")
    read = Coded.read(tmp_path / "coded")
    assert (len(read), Cells(read).width, Cells(read).cells) == (ITEMS, WIDTH, CELLS)
    for name, array in vars(made()).items():
        assert np.array_equal(array, vars(read)[name])


@pytest.mark.parametrize("content", [b"", b"nothing of that kind", bytes(4096)])
def test_another_content_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "coded").write_bytes(content)
    with pytest.raises(ValueError, match="is no index"):
        Coded.read(tmp_path / "coded")


@cache
def arrays() -> Mapping[str, Tensor]:
    """Those of forty vectors."""
    return {name: torch.from_numpy(array) for name, array in vars(coded(table()[:40], threads=1)).items()}


def changed(name: str, value: object, *place: int) -> Tensor:
    array = arrays()[name].clone()
    array[place] = value  # type: ignore[assignment]
    return array


@pytest.mark.parametrize(
    ("name", "change", "fact"),
    [
        ("sizes_G", lambda: changed("sizes_G", 41, 0), "sizes that are not those of 40 vectors"),
        ("sizes_G", lambda: torch.tensor([50, -10, 0, 0, 0, 0], dtype=torch.int32), "sizes that are not those"),
        ("sizes_G", lambda: torch.tensor([40], dtype=torch.int32), "sizes that are not those"),
        ("sizes_G", lambda: arrays()["sizes_G"].long(), "is no index: it has codes_NB, levels_El"),
        ("places_N", lambda: changed("places_N", 40, 3), "places that none of 40 vectors has"),
        ("places_N", lambda: changed("places_N", -1, 3), "places that none of 40 vectors has"),
        ("places_N", lambda: arrays()["places_N"].clamp(max=38), "has a vector twice, and another not at all"),
        ("places_N", lambda: arrays()["places_N"][:39].clone(), "has 40 codes of 4 bytes .* should have 39"),
        ("codes_NB", lambda: arrays()["codes_NB"][:, :3].clone(), "codes of 3 bytes .* vectors of 8 numbers"),
        ("levels_El", lambda: arrays()["levels_El"][:7].clone(), r"levels of shape \(7, 16\)"),
        ("levels_El", lambda: changed("levels_El", torch.nan, 0, 0), "not finite"),
        ("middles_GE", lambda: changed("middles_GE", torch.inf, 0, 0), "not finite"),
        ("middles_GE", lambda: arrays()["middles_GE"][:, :7].clone(), "vectors of 7 numbers"),
        ("middles_GE", lambda: arrays()["middles_GE"][0].clone(), "is no index: it has"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(name: str, change: object, fact: str, tmp_path: Path) -> None:
    save_file({**arrays(), name: change()}, tmp_path / "coded")  # type: ignore[operator]
    with pytest.raises(ValueError, match=fact):
        Coded.read(tmp_path / "coded")


def test_whatever_bytes_are_changed_a_search_stays_among_the_vectors(tmp_path: Path) -> None:
    save_file(dict(arrays()), tmp_path / "coded")
    whole, refused = (tmp_path / "coded").read_bytes(), 0
    for seed in range(100):
        draws, content = random.Random(seed), bytearray(whole)
        for place in draws.sample(range(len(whole)), 3):
            content[place] = draws.randrange(256)
        (tmp_path / "coded").write_bytes(content)
        try:
            mine = Cells(Coded.read(tmp_path / "coded"))
        except ValueError:
            refused += 1
        else:
            assert mine.nearest(table()[:3], 40, 9).lt(40).all()
    assert 20 < refused < 100  # any code is one of some vector


def test_without_the_extra_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(ValueError, match=r"pip install 'nextitem\[index\]'"):
        Cells(made())
