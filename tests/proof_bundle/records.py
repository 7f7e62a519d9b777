"""What the tests of one bundle hand over, kept in memory until the run is over."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Record = dict[str, Any]


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Stream:
    """The events of one request, with their times."""

    test: str
    request: Mapping[str, Any]
    asked_at_s: float = field(default_factory=time.time)
    events: list[Record] = field(default_factory=list)

    def event(self, name: str, data: Mapping[str, Any]) -> None:
        """Take one event, now."""
        self.events.append({"event": name, "data": data, "at_s": time.time()})

    @property
    def started(self) -> Mapping[str, Any]:
        """What the `started` event said: the seed, the correlation id; empty before it has come."""
        data: Mapping[str, Any] = self.events[0]["data"] if self.events else {}
        return data

    def elapsed_ms(self, event: Mapping[str, Any]) -> float:
        """From the request to one of the events."""
        at_s: float = event["at_s"]
        return round(1000 * (at_s - self.asked_at_s), 3)


@dataclass(slots=True)
class TestRecord:
    """How one test went."""

    __test__ = False  # no test itself, though its name begins like one

    test: str
    outcome: str = "passed"
    reason: str = ""  # of a skip or a failure
    phase_ms: dict[str, float] = field(default_factory=dict)
    started_at_s: float = 0.0
    ended_at_s: float = 0.0


@dataclass(slots=True)
class BundleRecords:
    """Everything of one bundle that is not known before the run."""

    bundle_type: str
    tests: dict[str, TestRecord] = field(default_factory=dict)
    seeds: list[Record] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    workers: list[Record] = field(default_factory=list)
    extras: dict[str, list[Record]] = field(default_factory=dict)  # by file name


class ProofRecorder:
    """Takes records from whichever test is running, for the bundle that the test belongs to."""

    def __init__(self) -> None:
        self.bundles: dict[str, BundleRecords] = {}
        self._bundle_type = ""
        self._test = ""

    def enter(self, test: str, bundle_type: str) -> None:
        """From now on, what is recorded is of this test."""
        self._test, self._bundle_type = test, bundle_type

    @property
    def bundle(self) -> BundleRecords:
        """The bundle of the test that is running."""
        return self.bundles.setdefault(self._bundle_type, BundleRecords(self._bundle_type))

    def seed(self, seed: object, *, source: str) -> None:
        """Note that the running test draws from `seed`."""
        self.bundle.seeds.append({"test": self._test, "seed": seed, "source": source})

    def stream(self, request: Mapping[str, Any]) -> Stream:
        """Open the record of one request, made now."""
        stream = Stream(self._test, request)
        self.bundle.streams.append(stream)
        return stream

    def worker(self, flags: list[str]) -> Record:
        """Open the record of one worker process; its facts are added as it tells them."""
        record: Record = {"flags": flags}
        self.bundle.workers.append(record)
        return record

    def add(self, file_name: str, **fields: object) -> None:
        """Add to a file of the bundle: a record of .ndjson, a row of .md or .csv, fields of .json."""
        self.bundle.extras.setdefault(file_name, []).append(fields)
