"""What a training will hold in memory, from shapes alone: what its parts say that they take, added up.

Nothing of the size of the model is allocated here: parameters are counted and not drawn, steps by their shapes, and
what the encoder keeps for its backward pass by encoding one row of two lengths.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nextitem.compute.memory import leaves_holes
from nextitem.compute.randomness import Purpose, generator, seeded_globally
from nextitem.data.prepare import Prepared
from nextitem.experiment.plan.widths import MOST_WIDTH, two_widths, weights_of
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.batches import FLOAT_BYTES, Batch, StepShapes
from nextitem.model.encoders.encoder import Encoder
from nextitem.model.layers.packing import GROUP_ROWS
from nextitem.training.lessons import LESSON_BYTES

_STEPS = 32  # of an epoch that are drawn to learn their shapes
_LIBRARIES = 40 << 20  # what torch and its kernels take at the first step of a process, whatever the model
_PROBED_LENGTH = 64
_BUILT = 1 << 30  # weights that are not built in vain
# Where every draw of masks changes the sizes of what is read, glibc's heap keeps holes between them: measured, an epoch
# makes it grow to this many times what is alive, and to more with small batches of long windows.
_HOLES = 5.6


@dataclass(frozen=True)
class Work:
    """The steps of an epoch as far as their shapes tell: the first ones are drawn, the others are in proportion."""

    steps: int
    positions: int
    """Targets of an epoch."""
    most_positions: int
    """T of the largest step."""
    encoded: int
    """Positions that are encoded in the widest step."""
    groups: tuple[tuple[int, int], ...]
    """(rows, longest) of what attention pads to one length there."""
    read_share: float
    """Share of its places that the encoder's last layer computes."""
    kept: int = 0
    """Bytes of all histories in order, outside which the negatives of the validation loss are drawn at the least."""

    @property
    def rows(self) -> int:
        """Rows of the widest step."""
        return sum(count for count, _ in self.groups)

    @classmethod
    def of(cls, recipe: SequenceRecipe, prepared: Prepared, device: torch.device, seed: int) -> "Work":
        """Those of a recipe on its data."""
        windows = recipe.objective.windows(prepared.split.train)
        order = torch.randperm(len(windows), generator=generator(seed, Purpose.ORDER, 1))
        size = recipe.training.largest_batch(len(windows))
        steps = order.split(size)[: recipe.training.steps] if len(windows) else ()
        batches = [
            recipe.objective.batch(windows.select(rows), generator(seed, Purpose.MASKS_AND_NEGATIVES, 1, step))
            for step, rows in enumerate(steps[:_STEPS])
        ]
        if not batches:
            return cls(0, 0, 0, 0, (), 1.0)
        drawn = windows.select(torch.cat(steps[: len(batches)]))
        widest = max(batches, key=lambda batch: int(batch.lengths_B.sum()))
        targets = sum(len(batch.targets_T) for batch in batches)
        shown = sum(int(batch.lengths_B.sum()) for batch in batches)
        read = sum(len(batch.read) for batch in batches) / max(1, shown)  # an objective may show nothing
        prefix = int(recipe.prefix is not None)  # a place of each row more
        encoded = int(widest.lengths_B.sum()) if device.type == "cpu" else widest.inputs_BL.numel()
        return cls(
            len(steps),
            round(targets * int(windows.select(torch.cat(steps)).lengths_U.sum()) / int(drawn.lengths_U.sum())),
            max(len(batch.targets_T) for batch in batches),
            encoded + prefix * len(widest.lengths_B),
            tuple((rows, longest + prefix) for rows, longest in _groups(widest, device)),
            read if 2 * read <= 1 else 1.0,
            0 if recipe.negatives is None else recipe.negatives.kept_bytes(prepared.split.train),
        )


def _groups(batch: Batch, device: torch.device) -> tuple[tuple[int, int], ...]:
    rows = GROUP_ROWS if device.type == "cpu" else len(batch.lengths_B)
    return tuple((len(part), int(part[-1])) for part in batch.lengths_B.sort().values.split(rows))


def shapes_of(recipe: SequenceRecipe, work: Work, number_of_items: int) -> StepShapes:
    """The largest step, as the loss of the recipe sees it."""
    width, negatives = recipe.items.scored_width(recipe.encoder.output_width), recipe.negatives
    longest = max((longest for _, longest in work.groups), default=0)
    pair_bytes = recipe.items.pair_bytes()
    without = StepShapes(work.most_positions, work.rows, longest, width, number_of_items, pair_bytes=pair_bytes)
    if negatives is None:
        return without
    count = negatives.set_size(work.most_positions)
    lookup = recipe.items.lookup_bytes(1 + count, number_of_items, recipe.encoder.dim, width)
    return replace(without, count=count, sharing=negatives.sharing, lookup_bytes=lookup)


