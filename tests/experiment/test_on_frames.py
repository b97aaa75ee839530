"""A program's own events are trained on and measured again; a run of them says that it did not keep them."""

from pathlib import Path

import polars as pl
import pytest

from nextitem import ConfigurationError, DataError, Interactions, Popularity, Recipe, Session, prepare, run, train
from nextitem.experiment.again import evaluate_again
from worlds.command_line import typed
from worlds.small_runs import chains

FRAME = pl.DataFrame(
    [(f"u{user}", f"i{item}", place) for user, items in enumerate(chains()) for place, item in enumerate(items)],
    ["user", "item", "time"], orient="row",
)  # fmt: skip
RECIPE = Recipe(name="counted", model=Popularity())


def test_a_run_takes_events_or_what_was_prepared_of_them() -> None:
    outcome = run(RECIPE, Session(seed=0), events=FRAME)
    again = run(RECIPE, Session(seed=0), prepared=prepare(RECIPE, events=FRAME.to_pandas()))
    assert outcome.test.means == again.test.means
    assert outcome.test.certificate == again.test.certificate
    assert outcome.test.certificate.dataset == "frame"
    with pytest.raises(ConfigurationError, match="give one of them"):
        run(RECIPE, Session(seed=0), prepared=again.prepared, events=FRAME)
    with pytest.raises(ConfigurationError, match="was made with data='frame', and the recipe has 'ml-1m'"):
        run(RECIPE.model_copy(update={"data": "ml-1m"}), Session(seed=0), prepared=again.prepared)


def test_a_run_of_a_frame_is_measured_again_by_the_frame_or_a_file_of_it(tmp_path: Path) -> None:
    stored = train(RECIPE, Session(seed=0), tmp_path, events=FRAME.lazy())
    assert (stored.recipe.data, stored.metrics.provenance.data) == ("frame", "frame")
    assert stored.folder.name.endswith("counted-frame")
    FRAME.write_csv(tmp_path / "log.csv")
    expected = {"ndcg@10": stored.metrics.test.means["ndcg@10"]}
    events = Interactions.from_columns(FRAME["user"], FRAME["item"], FRAME["time"])
    for given in (FRAME, FRAME.to_arrow(), events):
        assert evaluate_again(stored, "test", ["ndcg@10"], events=given).means == expected
    assert evaluate_again(stored, "test", ["ndcg@10"], str(tmp_path / "log.csv")).means == expected
    with pytest.raises(DataError, match=r"is not the data that .* was trained on"):
        evaluate_again(stored, "test", ["ndcg@10"], events=FRAME.head(-1))
    with pytest.raises(ConfigurationError, match="data=frame stands for events that a Python program gave"):
        evaluate_again(stored, "test", ["ndcg@10"])


def test_the_command_line_says_what_to_give_in_place_of_a_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = train(RECIPE, Session(seed=0), tmp_path, events=FRAME)
    FRAME.write_parquet(tmp_path / "log.parquet")
    assert typed(monkeypatch, "evaluate", str(stored.folder)) == 2
    assert "to `nextitem evaluate` --data FILE" in " ".join(capsys.readouterr().err.split())
    assert typed(monkeypatch, "evaluate", str(stored.folder), "--data", str(tmp_path / "log.parquet")) == 0
