"""A training that stops anywhere and goes on ends with the very bits of one that never stopped."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

import nextitem.checkpoint
from nextitem.checkpoint import FileCheckpoint, machine
from nextitem.encoders import FPMC, BERT4Rec, Caser, SASRec
from nextitem.errors import ArtefactError, ConfigurationError, StorageError
from nextitem.history import Epoch, History, Silent
from nextitem.losses import BinaryCrossEntropy, CrossEntropy, SampledCrossEntropy
from nextitem.model import SequenceModel
from nextitem.negatives import Uniform
from nextitem.objectives import MaskedItem, NextFew, NextItem
from nextitem.optimisation import Descent
from nextitem.sequences import Sequences
from nextitem.training import Progress, Training, fit
from shelves import build_model
from small_runs import ITEMS, chains, sha256

LOG = Sequences.of(chains(), ITEMS)
IDENTITY = {"recipe": '{"name":"small"}', "data": "d1", "seed": "0", "threads": "1"}
TRAINING = Training(epochs=4, batch_size=8, patience=3, weight_decay=0.01, schedule="linear", warmup_steps=5)
# The best epoch is the second: a training that is resumed after it has to know its weights.
VALUES = [0.1, 0.4, 0.2, 0.3]

SASREC = SASRec(dim=8, heads=2, positions=8, dropout=0.2), NextItem(maximum_length=8)
BERT4REC = BERT4Rec(dim=8, heads=2, inner=16, positions=8, dropout=0.2), MaskedItem(maximum_length=8)
SUN = (
    BERT4Rec(dim=8, heads=2, inner=16, positions=8, dropout=0.2, output_layer=True, output_bias=True),
    MaskedItem(maximum_length=4, stride=2, last_copies=1, masks="exact_share", most_masks=2),
)
BOTH = NextItem(maximum_length=8, cloze_weight=0.5, label_masking=0.3)
SHARED = Uniform(count=3, sharing="sequence", replacement=False)
KINDS = {
    "SASRec, softmax": (*SASREC, CrossEntropy(), None),
    "SASRec, one negative": (*SASREC, BinaryCrossEntropy(), Uniform(count=1)),
    "SASRec, shared negatives": (*SASREC, SampledCrossEntropy(), SHARED),
    "BERT4Rec, softmax": (*BERT4REC, CrossEntropy(), None),
    "BERT4Rec, shared negatives": (*BERT4REC, SampledCrossEntropy(), SHARED),
    "2019": (*SUN, CrossEntropy(), None),
    "SASRec, cloze and masked labels": (SASREC[0], BOTH, CrossEntropy(), None),
    "Caser, the next few": (Caser(dim=8, window=3), NextFew(maximum_length=3), BinaryCrossEntropy(), Uniform(count=3)),
    "FPMC, each transition": (FPMC(dim=8), NextFew(maximum_length=1, targets=1), BinaryCrossEntropy(), Uniform()),
}
SOFTMAX = "SASRec, softmax"


class KilledError(Exception):
    """Stands for the end of the process."""


class Killer(Silent):
    """Ends the training once epoch `epoch` is saved or, if `step` is given, at that step of it."""

    def __init__(self, epoch: int, step: int | None = None) -> None:
        self.last = (epoch, step)

    def step(self, epoch: int, step: int, steps: int) -> None:
        if (epoch, step) == self.last:
            raise KilledError

    def epoch(self, epoch: Epoch, history: History) -> None:
        if (epoch.epoch, None) == self.last:
            raise KilledError


class Remembering:
    """A checkpoint that keeps hold of what it was last given."""

    def __init__(self, checkpoint: FileCheckpoint) -> None:
        self.checkpoint = checkpoint
        self.progress: Progress | None = None

    def load(self, progress: Progress) -> None:
        self.progress = progress
        self.checkpoint.load(progress)

    def save(self, progress: Progress) -> None:
        self.checkpoint.save(progress)


def train(
    kind: str,
    file: Path,
    watcher: Silent | None = None,
    *,
    identity: dict[str, str] = IDENTITY,
    seed: int = 0,
    training: Training = TRAINING,
) -> tuple[SequenceModel, History]:
    encoder, objective, loss, negatives = KINDS[kind]
    model = build_model(encoder, objective, ITEMS).float()
    checkpoint = Remembering(FileCheckpoint(file, identity))

    def validate() -> dict[str, float]:
        torch.rand(3)  # whatever validation draws must not matter: a resumed training draws it less often
        epoch = len(checkpoint.progress.history.epochs)
        return {"ndcg@10": VALUES[epoch], "validation_loss": 1.0 - epoch}

    history = fit(
        model, LOG, loss.build(), training, seed, validate,
        negatives=negatives and negatives.build(LOG), checkpoint=checkpoint, watcher=watcher,
    )  # fmt: skip
    return model, history


def facts(history: History) -> list[Epoch]:
    """The epochs without what a clock says."""
    return [replace(epoch, train_seconds=0.0, positions_per_second=0.0) for epoch in history.epochs]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, History]]:
    """Per kind the fingerprint and history of a training that never stopped."""
    folder, found = tmp_path_factory.mktemp("uninterrupted"), {}
    for number, kind in enumerate(KINDS):
        model, history = train(kind, folder / f"{number}.safetensors")
        found[kind] = sha256(model.state_dict()), history
    return found


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("killer", [(1,), (2,), (3,), (4,), (3, 2)], ids="killed at {}".format)
def test_a_resumed_training_ends_with_the_same_bits(
    kind: str, killer: tuple[int, ...], uninterrupted: dict[str, tuple[str, History]], tmp_path: Path
) -> None:
    file = tmp_path / "partial" / "checkpoint.safetensors"
    with pytest.raises(KilledError):
        train(kind, file, Killer(*killer))
    model, history = train(kind, file)
    weights, expected = uninterrupted[kind]
    assert sha256(model.state_dict()) == weights
    assert facts(history) == facts(expected)
    assert history.best_epoch == expected.best_epoch == 2


def test_a_training_that_is_killed_again_and_again_ends_with_the_same_bits(
    uninterrupted: dict[str, tuple[str, History]], tmp_path: Path
) -> None:
    for killer in (Killer(1, 2), Killer(1), Killer(2, 1), Killer(2), Killer(4, 1)):
        with pytest.raises(KilledError):
            train(SOFTMAX, tmp_path / "checkpoint.safetensors", killer)
    model, _ = train(SOFTMAX, tmp_path / "checkpoint.safetensors")
    assert sha256(model.state_dict()) == uninterrupted[SOFTMAX][0]


def test_the_fingerprint_tells_trainings_apart(uninterrupted: dict[str, tuple[str, History]], tmp_path: Path) -> None:
    """Otherwise the tests above would prove nothing."""
    model, _ = train(SOFTMAX, tmp_path / "checkpoint.safetensors", seed=1)
    assert len({weights for weights, _ in uninterrupted.values()} | {sha256(model.state_dict())}) == len(KINDS) + 1


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


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("No space left on device")])
def test_a_checkpoint_survives_a_failure_to_write_the_next_one(
    file: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(tensors: object, partial: Path, words: object) -> None:
        partial.write_bytes(b"half of it")
        raise error

    before = file.read_bytes()
    monkeypatch.setattr(nextitem.checkpoint, "save_file", fail)
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


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_training_of_so_many_steps_goes_on_to_the_same_bits(epoch: int, tmp_path: Path) -> None:
    steps = math.ceil(len(SUN[1].windows(LOG)) / TRAINING.batch_size)
    training = TRAINING.model_copy(update={"steps": 2 * steps + steps // 2})  # half of the third epoch
    expected, history = train("2019", tmp_path / "whole", training=training)
    with pytest.raises(KilledError):
        train("2019", tmp_path / "parts", Killer(epoch), training=training)
    model, resumed = train("2019", tmp_path / "parts", training=training)
    assert len(history.epochs) == 3
    assert facts(resumed) == facts(history)
    assert sha256(model.state_dict()) == sha256(expected.state_dict())
    again, after = train("2019", tmp_path / "parts", training=training)  # there is nothing left to do
    assert (facts(after), sha256(again.state_dict())) == (facts(history), sha256(expected.state_dict()))
