"""The worker's options: one table for the command line, the environment and the documentation."""

from collections.abc import Callable
from dataclasses import dataclass

OptionValue = str | int | float | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `convert` turns its text into a value and raises ValueError where that is impossible."""

    name: str
    convert: Callable[[str], OptionValue]
    help: str
    metavar: str
    default: OptionValue | None = None
    required: bool = False
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    repeatable: bool = False

    @property
    def field(self) -> str:
        """Its name in Settings."""
        return self.name.replace("-", "_")

    @property
    def environment_variable(self) -> str:
        if self.name in {"log-format", "log-level", "config"}:
            return f"LLORCH_{self.field.upper()}"
        return f"LLORCH_WORKER_{self.field.upper()}"


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an integer") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


OPTIONS: tuple[Option, ...] = (
    Option("worker-id", str, "who this worker is", "UUID", required=True),
    Option("model", str, "absolute path of the .gguf file to serve", "PATH", required=True),
    Option("gpu-device", _integer, "index of the device", "N", required=True, aliases=("gpu",)),
    Option("port", _integer, "port to serve on: 1024 to 65535, or 0 for a free one", "PORT", required=True),
    Option(
        "host", str, "address to bind; beyond loopback only with LLORCH_WORKER_TOKEN", "ADDR", "127.0.0.1"
    ),
    Option("backend", str, "what computes", "NAME", "cuda", choices=("cuda", "fake")),
    Option("callback-url", str, "told by POST once the worker is ready; absent: standalone", "URL"),
    Option("model-ref", str, "name of the model in log and callback (default: file:PATH)", "REF"),
    Option(
        "tokenizer", str, "a tokenizer.json (default: one beside a gpt-oss model, else the embedded)", "PATH"
    ),
    Option("max-tokens-in", _integer, "longest prompt in tokens (default: the context length)", "N"),
    Option("max-tokens-out", _integer, "longest answer in tokens, at most 2048", "N", 2048),
    Option("inference-timeout-sec", _number, "longest run of one job", "S", 300.0),
    Option("kv-cache-size-mb", _integer, "KV cache in MiB (default: what remains, up to one context)", "MIB"),
    Option("residency-check-sec", _number, "how often to verify that all memory is on the device", "S", 60.0),
    Option("load-chunk-bytes", _integer, "bytes copied to the device at a time", "BYTES", 1048576),
    Option("shutdown-timeout-sec", _number, "from signal to exit, at most 30", "S", 5.0),
    Option(
        "log-level",
        str,
        "least level to narrate",
        "LEVEL",
        "INFO",
        choices=("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "MUTE"),
    ),
    Option(
        "log-format",
        str,
        "json: lines on standard output; pretty: for people, on standard error",
        "FORMAT",
        "json",
        choices=("json", "pretty"),
    ),
    Option("config", str, "YAML file of options by their names; flags and variables win over it", "FILE"),
    Option("fake-vram-mb", _integer, "pretended device memory of --backend fake, in MiB", "N", 4096),
    Option(
        "fake-fault",
        str,
        "inject a fault into --backend fake; may be repeated (see the README)",
        "NAME@N[:ARG]",
        default=(),
        repeatable=True,
    ),
)
