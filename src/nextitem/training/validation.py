"""What is looked at after every epoch: which cases, and the loss on them. C cases."""

import torch

from nextitem.compute import transfer
from nextitem.compute.memory import HEAP
from nextitem.compute.randomness import Purpose, generator
from nextitem.data.sequences import Sequences
from nextitem.data.splits.questions import owners
from nextitem.data.splits.split import Cases
from nextitem.model.losses.loss import Loss
from nextitem.model.model import SequenceModel
from nextitem.model.negatives.negatives import Negatives, Sampler
from nextitem.training.session import Session


def validation_cases(cases: Cases, users: int | None, seed: int) -> Cases:
    """The cases that are looked at after every epoch: all, or those of `users` users drawn once."""
    numbers_C = owners(cases.histories.users_U)
    count = int(numbers_C.max()) + 1 if len(cases) else 0
    if users is None or count <= users:
        return cases
    drawn = torch.randperm(count, generator=generator(seed, Purpose.VALIDATION))[:users]
    return cases.select(torch.isin(numbers_C, drawn))


def outside_sampler(negatives: Negatives, train: Sequences, of_training: Sampler) -> Sampler:
    """That of the validation loss: the one of training where it is the same, since it may hold all histories."""
    outside = negatives.outside_histories()
    return of_training if outside == negatives else outside.build(train)


@torch.no_grad()
def validation_loss(
    model: SequenceModel,
    loss: Loss,
    sampler: Sampler | None,
    cases: Cases,
    batch_size: int,
    session: Session,
) -> float:
    """Mean loss over cases, at the query position and in evaluation mode.

    A sampled loss gets the same negatives after every epoch: those that `sampler` draws for the seed.
    """
    total = torch.zeros((), dtype=torch.float64, device=model.device)
    histories, targets_C = model.as_read(cases.histories).to(model.device), cases.targets_C.to(model.device)
    processes = session.processes
    model.eval()
    for step, rows in enumerate(torch.arange(len(cases)).split(batch_size)):
        if step % processes.size != processes.rank:  # whole steps are dealt out, so that their negatives are too
            continue
        batch = model.objective.query(histories.select(rows), targets_C[transfer.send(rows, model.device)])
        draws = generator(session.seed, Purpose.VALIDATION, step, device=model.device)
        total += model.loss(batch, loss, None if sampler is None else sampler.sample(batch, draws))
        HEAP.tidy()
    return float(processes.sum(total)) / len(cases)
