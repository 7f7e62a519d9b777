"""Text of every script through the real server: no event splits a character, none replaces one."""

from collections.abc import Sequence

import numpy as np
import pytest

from adapters_outbound.tokenizers.factory import build_tokenizer
from adapters_outbound.tokenizers.vocabulary import TokenType
from ports.model_file import MetadataValue
from ports.tokenizer import Tokenizer
from tests.http.service import Service
from tests.support.doubles import ByteTokenizer
from tests.support.scripted_model import ScriptedModel

pytestmark = pytest.mark.req("M0-W-1824")

TEXTS = {
    "Chinese": "人工智能在山上写了一首关于秋天的诗。",
    "emoji": "🦙🚀👩‍👩‍👧‍👦🏳️‍🌈👍🏽🇳🇱",
    "mixed": "Hello, мир! 日本語とالعربية, ελληνικά, עברית 🎉 ñandú",
    "Japanese": "古池や蛙飛びこむ水の音",
    "Arabic": "مرحبا بالعالم، كيف حالك؟",
    "marks beside their letters": "é q̃ ố กำลัง हिन्दी",
    "beyond the basic plane": "𝄞𐍈𠮷🜁",
}
BYTE_TOKENS = [f"<0x{byte:02X}>" for byte in range(256)]


def bytes_alone() -> Tokenizer:
    """A SentencePiece vocabulary that has no character of any script: all of it falls back to bytes."""
    tokens = ["<unk>", "<s>", "</s>", *BYTE_TOKENS, "\u2581", "H", "e"]
    types = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL, *[TokenType.BYTE] * 256]
    types += [TokenType.NORMAL] * 3
    metadata: dict[str, MetadataValue] = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": np.zeros(len(tokens), np.float32),
        "tokenizer.ggml.token_type": np.array(types, np.int32),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_space_prefix": False,
    }
    return build_tokenizer(metadata, path="bytes.gguf")


async def streamed(answer: Sequence[int], tokenizer: Tokenizer) -> str:
    """What a job that generates `answer` sends, put together again."""
    service = Service(ScriptedModel(answer), tokenizer)
    async with service, await service.connect() as client:
        await client.execute(max_tokens=len(answer), temperature=0.7, seed=42)
        # each message is decoded by itself: half a character in one would fail, or be two replacements
        return "".join([event.data["t"] async for event in client.events() if event.name == "token"])


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_a_text_that_comes_byte_by_byte_arrives_in_whole_characters(text: str) -> None:
    assert text == await streamed(list(text.encode()), ByteTokenizer())


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_a_text_of_byte_fallback_tokens_arrives_in_whole_characters(text: str) -> None:
    tokenizer = bytes_alone()
    answer = tokenizer.encode(text, add_bos=False, parse_special=False)

    assert len(answer) > len(text)
    assert text == await streamed(answer, tokenizer)


async def test_tokens_that_end_within_a_character_drop_the_rest_of_it() -> None:
    assert "🦙🚀👩\u200d" == await streamed(list(TEXTS["emoji"].encode())[:17], ByteTokenizer())


async def test_bytes_that_are_no_character_are_dropped_and_replaced_by_nothing() -> None:
    assert "ab" == await streamed([0x61, 0xC3, 0xFF, 0x62], ByteTokenizer())
