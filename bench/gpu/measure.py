"""Everything that is measured of one model."""

from collections.abc import Iterator, Sequence

from bench.gpu.engine_speed import decode_name, measure_engine
from bench.gpu.figure import Figure
from bench.gpu.limits import Limits
from bench.gpu.peer import Peer
from bench.gpu.plan import BenchPlan
from ports.compute_backend import ComputeBackend


def measure_model(
    backend: ComputeBackend,
    path: str,
    plan: BenchPlan,
    limits: Limits,
    peer: Peer,
    *,
    worker_arguments: Sequence[str] | None,
) -> Iterator[Figure]:
    """The backend alone, then a worker process with these arguments; None leaves the process out.

    Raises:
        WorkerError: the backend failed.
        MeasurementFailed: the worker did.
    """
    engine_rate = None
    for figure in measure_engine(backend, path, plan, limits, peer):
        if figure.what == decode_name(plan.decode_contexts[0]):
            engine_rate = figure.median
        yield figure
    if worker_arguments is not None:
        from bench.gpu.http_speed import measure_http  # noqa: PLC0415 the server's packages may be missing

        yield from measure_http(path, worker_arguments, plan, peer, engine_rate=engine_rate)
