"""The worker's settings: merged from command line, environment and defaults, then validated once."""

import ipaddress
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from adapters_inbound.cli.arguments import convert_environment
from adapters_inbound.cli.config_file import read_config_file
from adapters_inbound.cli.options import OPTIONS, Option, OptionValue
from backends.fake.faults import Fault, parse_fault
from domain.errors import InvalidConfiguration

MAX_TOKENS_OUT = 2048
MAX_SHUTDOWN_TIMEOUT_S = 30
MAX_URL_CHARS = 8192  # what servers commonly take of a request line


@dataclass(frozen=True, slots=True)
class Settings:
    """Valid settings; one field an option, None where an option has no default and was not given."""

    worker_id: str
    model: str
    gpu_device: int
    port: int
    host: str
    backend: Literal["cuda", "fake"]
    callback_url: str | None
    model_ref: str | None
    tokenizer: str | None
    max_tokens_in: int | None
    max_tokens_out: int
    inference_timeout_sec: float
    kv_cache_size_mb: int | None
    residency_check_sec: float
    load_chunk_bytes: int
    shutdown_timeout_sec: float
    log_level: str
    log_format: str
    config: str | None
    fake_vram_mb: int
    fake_fault: tuple[str, ...]
    bearer_token: str | None

    @property
    def fake_vram_bytes(self) -> int:
        return self.fake_vram_mb * 2**20

    @property
    def fake_faults(self) -> tuple[Fault, ...]:
        return tuple(map(parse_fault, self.fake_fault))


def merge(
    command_line: Mapping[str, OptionValue], environment: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str], list[Option]]:
    """Merge all sources: command line over environment over configuration file over defaults (SYS-11.4.1).

    Returns:
        The values by field, how a message calls each that a source gives, and the required options that none
        gives.

    Raises:
        InvalidConfiguration: the file cannot be read, or a value from file or environment is not of its type.
    """
    from_environment, problems = convert_environment(environment)
    from_file: dict[str, OptionValue] = {}
    file = ""
    config = command_line.get("config", from_environment.get("config"))
    if config is not None:
        file = f"{'--config' if 'config' in command_line else 'LLORCH_CONFIG:'} {config!r}"
        from_file, file_problems = read_config_file(str(config))
        problems += [f"{file}: {problem}" for problem in file_problems]
    if problems:
        raise InvalidConfiguration("; ".join(problems))
    names = {option.field: f"{file}: {option.name}:" for option in OPTIONS if option.field in from_file}
    names |= {
        option.field: f"{option.environment_variable}:"
        for option in OPTIONS
        if option.field in from_environment
    }
    names |= {option.field: f"--{option.name}" for option in OPTIONS if option.field in command_line}
    values: dict[str, Any] = {option.field: option.default for option in OPTIONS}
    values |= from_file
    values |= from_environment
    values |= command_line
    # A secret from a file ends with the file's last line end.
    values["bearer_token"] = environment.get("LLORCH_WORKER_TOKEN", "").strip() or None
    missing = [option for option in OPTIONS if option.required and values[option.field] is None]
    return values, names, missing


def validate(values: Mapping[str, Any], names: Mapping[str, str]) -> Settings:
    """Check every value that is given, which are those in `names`; see `merge`.

    Raises:
        InvalidConfiguration: one message for every value that does not hold.
    """
    problems = [
        f"{names[field]} {problem}"
        for field, check in _CHECKS.items()
        if field in names and (problem := check(values[field]))
    ]
    if not problems and not _is_loopback(values["host"]) and values["bearer_token"] is None:
        problems.append(f"{names['host']} beyond loopback needs a bearer token: set LLORCH_WORKER_TOKEN")
    if values["backend"] != "fake":
        stray = [field for field in ("fake_vram_mb", "fake_fault") if field in names and values[field]]
        problems += [f"{names[field]} needs --backend fake" for field in stray]
    if problems:
        raise InvalidConfiguration("; ".join(problems))
    return Settings(**values)


def _is_uuid(text: str) -> str | None:
    try:
        uuid.UUID(text)
    except ValueError:
        return f"must be a UUID, not {text!r}"
    return None


def _is_model_path(path: str) -> str | None:
    if "\0" in path or not os.path.isabs(path):
        return f"must be an absolute path, not {path!r}"
    if not path.endswith(".gguf"):
        return f"must name a .gguf file, not {path!r}"
    return None


def _is_port(port: int) -> str | None:
    return None if port == 0 or 1024 <= port <= 65535 else f"must be 0 or 1024 to 65535, not {port}"


def _is_callback_url(url: str) -> str | None:
    from adapters_outbound.ready_callback import can_be_called  # noqa: PLC0415 httpx comes with it

    if len(url) > MAX_URL_CHARS:
        return f"must have at most {MAX_URL_CHARS} characters, not {len(url)}"
    if not url.isprintable() or set(url) & set(' "<>'):  # not shown: a password with one is not redacted
        return "must have no blank, no quotation mark, no angle bracket and no invisible character"
    try:
        parts = urlsplit(url)
        valid = (
            parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and can_be_called(url)
        )
    except ValueError:
        valid = False
    return None if valid else f"must be an http or https URL with a host that can be called, not {url!r}"


def _is_address(host: str) -> str | None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None if host == "localhost" else f"must be an IP address or localhost, not {host!r}"
    return None


def _is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def _between(minimum: float, maximum: float) -> Callable[[float], str | None]:
    def check(value: float) -> str | None:
        return None if minimum <= value <= maximum else f"must be {minimum} to {maximum}, not {value}"

    return check


def _at_least(minimum: int) -> Callable[[int], str | None]:
    return lambda value: None if value >= minimum else f"must be at least {minimum}, not {value}"


def _are_faults(texts: tuple[str, ...]) -> str | None:
    for text in texts:
        try:
            parse_fault(text)
        except ValueError as error:
            return str(error)
    return None


def _is_file_name(path: str) -> str | None:
    return None if path and "\0" not in path else f"must name a file, not {path!r}"


def _is_safe_reference(text: str) -> str | None:
    return None if text and text.isprintable() else "must be printable text"


_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "worker_id": _is_uuid,
    "model": _is_model_path,
    "gpu_device": _at_least(0),
    "port": _is_port,
    "host": _is_address,
    "callback_url": _is_callback_url,
    "model_ref": _is_safe_reference,
    "tokenizer": _is_file_name,
    "max_tokens_in": _at_least(1),
    "max_tokens_out": _between(1, MAX_TOKENS_OUT),
    "inference_timeout_sec": _between(0.001, 86_400),
    "kv_cache_size_mb": _at_least(1),
    "residency_check_sec": _between(0.1, 86_400),
    "load_chunk_bytes": _between(4096, 1 << 30),
    "shutdown_timeout_sec": _between(0.1, MAX_SHUTDOWN_TIMEOUT_S),
    "fake_vram_mb": _at_least(1),
    "fake_fault": _are_faults,
}
