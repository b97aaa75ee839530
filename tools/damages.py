"""Ways to damage a folder that the package left: as a disk or a careless hand would, and on purpose, signed again.

A damage is a function of a folder, one of its files and a source of draws; it returns whether it changed anything. None
of them makes content that the package could have left itself: such content is no damage.
"""

import json
import os
import pickle  # noqa: TID251 - nothing is unpickled here
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import polars as pl
from safetensors.torch import load_file, save_file

from nextitem.storage import MANIFEST, sha256

Damage = Callable[[Path, str, Random], object]
CANARY = "sprung"
_DEEP, _DEEPLY = '"@deep@"', "[" * 3000 + "]" * 3000


class Trap:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (CANARY,)


def flipped(folder: Path, name: str, draws: Random) -> None:
    content = bytearray((folder / name).read_bytes())
    for _ in range(draws.choice((1, 1, 1, 8)) if content else 0):
        content[draws.randrange(len(content))] ^= 1 << draws.randrange(8)
    (folder / name).write_bytes(content)


def cut(folder: Path, name: str, draws: Random) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: draws.randrange(max(1, len(content)))])


def longer(folder: Path, name: str, draws: Random) -> None:
    with (folder / name).open("ab") as content:
        content.write(draws.randbytes(draws.randint(1, 100)))


def zeros(folder: Path, name: str, draws: Random) -> None:
    content = bytearray((folder / name).read_bytes())
    start = draws.randrange(max(1, len(content)))
    content[start : start + 4096] = bytes(min(4096, len(content) - start))
    (folder / name).write_bytes(content)


def removed(folder: Path, name: str, _draws: Random) -> None:
    (folder / name).unlink()


def pickled(folder: Path, name: str, _draws: Random) -> None:
    (folder / name).write_bytes(pickle.dumps(Trap()))


def exchanged(folder: Path, name: str, draws: Random) -> None:
    others = sorted(file.name for file in folder.iterdir() if file.is_file() and file.name not in (name, MANIFEST))
    if others:
        other, beside = folder / draws.choice(others), folder / "between"
        other.rename(beside)
        (folder / name).rename(other)
        beside.rename(folder / name)


def replaced(make: Callable[[Path], object]) -> Damage:
    def damage(folder: Path, name: str, _draws: Random) -> None:
        (folder / name).unlink()
        make(folder / name)

    return damage


def linked(folder: Path, name: str, _draws: Random) -> None:
    (folder / name).rename(folder / f"{name}.content")
    (folder / name).symlink_to(f"{name}.content")


def extra(folder: Path, name: str, _draws: Random) -> None:
    (folder / f"{name}.pkl").write_bytes(pickle.dumps(Trap()))
    (folder / "sitecustomize.py").write_text(f"import os; os.mkdir({CANARY!r})")


def of_other(other: Path) -> Damage:
    def damage(folder: Path, name: str, _draws: Random) -> None:
        if (other / name).is_file():
            shutil.copy(other / name, folder / name)

    return damage


RAW: Mapping[str, Damage] = {
    "bits": flipped, "cut": cut, "longer": longer, "zeros": zeros, "removed": removed, "pickle": pickled,
    "two files exchanged": exchanged, "extra files": extra, "a link to the same content": linked,
    "empty": lambda folder, name, _: (folder / name).write_bytes(b""),
    "pipe": replaced(os.mkfifo), "a folder": replaced(Path.mkdir),
    "endless device": replaced(lambda file: file.symlink_to("/dev/zero")),
    "a link to nothing": replaced(lambda file: file.symlink_to("nothing")),
    "a link outside": replaced(lambda file: file.symlink_to("/etc/passwd")),
}  # fmt: skip
MOVED = ("two files exchanged", "another's")


def manifest_of(change: Callable[[dict[str, Any], str, Random], object]) -> Damage:
    def damage(folder: Path, name: str, draws: Random) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        changed = change(manifest, name, draws)
        (folder / MANIFEST).write_text(json.dumps(manifest if changed is None else changed).replace(_DEEP, _DEEPLY))

    return damage


MANIFESTS: Mapping[str, Damage] = {
    "manifest: null": lambda folder, *_: (folder / MANIFEST).write_text("null"),
} | {
    f"manifest: {words}": manifest_of(change)
    for words, change in {
        "a list": lambda *_: [1], "a number": lambda *_: 10**400,
        "deep": lambda *_: "@deep@", "deep below": lambda tree, *_: tree["files"].update(x="@deep@"),
        "no files": lambda tree, *_: tree.pop("files") and None,
        "another kind": lambda tree, *_: tree.update(format="x\x1b[2J"),
        "a later version": lambda tree, *_: tree.update(version=10**30),
        "a file unnamed": lambda tree, name, _: tree["files"].pop(name, None) and None,
        "up": lambda tree, name, _: tree["files"].update({f"../{name}": tree["files"].get(name, {})}),
        "absolute": lambda tree, name, _: tree["files"].update({"/etc/passwd": tree["files"].get(name, {})}),
        "bytes": lambda tree, name, draws: tree["files"].update({name: {"bytes": draws.choice((-1, 10**400, 0.5)),
                                                                        "sha256": "0" * 64}}),
        "sha256": lambda tree, name, _: tree["files"].update({name: {"bytes": 1, "sha256": "../x"}}),
        "unknown field": lambda tree, *_: tree.update(load="os.system"),
    }.items()
}  # fmt: skip


