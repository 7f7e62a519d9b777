"""From a model file to `Weights`, a bounded piece at a time, every tensor once."""

import numpy as np

from backends.fake.attention import AttentionWeights
from backends.fake.dense import Array, Dense
from backends.fake.feed_forward import ExpertsWeights, GeluWeights, SwiGluWeights
from backends.fake.norms import LayerNormWeights, RmsNormWeights
from backends.fake.rope import Rotor
from backends.fake.rope_pairs import pair_up_heads
from backends.fake.tensor_reader import TensorReader
from backends.fake.weights import LayerWeights, Weights
from domain.architectures.rope_frequencies import rope_frequencies
from domain.errors import ModelLoadFailed
from ports.compute_backend import OnProgress
from ports.model_description import (
    Attention,
    Experts,
    FeedForward,
    Gelu,
    Layer,
    LayerNorm,
    ModelDescription,
    Norm,
    RmsNorm,
    Rope,
    RopePairing,
    SwiGlu,
    Yarn,
)
from ports.model_file import ModelFile, TensorInfo


def load_weights(
    description: ModelDescription, file: ModelFile, *, chunk_bytes: int, on_progress: OnProgress
) -> Weights:
    """Read and dequantize everything `description` computes with.

    Raises:
        ModelLoadFailed: the file has become shorter, or its rope factors are no positive numbers.
    """
    return _Loader(description, file, chunk_bytes, on_progress).load()


class _Loader:
    def __init__(
        self, description: ModelDescription, file: ModelFile, chunk_bytes: int, on_progress: OnProgress
    ) -> None:
        self._description = description
        self._path = file.path
        total_bytes = sum(tensor.size_bytes for tensor in description.tensors)
        self._tensors = TensorReader(
            file, total_bytes=total_bytes, chunk_bytes=chunk_bytes, on_progress=on_progress
        )
        self._rotors: dict[Rope, Rotor] = {}

    def load(self) -> Weights:
        description = self._description
        embedding = self._tensors.matrix(description.embedding)
        layers = tuple(self._layer(layer) for layer in description.layers)
        output_norm = self._norm(description.output_norm)
        is_tied = description.output.weight == description.embedding
        output = Dense(embedding, None) if is_tied else self._tensors.stacked([description.output])
        positions = description.position_embedding
        position_embedding = None if positions is None else self._tensors.matrix(positions)
        return Weights(description, embedding, layers, output_norm, output, position_embedding)

    def _layer(self, layer: Layer) -> LayerWeights:
        return LayerWeights(
            attention_norm=self._norm(layer.attention_norm),
            attention=self._attention(layer.attention),
            feed_forward_norm=self._norm(layer.feed_forward_norm),
            feed_forward=self._feed_forward(layer.feed_forward),
        )

    def _attention(self, attention: Attention) -> AttentionWeights:
        loaded = AttentionWeights(
            shape=attention,
            rotor=None if attention.rope is None else self._rotor(attention.rope),
            query_key_value=self._tensors.stacked([attention.query, attention.key, attention.value]),
            query_norm=self._head_norm(attention.query_norm),
            key_norm=self._head_norm(attention.key_norm),
            sinks=self._sinks(attention),
            output=self._tensors.stacked([attention.output]),
        )
        if attention.rope is not None and attention.rope.pairing is RopePairing.HALF_SPLIT:
            pair_up_heads(loaded, attention.rope.rotary_dim)
        return loaded

    def _feed_forward(self, feed_forward: FeedForward) -> SwiGluWeights | GeluWeights | ExpertsWeights:
        match feed_forward:
            case SwiGlu():
                gate_up = self._tensors.stacked([feed_forward.gate, feed_forward.up])
                return SwiGluWeights(gate_up, self._tensors.stacked([feed_forward.down]))
            case Gelu():
                return GeluWeights(
                    self._tensors.stacked([feed_forward.up]), self._tensors.stacked([feed_forward.down])
                )
            case Experts():
                return self._experts(feed_forward)

    def _experts(self, experts: Experts) -> ExpertsWeights:
        ids = range(experts.num_experts)
        return ExpertsWeights(
            shape=experts,
            router=self._tensors.stacked([experts.router]),
            gate_up=tuple(self._tensors.stacked_of_expert([experts.gate, experts.up], i) for i in ids),
            down=tuple(self._tensors.stacked_of_expert([experts.down], i) for i in ids),
        )

    def _sinks(self, attention: Attention) -> Array | None:
        if attention.sinks is None:
            return None
        return self._tensors.matrix(attention.sinks).reshape(attention.num_kv_heads, -1)

    def _norm(self, norm: Norm) -> RmsNormWeights | LayerNormWeights:
        match norm:
            case RmsNorm():
                return self._rms_norm(norm)
            case LayerNorm():
                return LayerNormWeights(
                    self._tensors.matrix(norm.weight), self._tensors.matrix(norm.bias), norm.eps
                )

    def _rms_norm(self, norm: RmsNorm) -> RmsNormWeights:
        return RmsNormWeights(self._tensors.matrix(norm.weight), norm.eps)

    def _head_norm(self, norm: RmsNorm | None) -> RmsNormWeights | None:
        return None if norm is None else self._rms_norm(norm)

    def _rotor(self, rope: Rope) -> Rotor:
        """Its frequencies, divided by the file's factors where it has some."""
        if rope not in self._rotors:
            frequencies = rope_frequencies(rope)
            if rope.frequency_factors is not None:
                frequencies = frequencies / self._positive(rope.frequency_factors)
            magnitude = rope.scaling.attention_factor if isinstance(rope.scaling, Yarn) else 1.0
            self._rotors[rope] = Rotor(frequencies, magnitude)
        return self._rotors[rope]

    def _positive(self, tensor: TensorInfo) -> Array:
        factors = self._tensors.matrix(tensor)
        if not (np.isfinite(factors).all() and (factors > 0).all()):
            raise ModelLoadFailed(f"{self._path}: {tensor.name}: expected positive numbers only")
        return factors
