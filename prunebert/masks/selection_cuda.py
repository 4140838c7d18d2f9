"""Radix: Top_v(S) on a GPU, exactly, without sorting and without the host's waiting for anything.

Scores become 32-bit keys of the same order. Where the cut was in the last step there is a narrow window around it: one
pass over all scores counts what lies above it and collects what lies in it, and among these few the cut is found bit by
bit. If it is not there, or there was no last step, four more passes count one byte each of the keys still in question.
The device itself knows which of the two it has to be. A last pass writes the masks. All matrices go at once.

Of equal scores at the cut the earlier positions stay, as in masks.by_sorting, which this must agree with
(tests/masks/test_selection_cuda.py). NaN counts as the largest of all, as there.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 8192  # scores that one program reads
ROOM = 2**16  # scores of a group that a window may hold
BYTES = (24, 16, 8, 0)  # how far each is shifted, the highest first


def select(
    groups: list[list[Tensor]], counts: list[int] | Tensor, last: Tensor | None = None
) -> tuple[list[list[Tensor]], Tensor, Tensor]:
    """Of every group of flat, contiguous float32 tensors, ranked together, the `counts` largest: their bool masks;
    every group's largest removed score, -inf where none is: [groups]; and `last` for the next step: [5, groups], the
    window's low and high end, the cut, how many hits in all, and how wide the next window is. It is written to.

    The masks are views of one tensor, in the order of the groups.
    """
    parts = [x.detach() for group in groups for x in group]
    sizes, device = tuple(x.numel() for x in parts), parts[0].device
    lines = tuple(sum(x.numel() for x in group) for group in groups)
    first_block, group_of, start, before, blocks = layout(sizes, tuple(len(group) for group in groups), device, BLOCK)
    if not isinstance(counts, Tensor):
        counts = on_device(tuple(min(max(c, 0), n) for c, n in zip(counts, lines, strict=True)), device)
    n, lists, wide = len(groups), len(parts), triton.next_power_of_2(len(parts))
    room = min(ROOM, triton.next_power_of_2(max(lines)))
    if last is None or last.shape[1] != n or last.device != device:
        last = torch.zeros(5, n, device=device)
        last[:3].fill_(torch.nan)
    # by group: the cut's key, still to keep at it, as many are there, whether it is found; above the window, in it
    state = torch.zeros(6, n, dtype=torch.int64, device=device)
    state[1] = counts
    found = torch.zeros(len(BYTES), n, 256, dtype=torch.int32, device=device)
    inside = torch.empty(n, room, dtype=torch.int32, device=device)
    tables = (on_device(tuple(x.data_ptr() for x in parts), device), first_block, group_of)
    _look[(blocks,)](*tables, state, last, inside, lists, n, room, wide=wide, block=BLOCK)
    _settle[(n,)](state, inside, n, room, block=1024)
    for turn, shift in enumerate(BYTES):
        _count[(blocks,)](*tables, state, found[turn], lists, n, shift, few=turn > 1, wide=wide, block=BLOCK)
        _narrow[(n,)](state, found[turn], n, shift)
    _follow[(n,)](state, last, n, room)
    equals = torch.zeros(blocks, dtype=torch.int32, device=device)
    _equal[(blocks,)](*tables, state, equals, lists, n, wide=wide, block=BLOCK)
    mask = torch.empty(sum(sizes), dtype=torch.bool, device=device)
    removed = torch.full((n,), -1, dtype=torch.int64, device=device)
    bits, until = mask.view(torch.uint8), equals.cumsum(0)
    _write[(blocks,)](*tables, start, before, state, until, bits, removed, lists, n, wide=wide, block=BLOCK)
    views = iter(mask.split(sizes))
    return [[next(views) for _ in group] for group in groups], _score(removed), last


@lru_cache(256)
def on_device(numbers: tuple[int, ...], device: torch.device) -> Tensor:
    """Numbers on the device, without waiting until they are."""
    return torch.tensor(numbers, pin_memory=device.type == "cuda").to(device, non_blocking=True)


@lru_cache(64)
def layout(sizes: tuple[int, ...], group_sizes: tuple[int, ...], device: torch.device, block: int) -> tuple:
    """Of every tensor: its first program, with the end of all behind; its group; where its mask starts. Of every group
    its first program. And how many programs there are."""
    blocks = [triton.cdiv(size, block) for size in sizes]
    first = [0, *accumulate(blocks)]
    heads = [0, *accumulate(group_sizes)][:-1]
    group_of = [g for g, many in enumerate(group_sizes) for _ in range(many)]
    starts = [0, *accumulate(sizes)][:-1]
    size = torch.tensor(sizes, device=device)
    tables = [torch.tensor(x, device=device) for x in (first, group_of, starts, [first[h] for h in heads])]
    return tables[0], torch.stack([tables[1], size]), tables[2], tables[3], first[-1]


def _score(keys: Tensor) -> Tensor:
    """The scores of keys; of -1: -inf."""
    bits = torch.where(keys >= 2**31, keys - 2**31, ~keys & 0xFFFFFFFF)
    signed = torch.where(bits >= 2**31, bits - 2**32, bits).to(torch.int32)
    return torch.where(keys < 0, -torch.inf, signed.view(torch.float32))


@triton.jit
def tensor_of(program, first_block, lists, wide: tl.constexpr):
    """Which tensor a program reads."""
    every = tl.arange(0, wide)
    firsts = tl.load(first_block + every, mask=every < lists, other=2**62)
    return tl.sum((firsts <= program).to(tl.int32), 0) - 1


@triton.jit
def _group(first_block, group_of, lists, wide: tl.constexpr):
    """Of this program's scores."""
    return tl.load(group_of + tensor_of(tl.program_id(0), first_block, lists, wide))


