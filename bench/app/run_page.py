"""A run's accuracy against its latency, what another threshold would do, and its report. Torch-free."""

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from streamlit.components.v1 import html

from bench.app.shared import settings
from bench.records.accuracy import AccuracyRecord, ModelAccuracy
from bench.records.latency import BenchRecord
from distill.data.samples import GENERATED, REAL
from distill.errors import EdgeproofError
from distill.evaluation.metrics import binary_metrics, roc_points
from distill.pipeline.runfolder import load_arrays, load_samples

_REPORT, _BENCH, _ACCURACY = "report.html", "bench.json", "accuracy.json"
_SCORE = "AUC or accuracy"
_Form = tuple[str, str, str, str | None]
_HEIGHT = 900  # pixels of the report within the page


def show() -> None:
    """The page."""
    st.title("A run")
    given = st.text_input(
        "Run folder", value=st.query_params.get("run", _newest()), key="run", placeholder="runs/demo"
    )
    if not given:
        st.info("Name the folder of a run, such as runs/demo.")
        return
    run = Path(given)
    if not (run / "recipe.toml").is_file():
        st.error(f"{given}: is no run folder, expected one with recipe.toml")
        return
    trade, threshold, report = st.tabs(["Accuracy against latency", "Threshold", "Report"])
    for tab, fill in ((trade, _trade_off), (threshold, _thresholds), (report, _report)):
        with tab:
            try:
                fill(run)
            except (EdgeproofError, OSError, ValueError, KeyError) as error:
                st.error(str(error))


def _newest() -> str:
    """The run of this page's own trainings that ended last."""
    found = sorted(settings().runs.glob("*/report.html"), key=lambda path: path.stat().st_mtime)
    return str(found[-1].parent) if found else ""


def _trade_off(run: Path) -> None:
    rows = _rows(run)
    if not rows:
        st.info("Latency was not measured.")
        return
    sizes = sorted({row["pixels"] for row in rows})
    size = st.selectbox("Input size", sizes, format_func=lambda side: f"{side}×{side}", key="size")
    shown = [row for row in rows if row["pixels"] == size]
    st.scatter_chart(shown, x="ms", y=_SCORE, color="form", size=120)
    st.dataframe(shown, hide_index=True)
    st.caption(
        "p50 of one image, model only. Up and to the left is better. Another size has the accuracy of the trained one."
    )


def _rows(run: Path) -> list[dict[str, Any]]:
    if not (run / _BENCH).is_file():
        return []
    scores = _scores(run)
    return [
        {
            "model": row.model,
            "form": " ".join(filter(None, (row.runtime, row.precision, row.quantizer))),
            "pixels": row.input_size,
            "ms": row.p50_ms,
            _SCORE: scores.get((row.model, row.runtime, row.precision, row.quantizer)),
            "× ResNet18": row.speedup_vs_resnet18_eager,
            "kB": row.bytes and row.bytes / 1e3,
            "noisy": row.noisy,
        }
        for row in BenchRecord.read(run / _BENCH).rows
        if row.scope == "model" and row.measured
    ]


def _scores(run: Path) -> dict[_Form, float | None]:
    """Of every distilled model and the teacher on test images: what the latency rows time."""
    if not (run / _ACCURACY).is_file():
        return {}
    return {
        (found.name, found.runtime, found.precision, found.quantizer): _score(model)
        for model in AccuracyRecord.read(run / _ACCURACY).models.values()
        if (found := model.identity).arm != "alone"
    }


def _score(model: ModelAccuracy) -> float | None:
    test = model.splits.get("test")
    return None if test is None else test.auc if test.auc is not None else test.accuracy


def _thresholds(run: Path) -> None:
    folder = run / "predictions"
    found = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.npz"))
    if not found:
        st.info("The run has no predictions yet.")
        return
    key = st.selectbox("Model", found, key="predictions")
    said = load_arrays(folder / f"{key}.npz")
    split = st.selectbox("Images", [name for name in said if said[name].size], key="split")
    labels = np.array([sample.label for sample in load_samples(run).split(split)])
    if said[split].ndim != 1 or set(labels) != {REAL, GENERATED}:
        st.info("A threshold is for two classes, and needs images of both.")
        return
    frozen = _frozen(run, key)
    threshold = st.slider("Threshold", 0.0, 1.0, frozen, 0.001, format="%.3f", key="threshold")
    _at(labels, said[split], threshold=threshold, frozen=frozen)


def _frozen(run: Path, key: str) -> float:
    """The threshold that validation images chose."""
    models = AccuracyRecord.read(run / _ACCURACY).models if (run / _ACCURACY).is_file() else {}
    return next((model.threshold or 0.5 for model in models.values() if model.identity.key == key), 0.5)


def _at(labels: Any, said: Any, *, threshold: float, frozen: float) -> None:
    now, then = (binary_metrics(labels, said, threshold=value, resamples=0) for value in (threshold, frozen))
    for column, (name, field) in zip(
        st.columns(3),
        (
            ("True positive rate", "tpr"),
            ("False positive rate", "tnr"),
            ("Balanced accuracy", "balanced_accuracy"),
        ),
        strict=True,
    ):
        value, before = (getattr(found, field) or 0.0 for found in (now, then))
        if field == "tnr":
            value, before = 1 - value, 1 - before
        column.metric(
            name,
            f"{value:.3f}",
            f"{value - before:+.3f}",
            delta_color="inverse" if field == "tnr" else "normal",
        )
    st.table([
        {"truth": name, "called real": counts[0], "called generated": counts[1]}
        for name, counts in zip(("real", "generated"), now.confusion, strict=True)
    ])  # fmt: skip
    if curve := roc_points(labels, said):
        st.line_chart(
            {"false positive rate": curve["fpr"], "true positive rate": curve["tpr"]},
            x="false positive rate",
            y="true positive rate",
        )
    st.caption(
        f"The run's frozen threshold is {frozen:.3f}, chosen on validation images: one that these images choose flatters."
    )


def _report(run: Path) -> None:
    path = run / _REPORT
    if not path.is_file():
        st.info("The run has no report yet.")
        return
    page = path.read_text(encoding="utf-8")
    html(page, height=_HEIGHT, scrolling=True)
    st.download_button("Download", page, file_name=f"{run.name}.html", mime="text/html")
