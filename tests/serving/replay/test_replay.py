"""Held-out cases through a service on a real socket, beside the offline number of the same cases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nextitem.data.interactions import Interactions
from nextitem.errors import ConfigurationError, DataError, StorageError
from nextitem.evaluation.values import Ranks
from nextitem.experiment.folder.reading import Run, read_run
from nextitem.serving.recommender import Recommender
from nextitem.serving.replay.asking import Asker
from nextitem.serving.replay.cases import ReplayCases, event_cases, own_cases
from nextitem.serving.replay.replay import replay
from nextitem.serving.replay.replayed import Replayed, percentiles
from nextitem.serving.service.models import Models, ids_of
from nextitem.serving.store.store import EventStore
from worlds.served import Served, models_of, served
from worlds.stored_runs import written


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return read_run(written(tmp_path_factory.mktemp("runs")))


@pytest.fixture
def service(run: Run, tmp_path: Path) -> Iterator[Served]:
    models = Models.load([run.folder])
    ids = ids_of(models.first.recommender)
    with EventStore.open(tmp_path / "events.db", ids=ids) as store, served(models, events=store) as one:
        yield one


def asked(cases: ReplayCases, run: Run, service: Served, k: int) -> Replayed:
    with Asker(service.address) as asker:
        return replay(cases, run, asker, k, clients=3)


def later(*rows: tuple[str, str, float]) -> Interactions:
    return Interactions.from_columns(*zip(*rows, strict=True))  # type: ignore[arg-type]


LATER = later(
    *((f"u{n:02}", f"i{(n + step) % 12:02}", 1000.0 + 10 * step + n) for n in range(20) for step in range(4)),
    *(("new", item, 2000.0 + n) for n, item in enumerate(("no such", "i03", "i04", "no such", "i05", "i05"))),
)


def test_the_runs_own_cases_are_answered_as_they_were_measured(run: Run, service: Served) -> None:
    found = asked(own_cases(run), run, service, k=3)
    assert len(found.cases) == 30
    assert not bool(found.differs_C.any())
    assert found.served["hit_rate@3"] == pytest.approx(float(run.values(["hit_rate@3"]).mean()), abs=1e-12)
    assert found.periods() == []


@pytest.mark.parametrize("name", ["fpmc", "popularity", "co-occurrence"])
def test_user_vectors_and_counts_that_tie_are_answered_as_they_were_measured(name: str, tmp_path: Path) -> None:
    run = read_run(written(tmp_path, name))
    with served(Models.load([run.folder])) as service:
        found = asked(own_cases(run), run, service, k=3)
    listed, sure, edge = found.hits()
    assert not bool(found.differs_C.any())
    assert sure <= listed <= sure + edge


def test_later_events_are_asked_for_before_they_are_told_and_stand_where_they_rank_offline(
    run: Run, service: Served
) -> None:
    cases = event_cases(run, LATER)
    found = asked(cases, run, service, k=5)
    assert (len(cases), len(found.asked_seconds), len(found.told_seconds)) == (86, 86, 86)
    assert not bool(found.differs_C.any())
    listed, sure, edge = found.hits()
    assert sure <= listed <= sure + edge
    assert 0 < listed < 86
    assert service.service.events is not None
    assert service.service.events.count() == 86
    assert sum(one.cases for one in found.periods()) == 86
    with pytest.raises(DataError, match="has been told these events already"):
        asked(cases, run, service, k=5)


def test_a_case_is_asked_after_what_its_user_did_before_it(run: Run) -> None:
    cases = event_cases(run, LATER)
    new = [n for n, user in enumerate(cases.users) if user == "new"]
    counts = Recommender.from_run(run).known.counts_N
    assert cases.ranks.above_C[new[0]] == torch.inf  # no such item
    assert cases.ranks.above_C[new[1]] == float((counts > counts[3]).sum())  # nothing known: popularity
    listed = [one.item for one in Recommender.from_run(run).recommend([["i03"]], k=11)[0]]
    assert int(cases.ranks.above_C[new[2]]) == listed.index("i04")
    assert cases.ranks.above_C[new[5]] == torch.inf  # had before, and hidden


def test_another_catalogue_in_the_service_is_found_out(run: Run, service: Served) -> None:
    cases = own_cases(run)
    [name] = service.service.models.current
    target = next(item for item, above in zip(cases.targets, cases.ranks.above_C, strict=True) if above < 3)
    service.client.patch(f"/v1/items/{target}", json={"is_retired": True}).raise_for_status()
    found = asked(cases, run, service, k=3)
    assert bool(found.differs_C.any())
    assert name == run.folder.name


def test_a_service_of_another_run_is_refused(run: Run) -> None:
    with (
        served(models_of("popularity")) as other,
        pytest.raises(ConfigurationError, match="serves popularity unsaved"),
    ):
        asked(own_cases(run), run, other, k=3)


def test_an_address_where_nothing_answers_and_one_that_is_none(run: Run) -> None:
    with pytest.raises(StorageError, match="nothing answers at"):
        Asker("http://127.0.0.1:1").get("/v1/models")
    with pytest.raises(ConfigurationError, match="no address"):
        Asker("localhost:8000")


def test_a_changed_catalogue_and_a_run_without_users_are_refused(run: Run, tmp_path: Path) -> None:
    alone = read_run(written(tmp_path, with_users=False))
    with pytest.raises(DataError, match="without its users"):
        own_cases(alone)
    changed = Recommender.from_run(run)
    changed = changed.with_catalogue(changed.changes.retire(["i03"]))
    with pytest.raises(ConfigurationError, match="was changed after it was measured"):
        own_cases(read_run(changed.save(tmp_path / "changed")))


def test_a_list_shows_one_order_of_ties_and_any_of_them_agrees() -> None:
    # Two items above and three of the same score: places 3 to 6, of which k = 4 holds 3 and 4.
    above, tied = torch.full((5,), 2.0).double(), torch.full((5,), 3.0).double()
    ranks = Ranks(above, tied, torch.arange(5), torch.arange(5))
    cases = ReplayCases([{}] * 5, [*range(5)], [*range(5)], ranks)
    is_late = torch.tensor([False, False, False, False, True])
    found = Replayed(cases, 4, 10, torch.tensor([3, 4, 0, 2, 1]), is_late, [0.001])
    assert found.differs_C.tolist() == [False, False, False, True, False]
    assert found.hits() == (4, 0, 5)
    assert found.offline["hit_rate@4"] == pytest.approx(2 / 4)
    assert found.as_dict()["after_deadline"] == 1


def test_percentiles_are_milliseconds() -> None:
    assert percentiles([0.001] * 99 + [0.101]) == {"p50": 1.0, "p90": 1.0, "p99": 2.0, "max": 101.0}
