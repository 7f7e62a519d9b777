"""Find the first stop sequence in streamed text and hold back what may still become one."""

from collections import deque
from collections.abc import Sequence


class StopMatcher:
    """Matches stop sequences against one stream of text.

    The match is the stop whose last character comes first; of several that end with the same character, the
    one that starts earliest, which is the longest. Text before it is emitted; the stop and the rest never.
    Held back is the longest end of the text that begins some stop, not a fixed length. However the text is
    cut, what is emitted and what is matched are the same.

    It is an Aho-Corasick automaton: each character costs a constant number of steps on average, however much
    the stops repeat themselves. Source: Aho & Corasick 1975 (doi:10.1145/360825.360855).
    """

    def __init__(self, stops: Sequence[str]) -> None:
        """Prepare to look for `stops`.

        Args:
            stops: the sequences, none of them empty; no stops, and all text passes at once.
        """
        if not all(stops):
            raise ValueError("a stop sequence must not be empty")
        self._automaton = _Automaton(stops)
        self._state = 0
        self._held = ""
        self._matched: str | None = None

    @property
    def matched(self) -> str | None:
        """The stop that was found, or None as long as there is none."""
        return self._matched

    def feed(self, text: str) -> str:
        """Take the next piece of text; return the text that is now certain not to be part of a stop."""
        if self._matched is not None:
            return ""
        seen = self._held + text
        for end, character in enumerate(text, start=len(self._held) + 1):
            self._state = self._automaton.advance(self._state, character)
            self._matched = self._automaton.longest_stop[self._state]
            if self._matched is not None:
                self._held = ""
                return seen[: end - len(self._matched)]
        certain = len(seen) - self._automaton.depth[self._state]
        self._held = seen[certain:]
        return seen[:certain]

    def finish(self) -> str:
        """End the stream: return the text still held back, none after a match. The state is then as new,
        but for `matched`."""
        rest, self._held, self._state = self._held, "", 0
        return rest


class _Automaton:
    """The trie of all stops. A state is a prefix of some stop: the longest one that ends the text so far."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.depth = [0]  # length of the state's prefix
        self.longest_stop: list[str | None] = [None]  # longest stop that ends the state's prefix
        self._children: list[dict[str, int]] = [{}]
        self._fallback = [0]  # the state of the longest proper end of the prefix that begins a stop
        for stop in stops:
            self._insert(stop)
        self._link()

    def advance(self, state: int, character: str) -> int:
        """The state after one more character."""
        while state and character not in self._children[state]:
            state = self._fallback[state]
        return self._children[state].get(character, 0)

    def _insert(self, stop: str) -> None:
        state = 0
        for character in stop:
            if character not in self._children[state]:
                self._children[state][character] = len(self.depth)
                self._add_state(depth=self.depth[state] + 1)
            state = self._children[state][character]
        self.longest_stop[state] = stop

    def _add_state(self, *, depth: int) -> None:
        self.depth.append(depth)
        self.longest_stop.append(None)
        self._children.append({})
        self._fallback.append(0)

    def _link(self) -> None:
        """Set the fallbacks, shallow states first: each is reached from its parent's."""
        waiting = deque(self._children[0].values())
        while waiting:
            parent = waiting.popleft()
            for character, state in self._children[parent].items():
                self._fallback[state] = self.advance(self._fallback[parent], character)
                waiting.append(state)
            if self.longest_stop[parent] is None:
                self.longest_stop[parent] = self.longest_stop[self._fallback[parent]]
