"""Which sequences begin alike: groups of sequences whose common prefix is computed once."""

from dataclasses import dataclass

import torch

from more_repro.engine.batching.token_pairs import TokenSequences

MIN_PREFIX = 16  # tokens; below, what sharing saves is not worth a row of its own shape
_CHUNK = 2048  # pairs compared at a time
ABSENT = -1


@dataclass(frozen=True, slots=True)
class Groups:
    """g groups of sequences with a common prefix; a sequence alone is a group without one.

    members: (g, m) places in the caller's list of n sequences, ABSENT where a group has fewer than m; every place
    stands in one group. prefix: (g,) tokens that all members of a group share, 0 in a group of one.
    """

    members: torch.Tensor
    prefix: torch.Tensor

    def __len__(self) -> int:
        return len(self.prefix)

    def n_tokens(self, lengths: torch.Tensor) -> torch.Tensor:
        """Tokens of each group (g,), its prefix counted once; lengths: (n,) of the sequences at all places."""
        present = self.members != ABSENT
        rests = (lengths[self.members.clamp(min=0)] - self.prefix[:, None]) * present
        return self.prefix + rests.sum(dim=1)

    def take(self, rows: torch.Tensor) -> "Groups":
        """These groups, in this order, without columns that none of them fills."""
        members = self.members[rows]
        width = int((members != ABSENT).sum(dim=1).max())
        return Groups(members[:, :width], self.prefix[rows])


def alone(n: int) -> Groups:
    """Every one of n sequences by itself."""
    return Groups(torch.arange(n)[:, None], torch.zeros(n, dtype=torch.int64))


def pair_groups(prefix: torch.Tensor) -> Groups:
    """Groups of n pairs whose chosen sequences are the places 0..n-1 and rejected n..2n-1.

    prefix: (n,) common tokens of each pair. Pairs that share fewer than MIN_PREFIX tokens stay two groups of one.
    """
    n = len(prefix)
    shared = (prefix >= MIN_PREFIX).nonzero()[:, 0]
    rest = (prefix < MIN_PREFIX).nonzero()[:, 0]
    both = torch.stack([shared, shared + n], dim=1)
    single = torch.cat([rest, rest + n])[:, None]
    members = torch.cat([both, torch.nn.functional.pad(single, (0, 1), value=ABSENT)])
    return Groups(members, torch.cat([prefix[shared], prefix.new_zeros(len(single))]))


def neighbour_groups(sequences: TokenSequences, max_members: int) -> Groups:
    """Groups of sequences that begin alike, found by sorting them: the samples of a prompt, the sides of a pair.

    Two neighbours stay together if they share at least MIN_PREFIX tokens and no less than half of what either shares
    with its other neighbour: a common template must not tear the samples of one prompt apart.
    """
    n = len(sequences)
    if n < 2:
        return alone(n)
    order = _sorted(sequences)
    common = common_prefix_lengths(sequences, order[:-1], order[1:])
    ends = torch.nn.functional.pad(common, (1, 1))
    linked = (common >= MIN_PREFIX) & (2 * common >= torch.maximum(ends[:-2], ends[2:]))
    opens = torch.nn.functional.pad(~linked, (1, 0), value=True)
    first = opens.nonzero()[:, 0]
    number = opens.cumsum(0) - 1
    place = torch.arange(n) - first[number]
    opens |= place % max_members == 0
    number = opens.cumsum(0) - 1
    place = torch.arange(n) - opens.nonzero()[:, 0][number]
    members = torch.full((int(number[-1]) + 1, max_members), ABSENT)
    members[number, place] = order
    inside = place[1:] > 0
    prefix = torch.full((len(members),), int(sequences.lengths.max()))
    prefix.scatter_reduce_(0, number[1:][inside], common[inside], "amin")
    prefix[members[:, 1:2].flatten() == ABSENT] = 0
    return Groups(members, prefix)


def common_prefix_lengths(sequences: TokenSequences, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Tokens that each pair of sequences has in common at its beginning: (n,) from rows left (n,) and right (n,)."""
    shortest = torch.minimum(sequences.lengths[left], sequences.lengths[right])
    found = torch.zeros_like(shortest)
    for part in torch.arange(len(shortest)).split(_CHUNK):
        limit = shortest[part]
        columns = torch.arange(int(limit.max()))
        last = sequences.flat.numel() - 1
        a, b = (
            sequences.flat[(sequences.starts[side[part]][:, None] + columns).clamp_(max=last)] for side in (left, right)
        )
        differs = (a != b) | (columns >= limit[:, None])
        # A last column that always differs: argmax then gives the first difference, or the whole width.
        found[part] = torch.nn.functional.pad(differs, (0, 1), value=True).to(torch.uint8).argmax(dim=1)
    return found


def _sorted(sequences: TokenSequences) -> torch.Tensor:
    """Places (n,) in lexicographic order of tokens: as big-endian bytes, compared as one block of memory each."""
    data = sequences.flat.numpy().astype(">i4").tobytes()
    bounds = zip((4 * sequences.starts).tolist(), (4 * (sequences.starts + sequences.lengths)).tolist(), strict=True)
    keys = [data[start:end] for start, end in bounds]
    return torch.tensor(sorted(range(len(keys)), key=keys.__getitem__))
