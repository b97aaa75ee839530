"""`nextitem index`, as it is typed, and what a run with an index is afterwards."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.experiment.folder.reading import RUN, read_run
from nextitem.serving import indexing
from nextitem.serving.indexed.index import CODED, EARLIER, FACTS, ItemIndex, is_stale
from nextitem.serving.question import Question
from nextitem.serving.recommender import Recommender
from nextitem.serving.renewal.forget import forget
from nextitem.serving.service.models import load
from nextitem.serving.store.state import dump, restore
from worlds.command_line import typed
from worlds.stored_runs import written

LITTLE = ("--k", "1", "--recall", "0.3", "--threads", "1")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of twelve items, which a few looks may be enough for."""
    monkeypatch.setattr(indexing, "BREADTHS", (2, 4))
    return written(tmp_path)


def test_an_index_is_put_into_a_run_told_and_taken_out(
    run: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = (run / "manifest.json").read_bytes()
    assert typed(monkeypatch, "index", str(run), *LITTLE) == 0
    told = capfd.readouterr()
    assert "index: 12 items in" in told.out
    assert "of exact lists after 30 histories (0.3 asked for)" in told.out
    assert "one list, one thread: exact" in told.out
    assert read_run(run).proven().folder == run
    assert typed(monkeypatch, "index", str(run), *LITTLE, "--json") == 0
    facts = json.loads(capfd.readouterr().out)
    assert (facts["items"], facts["width"], facts["k"]) == (12, 8, 1)
    assert facts["bytes"] == sum((run / name).stat().st_size for name in (FACTS, CODED))
    model = load(run, "one")
    assert model.recall == facts["recall"] >= 0.3
    assert typed(monkeypatch, "index", str(run), "--remove") == 0
    assert "its index is gone; lists are exact" in capfd.readouterr().out
    assert (run / "manifest.json").read_bytes() == before
    assert typed(monkeypatch, "index", str(run), "--remove", "--json") == 0
    assert json.loads(capfd.readouterr().out) == {"run": str(run), "removed": False}


def test_what_finds_too_little_leaves_nothing_behind(
    run: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(indexing.Trials, "recall", lambda *_: 0.97)
    files = {file.name: file.read_bytes() for file in run.iterdir()}
    assert typed(monkeypatch, "index", str(run), "--k", "1") == ConfigurationError.exit_code
    assert "the index finds 0.9700 of exact lists of 1" in capfd.readouterr().err
    assert {file.name: file.read_bytes() for file in run.iterdir()} == files
    for words in (("--recall", "0"), ("--recall", "1.5")):
        assert typed(monkeypatch, "index", str(run), *words) == ConfigurationError.exit_code
    assert typed(monkeypatch, "index", str(written(run.parent, "popularity"))) == ConfigurationError.exit_code
    assert "scores are none" in capfd.readouterr().err


def test_a_damaged_index_is_refused_by_name(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, "index", str(run), *LITTLE) == 0
    coded, whole = run / CODED, (run / CODED).read_bytes()
    coded.write_bytes(whole[:-1])
    with pytest.raises(ArtefactError, match=r"index\.safetensors was altered"):
        load(run, "one")
    coded.write_bytes(whole[: len(whole) // 2])
    RUN.seal(run)
    with pytest.raises(ArtefactError, match=r"index\.safetensors is no index .*make it anew by `nextitem index"):
        load(run, "one")
    assert typed(monkeypatch, "recommend", str(run), "--users", "u03") == 0  # exact, and does without
    coded.write_bytes(whole)
    facts = json.loads((run / FACTS).read_text())
    (run / FACTS).write_text(json.dumps({**facts, "items": 11}))
    RUN.seal(run)
    with pytest.raises(ArtefactError, match=r"\(12, 8, 2\), and index\.json says \(11, 8, 2\)"):
        load(run, "one")
    coded.unlink()
    assert typed(monkeypatch, "index", str(run), *LITTLE) == 0  # whatever has become of the one before
    assert load(run, "one").recall
    coded.write_bytes(b"")
    assert typed(monkeypatch, "index", str(run), "--remove") == 0
    assert load(run, "one").recall is None


def test_an_index_of_an_earlier_version_is_refused_with_the_remedy(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / EARLIER).write_bytes(b"a graph")
    RUN.seal(run)
    with pytest.raises(ArtefactError, match=r"earlier version, .* --remove`, and make one"):
        load(run, "one")
    assert typed(monkeypatch, "index", str(run), "--remove") == 0
    assert typed(monkeypatch, "index", str(run), *LITTLE) == 0
    assert load(run, "one").recall


def test_an_index_of_other_weights_is_not_asked_and_one_of_changed_items_is(
    run: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "index", str(run), *LITTLE) == 0
    assert typed(monkeypatch, "items", str(run), "--retire", "i01", "--rename", "i02=Two") == 0
    changed = Recommender.load(run)
    assert changed.known.index is not None
    assert "i01" not in [one.item for one in changed.answer([Question(user="u03", k=12)])[0]]
    forget(read_run(run), "u03")
    assert not is_stale(read_run(run))  # the weights are as they were
    facts = json.loads((run / FACTS).read_text())
    (run / FACTS).write_text(json.dumps({**facts, "weights": "0" * 64}))
    RUN.seal(run)
    assert is_stale(read_run(run))
    assert ItemIndex.of(read_run(run)) is None
    assert (load(run, "one").recall, load(run, "one").why_exact) == (None, "its index is of other weights")
    capfd.readouterr()


def test_an_index_that_finds_less_than_was_asked_is_not_asked(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, "index", str(run), *LITTLE) == 0
    assert typed(monkeypatch, "items", str(run), "--retire", "i01") == 0
    assert load(run, "one").why_exact is None
    monkeypatch.setattr(indexing.Trials, "shares", lambda *_: [0.1, 0.3, 0.2] * 30)
    model = load(run, "one")
    assert model.why_exact == "its index finds 0.2000 of 90 exact lists of 1, and 0.3 was asked"
    assert model.recall is None
    assert "i01" not in [one.item for one in model.recommender.answer([Question(user="u03", k=12)])[0]]
    changed = model.recommender.with_catalogue(model.recommender.changes.restore(["i01"]))
    assert changed.known.index is None
    monkeypatch.setattr(indexing.Trials, "shares", lambda *_: [0.1, 0.3, 0.2])  # too few to tell
    assert load(run, "one").recall


def test_without_the_extra_a_run_with_an_index_says_so(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, "index", str(run), *LITTLE) == 0
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ConfigurationError, match="--remove"):
        load(run, "one")
    assert typed(monkeypatch, "index", str(run), "--remove") == 0
    assert load(run, "one").recall is None


def test_a_dump_has_the_index_of_a_run(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, "index", str(run), *LITTLE) == 0
    dump([run], None, tmp_path / "state")
    restore(tmp_path / "state", tmp_path / "restored")
    (coded,) = (tmp_path / "restored").rglob(CODED)
    assert coded.read_bytes() == (run / CODED).read_bytes()
    assert load(coded.parent, "one").recall == load(run, "one").recall


def test_an_index_goes_with_the_vector_of_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(indexing, "BREADTHS", (2, 4))
    run = written(tmp_path, "fpmc")
    assert typed(monkeypatch, "index", str(run), *LITTLE) == 0
    assert typed(monkeypatch, "forget", str(run), "--user", "u03") == 0
    assert "its index taken out" in capfd.readouterr().out
    assert Recommender.load(run).known.index is None
    assert replace(read_run(run)).proven().folder == run


def test_an_updated_run_has_none_and_says_so(
    run: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "index", str(run), *LITTLE) == 0
    rows = [f"u{n:02},i{(n + step) % 12:02},{1000 + 10 * n + step}" for n in range(30) for step in (0, 1)]
    (run.parent / "today.csv").write_text("\n".join(["user,item,time", *rows]))
    assert typed(monkeypatch, "update", str(run), str(run.parent / "today.csv"), "--replace-worse") == 0
    assert "answers exactly: `nextitem index` makes an index of the new weights" in " ".join(
        capfd.readouterr().err.split()
    )
    assert Recommender.load(run).known.index is None
