"""The same records, as the files of a bundle show them."""

from tests.proof_bundle.records import BundleRecords, Record, Stream, timestamp


def span_s(bundle: BundleRecords) -> tuple[float, float]:
    """When it began and ended, in seconds since 1970."""
    tests = bundle.tests.values()
    streams = [(stream.asked_at_s, stream.events[-1]["at_s"]) for stream in bundle.streams if stream.events]
    spans = [*((test.started_at_s, test.ended_at_s) for test in tests), *streams]
    return min(start for start, _ in spans), max(end for _, end in spans)


def request_seeds(bundle: BundleRecords) -> list[Record]:
    """The seed of every request, given or drawn, as the worker reported it."""
    return [
        {"test": stream.test, "seed": stream.started["seed"], "source": "request", **_identity(stream)}
        for stream in bundle.streams
        if stream.started
    ]


def _identity(stream: Stream) -> Record:
    return {"job_id": stream.request.get("job_id"), "temperature": stream.request.get("temperature")}


def transcript(bundle: BundleRecords) -> list[Record]:
    """Every event of every stream, in order of time."""
    events = [(event, stream) for stream in bundle.streams for event in stream.events]
    return [
        {
            "event": event["event"],
            "data": event["data"],
            "ts": timestamp(event["at_s"]),
            "job_id": stream.request.get("job_id"),
        }
        for event, stream in sorted(events, key=lambda pair: float(pair[0]["at_s"]))
    ]


def timings(bundle: BundleRecords) -> Record:
    """How long the tests and requests took."""
    started_at_s, ended_at_s = span_s(bundle)
    return {
        "start_time": timestamp(started_at_s),
        "end_time": timestamp(ended_at_s),
        "tests": [{"test": test.test, "phase_ms": test.phase_ms} for test in bundle.tests.values()],
        "requests": request_times(bundle),
    }


def request_times(bundle: BundleRecords) -> list[Record]:
    """One record for each request that was answered with a stream."""
    return [
        {
            "job_id": stream.request.get("job_id"),
            "seed": stream.started.get("seed"),
            "first_event_ms": stream.elapsed_ms(stream.events[0]),
            "last_event_ms": stream.elapsed_ms(stream.events[-1]),
            "num_events": len(stream.events),
        }
        for stream in bundle.streams
        if stream.events
    ]


def stream_records(bundle: BundleRecords) -> list[Record]:
    """One record for each request, with the times of its events in milliseconds since it was made."""
    return [
        {
            "test": stream.test,
            "request": dict(stream.request),
            "events": [
                {"event": event["event"], "data": event["data"], "at_ms": stream.elapsed_ms(event)}
                for event in stream.events
            ],
        }
        for stream in bundle.streams
    ]
