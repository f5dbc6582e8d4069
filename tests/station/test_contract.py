"""Requests made up from the station's own description, and forms that were damaged: never a 5xx."""

import random
import warnings
from pathlib import Path

import pytest
from stations import client_of, damaged, upload

from trd_station.api.app import create_app
from trd_station.station import Station

URL = "/v1/classes/biscuit/inspections"
ENDLESS = ("/v1/live",)


@pytest.mark.timeout(600)
def test_damaged_uploads_are_answered(station: Station, test_parts: Path) -> None:
    chance = random.Random(1)
    files = upload(test_parts / "good", "000")
    seen = set()
    with client_of(station) as client:
        request = client.build_request("POST", URL, files=files)
        body, headers = request.read(), dict(request.headers)
        for number in range(120):
            if number % 3:
                sent = [(name, (path, damaged(data, chance))) for name, (path, data) in files]
                answer = client.post(URL, files=sent)
            else:
                broken = damaged(body[:600], chance) + body[600:] if number % 2 else damaged(body, chance)
                kept = {k: v for k, v in headers.items() if k != "content-length"}
                answer = client.post(URL, content=broken, headers=kept)
            assert answer.status_code < 500, answer.text
            if answer.status_code == 201:
                told = answer.json()["inspections"][0]
                seen.add(told["decision"])
                assert "unexpected" not in (told["reason"] or ""), told["reason"]
        assert station.line.state.queued == 0
        assert "invalid" in seen
    assert not any(station.files.incoming.iterdir())


@pytest.mark.timeout(900)
def test_made_up_requests(station: Station, test_parts: Path) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

    with client_of(station) as client:
        files = upload(test_parts / "good", "000")
        for _ in range(2):
            assert client.post(URL, files=files).status_code == 201
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", create_app(station, ["testserver", "localhost"]))
    checks = (not_a_server_error, content_type_conformance, response_schema_conformance)
    walked = 0

    def ask(case) -> None:
        for name, known in (("class_name", "biscuit"), ("number", 1)):  # mostly what there is
            if name in (case.path_parameters or {}) and len(repr(case.path_parameters)) % 3:
                case.path_parameters[name] = known
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case.call_and_validate(checks=checks)

    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in ENDLESS:
            continue
        walked += 1
        chosen = settings(
            max_examples=8,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        chosen(given(case=operation.as_strategy())(ask))()
    assert walked > 35
