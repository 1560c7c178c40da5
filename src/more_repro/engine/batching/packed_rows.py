"""Groups of sequences as the rows of a micro-batch: token ids, positions, what sees what, and where the ends are."""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from more_repro.engine.batching.shared_prefix import ABSENT, Groups
from more_repro.engine.batching.token_pairs import TokenSequences, starts_of

_UNSEEN = float("-inf")


@dataclass(frozen=True, slots=True)
class Rows:
    """A micro-batch of R rows, T tokens wide, that holds n sequences.

    places: (n,) the sequences' places in the caller's list. ids: (R, T). positions: (R, T), or None for 0..T-1.
    mask: (R, 1, T, T), added to attention scores, or None for plain causal attention; of packed rows the causal mask
    (L, L) of their longest sequence.
    ends: (R, P) columns of last tokens, the first repeated where a row holds fewer than P sequences. end_rows,
    end_slots: (n,) where in `ends` each sequence is. end_mask: (R, 1, P, T), what each end sees.
    packed: tokens of prefix and rests of each group in one long row without padding, or None.
    n_tokens: real tokens in the rows. n_shared: tokens that common prefixes saved.
    """

    places: torch.Tensor
    ids: torch.Tensor
    positions: torch.Tensor | None
    mask: torch.Tensor | None
    ends: torch.Tensor
    end_rows: torch.Tensor
    end_slots: torch.Tensor
    end_mask: torch.Tensor
    packed: tuple[tuple[int, ...], ...] | None
    n_tokens: int
    n_shared: int

    def to(self, device: torch.device, mask_dtype: torch.dtype) -> "Rows":
        """On a device, with masks in the format in which attention computes."""
        tensors = {f.name: value for f in fields(self) if isinstance(value := getattr(self, f.name), torch.Tensor)}
        moved: dict[str, Any] = {
            name: value.to(device, mask_dtype if "mask" in name else None) for name, value in tensors.items()
        }
        return replace(self, **moved)

    @property
    def n_computed(self) -> int:
        """Tokens that go through the backbone, padding included."""
        return self.ids.numel()


def plain_rows(sequences: TokenSequences, rows: torch.Tensor, places: torch.Tensor) -> Rows:
    """One row for each sequence, padded on the right. No mask: nothing sees the padding to its right.

    rows, places: (n,) rows of `sequences` and the caller's numbers for them.
    """
    lengths = sequences.lengths[rows]
    ids = sequences.padded(rows)
    n = len(rows)
    seen = torch.arange(ids.shape[1]) < lengths[:, None]
    return Rows(
        places=places,
        ids=ids,
        positions=None,
        mask=None,
        ends=lengths[:, None] - 1,
        end_rows=torch.arange(n),
        end_slots=torch.zeros(n, dtype=torch.int64),
        end_mask=_additive(seen)[:, None, None],
        packed=None,
        n_tokens=int(lengths.sum()),
        n_shared=0,
    )


def shared_rows(sequences: TokenSequences, rows: torch.Tensor, groups: Groups, *, packed: bool) -> Rows:
    """Each group as [prefix, rest of its first member, rest of its second, ...]; a rest sees the prefix and itself.

    rows: (n,) rows of `sequences` by the places that `groups` speaks of. packed: all groups in one row, one after the
    other, without padding; else a row for each group, padded on the right.
    """
    pieces = _pieces(sequences, rows, groups)
    return _packed(pieces) if packed else _padded(pieces)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """g groups cut into prefix and rests, and all their N tokens, one group after the other.

    places, n_shared: as in Rows. lengths: (g, 1 + m) tokens of prefix and rests. present: (g, m) bool. starts: (g,)
    first token of each group. ends: (g, m) last token of each member, counted in its group. ids, positions, group,
    part: (N,), part 0 is the prefix.
    """

    places: torch.Tensor
    n_shared: int
    lengths: torch.Tensor
    present: torch.Tensor
    starts: torch.Tensor
    ends: torch.Tensor
    ids: torch.Tensor
    positions: torch.Tensor
    group: torch.Tensor
    part: torch.Tensor


