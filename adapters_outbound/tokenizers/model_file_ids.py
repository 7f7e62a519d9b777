"""What a model file says of BOS and of the ends of a generation, for a tokenizer that is not its own."""

from dataclasses import dataclass

from adapters_outbound.tokenizers.end_of_generation import end_ids_of_file
from adapters_outbound.tokenizers.metadata_reader import MetadataReader

_EVERY_ID = 2**64  # more than any id that a file can name


@dataclass(frozen=True, slots=True)
class ModelFileIds:
    """Those of the ids the file names that are ids of the other vocabulary, too."""

    bos_token_id: int | None
    eos_token_id: int | None
    end_ids: frozenset[int]  # EOS among them
    adds_bos: bool


def read_model_file_ids(reader: MetadataReader, *, vocab_size: int) -> ModelFileIds:
    """Read the ids, as far as they are there.

    Args:
        reader: the metadata of the model file.
        vocab_size: how many ids the tokenizer has; padding of the model file lies past them.

    Raises:
        ModelLoadFailed: the file names something that is no id.
    """

    def known(key: str) -> int | None:
        token_id = reader.token_id(key, vocab_size=_EVERY_ID)
        return token_id if token_id is not None and token_id < vocab_size else None

    end_ids = end_ids_of_file(reader, vocab_size=_EVERY_ID)
    return ModelFileIds(
        bos_token_id=known("tokenizer.ggml.bos_token_id"),
        eos_token_id=known("tokenizer.ggml.eos_token_id"),
        end_ids=frozenset(token_id for token_id in end_ids if token_id < vocab_size),
        adds_bos=reader.flag("tokenizer.ggml.add_bos_token", default=False),
    )
