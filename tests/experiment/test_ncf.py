"""NCF: users, neural items and single events, put together, trained, stored and asked as any other model."""

from pathlib import Path
from typing import Self

import pytest
import torch
from torch import tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation.evaluate import evaluate
from nextitem.experiment.again import evaluate_again
from nextitem.experiment.folder.metrics import metrics_of
from nextitem.experiment.folder.reading import read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.experiment.plan.plan import plan
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome, run
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.encoders import UserVectors
from nextitem.model.items import Neural
from nextitem.model.losses import BinaryCrossEntropy, CrossEntropy
from nextitem.model.negatives import Uniform
from nextitem.model.objectives import UserItem
from nextitem.serving.recommender import Recommender
from nextitem.training.checkpoint import FileCheckpoint
from nextitem.training.history import Epoch, History
from nextitem.training.session import Checkpoint, Progress, Session
from nextitem.training.training import Training
from worlds.parts import sequence
from worlds.resolving import refused, resolved
from worlds.small_runs import chains, log_of, metrics, prepared_from, sha256, write_csv

U, N = 5, 9
NEGATIVES = Uniform(count=4, exclude="history")
RECIPE = Recipe(
    name="ncf",
    model=SequenceRecipe(
        encoder=UserVectors(dim=5), items=Neural(layers=(6, 5, 3)), objective=UserItem(),
        loss=BinaryCrossEntropy(), negatives=NEGATIVES,
        training=Training(epochs=3, batch_size=16, learning_rate=0.02, patience=2),
    ),
)  # fmt: skip
TRAIN = Sequences.of([[0, 1, 2], [3], [4, 4, 5, 6], [7], [1, 7]], N)


def test_a_loss_over_the_whole_catalogue_is_refused() -> None:
    message = refused("ncf", "loss=cross_entropy")
    assert "loss cross_entropy multiplies with the whole item table, and items neural score by a network" in message
    assert "use loss=binary_cross_entropy negatives=uniform" in message
    assert "items neural score pair by pair, so each position needs negatives of its own" in refused(
        "ncf", "negatives.sharing=batch"
    )
    model = RECIPE.sequence.build(N, 0, U)
    with pytest.raises(ConfigurationError, match="items neural are scored by a network"):
        model.loss(model.objective.query(TRAIN, tensor([0] * U)), CrossEntropy().build(), None)


@pytest.mark.parametrize("layers", ["[7, 3]", "[8, 0]", "[8]"])
def test_widths_that_make_no_network_are_refused(layers: str) -> None:
    assert "items.layers" in refused("ncf", f"items.layers={layers}")


def test_vectors_that_leave_nothing_beside_the_network_are_refused() -> None:
    assert (
        "the network's input takes 32 numbers of a vector, half of items.layers[0], and encoder.dim=32 leaves no "
        "factors beside them; raise encoder.dim, or lower items.layers[0]"
    ) in refused("ncf", "encoder.dim=32")
    assert "so both are of one width; vectors have 64 and the encoder's states 128; use items=separate" in refused(
        "fpmc", "items=neural"
    )


def test_what_reads_a_history_is_shown_one_and_what_does_not_is_not() -> None:
    assert (
        "objective user_item shows no item of a history, and encoder sasrec reads nothing else; "
        "use objective=next_item, or encoder=user_vectors"
    ) in refused("ncf", "encoder=sasrec")
    assert (
        "encoder user_vectors knows users and reads no history, which objective next_item shows it in vain; "
        "use objective=user_item"
    ) in refused("sasrec-ce", "encoder=user_vectors")


def test_its_training_is_planned() -> None:
    found = plan(RECIPE, prepared_from(log_of(chains())), Session(0))
    windows = sum(len(history) - 2 for history in chains())  # all events but those of validation and test
    assert (found.work.positions, found.work.encoded) == (windows, 0)
    assert found.peak > 0


def test_tied_items_make_it_a_matrix_factorisation() -> None:
    recipe = resolved("ncf", "items=tied", "loss=cross_entropy", "encoder.dim=4")
    model = recipe.sequence.build(N, 0, U)
    expected = model.encoder.users_Ud @ model.items.weight_Nd.T
    torch.testing.assert_close(model.query(TRAIN).scores(0, N), expected.detach())


