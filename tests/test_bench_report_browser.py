"""The report in a browser: nothing overflows, tables sort, folds open on paper. Chromium where it is installed."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from report_fixture import Records

from bench.report.write import write_report

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which is not installed")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files")
MOST_HIGH = 2600  # pixels at 1280 wide with every fold closed: 22,653 before there were folds
PROBE = """<script>addEventListener("load", () => {
  const page = document.documentElement, table = document.querySelector("table");
  const first = () => table.tBodies[0].rows[0].cells[0].textContent;
  const head = table.tHead.rows[0].cells[0], before = first();
  head.querySelector("button").click();
  const rising = head.getAttribute("aria-sort"), least = first();
  head.querySelector("button").click();
  const contrast = getComputedStyle(document.body);
  document.title = JSON.stringify({
    height: page.scrollHeight, width: page.scrollWidth, client: page.clientWidth, before, rising, least,
    falling: head.getAttribute("aria-sort"), most: first(), folds: document.querySelectorAll("details.fold:not([open])").length,
    ink: contrast.color, paper: contrast.backgroundColor,
  });
});</script></body>"""


@pytest.fixture(scope="module")
def page(calm_records: Records, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(calm_records.write(tmp_path_factory.mktemp("run"))).html


def browse(*arguments: str) -> str:
    assert CHROMIUM
    found = subprocess.run(
        [CHROMIUM, *FLAGS, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    return found.stdout


def probed(page: Path, folder: Path, *, width: int, flags: tuple[str, ...] = ()) -> dict[str, object]:
    """What a script of the test's sees in the page, in a frame of that width: Chromium's own window is never narrow."""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(), flags=re.S)
    (folder / "probe.html").write_text(text.replace("</body>", PROBE))
    (folder / "frame.html").write_text(
        f'<iframe id="f" src="probe.html" style="width:{width}px;height:900px;border:0"></iframe><script>'
        'addEventListener("load", () => { document.title = document.getElementById("f").contentDocument.title })</script>'
    )
    options = ("--virtual-time-budget=5000", f"--window-size={max(width, 500)},900", *flags)
    dom = browse(*options, "--dump-dom", (folder / "frame.html").as_uri())
    return json.loads(unescape(re.search(r"<title>(.*?)</title>", dom, re.S)[1]))  # type: ignore[index]


@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_is_short_fits_and_sorts(page: Path, tmp_path: Path, width: int) -> None:
    seen = probed(page, tmp_path, width=width)
    assert seen["width"] == seen["client"] == width, "nothing sticks out"
    assert width < 500 or int(str(seen["height"])) < MOST_HIGH
    assert (seen["rising"], seen["falling"]) == ("ascending", "descending")
    assert seen["least"] == "ResNet18, reference" and seen["most"] == "teacher" != seen["before"]
    assert int(str(seen["folds"])) >= 9


def test_a_dark_page_is_dark(page: Path, tmp_path: Path) -> None:
    light = probed(page, tmp_path, width=1280)
    dark = probed(page, tmp_path, width=1280, flags=("--blink-settings=preferredColorScheme=0",))
    assert _brightness(light["paper"]) > 0.9 > 0.3 > _brightness(light["ink"])
    assert _brightness(dark["paper"]) < 0.2 < 0.8 < _brightness(dark["ink"])


def test_the_page_s_own_policy_lets_its_script_run_and_no_other(page: Path, tmp_path: Path) -> None:
    assert '<button type="button">Model</button>' in browse("--dump-dom", page.as_uri())
    (tmp_path / "evil.html").write_text(
        page.read_text().replace("</body>", "<script>document.title = 'evil'</script></body>")
    )
    dom = browse("--dump-dom", (tmp_path / "evil.html").as_uri())
    assert "<title>evil</title>" not in dom and "<button" in dom


def test_folds_open_on_paper(page: Path, tmp_path: Path) -> None:
    sizes = {}
    for name, text in {
        "whole": page.read_text(),
        "opening": re.sub(r"<details.*</details>", "", page.read_text(), flags=re.S),
    }.items():
        (tmp_path / f"{name}.html").write_text(text)
        browse(
            f"--print-to-pdf={tmp_path / name}.pdf",
            "--no-pdf-header-footer",
            (tmp_path / f"{name}.html").as_uri(),
        )
        sizes[name] = len(re.findall(rb"/Type\s*/Page\b", (tmp_path / f"{name}.pdf").read_bytes()))
    assert sizes["opening"] <= 3 < 8 <= sizes["whole"]


def _brightness(colour: object) -> float:
    return sum(map(int, re.findall(r"\d+", str(colour))[:3])) / (3 * 255)
