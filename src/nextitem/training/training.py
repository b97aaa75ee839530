"""How a training goes on, as settings."""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from nextitem.settings.configuration import Configuration
from nextitem.training.row_adam import LEAST_BETA2
from nextitem.training.schedule import Schedule

Events = Literal["train", "train_and_validation"]


class Training(Configuration):
    """How the weights are found; the defaults are those of Klenitskiy & Vasilev (RecSys 2023)."""

    epochs: int = Field(100, ge=1)
    """Most passes over the windows."""
    steps: int | None = Field(None, ge=1)
    """Most steps, where that is fewer; the last epoch then ends with them. None: no other limit than `epochs`."""
    patience: int | None = Field(10, ge=1)
    """Stop after this many epochs without a better monitored value; none: train all epochs and keep the last."""
    monitor: str = "ndcg@10"
    """Validation metric that chooses the best epoch: one of those reported, larger is better."""
    stop_after: int | None = Field(None, ge=1)
    """Epochs after which it ends, whatever `epochs` says, by which a schedule goes on: what ends where validation ended
    another training has its step sizes then. none: no other limit than `epochs`."""
    events: Events = "train"
    """What is learnt: `train`, or the validation events too, for as many epochs as were found before, which `nextitem
    refit RUN --keep-test` sets; validation then shows nothing and is not looked at, so `patience` has to be none."""
    batch_size: int = Field(128, ge=1)
    """Windows per step."""
    batch_growth: int | None = Field(None, ge=1)
    """Epochs after which the batch size doubles, again and again (Smith et al., ICLR 2018, in place of a smaller step
    size); `steps`, schedules and progress count the fewer steps that later epochs have. none: it stays as it is."""
    most_batch_size: int | None = Field(None, ge=1)
    """Windows per step beyond which `batch_growth` does not go; none: all."""
    learning_rate: float = Field(1e-3, gt=0.0)
    """Adam's step size."""
    beta2: float = Field(0.999, ge=0.0, lt=1.0)
    """Decay of Adam's second moment (its first is 0.9)."""
    weight_decay: float = Field(0.0, ge=0.0)
    """Decoupled weight decay (AdamW), not applied to vectors such as biases and norms; 0 is plain Adam."""
    l2: float = Field(0.0, ge=0.0)
    """Factor of all weights that is added to their gradients before Adam scales them, half the weights' squares."""
    gradient_clip: float | None = Field(None, gt=0.0)
    """Largest norm of the whole gradient; none: no clipping."""
    schedule: Schedule = "constant"
    """`linear` and `cosine` let the step size fall to 0 at the last step that `epochs` and `steps` allow, also where
    `patience` ends the training before it. `one_cycle` has it rise to `learning_rate` from a 25th of it over the first
    three tenths of those steps, and fall to nearly 0 over the others (Smith & Topin, 2018)."""
    warmup_steps: int = Field(0, ge=0)
    """Steps over which the step size rises from 0."""
    ema: float | None = Field(None, gt=0.0, lt=1.0)
    """Decay of a moving average of all weights, counted in steps: .999 is over the latest thousand or so. The averages
    are what is validated and kept. From the first step on, with Adam's correction of the bias, so that what weights
    began with is not in it; `train_loss` stays that of the weights. none: the weights themselves."""
    item_rows: Literal["all", "touched", "sharded"] = "all"
    """Rows of the item table that a step reads and moves: `all`, or, for a loss with negatives, those `touched` by its
    inputs, targets and negatives, so that a step does not feel the catalogue. Both are Adam: what a row would have gone
    on by momentum alone, it goes when it is next read. `sharded`: all, of which each of several processes has an equal
    share with the optimiser's state of it, for catalogues that no device holds; in one process the same as `all`."""
    precision: Literal["float32", "tf32", "bfloat16", "auto"] = "float32"
    """Of products in training. `bfloat16`: 7 bits of each factor in the encoder, and on a GPU `tf32` in the rest; a CPU
    needs instructions for it (AVX-512 BF16, AMX), or takes many times as long. `tf32`, on a GPU: 10 bits. `auto`:
    float32 or bfloat16, whichever the plan of a training finds to be faster on its machine, which the run then has as
    its setting. Weights, moments and sums stay in float32, and so does evaluation."""
    validation_users: int | None = Field(10_000, ge=1)
    """Validate during training on this many users drawn at random when there are more; none: on all."""

    @model_validator(mode="after")
    def _decays_what_it_reads(self) -> Self:
        for name, factor in (("weight_decay", self.weight_decay), ("l2", self.l2)):
            if self.item_rows == "touched" and factor > 0:
                raise ValueError(
                    f"item_rows='touched' leaves rows alone that {name}={factor} would have to shrink; "
                    f"set item_rows=all or {name}=0"
                )
        if self.weight_decay > 0 and self.l2 > 0:
            raise ValueError(f"weight_decay={self.weight_decay} and l2={self.l2} are two ways to decay; set one to 0")
        if self.item_rows == "touched" and self.beta2 < LEAST_BETA2:
            raise ValueError(
                f"item_rows='touched' needs beta2 of at least {LEAST_BETA2}, got {self.beta2}: below, rows without a "
                f"gradient hardly come to rest; set item_rows=all or a larger beta2"
            )
        return self

    @model_validator(mode="after")
    def _averages_what_moves(self) -> Self:
        if self.item_rows == "touched" and self.ema is not None:
            raise ValueError(
                f"item_rows='touched' leaves rows alone whose average ema={self.ema} would have to follow at every "
                f"step; set item_rows=all or ema=none"
            )
        return self

    @model_validator(mode="after")
    def _is_chosen_by_what_it_does_not_learn(self) -> Self:
        if self.events == "train_and_validation" and self.patience is not None:
            raise ValueError(
                f"patience={self.patience} stops by validation events, which events={self.events} learns; set "
                f"patience=none, and epochs to what an earlier training found"
            )
        return self

    @model_validator(mode="after")
    def _rises_once(self) -> Self:
        if self.schedule == "one_cycle" and self.warmup_steps:
            raise ValueError(
                f"warmup_steps={self.warmup_steps} is for the other schedules: one_cycle rises by itself, over the "
                f"first three tenths of all steps; leave it out, or set schedule=cosine"
            )
        return self

    @model_validator(mode="after")
    def _grows_to_no_less(self) -> Self:
        if self.most_batch_size is not None and self.batch_growth is None:
            raise ValueError(f"most_batch_size={self.most_batch_size} is for a batch that grows; set batch_growth too")
        if self.most_batch_size is not None and self.most_batch_size < self.batch_size:
            raise ValueError(
                f"most_batch_size={self.most_batch_size} is less than batch_size={self.batch_size}, which it grows from"
            )
        return self

    @property
    def versions(self) -> tuple[Self, ...]:
        """In float32 and in bfloat16, where that is left open; else itself."""
        if self.precision != "auto":
            return (self,)
        return tuple(self.model_copy(update={"precision": precision}) for precision in ("float32", "bfloat16"))

    @property
    def kept_epoch(self) -> Literal["best", "last"]:
        """Which epoch's weights a training ends with."""
        return "last" if self.patience is None else "best"

    def batch_size_of(self, epoch: int) -> int:
        """Windows per step in this epoch, of which the first is 1."""
        if self.batch_growth is None:
            return self.batch_size
        grown = self.batch_size << (epoch - 1) // self.batch_growth
        return grown if self.most_batch_size is None else max(self.batch_size, min(grown, self.most_batch_size))

    def steps_before(self, epoch: int, windows: int) -> int:
        """How many steps the epochs before this one have, of so many windows each."""
        if self.batch_growth is None:
            return (epoch - 1) * math.ceil(windows / self.batch_size)
        return sum(math.ceil(windows / self.batch_size_of(each)) for each in range(1, epoch))

    def most_steps(self, windows: int) -> int:
        """How many steps the whole training has at most, where an epoch has so many windows."""
        most = self.steps_before(self.epochs + 1, windows)
        return most if self.steps is None else min(most, self.steps)

    def most_epochs(self, windows: int) -> int:
        """How many epochs it has at most, the last of which may be cut short by `steps`; 0 without windows."""
        most, taken = self.most_steps(windows), 0
        epochs = min(self.epochs, self.stop_after or self.epochs)
        for epoch in range(1, epochs + 1):
            if taken >= most:
                return epoch - 1
            taken += math.ceil(windows / self.batch_size_of(epoch))
        return epochs

    def exactly(self, epochs: int, events: Events) -> Self:
        """The training of exactly so many epochs of these events, with the step sizes that they have in this one."""
        exact = {"epochs": epochs, "steps": None} if self.schedule == "constant" else {"stop_after": epochs}
        return self.model_copy(update={**exact, "patience": None, "events": events})

    def largest_batch(self, windows: int) -> int:
        """Windows of its largest step, by which a plan goes."""
        return min(self.batch_size_of(max(1, self.most_epochs(windows))), max(windows, self.batch_size))
