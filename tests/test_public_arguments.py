"""What public names make of arguments: whatever is a list is one, and what is not meant is an error of the package."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import nextitem
from nextitem import (
    Cases,
    Columns,
    ConfigurationError,
    Contestant,
    DataError,
    Filters,
    Interactions,
    LeaveOneOut,
    NextitemError,
    Ranking,
    Recipe,
    Recommender,
    SASRec,
    SequenceRecipe,
    Sequences,
    Session,
    Training,
    check,
    compare,
    evaluate,
    evaluate_again,
    evaluate_against,
    evaluate_recommendations,
    fit,
    fit_model,
    index,
    load_preset,
    load_recipe,
    plan,
    prepare,
    read_interactions,
    read_run,
    register_encoder,
    run,
    train,
    tune,
)
from nextitem.model.baselines.popularity import PopularityScorer

LOG = Interactions.from_columns(
    [u for u in range(12) for _ in range(5)], [(u + e) % 9 for u in range(12) for e in range(5)]
)
SPLIT = LeaveOneOut().split(index(LOG).sequences)
SCORER = PopularityScorer(torch.arange(9).double())
RECIPE, SESSION = load_recipe("popularity"), Session(seed=0)
FRAME = pl.DataFrame({"user": [1, 2], "item": [3, 4]})
LISTS = FRAME.with_columns(rank=1)
NOTHING_MEANT: dict[str, Any] = {
    "text": "12", "number": 7.5, "nothing": None, "table": {"a": 1}, "list": [object()], "frame": FRAME,
    "thing": object(),
}  # fmt: skip
Call = Callable[[Any], object]
# One argument of each public function, and which of the above it takes after all.
CALLS: dict[str, tuple[Call, tuple[str, ...]]] = {
    "Interactions": (Interactions, ("frame",)),
    "from_columns user": (lambda it: Interactions.from_columns(it, [1, 2]), ()),
    "from_columns item": (lambda it: Interactions.from_columns([1, 2], it), ()),
    "from_columns time": (lambda it: Interactions.from_columns([1], [2], it), ("nothing",)),
    "read_interactions": (read_interactions, ("frame",)),
    "read_interactions columns": (lambda it: read_interactions("events.csv", it), ()),
    "index": (index, ()),
    "prepare": (prepare, ()),
    "check": (check, ()),
    "Columns": (lambda it: Columns(user=it), ("text", "nothing")),
    "Filters": (lambda it: Filters(minimum_per_user=it), ()),
    "Filters.apply": (Filters().apply, ()),
    "LeaveOneOut.split": (LeaveOneOut().split, ()),
    "Sequences.of": (lambda it: Sequences.of(it, 9), ()),
    "Sequences.of items": (lambda it: Sequences.of([[1]], it), ()),
    "Sequences.of times": (lambda it: Sequences.of([[1]], 9, it), ("nothing",)),
    "Cases.of": (lambda it: Cases.of(it, SPLIT.test.targets_C, SPLIT.test.counts_N), ()),
    "Cases.of targets": (lambda it: Cases.of(SPLIT.test.histories, it, SPLIT.test.counts_N), ()),
    "Cases.select": (SPLIT.test.select, ()),
    "Session": (Session, ()),
    "Session processes": (lambda it: Session(0, it), ()),
    "Session watcher": (lambda it: Session(0, watcher=it), ()),
    "SASRec": (lambda it: SASRec(dim=it), ()),
    "SASRec without": (lambda it: SASRec(without=it), ()),
    "SequenceRecipe": (lambda it: SequenceRecipe(encoder=it), ()),
    "Training": (lambda it: Training(learning_rate=it), ("number",)),
    "Recipe": (lambda it: Recipe(model=it), ()),
    "Recipe data": (lambda it: Recipe(data=it), ("text",)),
    "register_encoder": (register_encoder, ()),
    "load_recipe": (load_recipe, ()),
    "load_recipe overrides": (lambda it: load_recipe("popularity", it), ()),
    "load_preset": (load_preset, ()),
    "run": (lambda it: run(it, SESSION), ()),
    "run session": (lambda it: run(RECIPE, it), ()),
    "run prepared": (lambda it: run(RECIPE, SESSION, prepared=it), ("nothing",)),
    "train": (lambda it: train(it, SESSION), ()),
    "train session": (lambda it: train(RECIPE, it), ()),
    "train out": (lambda it: train(RECIPE, SESSION, it), ("text",)),
    "train fresh": (lambda it: train(RECIPE, SESSION, fresh=it), ()),
    "plan": (lambda it: plan(it, it, SESSION), ()),
    "plan prepared": (lambda it: plan(load_recipe("sasrec-ce"), it, SESSION), ()),
    "read_run": (read_run, ()),
    "evaluate_again": (lambda it: evaluate_again(it, "test", ["ndcg@10"]), ()),
    "evaluate_against": (lambda it: evaluate_against(LISTS, it), ()),
    "evaluate_recommendations": (lambda it: evaluate_recommendations(LISTS, it), ()),
    "evaluate_recommendations columns": (lambda it: evaluate_recommendations(LISTS, RECIPE, columns=it), ()),
    "evaluate_recommendations lists": (lambda it: evaluate_recommendations(it, RECIPE), ("text",)),
    "fit": (lambda it: fit(it, "popularity"), ()),
    "fit recipe": (lambda it: fit(LOG, it), ()),
    "fit overrides": (lambda it: fit(LOG, "popularity", it), ()),
    "fit seed": (lambda it: fit(LOG, "popularity", seed=it), ()),
    "fit_model": (lambda it: fit_model(it, SPLIT.train, it, Training(), SESSION, None), ()),
    "evaluate": (lambda it: evaluate(it, SPLIT.test), ()),
    "evaluate cases": (lambda it: evaluate(SCORER, it), ()),
    "evaluate metrics": (lambda it: evaluate(SCORER, SPLIT.test, it), ()),
    "evaluate ranking": (lambda it: evaluate(SCORER, SPLIT.test, ranking=it), ()),
    "evaluate intervals": (lambda it: evaluate(SCORER, SPLIT.test, intervals=it), ()),
    "evaluate interval_seed": (lambda it: evaluate(SCORER, SPLIT.test, interval_seed=it), ()),
    "evaluate processes": (lambda it: evaluate(SCORER, SPLIT.test, processes=it), ()),
    "Ranking": (Ranking, ()),
    "Ranking ties": (lambda it: Ranking(ties=it), ()),
    "Ranking candidates": (lambda it: Ranking(candidates=it), ("nothing",)),
    "Ranking.among": (Ranking.among, ()),
    "Ranking.among seed": (lambda it: Ranking.among("uniform:2", it), ()),
    "Contestant": (Contestant, ("text",)),
    "Contestant runs": (lambda it: Contestant("a", it), ()),
    "Contestant failures": (lambda it: Contestant("a", (), it), ()),
    "compare": (compare, ()),
    "compare against": (lambda it: compare([Contestant("a")], it), ("nothing",)),
    "compare metrics": (lambda it: compare([Contestant("a")], None, it), ()),
    "tune": (lambda it: tune(it, [], {"encoder.dim": [8]}, trials=1, seed=0, folder="nowhere"), ()),
    "tune overrides": (lambda it: tune("sasrec-ce", it, {"encoder.dim": [8]}, trials=1, seed=0, folder="nowhere"), ()),
    "tune space": (lambda it: tune("sasrec-ce", [], it, trials=1, seed=0, folder="nowhere"), ()),
    "tune trials": (lambda it: tune("sasrec-ce", [], {"encoder.dim": [8]}, trials=it, seed=0, folder="nowhere"), ()),
    "tune seed": (lambda it: tune("sasrec-ce", [], {"encoder.dim": [8]}, trials=1, seed=it, folder="nowhere"), ()),
    "tune folder": (lambda it: tune("popularity", [], {"model.x": [8]}, trials=1, seed=0, folder=it), ()),
    "Recommender.load": (Recommender.load, ()),
    "Recommender.from_run": (Recommender.from_run, ()),
    "Recommender.from_outcome": (Recommender.from_outcome, ()),
}


@pytest.mark.parametrize("kind", NOTHING_MEANT)
@pytest.mark.parametrize("call", CALLS)
def test_what_is_not_meant_is_an_error_of_the_package(
    call: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, taken = CALLS[call]
    if kind in taken:
        return
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NextitemError) as caught:
        function(NOTHING_MEANT[kind])
    assert "pydantic" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_every_public_function_is_asked() -> None:
    functions = {name for name in nextitem.__all__ if type(getattr(nextitem, name)).__name__ == "function"}
    assert functions <= {call.partition(" ")[0] for call in CALLS}


@pytest.mark.parametrize(
    "make",
    [list, tuple, iter, np.array, torch.tensor, pl.Series, lambda ids: pl.DataFrame({"x": ids})],
)  # fmt: skip
def test_columns_of_events_are_whatever_is_a_list(make: Callable[[list[int]], Any]) -> None:
    expected = Interactions.from_columns([1, 1, 2], [7, 8, 7], [10, 20, 30]).events
    assert Interactions.from_columns(make([1, 1, 2]), make([7, 8, 7]), make([10, 20, 30])).events.equals(expected)


def test_columns_of_frames_of_pandas_and_pyarrow_are_taken() -> None:
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    expected = Interactions.from_columns(["a", "b"], [7, 8]).events
    for frame in (pandas.DataFrame({"u": ["a", "b"], "i": [7, 8]}), pyarrow.table({"u": ["a", "b"], "i": [7, 8]})):
        assert Interactions.from_columns(frame["u"], frame["i"]).events.equals(expected)
        with pytest.raises(ConfigurationError, match=r"events=<p.*> should be a DataFrame; Interactions\.from_columns"):
            Interactions(frame)
        with pytest.raises(
            ConfigurationError, match=r"data = <p.*should be a name or a path, and not a frame \(of u, i\)"
        ):
            Recipe(data=frame)


def test_a_text_is_no_column() -> None:
    with pytest.raises(ConfigurationError, match=r"user='12' is a text, where a list is meant"):
        Interactions.from_columns("12", [1, 2])


def test_a_frame_without_the_columns_is_told_which_it_lacks() -> None:
    with pytest.raises(
        DataError, match=r"the frame has no column user and no column item \(it has a\); Interactions\.from"
    ):
        Interactions(pl.DataFrame({"a": [1]}))


def test_a_frame_as_data_is_told_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"not a frame \(of user, item\); give that as events"):
        Recipe(data=FRAME)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"give the frame \(of user, item\) as events: prepare"):
        prepare(FRAME)  # type: ignore[arg-type]
    assert Recipe(data=Path("events.csv")).data == "events.csv"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make", [list, tuple, iter, np.array, pl.Series, set, lambda names: dict.fromkeys(names, 1).keys()]
)
def test_metrics_are_whatever_is_a_list(make: Callable[[list[str]], Any]) -> None:
    names = ["ndcg@2", "hit_rate@2"]
    if make is set:
        with pytest.raises(ConfigurationError, match="has no order"):
            evaluate(SCORER, SPLIT.test, make(names))
    else:
        assert [*evaluate(SCORER, SPLIT.test, make(names)).means] == names
        assert compare([Contestant("a")], metrics=make(names)).metrics == tuple(names)


def test_one_metric_as_a_text_is_refused_by_its_name() -> None:
    with pytest.raises(ConfigurationError, match=r"metrics='ndcg@10' is a text.*write metrics=\['ndcg@10'\]"):
        evaluate(SCORER, SPLIT.test, "ndcg@10")


def test_rows_are_read_once_and_have_labels_of_their_own() -> None:
    assert [row.label for row in compare(Contestant(name) for name in "ab").rows] == ["a", "b"]
    with pytest.raises(ConfigurationError, match="rows are called a, a; give each row a label of its own"):
        compare([Contestant("a"), Contestant("a")])
    with pytest.raises(ConfigurationError, match="rows are called nothing"):
        compare([])
    with pytest.raises(ConfigurationError, match="unknown metric 'ndcg'"):
        compare([Contestant("a")], metrics=["ndcg"])


@pytest.mark.parametrize("seed", [np.int64(3), torch.tensor(3), 3])
def test_a_seed_of_another_library_is_one(seed: Any) -> None:
    assert (Session(seed).seed, type(Session(seed).seed)) == (3, int)
    assert str(Ranking.among("uniform:2", seed)) == "uniform:2, seed 3"


@pytest.mark.parametrize("seed", [True, "0", 1.0, -1, 2**64])
def test_what_is_no_seed_is_refused(seed: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"seed=.*: a seed must be "):
        Session(seed)


def test_an_item_beyond_the_catalogue_is_refused_where_it_is_given() -> None:
    with pytest.raises(DataError, match="item 9 is none of the 9 items, which are counted from 0"):
        Sequences.of([[1, 9]], 9)
    with pytest.raises(DataError, match="item -1 is none of the 9 items"):
        Sequences.of([[1, -1]], 9)


def test_cases_are_selected_by_places_of_any_kind() -> None:
    expected = SPLIT.test.select(torch.tensor([3, 1]))
    for places in ([3, 1], (3, 1), np.array([3, 1]), iter([3, 1])):
        assert SPLIT.test.select(places).sha256 == expected.sha256  # type: ignore[arg-type]
    with pytest.raises(DataError, match="12 histories and 1 targets; give each history one"):
        Cases.of(SPLIT.test.histories, torch.tensor([1]), SPLIT.test.counts_N)
