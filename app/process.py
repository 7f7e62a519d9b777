"""The life of the worker process: start in a fixed order, serve, drain, leave (spec §7, §22)."""

import asyncio
import contextlib
import gc
import socket
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Any

from adapters_inbound.http.listener import bind
from adapters_outbound.terminal.progress_bar import load_progress_bar
from app.container import Container
from app.shutdown_time import ShutdownTime
from app.stop_signals import StopSignals
from app.version import VERSION
from domain.errors import WorkerError
from ports.ready_notifier import ReadyNotice

if TYPE_CHECKING:
    from app.loading import Loaded
    from domain.worker import Worker

# Shares of the shutdown time, each from its beginning.
_FINISH_BY = 0.8  # the running job
_CANCEL_BY = 0.9  # what did not finish
_FREE_BY = 0.97  # the device, after the last responses and spans
_LAST_RESPONSES_S = 0.5  # at most, for what is written already to reach its readers
_LEAST_RESPONSES_S = 0.2  # however short the time is: a terminal event must not be cut by a busy host
_LAST_SPANS_S = 1.0  # at most, for a collector of traces that may not answer
_POLL_S = 0.01
# Imported while the model loads, since their libraries take as long.
_SERVING = ("app.serving", "app.assembly", "adapters_outbound.prometheus_metrics")


class _StoppedWhileLoading(Exception):
    """A signal came before the model was loaded."""


