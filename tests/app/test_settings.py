"""Settings: where values come from, and what is refused."""

from pathlib import Path

import pytest

from adapters_inbound.cli.arguments import parse_arguments
from adapters_inbound.cli.options import OPTIONS
from app.main import main
from app.settings import Settings, merge, validate
from app.version import VERSION
from domain.errors import InvalidConfiguration

REQUIRED = {
    "worker_id": "0b0c7a30-0000-4000-8000-000000000000",
    "model": "/models/m.gguf",
    "gpu_device": 0,
    "port": 8080,
}


def settings(environment: dict[str, str] | None = None, **given: object) -> Settings:
    values, names, missing = merge({**REQUIRED, **given}, environment or {})  # type: ignore[dict-item]  # bad on purpose
    assert not missing
    return validate(values, names)


def problem(**given: object) -> str:
    with pytest.raises(InvalidConfiguration) as raised:
        settings(**given)  # type: ignore[arg-type]  # bad on purpose
    return raised.value.message


@pytest.mark.req("M0-W-1100", "M0-W-1101")
def test_what_is_left_out_has_its_default() -> None:
    defaults = settings()

    assert ("127.0.0.1", "cuda", 2048, 300.0) == (
        defaults.host,
        defaults.backend,
        defaults.max_tokens_out,
        defaults.inference_timeout_sec,
    )
    assert (None, None, (), 1048576) == (
        defaults.callback_url,
        defaults.kv_cache_size_mb,
        defaults.fake_fault,
        defaults.load_chunk_bytes,
    )


@pytest.mark.req("SYS-11.4.1")
def test_the_command_line_wins_over_the_environment_which_wins_over_the_default() -> None:
    environment = {
        "LLORCH_WORKER_PORT": "9000",
        "LLORCH_WORKER_MAX_TOKENS_OUT": "100",
        "LLORCH_LOG_LEVEL": "WARN",
    }

    merged = settings(environment, max_tokens_out=50)

    assert (8080, 50, "WARN") == (merged.port, merged.max_tokens_out, merged.log_level)


@pytest.mark.req("SYS-11.4.1")
def test_a_file_of_options_yields_to_flags_and_variables(tmp_path: Path) -> None:
    config = tmp_path / "worker.yaml"
    config.write_text(
        "port: 9001\nmax-tokens-out: 30\nlog-level: ERROR\ninference-timeout-sec: 2.5\nbackend: fake\n"
        "fake-fault: [slow-step@1:5, out-of-memory@2]\n"
    )
    environment = {"LLORCH_CONFIG": str(config), "LLORCH_WORKER_MAX_TOKENS_OUT": "40"}

    merged = settings(environment, log_level="WARN")

    assert (8080, 40, "WARN", 2.5) == (
        merged.port,
        merged.max_tokens_out,
        merged.log_level,
        merged.inference_timeout_sec,
    )
    assert ("slow-step@1:5", "out-of-memory@2") == merged.fake_fault


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("- port", "expected a mapping"),
        ("port: [1", "expected"),
        ("port: yes", "port: 'yes' is neither text nor a number"),
        ("port:", "port: '' is neither text nor a number"),
        ("port: 1:30:00", "port: '1:30:00' is not an integer"),
        ("port: 0o10", "port: '0o10' is not an integer"),
        ("port: 9001\nhost: ::1\nport: 9002", "port: given twice"),
        ("[port]: 9001", "there is no such option"),
        ("port: http", "port: 'http' is not an integer"),
        ("backend: tpu", "backend: 'tpu' is not one of cuda, fake"),
        ("ports: 1", "ports: there is no such option"),
        ("config: other.yaml", "config: there is no such option"),
        ("port: \x00", "worker.yaml"),
    ],
)
def test_a_file_that_does_not_hold_is_named_with_what_is_wrong(
    content: str | None, words: str, tmp_path: Path
) -> None:
    config = tmp_path / "worker.yaml"
    if content is not None:
        config.write_text(content)

    message = problem(config=str(config))

    assert str(config) in message
    assert words in message


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n"])
def test_a_file_without_options_is_one_that_gives_none(content: str, tmp_path: Path) -> None:
    config = tmp_path / "worker.yaml"
    config.write_text(content)

    assert 2048 == settings(config=str(config)).max_tokens_out


