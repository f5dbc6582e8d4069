"""A part under another model, version or limit, and the good part that is most like it."""

from pathlib import Path

import pytest
from stations import client_of, upload

from trd_station.store.alike import most_alike

BASE = "/v1/classes/biscuit"


@pytest.mark.parametrize(
    ("measures", "others", "place"),
    [
        ({"x": 1.0}, [{"x": 5.0}, {"x": 2.0}], 1),
        ({"x": 1.0, "y": 0.0}, [{"x": 1.0, "y": 1e-3}, {"x": 3.0, "y": 0.0}, {"x": 2.0, "y": 0.0}], 2),  # by spread
        ({"x": 1.0, "y": 9.0}, [{"x": 5.0}, {"x": 1.0, "y": 0.0}], 1),  # what all have
        ({}, [{"x": 5.0}, {"x": 2.0}], 0),
        ({"x": 1.0}, [{"x": 5.0}, {"x": 5.0}], 0),
    ],
)
def test_the_most_alike_in_units_of_the_spread(measures: dict, others: list[dict], place: int) -> None:
    assert most_alike(measures, others) == place


def test_a_part_under_other_models_versions_and_limits(opened, run_folder: Path, package: bytes, test_parts) -> None:
    station = opened()
    with client_of(station) as client:
        files = upload(test_parts / "chip", "000")
        (chip,) = client.post(f"{BASE}/inspections", files=files).json()["inspections"]
        path = f"/v1/inspections/{chip['id']}/under"
        same = client.get(path).json()
        assert [same[name] for name in ("score", "decision", "threshold")] == [chip["score"], "reject", 1]
        far = client.get(path, params={"reject_above": 1e6, "review_above": 1e5}).json()
        assert (far["decision"], far["score"]) == ("ok", chip["score"])
        client.put(f"{BASE}/threshold", json={"reject_above": 1e6, "reason": "to see"})
        assert client.get(path, params={"threshold": 2}).json()["decision"] == "review"
        assert client.get(path).json()["threshold"] == 1  # the one that decided
        octets = {"content-type": "application/octet-stream"}
        other = client.post(f"{BASE}/models/package", content=package, headers=octets).json()["id"]
        assert client.get(path, params={"model": other}).json()["threshold"] is None  # it never served
        client.post(f"/v1/models/{other}/switch", json={"reason": "to see"})
        (by_other,) = client.post(f"{BASE}/inspections", files=files).json()["inspections"]
        told = client.get(path, params={"model": other}).json()
        assert (told["score"], told["decision"]) == (by_other["score"], by_other["decision"])
        assert client.get(path, params={"model": other, "threshold": 1}).json()["code"] == "no_threshold"
        station.shelf._warm.pop(other)
        assert client.get(path, params={"model": other}).json()["code"] == "no_model"


def test_the_nearest_good_part(client, send) -> None:
    (chip,) = send("chip")
    path = f"/v1/inspections/{chip['id']}/nearest-good"
    assert client.get(path).json() == {"inspection": None}
    accepted = [send("good", stem)[0] for stem in ("000", "001")]
    ids = [part["id"] for part in accepted if part["decision"] == "ok"]
    nearest = client.get(path).json()["inspection"]
    assert nearest["id"] in ids if ids else nearest is None
    client.post(f"/v1/inspections/{accepted[0]['id']}/verdicts", json={"verdict": "good"})
    assert client.get(path).json()["inspection"]["id"] == accepted[0]["id"]  # a person said so
