"""Pieces of work by the actors of a Ray cluster are done once each, also where an actor or its machine dies."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import polars as pl
import pytest

import nextitem
from nextitem.cli.options import spread_of
from nextitem.engine.cluster import RayActors
from nextitem.engine.spread import HERE
from nextitem.errors import ConfigurationError, DataError
from nextitem.serving.parts import writing
from nextitem.serving.parts.batch import Terms, batch_of_users
from nextitem.serving.parts.ranked import Ranker
from nextitem.serving.parts.writing import Wanted, write_lists
from nextitem.serving.recommender import Recommender
from worlds.dying import Dying, DyingRanker
from worlds.small_runs import outcome


@pytest.fixture(scope="module")
def two() -> Iterator[RayActors]:
    """Two actors of a cluster that is here for all of these tests."""
    ray = pytest.importorskip("ray", reason="the extra ray is not installed: pip install 'nextitem[ray]'")
    with pytest.MonkeyPatch.context() as patch:
        found = (Path(nextitem.__file__).parents[1], Path(__file__).parents[1])  # what actors import
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, found)))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init("local", num_cpus=2, _node_ip_address="127.0.0.1", include_dashboard=False, log_to_driver=False)
        yield RayActors(2)
        ray.shutdown()


def test_a_piece_whose_actor_dies_is_done_again(two: RayActors, tmp_path: Path) -> None:
    found = dict(two.over(Dying(tmp_path / "died", 3), range(9)))
    assert found == {number: number**2 for number in range(9)}
    assert (tmp_path / "died").exists()
    with pytest.raises(DataError, match="no square is asked for"):
        dict(two.over(Dying(tmp_path / "died", 3), [1, -1]))


def test_lists_are_those_of_this_process(two: RayActors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_MOST_USERS", 7)
    recommender = Recommender.from_outcome(outcome("sasrec-ce"))
    batch = batch_of_users(recommender, pl.Series(recommender.known_users()), Terms())
    alive = Ranker(recommender.known, 3, "history")
    dying = DyingRanker(alive, tmp_path / "died")
    for name, ranker, spread in (("here", alive, HERE), ("there", cast(Ranker, dying), two)):
        write_lists(Wanted(ranker, batch, recommender.items, None, ranker.k, "a run"), tmp_path / name, spread=spread)
    assert (tmp_path / "died").exists()
    files = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("here", "there")]
    assert files[0] == files[1]
    for file in files[0]:
        assert pl.read_parquet(tmp_path / "here" / file).equals(pl.read_parquet(tmp_path / "there" / file))


def test_a_cluster_that_cannot_be_joined_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(**_: object) -> None:
        raise Exception("The current node timed out")

    ray = SimpleNamespace(is_initialized=lambda: False, init=late)
    for module, message in (
        (ray, "no Ray cluster can be joined: The current node"),
        (None, r"pip install 'nextitem\[ray"),
    ):
        monkeypatch.setitem(sys.modules, "ray", module)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match=message):
            dict(RayActors(1).over(abs, [1]))


def test_engines_are_chosen_by_name() -> None:
    assert spread_of("local", None) is HERE
    assert spread_of("ray", 3) == RayActors(3)
    with pytest.raises(ConfigurationError, match="--workers are those of --engine ray"):
        spread_of("local", 3)
    with pytest.raises(ConfigurationError, match="did you mean 'ray'"):
        spread_of("rai", None)
