"""What a run writes as JSON is a record: a frozen pydantic model with a ``schema_version``, and is read as one. Torch-free."""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from distill.errors import EdgeproofError
from distill.files import read_json, write_json


class Frozen(BaseModel):
    """A part of a record: no unknown key, no change, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class Record(Frozen):
    """One JSON file. A subclass counts :attr:`version` up when its fields change their meaning."""

    version: ClassVar[int] = 1
    schema_version: Annotated[int, Field(validate_default=True)] = 0

    @field_validator("schema_version")
    @classmethod
    def _own(cls, _: int) -> int:
        return cls.version

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        write_json(path, self.model_dump(mode="json"))

    def text(self) -> str:
        """The same for standard output; pydantic's own refuses names that are not UTF-8, which JSON can escape."""
        return json.dumps(self.model_dump(mode="json"), indent=2, allow_nan=False)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what :meth:`write` wrote.

        Raises:
            EdgeproofError: no such file, no JSON, another schema version, or a field that does not fit.
        """
        try:
            value = read_json(path)
        except OSError as error:
            raise EdgeproofError(f"{path}: cannot be read ({error.strerror or error})") from None
        except ValueError as error:
            raise EdgeproofError(f"{path}: not valid JSON ({error})") from None
        return cls.parse(value, origin=str(path))

    @classmethod
    def parse(cls, value: Any, *, origin: str) -> Self:
        """Check a JSON value; ``origin`` names it in every message. Raises :class:`EdgeproofError`."""
        if not isinstance(value, dict):
            raise EdgeproofError(f"{origin}: found {type(value).__name__}, expected a JSON object")
        found = value.get("schema_version")
        if type(found) is not int or found != cls.version:
            raise EdgeproofError(f"{origin}: schema_version is {found!r}, expected {cls.version}")
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise EdgeproofError(f"{origin}: {'; '.join(map(_mistake, error.errors()))}") from None


def _mistake(item: Any) -> str:
    message = item["msg"].removeprefix("Value error, ")
    key = ".".join(str(part) for part in item["loc"])
    return f"{key}: found {item['input']!r:.80}, {message}" if key else message
