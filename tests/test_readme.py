"""The README's example is run as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
EXAMPLE = re.compile(r"<!-- example: .*? -->\n```python\n(.*?)```", re.DOTALL)


def test_the_example_distils_quantizes_and_predicts(tmp_path: Path) -> None:
    [text] = EXAMPLE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len([line for line in text.splitlines() if line.strip()]) <= 15
    random = np.random.default_rng(0)
    for label in ("real", "fake"):
        for split, count in (("train", 12), ("valid", 6)):
            for number in range(count):
                pixels = random.integers(0, 256, (70, 64, 3), dtype=np.uint8) // (2 if label == "fake" else 1)
                path = tmp_path / "photos" / split / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    (tmp_path / "example.py").write_text(text, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert 0.0 <= float(lines[0]) <= 1.0
    assert re.search(r"\('fp32', 'onnxruntime', \d+\.\d+\)", lines[1])
    assert re.search(r"\('int8', 'openvino', \d+\.\d+\)", lines[1])


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