def signed(folder: Path) -> None:
    """Write into the manifest what proves the files that are there."""
    manifest = json.loads((folder / MANIFEST).read_text())
    for name in manifest["files"]:
        manifest["files"][name] = {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)}
    (folder / MANIFEST).write_text(json.dumps(manifest))


def content(folder: Path, name: str, draws: Random) -> None:
    """Put what cannot be there into a file, by its ending."""
    {".json": _json, ".jsonl": _lines, ".parquet": _table, ".safetensors": _tensors, ".npy": _array}.get(
        Path(name).suffix, pickled
    )(folder, name, draws)


def wrong(value: object, draws: Random) -> object:
    """What cannot stand in the place of a value of JSON."""
    if value is None:  # a setting that may be left out is often one of several types
        return draws.choice(("@deep@", {"a": [1]}))
    if isinstance(value, bool):
        return draws.choice(("text", 2, [], "@deep@"))
    if isinstance(value, int):
        return draws.choice((-1, "text", 0.5, 10**400, float("nan"), [], "@deep@"))
    if isinstance(value, float):
        return draws.choice(("text", float("nan"), float("inf"), 10**400, [], {}, "@deep@"))
    return draws.choice((3, -1, 10**400, "@deep@", {"a": [1]}))


def _json(folder: Path, name: str, draws: Random) -> None:
    tree = json.loads((folder / name).read_text())
    _damage_tree(tree, draws)
    (folder / name).write_text(json.dumps(tree).replace(_DEEP, _DEEPLY))


def _damage_tree(tree: Any, draws: Random) -> None:
    """Put something wrong somewhere, or take away or add a key; what is optional in a recipe is left as it is."""
    while True:
        key = draws.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
        below = tree[key]
        if isinstance(below, dict | list) and below and draws.random() < 0.8:
            tree = below
            continue
        if isinstance(tree, dict) and draws.random() < 0.1:
            tree["@unknown"] = 1
        elif key == "validation_loss":  # which may be any number or none: it decides nothing
            tree[key] = "text"
        else:
            tree[key] = wrong(below, draws)
        return


def _lines(folder: Path, name: str, draws: Random) -> None:
    lines = [json.loads(line) for line in (folder / name).read_text().splitlines()]
    if not lines:
        return pickled(folder, name, draws)
    kind = draws.randrange(4)
    if kind == 0:
        lines.pop()
    elif kind == 1:
        lines.append(lines[0])
    else:
        _damage_tree(draws.choice(lines), draws)
    text = "".join(f"{json.dumps(line)}\n" for line in lines).replace(_DEEP, _DEEPLY)
    (folder / name).write_text(text)
    return None


def _table(folder: Path, name: str, draws: Random) -> None:
    table = pl.read_parquet(folder / name, glob=False)
    column = draws.choice([one for one in table.columns if one != "title"])
    values, kind = table[column], table[column].dtype
    numbers = {pl.Int64: [-1, 2**62, None], pl.Float64: [float("nan"), -1.0, 1e300, None], pl.String: [None]}
    lists = [[-1], [2**62], [None], None]
    changes: list[Callable[[], pl.DataFrame]] = [
        lambda: table.drop(column),
        lambda: table.rename({column: "other"}),
        lambda: table.reverse(),
        lambda: table.vstack(table),
        lambda: table.head(table.height // 2),
        lambda: table.clear(),
        lambda: table.with_columns(pl.lit(1, pl.Int8).alias(column)),
        lambda: table.with_columns(pl.Series(column, [b"\xff"] * table.height)),
    ]
    place = draws.randrange(table.height)
    for number in lists if isinstance(kind, pl.List) else numbers[type(kind)]:
        others = [number if row == place else value for row, value in enumerate(values.to_list())]
        changes.append(lambda others=others: table.with_columns(pl.Series(column, others, kind)))
    draws.choice(changes)().write_parquet(folder / name)


def _tensors(folder: Path, name: str, draws: Random) -> None:
    tensors = load_file(folder / name)
    key = draws.choice(sorted(tensors))
    tensor = tensors[key]
    changes: list[Any] = [
        None, tensor.reshape(1, *tensor.shape), tensor.reshape(-1)[:-1].clone(), tensor.to(_other(tensor)),
        tensor.new_zeros(0), tensor.new_zeros(3, 10**5), tensor.double() * float("nan"),
    ]  # fmt: skip
    if tensor.is_floating_point():
        changes += [tensor * float("nan"), tensor + float("inf")]
    elif tensor.dtype.itemsize > 1:  # of an index any codes may be those of some vectors
        changes += [-1 - tensor, tensor + 2**30]
    changed = draws.choice(changes)
    others = {other: value for other, value in tensors.items() if other != key}
    save_file(others if changed is None else others | {key: changed}, folder / name)


def _other(tensor: Any) -> Any:
    return tensor.half().dtype if tensor.is_floating_point() else tensor.float().dtype


def _array(folder: Path, name: str, draws: Random) -> None:
    array = np.load(folder / name)
    others = [] if name == "event_times.npy" else [-1 - array, array + 2**30]  # any numbers may be times
    changed: Any = draws.choice(
        [array[:-1], np.append(array, array[-1:]), array[None], array.astype("<f2"), array.astype(">i8"), array[:0],
         np.array([Trap()], dtype=object), *others]
    )  # fmt: skip
    np.save(folder / name, changed, allow_pickle=True)
