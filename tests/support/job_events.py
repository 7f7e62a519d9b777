"""Reading what a job has published."""

from ports.job_events import JobEnded, JobFailed, TokenText
from tests.support.doubles import RecordingSink


def text_of(sink: RecordingSink) -> str:
    return "".join(event.text for event in sink.events if isinstance(event, TokenText))


def ended(sink: RecordingSink) -> JobEnded:
    (terminal,) = sink.terminals()
    assert isinstance(terminal, JobEnded)
    return terminal


def failure_code(sink: RecordingSink) -> str:
    (terminal,) = sink.terminals()
    assert isinstance(terminal, JobFailed)
    return terminal.code
