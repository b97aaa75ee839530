"""A user taken out of a run."""

import json
from pathlib import Path

import polars as pl
import pytest
import torch
from torch import tensor

from nextitem.data.reading.rejected import REJECTED, RejectedRows
from nextitem.errors import ArtefactError, NextitemError
from nextitem.experiment.folder.changing import changed_run
from nextitem.experiment.folder.reading import Run, read_run
from nextitem.model.baselines import VSKNN
from nextitem.serving.recommender import Recommender
from nextitem.serving.renewal.forget import Removed, forget, remains
from nextitem.storage import write_csv
from worlds.stored_runs import written


def test_nothing_of_the_user_is_left_in_any_file(tmp_path: Path) -> None:
    run = read_run(written(tmp_path))
    before = run.users
    assert before is not None
    user, length = before["user"][3], len(before["history"][3])
    removed = forget(run, user)
    after = read_run(run.folder).proven()
    assert removed == Removed(length, 2)  # a validation and a test case
    assert after.users is not None
    assert after.users.equals(before.filter(pl.col("user") != user))
    assert user not in after.ranks["user"].to_list()
    assert after.metrics.test == run.metrics.test
    assert after.metrics.forgotten is not None
    assert (after.metrics.forgotten.users, after.metrics.forgotten.cases) == (1, 1)
    for file in run.folder.iterdir():
        assert user.encode() not in file.read_bytes(), file.name


def test_the_others_get_the_lists_they_got(tmp_path: Path) -> None:
    folder = written(tmp_path)
    recommender = Recommender.load(folder)
    users = recommender.known_users()
    lists = recommender.recommend(users=users)
    forget(read_run(folder), users[0])
    again = Recommender.load(folder)
    assert again.known_users() == users[1:]
    assert again.recommend(users=users[1:]) == lists[1:]


def test_who_is_forgotten_twice_was_forgotten_once(tmp_path: Path) -> None:
    folder = written(tmp_path)
    user = Recommender.load(folder).known_users()[0]
    forget(read_run(folder), user)
    manifest = (folder / "manifest.json").read_bytes()
    assert forget(read_run(folder), user).is_nothing
    assert (folder / "manifest.json").read_bytes() == manifest


def test_two_that_are_forgotten_are_counted(tmp_path: Path) -> None:
    folder = written(tmp_path)
    for user in Recommender.load(folder).known_users()[:2]:
        forget(read_run(folder), user)
    forgotten = read_run(folder).metrics.forgotten
    assert forgotten is not None
    assert (forgotten.users, forgotten.cases) == (2, 2)


def test_vectors_of_users_move_up(tmp_path: Path) -> None:
    run = read_run(written(tmp_path, "fpmc"))
    assert run.users is not None
    removed = forget(run, run.users["user"][1])
    after = read_run(run.folder)
    kept = run.weights["encoder.users_Ud"]
    assert removed.has_vector
    assert torch.equal(after.weights["encoder.users_Ud"], torch.cat([kept[:1], kept[2:]]))
    users = Recommender.load(run.folder).known_users()
    assert Recommender.load(run.folder).recommend(users=users)  # vectors and histories go together


def test_a_session_goes_with_its_user() -> None:
    tensors = {"starts": tensor([0, 2, 5]), "items": tensor([1, 4, 0, 2, 3]), "popularity": torch.ones(5).double()}
    left = VSKNN().without_user(tensors, 7, tensor([4, 1, 0]))  # the last event was held out
    assert left["starts"].tolist() == [0, 3]
    assert left["items"].tolist() == [0, 2, 3]
    assert VSKNN().without_user(tensors, 7, tensor([4, 3]))["starts"].tolist() == [0, 2, 5]


def test_a_page_is_made_anew_or_left_out(tmp_path: Path) -> None:
    folder = written(tmp_path)
    users = Recommender.load(folder).known_users()
    with changed_run(read_run(folder)) as draft:
        (draft / "report.html").write_text(f"<p>{users[0]}")
    assert forget(read_run(folder), users[0], lambda draft, _: _write(draft, "new")).page == "made anew"
    assert (folder / "report.html").read_text() == "new"

    def fails(draft: Path, scorer: object) -> None:
        _write(draft, "half")
        raise NextitemError("no")

    assert forget(read_run(folder), users[1], fails).page == "left out"
    assert not (folder / "report.html").exists()


def _write(draft: Path, text: str) -> None:
    (draft / "report.html").write_text(text)


def test_rejected_rows_that_name_the_user_go_too(tmp_path: Path) -> None:
    folder = written(tmp_path)
    user = Recommender.load(folder).known_users()[0]
    rejected = RejectedRows()
    rows = pl.DataFrame({"row": [1, 2, 3], "content": [f"{user},x,", f"{user}0,x,", "=1"]})
    rejected.add("log.csv", rows, "time", "is missing")
    with changed_run(read_run(folder)) as draft:
        write_csv(draft / REJECTED, rejected.table)
    assert forget(read_run(folder), user).was_rejected
    assert pl.read_csv(folder / "rejected.csv")["content"].to_list() == [f"{user}0,x,", "'=1"]


def test_what_stays_is_said(tmp_path: Path) -> None:
    run = read_run(written(tmp_path))
    assert "nextitem refit" in remains(run, "u1")[0]
    named = run.recipe.model_copy(update={"data": "events.csv"})
    assert "events.csv" in remains(Run(run.folder, named, run.metrics, run.sealed), "u1")[-1]


def test_a_change_that_fails_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    folder = written(tmp_path)
    files = {file.name: file.read_bytes() for file in folder.iterdir()}

    def broken() -> None:
        with changed_run(read_run(folder)) as draft:
            (draft / "users.parquet").unlink()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == files
    assert [one.name for one in tmp_path.iterdir() if one != folder and one.name != ".partial"] == []


def test_an_altered_run_is_not_changed(tmp_path: Path) -> None:
    folder = written(tmp_path)
    (folder / "history.jsonl").write_text("")
    with pytest.raises(ArtefactError, match=r"history\.jsonl"):
        forget(read_run(folder), Recommender.load(folder).known_users()[0])


def test_metrics_say_how_many_were_taken_out_and_nobody_by_name(tmp_path: Path) -> None:
    folder = written(tmp_path)
    forget(read_run(folder), Recommender.load(folder).known_users()[0])
    assert json.loads((folder / "metrics.json").read_text())["forgotten"] == {"users": 1, "cases": 1}
