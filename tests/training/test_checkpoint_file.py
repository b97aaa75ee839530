"""The file of a training in progress: written whole, and refused by name where it cannot be continued exactly."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import nextitem.training.checkpoint
from nextitem.compute.machine import machine
from nextitem.errors import ArtefactError, ConfigurationError, StorageError
from nextitem.training.checkpoint import FileCheckpoint
from nextitem.training.fit import Progress
from nextitem.training.history import History, Silent
from nextitem.training.optimisation import Descent, RowAdam
from worlds.killed import BERT4REC, IDENTITY, SASREC, SOFTMAX, KilledError, Killer, train
from worlds.shelves import build_model
from worlds.small_runs import ITEMS, sha256


@pytest.fixture(scope="module")
def after_two(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The checkpoint of a training that was killed after its second epoch."""
    file = tmp_path_factory.mktemp("after_two") / "checkpoint.safetensors"
    with pytest.raises(KilledError):
        train(SOFTMAX, file, Killer(2))
    return file.read_bytes()


@pytest.fixture
def file(tmp_path: Path, after_two: bytes) -> Path:
    """A copy of that checkpoint, to do anything to."""
    (tmp_path / "checkpoint.safetensors").write_bytes(after_two)
    return tmp_path / "checkpoint.safetensors"


def test_a_finished_training_is_not_trained_again(file: Path) -> None:
    _, history = train(SOFTMAX, file)
    steps: list[int] = []

    class Counter(Silent):
        def step(self, epoch: int, step: int, steps_of_epoch: int) -> None:
            steps.append(step)

    _, again = train(SOFTMAX, file, Counter())
    assert steps == []
    assert again.epochs == history.epochs  # seconds and all


def test_without_a_file_training_starts_at_the_beginning(tmp_path: Path) -> None:
    checkpoint = FileCheckpoint(tmp_path / "none", IDENTITY)
    progress = untouched_progress()
    checkpoint.load(progress)
    assert (progress.history, progress.best_weights) == (History(), None)


def untouched_progress() -> Progress:
    model = build_model(*SASREC, ITEMS).float()
    return Progress(model, Descent(model.parameters(), learning_rate=1e-3, beta2=0.999, weight_decay=0.01), History())


@pytest.mark.parametrize(
    ("changed", "fact"),
    [
        ({"threads": "2"}, "threads was 1, is 2;"),
        ({"seed": "7"}, "seed was 0, is 7;"),
        ({"data": "d2"}, "data was d1, is d2;"),
        ({"recipe": "{}"}, 'recipe was {"name":"small"}, is {};'),
        ({"device": "cuda"}, "device was None, is cuda;"),
        ({"seed": "7", "threads": "2"}, "seed was 0, is 7; threads was 1, is 2;"),
    ],
)
def test_another_identity_is_refused_by_what_differs(file: Path, changed: dict[str, str], fact: str) -> None:
    progress, before = untouched_progress(), file.read_bytes()
    weights = sha256(progress.model.state_dict())
    with pytest.raises(ConfigurationError) as caught:
        FileCheckpoint(file, IDENTITY | changed).load(progress)
    assert f"{file} cannot be continued exactly: {fact} use the same setting" in str(caught.value)
    assert sha256(progress.model.state_dict()) == weights
    assert file.read_bytes() == before


def test_an_identity_that_says_less_is_refused_as_well(file: Path) -> None:
    fewer = {key: value for key, value in IDENTITY.items() if key != "threads"}
    with pytest.raises(ConfigurationError, match="threads was 1, is None"):
        FileCheckpoint(file, fewer).load(untouched_progress())


def test_the_machine_is_known_by_all_that_bits_depend_on() -> None:
    found = machine(torch.device("cpu"))
    assert found["device"] == "cpu"
    assert found["threads"] == str(torch.get_num_threads())
    assert found["torch"] == torch.__version__
    assert set(found) == {"device", "threads", "torch", "instructions"}


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(file: Path, share: float) -> None:
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(ArtefactError, match=r"cannot be read as a checkpoint: .*; train anew by --fresh"):
        FileCheckpoint(file, IDENTITY).load(untouched_progress())


