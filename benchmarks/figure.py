"""The README's picture: test parts of a finished run, colour, 3D, maps and decision, side by side.

python benchmarks/figure.py RUN DATA OUT.png CLASS:SAMPLE_ID [CLASS:SAMPLE_ID ...]
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.evaluation import figures
from trd.preprocess.image import resize_map, resize_mask

SIDE = 200  # pixels per picture


def main(run: str, data: str, out: str, *picks: str) -> None:
    rows = []
    for pick in picks:
        name, _, identity = pick.partition(":")
        detector = Detector.load(Path(run) / name)
        sources, clouds = detector.recipe.sources, detector.recipe.point_cloud_sources
        files = list_class(Path(data), name, sources, clouds)
        sample = load_sample(next(s for s in files.test if s.id == identity), clouds, files.camera)
        prediction = detector.predict(sample)
        assert sample.mask is not None
        frame, level = detector.facts.frame, prediction.threshold
        mask = resize_mask(frame.crop(sample.mask), frame.size)
        images = {n: figures.as_picture(i) for n, i in detector.pipeline(sample).images.items()}

        def window(values: np.ndarray, frame=frame) -> np.ndarray:
            return resize_map(frame.crop(values), frame.size)

        cells = [figures.outlined(image, mask, (255, 40, 40)) for image in images.values()]
        cells += [figures.heat(window(m), level) for m in prediction.modality_maps.values()]
        cells.append(figures.overlay(next(iter(images.values())), window(prediction.map), level))
        rows.append(np.hstack([cv2.resize(c, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for c in cells]))
        verdict = "defect" if prediction.is_anomalous else "good"
        print(f"{pick}: {verdict}, score {prediction.score:.2f} / {level:.2f}, {dict(prediction.share)}")
    Path(out).write_bytes(figures.png(np.vstack(rows)))


if __name__ == "__main__":
    main(*sys.argv[1:])