def _pieces(sequences: TokenSequences, rows: torch.Tensor, groups: Groups) -> _Pieces:
    present = groups.members != ABSENT
    row = rows[groups.members.clamp(min=0)]
    prefix = groups.prefix[:, None]
    rests = (sequences.lengths[row] - prefix) * present
    lengths = torch.cat([prefix, rests], dim=1)
    sources = torch.cat([sequences.starts[row[:, :1]], sequences.starts[row] + prefix], dim=1).flatten()
    first_positions = torch.cat([torch.zeros_like(prefix), prefix.expand_as(rests)], dim=1).flatten()
    piece = torch.repeat_interleave(torch.arange(lengths.numel()), lengths.flatten())
    starts = starts_of(lengths.flatten())
    within = torch.arange(len(piece)) - starts[piece]
    stops = lengths.cumsum(1) - 1
    return _Pieces(
        places=groups.members[present],
        n_shared=int((groups.prefix * (present.sum(dim=1) - 1)).sum()),
        lengths=lengths,
        present=present,
        starts=starts.reshape(lengths.shape)[:, 0],
        ends=torch.where(rests > 0, stops[:, 1:], stops[:, :1]),  # without a rest, the end of the prefix
        ids=sequences.flat[sources[piece] + within].long(),
        positions=first_positions[piece] + within,
        group=piece // lengths.shape[1],
        part=piece % lengths.shape[1],
    )


def _packed(pieces: _Pieces) -> Rows:
    group, member = pieces.present.nonzero(as_tuple=True)
    own = (pieces.part == 0) | (pieces.part == member[:, None] + 1)
    longest = int((pieces.lengths[:, :1] + pieces.lengths[:, 1:]).max())
    return Rows(
        places=pieces.places,
        ids=pieces.ids[None],
        positions=pieces.positions[None],
        mask=_causal(longest),
        ends=(pieces.starts[group] + pieces.ends[pieces.present])[None],
        end_rows=torch.zeros_like(group),
        end_slots=torch.arange(len(group)),
        end_mask=_additive((pieces.group == group[:, None]) & own)[None, None],
        packed=tuple(map(tuple, pieces.lengths.tolist())),
        n_tokens=len(pieces.ids),
        n_shared=pieces.n_shared,
    )


def _padded(pieces: _Pieces) -> Rows:
    group, member = pieces.present.nonzero(as_tuple=True)
    width = int(pieces.lengths.sum(dim=1).max())
    at = (pieces.group, torch.arange(len(pieces.ids)) - pieces.starts[pieces.group])

    def spread(values: torch.Tensor, empty: int) -> torch.Tensor:
        return torch.full((len(pieces.lengths), width), empty).index_put_(at, values)

    part = spread(pieces.part, -1)
    prefix = (part == 0)[:, None]
    before = torch.arange(width) <= torch.arange(width)[:, None]
    # A member that is absent repeats the first one: a softmax over nothing would not be a number.
    own = torch.where(pieces.present, torch.arange(1, pieces.lengths.shape[1]), 1)
    return Rows(
        places=pieces.places,
        ids=spread(pieces.ids, 0),
        positions=spread(pieces.positions, 0),
        mask=_additive(before & (prefix | (part[:, None] == part[:, :, None])))[:, None],
        ends=torch.where(pieces.present, pieces.ends, pieces.ends[:, :1]),
        end_rows=group,
        end_slots=member,
        end_mask=_additive(prefix | (part[:, None] == own[:, :, None]))[:, None],
        packed=None,
        n_tokens=len(pieces.ids),
        n_shared=pieces.n_shared,
    )


def _causal(width: int) -> torch.Tensor:
    return torch.full((width, width), _UNSEEN).triu_(1)


def _additive(seen: torch.Tensor) -> torch.Tensor:
    return torch.zeros(seen.shape).masked_fill_(~seen, _UNSEEN)