def test_a_file_of_other_content_is_refused(file: Path) -> None:
    file.write_text("epochs: 3\n" * 100)
    with pytest.raises(ArtefactError, match="cannot be read as a checkpoint"):
        FileCheckpoint(file, IDENTITY).load(untouched_progress())


def test_an_epoch_that_the_system_does_not_let_one_read_is_not_to_be_thrown_away(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(StorageError, match=r"cannot be read: Permission denied; correct its permissions and those of"):
        FileCheckpoint(file, IDENTITY).load(untouched_progress())


def test_a_folder_of_that_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="cannot be read as a checkpoint"):
        FileCheckpoint(tmp_path, IDENTITY).load(untouched_progress())


@pytest.mark.parametrize("words", [None, {"format": "pt"}, {"identity": "{}", "epochs": "[]"}])
def test_safetensors_that_are_no_checkpoint_are_refused(file: Path, words: dict[str, str] | None) -> None:
    save_file({"weight": torch.zeros(3)}, file, words)
    with pytest.raises(ArtefactError, match="is not a checkpoint of a training by this version; train anew"):
        FileCheckpoint(file, IDENTITY).load(untouched_progress())


def signed(words: dict[str, str], tensors: dict[str, torch.Tensor]) -> dict[str, str]:
    """The words of a checkpoint with the fingerprint of its content, as who alters it on purpose would."""
    return words | {"sha256": nextitem.training.checkpoint.fingerprint(words, tensors)}


@pytest.mark.parametrize(
    ("key", "said", "reason"),
    [
        ("identity", "recipe", "does not fit"),
        ("identity", "[]", "does not fit"),
        ("identity", "[" * 3000, "does not fit"),
        ("epochs", "[{", "does not fit: line 1: Invalid JSON"),
        ("epochs", '{"number": 1}', "does not fit: line 1: epoch is missing"),
        ("best_epoch", "-1", "does not fit"),
        ("best_epoch", "1", "does not fit: best_epoch = 1 is none of 0 epochs"),
        ("best_epoch", "9" * 5000, "does not fit"),
    ],
)
def test_a_checkpoint_with_other_words_is_refused(file: Path, key: str, said: str, reason: str) -> None:
    words = {"identity": json.dumps(IDENTITY), "epochs": "", "best_epoch": "0"} | {key: said}
    save_file(load_file(file), file, signed(words, load_file(file)))
    with pytest.raises(ArtefactError, match=reason):
        FileCheckpoint(file, IDENTITY).load(untouched_progress())


def test_weights_of_another_model_are_refused(file: Path) -> None:
    model = build_model(*BERT4REC, ITEMS).float()
    progress = Progress(model, Descent(model.parameters(), learning_rate=1e-3, beta2=0.999), History())
    with pytest.raises(ArtefactError, match=r"does not fit: .*; train anew by --fresh"):
        FileCheckpoint(file, IDENTITY).load(progress)


def test_a_checkpoint_holds_tensors_and_json_only(file: Path) -> None:
    """No pickle: its header is a length, then JSON; the rest is numbers."""
    content = file.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["identity"]) == IDENTITY
    assert {name.split("/")[0] for name in header} == {"__metadata__", "model", "best", "optimiser"}


def test_a_checkpoint_survives_a_failure_to_write_the_next_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(partial: Path, tensors: object, words: object) -> None:
        partial.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    before = file.read_bytes()
    monkeypatch.setattr(nextitem.training.checkpoint, "write_tensors", fail)
    with pytest.raises(StorageError, match=r"cannot write the checkpoint .*: .*No space left on device.*; free space"):
        train(SOFTMAX, file)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StorageError, match="cannot write the checkpoint"):
        FileCheckpoint(tmp_path / "runs" / "checkpoint.safetensors", IDENTITY).save(untouched_progress())


def test_saving_leaves_nothing_but_the_checkpoint(file: Path) -> None:
    train(SOFTMAX, file)
    assert list(file.parent.iterdir()) == [file]


def resaved(file: Path, **changed: torch.Tensor | None) -> None:
    """Write the checkpoint anew with other tensors, and the fingerprint that it then has; None leaves one out."""
    with safe_open(file, framework="pt") as content:
        words = content.metadata()
    tensors = {name: tensor for name, tensor in (load_file(file) | changed).items() if tensor is not None}
    save_file(tensors, file, signed(words, tensors))


