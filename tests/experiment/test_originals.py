"""The models as their papers ran them: settings by dataset, and that they train."""

import pytest
import torch

from nextitem.data.sequences import Sequences
from nextitem.experiment.presets import load_preset
from nextitem.experiment.run import run
from nextitem.model.encoders import BERT4Rec, SASRec
from nextitem.model.items import Tied
from nextitem.model.losses import BinaryCrossEntropy, CrossEntropy
from nextitem.model.negatives import Uniform
from nextitem.model.objectives import MaskedItem, NextItem
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.parts import sequence
from worlds.resolving import resolved
from worlds.small_runs import chains, log_of, prepared_from

# Length, stride, mask share, most masks, width, heads, hidden and attention dropout, steps: BERT4Rec of 2019.
SUN = {
    "beauty": (50, 5, 0.6, 30, 64, 2, 0.5, 0.2, 400_000),
    "steam": (50, 25, 0.4, 20, 256, 8, 0.2, 0.2, 800_000),
    "ml-1m": (200, 100, 0.2, 40, 64, 2, 0.2, 0.2, 400_000),
    "ml-20m": (200, 100, 0.2, 20, 64, 2, 0.1, 0.1, 400_000),
}


@pytest.mark.parametrize("data", SUN)
def test_bert4rec_is_that_of_2019(data: str) -> None:
    length, stride, share, most, dim, heads, dropout, attention, steps = SUN[data]
    recipe = resolved("bert4rec@sun2019", f"data={data}")
    assert recipe.sequence.encoder == BERT4Rec(
        dim=dim, blocks=2, heads=heads, inner=4 * dim, dropout=dropout, attention_dropout=attention,
        output_layer=True, positions=length,
    )  # fmt: skip
    assert recipe.sequence.items == Tied(bias=True)
    assert recipe.sequence.objective == MaskedItem(
        maximum_length=length, stride=stride, copies=10, last_copies=1, mask_probability=share, masks="exact_share",
        most_masks=most,
    )  # fmt: skip
    assert (recipe.sequence.loss, recipe.sequence.negatives) == (CrossEntropy(), None)
    assert recipe.sequence.training == Training(
        epochs=1_000_000, steps=steps, patience=None, batch_size=256, learning_rate=1e-4, beta2=0.999,
        weight_decay=0.01, gradient_clip=5.0, schedule="linear", warmup_steps=100,
    )  # fmt: skip


@pytest.mark.parametrize(("data", "length", "dropout"), [("beauty", 50, 0.5), ("steam", 50, 0.5), ("ml-1m", 200, 0.2)])
def test_sasrec_is_that_of_2018(data: str, length: int, dropout: float) -> None:
    recipe = resolved("sasrec@kang2018", f"data={data}")
    assert recipe.sequence.encoder == SASRec(
        dim=50, blocks=2, heads=1, dropout=dropout, positions=length, norm_placement="query",
        attention_output_projection=False, position_direction="from_newest",
    )  # fmt: skip
    assert recipe.sequence.objective == NextItem(maximum_length=length)
    assert recipe.sequence.loss == BinaryCrossEntropy()
    assert recipe.sequence.negatives == Uniform(count=1, sharing="position", replacement=True, exclude="history")
    assert recipe.sequence.training == Training(epochs=201, patience=20, beta2=0.98)


@pytest.mark.parametrize(("name", "short"), [("sasrec", "sasrec-ce"), ("bert4rec", "bert4rec")])
@pytest.mark.parametrize("data", ["ml-1m", "beauty", "synthetic"])
def test_the_models_of_2023_are_the_short_names(name: str, short: str, data: str) -> None:
    dated = resolved(f"{name}@klenitskiy2023", f"data={data}")
    assert dated.model_copy(update={"name": short}) == resolved(short, f"data={data}")
    for dataset, values in load_preset(short).published.items():
        assert load_preset(f"{name}@klenitskiy2023").published[dataset] == values


@pytest.mark.parametrize("name", ["sasrec", "bert4rec"])
def test_the_models_of_2023_are_wider_on_ml_20m(name: str) -> None:
    recipe = resolved(f"{name}@klenitskiy2023", "data=ml-20m")
    assert (recipe.sequence.encoder.dim, recipe.sequence.objective.maximum_length) == (256, 200)
    assert getattr(recipe.sequence.encoder, "inner", 256) == 256


@pytest.mark.parametrize("name", ["sasrec@kang2018", "bert4rec@sun2019"])
def test_an_original_trains_and_is_measured(name: str) -> None:
    small = ["encoder.dim=8", "encoder.positions=8", "objective.maximum_length=8", "training.batch_size=64"]
    if name == "bert4rec@sun2019":
        small += ["objective.stride=4", "encoder.inner=16", "training.steps=30", "training.learning_rate=0.01"]
    else:
        small += ["training.epochs=3"]
    recipe = resolved(name, *small)
    outcome = run(recipe, Session(seed=0), prepared=prepared_from(log_of(chains(users=60))))
    losses = [epoch.train_loss for epoch in outcome.history.epochs]
    assert losses[-1] < losses[0]
    assert outcome.parameters == sum(w.numel() for w in recipe.sequence.build(12, 0).parameters())


def test_an_epoch_of_2019_has_every_window_eleven_times() -> None:
    objective = resolved("bert4rec@sun2019", "data=beauty").sequence.objective
    windows = objective.windows(Sequences.of([list(range(60)), [1, 2]], 60))
    assert len(windows) == 11 * (3 + 1)  # 50 events from places 0, 5 and 10
    batch = objective.batch(windows, torch.Generator().manual_seed(0))
    assert sorted(batch.counts_B.tolist()) == [1] * 11 + [1] * 3 + [30] * 30  # of two events one is hidden


def test_the_head_of_2019_is_a_dense_layer_gelu_and_a_norm() -> None:
    encoder = BERT4Rec(dim=8, heads=2, inner=16, positions=8, output_layer=True)
    assert sequence(encoder=encoder, objective=MaskedItem(maximum_length=8)).sequence.encoder == encoder
    headed = encoder.build().double().eval()
    plain = BERT4Rec(dim=8, heads=2, inner=16, positions=8).build().double().eval()
    plain.load_state_dict({name: w for name, w in headed.state_dict().items() if not name.startswith("output_")})
    inputs, lengths_B = torch.randn(2, 5, 8, dtype=torch.float64), torch.tensor([5, 3])
    x = plain(inputs, lengths_B)[1, 2] @ headed.output_layer.weight.T + headed.output_layer.bias
    x = x * 0.5 * (1 + torch.erf(x / 2**0.5))
    expected = (x - x.mean()) / (x.var(correction=0) + 1e-12).sqrt()
    torch.testing.assert_close(headed(inputs, lengths_B)[1, 2], expected)


def test_attention_has_a_dropout_of_its_own() -> None:
    def spread(**settings: float) -> float:
        torch.manual_seed(0)
        module = BERT4Rec(dim=8, heads=2, inner=16, positions=8, **settings).build().train()
        with torch.no_grad():
            for weight in module.parameters():
                weight.add_(0.3 * torch.randn_like(weight))
        inputs, lengths_B = torch.randn(1, 5, 8), torch.tensor([5])
        states = torch.stack([module(inputs, lengths_B).detach() for _ in range(5)])
        return float(states.std(0).max())

    assert spread(dropout=0.0) == spread(dropout=0.0, attention_dropout=0.0) == 0
    assert spread(dropout=0.0, attention_dropout=0.5) > 0.01
    assert spread(dropout=0.5, attention_dropout=0.0) > 0.01
