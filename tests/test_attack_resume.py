"""A run that goes on with another recipe: what the recipe asks for no more is not read, whatever it has become."""

from pathlib import Path

import pytest

from bench.records.accuracy import AccuracyRecord
from deploy.parity import ParityRecord
from distill.cli.run import all_stages, roster_for
from distill.pipeline.runner import run_stages
from distill.pipeline.stage import Run
from distill.recipe import Recipe, load_recipe, parse_recipe

GONE = "nncf"


@pytest.fixture
def fewer(run_copy: Path) -> Recipe:
    """The run's recipe with one quantizer less, whose artifacts and answers have come to harm meanwhile."""
    fields = load_recipe(str(run_copy / "recipe.toml")).model_dump(mode="json")
    del fields["quantization"][GONE]
    for path in [
        *(run_copy / "artifacts").glob(f"*{GONE}*/*"),
        *(run_copy / "predictions").glob(f"*{GONE}*"),
    ]:
        path.write_bytes(b"not what it was")
    return parse_recipe(fields, origin="fewer")


def test_artifacts_of_a_quantizer_that_is_gone_are_not_read(run_copy: Path, fewer: Recipe) -> None:
    assert not [item.key for item in roster_for(fewer).artifacts if GONE in item.key]
    stages = [stage for stage in all_stages(fewer) if stage.name != "bench"]  # which would time for seconds
    (run_copy / "bench.json").unlink()
    run_stages(Run(run_copy, fewer), stages, resume=True)
    parity = ParityRecord.read(run_copy / "parity.json")
    assert parity.passed and parity.drift and not [pair.b for pair in parity.drift if GONE in pair.b]
    accuracy = (run_copy / "accuracy.json").read_text()
    assert AccuracyRecord.read(run_copy / "accuracy.json").gate.failed == () and GONE not in accuracy
    assert GONE not in (run_copy / "degradations.json").read_text()
