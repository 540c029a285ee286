"""Which artifact of a run an error is about."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from distill.errors import EdgeproofError
from distill.pipeline.stage import Run
from distill.roster import Artifact


@contextmanager
def making(run: Run, artifacts: Sequence[Artifact]) -> Iterator[None]:
    """Note on an error the one artifact that it keeps from being made, and take away what there is of it.

    That is the only one, or of several the one for the runtime that refused the model. An error about all of them, such as
    a network that cannot be exported, passes as it is.
    """
    try:
        yield
    except EdgeproofError as error:
        refused = [item for item in artifacts if len(artifacts) == 1 or item.runtime == error.runtime]
        if len(refused) == 1:
            error.form = refused[0].folder
            shutil.rmtree(run.folder / error.form, ignore_errors=True)
        raise
