"""A training that cannot fit is refused with what would, before anything is measured; the verb says its plan."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nextitem.compute import memory as machine_memory
from nextitem.compute.processes import AsOneOf
from nextitem.data.prepare import Prepared
from nextitem.errors import ConfigurationError
from nextitem.experiment.plan import plan
from nextitem.experiment.plan.memory import Work, needed
from nextitem.experiment.recipe import Recipe
from nextitem.model.encoders import BERT4Rec, SASRec
from nextitem.model.losses import CrossEntropy, SampledCrossEntropy
from nextitem.model.negatives import Uniform
from nextitem.model.objectives import MaskedItem, NextItem
from nextitem.training.session import Session
from worlds.command_line import typed
from worlds.parts import sequence, with_parts
from worlds.plans import CPU, total
from worlds.small_runs import RECIPES, chains, log_of, prepared_from


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepared_from(log_of(chains()))


def refusal(patch: pytest.MonkeyPatch, recipe: Recipe, prepared: Prepared, room: int) -> str:
    """What is said where there are `room` bytes; nothing may be measured, and so allocated, before."""

    def fail(*_: object) -> None:
        raise AssertionError("measured before it was known to fit")

    patch.setattr(plan, "available", lambda _device: room)
    patch.setattr(plan, "StepTimes", fail)
    with pytest.raises(ConfigurationError) as caught:
        plan.plan(recipe, prepared, Session(0))
    return str(caught.value)


def test_what_cannot_fit_is_refused_with_changes_that_do(monkeypatch: pytest.MonkeyPatch, prepared: Prepared) -> None:
    recipe = sequence(
        loss=SampledCrossEntropy(),
        negatives=Uniform(count=40_000, sharing="position"),
        objective=NextItem(maximum_length=8),
    )
    need = sum(needed(recipe.sequence, Work.of(recipe.sequence, prepared, CPU, 0), 12, CPU).values())
    room = need // 2
    said = refusal(monkeypatch, recipe, prepared, room)
    assert said.startswith("training unnamed on synthetic needs about ")
    assert plan.amount(need) in said
    assert f"{plan.amount(room)} are available" in said
    remedies = said.split("it would fit with ")[1].split(", or with ")
    assert len(remedies) > 1
    for remedy in remedies:
        assert total(plan.changed(recipe, *remedy.split()), prepared, 12) <= room


def test_where_nothing_fits_it_is_said(monkeypatch: pytest.MonkeyPatch, prepared: Prepared) -> None:
    assert "no smaller step or table would fit" in refusal(monkeypatch, Recipe(), prepared, 1000)


def test_rows_that_are_shared_out_are_planned_and_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = prepared_from(log_of(chains(items=1000)))
    training = RECIPES["sasrec-ce"].sequence.training.model_copy(update={"batch_size": 1})
    recipe = with_parts(RECIPES["sasrec-ce"], loss=CrossEntropy(block_rows=1), training=training)
    sharded = plan.changed(recipe, "training.item_rows=sharded")
    work, parts = Work.of(recipe.sequence, wide, CPU, 0), ("weights", "moments", "best weights", "gradients")
    alone, shared = (
        needed(one.sequence, work, 2_000_000, CPU, processes) for one, processes in ((recipe, 1), (sharded, 2))
    )
    assert sum(shared[part] for part in parts) == pytest.approx(sum(alone[part] for part in parts) / 2, rel=1e-3)
    items, two = len(wide.log.items), Session(0, AsOneOf(2, CPU))
    room = 2 * sum(needed(sharded.sequence, work, items, CPU, 2).values())
    monkeypatch.setattr(plan, "available", lambda _device: room)
    with pytest.raises(ConfigurationError, match=r"it would fit with training\.item_rows=sharded"):
        plan.fit_into(recipe, wide, two)
    assert plan.fit_into(sharded, wide, two)[0] == sharded


def test_blocks_of_the_softmax_are_lowered_only_where_they_must_be(
    monkeypatch: pytest.MonkeyPatch, prepared: Prepared
) -> None:
    recipe = RECIPES["sasrec-ce"]
    need = total(recipe, prepared, 12)
    monkeypatch.setattr(plan, "available", lambda _device: need)
    assert plan.fit_into(recipe, prepared, Session(0))[0] == recipe
    monkeypatch.setattr(plan, "available", lambda _device: need - 16 * 12 * 4)
    fitting, allocated, room = plan.fit_into(recipe, prepared, Session(0))
    loss = fitting.sequence.loss
    assert isinstance(loss, CrossEntropy)
    assert loss.block_rows is not None
    assert sum(allocated.values()) <= (room or 0)
    assert fitting == plan.changed(recipe, f"loss.block_rows={loss.block_rows}")
    together, _ = plan.plan_together(recipe, prepared, Session(0))
    assert together == fitting


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"memory.max": "max", "memory.current": "5", "memory.stat": ""}, None),
        ({"memory.max": "1000", "memory.current": "700", "memory.stat": "anon 1\ninactive_file 50\n"}, 350),
        ({}, None),
    ],
)
def test_the_limit_of_a_container_counts(
    files: dict[str, str],
    expected: int | None,
    monkeypatch: pytest.MonkeyPatch,
    written: Callable[..., object],
    tmp_path: Path,
) -> None:
    for name, content in files.items():
        written(name, content)
    assert machine_memory._left_in(tmp_path) == expected


def group_of(folder: Path, limit: str, used: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(limit)
    (folder / "memory.current").write_text(str(used))
    (folder / "memory.stat").write_text("inactive_file 0\n")


@pytest.mark.parametrize("own", ["0::/user.slice/job/step\n", "5:cpu:/x\n0::/user.slice/job/step\n"])
def test_the_least_of_all_groups_that_a_process_is_nested_in_counts(
    own: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    roots = tmp_path / "groups"
    group_of(roots / "user.slice" / "job" / "step", "max", 100)
    group_of(roots / "user.slice" / "job", "5000", 1000)
    group_of(roots / "user.slice", "9000", 2000)
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(machine_memory, "_GROUPS", roots)
    monkeypatch.setattr(machine_memory, "_OWN_GROUPS", tmp_path / "own")
    assert machine_memory.available(CPU) == 4000


def test_groups_of_the_first_version_count_what_those_below_them_hold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    group = tmp_path / "groups" / "memory" / "job"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("7000")
    (group / "memory.usage_in_bytes").write_text("3000")
    (group / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 500\n")
    (tmp_path / "own").write_text("4:memory:/job\n3:cpuset:/\n")
    monkeypatch.setattr(machine_memory, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine_memory, "_OWN_GROUPS", tmp_path / "own")
    assert machine_memory.available(CPU) == 4500


@pytest.mark.skipif(sys.platform != "linux", reason="the limits of a process are known on Linux alone")
@pytest.mark.parametrize("which", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_the_own_limits_of_a_process_count(which: str) -> None:
    """In a process of its own, for which all memory is too much."""
    code = f"""
