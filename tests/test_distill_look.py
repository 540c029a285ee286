import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from cli import edgeproof, one_line_error
from PIL import Image

from distill.data.explore.fingerprints import Fingerprint, correlation_matrix, half_of, noise_residual
from distill.data.explore.inspect import describe, read_folder
from distill.data.explore.maps import colour_of, map_png
from distill.data.explore.observe import crop_side, observe
from distill.data.explore.report import check_target, write_page
from distill.data.explore.sample import MAX_GENERATORS, draw, sources_of
from distill.data.explore.spectra import MeanSpectrum, azimuthal_average, log_spectrum, ring_frequencies
from distill.data.explore.statistics import (
    channel_shares,
    colour_profile,
    distance_of_kinds,
    distance_of_values,
)
from distill.data.samples import Dataset, Sample
from distill.data.scan import Scan
from distill.errors import EdgeproofError

SIZE = 64


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def scenes(count, *, seed=0, size=SIZE):
    """Smooth random pictures, brightness 0..255."""
    from scipy.ndimage import gaussian_filter

    rough = noise(count, size, size, seed=seed)
    smooth = np.stack([gaussian_filter(one, 4, mode="wrap") for one in rough])
    return (128 + 40 * smooth / smooth.std()).clip(20, 235).astype(np.float32)


# --- colours and distances


def test_the_profile_of_one_colour():
    mean, std = colour_profile(channel_shares(Image.new("RGB", (7, 5), (255, 51, 0))))
    assert mean == pytest.approx([1.0, 0.2, 0.0]) and std == pytest.approx([0, 0, 0], abs=1e-7)


def test_the_profile_of_images_of_one_size_is_that_of_their_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 9, 13, 3), np.uint8)
    shares = np.mean([channel_shares(Image.fromarray(one)) for one in pixels], axis=0)
    mean, std = colour_profile(shares)
    assert mean == pytest.approx((pixels / 255).mean(axis=(0, 1, 2)))
    assert std == pytest.approx((pixels / 255).std(axis=(0, 1, 2)))


def test_distances_by_hand():
    assert distance_of_values([1, 2, 3, 4], [3, 4, 5, 6]).value == 0.5
    assert distance_of_values([1, 1], [1, 1]).value == 0
    assert distance_of_values([1], [1]).value == 0 and distance_of_values([1], [2]).value == 1
    assert distance_of_kinds([0, 0, 0, 1], [1, 1, 1, 1]).value == 0.75
    assert distance_of_values([], [1]).value == 0 and not distance_of_kinds([], []).shown


def test_a_difference_is_shown_where_it_is_large_and_no_chance():
    few, many = np.arange(4), np.arange(4000)
    assert distance_of_values(few, few + 100).value == 1 and not distance_of_values(few, few + 100).shown
    assert distance_of_values(many, many + 1000).shown
    assert not distance_of_values(many, many + 200).shown  # certain, but small: 0.05


# --- spectra


def test_a_sinusoid_peaks_at_its_frequency_with_its_power():
    row = 25.5 * np.sin(2 * np.pi * 12 * np.arange(SIZE) / SIZE)
    spectrum = log_spectrum(np.tile(row, (SIZE, 1)).astype(np.float32) + 100)
    middle = SIZE // 2
    peaks = {tuple(place) for place in np.argwhere(spectrum > spectrum.max() - 0.01)}
    assert peaks == {(middle, middle - 12), (middle, middle + 12)}
    assert spectrum.max() == pytest.approx(10 * np.log10(0.05**2 * SIZE**2 * 4 / 9), abs=0.01)
    ring = azimuthal_average(spectrum).argmax()
    assert ring_frequencies(SIZE)[ring] == pytest.approx(12 / SIZE, abs=0.2 / SIZE)


def test_white_noise_is_flat_at_its_variance():
    mean = MeanSpectrum(SIZE)
    for one in 25.5 * noise(60, SIZE, SIZE):
        mean.add(log_spectrum(one))
    curve = mean.curves.mean(axis=0)
    # the mean logarithm of an exponential variable lies 10 log10(e^0.5772) = 2.51 dB below that of its mean
    assert curve[3:-3] == pytest.approx(np.full(len(curve) - 6, 10 * np.log10(0.1**2) - 2.51), abs=0.5)
    assert mean.count == 60 and mean.mean.shape == (SIZE, SIZE)


def test_a_flat_image_has_no_power_but_a_finite_logarithm():
    assert np.all(log_spectrum(np.full((32, 32), 200, np.float32)) == -90)


def test_rings():
    steps = np.arange(SIZE) - SIZE // 2
    radius = np.hypot(*np.meshgrid(steps, steps)).astype(np.float32)
    frequencies = ring_frequencies(SIZE)
    assert frequencies[:2] * SIZE == pytest.approx([(4 + 4 * 2**0.5) / 8, (4 * 2 + 8 * 5**0.5) / 12])
    assert frequencies[-1] == pytest.approx(np.sqrt(0.5), abs=1 / SIZE) and np.all(np.diff(frequencies) > 0)
    assert azimuthal_average(radius**2) / SIZE**2 == pytest.approx(frequencies**2, abs=1e-3)


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_every_ring_has_a_pixel(size):
    assert len(azimuthal_average(np.ones((size, size), np.float32))) == len(ring_frequencies(size))
    assert np.all(azimuthal_average(np.ones((size, size), np.float32)) == 1)


