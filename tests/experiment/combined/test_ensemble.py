"""Several models learnt one after another and asked as one: seeds, epochs, what is refused, and the Markov set."""

from pathlib import Path

import pytest
import torch

from nextitem.errors import ConfigurationError
from nextitem.evaluation.evaluate import evaluate
from nextitem.experiment.combined.ensemble import Ensemble, Member
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.experiment.train import file_checkpoint
from nextitem.model.encoders import SASRec
from nextitem.model.objectives import NextItem
from nextitem.training.checkpoint import FileCheckpoint
from nextitem.training.history import Epoch, History, Silent
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.small_runs import ENCODER, ITEMS, RECIPES, SMALL, chains, log_of, outcome, prepared_from

ENSEMBLE = RECIPES["ensemble"]


def test_the_members_are_what_their_seeds_learn_alone() -> None:
    prepared = prepared_from(log_of(chains()))
    found = ENSEMBLE.learner.learn(prepared, Session(seed=5))
    alone = [SMALL.learn(prepared, Session(seed=seed)) for seed in (0, 1)]
    histories = prepared.split.test.histories
    wanted = (alone[0].scorer.query(histories).scores(0, ITEMS) + alone[1].scorer.query(histories).scores(0, ITEMS)) / 2
    torch.testing.assert_close(found.scorer.query(histories).scores(0, ITEMS), wanted)
    assert found.scorer.tensors()["epochs"].tolist() == [one.history.best_epoch for one in alone]
    assert found.parameters == sum(one.parameters for one in alone)


def test_each_member_learns_all_events_for_its_own_epochs() -> None:
    tensors = {"epochs": torch.tensor([3, 1])}
    exact = ENSEMBLE.learner.as_chosen(0, tensors)
    assert isinstance(exact, Ensemble)
    assert [(one.model.training.epochs, one.model.training.patience) for one in exact.members] == [(3, None), (1, None)]
    prepared = prepared_from(log_of(chains()))
    learnt = exact.learn_all(prepared.log, prepared.features, Session(0))
    assert learnt.scorer.tensors()["epochs"].tolist() == [3, 1]


class Killed(Silent):
    """Ends the training after the second member's first epoch."""

    def __init__(self) -> None:
        self.epochs = 0

    def epoch(self, epoch: Epoch, history: History) -> None:
        self.epochs += 1
        if self.epochs == 3:
            raise KeyboardInterrupt


def test_an_interrupted_ensemble_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    prepared = prepared_from(log_of(chains()))

    def session(watcher: Silent) -> Session:
        kept = file_checkpoint(tmp_path / "checkpoint.safetensors", ENSEMBLE, prepared, Session(0))
        assert isinstance(kept, FileCheckpoint)
        return Session(0, watcher=watcher, checkpoint=kept)

    with pytest.raises(KeyboardInterrupt):
        ENSEMBLE.learner.learn(prepared, session(Killed()))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["checkpoint-1.safetensors", "checkpoint.safetensors"]
    again, watcher = None, Killed()
    watcher.epochs = 4  # counts on, and so would end only at epochs that were done before
    again = ENSEMBLE.learner.learn(prepared, session(watcher))
    assert watcher.epochs == 5
    for name, tensor in outcome("ensemble").model.tensors().items():
        assert torch.equal(again.scorer.tensors()[name], tensor)


def test_it_learns_a_chain() -> None:
    chain = [[(start + place) % 8 for place in range(6)] for start in range(8) for _ in range(6)]
    prepared = prepared_from(log_of(chain))
    training = Training(epochs=15, batch_size=16, learning_rate=1e-2, patience=None)
    model = SequenceRecipe(encoder=SASRec(**ENCODER), objective=NextItem(maximum_length=8), training=training)
    recipe = Ensemble(members=(Member(seed=0, model=model), Member(seed=1, model=model)))
    scorer = recipe.learn(prepared, Session(0)).scorer
    other = recipe.model_copy(update={"average": "probability"}).restore(scorer.tensors(), 8)
    for one in (scorer, other):
        assert evaluate(one, prepared.split.test, intervals=False).means["ndcg@10"] > 0.95


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": torch.tensor([1])}, "epochs should be 2 numbers from 1"),
        ({"epochs": torch.tensor([1, 0])}, "epochs should be 2 numbers from 1"),
        ({"epochs": torch.ones(2)}, "epochs is .2. of float32 and should have 1 dimension of int64"),
        ({"2.items.weight_Nd": torch.ones(2)}, "2.items.weight_Nd is of none of 2 members"),
        ({"1.items.weight_Nd": torch.ones(2, 2)}, "member 1: items.weight_Nd is .2, 2. of float32"),
    ],
)
def test_what_is_of_others_is_refused(change: dict[str, torch.Tensor], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ENSEMBLE.learner.restore(outcome("ensemble").model.tensors() | change, ITEMS)


def test_the_same_training_twice_is_no_ensemble() -> None:
    with pytest.raises(ConfigurationError, match="members 0 and 1 are the same model with the same seed, 3"):
        Ensemble(members=(Member(seed=3), Member(seed=3)))


def test_it_says_what_it_is_made_of() -> None:
    other = Member(seed=7, model=RECIPES["fpmc"].sequence)
    made = Ensemble(members=(*ENSEMBLE.model.members, other), average="probability")
    assert made.described(1234, 0) == (
        "Ensemble of 3 models, mean of probabilities: sasrec, next item, cross entropy (seed 0, 1); "
        "fpmc, next few, binary cross entropy (seed 7); 1,234 weights."
    )
    assert made.has_users
    assert not made.depends_on_seed
    with pytest.raises(ConfigurationError, match="is made of models: encoder and loss are theirs"):
        Recipe(model=made).sequence  # noqa: B018


def test_members_with_vectors_of_other_users_are_refused() -> None:
    members = tuple(Member(seed=seed, model=RECIPES["fpmc"].sequence) for seed in (0, 1))
    fpmc, model = outcome("fpmc").model.tensors(), Ensemble(members=members)
    tensors = {f"{place}.{name}": tensor for place in (0, 1) for name, tensor in fpmc.items()}
    tensors |= {"epochs": torch.tensor([1, 1])}
    assert model.users_in(tensors) == 30
    kept = model.without_user(tensors, 2, torch.tensor([0]))
    assert {len(kept[f"{place}.encoder.users_Ud"]) for place in (0, 1)} == {29}
    tensors["1.encoder.users_Ud"] = tensors["1.encoder.users_Ud"][:29]
    with pytest.raises(ValueError, match="the members know 29 and 30 users"):
        model.restore(tensors, ITEMS)
