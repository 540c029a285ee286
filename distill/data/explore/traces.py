"""Sections on what generators leave in the pixels: spectra and fingerprints."""

from collections.abc import Iterator

import numpy as np

from distill.data.explore import figures
from distill.data.explore.fingerprints import DENOISER, Fingerprint, correlation_matrix
from distill.data.explore.inspect import counted, printable
from distill.data.explore.observe import CROP_SHARE, CROPS, Observations, SourceView
from distill.data.explore.sample import Source
from distill.data.explore.spectra import Plane, ring_frequencies
from distill.data.samples import REAL
from distill.page.blocks import Block, Gallery, Maps, Matrix, Picture, Section, Table, Text, columns
from distill.page.formats import signed
from distill.page.maps import DIFFERENCE, POWER, RESIDUAL, map_png, scale_png

Views = dict[Source, SourceView]
_SHOWN = 64  # pixels of a fingerprint: more could not be told apart
_BANDS = ((0, 0.1), (0.1, 0.25), (0.25, 0.5), (0.5, 0.71))
_TOO_SMALL = Text(
    f"Fewer than {100 * CROP_SHARE:.0f} % of the images of one class are {min(CROPS)} pixels wide and high: too small to compare."
)


def spectra_section(seen: Observations) -> Section:
    """Mean log-spectra, their differences from real, and both over frequency."""
    return Section("Spectra", [*_spectra(seen)] if seen.crop else [_TOO_SMALL])


def fingerprints_section(seen: Observations) -> Section:
    """Mean noise residuals and how alike they are."""
    return Section("Fingerprints", [*_fingerprints(seen)] if seen.crop else [_TOO_SMALL])


def _spectra(seen: Observations) -> Iterator[Block]:
    views = _compared(seen)
    means = {source: view.spectrum.mean for source, view in views.items()}
    yield Text(
        f"Mean over images of the log power spectrum of the brightness, from the middle {seen.crop}×{seen.crop} pixels at "
        "native resolution under a Hann window. Frequency zero is in the middle of a picture, its edges are 0.5 "
        "cycles per pixel. Upsampling leaves points and lines away from the middle, and too little or too much power there. "
        f"{_left_out(seen)}"
    )
    low, high = np.percentile(np.stack(list(means.values())), [0.5, 99.5])
    yield Maps(
        "Mean log-spectrum",
        [_map(source, views, mean, low=low, high=high, colours=POWER) for source, mean in means.items()],
        side=seen.crop,
        scale=(scale_png(POWER), f"{signed(low, 1)} dB", f"{signed(high, 1)} dB"),
    )
    real = next((source for source in views if source.label == REAL), None)
    if real is None or len(views) < 2:
        yield Gallery([_curves(views, real=real)])
        yield Text("Differences from real need both real and other images.")
        return
    yield _difference_maps(views, means, real=real)
    yield Gallery([_curves(views, real=real), _difference_curves(views, real=real)])
    yield _bands(views, real=real)


def _difference_maps(views: Views, means: dict[Source, Plane], *, real: Source) -> Maps:
    gaps = {source: mean - means[real] for source, mean in means.items() if source != real}
    top = max(1.0, float(np.percentile(np.abs(np.stack(list(gaps.values()))), 99.5)))
    pictures = [
        _map(source, views, gap, low=-top, high=top, colours=DIFFERENCE) for source, gap in gaps.items()
    ]
    return Maps(
        "Difference from real",
        pictures,
        side=len(means[real]),
        scale=(scale_png(DIFFERENCE), f"{signed(-top, 1)} dB", f"{signed(top, 1)} dB"),
    )


def _map(source: Source, views: Views, values: Plane, *, low: float, high: float, colours: str) -> Picture:
    png = map_png(values, low=low, high=high, colours=colours)
    name = printable(source.name)
    return Picture(png=png, alt=name, title=name, text=counted(views[source].spectrum.count, "image"))


def _curves(views: Views, *, real: Source | None) -> Picture:
    curves = {source: view.spectrum.curves for source, view in views.items()}
    png = figures.curves(
        {source: found.mean(axis=0) for source, found in curves.items()},
        x=_frequencies(views),
        y="power (dB)",
        band=np.percentile(curves[real], [10, 90], axis=0) if real else None,
        band_label="80 % of real images",
    )
    return Picture(
        png=png,
        alt="Azimuthal average",
        title="Azimuthal average",
        text="Mean over each ring of equal frequency; beyond 0.5 only the corners are left.",
    )


