"""The process of a shadow: `python -m trd_station.teaching.shadow_worker MODEL` scores a part for each line of its
standard input, a `JudgedPart` as JSON, and says its score."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from trd.detector import Detector
from trd.errors import TRDError
from trd_station.teaching.process import Channel
from trd_station.teaching.trial import JudgedPart, predicted


def main(model: Path) -> int:
    channel = Channel()
    try:
        detector = Detector.load(model, "auto")
    except TRDError as error:
        channel.say(error=str(error))
        return 1
    channel.say(reject_above=detector.calibration.image_threshold.value)
    for line in sys.stdin:
        part = JudgedPart(**json.loads(line))
        try:
            channel.say(id=part.id, score=predicted(detector, part).score)
        except TRDError as error:
            channel.say(id=part.id, score=None, reason=str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
