"""deploy/ is what its programs would take: no container engine is needed to see that, and none is asked."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nextitem.cli import app as cli
from nextitem.errors import ArtefactError, ConfigurationError, DataError
from nextitem.serving.service.settings import ServiceSettings

CHECKOUT = Path(__file__).resolve().parent.parent
DEPLOY = CHECKOUT / "deploy"
STOP_SECONDS = 10
PRINTED = re.compile(r"(?i)(token|secret|password)\w*[ =:]+[\w+]{16,}")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and what they are given, one line each."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line.split(None, 1) for line in re.sub(r"\\\n\s*", "", text).splitlines() if line.strip()]
    return [(name, given) for name, given in lines]


def last_stage() -> dict[str, str]:
    """What the image is in the end, by instruction; of several of a name the last."""
    found = instructions()
    start = max(place for place, (name, _) in enumerate(found) if name == "FROM")
    return dict(found[start:])


def of_exec_form(given: str) -> list[str]:
    """The words of an instruction that starts a program without a shell between it and its signals."""
    words = yaml.safe_load(given)
    assert isinstance(words, list), given
    assert all(isinstance(word, str) for word in words), given
    return words


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def unit() -> list[tuple[str, str]]:
    """The directives of the systemd unit, some of them more than once."""
    text = (DEPLOY / "nextitem.service").read_text(encoding="utf-8")
    return [(name, value) for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)]


def test_the_dockerfile_has_instructions_that_there_are_and_pinned_stages() -> None:
    known = {
        *("FROM", "ARG", "ENV", "RUN", "WORKDIR", "COPY", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL"),
        *("HEALTHCHECK", "ENTRYPOINT", "CMD"),
    }
    assert {name for name, _ in instructions()} == known
    stages = [given.split() for name, given in instructions() if name == "FROM"]
    assert len(stages) == 2
    assert stages[0][1:] == ["AS", "build"]
    for stage in stages:
        assert re.fullmatch(r"python:3\.\d+-slim-\w+", stage[0]), "a tag of a Python and of a system"


def test_the_image_runs_as_nobody_in_particular_and_ends_by_sigterm() -> None:
    stage = last_stage()
    assert stage["USER"] not in ("root", "0")
    assert f"useradd --uid 10001 --gid {stage['USER']}" in stage["RUN"]
    assert stage["STOPSIGNAL"] == "SIGTERM"
    given = [name for name, _ in instructions()]
    assert given.index("USER") > max(place for place, name in enumerate(given) if name == "COPY")


def test_everything_that_is_copied_into_the_image_is_there_and_not_ignored() -> None:
    kept = re.findall(r"^!(.*)$", (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    sources = [word for name, given in instructions() if name == "COPY" for word in given.split()[:-1]]
    own = [word.removeprefix("./") for word in sources if not word.startswith(("-", "/"))]
    assert set(own) == set(kept)
    assert all((CHECKOUT / name).exists() for name in own)
    assert {word for word in sources if word.startswith("-")} == {"--from=build"}


def test_what_the_image_starts_is_a_command_that_there_is() -> None:
    stage = last_stage()
    program, verb, *options = of_exec_form(stage["ENTRYPOINT"])
    assert program == "nextitem"
    with cli.verb(verb).make_context(verb, [*options, *of_exec_form(stage["CMD"])]) as context:
        assert (context.params["host"], context.params["port"]) == ("0.0.0.0", int(stage["EXPOSE"]))
        assert Path(context.params["events"]).parent == Path(stage["VOLUME"])


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml"])
def test_the_check_of_health_is_python_that_asks_the_route_which_needs_no_token(name: str) -> None:
    given = last_stage()["HEALTHCHECK"].partition("CMD ")[2]
    words = (
        of_exec_form(given) if name == "Dockerfile" else compose()["services"]["nextitem"]["healthcheck"]["test"][1:]
    )
    assert words[:2] == ["python", "-c"]
    compile(words[2], name, "exec")
    assert "http://127.0.0.1:8000/health/ready" in words[2]


def test_the_compose_file_says_what_compose_files_say() -> None:
    whole = compose()
    assert whole.keys() == {"name", "services", "volumes"}
    service = whole["services"]["nextitem"]
    assert service.keys() == {
        *("build", "image", "environment", "ports", "volumes", "healthcheck", "stop_signal", "stop_grace_period"),
        *("restart", "read_only", "tmpfs", "cap_drop", "security_opt", "mem_limit"),
    }
    assert (DEPLOY / service["build"]["context"]).resolve() == CHECKOUT
    assert (CHECKOUT / service["build"]["dockerfile"]).is_file()
    volumes = [volume.split(":") for volume in service["volumes"]]
    assert ["events", last_stage()["VOLUME"]] in volumes
    assert "events" in whole["volumes"]
    assert [volume[2:] for volume in volumes if volume[0].startswith(".")] == [["ro"]]


def test_composed_it_needs_a_token_and_is_reached_from_this_machine_alone() -> None:
    service = compose()["services"]["nextitem"]
    assert service["environment"]["NEXTITEM_TOKEN"].startswith("${NEXTITEM_TOKEN:?")
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


@pytest.mark.parametrize("file", sorted(DEPLOY.iterdir()), ids=lambda file: file.name)
def test_no_file_holds_a_secret(file: Path) -> None:
    assert not PRINTED.search(file.read_text(encoding="utf-8"))


def test_all_ends_in_time_for_what_was_accepted() -> None:
    settings = ServiceSettings()
    assert settings.drain_seconds + settings.stop_seconds < STOP_SECONDS
    assert compose()["services"]["nextitem"]["stop_grace_period"] == f"{STOP_SECONDS}s"
    assert ("TimeoutStopSec", str(STOP_SECONDS)) in unit()
    assert ("KillSignal", "SIGTERM") in unit()


def test_the_unit_starts_a_command_that_there_is() -> None:
    told = dict(unit())
    values = dict(pair.split("=") for pair in told["Environment"].split())
    line = re.sub(r"\$\{?(\w+)\}?", lambda found: values[found[1]], told["ExecStart"])
    program, verb, *options = line.split()
    assert Path(program).name == "nextitem"
    with cli.verb(verb).make_context(verb, options) as context:
        assert context.params["host"] == "127.0.0.1"
        assert context.params["token_file"] == Path("%d/token")
        assert Path(context.params["events"]).parent == Path(told["WorkingDirectory"])
    assert told["WorkingDirectory"] == f"/var/lib/{told['StateDirectory']}"
    assert told["LoadCredential"].startswith("token:")


def test_the_unit_does_not_start_again_what_starting_cannot_mend() -> None:
    codes = {str(kind.exit_code) for kind in (ConfigurationError, DataError, ArtefactError)}
    assert set(dict(unit())["RestartPreventExitStatus"].split()) == codes


def test_systemd_takes_the_unit_and_finds_little_to_expose(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian: apt install systemd)")
    text = (DEPLOY / "nextitem.service").read_text(encoding="utf-8")
    file = tmp_path / "nextitem.service"
    file.write_text(text.replace("/opt/nextitem/bin/nextitem", sys.executable), encoding="utf-8")
    for words in (["verify", "--man=no"], ["security", "--offline=true", "--no-pager", "--threshold=20"]):
        done = subprocess.run(["systemd-analyze", *words, str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "nextitem.service:" not in done.stderr, done.stderr  # a directive that it does not know is only told of