@pytest.mark.parametrize("user", [-1, U])
def test_a_user_without_a_vector_is_refused(user: int) -> None:
    histories = Sequences.of([[1], [2]], N)
    histories.users_U[0] = user
    with pytest.raises(DataError, match="1 of 2 histories are not of a user that the model was trained on"):
        RECIPE.sequence.build(N, 0, U).query(histories)


def test_it_learns_who_likes_what() -> None:
    """Even users have even items, odd users odd ones; of the last item of each kind nothing was seen."""
    groups = [[item for item in range(user % 2, 20, 2) if (item // 2 + user) % 5] for user in range(40)]
    recipe = sequence(
        encoder=UserVectors(dim=8), items=Neural(layers=(8, 8)), objective=UserItem(),
        loss=BinaryCrossEntropy(), negatives=NEGATIVES,
        training=Training(epochs=20, batch_size=64, learning_rate=0.02, patience=None),  # with more it overfits
    )  # fmt: skip
    outcome = run(recipe, Session(seed=0), prepared=prepared_from(log_of(groups)))
    top = outcome.model.query(outcome.prepared.log.sequences).scores(0, 20).topk(8).indices
    assert float((top % 2 == torch.arange(40)[:, None] % 2).double().mean()) > 0.95  # chance: a half


class Interrupted:
    """A checkpoint that stops the training after an epoch was saved."""

    def __init__(self, file: FileCheckpoint, last: int) -> None:
        self.file, self.last = file, last

    def load(self, progress: Progress) -> None:
        self.file.load(progress)

    def part(self, number: int) -> Self:
        return self

    def save(self, progress: Progress) -> None:
        self.file.save(progress)
        if len(progress.history.epochs) == self.last:
            raise KeyboardInterrupt


def test_a_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    prepared = prepared_from(log_of(chains()))

    def trained(checkpoint: Checkpoint | None = None) -> Outcome:
        return run(RECIPE, Session(seed=0, checkpoint=checkpoint), prepared=prepared)

    whole, file = trained(), FileCheckpoint(tmp_path / "checkpoint.safetensors", {})
    with pytest.raises(KeyboardInterrupt):
        trained(Interrupted(file, 1))
    resumed = trained(file)
    assert sha256(resumed.model.state_dict()) == sha256(whole.model.state_dict())
    assert losses(resumed.history) == losses(whole.history)


def losses(history: History) -> list[tuple[float, float | None]]:
    epochs: list[Epoch] = history.epochs
    return [(epoch.train_loss, epoch.validation_loss) for epoch in epochs]


def test_a_stored_run_scores_and_recommends_as_the_model_did(tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"data": str(write_csv(log_of(chains()), tmp_path / "events.csv"))})
    outcome = run(recipe, Session(seed=0))
    found = metrics_of(outcome, metrics("popularity").provenance)
    assert found.parameters == sum(weight.numel() for weight in outcome.model.state_dict().values())
    assert found.train_seconds == pytest.approx(outcome.history.train_seconds, abs=0.01)
    folder = write_run(Workplace(tmp_path, "ncf", 0), recipe, outcome, found)
    assert read_run(folder).recipe == recipe
    assert evaluate_again(read_run(folder), "test", ["ndcg@10"]).means["ndcg@10"] == outcome.test.means["ndcg@10"]
    recommender = Recommender.load(folder)
    assert recommender.recommend(users=["u07"], k=3) == Recommender.from_outcome(outcome).recommend(users=["u07"], k=3)
    with pytest.raises(DataError, match="not of a user that the model was trained on"):
        recommender.recommend([["i00"]])


def test_its_ranks_are_those_of_its_scores() -> None:
    outcome = run(RECIPE, Session(seed=0), prepared=prepared_from(log_of(chains())))
    cases = outcome.prepared.split.test
    scores = outcome.model.query(cases.histories).scores(0, 12)
    scores[cases.histories.flatten()] = -torch.inf
    above = (scores > scores.gather(1, cases.targets_C[:, None])).sum(1).double()
    assert torch.equal(evaluate(outcome.model, cases, ["ndcg@10"]).above_C, above)
