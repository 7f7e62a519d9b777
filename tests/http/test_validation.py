"""Every row of the validation table of spec §13, seen through the wire."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.worker import Limits
from tests.http.client import Connection, Reply
from tests.http.service import Service

LONE_SURROGATE = "\ud800"


@pytest.fixture
async def client() -> AsyncIterator[Connection]:
    async with Service() as service, await service.connect() as connection:
        yield connection


async def refused(client: Connection, body: dict[str, Any] | bytes) -> Reply:
    reply = await client.call("POST", "/execute", body)
    assert (400, "INVALID_REQUEST", False) == (reply.status, reply.error["code"], reply.error["retriable"])
    return reply


async def accepted(client: Connection, **fields: Any) -> None:
    assert (await client.execute(**fields)).status == 200
    await client.all_events()


@pytest.mark.req("M0-W-1302")
@pytest.mark.parametrize(
    ("field", "value", "constraint"),
    [
        ("job_id", None, "required"),
        ("job_id", 5, "type(string)"),
        ("job_id", "", "length(1..=256)"),
        ("job_id", "x" * 257, "length(1..=256)"),
        ("prompt", None, "required"),
        ("prompt", ["hi"], "type(string)"),
        ("prompt", "", "length(1..=32768)"),
        ("prompt", "x" * 32_769, "length(1..=32768)"),
        ("prompt", "a\0b", "no_nul"),
        ("max_tokens", 0, "range(1..=2048)"),
        ("max_tokens", 2049, "range(1..=2048)"),
        ("max_tokens", -1, "range(1..=2048)"),
        ("max_tokens", "5", "type(integer)"),
        ("max_tokens", 5.0, "type(integer)"),
        ("max_tokens", True, "type(integer)"),
        ("temperature", 2.01, "range(0.0..=2.0)"),
        ("temperature", -0.1, "range(0.0..=2.0)"),
        ("temperature", "1", "type(number)"),
        ("temperature", True, "type(number)"),
        ("repetition_penalty", 2.5, "range(0.0..=2.0)"),
        ("top_p", 1.01, "range(0.0..=1.0)"),
        ("min_p", -0.5, "range(0.0..=1.0)"),
        ("top_k", -1, "range(0..=300)"),
        ("top_k", 301, "range(0..=300)"),
        ("top_k", False, "type(integer)"),
        ("stop", "x", "type(string[])"),
        ("stop", [1], "type(string[])"),
        ("stop", ["a"] * 5, "max_count(4)"),
        ("stop", ["a", ""], "non_empty"),
        ("seed", -1, "uint64"),
        ("seed", 2**64, "uint64"),
        ("seed", int("9" * 400), "uint64"),
        ("seed", 1.0, "type(integer)"),
        ("seed", "1", "type(integer)"),
    ],
)
async def test_a_field_that_does_not_hold_is_named_with_its_constraint(
    client: Connection, field: str, value: Any, constraint: str
) -> None:
    reply = await refused(client, {"job_id": "j", "prompt": "hi", field: value})

    (error,) = reply.error["details"]["errors"]
    assert (field, constraint) == (error["field"], error["constraint"])
    assert error["message"].startswith(field)
    assert {"field", "constraint", "message"} <= set(error) <= {"field", "constraint", "message", "value"}


@pytest.mark.req("M0-W-1302")
async def test_all_failures_are_reported_at_once(client: Connection) -> None:
    body = {"prompt": "", "max_tokens": 0, "temperature": 9, "top_p": 9, "top_k": -1, "min_p": 9,
            "repetition_penalty": 9, "stop": [""], "seed": -1}  # fmt: skip
    reply = await refused(client, body)

    assert {"job_id", *body} == {error["field"] for error in reply.error["details"]["errors"]}
    assert "10 fields are invalid" == reply.error["message"]


@pytest.mark.req("M0-W-1302")
async def test_values_are_echoed_but_never_those_of_prompt_and_stop(client: Connection) -> None:
    private = "my diary"
    body = {"job_id": "j", "prompt": private * 5000, "stop": [private] * 5, "temperature": 2.5}
    reply = await refused(client, body)

    values = {error["field"]: error.get("value") for error in reply.error["details"]["errors"]}
    assert {"prompt": None, "stop": None, "temperature": "2.5"} == values
    assert private not in reply.body.decode()


async def test_a_number_beyond_all_floats_is_one_bad_field_of_several(client: Connection) -> None:
    reply = await refused(
        client, b'{"job_id":"j","prompt":"hi","temperature":1e400,"top_p":-1e400,"top_k":-1}'
    )

    fields = {error["field"] for error in reply.error["details"]["errors"]}
    assert {"temperature", "top_p", "top_k"} == fields


async def test_a_number_beyond_all_floats_in_an_unknown_field_is_ignored(client: Connection) -> None:
    client.request("POST", "/execute", b'{"job_id":"j","prompt":"hi","unknown":1e400}')

    assert 200 == (await client.head())[0]


async def test_a_value_is_echoed_as_it_was_sent_in_json(client: Connection) -> None:
    reply = await refused(client, {"job_id": "j", "prompt": "hi", "seed": {"a": None, "b": [True, "é"]}})

    assert '{"a": null, "b": [true, "é"]}' == reply.error["details"]["errors"][0]["value"]


@pytest.mark.parametrize(
    "job_id",
    [
        "../../x",
        "%2e%2e",
        "a b",
        "a\nb",
        "\x1b[2J",
        "{{7*7}}",
        "%s",
        "' OR 1=1 --",
        "j\u043eb",
        "a\0",
        "\uff4a",
        "a/b",
    ],
)
async def test_an_odd_job_id_is_refused(client: Connection, job_id: str) -> None:
    reply = await refused(client, {"job_id": job_id, "prompt": "hi"})

    assert "pattern([A-Za-z0-9_-]+)" == reply.error["details"]["errors"][0]["constraint"]


@pytest.mark.parametrize("job_id", ["a", "A-1_b", "-", "_", "0" * 256])
async def test_a_plain_job_id_is_taken(client: Connection, job_id: str) -> None:
    await accepted(client, job_id=job_id, max_tokens=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0}, {"temperature": 2}, {"temperature": 2.0}, {"top_p": 0.0}, {"top_p": 1},
        {"top_k": 0}, {"top_k": 300}, {"min_p": 1.0}, {"repetition_penalty": 0}, {"stop": []},
        {"stop": ["zz"] * 4}, {"seed": 0}, {"prompt": "x" * 32_768}, {"unknown": {"deep": [1]}},
        {"temperature": None, "top_p": None, "top_k": None, "min_p": None, "stop": None, "seed": None},
    ],
)  # fmt: skip
async def test_limits_themselves_nulls_and_unknown_fields_are_taken(
    client: Connection, fields: dict[str, Any]
) -> None:
    await accepted(client, max_tokens=1, **fields)


@pytest.mark.parametrize("seed", [2**53 + 1, 2**63, 2**64 - 1])
async def test_a_large_seed_survives_exactly(client: Connection, seed: int) -> None:
    await client.execute(seed=seed, max_tokens=1)
    started, *_, end = await client.all_events()

    assert [seed, seed] == [started.data["seed"], end.data["seed"]]


async def test_the_last_of_duplicate_keys_wins(client: Connection) -> None:
    client.request("POST", "/execute", b'{"job_id":"a","prompt":"hi","seed":1,"max_tokens":1,"seed":2}')
    await client.head()

    assert 2 == (await client.all_events())[0].data["seed"]


@pytest.mark.req("M0-W-1302")
async def test_too_many_tokens_are_a_second_stage_that_gives_the_slot_back() -> None:
    limits = Limits(max_model_len=20, max_tokens_in=40, max_tokens_out=2048, vocab_size=300)
    async with Service(limits=limits) as service, await service.connect() as client:
        reply = await refused(client, {"job_id": "j", "prompt": "x" * 20, "stop": ["y" * 33]})

        constraints = [error["constraint"] for error in reply.error["details"]["errors"]]
        assert ["max_tokens_in(19)", "max_tokens(32)"] == constraints
        assert service.worker.is_idle
        assert [] == service.narrator.named("client_disconnect")
        await accepted(client, job_id="j", prompt="x" * 19)


async def test_the_operators_output_limit_is_the_range_of_max_tokens() -> None:
    limits = Limits(max_model_len=100, max_tokens_in=100, max_tokens_out=10, vocab_size=300)
    async with Service(limits=limits) as service, await service.connect() as client:
        reply = await refused(client, {"job_id": "j", "prompt": "x", "max_tokens": 11})

    assert "range(1..=10)" == reply.error["details"]["errors"][0]["constraint"]


@pytest.mark.parametrize("field", ["prompt", "stop"])
async def test_a_lone_surrogate_is_refused(client: Connection, field: str) -> None:
    value = json.dumps(f"a{LONE_SURROGATE}b")
    value = f"[{value}]" if field == "stop" else value

    await refused(client, f'{{"job_id": "j", "prompt": "hi", "{field}": {value}}}'.encode())