@triton.jit
def _keys(at, first_block, group_of, lists, wide: tl.constexpr, block: tl.constexpr):
    """This program's tensor, its group, positions in it, which of them exist, and the keys there."""
    program = tl.program_id(0).to(tl.int64)
    tensor = tensor_of(program, first_block, lists, wide)
    group, size = tl.load(group_of + tensor), tl.load(group_of + lists + tensor)
    where = (program - tl.load(first_block + tensor)) * block + tl.arange(0, block)
    real = where < size
    score = tl.load(tl.load(at + tensor).to(tl.pointer_type(tl.float32)) + where, mask=real, other=0.0)
    key = tl.where(score == score, _key_of(score), 0xFFFFFFFF).to(tl.uint32)
    return tensor, group, where, real, key


@triton.jit
def _key_of(score):
    """In the order of the scores; + 0.0, so that -0 is 0."""
    bits = (score + 0.0).to(tl.int32, bitcast=True)
    return tl.where(bits < 0, ~bits, bits ^ (-2147483648)).to(tl.uint32, bitcast=True)


@triton.jit
def _look(
    at, first_block, group_of, state, last, inside, lists, groups, room, wide: tl.constexpr, block: tl.constexpr
):  # fmt: skip
    """How many keys are above the window, and those in it, in any order."""
    _, group, _, real, key = _keys(at, first_block, group_of, lists, wide, block)
    low, high = tl.load(last + group), tl.load(last + groups + group)
    if low < high:
        above = real & (key > _key_of(high))
        tl.atomic_add(state + 4 * groups + group, tl.sum(above.to(tl.int64), 0))
        here = real & (key >= _key_of(low)) & ~above
        place = tl.atomic_add(state + 5 * groups + group + tl.zeros_like(key).to(tl.int64), 1, mask=here)
        tl.store(inside + group * room + place, key.to(tl.int32, bitcast=True), mask=here & (place < room))


@triton.jit
def _settle(state, inside, groups, room, block: tl.constexpr):
    """The cut among the keys in the window, bit by bit from the highest, if it is there."""
    group = tl.program_id(0)
    above, many = tl.load(state + 4 * groups + group), tl.load(state + 5 * groups + group)
    wanted = tl.load(state + groups + group) - above
    if (wanted > 0) & (wanted <= many) & (many <= room):
        cut = tl.zeros((), tl.uint32)
        there = many
        bit = tl.full((), 2147483648, tl.uint32)
        for _ in range(32):
            ones = tl.zeros((), tl.int64)
            first = tl.zeros((), tl.int64)
            while first < many:
                place = first + tl.arange(0, block)
                first += block
                key = tl.load(inside + group * room + place, mask=place < many, other=0).to(tl.uint32, bitcast=True)
                lower = bit - 1
                ones += tl.sum(((place < many) & ((key | lower) == (cut | bit | lower))).to(tl.int64), 0)
            one = wanted <= ones
            wanted = tl.where(one, wanted, wanted - ones)
            there = tl.where(one, ones, there - ones)
            cut = tl.where(one, cut | bit, cut)
            bit = bit // 2
        tl.store(state + group, cut.to(tl.int64))
        tl.store(state + groups + group, wanted)
        tl.store(state + 2 * groups + group, there)
        tl.store(state + 3 * groups + group, 1)


