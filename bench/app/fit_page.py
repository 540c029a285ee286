"""Start a training, watch it, end it: the service's own queue, within this page's process. Torch-free."""

import uuid

import streamlit as st

from bench.app.shared import settings
from deploy.service.fits import fit_command, log_file, progress_file
from deploy.service.forms import FitRequest
from deploy.service.queue import JobQueue, last_lines
from deploy.service.store import JobRow, Store
from distill.errors import EdgeproofError
from distill.pipeline.progress_record import ProgressRecord
from distill.recipe import shipped_recipes

_EVERY_S = 2.0
_TAIL = 12


def show() -> None:
    """The page."""
    st.title("Train")
    if settings().data is None:
        st.info("Start the page with `edgeproof app --data FOLDER` to train on data sets below it.")
        return
    store = _store()
    _ask(store)
    _jobs()


@st.cache_resource
def _store() -> Store:
    """The jobs, and who sees to them as long as this process lives."""
    store = Store(settings().database)
    JobQueue(settings(), store).start()
    return store


def _ask(store: Store) -> None:
    with st.form("fit"):
        recipe = st.selectbox("Recipe", list(shipped_recipes()), key="recipe")
        data = st.text_input("Data set below the data folder (empty: the recipe's own)", key="data")
        overrides = st.text_area(
            "Settings, one KEY=VALUE a line", key="overrides", placeholder="training.seeds=[0]"
        )
        if not st.form_submit_button("Start"):
            return
    job = f"fit-{uuid.uuid4().hex[:12]}"
    lines = tuple(line.strip() for line in overrides.splitlines() if line.strip())
    try:
        asked = FitRequest(recipe=recipe, data=data or None, overrides=lines)
        store.add(job, kind="fit", command=fit_command(asked, settings=settings(), job=job))
    except EdgeproofError as error:
        for line in error.args:
            st.error(str(line))
    else:
        st.success(f"{job} is in the queue")


@st.fragment(run_every=_EVERY_S)
def _jobs() -> None:
    rows = list(reversed(_store().jobs(kind="fit")))
    if not rows:
        st.caption("No training was asked for yet.")
    for row in rows:
        with st.expander(f"{row.id}: {row.state}", expanded=row.state in ("queued", "running")):
            _job(row)


def _job(row: JobRow) -> None:
    progress = _progress(row.id)
    if progress and row.state == "running":
        st.progress(progress.share, text=progress.at_work)
    if row.message:
        st.warning(row.message)
    st.code(
        "\n".join(last_lines(log_file(settings(), row.id), most=_TAIL)) or "nothing was said yet",
        language=None,
    )
    if row.state in ("queued", "running") and st.button("End it", key=f"end-{row.id}"):
        _store().cancel(row.id)
    if row.state == "done":
        st.caption(f"Its report is on the page 'Explore a run': {settings().runs / row.id}")


def _progress(job: str) -> ProgressRecord | None:
    try:
        return ProgressRecord.read(progress_file(settings(), job))
    except EdgeproofError:  # not there yet
        return None