def test_nearest_neighbour_upsampling_shows_in_the_azimuthal_average():
    plain, enlarged = MeanSpectrum(SIZE), MeanSpectrum(SIZE)
    for number in range(30):
        plain.add(log_spectrum(20 * noise(SIZE, SIZE, seed=number)))
        small = 20 * noise(SIZE // 2, SIZE // 2, seed=1000 + number)
        enlarged.add(log_spectrum(small.repeat(2, axis=0).repeat(2, axis=1)))
    found = enlarged.curves.mean(axis=0) - plain.curves.mean(axis=0)
    frequencies = np.fft.fftshift(np.fft.fftfreq(SIZE))
    with np.errstate(divide="ignore"):
        gain = 20 * np.log10(
            np.abs(2 * np.outer(*[np.cos(np.pi * frequencies)] * 2))
        )  # of holding every value twice
    wanted = azimuthal_average(np.maximum(gain, -60).astype(np.float32))
    rings = ring_frequencies(SIZE)
    inner = (rings > 0.05) & (rings < 0.45)
    assert found[inner] == pytest.approx(wanted[inner], abs=0.7)
    assert found[inner][0] == pytest.approx(6, abs=0.7) and found[rings > 0.5].max() < -6


# --- fingerprints


def fingerprint(images, *, halves=None):
    found = Fingerprint(SIZE)
    for number, image in enumerate(images):
        found.add(noise_residual(image), half=number % 2 if halves is None else halves)
    return found


def test_a_planted_pattern_is_recovered_and_independent_noise_is_not():
    pattern = 2 * noise(SIZE, SIZE, seed=99)
    planted = fingerprint(np.rint(scenes(60) + pattern + noise(60, SIZE, SIZE, seed=1)))
    clean = fingerprint(np.rint(scenes(60, seed=5) + 2 * noise(60, SIZE, SIZE, seed=6)))
    matrix = correlation_matrix([planted, clean])
    assert matrix[0, 0] > 0.9
    assert np.abs([matrix[0, 1], matrix[1, 0], matrix[1, 1]]).max() < 4 / SIZE
    assert matrix == pytest.approx(matrix.T)
    assert np.corrcoef(planted.mean.ravel(), pattern.ravel())[0, 1] > 0.9


def test_a_checkerboard_is_recovered():
    y, x = np.mgrid[:SIZE, :SIZE]
    assert correlation_matrix([fingerprint(scenes(40) + 4 * ((x + y) % 2))])[0, 0] > 0.9


def test_a_pattern_that_shifts_from_image_to_image_is_none():
    pattern, offsets = 2 * noise(SIZE, SIZE, seed=99), np.random.default_rng(0).integers(0, SIZE, (60, 2))
    shifted = np.stack([np.roll(pattern, offset, axis=(0, 1)) for offset in offsets])
    assert abs(correlation_matrix([fingerprint(scenes(60) + shifted)])[0, 0]) < 4 / SIZE


def test_two_sources_of_one_pattern_are_alike():
    pattern = 3 * noise(SIZE, SIZE, seed=99)
    one, other = fingerprint(scenes(30) + pattern), fingerprint(scenes(30, seed=3) + pattern)
    assert correlation_matrix([one, other])[0, 1] > 0.9


def test_smooth_pictures_leave_no_residual():
    for scene in scenes(5):
        assert noise_residual(scene).std() < 0.05 * scene.std()
    assert np.abs(noise_residual(np.full((32, 48), 77, np.float32))).max() < 1e-3


def test_white_noise_of_the_expected_strength_is_all_residual():
    white = 5 * noise(128, 128) + 128
    assert np.corrcoef(noise_residual(white).ravel(), white.ravel())[0, 1] > 0.9


def test_an_empty_half_is_not_a_number():
    lonely = fingerprint(scenes(3), halves=1)
    matrix = correlation_matrix([lonely, fingerprint(scenes(4))])
    assert np.isnan(matrix[0]).all() and np.isfinite(matrix[1, 1])
    assert lonely.count == 3 and np.isfinite(lonely.mean).all()


def test_a_group_stays_in_one_half():
    halves = [half_of(Sample(path=f"{number}", label=0, group="scene")) for number in range(50)]
    assert len(set(halves)) == 1
    assert {half_of(Sample(path=f"{number}", label=0)) for number in range(50)} == {0, 1}


# --- what is drawn


def listed(*cells):
    return [
        Sample(path=f"{split}{name}{number}", label=int(bool(name)), split=split, generator=name)
        for split, name, count in cells
        for number in range(count)
    ]


def test_the_draw_is_bounded_and_does_not_depend_on_the_order():
    samples = listed(("test", "", 30), ("train", "gan", 5), ("train", "", 30))
    cells = draw(samples, limit=10)
    assert [(c.split, c.source.name, c.total, len(c.drawn)) for c in cells] == [
        ("train", "real", 30, 10), ("train", "gan", 5, 5), ("test", "real", 30, 10),
    ]  # fmt: skip
    paths = [[samples[index].path for index in cell.drawn] for cell in cells]
    backwards = samples[::-1]
    assert [[backwards[index].path for index in cell.drawn] for cell in draw(backwards, limit=10)] == paths


def test_a_draw_stays_when_images_are_added():
    few, more = listed(("", "", 20)), listed(("", "", 40))
    first = {few[index].path for index in draw(few, limit=5)[0].drawn}
    later = [more[index].path for index in draw(more, limit=40)[0].drawn if more[index] in few]
    assert set(later[:5]) == first


def test_rare_generators_are_put_together():
    samples = listed(("", "", 3), *(("", f"g{number:02}", 1 + number) for number in range(20)))
    names = [cell.source.name for cell in draw(samples, limit=99)]
    assert names == ["real", *(f"g{number:02}" for number in range(9, 20)), "9 other generators"]
    assert len(names) == MAX_GENERATORS + 1
    assert draw(samples, limit=99)[-1].total == sum(range(1, 10))


def test_unnamed_generators_and_unlabelled_images_are_sources():
    samples = [Sample(path="a", label=1), Sample(path="b", label=-1), Sample(path="c", label=0)]
    assert [source.name for source in sources_of(samples)] == ["generated", "unlabelled", "real"]
    assert [cell.source.name for cell in draw(samples, limit=1)] == ["real", "generated", "unlabelled"]


def sized(tmp_path, *sides):
    """A data set of which only sizes are known."""
    labels = [label for label, count, _ in sides for _ in range(count)]
    widths = np.array([side for _, count, side in sides for _ in range(count)], np.int32)
    samples = tuple(Sample(path=str(number), label=label) for number, label in enumerate(labels))
    blank = np.zeros(len(samples), np.int64)
    return Dataset(root=tmp_path, layout="", samples=samples), Scan(
        format=blank, quality=blank, width=widths, height=widths + 9, bytes=blank, content=blank, phash=blank, dhash=blank,
        thumbnail=blank,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sides", "crop"),
    [
        ([(0, 5, 300), (1, 5, 256)], 256),
        ([(0, 5, 255)], 128),
        ([(0, 8, 64), (0, 2, 31), (1, 4, 80), (1, 1, 8)], 64),  # 80 % is enough
        ([(0, 7, 64), (0, 3, 33), (1, 9, 64)], 32),
        ([(0, 99, 256), (1, 5, 40)], 32),  # a small class is not dropped
        ([(0, 9, 31), (1, 9, 300)], 0),
    ],
)
def test_the_crop_that_both_classes_reach(tmp_path, sides, crop):
    assert crop_side(*sized(tmp_path, *sides)) == crop


# --- the page


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
    write_page(out, dataset, scan, describe(dataset), source=root)
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


def test_fewer_images_are_looked_at_than_there_are(folder):
    dataset, scan = read_folder(folder, layout="auto")
    steps = []
    seen = observe(
        dataset, scan, threads=1, limit=3, progress=lambda done, total: steps.append((done, total))
    )
    assert [len(view.cell.drawn) for view in seen.cells] == [3, 3, 3, 3]
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
    write_page(tmp_path / "page.html", dataset, columns, describe(dataset), source=tmp_path)
    text = (tmp_path / "page.html").read_text()
    assert "Differences from real need both" in text


def test_problems_and_simulated_data_are_named_at_the_top(folder, tmp_path):
    dataset, scan = read_folder(folder, layout="auto")
    dataset = replace(dataset, layout="simulated", problems=("the CSV & the folders disagree",))
    write_page(tmp_path / "page.html", dataset, scan, describe(dataset), source=folder)
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
        write_page(tmp_path / "page.html", empty, nothing, describe(empty), source=tmp_path)


def test_maps_have_their_values_colours():
    from io import BytesIO

    with Image.open(BytesIO(map_png(np.array([[-9, 0.0, 9]]), low=-1, high=1, colours="gray"))) as image:
        assert [value[0] for value in np.asarray(image.convert("RGB"))[0].tolist()] == [0, 128, 255]
    assert colour_of(1, low=-1, high=1, colours="gray") == "#ffffff"


def test_the_command_line_writes_the_page(folder, tmp_path):
    out = tmp_path / "page.html"
    result = edgeproof("data", "inspect", folder, "--report", out)
    assert result.returncode == 0, result.stderr
    assert "40 in 40 groups" in result.stdout and "</html>" in out.read_text()
    assert "choose one of: fake, generator" in one_line_error(
        edgeproof("data", "inspect", folder, "--column", "lable=x")
    )
