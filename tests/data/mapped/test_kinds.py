"""A log of several kinds, prepared: what is interpreted a stretch of users at a time is what is interpreted at once."""

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from nextitem.data.mapped import ordering
from nextitem.data.mapped.folder import read_manifest, read_prepared, verify
from nextitem.data.mapped.writing import prepare_into
from nextitem.data.prepare import Prepared, prepare
from nextitem.data.reading.files import read_parts
from nextitem.data.splits import LeaveOneOut
from nextitem.errors import ArtefactError, ConfigurationError, DataError
from nextitem.experiment.presets import load_recipe

KINDS = [
    "kinds.buy=1", "kinds.view=0.2", "kinds.look=history", "kinds.no=disliked", "kinds.back=retracts",
    "kinds.unbuy=retracts buy", "kinds.others=ignored",
]  # fmt: skip
FILTERS = [
    [],
    ["filters.repeats=last", "filters.minimum_per_item=3"],
    ["filters.minimum_per_user=4", "filters.minimum_per_item=9"],
]


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is read in several parts and dealt out to several stretches."""
    monkeypatch.setattr(ordering, "_AT_ONCE", 64)
    monkeypatch.setattr("nextitem.data.mapped.writing.read_parts", partial(read_parts, events=50))


def written(file: Path, *, has_times: bool = True, rows: int = 1500) -> str:
    draws = np.random.default_rng(0)
    kinds = draws.choice(
        ["buy", "view", "look", "no", "back", "unbuy", "ad"], rows, p=[0.3, 0.3, 0.1, 0.1, 0.08, 0.07, 0.05]
    )
    table = pl.DataFrame({
        "user": draws.integers(0, 60, rows), "item": (20 * draws.random(rows) ** 2).astype(int),
        "time": draws.integers(-100, 100, rows) / np.where(kinds == "ad", 7, 1), "event": kinds,
    })  # fmt: skip
    (table if has_times else table.drop("time")).write_csv(file)
    return str(file)


def both(data: str, folder: Path, settings: list[str]) -> tuple[Prepared, Prepared]:
    prepare_into(folder, data, settings)
    found = [prepare(load_recipe("popularity", f"data={name}", *settings)) for name in (data, str(folder))]
    return found[0], found[1]


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("has_times", [True, False])
def test_prepared_kinds_are_those_of_the_file(filters: list[str], has_times: bool, tmp_path: Path) -> None:
    raw, mapped = both(written(tmp_path / "log.csv", has_times=has_times), tmp_path / "ready", [*KINDS, *filters])
    assert raw.log.sha256(with_times=has_times) == mapped.log.sha256(with_times=has_times)
    assert raw.split.test.sha256 == mapped.split.test.sha256
    assert torch.equal(raw.split.train.weighted_counts(), mapped.split.train.weighted_counts())
    one, other = (made.log.sequences.events for made in (raw, mapped))
    assert one.kinds == other.kinds
    assert one.dislikes is not None
    assert other.dislikes is not None
    for name in ("items_D", "offsets", "places_D"):
        assert torch.equal(getattr(one.dislikes, name), getattr(other.dislikes, name)), name
    assert raw.notes == mapped.notes
    verify(tmp_path / "ready")


def test_of_one_weight_and_without_dislikes_nothing_more_is_stored(tmp_path: Path) -> None:
    data = written(tmp_path / "log.csv")
    raw, mapped = both(data, tmp_path / "ready", ["kinds.buy=1", "kinds.others=ignored"])
    assert {file.name for file in (tmp_path / "ready").iterdir()} == {
        "event_items.npy", "event_times.npy", "items.parquet", "manifest.json", "offsets.npy", "train_counts.npy",
        "users.parquet",
    }  # fmt: skip
    assert raw.log.sequences.events.weights is mapped.log.sequences.events.weights is None
    assert raw.log.sha256(with_times=True) == mapped.log.sha256(with_times=True)


def test_kinds_without_a_meaning_are_refused_by_their_rows(tmp_path: Path) -> None:
    data = written(tmp_path / "log.csv")
    lines = [n for n, line in enumerate(Path(data).read_text().splitlines(), 1) if line.endswith(",ad")]
    rows = ", ".join(f"{data}:{line}" for line in lines[:5])
    with pytest.raises(DataError) as caught:
        prepare_into(tmp_path / "ready", data, KINDS[:-1])
    assert f"{len(lines)} events are of kind 'ad' ({rows}, …), and nobody says what that means" in str(caught.value)
    assert not (tmp_path / "ready").exists()


def test_other_kinds_than_those_prepared_are_refused(tmp_path: Path) -> None:
    data, folder = written(tmp_path / "log.csv"), str(tmp_path / "ready")
    prepare_into(Path(folder), data, KINDS)
    assert prepare(load_recipe("popularity", f"data={folder}", *KINDS)).notes[0].startswith("kinds of events: ")
    assert prepare(load_recipe("popularity", f"data={folder}")).log.sequences.events.kinds["view"] == 0.2
    with pytest.raises(ConfigurationError, match=r"was prepared with kinds .* leave kinds out"):
        prepare(load_recipe("popularity", f"data={folder}", "kinds.buy=2"))


def test_dislikes_that_were_altered_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "ready"
    prepare_into(folder, written(tmp_path / "log.csv"), KINDS)
    for name in ("disliked.npy", "disliked_offsets.npy", "disliked_places.npy", "event_weights.npy"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-8] + bytes(7) + b"\x7f")
        with pytest.raises(ArtefactError, match=name):
            read_prepared(folder, LeaveOneOut())
        (folder / name).write_bytes(content)
    assert read_manifest(folder).dislikes > 0


def test_a_column_of_kinds_that_is_not_read_is_told_of(tmp_path: Path) -> None:
    manifest = prepare_into(tmp_path / "ready", written(tmp_path / "log.csv"))
    assert manifest.notes[0].startswith("'event' holds kinds of events, it seems")
