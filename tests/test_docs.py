"""The documentation as a site: every page has its place, and it builds."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_every_page_stands_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"[\w-]+\.md", str(yaml.safe_load(text)["nav"])))
    assert named == {page.name for page in (ROOT / "docs").glob("*.md")}


def test_the_site_builds_with_its_reference(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    reference = (tmp_path / "site/api/index.html").read_text(encoding="utf-8")
    for name in (
        "distill.interface.distil", "deploy.interface.export", "deploy.runtime.Detector", "bench.interface.compare",
    ):  # fmt: skip
        assert f'id="{name}"' in reference, name
