"""What the pages share: settings, and detectors that stay loaded. Torch-free."""

from functools import cache

import streamlit as st

from deploy.runtime import Detector
from deploy.service.places import artifact_folders
from deploy.service.settings import Settings


@cache
def settings() -> Settings:
    """What the page was started with."""
    return Settings.handed_on()


def model_choice(label: str, *, key: str, none: str | None = None) -> str | None:
    """A box with every artifact; with ``none`` its first entry is nothing."""
    names = list(artifact_folders(settings()))
    found: str
    if none is not None:
        found = st.selectbox(label, [none, *names], key=key)
        return None if found == none else found
    first = settings().model or "photos-128"
    found = st.selectbox(label, names, index=names.index(first) if first in names else 0, key=key)
    return found


@st.cache_resource(max_entries=4, show_spinner="Loading the model")
def detector(name: str) -> Detector:
    """An artifact by its name, loaded once; raises :class:`EdgeproofError`."""
    return Detector.load(artifact_folders(settings())[name], runtime=settings().runtime, threads=1)
