import json
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from distill.errors import EdgeproofError
from distill.record import Frozen, Record


class Row(Frozen):
    name: str
    value: float | None = None


class Report(Record):
    """Of a later version than the first."""

    version = 3
    rows: tuple[Row, ...]
    share: Annotated[float, Field(ge=0, le=1)] = 0.5


class First(Record):
    note: str


REPORT = Report(rows=(Row(name="ü"), Row(name="b", value=1 / 3)))


def failure(call, *arguments, **options):
    with pytest.raises(EdgeproofError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("record", [REPORT, First(note="")])
def test_what_is_written_is_read(tmp_path, record):
    path = tmp_path / "deep" / "r.json"
    record.write(path)
    assert type(record).read(path) == record
    assert json.loads(path.read_text())["schema_version"] == record.version
    assert [item.name for item in path.parent.iterdir()] == ["r.json"]


def test_a_record_knows_its_version_before_it_is_written():
    assert (REPORT.schema_version, First(note="").schema_version) == (3, 1)
    assert REPORT.model_dump(mode="json") == changed()


def test_a_record_is_frozen_and_knows_its_keys():
    with pytest.raises(ValidationError):
        REPORT.share = 0.1
    with pytest.raises(ValidationError):
        Report(rows=(), shares=0.1)
    with pytest.raises(ValidationError):
        Report(rows=(Row(name="a", value=float("nan")),))


def changed(**changes):
    return {**json.loads(REPORT.model_dump_json()), **changes}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (changed(shares=1), "shares: found 1, Extra inputs are not permitted"),
        (
            changed(rows=[{"name": "a", "nmae": "b"}]),
            "rows.0.nmae: found 'b', Extra inputs are not permitted",
        ),
        (changed(share=2), "share: found 2, Input should be less than or equal to 1"),
        (changed(rows=[{"name": 3}]), "rows.0.name: found 3, Input should be a valid string"),
        ({"schema_version": 3}, "rows: found {'schema_version': 3}, Field required"),
        (changed(schema_version=2), "schema_version is 2, expected 3"),
        (changed(schema_version="3"), "schema_version is '3', expected 3"),
        (changed(schema_version=True), "schema_version is True, expected 3"),
        ({"rows": []}, "schema_version is None, expected 3"),
        ([], "found list, expected a JSON object"),
        (None, "found NoneType, expected a JSON object"),
        (3, "found int, expected a JSON object"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path, value, message):
    assert failure(Report.parse, value, origin="r.json") == f"r.json: {message}"
    path = tmp_path / "r.json"
    path.write_text(json.dumps(value))
    assert failure(Report.read, path) == f"{path}: {message}"


def test_all_mistakes_are_told_at_once_and_long_values_cut():
    message = failure(Report.parse, changed(share="x" * 500, rows=3), origin="r.json")
    assert message.count("; ") == 1 and "rows: found 3" in message and len(message) < 300


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"rows": NaN}'])
def test_a_file_that_is_no_json(tmp_path, content):
    path = tmp_path / "r.json"
    path.write_bytes(content)
    assert failure(Report.read, path).startswith(f"{path}: ")


def test_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "r.json"
    assert failure(Report.read, path) == f"{path}: cannot be read (No such file or directory)"
    assert failure(Report.read, tmp_path) == f"{tmp_path}: cannot be read (Is a directory)"


def test_nan_in_a_file_is_refused(tmp_path):
    path = tmp_path / "r.json"
    path.write_text('{"schema_version": 3, "rows": [{"name": "a", "value": NaN}]}')
    assert "rows.0.value: found nan" in failure(Report.read, path)
