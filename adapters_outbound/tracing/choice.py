"""Which tracer serves: OpenTelemetry where the environment asks for it and the library is there."""

from collections.abc import Mapping

from adapters_outbound.tracing.passive import PassiveTracer
from ports.narrator import Level, Narrator
from ports.tracing import Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def open_tracer(
    environment: Mapping[str, str], narrator: Narrator, *, version: str, worker_id: str
) -> Tracer:
    """Open the tracer that the standard OTEL_ variables ask for; what fails is told, and no failure."""
    if not asks_for_export(environment):
        return PassiveTracer()
    try:
        from adapters_outbound.tracing.otel import open_otlp_tracer  # noqa: PLC0415 an optional extra

        return open_otlp_tracer(narrator, version=version, worker_id=worker_id)
    except (ImportError, ValueError) as error:
        narrator.narrate(
            "tracing_problem",
            "starting without traces: the extra otel is missing or its settings are wrong",
            level=Level.WARN,
            error_message=f"{type(error).__name__}: {error}",
        )
        return PassiveTracer()


def asks_for_export(environment: Mapping[str, str]) -> bool:
    """Whether to export: to an OTLP endpoint that is named, or by name to the default one.

    Source: OpenTelemetry, Environment Variable Specification. An empty variable is one that is not set.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter:
        return exporter == "otlp"
    return any(environment.get(name) for name in _ENDPOINTS)
