"""One sequence's way from token ids to events."""

from domain.job import Job
from domain.text_stream import TextStream
from ports.job_events import JobEnded, StopReason, TokenText
from ports.loaded_model import SequenceId
from ports.tokenizer import Tokenizer


class Generation:
    """The answer of one job while it grows. Belongs to the inference thread."""

    def __init__(
        self, job: Job, sequence_id: SequenceId, tokenizer: Tokenizer, *, started_at_s: float
    ) -> None:
        self.job = job
        self.sequence_id = sequence_id
        self.started_at_s = started_at_s
        self.first_token_at_s: float | None = None
        self.tokens_out = 0
        self._num_gaps = 0
        self._last_token_at_s = started_at_s
        self._eog_token_ids = tokenizer.eog_token_ids
        self._text = TextStream(tokenizer.decode_bytes, job.request.stop)

    def accept(self, token_id: int, now_s: float) -> JobEnded | None:
        """Take one generated token; publish the text it settles; return how the job ends, if it does.

        The order is that of M0-W-1422: EOS, then stop sequences, then the limit.
        """
        self._last_token_at_s = now_s
        if self.first_token_at_s is None:
            self.first_token_at_s = now_s
        else:
            self._num_gaps += 1
        if token_id in self._eog_token_ids:
            return self._end(StopReason.EOS)
        self.tokens_out += 1
        fragment = self._text.push(token_id)
        if fragment is not None:
            self.job.publish(TokenText(fragment.text, fragment.token_ids))
        stopped = self._text.stopped or self.job.stop_ids.get(token_id)
        if stopped is not None:
            return self._end(StopReason.STOP_SEQUENCE, stopped)
        if self.tokens_out >= self.job.max_tokens:
            return self._end(StopReason.MAX_TOKENS)
        return None

    def first_token_s(self) -> float | None:
        """Seconds from acceptance to the first token, once there is one."""
        return None if self.first_token_at_s is None else self.first_token_at_s - self.job.accepted_at_s

    def mean_gap_s(self) -> float | None:
        """Mean seconds between tokens, EOS among them, once there are two."""
        if self.first_token_at_s is None or self._num_gaps == 0:
            return None
        return (self._last_token_at_s - self.first_token_at_s) / self._num_gaps

    def decode_time_ms(self) -> int:
        """From `started` to the last token."""
        return round(1000 * (self._last_token_at_s - self.started_at_s))

    def _end(self, reason: StopReason, stopped: str | None = None) -> JobEnded:
        rest = self._text.finish()
        if rest is not None:
            self.job.publish(TokenText(rest.text, rest.token_ids))
        return JobEnded(
            tokens_in=len(self.job.prompt_ids),
            tokens_out=self.tokens_out,
            decode_time_ms=self.decode_time_ms(),
            stop_reason=reason,
            seed=self.job.seed,
            stop_sequence_matched=stopped,
            token_ids=tuple(self._text.pending_ids),
        )
