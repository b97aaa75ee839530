"""CONTRIBUTING.md adds an encoder in one file; here that is done, to a copy of the package."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch

CHECKOUT = Path(__file__).resolve().parent.parent
FILES = r"`([\w/.-]+\.(?:py|toml))`[^`\n]*:\n\n```(?:python|toml)\n(.*?)```"
NEEDED = ("src", "tests", "pyproject.toml")
ITEMS, JUMP = 30, 7


def shown_files() -> dict[str, str]:
    """Path and content of each file that the page shows."""
    text = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return dict(re.findall(FILES, text, re.DOTALL))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and its tests with what the page shows done to it."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in NEEDED:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, copy)
    for name, content in shown_files().items():
        file = copy / name
        if file.name == "__init__.py":
            content = with_another_member(file.read_text(encoding="utf-8"), content)
        else:
            assert not file.exists(), f"CONTRIBUTING.md creates {name}, which is there"
        file.write_text(content, encoding="utf-8")
    return copy


def with_another_member(contents: str, lines: str) -> str:
    """A table of contents with the import that `lines` show and the last member of the union in them."""
    imported = re.findall(r"^from .*$", lines, re.MULTILINE)
    member = re.findall(r"\| (\w+), Field", lines)
    assert (len(imported), len(member)) == (1, 1)
    contents, unions = re.subn(r",(\s*)Field\(discriminator", rf" | {member[0]},\1Field(discriminator", contents)
    assert unions == 1
    return contents.replace("\nfrom nextitem.", f"\n{imported[0]}\nfrom nextitem.", 1)


def python(checkout: Path, *arguments: str) -> str:
    """What Python prints when it runs in the copy; one thread, since the machine has other tests to run."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_shows_an_encoder_its_table_of_contents_and_a_recipe() -> None:
    assert list(shown_files()) == [
        "src/nextitem/model/encoders/causal_filter.py",
        "src/nextitem/model/encoders/__init__.py",
        "src/nextitem/experiment/recipes/causal-filter.toml",
    ]


def test_the_new_encoder_keeps_the_contract_and_learns_a_chain(checkout: Path) -> None:
    files = ["tests/model/encoders/test_contract.py", "tests/training/test_learns_markov.py"]
    one_loss_is_enough = "causal_filter and not binary_cross_entropy and not sampled_cross_entropy"
    told = python(checkout, "-m", "pytest", "-p", "no:cacheprovider", "-v", *files, "-k", one_loss_is_enough)
    assert "test_a_causal_encoder_leaks_no_future[causal_filter] PASSED" in told
    assert "test_it_learns_a_markov_chain[causal_filter+next_item+cross_entropy] PASSED" in told


def test_the_new_recipe_has_all_that_a_recipe_of_the_package_has_and_the_encoder_is_public(checkout: Path) -> None:
    files = ["tests/experiment/test_presets.py", "tests/test_public_names.py"]
    told = python(checkout, "-m", "pytest", "-p", "no:cacheprovider", "-v", *files, "-k", "causal or CausalFilter")
    assert "test_every_recipe_says_what_a_search_varies_and_uses_it[causal-filter] PASSED" in told
    assert "test_every_value_that_a_recipe_states_has_a_source[causal-filter] PASSED" in told


def test_the_new_recipe_trains_from_the_command_line(checkout: Path) -> None:
    first = torch.arange(ITEMS).repeat(5)
    items_UL = (first[:, None] + JUMP * torch.arange(8)) % ITEMS  # after item i comes i + 7: all of it can be known
    users = [user for user in range(len(first)) for _ in range(8)]
    pl.DataFrame({"user": users, "item": items_UL.flatten().numpy()}).write_csv(checkout / "chain.csv")
    small = ("encoder.dim=16", "objective.maximum_length=8", "training.batch_size=16", "training.learning_rate=0.01")
    told = python(
        checkout, "-m", "nextitem", "train", "causal-filter", "data=chain.csv", *small, "training.epochs=10", "--json"
    )  # fmt: skip
    test = json.loads(told)["test"]
    assert test["ndcg@10"] > 0.9
    assert len(list((checkout / "runs").glob("*-causal-filter-chain"))) == 1


def test_the_page_is_formatted_like_the_code(checkout: Path) -> None:
    file = "src/nextitem/model/encoders/causal_filter.py"
    ruff = Path(sys.executable).with_name("ruff")
    for command in ((ruff, "check", file), (ruff, "format", "--check", file)):
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
