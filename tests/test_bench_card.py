"""The model cards of a run's artifacts: what they say is what the records say."""

import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from report_fixture import NNCF, ORT, STUDENT, Records, timed

from bench.card import write_cards
from deploy.artifact import verify
from distill.page.formats import with_interval

FP32 = "small_cnn-openvino-fp32"


def cards_of(records: Records, finished_run: Path, folder: Path) -> dict[str, str]:
    """Artifact → its card, of a run with these records and the real run's manifests."""
    records.write(folder)
    for manifest in (finished_run / "artifacts").glob("*/manifest.json"):
        place = folder / "artifacts" / manifest.parent.name
        place.mkdir(parents=True)
        shutil.copyfile(manifest, place / manifest.name)
    return {place.name: (place / "README.md").read_text() for place in write_cards(folder)}


@pytest.fixture(scope="module")
def cards(
    calm_records: Records, finished_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    return cards_of(calm_records, finished_run, tmp_path_factory.mktemp("run"))


def section(card: str, title: str) -> str:
    return card.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_report_stage_leaves_a_card_in_every_judged_artifact(finished_run: Path) -> None:
    folders = sorted((finished_run / "artifacts").iterdir())
    assert len(folders) == 8
    for folder in folders:
        text = (folder / "README.md").read_text()
        assert "| test |" in section(text, "Accuracy")
        assert "README.md" not in verify(folder).files


def test_the_head_holds_the_records_numbers(cards: dict[str, str], calm_records: Records) -> None:
    found = ModelCard(cards[NNCF]).data
    results = {(r.dataset_split, r.metric_type): r.metric_value for r in found.eval_results}
    assert calm_records.accuracy
    splits = calm_records.accuracy.models[NNCF].splits
    assert results["test", "roc_auc"] == 0.93
    assert results["heldout", "roc_auc"] == 0.76
    assert results["test", "f1"] == round(splits["test"].f1 or -1.0, 4)
    assert {"openvino", "int8", "simulated-data"} <= set(found.tags)


def test_accuracy_stands_with_its_interval_split_by_generator(
    cards: dict[str, str], calm_records: Records
) -> None:
    text = section(cards[NNCF], "Accuracy")
    assert "0.930 [0.911, 0.947]" in text and "0.760 [0.741, 0.777]" in text
    assert calm_records.accuracy
    generators = calm_records.accuracy.models[NNCF].generators
    assert len(generators) >= 4
    for name, found in generators.items():
        [row] = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
        assert with_interval(found.auc, found.auc_ci) in row
    assert text.count("held out") == 1


def test_degraded_images_of_int8_and_of_the_network_behind_fp32(cards: dict[str, str]) -> None:
    int8, fp32 = (section(cards[key], "Degraded images") for key in (NNCF, FP32))
    assert "small_cnn INT8 in OpenVINO in detail" in int8 and "The network itself" not in int8
    assert "The network itself was judged here" in fp32
    assert "| JPEG quality 30 |" in int8 and "| JPEG quality 30 |" in fp32


def test_what_int8_cost(cards: dict[str, str]) -> None:
    text = section(cards[NNCF], "Against what it was made from")
    assert "Against small_cnn FP32 in OpenVINO, on the test split" in text
    assert "−0.001 [−0.007, +0.005]" in text
    assert "0.161 → 0.078 ms, faster by more than the spread" in text
    assert f"{NNCF} AUC drop" in text and "FAILED" not in text


def test_speed_names_the_cpu(cards: dict[str, str], calm_records: Records) -> None:
    text = section(cards[NNCF], "Speed")
    assert calm_records.bench
    assert calm_records.bench.machine.cpu_model in text.replace("\\", "")
    assert "| model only | 32×32 | 1 | 0.075 | 0.078 |" in text
    assert "| from file to answer | 32×32 | 1 |" in text
    assert "with INT8 dot products" in text and "0.4 % of the CPU time was stolen" in text


def test_every_card_says_that_the_data_are_simulated(cards: dict[str, str]) -> None:
    for text in cards.values():
        assert "nothing here says how the model does on real photographs" in text.split("\n## ")[0]
        assert "Layout: simulated." in section(text, "Data")


def test_what_failed_or_got_slower_is_a_limit(
    calm_records: Records, finished_run: Path, tmp_path: Path
) -> None:
    bad = calm_records.with_check(NNCF, "auc_drop", passed=False, value=0.2, limit=0.05).with_rows(
        lambda row: timed(0.9), model=STUDENT, runtime="onnxruntime", precision="int8", scope="model"
    )
    cards = cards_of(bad, finished_run, tmp_path)
    assert f"Failed: {NNCF} AUC drop 0.200, limit 0.050." in section(cards[NNCF], "Limits")
    assert "it is slower than its FP32 form: 0.900 against 0.176 ms" in section(cards[ORT], "Limits")
    assert "slower by more than the spread" in section(cards[ORT], "Against what it was made from")


def test_what_was_not_measured_is_said(calm_records: Records, finished_run: Path, tmp_path: Path) -> None:
    some = calm_records.without("bench", "degradations")
    text = cards_of(some, finished_run, tmp_path)[NNCF]
    assert section(text, "Speed").strip() == section(text, "Degraded images").strip() == "Not measured."
    assert "0.930 [0.911, 0.947]" in section(text, "Accuracy")