@triton.jit
def _count(
    at, first_block, group_of, state, found, lists, groups, shift,
    few: tl.constexpr, wide: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """How many of the keys whose higher bytes are the cut's have which byte here."""
    group = _group(first_block, group_of, lists, wide)
    if tl.load(state + 3 * groups + group) == 0:
        _, _, _, real, key = _keys(at, first_block, group_of, lists, wide, block)
        cut = tl.load(state + group).to(tl.uint32)
        inside = real & ((((key ^ cut) >> shift) >> 8) == 0)
        byte = ((key >> shift) & 255).to(tl.int32)
        if few:
            tl.atomic_add(found + group * 256 + byte, 1, mask=inside)
        else:
            counted = tl.histogram(byte, 256, mask=inside)
            place = tl.arange(0, 256)
            tl.atomic_add(found + group * 256 + place, counted, mask=counted > 0)


@triton.jit
def _narrow(state, found, groups, shift):
    """The cut's byte: the largest with as many keys at and above it as have to be kept."""
    group = tl.program_id(0)
    if tl.load(state + 3 * groups + group) == 0:
        place = tl.arange(0, 256)
        many = tl.load(found + group * 256 + place).to(tl.int64)
        wanted = tl.load(state + groups + group)
        above = tl.sum(many, 0) - tl.cumsum(many, 0)  # keys with a larger byte
        inside = (above < wanted) & (above + many >= wanted)
        byte = tl.sum(tl.where(inside, place, 0).to(tl.int64), 0)
        over = tl.sum(tl.where(inside, above, 0), 0)
        there = tl.sum(tl.where(inside, many, 0), 0)
        byte = tl.where(wanted > 0, byte, 255)  # to keep none: a cut above all, with none to keep at it
        tl.store(state + group, tl.load(state + group) | (byte << shift))
        tl.store(state + groups + group, wanted - over)
        tl.store(state + 2 * groups + group, there)


@triton.jit
def _follow(state, last, groups, room):
    """The next window, around the cut: four times what the cut has moved on either side, or as wide as before if that
    is more; half as wide where it held many, twice where it held few or the cut was beside it."""
    group = tl.program_id(0)
    key = tl.load(state + group)
    bits = tl.where(key >= 2147483648, key - 2147483648, 4294967295 - key)
    cut = bits.to(tl.uint32).to(tl.float32, bitcast=True)
    hit, many = tl.load(state + 3 * groups + group), tl.load(state + 5 * groups + group)
    before, width = tl.load(last + 2 * groups + group), tl.load(last + 4 * groups + group)
    moved = tl.abs(cut - before)
    moved = tl.where(moved == moved, moved, 0.0)
    width = tl.where(many > room // 4, width / 4, tl.where((many < room // 64) | (hit == 0), 2 * width, width))
    width = tl.maximum(width, tl.maximum(8 * moved, 1e-6 * tl.abs(cut) + 1e-30))
    width = tl.where(width < 1e30, width, 0.0)
    finite = tl.abs(cut) < 1e30
    tl.store(last + group, tl.where(finite, cut - width / 2, float("nan")))
    tl.store(last + groups + group, tl.where(finite, cut + width / 2, float("nan")))
    tl.store(last + 2 * groups + group, cut)
    tl.store(last + 3 * groups + group, tl.load(last + 3 * groups + group) + hit.to(tl.float32))
    tl.store(last + 4 * groups + group, width)


@triton.jit
def _equal(at, first_block, group_of, state, equals, lists, groups, wide: tl.constexpr, block: tl.constexpr):
    """How many keys of this program are the cut's, where not all of those stay."""
    group = _group(first_block, group_of, lists, wide)
    if tl.load(state + groups + group) < tl.load(state + 2 * groups + group):
        _, _, _, real, key = _keys(at, first_block, group_of, lists, wide, block)
        same = real & (key == tl.load(state + group).to(tl.uint32))
        tl.store(equals + tl.program_id(0), tl.sum(same.to(tl.int32), 0))


@triton.jit
def _write(
    at, first_block, group_of, start, before, state, until, mask, removed, lists, groups,
    wide: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """The mask: what is above the cut, and of what is at it the first so many. And the largest key removed."""
    program = tl.program_id(0)
    tensor, group, where, real, key = _keys(at, first_block, group_of, lists, wide, block)
    cut, wanted = tl.load(state + group).to(tl.uint32), tl.load(state + groups + group)
    stays = key > cut
    if wanted < tl.load(state + 2 * groups + group):
        same = real & (key == cut)
        earlier = tl.load(until + program - 1, mask=program > 0, other=0)
        first = tl.load(before + group)
        earlier -= tl.load(until + first - 1, mask=first > 0, other=0)
        stays = stays | (same & (earlier + tl.cumsum(same.to(tl.int32), 0) <= wanted))
    else:
        stays = stays | ((key == cut) & (wanted > 0))
    tl.store(mask + tl.load(start + tensor) + where, stays.to(tl.uint8), mask=real)
    gone = tl.max(tl.where(real & ~stays, key, 0), 0).to(tl.int64)
    some = tl.max((real & ~stays).to(tl.int32), 0)
    tl.atomic_max(removed + group, tl.where(some > 0, gone, -1))
