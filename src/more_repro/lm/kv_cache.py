"""A cache of keys and values that grows in place: appending a token does not copy the tokens before it."""

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer


def growing_cache(config: PreTrainedConfig, room: int) -> DynamicCache:
    """An empty cache for a model; layers that keep every token reserve `room` tokens behind the prompt.

    Layers of other kinds, such as those with a sliding window, are transformers' own.
    """
    cache = DynamicCache(config=config)
    cache.layers = [_GrowingLayer(room) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


class _GrowingLayer(DynamicLayer):
    """Keys and values (rows, heads, tokens, width) as views of a buffer with room for more tokens."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._buffers: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        length = self.get_seq_length()
        if length == 0:  # the prompt, which is repeated before it grows
            return super().update(key_states, value_states)
        end = length + key_states.shape[-2]
        if self._buffers is None or end > self._buffers[0].shape[-2]:
            self._buffers = (_roomier(self.keys, self._room), _roomier(self.values, self._room))
        keys, values = self._buffers
        keys[:, :, length:end] = key_states
        values[:, :, length:end] = value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        self._buffers = None

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._buffers = None


def _roomier(states: Tensor | None, room: int) -> Tensor:
    assert states is not None
    rows, heads, length, width = states.shape
    buffer = torch.empty((rows, heads, length + room, width), dtype=states.dtype, device=states.device)
    buffer[:, :, :length] = states
    return buffer
