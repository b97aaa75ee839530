"""A run that goes on with new events."""

from pathlib import Path

import polars as pl
import pytest
import torch

from nextitem.data.features.table import ItemFeatures
from nextitem.data.interactions import Interactions
from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.folder.reading import read_run
from nextitem.serving.catalogue.changes import CatalogueChanges
from nextitem.serving.known import Known
from nextitem.serving.recommender import Recommender
from nextitem.serving.renewal.before import Before
from nextitem.serving.renewal.refit import refit
from nextitem.serving.renewal.together import together
from nextitem.serving.renewal.update import update
from nextitem.serving.renewal.warm import warm_start
from nextitem.training.session import Session
from worlds.stored_runs import written


def news(folder: Path, *, strangers: int = 6) -> Interactions:
    """After the stored events of each user two items, and new users, who have the new item i99 as well."""
    known = Recommender.load(folder).known_users()
    rows = [(user, f"i{(n + step) % 12:02}", 1000.0 + 10 * n + step) for n, user in enumerate(known) for step in (0, 1)]
    rows += [(f"v{n}", item, 1100.0 + 20 * n + step) for n in range(strangers) for step, item in
             enumerate(("i01", "i99", "i02", "i03"))]  # fmt: skip
    user, item, time = zip(*rows, strict=True)
    return Interactions.from_columns(user, item, time)


def test_stored_and_new_events_are_one_log_in_order_of_time(tmp_path: Path) -> None:
    folder = written(tmp_path)
    run = read_run(folder)
    both = together(run, news(folder))
    assert run.users is not None
    assert (both.new.height, both.users, both.items) == (2 * len(run.users) + 24, 6, 1)
    place = both.log.users.lookup(pl.Series([run.users["user"][0]]))
    history = both.log.items.raw(both.log.sequences.select(place).flatten()[1]).to_list()
    assert history == [*run.items["item"].gather(run.users["history"][0]).to_list(), "i00", "i01"]


def test_an_export_of_everything_holds_what_is_stored_once(tmp_path: Path) -> None:
    folder = written(tmp_path)
    run = read_run(folder)
    assert run.users is not None
    stored = run.users.select("user", pl.col("history").list.head(100)).explode("history")
    items = run.items["item"].gather(stored["history"])
    first = pl.DataFrame(
        {"user": stored["user"], "item": items, "time": pl.int_range(len(items), eager=True).cast(float)}
    )
    extra = news(folder, strangers=0).events.with_columns(pl.col("time") + 1e6)
    both = together(run, Interactions(pl.concat([first, extra])))
    assert both.new.height == extra.height


@pytest.mark.parametrize("name", ["sasrec-ce", "fpmc"])
def test_rows_are_kept_by_raw_id_and_new_ones_begin_at_the_mean(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path, name)
    run = read_run(folder)
    both = together(run, news(folder))
    known = Known.of_run(run)
    start = warm_start(run, known, both.log, ItemFeatures.none(both.log.items.ids), 0)
    assert start is not None
    key = next(key for key in start if key.endswith("weight_Nd"))
    assert torch.equal(start[key][:12], run.weights[key])  # i00 … i11 come before i99
    torch.testing.assert_close(start[key][12], run.weights[key].mean(0))
    if name == "fpmc":
        users = run.weights["encoder.users_Ud"]
        assert torch.equal(start["encoder.users_Ud"][: len(users)], users)


def test_the_model_before_knows_no_new_item_and_says_what_it_said(tmp_path: Path) -> None:
    folder = written(tmp_path)
    run = read_run(folder)
    log, known = together(run, news(folder)).log, Known.of_run(run)
    assert run.users is not None
    old = log.users.lookup(run.users["user"])
    histories = log.sequences.select(old)
    scores = Before(known, log).query(histories).scores(0, 13)
    assert bool((scores[:, 12] == -torch.inf).all())
    alone = known.scorer.query(Sequences.of(histories.tolist(), 12)).scores(0, 12)
    torch.testing.assert_close(scores[:, :12], alone)
    some = Before(known, log).query(histories).select(torch.tensor([3, 1]))
    torch.testing.assert_close(some.scores(2, 13), scores[[3, 1], 2:])


@pytest.mark.parametrize("name", ["sasrec-ce", "popularity"])
def test_an_updated_run_takes_the_place_of_the_one_before(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path, name)
    before = read_run(folder)
    found = update(before, news(folder), Session(0))
    assert read_run(folder).metrics == before.metrics  # until it is stored
    after = found.store().proven()
    assert after.folder == folder
    told = after.metrics.update
    assert told is not None
    assert (told.of, told.events, told.users, told.items) == (folder.name, 84, 6, 1)
    new, old = after.metrics.test.means["ndcg@10"], told.before.means["ndcg@10"]
    assert told.before.differences["ndcg@10"].value == pytest.approx(new - old)
    assert found.is_worse == (new < old)
    recommender = Recommender.load(folder)
    assert "i99" in recommender.items.ids.to_list()
    assert "v0" in recommender.known_users()
    assert recommender.recommend(users=["v0"], k=3)
    again = update(read_run(folder), _later(news(folder)), Session(0))  # and once more
    assert again.trained.metrics.update is not None
    assert [one.name for one in tmp_path.iterdir() if one.is_dir() and not one.name.startswith(".")] == [folder.name]


def _later(events: Interactions) -> Interactions:
    return Interactions(events.events.with_columns(pl.col("time") + 1e6))


def test_beside_others_the_one_before_stays(tmp_path: Path) -> None:
    folder = written(tmp_path)
    after = update(read_run(folder), news(folder), Session(0)).store(tmp_path / "other")
    assert after.folder.parent == tmp_path / "other"
    assert read_run(folder).metrics.update is None


def test_what_changed_in_the_catalogue_goes_on_and_what_was_added_is_learnt(tmp_path: Path) -> None:
    changes = CatalogueChanges().retire(["i05"]).add(ItemFeatures(pl.DataFrame({"item": ["i98", "i99"]})))
    folder = Recommender.load(written(tmp_path)).with_catalogue(changes).save(tmp_path / "changed")
    after = Recommender.from_run(update(read_run(folder), news(folder), Session(0)).store())
    assert after.changes.retired == {"i05"}
    assert after.changes.added_ids == ["i98"]  # i99 has events by now
    served = Recommender.from_run(refit(read_run(folder), Session(0)))
    assert served.changes.added_ids == ["i98"]


def test_what_cannot_be_gone_on_with_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path)
    run, events = read_run(folder), news(folder)
    with pytest.raises(DataError, match="the new events have no times"):
        update(run, Interactions(events.events.drop("time")), Session(0))
    with pytest.raises(ConfigurationError, match=r"held_out=1 is no share"):
        update(run, events, Session(0), held_out=1.0)
    with pytest.raises(ConfigurationError, match="was not evaluated"):
        update(refit(run, Session(0)), events, Session(0))
    with pytest.raises(DataError, match="stored without its users"):
        update(read_run(written(tmp_path / "alone", with_users=False)), events, Session(0))