def needed(
    recipe: SequenceRecipe,
    work: Work,
    number_of_items: int,
    device: torch.device,
    processes: int = 1,
    number_of_users: int = 0,
    room: int | None = None,
) -> dict[str, int]:
    """Bytes that a training allocates at its peak, beyond what the process holds before, by what they are for.

    Where the other parts of a model of more than 1 GB are more than `room`, nothing is encoded to learn what that
    leaves: activations are then 0.
    """
    negatives, positions = recipe.negatives, work.most_positions
    # What a second item or user adds to the weights of a model of one: its rows.
    one, *more = (FLOAT_BYTES * weights_of(recipe, *sizes) for sizes in ((1, 1), (2, 1), (1, 2)))
    row, user = (two - one for two in more)
    table = row * number_of_items
    weights = one + row * (number_of_items - 1) + user * (number_of_users - 1)
    touched, shares = recipe.training.item_rows == "touched", shares_of(recipe, processes)
    copies = 2 if processes > 1 else 0  # gradients as one message, and their sums
    if shares > 1:
        # Beside a step's rows, their gradient and both as messages; validation has the whole table in place of these.
        share = row * -(-number_of_items // shares)
        weights = weights - table + share
        gradients = max(weights + share + 4 * _read(recipe, work, number_of_items) + copies * (weights - share), table)
    elif touched:
        # The rows, both of their gradients, and what Adam computes of them.
        gradients = 7 * _read(recipe, work, number_of_items) + (1 + copies) * (weights - table)
    else:
        gradients = weights + recipe.items.step_copies * table + copies * weights
    keeps_best = recipe.training.patience is not None and recipe.training.epochs > 1
    parts = {
        "libraries": _LIBRARIES,
        "weights": weights,
        "moments": 2 * weights + (12 * number_of_items if touched else 0),
        "averages": 0 if recipe.training.ema is None else weights,
        "best weights": weights if keeps_best else 0,
        "gradients": gradients,
        "loss": recipe.loss.bytes(shapes_of(recipe, work, -(-number_of_items // shares)))
        + (0 if negatives is None else negatives.bytes(positions, work.rows)),
        "negatives": work.kept,
    }
    if recipe.teacher is not None:
        parts["lessons"] = LESSON_BYTES * min(recipe.teacher.top, number_of_items) * work.positions
    is_known_not_to_fit = room is not None and weights > _BUILT and sum(parts.values()) > room
    return {**parts, "activations": 0 if is_known_not_to_fit else _activations(recipe, work, device)}


def shares_of(recipe: SequenceRecipe, processes: int) -> int:
    """How many parts the item table is in."""
    return processes if recipe.training.item_rows == "sharded" else 1


def _read(recipe: SequenceRecipe, work: Work, number_of_items: int) -> int:
    """Bytes of the vectors that the largest step reads, each once."""
    negatives, positions = recipe.negatives, work.most_positions
    drawn = 0 if negatives is None else negatives.drawn(positions, work.rows)
    return min(number_of_items, work.encoded + positions + drawn) * recipe.encoder.dim * FLOAT_BYTES


def _activations(recipe: SequenceRecipe, work: Work, device: torch.device) -> int:
    """Bytes that the encoder holds in the widest step, until its backward pass."""
    longest = min(_PROBED_LENGTH, recipe.objective.maximum_length)
    half = max(1, longest // 2)
    least, most = (_saved_at(recipe.encoder, length, work.read_share) for length in (half, longest))
    # Of a row of length L: linear · L + square · L² (attention).
    square = 0.0 if longest == half else (most / longest - least / half) / (longest - half)
    linear = most / longest - square * longest
    pairs = sum(count * length**2 for count, length in work.groups)
    embedded = 5 * recipe.encoder.dim * FLOAT_BYTES * work.rows * max((length for _, length in work.groups), default=0)
    is_holed = recipe.objective.needs_mask and work.read_share < 1.0 and device.type == "cpu" and leaves_holes()
    holes = _HOLES if is_holed else 1.0
    return round(holes * (linear * work.encoded + square * pairs)) + embedded


def _saved_at(encoder: Encoder, length: int, read_share: float) -> float:
    """Bytes that one row of this length leaves; of a wide encoder, on the line through those of two narrow ones."""
    narrow = two_widths(encoder) if encoder.dim > MOST_WIDTH else None
    with seeded_globally(0, Purpose.WEIGHTS):
        saved = [_saved(one.build(1), one, length, read_share) for one in narrow or (encoder,)]
    if narrow is None:
        return saved[0]
    less, more = narrow
    return saved[0] + (saved[1] - saved[0]) * (encoder.dim - less.dim) / (more.dim - less.dim)


def _saved(encoder: nn.Module, settings: Encoder, length: int, read_share: float) -> int:
    """Bytes that one row of this length leaves for the backward pass, weights not counted."""
    own = {weight.untyped_storage().data_ptr() for weight in encoder.parameters()}
    held: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    embeddings = torch.randn(1, length, settings.dim, requires_grad=True)
    read = torch.arange(max(1, round(read_share * length)))
    times = {"times_BL": torch.arange(length)[None]} if settings.reads_times else {}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        states = encoder(embeddings, torch.tensor([length]), torch.tensor([0]), read, **times)
    held[states.untyped_storage().data_ptr()] = states
    return sum(tensor.untyped_storage().nbytes() for place, tensor in held.items() if place not in own)
