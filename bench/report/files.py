"""What the report reads: the run folder's records. What is missing or unreadable is noted, never fatal."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from distill.errors import EdgeproofError
from distill.recipe import Recipe, load_recipe
from distill.record import Record
from distill.roster import Model, Roster
from distill.training.history import History

RECIPE = "recipe.toml"
UNREADABLE = "could not be read"
_NOT_THERE = "not there: the run did not get that far"
_Some = TypeVar("_Some", bound=Record)


@dataclass(frozen=True)
class Training:
    """One training of a model, and every epoch of it."""

    model: Model
    history: History


def history_file(model: Model) -> str:
    """Where a training leaves its epochs, relative to the run folder."""
    return f"{model.folder}/history.json"


class RunFiles:
    """Reads one run folder; ``problems`` gathers file → why it could not be read, in one line."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.problems: dict[str, str] = {}

    def record(self, name: str, kind: type[_Some]) -> _Some | None:
        """The record in a file, or None with its problem noted."""
        path = self._folder / name
        if not path.is_file():
            self.problems[name] = _NOT_THERE
            return None
        try:
            return kind.read(path)
        except EdgeproofError as error:
            self._refuse(name, path, error)
            return None

    def recipe(self) -> Recipe | None:
        """The resolved recipe, or None with its problem noted."""
        path = self._folder / RECIPE
        if not path.is_file():
            self.problems[RECIPE] = _NOT_THERE
            return None
        try:
            return load_recipe(str(path))
        except (EdgeproofError, OSError) as error:
            self._refuse(RECIPE, path, error)
            return None

    def recipe_text(self) -> str:
        """The resolved recipe as it stands; empty if it does not."""
        path = self._folder / RECIPE
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def trainings(self, roster: Roster) -> Iterator[Training]:
        """Every training that the recipe asks for and whose history is there."""
        for model in (*roster.teachers, *roster.trainings):
            history = self.record(history_file(model), History)
            if history is not None:
                yield Training(model, history)

    def _refuse(self, name: str, path: Path, error: Exception) -> None:
        """Note the first line of an error, without the folder that the reader of a report is not in."""
        first, *others = str(error).replace(f"{path}: ", "").splitlines() or [type(error).__name__]
        more = f" (and {len(others)} more)" if others else ""
        self.problems[name] = f"{UNREADABLE}: {first}{more}"
