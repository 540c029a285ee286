"""The page about a data set: what it says, and what it must not do."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from cli import edgeproof, one_line_error
from explore_fixture import SIZE, noise, scenes, sized
from PIL import Image

from distill.data.explore.fingerprints import correlation_matrix
from distill.data.explore.inspect import inspection_of, read_folder
from distill.data.explore.observe import observe
from distill.data.explore.report import check_target, write_page
from distill.data.samples import Dataset, Sample
from distill.errors import EdgeproofError


class Page(HTMLParser):
    """Texts and attributes, as a browser reads them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        self.texts += [value for name, value in attrs if name == "title"]

    def handle_data(self, data):
        self.texts.append(data)


def write_images(root, name, images, *, suffix=".png", **options):
    (root / name).mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        pixels = np.repeat(np.rint(image).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
        Image.fromarray(pixels).save(root / name / f"{number}{suffix}", **options)


def write(root, out, **options):
    dataset, scan = read_folder(root, **{"layout": "auto", **options})
    write_page(out, dataset, scan, inspection_of(dataset), source=root)
    return Page(out.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("page") / "photos <b>of< & cats"
    write_images(root, "train/real", scenes(14))
    write_images(root, "train/fake", scenes(14, seed=2) + 4 * noise(SIZE, SIZE))
    write_images(root, "test/real", scenes(6, seed=3))
    write_images(root, "test/fake", scenes(6, seed=4) + 4 * noise(SIZE, SIZE))
    evil = "<script>alert(1)<\\script>\n\u202e'\"&.png"
    (root / "train/real/0.png").rename(root / "train/real" / evil)
    (root / "train/real/<i>.txt").touch()
    return root


def test_the_page_shows_everything_and_needs_nothing(folder, tmp_path):
    page = write(folder, tmp_path / "new" / "page.html")
    assert all(re.match(r"data:image/png;base64,|#s\d$", link) for link in page.links)
    text = " ".join(page.texts)
    assert "script" not in page.tags and "b" in page.tags and "i" not in page.tags
    for wanted in (
        folder.name,
        "Layout class_folders: 40 images in 40 groups, 1 generator.",
        "train: 14 real, 14 generated",
        "1 × no image file, such as train/real/<i>.txt",
        r"train/real/<script>alert(1)<\script>\n\u202e'" + '"&.png',
        "8 of 14",
        "6 of 6",
        "Mean log-spectrum",
        "Correlation between fingerprints",
    ):
        assert wanted in text, wanted
    assert 8 + 8 + 6 + 6 == sum(
        "0.png" in t or ".png" in t for t in page.texts if t.startswith(("train/", "test/"))
    )


def test_the_page_is_the_same_every_time(folder, tmp_path):
    write(folder, tmp_path / "a.html")
    write(folder, tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_what_is_seen_does_not_depend_on_threads_or_order(folder):
    dataset, scan = read_folder(folder, layout="auto")
    backwards = np.arange(len(dataset.samples))[::-1]
    turned = replace(dataset, samples=tuple(dataset.samples[index] for index in backwards))
    one = observe(dataset, scan, threads=1)
    other = observe(turned, scan.take(backwards), threads=3)
    for source, view in one.sources.items():
        assert np.array_equal(view.spectrum.mean, other.sources[source].spectrum.mean)
        assert np.array_equal(view.fingerprint.mean, other.sources[source].fingerprint.mean)
    assert [view.examples for view in one.cells] == [view.examples for view in other.cells]


def test_the_planted_fingerprint_is_found_in_the_files(folder):
    dataset, scan = read_folder(folder, layout="auto")
    seen = observe(dataset, scan, threads=1)
    real, fake = (seen.sources[source].fingerprint for source in sorted(seen.sources))
    matrix = correlation_matrix([real, fake])
    assert seen.crop == SIZE and (real.count, fake.count) == (20, 20)
    assert matrix[1, 1] > 0.9 > 0.3 > abs(matrix[0, 1])


def test_fewer_images_are_read_than_there_are(folder):
    dataset, scan = read_folder(folder, layout="auto")
    steps = []
    seen = observe(
        dataset, scan, threads=1, limit=3, progress=lambda done, total: steps.append((done, total))
    )
    assert [len(view.cell.sampled) for view in seen.cells] == [3, 3, 3, 3]
    assert steps[-1] == (12, 12)
    assert seen.cells[0].shares.sum(axis=1) == pytest.approx([1, 1, 1])


def test_a_leak_is_marked_and_a_clean_set_is_not(tmp_path):
    for seed, name in enumerate(("real", "fake")):
        write_images(tmp_path / "clean", name, scenes(30, seed=seed), suffix=".bmp")
    clean = write(tmp_path / "clean", tmp_path / "clean.html")
    assert not [text for text in clean.texts if text.endswith(": the classes differ")]
    write_images(tmp_path / "leak", "real", scenes(30), suffix=".jpg", quality=90)
    write_images(tmp_path / "leak", "fake", scenes(30, seed=1, size=72))
    leak = write(tmp_path / "leak", tmp_path / "leak.html")
    marked = [text for text in leak.texts if text.endswith(": the classes differ")]
    assert [text.split(":")[0] for text in marked] == ["File formats", "Width and height", "File size"]
    assert any("balanced accuracy of 1.00" in text for text in leak.texts)


def test_another_jpeg_quality_is_marked(tmp_path):
    write_images(tmp_path / "set", "real", scenes(30), suffix=".jpg", quality=90)
    write_images(tmp_path / "set", "fake", scenes(30, seed=1), suffix=".jpg", quality=85)
    page = write(tmp_path / "set", tmp_path / "page.html")
    assert "JPEG quality: the classes differ" in page.texts and "File formats" in page.texts


def test_three_images_of_any_mode(tmp_path):
    root = tmp_path / "set"
    write_images(root, "real", scenes(1, size=40))
    (root / "fake").mkdir()
    Image.fromarray((scenes(1)[0] * 257).astype(np.uint16)).save(root / "fake" / "deep.png")
    Image.new("LA", (50, 60), (200, 100)).save(root / "fake" / "clear.png")
    page = write(root, tmp_path / "page.html")
    assert any("so few images can come that far by chance" in text for text in page.texts)
    assert "–" in page.texts  # a correlation that cannot be told


def test_images_too_small_to_compare(tmp_path):
    for name in ("real", "fake"):
        write_images(tmp_path / "set", name, scenes(3, size=16))
    page = write(tmp_path / "set", tmp_path / "page.html")
    assert sum("too small to compare" in text for text in page.texts) == 2


def test_the_images_left_out_as_too_small_are_counted(tmp_path):
    write_images(tmp_path / "set", "real", scenes(9))
    write_images(tmp_path / "set", "fake", scenes(9))
    Image.new("RGB", (500, 20)).save(tmp_path / "set/fake/strip.png")
    page = write(tmp_path / "set", tmp_path / "page.html")
    assert sum("Left out as too small: 1 of generated." in text for text in page.texts) == 2


@pytest.mark.parametrize("label", [0, 1, -1])
def test_one_class_only(tmp_path, label):
    write_images(tmp_path, "x", scenes(4))
    samples = tuple(Sample(path=f"x/{number}.png", label=label) for number in range(4))
    from distill.data.scan import scan

    dataset, columns = scan(Dataset(root=tmp_path, layout="x", samples=samples), max_bad_share=0, workers=1)
    write_page(tmp_path / "page.html", dataset, columns, inspection_of(dataset), source=tmp_path)
    text = (tmp_path / "page.html").read_text()
    assert "Differences from real need both" in text


def test_problems_and_simulated_data_are_named_at_the_top(folder, tmp_path):
    dataset, scan = read_folder(folder, layout="auto")
    dataset = replace(dataset, layout="simulated", problems=("the CSV & the folders disagree",))
    write_page(tmp_path / "page.html", dataset, scan, inspection_of(dataset), source=folder)
    head = (tmp_path / "page.html").read_text().split("<nav>")[0]
    assert "simulated images" in head and "the CSV &amp; the folders disagree" in head


def test_what_cannot_be_written_or_shown(folder, tmp_path):
    with pytest.raises(EdgeproofError, match="a folder, expected the name of an .html file"):
        check_target(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(EdgeproofError, match="cannot be written"):
        check_target(tmp_path / "file" / "page.html")
    check_target(tmp_path / "new" / "page.html")
    empty, nothing = sized(tmp_path)
    with pytest.raises(EdgeproofError, match="no readable image to show, 0 files left out"):
        write_page(tmp_path / "page.html", empty, nothing, inspection_of(empty), source=tmp_path)


def test_the_command_line_writes_the_page(folder, tmp_path):
    out = tmp_path / "page.html"
    result = edgeproof("data", "inspect", folder, "--report", out)
    assert result.returncode == 0, result.stderr
    assert f"written: {out}" in result.stderr
    assert "40 in 40 groups" in result.stdout and "</html>" in out.read_text()
    assert "choose one of: fake, generator" in one_line_error(
        edgeproof("data", "inspect", folder, "--column", "lable=x")
    )
