"""What the specification wants of a GPU (§27), by the row that measures it."""

from collections.abc import Mapping

TARGETS: Mapping[str, str] = {
    "model load": "60 s (M0-W-1620)",
    "start to ready": "60 s (M0-W-1120)",
    "time to first token": "100 ms p95 (M0-W-1600)",
    "time between tokens": "50 ms p95 (M0-W-1602)",
    "decode over HTTP": "20 to 100 tokens/s (M0-W-1601)",
    "parse and validate": "1 ms (M0-W-1603)",
    "`/health` while generating": "10 ms p99 (M0-W-1604)",
}
