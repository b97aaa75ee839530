"""What a service answers is what its OpenAPI says, to well-formed and to spoilt requests; by hand with more of them."""

import os
import subprocess
import sys
from pathlib import Path

from nextitem.serving.service.models import Models, ids_of
from nextitem.serving.store.store import EventStore
from worlds.films import stored
from worlds.served import Served, served

TOOL = Path(__file__).resolve().parent.parent / "tools" / "contract.py"
COLUMNS = ("--columns", "genre", "year", "title", "--users", "u00", "u01")


def asked(one: Served, examples: int) -> str:
    done = subprocess.run(
        (sys.executable, TOOL, one.address, "--examples", str(examples), "--seed", "3", *COLUMNS),
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_service_answers_as_it_is_described(tmp_path: Path) -> None:
    models = Models.load(stored(tmp_path))
    ids = ids_of(models.first.recommender)
    with EventStore.open(tmp_path / "events.db", ids=ids) as store, served(models, events=store) as one:
        found = asked(one, 5)
        described = [*one.client.get("/openapi.json").json()["paths"]]
    assert all(path in found for path in described)
    assert found.endswith("all as described; seed 3\n")
