"""The port to a tokenizer: text to token ids and back to bytes."""

from typing import Literal, Protocol

TokenizerKind = Literal["gguf-bpe", "hf-json"]


class Tokenizer(Protocol):
    """One model's vocabulary and its rules. Immutable; any thread may call it."""

    @property
    def kind(self) -> TokenizerKind: ...

    @property
    def vocab_size(self) -> int:
        """Number of token ids, padding included."""
        ...

    @property
    def bos_token_id(self) -> int | None: ...

    @property
    def eos_token_id(self) -> int | None: ...

    @property
    def eog_token_ids(self) -> frozenset[int]:
        """Every id that ends a generation: EOS and the model's end-of-turn tokens."""
        ...

    @property
    def adds_bos(self) -> bool:
        """Whether the model's own rule puts BOS before a prompt."""
        ...

    def encode(self, text: str, *, add_bos: bool, parse_special: bool) -> list[int]:
        """Encode `text` to ids.

        Args:
            text: any Unicode text without lone surrogates; empty gives no ids (or BOS alone).
            add_bos: put BOS first; no effect in a vocabulary without one.
            parse_special: markup such as `<|im_end|>` becomes its single control id; otherwise it is plain
                text. User-defined tokens are always matched whole.
        """
        ...

    def decode_bytes(self, token_id: int) -> bytes:
        """The bytes one id stands for: empty for control and padding ids; may be part of a character."""
        ...
