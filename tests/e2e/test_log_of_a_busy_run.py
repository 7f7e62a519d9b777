"""The whole log of a busy run: what happened is in it, and not one piece of what was said."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.busy_run import TOKEN, BusyRun

WINDOW_CHARS = 10  # blanks not counted; shorter pieces of an answer could be words of the log itself
FAULTS = ("launch-failure@0", "out-of-memory@1", "slow-step@2:2500", "slow-step@*:4")
SECRETS = (
    "my password is hunter2-and-more, the key sk-proj-4f8B1cD2eF3aG4hI5jK6",
    "Authorization: Bearer mF_9.B5f-4.1JqM-and-so-on",
    "-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA5d7fhGmCq0fZbq1Qvw\n-----END PRIVATE KEY-----",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5",
    'a line\n{"forged": "by a caller"}\r\n\x1b[2J\u202e\u200bhidden words',
    "d\u00e9j\u00e0 vu encore, \u4f60\u597d\u4e16\u754c\u4eca\u5929\u5929\u6c14\u4e0d\u9519\u554a",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> BusyRun:
    with BusyRun(tmp_path_factory.mktemp("busy"), FAULTS) as run:
        for topic in ("rain over mountains", "silent graphics cards", "the last train home"):
            run.execute(f"Write a haiku about {topic}.")  # they meet the faults
        for topic in ("an old pond", "first snowfall", "distant thunder", "empty harbours"):
            run.execute(f"Write a haiku about {topic}.", temperature=0.7)
        for number, secret in enumerate(SECRETS):
            run.execute(f"{secret} {number}")
            run.execute("Write a haiku about tea.", stop=[f"{secret[:25]} {number}"])
        answer = run.execute("Write a haiku about autumn leaves.")
        run.execute("Write a haiku about autumn leaves.", stop=[answer[5:30], "a stop that is not found"])
        run.interrupt("Write a haiku about a cancelled journey.", cancel=True)
        run.interrupt("Write a haiku about a broken telephone line.", cancel=False)
        run.execute(
            "an unlikely prompt", stop=["", "an unlikely stop entry"], temperature=9, top_k="plenty of them"
        )
        run.execute("an overlong prompt of very many words " * 1000)
        run.execute("an overlong prompt of many words " * 200)
        run.execute("a stop that is overlong", stop=["and more and more " * 20])
        statuses = [
            run.post("/execute", '{"prompt": "a body that is never closed'),
            run.post(
                "/execute", '{"prompt": "a body that is a list"}', content_type="text/plain of some kind"
            ),
            run.post("/cancel", '{"a name": "that no such body has: secret=of-a-job"}'),
            run.post("/no/such/place?token=of-the-query-string", "{}", x_correlation_id="no/such/id/of/ours"),
            run.post("/execute", "{}", authorization="Bearer what-an-intruder-tried"),
            run.post(
                "/execute", "{}", traceparent="neither-a-trace-nor-a-parent", x_deadline="some time in may"
            ),
        ]

        assert [400, 415, 400, 404, 401, 400] == statuses
    return run  # the worker has ended, so that all its lines are written


def pieces(text: str) -> set[str]:
    """Every window of `text`, without its blanks; a log line may have lost line ends."""
    solid = "".join(text.split())
    return {solid[start : start + WINDOW_CHARS] for start in range(len(solid) - WINDOW_CHARS + 1)}


def texts_in(value: Any) -> Iterator[str]:
    """All text of a log line as it was before JSON escaped it."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from texts_in(each)
    else:
        yield str(value)


@pytest.mark.req("M0-W-1902", "M0-W-1900")
def test_it_was_busy_in_every_way_and_each_job_is_in_the_log(run: BusyRun) -> None:
    ends = [line for line in run.lines if line["event"] == "execute_end"]

    assert {"success", "error", "cancelled", "timeout"} == {line["outcome"] for line in ends}
    assert {"CUDA_ERROR", "VRAM_OOM", "INFERENCE_TIMEOUT", "CANCELLED"} <= {
        line.get("error_kind") for line in ends
    }
    assert {"EOS", "MAX_TOKENS", "STOP_SEQUENCE"} <= {line.get("stop_reason") for line in ends}
    assert {"cancel", "client_disconnect", "deadline_ignored"} <= {line["event"] for line in run.lines}


@pytest.mark.req("M0-W-1902", "NARR-3001", "NARR-3002", "NARR-3003", "NARR-3004")
def test_no_piece_of_a_prompt_an_answer_a_stop_or_a_token_is_in_the_log(run: BusyRun) -> None:
    log = "".join("".join(text.split()) for line in run.lines for text in texts_in(line)) + "".join(
        run.log.split()
    )

    found = {piece for text in (*run.said, TOKEN) for piece in pieces(text) if piece in log}

    assert set() == found
    assert len(run.said) > 40


@pytest.mark.req("M0-W-1901")
def test_the_figures_of_load_and_jobs_are_in_their_lines(run: BusyRun) -> None:
    (loaded,) = [line for line in run.lines if line["event"] == "model_load_complete"]
    ends = [line for line in run.lines if line["event"] == "execute_end"]

    assert loaded["vram_bytes"] > 0
    for line in ends:
        assert {"tokens_in", "tokens_out", "decode_time_ms"} <= line.keys()
        assert (line["tokens_out"] > 0) <= ("first_token_ms" in line)


@pytest.mark.req("NARR-1006", "NARR-1007", "NARR-4002", "SYS-10.2.1", "SYS-10.2.2")
def test_every_line_is_told_as_the_contract_has_it(run: BusyRun) -> None:
    for line in run.lines:
        first_word, *_ = line["human"].split()

        assert 0 < len(line["human"]) <= 100
        assert line["human"].isprintable()
        if line["event"] in {"startup", "model_load_start", "ready", "execute_start", "client_disconnect"}:
            assert first_word.endswith("ing"), "present tense while running"
        if line["event"] in {"model_load_progress", "model_load_complete", "execute_end"}:
            assert first_word.endswith("ed"), "past when done"
        if line["event"] in {"execute_start", "execute_end", "model_load_complete", "model_load_progress"}:
            assert any(char.isdigit() for char in line["human"]), "specific numbers"
        assert line["component"] == line["actor"] == "worker-orcd"
        assert line["level"] in {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}
        assert {"timestamp", "event", "action", "target", "emitted_by", "emitted_at_ms"} <= line.keys()
        assert not {"cute", "story"} & line.keys()
        if "job_id" in line or line["event"] in {"cancel", "deadline_ignored"}:
            assert line["correlation_id"]
