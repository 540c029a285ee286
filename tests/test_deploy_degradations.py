"""The sweep's first half: which images, and what the models say of them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stages import bench_stages
from deploy.quantizers import runtimes_of
from deploy.stages import deploy_stages
from deploy.stages.degradations import load_degraded, sample_groups
from distill.data.samples import Sample
from distill.data.transforms.degradations import CLEAN, DEGRADATIONS, FLIP_TEST
from distill.evaluation.choice import Choice
from distill.pipeline.runfolder import load_arrays, load_samples
from distill.pipeline.state import stage_keys
from distill.recipe import load_recipe
from distill.roster import roster_of
from distill.stages import distill_stages


def grouped(sizes):
    """Samples whose groups have these sizes, the groups' members apart from each other."""
    rows = [(place, group) for group, size in enumerate(sizes) for place in range(size)]
    return [Sample(path=f"{g}-{p}.png", label=p % 2, group=f"g{g}") for p, g in sorted(rows)]


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    at_most=st.integers(6, 80),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_whole_groups_as_many_as_fit(sizes, at_most, seed):
    samples = grouped(sizes)
    chosen = sample_groups(samples, at_most=at_most, seed=seed).tolist()
    assert chosen == sorted(set(chosen)) and 0 < len(chosen) <= at_most
    inside = {samples[index].group for index in chosen}
    assert [index for index, sample in enumerate(samples) if sample.group in inside] == chosen
    left = [sum(sample.group == name for sample in samples) for name in {s.group for s in samples} - inside]
    assert all(size > at_most - len(chosen) for size in left)  # no other group would have fitted
    assert chosen == sample_groups(samples, at_most=at_most, seed=seed).tolist()


def test_seeds_draw_other_groups_and_the_order_of_files_does_not_matter():
    samples = grouped([2] * 30)
    drawn = {tuple(sample_groups(samples, at_most=20, seed=seed).tolist()) for seed in range(10)}
    assert len(drawn) == 10
    backwards = samples[::-1]
    paths = {samples[index].path for index in sample_groups(samples, at_most=20, seed=1)}
    assert {backwards[index].path for index in sample_groups(backwards, at_most=20, seed=1)} == paths


def test_a_group_larger_than_all_is_cut():
    assert len(sample_groups(grouped([50, 60]), at_most=8, seed=0)) == 8


def test_samples_without_a_group_stand_alone():
    samples = [Sample(path=f"{i}.png", label=i % 2) for i in range(9)]
    assert len(sample_groups(samples, at_most=4, seed=0)) == 4


# the stages


def stages_of(*overrides):
    recipe = load_recipe(str(TINY), overrides=overrides)
    roster = roster_of(recipe, runtimes=runtimes_of(recipe))
    stages = distill_stages(recipe, roster)
    stages += deploy_stages(recipe, roster, stages)
    return [*stages, *bench_stages(recipe, roster, stages)], recipe


def test_no_samples_no_stage():
    names = {stage.name for stage in stages_of()[0]}
    without = {stage.name for stage in stages_of("degradations.samples=0")[0]}
    assert names - without == {"degradations:outputs", "degradations"}


def test_a_change_of_the_sweep_redoes_the_sweep_alone():
    before, after = (stage_keys(*stages_of(*change)) for change in ((), ("degradations.samples=12",)))
    assert {name for name in before if before[name] != after[name]} == {
        "degradations:outputs",
        "degradations",
    }


def test_the_sweep_needs_every_model_it_shows():
    needs = next(stage.needs for stage in stages_of()[0] if stage.name == "degradations:outputs")
    assert set(needs) == {
        "teacher:choice", "choose:small_cnn", "choose:small_cnn/alone",
        "quantize:teacher@32:ort", "quantize:teacher@32:nncf",
        "quantize:small_cnn@32:ort", "quantize:small_cnn@32:nncf",
    }  # fmt: skip


def test_imports_without_torch_or_anything_heavy():
    transforms = "distill.data.transforms"
    modules = f"{transforms}.effects, {transforms}.augment, {transforms}.degradations, "
    modules += "deploy.stages.degradations, bench.degradations"
    heavy = {"torch", "scipy", "sklearn", "matplotlib", "openvino", "onnxruntime"}
    code = f"import sys, {modules}\nsys.exit(str({heavy!r} & sys.modules.keys() or '') or 0)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


# what the models said


@pytest.fixture(scope="module")
def outputs(finished_run):
    return load_degraded(finished_run)


def test_every_model_spoke_of_every_image_in_every_state(outputs, finished_run):
    assert outputs.degradations == tuple(DEGRADATIONS)
    assert set(outputs.probabilities) == {
        "teacher", "small_cnn", "small_cnn/alone", "teacher-onnxruntime-int8-ort", "teacher-openvino-int8-nncf",
        "small_cnn-onnxruntime-int8-ort", "small_cnn-openvino-int8-nncf",
    }  # fmt: skip
    test = load_samples(finished_run).split("test")
    assert len(outputs.samples) == 24 < len(test)
    for values in outputs.probabilities.values():
        assert values.shape == (len(DEGRADATIONS), 24)
        assert 0 <= values.min() and values.max() <= 1


def test_clean_is_what_the_evaluation_saw(outputs, finished_run):
    clean = {
        name: values[outputs.degradations.index(CLEAN)] for name, values in outputs.probabilities.items()
    }
    recipe = load_recipe(str(TINY))
    roster = roster_of(recipe, runtimes=runtimes_of(recipe))
    int8 = [artifact for artifact in roster.judged if artifact.precision == "int8"]
    assert len(int8) == 4
    for artifact in int8:
        known = load_arrays(finished_run / artifact.predictions)["test"][outputs.samples]
        np.testing.assert_allclose(clean[artifact.key], known, atol=1e-9)
    for model in roster.models:
        logits = load_arrays(finished_run / model.logits)["test"][outputs.samples]
        calibration = Choice.read(finished_run / model.choice).calibration
        said = clean[model.key]
        found = (np.log(said / (1 - said)) - calibration.bias) * calibration.temperature
        np.testing.assert_allclose(found, logits, atol=1e-6)  # hardly trained: probabilities are near 0.5
        assert np.ptp(logits) > 1e-3


def test_the_flip_test_mixes_clean_reals_with_recompressed_fakes(outputs, finished_run):
    test = load_samples(finished_run).split("test")
    generated = np.array([test[index].label == 1 for index in outputs.samples])
    assert 0 < generated.sum() < len(generated)
    places = [outputs.degradations.index(name) for name in (FLIP_TEST, "jpeg95", CLEAN)]
    for values in outputs.probabilities.values():
        flipped, recompressed, clean = values[places]
        np.testing.assert_allclose(flipped, np.where(generated, recompressed, clean), atol=1e-8)
        assert np.abs(recompressed - clean).max() > 1e-7
