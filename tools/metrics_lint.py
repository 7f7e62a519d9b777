"""Is what a worker says on `/metrics` what the contract says? Names, types, labels, units, buckets.

    curl -s http://127.0.0.1:9001/metrics | python -m tools.metrics_lint

The contract is spec §23.3; the targets that a histogram must tell apart are those of spec §27.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

OUTCOMES = frozenset({"success", "error", "cancelled", "timeout"})
LABELS = frozenset({"component", "worker_id", "quant_kind"})  # the same on every series of one worker
_UNIT_OF = {"latency": "_ms", "duration": "_ms", "remaining": "_ms", "uptime": "_seconds", "vram": "_bytes"}
_COUNTER = re.compile(r"^# TYPE (\S+) counter$", re.MULTILINE)
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}
_MAX_SERIES = 64  # of one name; nothing in the contract comes near


@dataclass(frozen=True, slots=True)
class Contract:
    """What the specification says of one name."""

    type: str
    targets_ms: tuple[float, ...] = ()  # limits that must be ends of buckets
    required: bool = True


CONTRACT: Mapping[str, Contract] = {
    "worker_vram_bytes": Contract("gauge"),
    "worker_requests_total": Contract("counter"),
    "worker_tokens_in_total": Contract("counter"),
    "worker_tokens_generated_total": Contract("counter"),
    "worker_inference_duration_ms": Contract("histogram", targets_ms=(300_000,)),
    "worker_uptime_seconds": Contract("gauge"),
    "worker_active_expert_count": Contract("gauge", required=False),
    "worker_startup_duration_ms": Contract("gauge"),
    "worker_healthy": Contract("gauge"),
    "worker_deadline_remaining_ms": Contract("gauge"),
    "worker_first_token_latency_ms": Contract("histogram", targets_ms=(100,)),
    "worker_per_token_latency_ms": Contract("histogram", targets_ms=(10, 50)),
    "worker_cancellation_latency_ms": Contract("histogram", targets_ms=(100, 5_000)),
    "worker_model_load_duration_ms": Contract("histogram", targets_ms=(10_000, 60_000)),
}


def lint(text: str) -> list[str]:
    """Every way in which `text`, a whole answer of `/metrics`, breaks the contract; empty where it holds."""
    try:
        families = list(text_string_to_metric_families(text))
    except ValueError as error:
        return [f"this is not Prometheus' text format: {error}"]
    # The parser takes `_total` off the names of counters, and does not mind where it is missing.
    found = {_name(family): family for family in families}
    problems = [
        f"{name}: is missing" for name, each in CONTRACT.items() if each.required and name not in found
    ]
    problems += [
        f"{name}: is a counter without _total" for name in _COUNTER.findall(text) if name not in found
    ]
    if len(found) < len(families):
        problems.append("a name is declared twice")
    for name, family in found.items():
        problems += [f"{name}: {problem}" for problem in _problems(name, family)]
    if len({_of_worker(sample.labels) for each in families for sample in each.samples}) > 1:
        problems.append("the labels of the worker differ between its series")
    return problems


def _name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def _problems(name: str, family: Metric) -> Iterator[str]:
    for quantity, unit in _UNIT_OF.items():
        if quantity in name and not name.endswith(unit):
            yield f"does not end with its unit, {unit}"
    contract = CONTRACT.get(name)
    if contract is None:
        yield "is not in the contract"
        return
    if family.type != contract.type:
        yield f"is a {family.type}, not a {contract.type}"
    if not family.documentation.strip():
        yield "has no help text"
    if len(family.samples) > _MAX_SERIES:
        yield f"has {len(family.samples)} series"
    series = {f"{name}{suffix}" for suffix in _SUFFIXES.get(contract.type, ("",))}
    if unknown := {sample.name for sample in family.samples} - series:
        yield f"has series of the name {', '.join(sorted(unknown))}"
    for sample in family.samples:
        yield from _label_problems(name, sample.name, sample.labels)
    if contract.type == "histogram":
        yield from _bucket_problems(family, contract.targets_ms)


def _label_problems(name: str, series: str, labels: Mapping[str, str]) -> Iterator[str]:
    own = {"outcome"} if name == "worker_requests_total" else {"le"} if series.endswith("_bucket") else set()
    if missing := (LABELS | own) - labels.keys():
        yield f"lacks the label {', '.join(sorted(missing))}"
    if unknown := labels.keys() - LABELS - own:
        yield f"has the label {', '.join(sorted(unknown))}"
    if labels.get("component") != "worker":
        yield "does not say component=worker"
    if "outcome" in own and labels.get("outcome") not in OUTCOMES:
        yield f"has the outcome {labels.get('outcome')}"


def _bucket_problems(family: Metric, targets_ms: tuple[float, ...]) -> Iterator[str]:
    buckets = [sample for sample in family.samples if sample.name.endswith("_bucket")]
    ends = [float(sample.labels["le"]) for sample in buckets if "le" in sample.labels]
    if not ends or ends[-1] != float("inf"):
        yield "has no bucket that takes everything"
    if any(left >= right for left, right in pairwise(ends)):
        yield "has buckets that do not ascend"
    counts = [sample.value for sample in buckets]
    if counts != sorted(counts):
        yield "has buckets that do not add up"
    for target_ms in targets_ms:
        if target_ms not in ends:
            yield f"cannot show its target of {target_ms:g} ms: no bucket ends there"


def _of_worker(labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in sorted(LABELS))


def main(arguments: Sequence[str] = ()) -> int:
    """Lint standard input; exit status 1 where there is something to say."""
    argparse.ArgumentParser(
        prog="python -m tools.metrics_lint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args(arguments)
    problems = lint(sys.stdin.read())
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
