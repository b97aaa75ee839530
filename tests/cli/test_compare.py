"""`nextitem compare` as a user types it: trains what is missing, uses what is there, goes on where it was stopped."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nextitem.cli.compare import stored_rows
from nextitem.experiment.folder.reading import Run
from nextitem.experiment.presets import load_preset, resolve_recipe
from worlds.command_line import typed
from worlds.small_runs import chains, log_of, metrics, write_csv

TINY = """
encoder = { name = "sasrec", dim = 8, positions = 8 }
objective = { name = "next_item", maximum_length = 8 }
training = { epochs = EPOCHS, patience = none, batch_size = 8, learning_rate = RATE }
"""


def recipe(folder: Path, name: str, epochs: int = 2, rate: float = 0.005) -> str:
    text = TINY.replace("EPOCHS", str(epochs)).replace("RATE", str(rate)).replace("patience = none", "patience = 1000")
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return f"{name}.toml"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small log and recipes: one that works, one that diverges."""
    folder = tmp_path_factory.mktemp("place")
    write_csv(log_of(chains()), folder / "events.csv")
    recipe(folder, "tiny")
    recipe(folder, "wild", rate=1e30)
    return folder


def finished(place: Path, out: str = "runs") -> set[str]:
    return {entry.name for entry in (place / out).iterdir() if entry.name != ".partial"}


def test_it_trains_what_is_missing_tells_what_failed_and_uses_what_is_there(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    words = ("compare", "tiny.toml", "popularity", "--data", "events.csv", "--threads", "1")
    assert typed(monkeypatch, *words, "wild.toml", "--json") == 1
    out, err = capfd.readouterr()
    told = json.loads(out)
    assert [row["recipe"] for row in told["rows"]] == ["tiny", "popularity", "wild"]
    assert [row["seeds"] for row in told["rows"]] == [[0], [0], []]
    assert "seed 0 failed: " in told["rows"][2]["failures"][0]
    assert "1 training failed, and the table is without: wild: seed 0 failed" in err
    assert told["rows"][0]["peak_memory_mb"] > 50
    there = finished(place)
    assert len(there) == 2

    assert typed(monkeypatch, *words, "--json", "--against", "popularity") == 0
    out, err = capfd.readouterr()
    assert finished(place) == there
    assert err.count("finished in") == 2
    assert {Path(run).name for row in json.loads(out)["rows"] for run in row["runs"]} == there

    # A run's folder may stand in place of its recipe, and other events make another run.
    tiny = next(name for name in there if "tiny" in name)
    assert typed(monkeypatch, "compare", f"runs/{tiny}", "popularity", "--data", "events.csv", "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert [row["recipe"] for row in told["rows"]] == ["popularity", "tiny"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sasrec-cee",), "there is no recipe 'sasrec-cee'; did you mean 'sasrec-ce'"),
        (("tiny.toml", "--metrics", "ndgc@10"), "unknown metric 'ndgc@10'; known are"),
        (("tiny.toml", "popularity", "--against", "popularty"), "there is no such row; did you mean 'popularity'"),
        (("tiny.toml", "tiny.toml"), "are not all different; name each recipe once"),
        (("training.epochs=3",), "is no recipe; name each recipe once"),
        (("tiny.toml", "trainin.epochs=3"), "did you mean"),
        (("tiny.toml", "--device", "tpu"), "--device tpu"),
        (("tiny.toml", "--seeds", "0"), "Invalid value for '--seeds'"),
        (("tiny.toml", "--metrics", "ndcg@10,ndcg@10"), "names ndcg@10 more than once; name each metric once"),
        (("tiny.toml", "--runs", "nowhere"), "--runs nowhere: there is no such folder"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_trained(
    words: tuple[str, ...], message: str, place: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(place)
    assert typed(monkeypatch, "compare", *words, "--data", "events.csv", "--out", "none") == 2
    assert message in " ".join(capfd.readouterr().err.split())
    assert not (place / "none").exists()


def test_given_runs_of_one_recipe_are_called_by_their_settings() -> None:
    def run(seed: int, *overrides: str) -> Run:
        recipe = resolve_recipe(load_preset("sasrec-3000"), overrides).value
        found = metrics("popularity")
        made = found.provenance.model_copy(update={"seed": seed})
        return Run(Path(f"runs/{seed}"), recipe, found.model_copy(update={"provenance": made}))

    runs = [run(0), run(0, "negatives.count=10"), run(1, "negatives.count=10"), run(0, "negatives.count=100")]
    assert [(row.label, len(row.runs)) for row in stored_rows(runs)] == [
        ("sasrec-3000", 1), ("sasrec-3000, negatives.count=10", 2), ("sasrec-3000, negatives.count=100", 1),
    ]  # fmt: skip


def test_a_folder_that_is_no_run_is_said_to_be_none(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    (place / "empty").mkdir()
    assert typed(monkeypatch, "compare", "tiny.toml", "empty", "--data", "events.csv", "--out", "none") == 4
    assert "empty is not a run: it has no manifest.json" in capfd.readouterr().err
    assert not (place / "none").exists()


def test_given_runs_of_unequal_certificates_are_refused_before_anything_is_trained(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    write_csv(log_of(chains(20)), place / "fewer.csv")
    for data in ("events.csv", "fewer.csv"):
        assert typed(monkeypatch, "compare", "popularity", "--data", data, "--out", f"of-{data}") == 0
    runs = [str(next((place / f"of-{data}").glob("2*"))) for data in ("events.csv", "fewer.csv")]
    capfd.readouterr()
    assert typed(monkeypatch, "compare", "tiny.toml", *runs, "--data", "events.csv", "--out", "none") == 2
    assert "cannot be compared, their certificates differ: dataset" in capfd.readouterr().err
    assert typed(monkeypatch, "compare", "tiny.toml", runs[1], "--data", "events.csv", "--out", "none") == 2
    assert "have different test cases" in capfd.readouterr().err
    assert not (place / "none").exists()


def test_an_interruption_ends_the_training_and_the_same_words_go_on_with_it(place: Path) -> None:
    recipe(place, "long", epochs=300)
    words = [sys.executable, "-m", "nextitem", "compare", "long.toml", "--data", "events.csv", "--out", "stopped"]
    words += ["--threads", "1"]
    heed = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)  # in the background too
    process = subprocess.Popen(words, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed)
    deadline = time.monotonic() + 240
    while not list(place.glob("stopped/.partial/*/checkpoint.safetensors")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)  # the waiting process alone, as a supervisor does; Ctrl-C reaches both
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130, err
    assert b"go on after the last epoch" in err
    assert finished(place, "stopped") == set()
    done = subprocess.run([*words, "--json"], cwd=place, capture_output=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert b"\nepoch 1 " not in done.stderr  # it went on after that
    (row,) = json.loads(done.stdout)["rows"]
    lines = (place / row["runs"][0] / "history.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, len(lines) + 1))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="processes are listed in Linux's /proc")
def test_ctrl_c_is_no_matter_of_a_training_that_still_starts(place: Path) -> None:
    """It would end with a traceback; the process that waits for it ends it in words."""
    words = [sys.executable, "-m", "nextitem", "compare", "tiny.toml", "--data", "events.csv", "--out", "early"]
    process = subprocess.Popen([*words, "--threads", "1"], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert any(b"seed 0: training" in line for line in process.stderr)
    time.sleep(0.5)  # the training's process imports, for seconds
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split():
        os.kill(int(child), signal.SIGINT)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert b"Traceback" not in err