import resource, torch
from nextitem.compute.memory import available
before = available(torch.device("cpu"))
held = resource.getrlimit(resource.{which})
resource.setrlimit(resource.{which}, (100 << 30, held[1]))
large = available(torch.device("cpu"))
resource.setrlimit(resource.{which}, (6 << 30, held[1]))
print(large <= 100 << 30, available(torch.device("cpu")) < 6 << 30)
"""
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True True\n"
    )


@pytest.mark.parametrize("settings", [(100_000, {}), (64, {"inner": 10**9})], ids=["dim", "inner"])
def test_a_model_beyond_all_memory_is_refused_without_being_built(
    settings: tuple[int, dict[str, int]], prepared: Prepared
) -> None:
    dim, others = settings
    encoder = BERT4Rec(dim=dim, positions=8, **others) if others else SASRec(dim=dim, positions=8)
    recipe = sequence(
        encoder=encoder, objective=NextItem(maximum_length=8) if not others else MaskedItem(maximum_length=8)
    )
    with pytest.raises(ConfigurationError, match=r"needs about .* TB more memory on cpu, and .* are available"):
        plan.fit_into(recipe, prepared, Session(0))


@pytest.mark.parametrize("dim", [10**9, 10**23])
def test_sizes_beyond_counting_are_refused(dim: int, prepared: Prepared) -> None:
    recipe = sequence(encoder=SASRec(dim=dim, positions=8), objective=NextItem(maximum_length=8))
    with pytest.raises(ConfigurationError, match=r"has more numbers than can be counted .*; lower encoder\.dim"):
        plan.fit_into(recipe, prepared, Session(0))


SMALL = ("data=events.csv", "encoder.dim=8", "objective.maximum_length=8", "training.epochs=1", "training.batch_size=8")


@pytest.fixture
def _shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    log_of(chains()).events.write_csv("events.csv")


@pytest.mark.usefixtures("_shop")
def test_train_can_be_planned_without_training(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert typed(monkeypatch, "train", "sasrec-ce", *SMALL, "--plan") == 0
    shown = capfd.readouterr().out
    for words in ("positions per epoch", "peak memory", "seconds per epoch", "validation", "plan: about "):
        assert words in shown
    assert typed(monkeypatch, "train", "sasrec-ce", *SMALL, "--plan", "--json") == 0
    found = json.loads(capfd.readouterr().out)
    assert found["peak_memory_bytes"] == sum(found["memory_bytes"].values())
    assert typed(monkeypatch, "train", "popularity", "data=events.csv", "--plan") == 2
    assert "popularity only counts" in capfd.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["events.csv"]


@pytest.mark.usefixtures("_shop")
def test_a_training_says_its_plan_and_refuses_what_cannot_fit(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "train", "sasrec-ce", *SMALL) == 0
    assert len(re.findall(r"^plan: about .* an epoch \(\w+ \d+ %\)$", capfd.readouterr().err, re.MULTILINE)) == 1
    monkeypatch.setattr(plan, "available", lambda _device: 1000)
    assert typed(monkeypatch, "train", "sasrec-ce", *SMALL) == 2
    assert "are available" in capfd.readouterr().err
