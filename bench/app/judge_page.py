"""Drop images, read what one or two models say of them. Torch-free."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import streamlit as st

from bench.app.pictures import pictures_in
from bench.app.shared import detector, model_choice
from deploy.bot.words import verdict
from deploy.explain.answer import explain_answer
from deploy.predict import COLUMNS, safe_cell
from deploy.prediction import Prediction
from deploy.runtime import Detector
from distill.errors import EdgeproofError

_KINDS = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "zip"]
_HISTORY = "history"
_MOST_MAPS = 8


def show() -> None:
    """The page."""
    st.title("Real or generated?")
    left, right = st.columns(2)
    with left:
        first = model_choice("Model", key="first")
    with right:
        second = model_choice("Compare with", key="second", none="nothing")
    dropped = st.file_uploader(
        "Images, or a zip of them", type=_KINDS, accept_multiple_files=True, key="dropped"
    )
    taken = st.camera_input("Or take one", key="camera") if st.toggle("Use the camera") else None
    explained = st.toggle(f"Show what the answer hangs on (the first {_MOST_MAPS} images)", value=True)
    names = [name for name in (first, second) if name]
    for number, (name, content) in enumerate(_given([*(dropped or []), *([taken] if taken else [])])):
        _judged(name, content, names=names, explained=explained and number < _MOST_MAPS)
    _history()


def _given(files: list[Any]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        try:
            yield from pictures_in(file.name, file.getvalue())
        except EdgeproofError as error:
            st.error(str(error))


def _judged(name: str, content: bytes, *, names: list[str], explained: bool) -> None:
    st.subheader(name, divider=True)
    for column, model in zip(st.columns(len(names)), names, strict=True):
        with column:
            try:
                loaded = detector(model)
                prediction, picture = _answer(model, content, name=name, explained=explained)
            except EdgeproofError as error:
                st.error(str(error))
                continue
            st.caption(model)
            st.markdown(verdict(prediction, caution=loaded.caution).replace("\n", "  \n"))
            st.progress(prediction.probability)
            if picture:
                st.image(
                    picture,
                    caption="As the model saw it, and what speaks for the answer (red) and against it (blue)",
                )
            _remember(name, model, prediction)


@st.cache_data(max_entries=256, show_spinner=False)
def _answer(model: str, content: bytes, *, name: str, explained: bool) -> tuple[Prediction, bytes | None]:
    """What the model says, and a map; kept, since Streamlit runs the page again for every click."""
    loaded: Detector = detector(model)
    pixels, cautions = loaded.prepare(content, spec=loaded.preprocessing(), name=name)
    logits = loaded.run(pixels)
    picture = explain_answer(loaded, pixels, logits)[1] if explained else None
    return loaded.conclude(logits, cautions=cautions), picture


def _remember(name: str, model: str, said: Prediction) -> None:
    row = {
        "path": name, "model": model, "label": said.label, "answer": said.answer, "probability": said.probability,
        "logit": said.logit, "threshold": said.threshold, "caution": "; ".join(said.cautions) or None,
    }  # fmt: skip
    history: dict[tuple[str, str], dict[str, Any]] = st.session_state.setdefault(_HISTORY, {})
    history[name, model] = row


def _history() -> None:
    rows = list(st.session_state.get(_HISTORY, {}).values())
    if not rows:
        st.info("Nothing was judged yet. Images stay on this machine; none is kept.")
        return
    st.subheader("So far", divider=True)
    st.dataframe(rows, hide_index=True)
    generated = float(np.mean([row["answer"] == "generated" for row in rows]))
    st.caption(f"{len(rows)} answers, {generated:.0%} of them generated")
    st.download_button("Download as CSV", _csv(rows), file_name="edgeproof.csv", mime="text/csv")


def _csv(rows: list[dict[str, Any]]) -> str:
    columns = ("model", *(name for name in COLUMNS if name != "error"))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: safe_cell(row.get(name)) for name in columns})
    return text.getvalue()