def _difference_curves(views: Views, *, real: Source) -> Picture:
    curves = {source: view.spectrum.curves for source, view in views.items()}
    count = int(np.median([len(found) for source, found in curves.items() if source != real]))
    chance = 1.96 * curves[real].std(axis=0) * np.sqrt(1 / len(curves[real]) + 1 / count)
    png = figures.curves(
        {source: found.mean(axis=0) - curves[real].mean(axis=0) for source, found in curves.items()},
        x=_frequencies(views),
        y="power above real (dB)",
        band=np.stack([-chance, chance]),
        band_label="95 % by chance",
    )
    text = f"Inside the grey band lie 95 % of such differences between real images and {count:,} other real ones."
    title = "Azimuthal average, difference from real"
    return Picture(png=png, alt=title, title=title, text=text)


def _frequencies(views: Views) -> figures.Values:
    return ring_frequencies(len(next(iter(views.values())).spectrum.mean))


def _bands(views: Views, *, real: Source) -> Table:
    frequencies = _frequencies(views)
    base = views[real].spectrum.curves.mean(axis=0)
    rows = []
    for source, view in views.items():
        if source == real:
            continue
        gap = view.spectrum.curves.mean(axis=0) - base
        inside = [gap[(frequencies > low) & (frequencies <= high)].mean() for low, high in _BANDS]
        rows.append(
            (printable(source.name), f"{view.spectrum.count:,}", *(signed(value, 1) for value in inside))
        )
    return Table(
        "Power above real in dB, by frequency in cycles per pixel",
        columns("source", "images", *(f"{low:g} to {high:g}" for low, high in _BANDS)),
        tuple(rows),
    )


def _fingerprints(seen: Observations) -> Iterator[Block]:
    views = _compared(seen)
    prints = {source: view.fingerprint for source, view in views.items()}
    matrix = correlation_matrix(list(prints.values()))
    names = [printable(source.name) for source in prints]
    yield Text(
        "What a source leaves at the same pixels of every image: the mean noise residual, image minus denoised image "
        f"(Marra et al. 2019; {DENOISER}), of the brightness, same crops as above. {_left_out(seen)}"
    )
    yield Maps(
        f"Mean noise residual, the middle {min(seen.crop, _SHOWN)}×{min(seen.crop, _SHOWN)} pixels, contrast stretched",
        [_fingerprint(name, item) for name, item in zip(names, prints.values(), strict=True)],
        side=min(seen.crop, _SHOWN),
    )
    yield Text(
        "Correlation between fingerprints of two disjoint halves of the images (by group). The diagonal says how well a "
        "fingerprint repeats itself on other images, the rest how alike two are. Chance alone gives up to about "
        f"±{4 / seen.crop:.2f}, of either sign and more where a strong pattern shifts from image to image. A diagonal near 0 "
        "means that nothing stays at the same pixels; random cropping, flipping or resizing does that."
    )
    yield Matrix("Correlation between fingerprints", names, matrix.tolist(), colours=DIFFERENCE)


def _fingerprint(name: str, item: Fingerprint) -> Picture:
    start = max(0, len(item.mean) - _SHOWN) // 2
    middle = (item.mean - item.mean.mean())[start : start + _SHOWN, start : start + _SHOWN]
    top = max(float(np.percentile(np.abs(middle), 99)), 1e-3)
    png = map_png(middle, low=-top, high=top, colours=RESIDUAL)
    return Picture(
        png=png, alt=name, title=name, text=f"{counted(item.count, 'image')}, ±{top:.2g} grey levels"
    )


def _compared(seen: Observations) -> Views:
    """The sources that have at least one image as large as the crop, reals first."""
    return {source: view for source, view in sorted(seen.sources.items()) if view.spectrum.count}


def _left_out(seen: Observations) -> str:
    small = [
        f"{view.too_small:,} of {printable(s.name)}"
        for s, view in sorted(seen.sources.items())
        if view.too_small
    ]
    return f"Left out as too small: {', '.join(small)}." if small else "No image was too small."