def test_a_number_in_a_file_is_read_as_on_the_command_line(tmp_path: Path) -> None:
    config = tmp_path / "worker.yaml"
    config.write_text("max-tokens-out: 0100\nmodel-ref: 1:30\n")

    merged = settings(config=str(config))

    assert (100, "1:30") == (merged.max_tokens_out, merged.model_ref)


def test_a_value_that_does_not_hold_is_named_as_it_was_given(tmp_path: Path) -> None:
    config = tmp_path / "worker.yaml"
    config.write_text("max-tokens-out: 0\nkv-cache-size-mb: 0\n")
    environment = {"LLORCH_CONFIG": str(config), "LLORCH_WORKER_KV_CACHE_SIZE_MB": "-1"}

    with pytest.raises(InvalidConfiguration) as raised:
        settings(environment, port=80)

    assert {
        "--port must be 0 or 1024 to 65535, not 80",
        "LLORCH_WORKER_KV_CACHE_SIZE_MB: must be at least 1, not -1",
        f"LLORCH_CONFIG: '{config}': max-tokens-out: must be 1 to 2048, not 0",
    } == set(raised.value.message.split("; "))


def test_a_file_without_a_name_is_told_by_its_option() -> None:
    assert "--config ''" in problem(config="")


def test_a_required_option_may_come_from_the_environment_and_is_missed_otherwise() -> None:
    *_, missing = merge({}, {"LLORCH_WORKER_MODEL": "/m.gguf", "LLORCH_WORKER_GPU_DEVICE": "1"})

    assert ["worker-id", "port"] == [option.name for option in missing]


def test_a_value_of_the_wrong_type_in_the_environment_is_named() -> None:
    with pytest.raises(InvalidConfiguration) as raised:
        merge({}, {"LLORCH_WORKER_PORT": "http", "LLORCH_WORKER_BACKEND": "tpu"})

    assert "LLORCH_WORKER_PORT: 'http' is not an integer" in raised.value.message
    assert "LLORCH_WORKER_BACKEND: 'tpu' is not one of cuda, fake" in raised.value.message


@pytest.mark.req("M0-W-1100", "M0-W-1111")
@pytest.mark.parametrize(
    "url",
    [
        "http://xn--/x",
        "http://xn--a/x",
        "http://pool\x01/x",
        "http://pool/\tx",
        "http://pool manager/x",
        "http://user:p ss@pool/x",
        "http://user:p<ss@pool..x/x",
        "http://pool<manager/x",
        "http://pool..manager/x",
        "http://\u2603.net/x",
        "http://[::g]/x",
        "http://999.1.1.1/x",
        "http://pool/\ud800",
        f"http://{'x' * 64}.net/",
        f"http://pool/{'x' * 70_000}",
    ],
    ids=ascii,
)
def test_a_callback_url_that_cannot_be_called_is_refused_with_the_settings(url: str) -> None:
    message = problem(callback_url=url)

    assert message.startswith("--callback-url must ")
    assert len(message) < 200
    assert "ss@" not in message


@pytest.mark.req("M0-W-1100")
@pytest.mark.parametrize(
    "url",
    [
        "http://pool/ready",
        "HTTPS://Pool_1.example.com.:8443/ready?a=%20b#c",
        "http://user:pass%20word@127.0.0.1:9000",
        "http://[::1]:9000/ready",
        "http://b\u00fccher.example/pr\u00eat",
        "http://xn--bcher-kva.example/",
    ],
    ids=ascii,
)
def test_a_callback_url_may_be_any_that_can_be_called(url: str) -> None:
    assert url == settings(callback_url=url).callback_url


