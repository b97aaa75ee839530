"""NCF: a network over pairs of user and item, trained by `fit` and scored through the seam that all models share."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation.evaluate import evaluate
from nextitem.experiment.again import evaluate_again
from nextitem.experiment.folder.stored import read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import metrics_of, write_run
from nextitem.experiment.plan.plan import plan
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome, build_model, run
from nextitem.model.baselines import Ncf
from nextitem.model.batches import PAD
from nextitem.model.losses import BinaryCrossEntropy, CrossEntropy
from nextitem.model.model import SequenceModel
from nextitem.model.negatives import Uniform
from nextitem.serving.recommender import Recommender
from nextitem.training.checkpoint import FileCheckpoint
from nextitem.training.fit import Training
from nextitem.training.history import Epoch, History
from nextitem.training.session import Checkpoint, Progress, Session
from worlds.resolving import refused
from worlds.small_runs import chains, log_of, metrics, prepared_from, sha256, write_csv

U, N = 5, 9
SMALL = Ncf(factors=2, layers=(6, 5, 3))
NEGATIVES = Uniform(count=4, exclude="history")
RECIPE = Recipe(
    name="ncf", baseline=SMALL, loss=BinaryCrossEntropy(), negatives=NEGATIVES,
    training=Training(epochs=3, batch_size=16, learning_rate=0.02, patience=2),
)  # fmt: skip
TRAIN = Sequences.of([[0, 1, 2], [3], [4, 4, 5, 6], [7], [1, 7]], N)


def lively(seed: int = 0) -> SequenceModel:
    """A model with weights large enough for every one of them to be felt."""
    model = build_model(RECIPE, N, seed, U).double().eval()
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=draws, dtype=torch.float64))
    return model


def naive(model: SequenceModel, user: int, item: int) -> Tensor:
    """NeuMF by the formulas of He et al. (2017), section 3.4, one pair at a time."""
    weights = dict(model.named_parameters())
    p, q = weights["encoder.weight_Ue"][user], weights["items.table.weight_Nd"][item]
    hidden = torch.cat([p[2:], q[2:]])
    for layer in (0, 1):
        name = f"items.network.layers.{layer}"
        hidden = (weights[f"{name}.weight"] @ hidden + weights[f"{name}.bias"]).relu()
    together = torch.cat([p[:2] * q[:2], hidden])
    return weights["items.network.output.weight"][0] @ together + weights["items.network.output.bias"][0]


def test_scores_are_those_of_a_naive_network() -> None:
    model = lively()
    query = model.query(TRAIN)
    expected = torch.stack([torch.stack([naive(model, user, item) for item in range(N)]) for user in range(U)])
    torch.testing.assert_close(query.scores(0, N), expected)
    torch.testing.assert_close(query.scores(2, 7), expected[:, 2:7])
    ids_CK = tensor([[8, 0], [1, 1], [2, 3], [0, 8], [5, 4]])
    torch.testing.assert_close(query.candidate_scores(ids_CK), expected.gather(1, ids_CK))
    torch.testing.assert_close(query.select(tensor([3, 1])).scores(0, N), expected[[3, 1]])


@pytest.mark.parametrize("pairs", [1, 5, 12])
def test_the_catalogue_is_scored_in_chunks(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    query = lively().query(TRAIN)
    whole = query.scores(0, N)
    monkeypatch.setattr("nextitem.model.baselines.ncf._PAIRS", pairs)
    torch.testing.assert_close(query.scores(0, N), whole)


@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
def test_candidates_may_be_shared(sharing: str) -> None:
    model = lively()
    states_Te, rows_T = model.query_states(TRAIN)[tensor([0, 0, 2])], tensor([0, 0, 1])
    ids = {"position": tensor([[1, 2], [3, 4], [5, 6]]), "sequence": tensor([[1, 2], [5, 6]]), "batch": tensor([7, 8])}
    asked = {"position": [[1, 2], [3, 4], [5, 6]], "sequence": [[1, 2], [1, 2], [5, 6]], "batch": [[7, 8]] * 3}
    scores_TK = model.items.candidate_scores(states_Te, ids[sharing], sharing, rows_T)
    expected = [[naive(model, user, item) for item in row] for user, row in zip((0, 0, 2), asked[sharing], strict=True)]
    torch.testing.assert_close(scores_TK, torch.stack([torch.stack(row) for row in expected]))


def test_every_event_is_a_target_of_its_user_and_nothing_is_read() -> None:
    model = lively()
    windows = model.windows(TRAIN)
    assert windows.users_U.tolist() == [0, 0, 0, 1, 2, 2, 2, 2, 3, 4, 4]
    assert windows.tolist() == [[0], [1], [2], [3], [4], [4], [5], [6], [7], [1], [7]]
    batch = model.batch(windows.select(tensor([10, 0])), torch.Generator())
    assert (batch.targets_T.tolist(), batch.users_B.tolist(), batch.rows_T.tolist()) == ([7, 0], [4, 0], [0, 1])
    assert bool((batch.inputs_BL == PAD).all())


def test_loss_and_gradients_are_those_of_naive_pairs() -> None:
    model = lively()
    batch = model.batch(model.windows(TRAIN), torch.Generator())
    drawn = NEGATIVES.build(TRAIN).sample(batch, torch.Generator().manual_seed(0))
    ours = model.loss(batch, BinaryCrossEntropy().build(), drawn)
    expected = torch.zeros((), dtype=torch.float64)
    for row, (user, target) in enumerate(zip(batch.users_B.tolist(), batch.targets_T.tolist(), strict=True)):
        expected = expected - naive(model, user, target).sigmoid().log()
        for item in drawn.ids[row].tolist():
            assert item not in TRAIN.tolist()[user]
            expected = expected - (1 - naive(model, user, item).sigmoid()).log()
    weights = list(model.parameters())
    for one, other in zip(torch.autograd.grad(ours, weights), torch.autograd.grad(expected, weights), strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(ours, expected)


def test_a_step_on_touched_rows_has_the_same_loss() -> None:
    model = lively()
    batch = model.batch(model.windows(TRAIN), torch.Generator())
    drawn = NEGATIVES.build(TRAIN).sample(batch, torch.Generator().manual_seed(0))
    narrow, batch_R, drawn_R, ids_R = model.narrowed(batch, drawn)
    assert len(ids_R) <= N
    loss = BinaryCrossEntropy().build()
    torch.testing.assert_close(narrow.loss(batch_R, loss, drawn_R), model.loss(batch, loss, drawn))


def test_weights_start_as_published() -> None:
    model = build_model(Recipe(**{**dict(RECIPE), "baseline": Ncf()}), 4000, 0, 3000)
    assert [(layer.in_features, layer.out_features) for layer in model.items.network.layers] == [
        (64, 32), (32, 16), (16, 8),
    ]  # fmt: skip
    assert (model.encoder.weight_Ue.shape, model.items.weight_Nd.shape) == ((3000, 40), (4000, 40))
    for table in (model.encoder.weight_Ue, model.items.weight_Nd):
        assert float(table.detach().std()) == pytest.approx(0.01, rel=0.02)
    network = model.items.network
    ranges = [(layer, (6 / (layer.in_features + layer.out_features)) ** 0.5) for layer in network.layers]
    for layer, bound in [*ranges, (network.output, (3 / 16) ** 0.5)]:
        assert 0.8 * bound < float(layer.weight.detach().abs().max()) <= bound
        assert not layer.bias.any()


def test_a_loss_over_the_whole_catalogue_is_refused() -> None:
    message = refused("ncf", "loss=cross_entropy")
    assert "loss cross_entropy multiplies with the whole item table, and ncf scores by a network" in message
    assert "use loss=binary_cross_entropy negatives=uniform" in message
    assert "each with negatives of its own" in refused("ncf", "negatives.sharing=batch")
    model = lively()
    with pytest.raises(ConfigurationError, match="ncf scores by a network"):
        model.loss(model.objective.query(TRAIN, tensor([0] * U)), CrossEntropy().build(), None)


@pytest.mark.parametrize("layers", ["[7, 3]", "[8, 0]", "[8]"])
def test_widths_that_make_no_network_are_refused(layers: str) -> None:
    assert "baseline.layers" in refused("ncf", f"baseline.layers={layers}")


def test_a_plan_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ncf is the baseline ncf: its training is not planned"):
        plan(RECIPE, prepared_from(log_of(chains())), Session(0))


@pytest.mark.parametrize("user", [-1, U])
def test_a_user_without_a_vector_is_refused(user: int) -> None:
    histories = Sequences.of([[1], [2]], N)
    histories.users_U[0] = user
    with pytest.raises(DataError, match="1 of 2 histories are not of a user that ncf was trained on"):
        lively().query(histories)


def test_it_learns_who_likes_what() -> None:
    """Even users have even items, odd users odd ones; of the last item of each kind nothing was seen."""
    groups = [[item for item in range(user % 2, 20, 2) if (item // 2 + user) % 5] for user in range(40)]
    recipe = Recipe(
        baseline=Ncf(factors=4, layers=(8, 8)), loss=BinaryCrossEntropy(), negatives=NEGATIVES,
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
    recipe = Recipe(**{**dict(RECIPE), "data": str(write_csv(log_of(chains()), tmp_path / "events.csv"))})
    outcome = run(recipe, Session(seed=0))
    found = metrics_of(outcome, metrics("popularity")["provenance"])
    assert found["parameters"] == sum(weight.numel() for weight in outcome.model.state_dict().values())
    assert found["train_seconds"] == pytest.approx(outcome.history.train_seconds, abs=0.01)
    folder = write_run(Workplace(tmp_path, "ncf", 0), recipe, outcome, found)
    assert read_run(folder).recipe.in_use().keys() == {
        "name", "data", "columns", "preparation", "split", "baseline", "loss", "negatives", "training",
    }  # fmt: skip
    assert evaluate_again(read_run(folder), "test", ["ndcg@10"]).means["ndcg@10"] == outcome.test.means["ndcg@10"]
    recommender = Recommender.load(folder)
    assert recommender.recommend(users=["u07"], k=3) == Recommender.from_outcome(outcome).recommend(users=["u07"], k=3)
    with pytest.raises(DataError, match="not of a user that ncf was trained on"):
        recommender.recommend([["i00"]])


def test_its_ranks_are_those_of_its_scores() -> None:
    outcome = run(RECIPE, Session(seed=0), prepared=prepared_from(log_of(chains())))
    cases = outcome.prepared.split.test
    scores = outcome.model.query(cases.histories).scores(0, 12)
    scores[cases.histories.flatten()] = -torch.inf
    above = (scores > scores.gather(1, cases.targets_C[:, None])).sum(1).double()
    assert torch.equal(evaluate(outcome.model, cases, ["ndcg@10"]).above_C, above)
