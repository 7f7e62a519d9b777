"""Options from a YAML file: a mapping of option names to values."""

from collections.abc import Mapping
from pathlib import Path

from adapters_inbound.cli.arguments import convert_text
from adapters_inbound.cli.options import OPTIONS, Option, OptionValue

_OPTIONS = {option.name: option for option in OPTIONS if option.name != "config"}


def read_config_file(path: str) -> tuple[dict[str, OptionValue], list[str]]:
    """(values by their name in Settings, a message for each thing that is wrong)."""
    import yaml  # noqa: PLC0415 takes 20 ms, and most starts have no such file

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        return {}, [f"--config {path}: {' '.join(str(error).split())}"]
    if not isinstance(content, Mapping):
        return {}, [f"--config {path}: expected a mapping of option names to values"]
    values: dict[str, OptionValue] = {}
    problems: list[str] = []
    for name, value in content.items():
        option = _OPTIONS.get(name)
        if option is None:
            problems.append(f"--config {path}: there is no option {name!r}")
            continue
        try:
            values[option.field] = _convert(option, value)
        except ValueError as error:
            problems.append(f"--config {path}: {name}: {error}")
    return values, problems


def _convert(option: Option, value: object) -> OptionValue:
    if option.repeatable and isinstance(value, list):
        return tuple(str(item) for item in value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is neither text nor a number")
    return convert_text(option, str(value))
