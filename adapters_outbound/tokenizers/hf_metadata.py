"""What a `tokenizer.json`, the files beside it and the model file say of a vocabulary, in that order."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from adapters_outbound.tokenizers.end_of_generation import known_end_ids
from adapters_outbound.tokenizers.hf_side_files import SideFiles, read_side_files
from adapters_outbound.tokenizers.json_file import refuse_file
from adapters_outbound.tokenizers.metadata_reader import MetadataReader
from adapters_outbound.tokenizers.model_file_ids import ModelFileIds, read_model_file_ids
from domain.metadata import shown


@dataclass(frozen=True, slots=True)
class HfMetadata:
    """A vocabulary's size and the ids that mean something."""

    vocab_size: int
    bos_token_id: int | None
    eos_token_id: int | None
    eog_token_ids: frozenset[int]
    adds_bos: bool
    model_max_context: int | None  # in tokens


def read_hf_metadata(tokenizer: Tokenizer, path: Path, model: MetadataReader) -> HfMetadata:
    """Read the files beside `path`, and ask the tokenizer and the model file for the rest.

    Args:
        tokenizer: of the file at `path`.
        path: of the file.
        model: the metadata of the model file. It counts where the others say nothing.

    Raises:
        ModelLoadFailed: a file is broken, or names a token that does not exist.
    """
    side_files = read_side_files(path.parent)
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    vocab_size = max(vocabulary.values(), default=-1) + 1
    _check_ids(side_files, vocab_size, path)
    model_ids = read_model_file_ids(model, vocab_size=vocab_size)
    eos_token_id = _id_of(vocabulary, side_files.eos_token, path)
    if eos_token_id is None:
        eos_token_id = next(iter(side_files.eos_token_ids), model_ids.eos_token_id)
    added = tokenizer.get_added_tokens_decoder()
    ends = known_end_ids({token.content: token_id for token_id, token in added.items() if token.special})
    ends |= model_ids.end_ids | {*side_files.eos_token_ids}
    ends |= set() if eos_token_id is None else {eos_token_id}
    first_id = _first_id_of_a_prompt(tokenizer)
    bos_token_id = _id_of(vocabulary, side_files.bos_token, path)
    if bos_token_id is None:
        bos_token_id = side_files.bos_token_id
    if bos_token_id is None and first_id not in ends:
        bos_token_id = first_id
    if bos_token_id is None:
        bos_token_id = model_ids.bos_token_id
    return HfMetadata(
        vocab_size=vocab_size,
        bos_token_id=bos_token_id,
        eos_token_id=eos_token_id,
        eog_token_ids=ends,
        adds_bos=bos_token_id is not None and _adds_bos(bos_token_id, first_id, side_files, model_ids),
        model_max_context=side_files.model_max_context,
    )


def _adds_bos(
    bos_token_id: int, first_id: int | None, side_files: SideFiles, model_ids: ModelFileIds
) -> bool:
    if first_id is not None:
        return first_id == bos_token_id
    return model_ids.adds_bos if side_files.adds_bos is None else side_files.adds_bos


def _check_ids(side_files: SideFiles, vocab_size: int, path: Path) -> None:
    bos_token_id = side_files.bos_token_id
    named = {
        "eos_token_id": side_files.eos_token_ids,
        "bos_token_id": () if bos_token_id is None else (bos_token_id,),
    }
    for key, token_ids in named.items():
        for token_id in token_ids:
            if not 0 <= token_id < vocab_size:
                expected = f"a token with each id in {key}, below {vocab_size}"
                refuse_file(path, expected, actual=shown(token_id))


def _id_of(vocabulary: Mapping[str, int], token: str | None, path: Path) -> int | None:
    if token is None:
        return None
    token_id = vocabulary.get(token)
    if token_id is None:
        refuse_file(path, f"the token {shown(token)}, which a file beside it names", actual="no such token")
    return token_id


def _first_id_of_a_prompt(tokenizer: Tokenizer) -> int | None:
    """What the file's own template puts before a text: with an empty text nothing else can come first."""
    return next(iter(tokenizer.encode("", add_special_tokens=True).ids), None)
