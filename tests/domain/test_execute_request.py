"""Validation of `POST /execute` fields: every row of spec §13.1, all failures at once."""

from typing import Any

import pytest

from domain.errors import FieldError, InvalidRequest
from domain.execute_request import ExecuteRequest, validate_execute_request, validate_job_id

MINIMAL: dict[str, Any] = {"job_id": "job-1", "prompt": "Write a haiku."}


def validate(**fields: object) -> ExecuteRequest:
    return validate_execute_request({**MINIMAL, **fields}, max_tokens_out=2048, vocab_size=1000)


def errors_of(**fields: object) -> list[FieldError]:
    with pytest.raises(InvalidRequest) as raised:
        validate(**fields)
    return list(raised.value.errors)


@pytest.mark.req("M0-W-1300")
def test_what_is_left_out_has_its_default() -> None:
    expected = ExecuteRequest(
        job_id="job-1",
        prompt="Write a haiku.",
        max_tokens=2048,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        min_p=0.0,
        repetition_penalty=1.0,
        stop=(),
        seed=None,
    )

    assert expected == validate()


@pytest.mark.req("M0-W-1302")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("job_id", "A" * 256),
        ("job_id", "a_Z-9"),
        ("prompt", "x"),
        ("prompt", "é" * 32_768),
        ("max_tokens", 1),
        ("max_tokens", 2048),
        ("temperature", 0),
        ("temperature", 2.0),
        ("top_p", 0.0),
        ("top_p", 1),
        ("top_k", 0),
        ("top_k", 1000),
        ("min_p", 1.0),
        ("repetition_penalty", 0.0),
        ("repetition_penalty", 2),
        ("stop", []),
        ("stop", ["a", "b", "c", "d"]),
        ("seed", 0),
        ("seed", 2**64 - 1),
    ],
)
def test_a_value_at_the_edge_of_its_range_is_taken_as_it_is(field: str, value: object) -> None:
    taken = getattr(validate(**{field: value}), field)

    assert (tuple(value) if isinstance(value, list) else value) == taken


@pytest.mark.req("M0-W-1302")
@pytest.mark.parametrize(
    ("field", "value", "constraint", "echo"),
    [
        ("job_id", None, "required", None),
        ("job_id", 7, "type(string)", None),
        ("job_id", "", "length(1..=256)", None),
        ("job_id", "a" * 257, "length(1..=256)", None),
        ("job_id", "../../x", "pattern([A-Za-z0-9_-]+)", "../../x"),
        ("job_id", "job\n", "pattern([A-Za-z0-9_-]+)", "job\n"),
        ("job_id", "јob", "pattern([A-Za-z0-9_-]+)", "јob"),  # noqa: RUF001 a Cyrillic letter on purpose
        ("prompt", None, "required", None),
        ("prompt", ["a"], "type(string)", None),
        ("prompt", "", "length(1..=32768)", None),
        ("prompt", "x" * 32_769, "length(1..=32768)", None),
        ("prompt", "a\0b", "no_nul", None),
        ("prompt", "a\ud800b", "valid_unicode", None),
        ("max_tokens", 0, "range(1..=2048)", "0"),
        ("max_tokens", 2049, "range(1..=2048)", "2049"),
        ("max_tokens", 100.0, "type(integer)", "100.0"),
        ("max_tokens", True, "type(integer)", "true"),
        ("max_tokens", "5", "type(integer)", "5"),
        ("temperature", -0.1, "range(0.0..=2.0)", "-0.1"),
        ("temperature", 2.5, "range(0.0..=2.0)", "2.5"),
        ("temperature", float("nan"), "range(0.0..=2.0)", "NaN"),
        ("temperature", float("inf"), "range(0.0..=2.0)", "Infinity"),
        ("temperature", False, "type(number)", "false"),
        ("temperature", "1", "type(number)", "1"),
        ("temperature", {"a": None, "é": [True]}, "type(number)", '{"a": null, "é": [true]}'),
        ("temperature", ["x" * 99], "type(number)", '["' + "x" * 61 + "…"),
        ("top_p", 1.01, "range(0.0..=1.0)", "1.01"),
        ("top_p", -1, "range(0.0..=1.0)", "-1"),
        ("top_k", -1, "range(0..=1000)", "-1"),
        ("top_k", 1001, "range(0..=1000)", "1001"),
        ("min_p", 1.5, "range(0.0..=1.0)", "1.5"),
        ("repetition_penalty", 2.1, "range(0.0..=2.0)", "2.1"),
        ("stop", "END", "type(string[])", None),
        ("stop", [1], "type(string[])", None),
        ("stop", ["a"] * 5, "max_count(4)", None),
        ("stop", ["a" * 32_769], "max_tokens(32)", None),
        ("stop", ["a", ""], "non_empty", None),
        ("stop", ["\ud83d"], "valid_unicode", None),
        ("seed", -1, "uint64", "-1"),
        ("seed", 2**64, "uint64", str(2**64)),
        ("seed", 1.0, "type(integer)", "1.0"),
    ],
)
def test_a_value_that_does_not_hold_is_named_with_its_constraint(
    field: str, value: object, constraint: str, echo: str | None
) -> None:
    (error,) = errors_of(**{field: value})

    assert (field, constraint, echo) == (error.field, error.constraint, error.value)
    assert error.message.startswith(f"{field} ") or error.message.startswith("a stop")


def test_a_message_states_value_and_limit() -> None:
    (error,) = errors_of(temperature=2.5)

    assert "temperature must be at most 2.0 (got 2.5)" == error.message


@pytest.mark.req("M0-W-1302")
def test_all_fields_that_do_not_hold_are_reported_at_once() -> None:
    bad = {"job_id": "", "prompt": "", "max_tokens": 0, "temperature": 3, "top_p": 2, "top_k": -1}
    worse = {"min_p": 2, "repetition_penalty": 3, "stop": [""], "seed": -1}

    fields = [error.field for error in errors_of(**bad, **worse)]

    assert [*bad, *worse] == sorted(fields, key=[*bad, *worse].index)
    assert len(fields) == len({*bad, *worse})


def test_null_is_absence_and_unknown_fields_are_ignored() -> None:
    request = validate(temperature=None, stop=None, seed=None, logit_bias={"1": 2}, n=3)

    assert validate() == request


def test_the_workers_own_limit_on_the_answer_replaces_the_general_one() -> None:
    with pytest.raises(InvalidRequest) as raised:
        validate_execute_request({**MINIMAL, "max_tokens": 65}, max_tokens_out=64, vocab_size=10)

    assert "range(1..=64)" == raised.value.errors[0].constraint


def test_an_integer_of_hundreds_of_digits_is_refused_without_being_printed() -> None:
    (error,) = errors_of(max_tokens=10**400)

    assert "an integer of many digits" == error.value


def test_a_value_nested_too_deeply_to_be_printed_is_refused_all_the_same() -> None:
    value: object = 1
    for _ in range(100_000):
        value = [value]
    (error,) = errors_of(max_tokens=value)

    assert "a deeply nested value" == error.value


def test_a_prompt_or_stop_is_never_echoed() -> None:
    errors = errors_of(prompt="secret\0", stop=["secret"] * 9)

    assert not [error for error in errors if error.value is not None or "secret" in error.message]


@pytest.mark.req("M0-W-1330")
def test_a_cancel_request_needs_a_valid_job_id() -> None:
    assert "job-1" == validate_job_id({"job_id": "job-1", "other": 1})
    for body in ({}, {"job_id": 1}, {"job_id": "a b"}):
        with pytest.raises(InvalidRequest):
            validate_job_id(body)
