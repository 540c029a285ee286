import numpy as np
import pytest
from explore_fixture import SIZE, noise, scenes, sized
from PIL import Image

from distill.data.explore.fingerprints import Fingerprint, correlation_matrix, half_of, noise_residual
from distill.data.explore.observe import crop_side
from distill.data.explore.sample import MAX_GENERATORS, sample_cells, sources_of
from distill.data.explore.spectra import MeanSpectrum, azimuthal_average, log_spectrum, ring_frequencies
from distill.data.explore.statistics import (
    channel_shares,
    colour_profile,
    distance_of_kinds,
    distance_of_values,
)
from distill.data.samples import Sample

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


# --- what is sampled


def listed(*cells):
    return [
        Sample(path=f"{split}{name}{number}", label=int(bool(name)), split=split, generator=name)
        for split, name, count in cells
        for number in range(count)
    ]


def test_the_sample_is_bounded_and_does_not_depend_on_the_order():
    samples = listed(("test", "", 30), ("train", "gan", 5), ("train", "", 30))
    cells = sample_cells(samples, limit=10)
    assert [(c.split, c.source.name, c.total, len(c.sampled)) for c in cells] == [
        ("train", "real", 30, 10), ("train", "gan", 5, 5), ("test", "real", 30, 10),
    ]  # fmt: skip
    paths = [[samples[index].path for index in cell.sampled] for cell in cells]
    backwards = samples[::-1]
    assert [
        [backwards[index].path for index in cell.sampled] for cell in sample_cells(backwards, limit=10)
    ] == paths


def test_a_sample_stays_when_images_are_added():
    few, more = listed(("", "", 20)), listed(("", "", 40))
    first = {few[index].path for index in sample_cells(few, limit=5)[0].sampled}
    later = [more[index].path for index in sample_cells(more, limit=40)[0].sampled if more[index] in few]
    assert set(later[:5]) == first


def test_rare_generators_are_put_together():
    samples = listed(("", "", 3), *(("", f"g{number:02}", 1 + number) for number in range(20)))
    names = [cell.source.name for cell in sample_cells(samples, limit=99)]
    assert names == ["real", *(f"g{number:02}" for number in range(9, 20)), "9 other generators"]
    assert len(names) == MAX_GENERATORS + 1
    assert sample_cells(samples, limit=99)[-1].total == sum(range(1, 10))


def test_unnamed_generators_and_unlabelled_images_are_sources():
    samples = [Sample(path="a", label=1), Sample(path="b", label=-1), Sample(path="c", label=0)]
    assert [source.name for source in sources_of(samples)] == ["generated", "unlabelled", "real"]
    assert [cell.source.name for cell in sample_cells(samples, limit=1)] == [
        "real",
        "generated",
        "unlabelled",
    ]


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
