"""Damaged uploads by the thousand: no 5xx, no crash, memory bounded, nothing left behind.

python benchmarks/station/fuzz.py RUN PARTS [--count 20000]

RUN holds one class; PARTS is a folder of its parts, a folder per source. The station runs in this process, without a
socket.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "fakes"))

from stations import client_of, damaged

from trd.data.listing import list_unlabelled
from trd_station.settings import Settings
from trd_station.station import Station


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("parts", type=Path)
    parser.add_argument("--count", type=int, default=20_000)
    args = parser.parse_args()
    chance = random.Random(1)
    status: Counter[int] = Counter()
    decisions: Counter[str] = Counter()
    unexpected: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        station = Station.open(Settings(Path(folder), device="cpu", keep_inputs="none"), [str(args.run)])
        (name,) = station.shelf.classes
        serving = station.shelf.serving(name)
        assert serving is not None  # just opened with it
        recipe = serving.detector.recipe
        files = list_unlabelled(args.parts, recipe.sources, recipe.point_cloud_sources)[0]
        form = [(source, (path.name, path.read_bytes())) for source, path in files.sources.items()]
        url = f"/v1/classes/{name}/inspections"
        memory = []
        with client_of(station) as client:
            request = client.build_request("POST", url, files=form)
            body, headers = request.read(), dict(request.headers)
            headers.pop("content-length")
            begin = time.monotonic()
            for number in range(args.count):
                if number % 4:
                    which = chance.randrange(1, 2 ** len(form))
                    sent = [
                        (one, (path, damaged(data, chance) if which >> place & 1 else data))
                        for place, (one, (path, data)) in enumerate(form)
                    ]
                    answer = client.post(url, files=sent)
                else:
                    head = chance.randrange(200, 1500)
                    broken = damaged(body[:head], chance) + body[head:]
                    answer = client.post(url, content=broken, headers=headers)
                status[answer.status_code] += 1
                if answer.status_code == 201:
                    for told in answer.json()["inspections"]:
                        decisions[told["decision"]] += 1
                        if "unexpected" in (told["reason"] or ""):
                            unexpected[told["reason"]] += 1
                if number % 1000 == 999:
                    memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
                    print(
                        number + 1, f"{time.monotonic() - begin:.0f} s", dict(status), dict(decisions), memory[-1], "MB"
                    )
        left = list(station.files.incoming.iterdir())
        station.close()
    print(
        "status", dict(status), "decisions", dict(decisions), "unexpected", dict(unexpected), "left behind", len(left)
    )
    print("greatest memory after each thousand, MB:", memory)
    assert not any(code >= 500 for code in status)


if __name__ == "__main__":
    main()
