"""What a Ray cluster does is what this process does, also where a process or a whole machine dies in the middle."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import polars as pl
import pytest
import torch

from nextitem.cli.options import spread_of
from nextitem.compute.spread import HERE
from nextitem.data.mapped.spreading import prepare_spread
from nextitem.engine.cluster import RayActors
from nextitem.engine.each import train_each
from nextitem.engine.entries import Entry, Place
from nextitem.engine.tasks import RayTasks, ray_engine
from nextitem.engine.together import Asked, _fitted, together
from nextitem.errors import ConfigurationError, DataError, TrainingError
from nextitem.experiment.folder.reading import read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.presets import load_preset, resolve_recipe
from nextitem.experiment.run import run
from nextitem.serving.parts import writing
from nextitem.serving.parts.batch import Terms, batch_of_users
from nextitem.serving.parts.ranked import Ranker
from nextitem.serving.parts.writing import Wanted, write_lists
from nextitem.serving.recommender import Recommender
from nextitem.storage import TakenError, alone_in, when_free
from nextitem.training.session import Session
from worlds.command_line import typed
from worlds.dying import Dying, DyingRanker, FallingSpread, FallingTraining
from worlds.raylets import Raylets, raylets
from worlds.small_runs import RECIPES, chains, log_of, outcome, write_csv

TWO = RayActors(2)
TRAINED = (
    "encoder.dim=8",
    "encoder.heads=2",
    "encoder.dropout=0",
    "objective.maximum_length=8",
    "training.epochs=3",
    "training.patience=none",
    "training.batch_size=8",
)


@pytest.fixture(scope="module")
def three() -> Iterator[Raylets]:
    """Three raylets; this process is at one on which nothing runs."""
    with raylets(2) as made:
        yield made


@pytest.fixture
def whole(three: Raylets) -> Raylets:
    """The same, all of them alive."""
    three.complete()
    return three


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(log_of(chains()), tmp_path_factory.mktemp("log") / "events.csv")


@pytest.mark.cluster
def test_a_piece_whose_process_dies_is_done_again(whole: Raylets, tmp_path: Path) -> None:
    mark = tmp_path / "died"
    assert dict(TWO.over(Dying(mark, 3), range(9))) == {number: number**2 for number in range(9)}
    assert mark.exists()
    with pytest.raises(DataError, match="no square is asked for"):
        dict(RayTasks(2).over(Dying(mark, 3), [1, -1]))


@pytest.mark.cluster
def test_a_log_is_prepared_where_a_machine_goes(whole: Raylets, events: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for number, some in enumerate(pl.read_csv(events).iter_slices(50)):
        some.write_csv(files / f"{number}.csv")
    (marks := tmp_path / "marks").mkdir()
    told: dict[str, Any] = {}
    for name, spread in (("here", HERE), ("there", FallingSpread(RayTasks(2), marks))):
        told[name] = prepare_spread(tmp_path / name, str(files), 3, spread).model_dump(exclude={"files", "made_with"})
    assert told["here"] == told["there"]
    assert [mark.name for mark in marks.iterdir()] == ["Gather"]
    assert _parquet(tmp_path / "here") == _parquet(tmp_path / "there")


def _parquet(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    files = sorted(folder.rglob("*.parquet"))
    return {str(file.relative_to(folder)): pl.read_parquet(file, hive_partitioning=False).rows() for file in files}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # among Ray's own modules
@pytest.mark.cluster
def test_processes_that_train_together_go_on_where_a_machine_goes(whole: Raylets, events: Path, tmp_path: Path) -> None:
    recipe = resolve_recipe(load_preset("sasrec-ce"), [f"data={events}", *TRAINED]).value
    workplace, mark = Workplace.of(tmp_path / "runs", recipe, 0), tmp_path / "fell"
    asked = Asked(2, torch.device("cpu"))
    folder, _ = together(FallingTraining(workplace, recipe, mark), asked, workplace.beside("ray"))
    assert mark.exists()
    there, here = read_run(folder), run(recipe, Session(0))
    assert there.metrics.provenance.processes == 2
    assert there.metrics.epochs == 3
    assert there.metrics.test.means["ndcg@10"] == pytest.approx(here.test.means["ndcg@10"], rel=1e-4)
    for one, other in zip(there.history, here.history.epochs, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-4)
    assert list((tmp_path / "runs" / ".partial").iterdir()) == []
    with pytest.raises(ConfigurationError, match="9 workers take 9 CPU, and the cluster has"):
        together(FallingTraining(workplace, recipe, mark), replace(asked, workers=9), workplace.beside("ray"))


@pytest.mark.cluster
def test_trainings_are_tasks_that_give_what_local_ones_do(whole: Raylets, events: Path, tmp_path: Path) -> None:
    entries = [
        Entry(name, RECIPES[name].model_copy(update={"data": str(events)})) for name in ("sasrec-ce", "popularity")
    ]
    said: list[str] = []
    with ray_engine() as engine:
        rows = train_each(entries, range(1), Place(tmp_path, threads=1), said.append, engine=engine)
        with pytest.raises(ConfigurationError, match="a training takes 64 cores"):
            engine.submit(entries[0].recipe, 1, Place(tmp_path, threads=64))
    for row, entry in zip(rows, entries, strict=True):
        (there,) = row.runs
        assert there.metrics.test.means == run(entry.recipe, Session(0)).test.means


@pytest.mark.cluster
def test_lists_are_those_of_this_process_where_a_machine_goes(
    whole: Raylets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_MOST_USERS", 7)
    recommender = Recommender.from_outcome(outcome("sasrec-ce"))
    batch = batch_of_users(recommender, pl.Series(recommender.known_users()), Terms())
    alive = Ranker(recommender.known, 3, "history")
    dying = DyingRanker(alive, tmp_path / "fell")
    for name, ranker, spread in (("here", alive, HERE), ("there", cast(Ranker, dying), TWO)):
        write_lists(Wanted(ranker, batch, recommender.items, None, ranker.k, "a run"), tmp_path / name, spread=spread)
    assert (tmp_path / "fell").exists()
    assert _parquet(tmp_path / "here") == _parquet(tmp_path / "there")


def test_a_cluster_that_cannot_be_joined_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(**_: object) -> None:
        raise Exception("The current node timed out")

    ray = SimpleNamespace(is_initialized=lambda: False, init=late, shutdown=lambda: None)
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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["prepare", "events.csv", "--engine", "ray"],
            "--engine ray makes the parts of a log: say how many by --parts",
        ),
        (["prepare", "events.csv", "--parts", "2", "--workers", "2"], "--workers are those of --engine ray"),
        (["train", "sasrec-ce", "--engine", "rai"], "did you mean 'ray'"),
        (["compare", "sasrec-ce", "--engine", "rai"], "did you mean 'ray'"),
    ],
)
def test_engines_are_checked_before_anything_is_read(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, *words) == 2
    assert message in capsys.readouterr().err


def test_who_waits_for_a_folder_has_it_when_another_leaves_it(tmp_path: Path) -> None:
    answers = iter([TakenError("taken"), TakenError("taken"), 3])

    def do() -> int:
        if isinstance(answer := next(answers), TakenError):
            raise answer
        return answer

    assert when_free(do, 5.0) == 3
    with alone_in(tmp_path / "one", "trains the same"), pytest.raises(TakenError, match="another process trains"):
        when_free(lambda: alone_in(tmp_path / "one", "trains the same").__enter__(), 0.6)


def test_ctrl_c_that_ray_answers_is_one_all_the_same() -> None:
    heard: Any = SimpleNamespace(repeated=nullcontext)
    before = signal.getsignal(signal.SIGINT)

    def gone() -> None:
        raise RuntimeError("gone")

    def interrupted() -> None:
        signal.signal(signal.SIGINT, lambda *_: None)
        os.kill(os.getpid(), signal.SIGINT)
        gone()

    assert _fitted(SimpleNamespace(fit=lambda: SimpleNamespace(return_value=3)), heard) == 3
    with pytest.raises(TrainingError, match="did not come to an end: gone"):
        _fitted(SimpleNamespace(fit=gone), heard)
    with pytest.raises(KeyboardInterrupt):
        _fitted(SimpleNamespace(fit=interrupted), heard)
    assert signal.getsignal(signal.SIGINT) is before
