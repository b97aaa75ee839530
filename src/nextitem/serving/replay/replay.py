"""Cases through a service: one after another of each user, and of several users at a time."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.folder.reading import Run
from nextitem.serving.replay.asking import Asker
from nextitem.serving.replay.cases import Body, ReplayCases
from nextitem.serving.replay.replayed import Replayed
from nextitem.storage import MANIFEST, sha256

_MOST_TOGETHER, _MOST_BYTES = 32, 250_000
_VERSION = 12  # digits of the manifest's sha256


def model_of(run: Run, asker: Asker) -> str:
    """The name by which a service answers from this very run. Raises ConfigurationError where it has another one."""
    version = sha256(run.folder / MANIFEST)[:_VERSION]
    models: dict[str, str] = {one["name"]: one["version"] for one in asker.get("/v1/models").content}
    name = next((name for name, there in models.items() if there == version), None)
    if name is None:
        served = ", ".join(f"{name} {there}" for name, there in models.items())
        raise ConfigurationError(
            f"{asker.url} serves {served}, and {run.folder} is version {version}; serve it there, or replay what is"
        )
    return name


def replay(cases: ReplayCases, run: Run, asker: Asker, k: int = 10, clients: int = 4) -> Replayed:
    """What the service answers to each case and, where the cases are events, each event stored after it was asked for.

    Several clients ask at a time; the events of one user are in the hands of one, in order of time. Raises
    ConfigurationError where the service refuses or serves another run, DataError where it has an event already, and
    StorageError where nothing answers.
    """
    model = model_of(run, asker)
    replaying = _Replaying(cases, asker, {"k": k, "model": model}, run.metrics.certificate.candidates)
    return replaying.events(clients) if len(cases.times) else replaying.batches(clients)


class _Replaying:
    """A replay that is going on."""

    def __init__(self, cases: ReplayCases, asker: Asker, terms: Body, number_of_items: int) -> None:
        self._cases, self._asker, self._terms, self._number_of_items = cases, asker, terms, number_of_items
        self._places, self._late = [0] * len(cases), [False] * len(cases)
        self._asked, self._told = list[float](), list[float]()
        self._is_over = threading.Event()

    def batches(self, clients: int) -> Replayed:
        """Many cases a request: nothing is stored, so their order has no say."""
        groups = [*_groups(self._cases.bodies, int(str(self._terms["k"])))]
        self._of_each([groups[number::clients] for number in range(clients)], self._batch)
        return self._replayed(max((len(one) for one in groups), default=0))

    def events(self, clients: int) -> Replayed:
        """One case a request, and its event after it."""
        numbers = {user: number for number, user in enumerate(dict.fromkeys(self._cases.users))}
        shares = [list[int]() for _ in range(clients)]
        for case, user in enumerate(self._cases.users):
            shares[numbers[user] % clients].append(case)
        content = json.dumps([*zip(self._cases.users, self._cases.targets, self._cases.times, strict=True)])
        key = hashlib.sha256(content.encode()).hexdigest()[:16]
        self._of_each(shares, lambda case: self._event(case, f"replay-{key}-{case}"))
        return self._replayed(1)

    def _of_each(self, shares: Sequence[Sequence[object]], work: Callable[..., None]) -> None:
        def all_of(share: Sequence[object]) -> None:
            for one in share:
                if self._is_over.is_set():
                    return
                work(one)

        with ThreadPoolExecutor(len(shares)) as pool:
            try:
                for future in [pool.submit(all_of, share) for share in shares]:
                    future.result()
            finally:
                self._is_over.set()  # one client that failed, or an interrupt, ends the others

    def _batch(self, group: Sequence[int]) -> None:
        questions = [{**self._cases.bodies[case], "k": self._terms["k"]} for case in group]
        told = self._asker.post("/v1/recommend/batch", {"questions": questions, "model": self._terms["model"]})
        self._asked.append(told.seconds)
        for case, answer in zip(group, told.content["answers"], strict=True):
            self._keep(case, answer)

    def _event(self, case: int, key: str) -> None:
        told = self._asker.post("/v1/recommend", {**self._cases.bodies[case], **self._terms})
        self._asked.append(told.seconds)
        self._keep(case, told.content)
        user, item, time = self._cases.users[case], self._cases.targets[case], self._cases.times[case]
        event = {"user": user, "item": item, "time": float(time)}
        stored = self._asker.post("/v1/events", event, {"Idempotency-Key": key})
        self._told.append(stored.seconds)
        if stored.content["is_repeat"]:
            raise DataError(
                f"the service at {self._asker.url} has been told these events already, event {case + 1:,} among them, "
                f"so it knew what it was asked for; replay them through one with another --events"
            )

    def _keep(self, case: int, answer: Body) -> None:
        items = [one["item"] for one in answer["items"]]  # type: ignore[attr-defined]
        target = self._cases.targets[case]
        self._places[case] = items.index(target) + 1 if target in items else 0
        self._late[case] = answer["fallback"] == "deadline"

    def _replayed(self, together: int) -> Replayed:
        return Replayed(
            self._cases,
            int(str(self._terms["k"])),
            self._number_of_items,
            torch.tensor(self._places),
            torch.tensor(self._late),
            self._asked,
            self._told,
            together,
        )


def _groups(bodies: Sequence[Body], k: int) -> Iterator[list[int]]:
    """Cases that are asked about together: not too many, and of a body that any service takes."""
    group, size = list[int](), 0
    for case, body in enumerate(bodies):
        more = len(json.dumps(body)) + len(str(k)) + 10
        if group and (len(group) == _MOST_TOGETHER or size + more > _MOST_BYTES):
            yield group
            group, size = [], 0
        group.append(case)
        size += more
    if group:
        yield group
