"""The whole of `trd predict`: parts scored here or by a cluster's workers, and written; an interrupted call goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from rich.console import Console

from trd.detector import BATCH, Detector
from trd.predictions.loading import Loading
from trd.predictions.parts import Output, PartResult, in_step, outcomes, part_results
from trd.predictions.resuming import Task
from trd.predictions.spread import CHUNK, spread, workers
from trd.predictions.writing import Written, write_results
from trd.progress import tracked
from trd.types import SampleFiles


def predict_parts(
    detector: Detector | None,
    loading: Loading,
    files: Sequence[SampleFiles],
    output: Output,
    console: Console,
) -> Written:
    """`write_results` of the files: by `detector` here, by workers of a Ray cluster where there is none.

    Raises MissingExtraError where Ray is needed and not installed, TRDError where a worker was lost for good.
    """
    pictures = {"raw_maps": output.raw_maps, "overlays": output.overlays, "keep_going": output.keep_going}
    task = Task.of({**loading.settings(), **{name: str(value) for name, value in pictures.items()}}, files)

    with ExitStack() as cluster:

        def begin(number: int) -> Iterator[PartResult]:
            if number:
                console.print(f"going on after {number} parts that an interrupted call has done")
            left = len(files) - number
            if not left:
                return iter(())
            if detector is not None:
                results = _here(detector, loading, files, output, number)
            else:
                handles = cluster.enter_context(workers(loading, output, -(-left // CHUNK)))
                console.print(f"Ray: {left} parts on {len(handles)} workers")
                results = spread(handles, files, number)
            return tracked(results, "predicting", left, console)

        return write_results(begin, output, task)


def _here(
    detector: Detector, loading: Loading, files: Sequence[SampleFiles], output: Output, number: int
) -> Iterator[PartResult]:
    for some in in_step(files, number, BATCH):
        yield from part_results(detector, outcomes(detector, some, loading.reader(detector)), output)
