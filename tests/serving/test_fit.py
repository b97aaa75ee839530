"""From a frame to a recommender that can be saved, in a few lines."""

from pathlib import Path

import pytest

from nextitem import read_run
from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.experiment.recipe import Recipe
from nextitem.model.baselines import CoOccurrence
from nextitem.serving.fit import fit
from nextitem.serving.recommender import Recommender
from worlds.small_runs import chains, log_of, outcome

EVENTS = log_of(chains()).events
SMALL = ("encoder.dim=8", "encoder.heads=2", "objective.maximum_length=8", "encoder.positions=8", "training.epochs=2")


def test_a_recommender_is_made_saved_and_loaded(tmp_path: Path) -> None:
    made = fit(EVENTS, "sasrec-ce", *SMALL, seed=3)
    folder = made.save(tmp_path / "shop")
    loaded = Recommender.load(folder)
    assert loaded.recommend([["i03"], []], k=5) == made.recommend([["i03"], []], k=5)
    run = read_run(folder).proven()
    assert (run.seed, run.recipe.data, run.recipe.sequence.encoder.dim) == (3, "frame", 8)
    assert loaded.artefact is not None
    assert loaded.artefact.metrics.baselines is not None
    again = loaded.save(tmp_path / "copy")
    assert {file.name: file.read_bytes() for file in again.iterdir()} == {
        file.name: file.read_bytes() for file in folder.iterdir()
    }


def test_events_may_be_a_file_and_a_recipe_may_be_made_in_python(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    EVENTS.write_csv(file)
    made = fit(file, Recipe(name="mine", model=CoOccurrence()), "model.window=2")
    assert made.recommend([["i03"]], k=2) == fit(EVENTS, Recipe(model=CoOccurrence(window=2))).recommend([["i03"]], k=2)
    assert made.artefact is not None
    assert (made.artefact.recipe.name, made.artefact.recipe.data) == ("mine", str(file))


def test_what_there_is_to_say_is_said() -> None:
    said: list[str] = []
    fit(EVENTS, "co-occurrence", say=said.append)
    assert any(line.startswith("note: ") for line in said)


def test_a_folder_that_is_there_and_a_run_that_was_altered_are_refused(tmp_path: Path) -> None:
    made = fit(EVENTS, "popularity")
    folder = made.save(tmp_path / "one")
    with pytest.raises(ConfigurationError, match="one exists already"):
        made.save(folder)
    loaded = Recommender.load(folder)
    (folder / "ranks.parquet").write_bytes(b"other")
    with pytest.raises(ArtefactError, match=r"ranks\.parquet was altered"):
        loaded.save(tmp_path / "two")
    assert not (tmp_path / "two").exists()


def test_an_outcome_alone_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not know how that was trained; make it by fit"):
        Recommender.from_outcome(outcome("popularity")).save(tmp_path / "run")
