"""Small runs of several kinds, a prepared log, a checkpoint, a search, what a service has; and what each is asked."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nextitem.cli import app
from nextitem.data.mapped.writing import prepare_into
from nextitem.data.prepare import prepare
from nextitem.experiment.presets import load_preset, load_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.search_space import parse_searches
from nextitem.experiment.train import Extras, train
from nextitem.report.run.page import report_into
from nextitem.serving.question import Question
from nextitem.serving.recommender import Recommender
from nextitem.serving.service.models import load
from nextitem.serving.store import database
from nextitem.serving.store.events import StoredEvent
from nextitem.serving.store.state import dump, restore
from nextitem.serving.store.store import EventStore
from nextitem.storage import sha256
from nextitem.studies.tuning import tune
from nextitem.training.history import Epoch, History, Silent
from nextitem.training.session import Session

SMALL = ("encoder.dim=8", "objective.maximum_length=8", "training.epochs=2", "training.batch_size=16")
RECIPES: Mapping[str, tuple[str, ...]] = {
    "sasrec-ce": SMALL,
    "popularity": (),
    "co-occurrence": (),
    "bpr-mf": ("model.factors=4", "model.iterations=2"),
    "fpmc": ("encoder.dim=8", "training.epochs=1", "training.batch_size=16"),
}
SPACE = parse_searches(["encoder.dropout={low=0.1, high=0.5}"])
USERS = "u03,u17"

Answer = tuple[int, str, str]
"""Exit code, what was answered, and what was said beside it."""
Ask = Callable[[Path], Answer]


@dataclass(frozen=True)
class Subject:
    """Something that the package left, and all that read it."""

    kind: str
    folder: Path
    files: Path
    """The folder in which its files are, from `folder` on."""
    asks: Mapping[str, Ask]


class _Stopping(Silent):
    """Ends a training after its first epoch, as an interruption would."""

    def epoch(self, epoch: Epoch, history: History) -> None:
        raise KeyboardInterrupt


def write_events(file: Path) -> Path:
    rows = [
        f"u{user:02},i{(user * 7 + event * 3) % 20:02},{60 * event + user}" for user in range(24) for event in range(8)
    ]
    file.write_text("\n".join(("user,item,time", *rows)) + "\n")
    return file


def subjects(world: Path) -> dict[str, Subject]:
    """All of them, made in a folder; of each recipe two runs, so that files of one can be put into the other."""
    events = str(write_events(world / "log.csv"))
    made: dict[str, Subject] = {}
    for name, overrides in RECIPES.items():
        for seed in (0, 1):
            report = report_into if (name, seed) == ("sasrec-ce", 0) else None
            recipe = load_recipe(name, f"data={json.dumps(events)}", *overrides)
            stored = train(recipe, Session(seed), world / "made", extras=Extras(report=report))
            folder = stored.folder.rename(world / f"{name}-{seed}")
            if seed == 0:
                made[name] = Subject("run", folder, Path(), RUN)
    for seed in (0, 1):  # of what the others of the name are not exchanged with
        folder = Path(shutil.copytree(world / f"sasrec-ce-{seed}", world / f"index-{seed}"))
        if typed("index", str(folder), "--k", "1", "--recall", "0.5")[0]:
            raise RuntimeError("no index was made of a few items")
    made["index"] = Subject("index", world / "index-0", Path(), INDEXED)
    prepare_into(world / "prepared", events)
    shutil.copytree(world / "prepared", world / "prepared-1")
    made["prepared log"] = Subject("prepared log", world / "prepared", Path(), PREPARED)
    recipe = load_recipe("sasrec-ce", f"data={json.dumps(events)}", *SMALL)
    try:
        train(recipe, Session(0, watcher=_Stopping()), world / "interrupted")
    except KeyboardInterrupt:
        below = next((world / "interrupted" / ".partial").iterdir()).relative_to(world / "interrupted")
        going_on = {"train": lambda folder: python(lambda: _resumed(recipe, folder))}
        made["checkpoint"] = Subject("checkpoint", world / "interrupted", below, going_on)
    searched = {"tune": lambda folder: python(lambda: _searched(events, folder, 3))}
    _searched(events, world / "search", 2)
    made["search"] = Subject("search", world / "search", Path(), searched)
    made |= _of_a_service(world)
    return made


def _of_a_service(world: Path) -> dict[str, Subject]:
    """A database, and a dump of it with a run."""
    for name in ("database", "state"):
        (world / name).mkdir()
    with EventStore.open(world / "database" / "events.db") as store:
        for number in range(40):
            store.add([StoredEvent(f"u{number % 7:02}", f"i{number:02}", number)] * 5, f"key {number}")
        store.forget("u03")
        store.catalogue.retire(["i01"])
        store.catalogue.add({"new": {"title": "New"}})
    (world / "database" / ".events.db.lock").unlink(missing_ok=True)
    dump([world / "popularity-0"], world / "database" / "events.db", world / "state" / "state.nextitem")
    run = str(world / "popularity-0")
    return {
        "database": Subject(
            "database", world / "database", Path(),
            {"open": lambda folder: python(lambda: _stored(folder / "events.db")),
             "dump": lambda folder: _dumped(run, folder)},
        ),
        "state": Subject(
            "state", world / "state", Path(),
            {"restore": lambda folder: python(lambda: _restored(folder / "state.nextitem")),
             "nextitem restore": lambda folder: typed("restore", str(folder / "state.nextitem"), "--json",
                                                      "--out", str(_fresh(folder, "restored")))},
        ),
    }  # fmt: skip


def _fresh(folder: Path, name: str) -> Path:
    """A place beside a folder where nothing is."""
    place = folder.parent / name
    shutil.rmtree(place, ignore_errors=True)
    return place


def _stored(file: Path) -> object:
    database.require_ours(file)  # one that is not there would be made
    with EventStore.open(file) as store:
        forgotten, changes = sorted(store.forgotten(), key=str), store.catalogue.changes()
        repeated = store.add([StoredEvent("u01", "i01", 1)] * 5, "key 1")
        return store.name, store.frame().rows(), forgotten, changes, repeated


def _dumped(run: str, folder: Path) -> Answer:
    out = _fresh(folder, "dumped")
    out.mkdir()
    events = str(folder / "events.db")
    code, text, err = typed("dump", run, "--events", events, "--out", str(out / "state"), "--json")
    if code == 0:
        text = repr(_restored(out / "state"))
    return code, text, err


def _restored(file: Path) -> object:
    out = _fresh(file.parent, "restored")
    restore(file, out)
    runs = {str(one.relative_to(out)): sha256(one) for one in out.rglob("*") if one.is_file() and one.suffix != ".db"}
    return sorted(runs.items()), _stored(out / "events.db")


def _resumed(recipe: Recipe, folder: Path) -> object:
    said: list[str] = []
    run = train(recipe, Session(0), folder, say=said.append)
    weights = {name: tensor.tolist() for name, tensor in sorted(run.weights.items())}
    return run.metrics.test.means, weights


def _searched(events: str, folder: Path, trials: int) -> object:
    found = tune(
        load_preset("sasrec-ce"), [f"data={json.dumps(events)}", *SMALL], SPACE, trials=trials, seed=0, folder=folder
    )
    return [(trial.settings, trial.value, trial.outcome) for trial in found.trials]


def typed(*words: str) -> Answer:
    """What the command line does, in this process: exit code, stdout and stderr, a library's own words included."""
    kept, before = [os.dup(1), os.dup(2)], sys.argv
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.argv = ["nextitem", *words]
        code = 0
        try:
            app.main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            sys.argv = before
            sys.stdout.flush()
            for place, descriptor in enumerate(kept, 1):
                os.dup2(descriptor, place)
                os.close(descriptor)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    return code, texts[0], texts[1]


