"""What container, compose file and systemd unit name is there; packaging/prove.sh, which takes minutes, runs it."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from distill.cli.app import app
from distill.recipe import load_recipe

ROOT = Path(__file__).parents[1]
CONTAINERFILE = (ROOT / "Containerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
UNIT = (ROOT / "packaging/edgeproof.service").read_text()
EXTRAS = dict(re.findall(r"AS build-(\w+)\nRUN sh /src/packaging/install.sh /src (\w+) ", CONTAINERFILE))
SERVE = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]


def commands() -> list[list[str]]:
    """Every command line of ``edgeproof serve`` that starts by itself."""
    found = [
        re.findall(r'"([^"]*)"', line) for line in re.findall(r"^CMD (\[.*)$", CONTAINERFILE, re.MULTILINE)
    ]
    [started] = re.findall(r"^ExecStart=\S+/edgeproof (.*)$", UNIT, re.MULTILINE)
    return [*found, shlex.split(started)]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_what_is_started_is_known_to_the_command_line(command: list[str]) -> None:
    assert command[0] == "serve"
    SERVE.make_context("serve", command[1:])


def test_the_images_are_not_run_as_root_and_only_one_holds_torch() -> None:
    users = re.findall(r"^USER (\S+)$", CONTAINERFILE, re.MULTILINE)
    assert users == ["10001"] and "useradd --uid 10001" in CONTAINERFILE
    assert EXTRAS == {"serve": "serve", "train": "all"}
    assert {"serve", "train"} <= set(re.findall(r" AS (\S+)$", CONTAINERFILE, re.MULTILINE))


def test_compose_builds_what_is_there_and_prometheus_asks_where_it_listens() -> None:
    built = {name: of["build"]["target"] for name, of in COMPOSE["services"].items() if "build" in of}
    assert built == {"edgeproof": "serve", "train": "train"}
    assert all(f" AS {target}\n" in CONTAINERFILE for target in built.values())
    assert COMPOSE["services"]["train"]["profiles"] == ["train"], "training waits until it is asked for"
    volumes = [volume for of in COMPOSE["services"].values() for volume in of["volumes"]]
    assert {v.split(":")[0] for v in volumes if not v.startswith(".")} == set(COMPOSE["volumes"])
    mounted = COMPOSE["services"]["prometheus"]["volumes"][0].split(":")[0]
    [job] = yaml.safe_load((ROOT / mounted).read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["edgeproof:8000"]}]
    assert "EXPOSE 8000" in CONTAINERFILE


@pytest.mark.parametrize(
    "command",
    sorted(
        {
            *re.findall(r"edgeproof:train (run .*?)$", CONTAINERFILE, re.MULTILINE),
            *re.findall(r"--rm train (run .*?)$", (ROOT / "compose.yaml").read_text(), re.MULTILINE),
        }
    ),
)
def test_the_trainings_that_are_written_down_are_known_to_the_command_line(command: str) -> None:
    verb, *arguments = shlex.split(command)
    context = typer.main.get_command(app).commands[verb].make_context(verb, arguments)  # type: ignore[attr-defined]
    load_recipe(context.params["recipe"], overrides=context.params["overrides"])


def test_what_is_proved_is_what_an_image_holds() -> None:
    """The script's extras are those of the target, and an unknown target is refused before anything is done."""
    script = (ROOT / "packaging/prove.sh").read_text()
    proved = dict(re.findall(r"^(\w+)\) extras=(\w+) ;;$", script, re.MULTILINE))
    assert proved == EXTRAS
    refused = subprocess.run(
        ["sh", ROOT / "packaging/prove.sh", "score"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert refused.stderr == "prove.sh: unknown target 'score'; choose one of: serve, train\n"


@pytest.mark.parametrize("script", ["install.sh", "prove.sh"])
def test_the_scripts_are_whole(script: str) -> None:
    subprocess.run(["sh", "-n", ROOT / "packaging" / script], check=True)
