"""What the log says of the device that a model is loaded onto."""

from pathlib import Path

import pytest

from app.process_story import ProcessStory
from app.tokenizer_choice import TokenizerChoice
from ports.compute_backend import DeviceInfo
from tests.support.doubles import RecordingNarrator
from tests.support.in_process import settings_with


@pytest.mark.req("M0-W-1900")
def test_the_choices_made_for_the_device_are_told(tmp_path: Path) -> None:
    narrator = RecordingNarrator()
    device = DeviceInfo(
        0, "a device", 2**30, 2**29, 512, compute_capability=89, features=("cp.async", "mma.sync")
    )
    ProcessStory(narrator, settings_with(tmp_path)).load_start(device, TokenizerChoice(None, "embedded"))

    (start,) = narrator.named("model_load_start")
    assert (89, ("cp.async", "mma.sync")) == (start["compute_capability"], start["device_features"])
