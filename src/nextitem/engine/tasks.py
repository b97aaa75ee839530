"""Work as tasks of a Ray cluster, each in a process of its own: trainings, and pieces that share nothing.

A task whose process dies, by a kill or with its machine, is done again; a training goes on from its last full epoch,
which all machines must see.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch

from nextitem.engine.cluster import got, joined_cluster
from nextitem.engine.engine import Engine
from nextitem.engine.entries import Place
from nextitem.engine.heard import Heard, Speaker
from nextitem.engine.one import trained
from nextitem.errors import ConfigurationError, NextitemError
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.train import settle_earlier
from nextitem.storage import when_free

P = TypeVar("P")
R = TypeVar("R")
_OFTEN = 0.5  # seconds after which is said what tasks have said
_PATIENCE = 60.0  # seconds that a task waits for one before it, whose machine may be about to be gone
_AGAIN = 20  # times that a task is done again: what kills its process each time ends at last


@dataclass(frozen=True)
class RayTasks:
    """A `Spread` over tasks, for pieces that are long, or work that is quickly loaded."""

    workers: int | None = None
    """How many at a time; None: as many as have room."""
    threads: int = 1
    """Of each, which takes as many cores."""

    def over(self, work: Callable[[P], R], pieces: Iterable[P]) -> Iterator[tuple[P, R]]:
        """Each piece with what was made of it, as they are done; in the folder that this process is in.

        Raises what `work` raises, and as `RayActors` does.
        """
        with joined_cluster() as ray:
            count = self.workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // self.threads)
            heard, task = Heard(ray), ray.remote(num_cpus=self.threads, max_retries=_AGAIN)(_does)
            shared, left = ray.put((work, str(Path.cwd()), self.threads, heard.speaker)), iter(pieces)
            under_way = {task.remote(shared, piece): piece for piece in islice(left, count)}
            while under_way:
                done, _ = ray.wait([*under_way], num_returns=1, timeout=_OFTEN)
                heard.repeat()
                for one in done:
                    piece = under_way.pop(one)
                    under_way |= {task.remote(shared, following): following for following in islice(left, 1)}
                    yield piece, got(ray, one)


@contextmanager
def ray_engine() -> Iterator[Engine]:
    """An `Engine` whose trainings are tasks of a cluster until the block ends, as many at a time as have room.

    Each takes as many cores as it has threads, by default one, and on GPUs one of these. Raises ConfigurationError.
    """
    with joined_cluster() as ray:
        yield _RayEngine(ray, Heard(ray))


@dataclass(frozen=True)
class _RayEngine:
    ray: Any
    heard: Heard

    def submit(self, recipe: Recipe, seed: int, place: Place) -> "_Asked":
        """A training that begins as soon as there is room. Raises ConfigurationError where no machine has it."""
        needed = {"CPU": place.threads or 1, "GPU": int(place.device.startswith("cuda"))}
        machines = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        if not any(all(one.get(name, 0) >= count for name, count in needed.items()) for one in machines):
            raise ConfigurationError(
                f"a training takes {needed['CPU']} cores and {needed['GPU']} GPUs, and none of the "
                f"{len(machines)} machines of the cluster has so many; lower --threads, or let another machine join"
            )
        if place.fresh:  # once: a task that is done again goes on
            settle_earlier(Workplace.of(place.out, recipe, seed), torch.device(place.device), resume=False, fresh=True)
            place = replace(place, fresh=False)
        task = self.ray.remote(num_cpus=needed["CPU"], num_gpus=needed["GPU"], max_retries=_AGAIN)(_trained)
        asked = task.remote(self.heard.speaker, str(Path.cwd()), recipe.model_dump_json(), seed, place)
        return _Asked(self.ray, self.heard, asked)


@dataclass(frozen=True)
class _Asked:
    ray: Any
    heard: Heard
    asked: Any

    def folder(self) -> Path:
        """The folder of the run, which is waited for; what trainings say meanwhile is said."""
        done: list[Any] = []
        while not done:
            done, _ = self.ray.wait([self.asked], timeout=_OFTEN)
            self.heard.repeat()
        found: Path = got(self.ray, self.asked)
        return found


def _does(shared: tuple[Callable[[P], R], str, int, Speaker], piece: P) -> R | NextitemError:
    """In another process: what the work makes of a piece, or the error of our own that it raised."""
    work, folder, threads, speaker = shared
    _begin(folder, threads)
    with speaker.speaking():
        try:
            return when_free(partial(work, piece), _PATIENCE)
        except NextitemError as error:
            return error


def _trained(speaker: Speaker, folder: str, recipe_json: str, seed: int, place: Place) -> Path | NextitemError:
    """In another process: the folder of a run, or what ended its training."""
    _begin(folder, place.threads or 1)
    with speaker.speaking():
        return trained(Recipe.model_validate_json(recipe_json), seed, place, _PATIENCE)


def _begin(folder: str, threads: int) -> None:
    os.chdir(folder)  # paths are those of whoever asked
    torch.set_num_threads(threads)
