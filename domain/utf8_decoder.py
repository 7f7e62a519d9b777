"""Turn a stream of token bytes into text, one whole character at a time."""

import codecs


class Utf8Decoder:
    """Incremental UTF-8 decoder of one stream. It never makes up a U+FFFD; one that is in the bytes passes.

    A character that is still incomplete waits for its next byte. What can never become a character is
    dropped, resynchronising after each maximal subpart, so that `E2 28 A1` keeps its "(". However the bytes
    are cut, the text is `data.decode("utf-8", "ignore")`.
    Source: The Unicode Standard 17.0, §3.9.6 "U+FFFD Substitution of Maximal Subparts".
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")

    def feed(self, data: bytes) -> str:
        """Decode `data` after all that came before; return the characters that are now complete."""
        return self._decoder.decode(data)

    def finish(self) -> str:
        """End the stream: drop the bytes still waiting, return what they complete, which is nothing.

        The decoder is then as new.
        """
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest
