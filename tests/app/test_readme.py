"""The README says what the program says."""

import re
from pathlib import Path

from adapters_inbound.cli.options import OPTIONS, Option
from backends.fake.faults import FaultKind

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def row(option: Option) -> str:
    if option.required:
        default = "required"
    elif option.default in (None, ()):
        default = ""
    else:
        default = f"`{option.default}`"
    flags = ", ".join(f"`--{name}`" for name in (option.name, *option.aliases))
    what = f"{option.help}: {', '.join(option.choices)}" if option.choices else option.help
    return f"| {flags} | `{option.environment_variable}` | {default} | {what} |"


def test_the_table_of_options_is_the_programs_own() -> None:
    table = README.split("<!-- options:")[1].split("<!-- end of options -->")[0]

    rows = [line for line in table.splitlines() if line.startswith("| `--")]

    assert [row(option) for option in OPTIONS] == rows


def test_every_fault_is_described() -> None:
    assert set(FaultKind) == set(re.findall(r"`([a-z-]+)@", README))


def test_every_link_into_the_project_leads_somewhere() -> None:
    root = Path(__file__).resolve().parents[2]
    targets = [target for target in re.findall(r"\]\(([^)#]+)", README) if "://" not in target]

    assert [] == [target for target in targets if not (root / target).exists()]
