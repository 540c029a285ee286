"""What ``edgeproof run`` tells before it starts: warnings about the images, and what the run will take."""

from collections.abc import Sequence

from distill.data.layouts import load_dataset
from distill.data.samples import Dataset
from distill.data.transforms.shrinking import enlarge_warning, shrink_warning, some_sizes
from distill.files import at_home
from distill.pipeline.stage import Stage
from distill.recipe import Recipe
from distill.roster import Roster, roster_of
from distill.stages.forecast import Forecast, count_images, forecast
from distill.task import find_task
from distill.training.precision import process_count


def listed(recipe: Recipe) -> Dataset | None:
    """The user's images; None where they are simulated."""
    data = recipe.data
    if not data.path:
        return None
    root, labels = at_home(data.path), find_task(recipe.task).classes
    return load_dataset(root, layout=data.layout, columns=data.columns, labels=labels)


def warnings_about(recipe: Recipe, dataset: Dataset | None) -> list[str]:
    """What will cost accuracy, as far as a look at some images tells, and what the run will not make."""
    return [*_without_int8(recipe), *_sizes(recipe, dataset)]


def _without_int8(recipe: Recipe) -> list[str]:
    told = "quantization: found no quantizer, so that nothing becomes INT8 (edgeproof list quantizers)"
    return [] if recipe.quantization else [told]


def _sizes(recipe: Recipe, dataset: Dataset | None) -> list[str]:
    if dataset is None or not dataset.samples:
        return []
    sizes = some_sizes(dataset)
    keys = {recipe.preprocess: "preprocess"}
    for model in roster_of(recipe).teachers:
        keys.setdefault(model.preprocess, f"{model.section}.preprocess")
    told = (
        warn(sizes, spec, key=key) for spec, key in keys.items() for warn in (shrink_warning, enlarge_warning)
    )
    return [warning for warning in told if warning]


def reckon(recipe: Recipe, roster: Roster, stages: Sequence[Stage], dataset: Dataset | None) -> Forecast:
    """Time and memory, measured on a few steps of each network."""
    images = count_images(recipe.data, dataset)
    return forecast(recipe, roster, stages, images=images, processes=process_count(recipe.training))


def told(found: Forecast) -> str:
    """The same in a line."""
    minutes = max(1, round(found.seconds / 60))
    return (
        f"{found.images.total:,} images, {found.trainings} trainings: about {minutes} min and "
        f"{found.memory_mb / 1000:.1f} GB of memory (reckoned from a few steps of each network)"
    )
