"""Damaged requests to a service, in short: what does not survive is told, and a few hundred survive."""

import random
from itertools import islice
from pathlib import Path

import pytest
from service_fixture import running, settings_in

from deploy.service.protocol import ImpatientProtocol
from perf.attack.requests import AREA, finding_in, requests, send_all
from perf.attack.table import Table

COUNT = 150


class Hasty(ImpatientProtocol):
    headers_s = 1.0


def test_damaged_requests_survive(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "data").mkdir()
    table = Table(seed=1)
    settings = settings_in(tmp_path, data=tmp_path / "data", request_s=1.0)
    with running(settings, protocol=Hasty) as client:
        address = (client.base_url.host, int(client.base_url.port or 0))
        send_all(table, address, count=COUNT, rng=random.Random(1))
    assert table.findings == []
    assert (table.row(AREA).tried, table.row(AREA).survived) == (COUNT, COUNT)
    assert 0 < table.row(AREA).decoded < COUNT
    assert not [record for record in caplog.records if record.exc_info]


def test_what_an_answer_must_not_be_is_told() -> None:
    assert (
        finding_in(b"HTTP/1.1 422 x\r\n\r\n", 1.0)
        == finding_in(b"", 1.0)
        == finding_in(b"HTTP/1.1 504 x", 2.0)
        == ""
    )
    assert "status 500" in finding_in(b"HTTP/1.1 500 x\r\n\r\n", 1.0)
    assert "traceback" in finding_in(b"HTTP/1.1 422 x\r\n\r\nTraceback", 1.0)
    assert "took 15.0 s" in finding_in(b"", 15.0)


def test_a_seed_makes_the_same_requests() -> None:
    first, again = (list(islice(requests(random.Random(3)), 50)) for _ in range(2))
    assert first == again and len(set(first)) > 40
