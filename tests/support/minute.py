"""The minute in words."""

from datetime import datetime

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen"
).split()
_TENS = ("twenty", "thirty", "forty", "fifty")


def minute_in_words(time: datetime) -> str:
    """Such as `seven`, `forty` or `fifty-nine`."""
    tens, unit = divmod(time.minute, 10)
    if time.minute < 20:
        return _SMALL[time.minute]
    return _TENS[tens - 2] + (f"-{_SMALL[unit]}" if unit else "")