@pytest.mark.parametrize("place", range(20))
def test_any_flipped_bit_is_refused(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) * place // 20 + 3] ^= 1 << place % 8
    file.write_bytes(content)
    progress = untouched_progress()
    before = sha256(progress.model.state_dict())
    with pytest.raises(ArtefactError, match="train anew by --fresh"):
        FileCheckpoint(file, IDENTITY).load(progress)
    assert sha256(progress.model.state_dict()) == before


@pytest.mark.timeout(10)
@pytest.mark.parametrize("make", [os.mkfifo, lambda file: file.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_what_has_no_end_is_refused_at_once(file: Path, make: Callable[[Path], None]) -> None:
    file.unlink()
    make(file)
    with pytest.raises(ArtefactError, match=r"cannot be read as a checkpoint: .* not a regular file; train anew"):
        FileCheckpoint(file, IDENTITY).load(untouched_progress())


@pytest.mark.parametrize(
    ("name", "tensor", "fact"),
    [
        ("optimiser/0/exp_avg", torch.zeros(1), r"0/exp_avg is \(1\) of float32 and should be \(12, 8\) of float32"),
        ("optimiser/0/exp_avg_sq", torch.zeros(12, 8).double(), "0/exp_avg_sq is .* of float64 and should be"),
        ("optimiser/0/exp_avg_sq", torch.full((12, 8), -1.0), "0/exp_avg_sq holds what can be no moment"),
        ("optimiser/0/step", torch.tensor(float("nan")), "0/step holds what can be no moment"),
        ("optimiser/0/step", None, "0/step is missing"),
        ("optimiser/99/step", torch.tensor(1.0), "there are moments of weight 99, of "),
        ("optimiser/first/step", torch.tensor(1.0), "first/step is no moment of a weight"),
        ("optimiser/item_rows/steps", torch.tensor(1), "tensors of item_rows, and this training has none"),
        ("optimiser/ema/steps", torch.tensor(1), "tensors of ema, and this training has none"),
        ("model/items.weight_Nd", torch.zeros(13, 8), r"items.weight_Nd is \(13, 8\) .* should be \(12, 8\)"),
        ("model/items.weight_Nd", torch.zeros(12, 8).half(), "items.weight_Nd is .* of float16 and should be"),
        ("model/items.weight_Nd", torch.full((12, 8), float("nan")), "items.weight_Nd holds numbers that are not"),
        ("best/items.weight_Nd", torch.zeros(8, 12), r"items.weight_Nd is \(8, 12\) .* should be \(12, 8\)"),
        ("model/items.weight_Nd", None, "items.weight_Nd is missing"),
        ("model/other", torch.zeros(1), "other is of no such model"),
    ],
)  # fmt: skip
def test_tensors_of_another_training_are_refused_by_name_whoever_signed_them(
    file: Path, name: str, tensor: torch.Tensor | None, fact: str
) -> None:
    resaved(file, **{name: tensor})
    progress = untouched_progress()
    before = sha256(progress.model.state_dict())
    with pytest.raises(ArtefactError, match=f"does not fit: .*{fact}"):
        FileCheckpoint(file, IDENTITY).load(progress)
    assert (sha256(progress.model.state_dict()), progress.history) == (before, History())


@pytest.mark.parametrize(
    ("name", "tensor", "fact"),
    [
        ("latest", torch.full((12,), 10**6, dtype=torch.int32), "rows were touched at no step"),
        ("steps", torch.tensor(10**9), "rows were touched at no step"),
        ("drift", torch.zeros(3, dtype=torch.float32), "drift is .* should have 1 dimension of float64"),
        ("second", torch.full((12, 8), -1.0), "second holds what can be no moment"),
        ("first", torch.zeros(12, 9), r"first is \(12, 9\)"),
        ("first", None, "first is missing"),
    ],
)
def test_rows_of_another_table_are_refused(name: str, tensor: torch.Tensor | None, fact: str) -> None:
    table = torch.nn.Parameter(torch.zeros(12, 8))
    rows = RowAdam(table, 0.999)
    tensors = rows.tensors() | {name: tensor}
    with pytest.raises(ValueError, match=fact):
        rows.check({key: value for key, value in tensors.items() if value is not None})
    rows.check(rows.tensors())
