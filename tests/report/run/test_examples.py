"""Examples show what a model was asked about, whatever the split holds out."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from nextitem.data.splits import LeaveOneOut, Temporal
from nextitem.errors import DataError
from nextitem.experiment.folder.metrics import metrics_of
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.experiment.run import run
from nextitem.model.encoders import SASRec
from nextitem.report.run.examples import examples
from nextitem.report.run.page import report_page
from nextitem.training.session import Session
from worlds.overheard import Overheard
from worlds.small_runs import RECIPES, chains, log_of, metrics, outcome, prepared_from
from worlds.stored_runs import evidence, written


def test_a_history_ends_before_the_target_also_where_later_events_are_stored(tmp_path: Path) -> None:
    prepared = prepared_from(log_of(chains()))
    earlier = LeaveOneOut().split(prepared.log.sequences.without_last(1))  # nobody asks for the last event of all
    found = run(RECIPES["popularity"], Session(seed=0), prepared=replace(prepared, split=earlier))
    measured = metrics_of(found, metrics("popularity").provenance)
    folder = write_run(Workplace(tmp_path, "earlier", 0), RECIPES["popularity"], found, measured)
    assert evidence(folder).cases["length"].to_list() == [len(history) - 2 for history in chains()]
    whole = {f"u{user:02}": [f"i{item:02}" for item in history] for user, history in enumerate(chains())}
    shown = [one for *_, some in examples([evidence(folder)], [found.model]).bands for one in some]
    assert shown
    for one in shown:
        *past, target = whole[one.user][:-1]
        assert ([item.item for item in one.latest], one.target.item, one.earlier) == (past, target, 0)


@pytest.mark.parametrize("target", ["successive", "all"])
def test_what_came_next_is_not_said_of_one_among_several(target: Literal["successive", "all"], tmp_path: Path) -> None:
    prepared = prepared_from(log_of(chains()))
    later = Temporal(cut="1970-01-01T00:03", validation="last", target=target).split(prepared.log.sequences)
    found = run(RECIPES["popularity"], Session(seed=0), prepared=replace(prepared, split=later))
    measured = metrics_of(found, metrics("popularity").provenance)
    folder = write_run(Workplace(tmp_path, "later", 0), RECIPES["popularity"], found, measured)
    shown = [one for *_, some in examples([evidence(folder)], [found.model]).bands for one in some]
    assert {one.is_next for one in shown} == {target == "successive"}
    page = report_page([evidence(folder)], [found.model])
    assert ("Next came" in page, "Later came" in page) == (target == "successive", target == "all")


def test_a_model_that_reads_times_is_told_when_the_events_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed, plain = (Overheard(outcome(name).model) for name in ("sasrec-ce", "popularity"))
    monkeypatch.setattr(SASRec, "reads_times", True)  # of the trained one, which would be given times otherwise
    examples([evidence(written(tmp_path / "a")), evidence(written(tmp_path / "b", "popularity"))], [timed, plain])
    assert all(asked.has_times for asked in timed.asked)
    assert not any(asked.has_times for asked in plain.asked)
    assert [asked.tolist() for asked in timed.asked] == [asked.tolist() for asked in plain.asked]


def test_without_histories_there_are_no_examples(tmp_path: Path) -> None:
    folder = written(tmp_path, with_users=False)
    with pytest.raises(DataError) as caught:
        examples([evidence(folder)], [outcome("sasrec-ce").model])
    assert str(caught.value) == f"{folder} was stored without its users' histories; train anew"