@pytest.mark.req("M0-W-1100")
@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("worker_id", "worker-7", "must be a UUID"),
        ("model", "m.gguf", "absolute"),
        ("model", "/models/m.bin", ".gguf"),
        ("gpu_device", -1, "at least 0"),
        ("port", 80, "1024 to 65535"),
        ("port", 65536, "1024 to 65535"),
        ("host", "example.com", "IP address"),
        ("host", "0.0.0.0", "LLORCH_WORKER_TOKEN"),  # noqa: S104 refused, not bound
        ("callback_url", "ftp://x/y", "http"),
        ("callback_url", "http://", "http"),
        ("max_tokens_in", 0, "at least 1"),
        ("max_tokens_out", 2049, "1 to 2048"),
        ("inference_timeout_sec", 0.0, "0.001"),
        ("inference_timeout_sec", float("nan"), "0.001"),
        ("kv_cache_size_mb", 0, "at least 1"),
        ("residency_check_sec", 0.0, "0.1"),
        ("load_chunk_bytes", 1, "4096"),
        ("shutdown_timeout_sec", 31.0, "30"),
        ("fake_vram_mb", 0, "at least 1"),
        ("load_chunk_bytes", 2**31, "4096 to 1073741824, not 2147483648"),
        ("tokenizer", "", "name a file"),
        ("fake_vram_mb", 512, "--backend fake"),
        ("model_ref", "a\nb", "printable"),
    ],
)
def test_a_value_that_does_not_hold_is_refused_with_its_option_and_why(
    field: str, value: object, words: str
) -> None:
    message = problem(**{field: value})

    assert f"--{field.replace('_', '-')}" in message
    assert words in message


def test_all_bad_values_are_reported_at_once() -> None:
    message = problem(worker_id="x", port=1, model="relative")

    assert all(flag in message for flag in ("--worker-id", "--port", "--model"))


@pytest.mark.parametrize("token", ["s3cret\n", " s3cret ", "\ts3cret\r\n"])
def test_blanks_around_a_token_are_no_part_of_it(token: str) -> None:
    assert "s3cret" == settings({"LLORCH_WORKER_TOKEN": token}).bearer_token


@pytest.mark.parametrize("token", ["", " ", "\n"])
def test_a_token_of_blanks_is_none(token: str) -> None:
    assert None is settings({"LLORCH_WORKER_TOKEN": token}).bearer_token
    with pytest.raises(InvalidConfiguration, match="LLORCH_WORKER_TOKEN"):
        settings({"LLORCH_WORKER_TOKEN": token}, host="0.0.0.0")  # noqa: S104 refused, not bound


def test_a_host_beyond_loopback_is_allowed_with_a_token() -> None:
    token_settings = settings({"LLORCH_WORKER_TOKEN": "s3cret"}, host="0.0.0.0")  # noqa: S104 not bound

    assert "s3cret" == token_settings.bearer_token


def test_every_option_has_a_flag_an_environment_variable_and_a_field() -> None:
    arguments = ["--gpu", "3", "--fake-fault", "a@1", "--fake-fault", "b@2"]

    assert {"gpu_device": 3, "fake_fault": ("a@1", "b@2")} == parse_arguments(arguments)
    assert set(Settings.__dataclass_fields__) == {option.field for option in OPTIONS} | {"bearer_token"}
    assert len(OPTIONS) == len({option.environment_variable for option in OPTIONS})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "http"],
        ["--backend", "tpu"],
        ["--unknown"],
        ["stray"],
        ["--version", "--unknown"],
        ["--version", "--verbos"],
        ["--verbose"],
    ],
)
def test_a_usage_error_leaves_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        parse_arguments(arguments)

    assert 2 == raised.value.code
    assert "usage: worker-orcd" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--version"], ["--port", "80", "--version"]])
def test_the_version_is_told_whatever_else_is_given(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == main(arguments)
    assert f"worker-orcd {VERSION}\n" == capsys.readouterr().out
