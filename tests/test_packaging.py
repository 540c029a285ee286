"""What container, compose file and systemd unit name is there; packaging/prove.sh, which takes minutes, runs it."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from distill.cli.app import app

ROOT = Path(__file__).parents[1]
CONTAINERFILE = (ROOT / "Containerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
UNIT = (ROOT / "packaging/edgeproof.service").read_text()
SERVE = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]


def commands() -> list[list[str]]:
    """Every command line of ``edgeproof serve`` that is written down."""
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
    extras = dict(re.findall(r"AS build-(\w+)\nRUN sh /src/packaging/install.sh /src (\w+) ", CONTAINERFILE))
    assert extras == {"serve": "serve", "train": "all"}
    assert {"serve", "train"} <= set(re.findall(r" AS (\S+)$", CONTAINERFILE, re.MULTILINE))


def test_compose_builds_what_is_there_and_prometheus_asks_where_it_listens() -> None:
    service = COMPOSE["services"]["edgeproof"]
    assert f" AS {service['build']['target']}\n" in CONTAINERFILE
    mounted = COMPOSE["services"]["prometheus"]["volumes"][0].split(":")[0]
    [job] = yaml.safe_load((ROOT / mounted).read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["edgeproof:8000"]}]
    assert "EXPOSE 8000" in CONTAINERFILE


@pytest.mark.parametrize("script", ["install.sh", "prove.sh"])
def test_the_scripts_are_whole(script: str) -> None:
    subprocess.run(["sh", "-n", ROOT / "packaging" / script], check=True)
