"""The whole of `trd predict`: parts scored here or by a cluster's workers, and written; an interrupted call goes on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from rich.console import Console

from trd.detector import Detector
from trd.predictions.parts import DetectorReference, Output, PartResult
from trd.predictions.ray_workers import results_of_workers
from trd.predictions.writing import Written, call_key, write_results
from trd.progress import tracked
from trd.types import SampleFiles


def predict_parts(
    detector: Detector | None,
    reference: DetectorReference,
    files: Sequence[SampleFiles],
    output: Output,
    console: Console,
) -> Written:
    """`write_results` of the files: by `detector` here, by workers of a Ray cluster where there is none.

    Raises MissingExtraError where Ray is needed and not installed, TRDError where a worker was lost for good.
    """
    from_anywhere = (
        replace(reference, path=reference.folder / reference.path, folder=Path()),
        replace(output, out=Path()),
    )
    key = call_key(repr((from_anywhere, metadata.version("trd-anomaly"))), files)
    with ExitStack() as cluster:

        def begin(number: int) -> Iterable[PartResult]:
            if number:
                console.print(f"going on after {number} parts that an interrupted call has done")
            left = files[number:]
            if not left:
                return ()
            if detector is not None:
                results = reference.results(detector, left, output)
            else:
                results = cluster.enter_context(results_of_workers(reference, left, output, console))
            return tracked(results, "predicting", len(left), console)

        return write_results(begin, output, key)
