"""What all tests share."""

from hypothesis import settings

pytest_plugins = ["tests.proof_bundle.plugin"]

# The same examples on every run: a test that fails fails again, for everyone. No deadline: machines differ.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
