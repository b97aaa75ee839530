"""Build the wheel, install it away from the checkout and use it there: a file that setuptools left out shows here.

Run by `make check`; needs no network, because setuptools and the dependencies are those of the environment.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "src")

LIST_RECIPES = """
from importlib.resources import files
folders = [files("nextitem") / "experiment" / "recipes", files("nextitem") / "studies" / "grids"]
names = [entry.name for folder in folders for entry in folder.iterdir()]
print(*sorted(name for name in names if name.endswith(".toml")))
"""

SHOW_ORIGIN = "import nextitem; print(nextitem.__file__)"

RECOMMEND = """
from pathlib import Path
from nextitem import Recommender
run = next(entry for entry in Path("runs").iterdir() if entry.name != ".partial")
print(Recommender.load(run).recommend(users=["u00001"], k=3))
print("report.html:", (run / "report.html").stat().st_size, "bytes")  # its templates are in the wheel
"""

# Each is what follows `python` on a command line, run from an empty folder; extend as verbs appear.
COMMANDS_THAT_MUST_SUCCEED: tuple[tuple[str, ...], ...] = (
    ("-c", LIST_RECIPES),
    ("-m", "nextitem", "--version"),
    ("-m", "nextitem", "train", "sasrec-ce", "encoder.dim=8", "training.epochs=1", "--json", "--out", "runs"),
    ("-c", RECOMMEND),
)


def main() -> None:
    """Exit with 0 when the wheel holds every file of the package and each command succeeds."""
    with tempfile.TemporaryDirectory(prefix="nextitem-wheel-") as folder:
        wheel = build_wheel(Path(folder))
        installed = install(wheel, Path(folder))
        compare_files(CHECKOUT / "src" / "nextitem", installed / "nextitem")
        run_commands(installed, Path(folder))
    print(f"{wheel.name}: complete, and works outside the checkout")


def build_wheel(folder: Path) -> Path:
    """The wheel, built from a copy: setuptools would reuse a stale build/ and leave its own files in the checkout."""
    copy = folder / "checkout"
    copy.mkdir()
    for name in SOURCES:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        elif source.exists():
            shutil.copy(source, copy)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(copy))
    return next(folder.glob("*.whl"))


def install(wheel: Path, folder: Path) -> Path:
    """The folder to put on the path; dependencies stay where the environment has them."""
    installed = folder / "installed"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", "--target", str(installed), str(wheel))
    return installed


def compare_files(source: Path, installed: Path) -> None:
    """Exit with a list of the files that the checkout's package has and the installed one has not."""
    expected = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    missing = sorted(path for path in expected if "__pycache__" not in path.parts and not (installed / path).is_file())
    if missing:
        sys.exit(
            f"{len(missing)} of {len(expected)} files are not in the wheel: {', '.join(map(str, missing))}; "
            "a module's folder needs an __init__.py, any other file a line in [tool.setuptools.package-data]"
        )


def run_commands(installed: Path, folder: Path) -> None:
    """Run every command in an empty folder, where `nextitem` can only be the installed wheel."""
    empty = folder / "empty"
    empty.mkdir()
    # PYTHONPATH goes before the path that an editable installation of the checkout adds.
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    origin = run(sys.executable, "-c", SHOW_ORIGIN, folder=empty, environment=environment).strip()
    if not Path(origin).resolve().is_relative_to(installed.resolve()):
        sys.exit(f"error: {origin} was imported instead of the wheel installed in {installed}")
    for command in COMMANDS_THAT_MUST_SUCCEED:
        print(run(sys.executable, *command, folder=empty, environment=environment), end="")


def run(*command: str, folder: Path | None = None, environment: dict[str, str] | None = None) -> str:
    """What a command prints; if it fails, exit with what it said."""
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        print(f"error: exit code {done.returncode} from: {' '.join(command)}", file=sys.stderr)
        sys.exit(1)
    return done.stdout


if __name__ == "__main__":
    main()