def python(ask: Callable[[], object]) -> Answer:
    """What a call answers, or raises: the code of the package's own errors, and 1 for any other."""
    try:
        return 0, repr(ask()), ""
    except Exception as error:
        return int(getattr(error, "exit_code", 1)), "", f"{type(error).__name__}: {error}"
    except BaseException as error:  # a panic of a library is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return 1, "", f"{type(error).__name__}: {error}"


def _report(folder: Path) -> Answer:
    page = folder.parent / "page.html"
    page.unlink(missing_ok=True)
    code, _, err = typed("report", str(folder), "--out", str(page))
    return code, page.read_text() if page.exists() else "", err


def _lists(folder: Path) -> object:
    recommender = Recommender.load(folder)
    given: dict[str, Any] = {"users": ["u05", "u06"]}
    return recommender.recommend(k=4, **given)


def _answers(folder: Path) -> object:
    """Those of a service."""
    model = load(folder, "one")
    answers = model.recommender.answer([Question(user=user, k=1) for user in ("u05", "u06")])
    return model.recall, model.why_exact, [[one.item for one in answer] for answer in answers]


def _read_log(folder: Path) -> object:
    prepared = prepare(Recipe(data=str(folder)))
    log = prepared.log
    times = log.sequences.times().tolist() if log.sequences.has_times else None
    return log.sequences.tolist(), times, log.users.ids.to_list(), log.items.ids.to_list(), log.sha256(), prepared.notes


def _trained(folder: Path) -> Answer:
    out = folder.parent / "trained"
    code, text, err = typed("train", "popularity", f"data={folder}", "--json", "--no-report", "--out", str(out))
    shutil.rmtree(out, ignore_errors=True)
    if code == 0:
        told = json.loads(text)
        text = json.dumps({key: told[key] for key in ("test", "validation", "certificate")})
    return code, text, err


RUN: Mapping[str, Ask] = {
    "recommend": lambda folder: typed("recommend", str(folder), "--users", USERS, "--json"),
    "evaluate": lambda folder: typed("evaluate", str(folder), "--json"),
    "report": _report,
    "compare": lambda folder: typed("compare", str(folder), "--json"),
    "Recommender.load": lambda folder: python(lambda: _lists(folder)),
}
INDEXED: Mapping[str, Ask] = {
    "recommend": RUN["recommend"],
    "serve": lambda folder: python(lambda: _answers(folder)),
}
PREPARED: Mapping[str, Ask] = {
    "check": lambda folder: typed("check", str(folder), "--json"),
    "train": _trained,
    "prepare": lambda folder: python(lambda: _read_log(folder)),
}
