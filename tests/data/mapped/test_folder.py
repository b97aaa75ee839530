"""A prepared log is refused by file and reason wherever it is not what was written, whoever signed the manifest."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from nextitem.data.mapped import folder as mapped_folder
from nextitem.data.mapped.folder import read_prepared, verify
from nextitem.data.mapped.manifest import PREPARED, Manifest
from nextitem.data.mapped.writing import prepare_into
from nextitem.data.prepare import prepare
from nextitem.data.splits import LeaveOneOut
from nextitem.errors import ArtefactError
from nextitem.experiment.recipe import Recipe
from nextitem.storage import MANIFEST
from worlds.small_runs import chains, log_of, write_csv

FILES = ["event_items.npy", "event_times.npy", "items.parquet", "offsets.npy", "train_counts.npy", "users.parquet"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("prepared")
    prepare_into(root / "prepared", str(write_csv(log_of(chains()), root / "log.csv")))
    return root / "prepared"


@pytest.fixture
def folder(stored: Path, tmp_path: Path) -> Path:
    """A copy of the folder, to do anything to."""
    return shutil.copytree(stored, tmp_path / "prepared")


def sign(folder: Path, **changes: object) -> None:
    """Write the manifest anew for the files that are there, as somebody would who alters them on purpose."""
    manifest = json.loads((folder / MANIFEST).read_text())
    PREPARED.seal(folder, **known(folder))
    files = json.loads((folder / MANIFEST).read_text())["files"]
    (folder / MANIFEST).write_text(json.dumps(manifest | {"files": files} | changes))


def known(folder: Path) -> dict[str, object]:
    read = dict(PREPARED.read(folder).manifest)
    return {key: value for key, value in read.items() if key not in ("format", "version", "files")}


def test_stored_cuts_that_are_not_those_of_the_events_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "prepared"
    prepare_into(folder, str(write_csv(log_of(chains()), tmp_path / "log.csv")), ["split=temporal"])
    assert len(verify(folder).cuts) == 2
    sign(folder, cuts=[360.0, 240.0])
    with pytest.raises(ArtefactError, match=r"manifest.json: cuts are not those of the events"):
        verify(folder)


def read_all(folder: Path) -> None:
    """Everything that a training reads."""
    log, _, _ = read_prepared(folder, LeaveOneOut())
    log.sequences.flatten()


def refusal(folder: Path) -> str:
    with pytest.raises(ArtefactError) as refused:
        read_all(folder)
    assert refused.value.exit_code == 4
    text = str(refused.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", FILES)
def test_one_bit_of_any_file_is_noticed_at_the_start(name: str, folder: Path) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-3] ^= 4
    (folder / name).write_bytes(content)
    assert f"{name} was altered: its sha256 is not the one in manifest.json; restore it or prepare" in refusal(folder)


def test_events_that_take_too_long_to_compare_are_bounded_while_they_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped_folder, "_COMPARED_EVENTS", 0)
    read_all(folder)
    content = bytearray((folder / "event_items.npy").read_bytes())
    content[128 + 3] ^= 64  # the first user's first event, which is no target
    (folder / "event_items.npy").write_bytes(content)
    log, _, _ = read_prepared(folder, LeaveOneOut())
    with pytest.raises(ArtefactError, match=r"the events have item 1,073,741,\d+ of 12: event_items.npy was altered"):
        log.sequences.flatten()
    with pytest.raises(ArtefactError, match=r"event_items\.npy was altered: its sha256"):
        verify(folder)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", [*FILES, MANIFEST])
@pytest.mark.parametrize("make", [os.mkfifo, lambda file: file.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_nothing_is_waited_for_that_has_no_end(name: str, make: Callable[[Path], object], folder: Path) -> None:
    (folder / name).unlink()
    make(folder / name)
    for read in (read_all, verify, lambda folder: prepare(Recipe(data=str(folder)))):
        with pytest.raises(ArtefactError, match=rf"{name}.* not a regular file; restore it or prepare the log anew"):
            read(folder)


@pytest.mark.parametrize(
    ("manifest", "fact"),
    [
        ("null", "manifest.json: should be a table"),
        ("[]", "manifest.json: should be a table"),
        ("[" * 3000, "manifest.json: Invalid JSON: recursion limit exceeded"),
        ('{"format": "nextitem prepared log", "version": 2}', "manifest.json: files is missing and has no default"),
        (
            '{"format": "nextitem prepared log", "version": "2"}',
            'manifest.json: version = "2" should be a whole number',
        ),
    ],
)
def test_a_manifest_that_is_none_is_refused_in_our_words(manifest: str, fact: str, folder: Path) -> None:
    (folder / MANIFEST).write_text(manifest)
    assert fact in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"events": -1}, "manifest.json: events = -1 should be greater than or equal to 1"),
        ({"users": 31}, "offsets.npy: it states 31 numbers in 248 bytes, and should hold 32 numbers"),
        (
            {"items": 10**15},
            "train_counts.npy: it states 12 numbers in 96 bytes, and should hold 1,000,000,000,000,000",
        ),
        ({"events": 5}, "should ascend from 0 to 5 events"),
        ({"log_sha256": "x"}, 'manifest.json: log_sha256 = "x" should match pattern'),
        ({"weights": "w"}, "manifest.json: weights is not a known key"),
        ({"notes": 3}, "manifest.json: notes = 3 should be a list"),
    ],
)
def test_a_manifest_of_other_fields_is_refused_by_them(changes: dict[str, object], fact: str, folder: Path) -> None:
    sign(folder, **changes)
    assert fact in refusal(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_the_manifest_does_not_name_is_not_trusted(name: str, folder: Path) -> None:
    files = json.loads((folder / MANIFEST).read_text())["files"]
    sign(folder, files={key: value for key, value in files.items() if key != name})
    assert f"{name} is not named by manifest.json" in refusal(folder)


def changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def to(folder: Path) -> None:
        np.save(folder / name, change(np.load(folder / name)))

    return to


def table(name: str, ids: pl.Series) -> Callable[[Path], None]:
    return lambda folder: ids.to_frame().write_parquet(folder / name)


@pytest.mark.parametrize(
    ("alter", "fact"),
    [
        (changed("offsets.npy", lambda offsets: offsets[::-1].copy()), "offsets.npy: it should ascend from 0 to"),
        (changed("offsets.npy", lambda offsets: offsets - 1), "offsets.npy: it should ascend from 0 to"),
        (changed("offsets.npy", lambda offsets: offsets.astype("<i4")), "it holds numbers of the kind <i4"),
        (changed("train_counts.npy", lambda counts: -counts), "train_counts.npy: it should count some of"),
        (changed("train_counts.npy", lambda counts: counts * 1000), "train_counts.npy: it should count some of"),
        (changed("train_counts.npy", lambda counts: counts * 0 + 2**62), "train_counts.npy: it should count some of"),
        (changed("event_items.npy", lambda items: items + 12), "the events have item 23 of 12"),
        (changed("event_items.npy", lambda items: items - 12), "the events have item -12 of 12"),
        (changed("event_items.npy", lambda items: items[:-1]), "event_items.npy: it states"),
        (changed("event_items.npy", lambda items: items.astype("<f4")), "numbers of the kind <f4 and should hold <i4"),
        (changed("event_times.npy", lambda times: times.astype("<i4")), "should hold <i8 or <f8"),
        (table("items.parquet", pl.Series("item", ["b", "a"] * 6)), "column item: value 2, a, should follow"),
        (table("items.parquet", pl.Series("item", [0.5] * 12)), "items.parquet: column item should hold ids"),
        (table("items.parquet", pl.Series("item", ["a"])), "items.parquet: it has 1 rows of item, and should have 12"),
        (table("users.parquet", pl.Series("who", ["a"])), "it has 1 rows of who, and should have 30 of user"),
        (lambda folder: (folder / "users.parquet").write_bytes(b"PAR1" * 9), "users.parquet: "),
    ],
)  # fmt: skip
def test_content_that_no_log_has_is_refused_by_file_and_reason(
    alter: Callable[[Path], None], fact: str, folder: Path
) -> None:
    alter(folder)
    sign(folder)
    assert fact in refusal(folder)


def test_the_manifest_says_what_it_said(stored: Path) -> None:
    assert isinstance(verify(stored), Manifest)
