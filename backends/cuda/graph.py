"""A sequence of launches and copies as one: replaying it costs the host as much as one launch."""

from collections.abc import Callable
from typing import Any

from backends.cuda.bindings import driver
from backends.cuda.errors import check, check_release
from backends.cuda.stream import Stream


class Graph:
    """What `capture` recorded. Arguments and addresses are those of the time of capture."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    @classmethod
    def capture(cls, stream: Stream, enqueue: Callable[[], None]) -> "Graph":
        """Record what `enqueue` puts into `stream` instead of running it.

        It may enqueue kernels, copies and sets; it may not allocate, wait or load. If it raises, nothing is
        kept and the stream is as before.
        """
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        check(driver.cuStreamBeginCapture(stream.handle, mode), "cuStreamBeginCapture")
        try:
            enqueue()
        except BaseException:
            _, template = driver.cuStreamEndCapture(stream.handle)
            if template is not None and int(template):
                driver.cuGraphDestroy(template)
            raise
        template = check(driver.cuStreamEndCapture(stream.handle), "cuStreamEndCapture")
        try:
            graph = cls(check(driver.cuGraphInstantiate(template, 0), "cuGraphInstantiate"))
        finally:
            check_release(driver.cuGraphDestroy(template), "cuGraphDestroy")
        check(driver.cuGraphUpload(graph._handle, stream.handle), "cuGraphUpload")
        return graph

    def launch(self, stream: Stream) -> None:
        """Enqueue all of it.

        Raises:
            DeviceLost: a kernel before this failed.
        """
        result = driver.cuGraphLaunch(self._handle, stream.handle)
        if result[0]:
            check(result, "cuGraphLaunch")

    def close(self) -> None:
        check_release(driver.cuGraphExecDestroy(self._handle), "cuGraphExecDestroy")
