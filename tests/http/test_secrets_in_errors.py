"""Text of others in an error reaches the client, but no secret in it."""

import hashlib
import json

import pytest

from adapters_inbound.http.error_reply import reply_to
from domain.errors import DeviceError
from tests.http.service import Service
from tests.support.scripted_model import ScriptedModel

SECRET = "user:hunter2"
ERROR = DeviceError(f"the driver could not open https://{SECRET}@host/x")
REDACTED = ERROR.message.replace(SECRET, f"[redacted:{hashlib.sha256(SECRET.encode()).hexdigest()[:6]}]")


@pytest.mark.req("M0-W-1902", "NARR-3005")
async def test_an_error_in_a_stream_is_redacted() -> None:
    def fail(_: int) -> None:
        raise ERROR

    async with Service(ScriptedModel(before_step=fail)) as service, await service.connect() as client:
        await client.execute()
        *_, last = await client.all_events()

    assert REDACTED == last.data["message"]


@pytest.mark.req("M0-W-1902", "NARR-3005")
def test_an_error_outside_of_a_stream_is_redacted() -> None:
    assert REDACTED == json.loads(reply_to(ERROR, "cid").body)["error"]["message"]


@pytest.mark.req("M0-W-1902", "NARR-3002")
async def test_the_value_of_a_field_is_redacted() -> None:
    async with Service() as service, await service.connect() as client:
        reply = await client.execute("password=hunter2")
    (field,) = reply.error["details"]["errors"]

    assert "password=[redacted:f52fbd]" == field["value"]
    assert "hunter2" not in reply.body.decode()
