"""The file of a training in progress: written whole, and refused by name where it cannot be continued exactly."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import nextitem.training.checkpoint
from nextitem.compute.machine import machine
from nextitem.errors import ArtefactError, ConfigurationError, StorageError
from nextitem.training.checkpoint import FileCheckpoint
from nextitem.training.fit import Progress
from nextitem.training.history import History, Silent
from nextitem.training.optimisation import Descent
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
    return Progress(model, Descent(model.parameters(), learning_rate=1e-3, beta2=0.999), History())


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


def test_a_folder_of_that_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="cannot be read as a checkpoint"):
        FileCheckpoint(tmp_path, IDENTITY).load(untouched_progress())


@pytest.mark.parametrize("words", [None, {"format": "pt"}, {"identity": "{}", "epochs": "[]"}])
def test_safetensors_that_are_no_checkpoint_are_refused(file: Path, words: dict[str, str] | None) -> None:
    save_file({"weight": torch.zeros(3)}, file, words)
    with pytest.raises(ArtefactError, match="is not a checkpoint of a training; train anew"):
        FileCheckpoint(file, IDENTITY).load(untouched_progress())


@pytest.mark.parametrize(
    ("key", "said", "reason"),
    [
        ("identity", "recipe", "cannot be read as a checkpoint"),
        ("identity", "[]", "is not a checkpoint of a training"),
        ("epochs", "[{", "cannot be read as a checkpoint"),
        ("epochs", '[{"number": 1}]', "does not fit"),
    ],
)
def test_a_checkpoint_with_other_words_is_refused(file: Path, key: str, said: str, reason: str) -> None:
    words = {"identity": json.dumps(IDENTITY), "epochs": "[]", "best_epoch": "0"}
    save_file(load_file(file), file, words | {key: said})
    with pytest.raises(ArtefactError, match=reason):
        FileCheckpoint(file, IDENTITY).load(untouched_progress())


def test_weights_of_another_model_are_refused(file: Path) -> None:
    model = build_model(*BERT4REC, ITEMS).float()
    progress = Progress(model, Descent(model.parameters(), learning_rate=1e-3, beta2=0.999), History())
    with pytest.raises(ArtefactError, match=r"(?s)does not fit: .*encoder\.token_type_d.*; train anew by --fresh"):
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
