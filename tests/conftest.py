"""What all tests share."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.proof_bundle.plugin"]

# The same examples on every run: a test that fails fails again, for everyone. However slow the machine.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")
