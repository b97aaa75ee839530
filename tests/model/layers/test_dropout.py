import pytest
import torch

from nextitem.model.layers.dropout import Dropout, dropout

LEVELS = 2**16


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("probability", [0.1, 0.2, 0.5, 0.9])
def test_each_value_is_dropped_at_the_rate_asked_for(probability: float) -> None:
    dropped = dropout(torch.ones(4, 50_000), probability, training=True) == 0
    tolerance = 4.5 * (probability * (1 - probability) / 200_000) ** 0.5
    assert dropped.double().mean().item() == pytest.approx(probability, abs=tolerance)


def test_the_four_values_of_one_draw_are_dropped_independently() -> None:
    is_kept = dropout(torch.ones(100_000, 4), 0.3, training=True).T > 0
    for lane in is_kept:
        assert lane.double().mean().item() == pytest.approx(0.7, abs=4.5 * (0.3 * 0.7 / 100_000) ** 0.5)
    correlations = torch.corrcoef(is_kept.double()) - torch.eye(4)
    assert correlations.abs().max().item() < 4.5 / 100_000**0.5


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.999])
def test_the_rest_is_scaled_to_keep_the_expectation(probability: float) -> None:
    kept = dropout(torch.full((10_000,), 3.0), probability, training=True)
    scale = LEVELS / (LEVELS - round(probability * LEVELS))
    assert kept[kept != 0].unique().tolist() == pytest.approx([3 * scale])
    assert scale == pytest.approx(1 / (1 - probability), rel=0.01)


def test_gradients_flow_where_values_were_kept_and_with_their_scale() -> None:
    x = torch.randn(7, 9).requires_grad_()
    kept = dropout(x, 0.5, training=True)
    weights = torch.randn(7, 9)
    (kept * weights).sum().backward()
    assert torch.equal(x.grad, torch.where(kept != 0, weights * 2, 0))
    assert torch.equal(kept, torch.where(kept != 0, x * 2, 0))


def test_the_gradient_agrees_with_finite_differences() -> None:
    x = torch.randn(3, 5, dtype=torch.float64).requires_grad_()

    def of_one_draw(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        return dropout(x, 0.4, training=True)

    assert torch.autograd.gradcheck(of_one_draw, (x,))


@pytest.mark.parametrize(("probability", "training"), [(0.5, False), (0.0, True), (0.0, False)])
def test_nothing_is_dropped_in_evaluation_or_at_rate_zero(probability: float, training: bool) -> None:
    x = torch.randn(5)
    state = torch.random.get_rng_state()
    assert dropout(x, probability, training=training) is x
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("shape", [(0,), (1,), (3,), (4,), (5,), (2, 3, 7), ()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_any_shape_and_precision_is_kept(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    kept = dropout(torch.ones(shape, dtype=dtype), 0.5, training=True)
    assert (kept.shape, kept.dtype) == (shape, dtype)


def test_a_transposed_input_keeps_its_values_in_place() -> None:
    x = torch.arange(1.0, 13.0).view(3, 4).T
    kept = dropout(x, 0.5, training=True)
    assert torch.equal(kept, torch.where(kept != 0, x * 2, 0))


def test_the_input_is_not_changed() -> None:
    x = torch.ones(100)
    dropout(x, 0.5, training=True)
    assert x.eq(1).all()


def test_the_global_generator_decides_what_is_dropped() -> None:
    x = torch.ones(50)
    torch.manual_seed(3)
    first = dropout(x, 0.5, training=True)
    second = dropout(x, 0.5, training=True)
    torch.manual_seed(3)
    assert torch.equal(dropout(x, 0.5, training=True), first)
    assert not torch.equal(first, second)


def test_the_module_drops_in_training_mode_alone() -> None:
    module, x = Dropout(0.5), torch.ones(200)
    assert (module.train()(x) == 0).any()
    assert module.eval()(x) is x
