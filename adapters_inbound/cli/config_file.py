"""Options from a YAML file: a mapping of option names to values."""

from pathlib import Path
from typing import Any

from adapters_inbound.cli.arguments import convert_text
from adapters_inbound.cli.options import OPTIONS, Option, OptionValue

_OPTIONS = {option.name: option for option in OPTIONS if option.name != "config"}
_NULL = "tag:yaml.org,2002:null"
_NO_VALUES = {_NULL, "tag:yaml.org,2002:bool"}


def read_config_file(path: str) -> tuple[dict[str, OptionValue], list[str]]:
    """(values by their name in Settings, a message for each thing that is wrong).

    A value is read from its text, as on the command line: 010 is ten, and 1:30 is no number.
    """
    import yaml  # noqa: PLC0415 takes 20 ms, and most starts have no such file

    try:
        root = yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        return {}, [" ".join(str(error).split())]
    if root is None or root.tag == _NULL:  # nothing but comments
        return {}, []
    if not isinstance(root, yaml.MappingNode):
        return {}, ["expected a mapping of option names to values"]
    values: dict[str, OptionValue] = {}
    problems: list[str] = []
    for name_node, value_node in root.value:
        name = str(name_node.value)
        option = _OPTIONS.get(name)
        try:
            if option is None:
                raise ValueError("there is no such option")
            if option.field in values:
                raise ValueError("given twice")
            values[option.field] = _convert(option, value_node)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    return values, problems


def _convert(option: Option, node: Any) -> OptionValue:
    if option.repeatable and isinstance(node.value, list):
        return tuple(_text(item) for item in node.value)
    return convert_text(option, _text(node))


def _text(node: Any) -> str:
    """What is written there."""
    if not isinstance(node.value, str) or node.tag in _NO_VALUES:
        raise ValueError(f"{node.value!r} is neither text nor a number")
    return node.value
