"""Attention over rows that share prefixes, and a last layer that works for the ends of sequences alone.

Both are exact and reach into the model only where transformers lets one: a registered attention function, and a forward
hook on the last layer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

from more_repro.engine.batching.packed_rows import Rows

# Decoders with rotary positions, one attention function for all layers, and no window; tested one by one.
MODEL_TYPES = frozenset({"gpt_neox", "llama", "mistral", "qwen2"})
_NAME = "more_repro_rows"
_CALL = "row_call"


@dataclass(frozen=True, slots=True)
class _Call:
    """What the attention function of one forward pass knows.

    stop: give back keys and values instead of attending. keys, values: of all tokens, where only ends ask.
    """

    rows: Rows
    stop: bool = False
    keys: torch.Tensor | None = None
    values: torch.Tensor | None = None


class _KeysAndValues(Exception):
    """Leaves the last layer once its keys and values are there: what follows in it is needed for the ends alone."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values


def supports_rows(model: PreTrainedModel) -> bool:
    """Whether shared and packed rows are exact for this model; others get one padded row for each sequence."""
    config = model.config
    return (
        config.model_type in MODEL_TYPES
        and config._attn_implementation in ("sdpa", _NAME)
        and getattr(config, "sliding_window", None) is None
    )


@contextmanager
def row_attention(model: PreTrainedModel) -> Iterator[None]:
    """Inside, a model that `supports_rows` attends as its rows say, and its last layer gives the states of the ends
    alone, (R, P, H). A backward pass that runs layers again belongs inside too."""
    config = model.config
    if config._attn_implementation == _NAME or not supports_rows(model):
        yield
        return
    layers: Any = model.base_model.layers
    hook = layers[-1].register_forward_pre_hook(_ends_alone, with_kwargs=True)
    before, config._attn_implementation = config._attn_implementation, _NAME
    try:
        yield
    finally:
        config._attn_implementation = before
        hook.remove()


def row_arguments(rows: Rows) -> dict[str, Any]:
    """Keyword arguments of the backbone's forward pass inside `row_attention`."""
    return {"position_ids": rows.positions, _CALL: _Call(rows)}


def _ends_alone(
    layer: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Make the layer's keys and values of all tokens, then hand it the ends as if they were all tokens."""
    call: _Call = kwargs[_CALL]
    rows, states = call.rows, args[0]
    try:
        layer.forward(*args, **{**kwargs, _CALL: replace(call, stop=True)})
    except _KeysAndValues as found:
        call = replace(call, keys=found.keys, values=found.values)
    number = torch.arange(len(rows.ends), device=states.device)[:, None]

    def at_ends(values: torch.Tensor) -> torch.Tensor:
        return values.expand(len(rows.ends), *values.shape[1:])[number, rows.ends]

    fewer = {
        "position_embeddings": tuple(at_ends(part) for part in kwargs["position_embeddings"]),
        "position_ids": at_ends(kwargs["position_ids"]),
        _CALL: call,
    }
    return (at_ends(states), *args[1:]), {**kwargs, **fewer}


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """The attention function of all layers; query, key, value (R, heads, T, d), the result (R, T, heads, d)."""
    call: _Call = kwargs[_CALL]
    if call.stop:
        raise _KeysAndValues(key, value)
    if call.keys is not None and call.values is not None:
        key, value = call.keys, call.values
    if query.device.type == "cpu" and value.dtype in (torch.bfloat16, torch.float16):
        # In 16 bits the CPU's attention kernel takes three times as long on the way back, and rounds more. Values tell:
        # under autocast, queries and keys come out of the rotary embedding in fp32.
        with torch.autocast("cpu", enabled=False):
            states, _ = _attend_rows(module, query.float(), key.float(), value.float(), call, scaling)
        return states.to(value.dtype), None
    return _attend_rows(module, query, key, value, call, scaling)


def _attend_rows(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    call: _Call,
    scaling: float | None,
) -> tuple[torch.Tensor, None]:
    if call.keys is not None:
        return sdpa_attention_forward(module, query, key, value, call.rows.end_mask, scaling=scaling)
    if call.rows.packed is not None:
        repeats = getattr(module, "num_key_value_groups", 1)
        return _packed(query, repeat_kv(key, repeats), repeat_kv(value, repeats), call.rows, scaling), None
    return sdpa_attention_forward(module, query, key, value, call.rows.mask, scaling=scaling)


def _packed(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rows: Rows, scaling: float | None
) -> torch.Tensor:
    """Group by group: prefix and first rest are one causal sequence; every other rest sees the prefix and itself."""
    assert rows.packed is not None
    assert rows.mask is not None
    widths = [width for prefix, first, *others in rows.packed for width in (prefix + first, *others)]
    parts = zip(*(tensor.split(widths, dim=2) for tensor in (query, key, value)), strict=True)
    found = []
    for prefix, _, *others in rows.packed:
        q, k, v = next(parts)
        found.append(scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling))
        for width in others:
            rest_q, rest_k, rest_v = next(parts)
            if not width:
                continue
            rest_k = torch.cat([k[:, :, :prefix], rest_k], dim=2)
            rest_v = torch.cat([v[:, :, :prefix], rest_v], dim=2)
            mask = rows.mask[prefix : prefix + width, : prefix + width]
            found.append(scaled_dot_product_attention(rest_q, rest_k, rest_v, attn_mask=mask, scale=scaling))
    return torch.cat([one.transpose(1, 2) for one in found], dim=1)


AttentionInterface.register(_NAME, _attend)
