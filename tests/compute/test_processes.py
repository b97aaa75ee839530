"""Several processes end where one does. What they run is in in_two_processes.py; the small log has 30 users."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

import nextitem
from nextitem.compute.processes import ALONE, ProcessGroup, joined
from nextitem.compute.streams import speaker
from nextitem.errors import ConfigurationError
from nextitem.experiment.combined import Blend
from nextitem.experiment.presets import load_preset, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import run
from nextitem.training.session import Session
from worlds.in_two_processes import ACTS, EQUAL, SMALL, measured
from worlds.small_runs import ITEMS, USERS, chains, log_of, write_csv

TESTS = Path(__file__).resolve().parent.parent
LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0"}  # the machine's name may mean nothing


def environment(folder: Path) -> dict[str, str]:
    """Of a process that finds what this one finds, computes on one core and talks to this machine only."""
    ours = {key: value for key, value in os.environ.items() if key not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    paths = os.pathsep.join((str(Path(nextitem.__file__).parent.parent), str(TESTS)))
    return {**ours, **LOOPBACK, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("processes")
    write_csv(log_of(chains()), made / "events.csv")
    return made


@pytest.fixture(scope="module")
def codes(folder: Path) -> dict[str, list[int]]:
    """The exit codes of both processes of every act."""
    command = (sys.executable, TESTS / "worlds" / "in_two_processes.py", folder)
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[int]] = json.loads(done.stdout)
    assert found.keys() == ACTS.keys()
    return found


def said(folder: Path, act: str, rank: int) -> str:
    return (folder / f"{act}-{rank}.txt").read_text(encoding="utf-8")


def seen(folder: Path, codes: dict[str, list[int]], act: str) -> list[dict[str, Any]]:
    """What each of the two processes wrote down."""
    assert codes[act] == [0, 0], said(folder, act, 0) + said(folder, act, 1)
    return [json.loads((folder / f"{act}-{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]


def epochs(recipe: Recipe) -> int:
    if isinstance(recipe.model, Blend):
        recipe = recipe.model_copy(update={"model": recipe.model.model})
    return recipe.learner.training.epochs if recipe.learner.unplanned is None else 0


@pytest.mark.parametrize("name", EQUAL)
def test_two_processes_train_and_measure_what_one_does(name: str, folder: Path, codes: dict[str, list[int]]) -> None:
    two, one = seen(folder, codes, "trainings")[0][name], measured(name)
    assert two["users"] == one["users"] == list(range(USERS))
    assert two["certificate"] == {**one["certificate"], "metrics": list(one["certificate"]["metrics"])}
    assert two["test"] == pytest.approx(one["test"], rel=1e-4)
    assert len(two["losses"]) == len(one["losses"]) == epochs(EQUAL[name])
    for several, single in zip(two["losses"], one["losses"], strict=True):
        assert several == pytest.approx(single, rel=1e-4)
    for several, single in zip(two["validation"], one["validation"], strict=True):
        assert several == pytest.approx(single, rel=1e-4)


def test_both_processes_see_the_same_to_the_bit(folder: Path, codes: dict[str, list[int]]) -> None:
    first, second = seen(folder, codes, "trainings")
    assert first == second
    assert first["dropout"]["losses"] != first["sasrec-ce"]["losses"]


def test_rows_are_shared_gathered_and_summed(folder: Path, codes: dict[str, list[int]]) -> None:
    first, second = seen(folder, codes, "primitives")
    assert (first["share"], second["share"]) == ([0, 1], [2, 3, 4])
    assert first["gathered"] == second["gathered"] == [[0], [1], [4], [9], [16]]
    assert first["one row"] == second["one row"] == [1]
    assert first["gradients"] == second["gradients"] == [[1 + 2, 10 + 20], [5, 7], None]
    assert (first["stream"], second["stream"]) == ([0], [1])


def test_a_softmax_over_shared_out_rows_is_that_over_all(folder: Path, codes: dict[str, list[int]]) -> None:
    for process in seen(folder, codes, "primitives"):
        assert process["beside a whole table"] == pytest.approx([0.0] * 6, abs=1e-9)


def test_a_training_on_shared_out_rows_goes_on_from_an_ordinary_checkpoint(
    folder: Path, codes: dict[str, list[int]]
) -> None:
    first, second = seen(folder, codes, "trainings")
    assert first["gone on"]["weights"] == second["gone on"]["weights"] == first["rows shared out"]["weights"]
    with safe_open(folder / "shared-out.safetensors", framework="pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 - not a mapping
    assert {shape[0] for name, shape in shapes.items() if name.endswith("items.weight_Nd")} == {ITEMS}


def test_weights_that_differ_are_an_error_in_every_process(folder: Path, codes: dict[str, list[int]]) -> None:
    first, second = seen(folder, codes, "primitives")
    assert first["disagreement"] == second["disagreement"]
    assert "process 1 of 2 differs from process 0 in the weights" in first["disagreement"]


@pytest.mark.parametrize(
    ("act", "exits", "messages"),
    [
        ("interrupted", [130, 130], ["interrupted", "interrupted"]),
        ("storage", [5, 5], ["error: process 1 failed: the disk is full", "error: the disk is full"]),
        ("killed", [1, -9], ["another process has ended without a word", ""]),
    ],
)
def test_a_process_that_ends_ends_all(
    act: str, exits: list[int], messages: list[str], folder: Path, codes: dict[str, list[int]]
) -> None:
    assert codes[act] == exits
    for rank, message in enumerate(messages):
        ends = [line for line in said(folder, act, rank).splitlines() if line.startswith(f"process {rank} of 2: ")]
        assert message in "".join(ends[:1])
        assert "Traceback" not in said(folder, act, rank)
    assert [entry.name for entry in (folder / act).iterdir()] == [".partial"]


def test_torchrun_goes_on_with_an_interrupted_training_and_one_process_writes(
    folder: Path, codes: dict[str, list[int]]
) -> None:
    assert codes["interrupted"] == [130, 130]
    torchrun = (
        "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2",
        "-m", "nextitem", "train", "sasrec-ce", f"data={folder / 'events.csv'}", *SMALL,
    )  # fmt: skip
    options = ("--out", str(folder / "interrupted"), "--threads", "1", "--device", "cpu", "--resume", "--json")
    done = subprocess.run(
        (sys.executable, *torchrun, *options), env=environment(folder), capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)
    assert metrics["provenance"]["processes"] == 2
    (stored,) = (entry for entry in (folder / "interrupted").iterdir() if entry.name != ".partial")
    assert json.loads((stored / "metrics.json").read_text(encoding="utf-8")) == metrics
    assert list((folder / "interrupted" / ".partial").iterdir()) == []
    assert done.stderr.count("epoch 3") == 1
    assert "epoch 1 " not in done.stderr

    recipe = resolve_recipe(load_preset("sasrec-ce"), [f"data={folder / 'events.csv'}", *SMALL]).value
    one = run(recipe, Session(0))
    assert metrics["test"]["ndcg@10"] == pytest.approx(one.test.means["ndcg@10"], rel=1e-4)
    lines = [json.loads(line) for line in (stored / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 3
    for line, epoch in zip(lines, one.history.epochs, strict=True):
        assert line["train_loss"] == pytest.approx(epoch.train_loss, rel=1e-4)
        assert line["validation"] == pytest.approx(epoch.validation, rel=1e-4)


OWN_THREADS = """
import os, pathlib, torch
from nextitem.compute.processes import _join
_join(torch.device("cpu"))
weight = torch.nn.Parameter(torch.ones(1))
weight.grad = torch.ones(1)
torch.optim.Adam([weight]).step()
torch.distributed.all_reduce(weight.grad)
torch.distributed.destroy_process_group()
print(*(file.read_text() for file in pathlib.Path("/proc/self/task").glob("*/comm")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads have names in /proc")
def test_no_thread_of_a_group_outlives_it(folder: Path) -> None:
    alone = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    command = (sys.executable, "-c", OWN_THREADS)
    done = subprocess.run(command, env=environment(folder) | alone, capture_output=True, text=True, check=True)
    assert "python" in done.stdout
    assert "gloo" not in done.stdout


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("count", [0, 1, 7, 8])
def test_shares_cover_everything_once_and_differ_by_one_at_most(size: int, count: int) -> None:
    store, cpu = torch.distributed.HashStore(), torch.device("cpu")
    shares = [range(count)[ProcessGroup(rank, size, cpu, store).share(count)] for rank in range(size)]
    assert [row for share in shares for row in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_one_process_needs_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    with joined(torch.device("cpu")) as alone:
        assert (alone.rank, alone.size, alone.share(3), alone.stream) == (0, 1, slice(0, 3), ())
        assert alone == ALONE
        assert not torch.distributed.is_initialized()
    assert speaker() == ""


def test_several_processes_without_an_address_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    expected = r"WORLD_SIZE=2 asks for several processes, but .*MASTER_ADDR.* is not set; start them by torchrun"
    with pytest.raises(ConfigurationError, match=expected), joined(torch.device("cpu")):
        pass


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "7")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    expected = r"has 2 GPUs, and process 8 on it needs one of its own"
    with pytest.raises(ConfigurationError, match=expected), joined(torch.device("cuda")):
        pass