class WorkerProcess:
    """One worker from first to last. `run` returns the exit status; `failure` says why where it is 1.

    Args:
        container: of all its parts.
        on_abort: called before a second signal ends the process on the spot.
    """

    def __init__(self, container: Container, *, on_abort: Callable[[], None] = lambda: None) -> None:
        self._container = container
        self._settings = container.settings()
        self._story = container.process_story()
        self._inference = container.inference()
        self._on_abort = on_abort
        self.failure: WorkerError | None = None
        self.shutdown_time = ShutdownTime(self._settings.shutdown_timeout_sec, container.clock())
        self._started_at_s = time.monotonic()

    async def run(self) -> int:
        self._signals = StopSignals(
            asyncio.get_running_loop(), on_request=self.shutdown_time.start, on_abort=self._on_abort
        )
        self._story.startup(VERSION)
        try:
            with contextlib.closing(bind(self._settings.host, self._settings.port)) as listener:
                loaded = await self._load()
                try:
                    await self._serve(loaded, listener)
                finally:
                    await self._free(loaded)
        except _StoppedWhileLoading:
            pass
        except WorkerError as error:
            return self._fail(error)
        except Exception as error:  # the process boundary: whatever it is, it is told and the exit is clean
            return self._fail(WorkerError(f"internal error: {type(error).__name__}: {error}"))
        finally:
            self._inference.stop(self.shutdown_time.left_s(_FREE_BY))  # a longer step ends with the process
            gc.unfreeze()
        self._story.shutdown(self._signals.reason, correlation_id=self._signals.correlation_id)
        return 0

    async def _load(self) -> "Loaded":
        """One thread opens the device and fills it, another does all else, one after the other: nearly all of
        a start takes the interpreter, and where three threads took turns at it, they needed a sixth more.
        """
        with load_progress_bar("loading the model") as show:

            def on_progress(done_bytes: int, total_bytes: int) -> None:
                if self._signals.requested:
                    raise _StoppedWhileLoading
                show(done_bytes, total_bytes)

            container, inference = self._container, self._inference
            loader = container.loader()
            beside = ThreadPoolExecutor(1, thread_name_prefix="beside")
            try:
                beside.submit(_import_all, container.device_modules())
                reading = container.file_reading(beside)
                serving = beside.submit(_import_all, _SERVING)
                loading = inference.call(lambda: loader.load(reading, on_progress))
                loaded = await asyncio.wrap_future(loading)
                await asyncio.wrap_future(serving)
            finally:
                beside.shutdown(cancel_futures=True)
        gc.freeze()  # a vocabulary stays: no collection need walk through it while a job waits
        gc.enable()
        return loaded

    async def _serve(self, loaded: "Loaded", listener: socket.socket) -> None:
        from app.assembly import assemble_worker  # noqa: PLC0415 imported by now, see `_load`
        from app.serving import make_server  # noqa: PLC0415

        # In the thread that owns the device: the engine begins by asking the model how much memory it holds.
        assembled = self._inference.call(lambda: assemble_worker(self._container, loaded))
        worker = await asyncio.wrap_future(assembled)
        tracer = self._container.tracer()
        server = make_server(self._container, worker, listener, request_shutdown=self._request_shutdown)
        await server.start()
        try:
            await self._serve_jobs(worker, f"http://{_bracketed(self._settings.host)}:{server.port}", loaded)
        finally:
            responses_s = max(_LEAST_RESPONSES_S, self._half_of_what_is_left_s(_LAST_RESPONSES_S))
            await server.stop(timeout_s=responses_s)
            await asyncio.to_thread(tracer.close, self._half_of_what_is_left_s(_LAST_SPANS_S))

    async def _serve_jobs(self, worker: "Worker", uri: str, loaded: "Loaded") -> None:
        try:
            await self._announce(worker, uri, loaded)
            await self._signals.wait()
        finally:  # also where nobody could be told: jobs are taken as soon as the server listens
            await self._drain(worker)

    def _request_shutdown(self, correlation_id: str) -> None:
        self._signals.request("POST /shutdown", correlation_id=correlation_id)

    async def _announce(self, worker: "Worker", uri: str, loaded: "Loaded") -> None:
        vram_bytes = worker.health.vram_bytes_used
        if self._settings.callback_url is not None:
            notice = ReadyNotice(self._settings.worker_id, worker.info.model_ref, vram_bytes, uri)
            await self._unless_stopped(self._container.ready_notifier().notify(notice))
            if self._signals.requested:
                return
        startup_s = time.monotonic() - self._started_at_s
        self._container.metrics().started(startup_s=startup_s, model_load_s=loaded.load_s)
        self._story.ready(uri, startup_s=startup_s, vram_bytes=vram_bytes)

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work`, or as much of it as there is time for before an end is asked for."""
        working, stopped = asyncio.create_task(work), asyncio.create_task(self._signals.wait())
        try:
            await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            working.cancel()
            stopped.cancel()

    async def _drain(self, worker: "Worker") -> None:
        """Refuse new jobs, let the active one finish, cancel it when most of the time is gone.

        A device that does not notice even that is left alone: the stream has its end all the same.
        """
        worker.drain()
        if await _becomes_idle(worker, self.shutdown_time.left_s(_FINISH_BY)):
            return
        worker.cancel_all()
        if not await _becomes_idle(worker, self.shutdown_time.left_s(_CANCEL_BY)):
            worker.abandon_all()

    def _half_of_what_is_left_s(self, at_most_s: float) -> float:
        """For a stage that may take its time, and leaves some to those after it."""
        return min(at_most_s, self.shutdown_time.left_s(_FREE_BY) / 2)

    async def _free(self, loaded: "Loaded") -> None:
        freed = asyncio.wrap_future(self._inference.call(loaded.close))
        with contextlib.suppress(TimeoutError):  # a hung device call: the exit of the process frees it
            await asyncio.wait_for(freed, self.shutdown_time.left_s(_FREE_BY))

    def _fail(self, error: WorkerError) -> int:
        self._story.failure(error)
        self.failure = error
        return 1


def _import_all(modules: Iterable[str]) -> None:
    for module in modules:
        import_module(module)


async def _becomes_idle(worker: "Worker", timeout_s: float) -> bool:
    deadline_s = time.monotonic() + timeout_s
    # ASYNC110: the slot is freed by another thread, so an event could not be awaited any more simply
    while not worker.is_idle and time.monotonic() < deadline_s:  # noqa: ASYNC110
        await asyncio.sleep(_POLL_S)
    return worker.is_idle


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
