"""Top_v(S) on a GPU, exactly: no sorting, and the host never waits for the device.

Scores become 32-bit keys of the same order.

1. One pass counts the keys above a narrow window around the last step's cut, and collects those in the window.
2. The cut is found among these few, bit by bit.
3. If it lies outside, or if there was no last step, four more passes count one byte each of the keys still in question.
   Each kernel decides on the device which path applies.
4. A last pass writes the masks.

All matrices are selected at once. Among equal scores at the cut the earlier positions stay, as in selection.by_sorting,
which this must agree with (tests/masks/test_selection_cuda.py). NaN ranks as the largest score, as there.
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
BYTES = (24, 16, 8, 0)  # how far each byte is shifted, the highest first


def select(
    groups: list[list[Tensor]], counts: list[int] | Tensor, windows: Tensor | None = None
) -> tuple[list[list[Tensor]], Tensor, Tensor]:
    """Select the `counts` largest scores of every group of flat, contiguous float32 tensors.

    Args:
        groups: Tensors that are ranked together.
        counts: How many scores stay, [groups]; a tensor is on the device.
        windows: What the last step returned, or None. It is written to.

    Returns:
        The bool masks of every group, views of one tensor in the order of the groups. The largest removed score of
        every group, [groups], -inf if none is removed. The windows for the next step, [5, groups]: low end, high end,
        cut, number of hits so far, width of the next window.
    """
    parts = [x.detach() for group in groups for x in group]
    sizes, device = tuple(x.numel() for x in parts), parts[0].device
    group_sizes = tuple(sum(x.numel() for x in group) for group in groups)
    first_block, group_of, start, group_block, blocks = layout(sizes, tuple(map(len, groups)), device, BLOCK)
    if not isinstance(counts, Tensor):
        counts = on_device(tuple(min(max(c, 0), n) for c, n in zip(counts, group_sizes, strict=True)), device)
    n, tensors, wide = len(groups), len(parts), triton.next_power_of_2(len(parts))
    room = min(ROOM, triton.next_power_of_2(max(group_sizes)))
    if windows is None or windows.shape[1] != n or windows.device != device:
        windows = torch.zeros(5, n, device=device)
        windows[:3].fill_(torch.nan)
    # By group: the cut's key, how many keys still to keep at it, how many keys equal it, whether the window held it,
    # how many keys are above the window, and how many in it.
    state = torch.zeros(6, n, dtype=torch.int64, device=device)
    state[1] = counts
    histogram = torch.zeros(len(BYTES), n, 256, dtype=torch.int32, device=device)
    inside = torch.empty(n, room, dtype=torch.int32, device=device)
    tables = (on_device(tuple(x.data_ptr() for x in parts), device), first_block, group_of)
    _look[(blocks,)](*tables, state, windows, inside, tensors, n, room, wide=wide, block=BLOCK)
    _settle[(n,)](state, inside, n, room, block=1024)
    for turn, shift in enumerate(BYTES):
        _count[(blocks,)](*tables, state, histogram[turn], tensors, n, shift, few=turn > 1, wide=wide, block=BLOCK)
        _narrow[(n,)](state, histogram[turn], n, shift)
    _follow[(n,)](state, windows, n, room)
    equals = torch.zeros(blocks, dtype=torch.int32, device=device)
    _equal[(blocks,)](*tables, state, equals, tensors, n, wide=wide, block=BLOCK)
    mask = torch.empty(sum(sizes), dtype=torch.bool, device=device)
    removed = torch.full((n,), -1, dtype=torch.int64, device=device)
    bits, until = mask.view(torch.uint8), equals.cumsum(0)
    _write[(blocks,)](*tables, start, group_block, state, until, bits, removed, tensors, n, wide=wide, block=BLOCK)
    views = iter(mask.split(sizes))
    return [[next(views) for _ in group] for group in groups], _score(removed), windows


@lru_cache(256)
def on_device(numbers: tuple[int, ...], device: torch.device) -> Tensor:
    """Return the numbers as a tensor on the device, without waiting for the copy."""
    return torch.tensor(numbers, pin_memory=device.type == "cuda").to(device, non_blocking=True)


@lru_cache(64)
def layout(sizes: tuple[int, ...], group_lengths: tuple[int, ...], device: torch.device, block: int) -> tuple:
    """Lay tensors out over programs, each of which reads `block` scores of one tensor.

    Returns:
        Per tensor: index of its first program, then the total.
        Per tensor: its group and its size, [2, tensors].
        Per tensor: where its mask starts.
        Per group: index of its first program.
        The number of programs.
    """
    blocks = [triton.cdiv(size, block) for size in sizes]
    first_block = [0, *accumulate(blocks)]
    first_tensor = [0, *accumulate(group_lengths)][:-1]
    group_of = [g for g, length in enumerate(group_lengths) for _ in range(length)]
    starts = [0, *accumulate(sizes)][:-1]
    size = torch.tensor(sizes, device=device)
    group_block = [first_block[i] for i in first_tensor]
    tables = [torch.tensor(x, device=device) for x in (first_block, group_of, starts, group_block)]
    return tables[0], torch.stack([tables[1], size]), tables[2], tables[3], first_block[-1]


def _score(keys: Tensor) -> Tensor:
    """Return the scores of keys, -inf for the key -1."""
    bits = torch.where(keys >= 2**31, keys - 2**31, ~keys & 0xFFFFFFFF)
    signed = torch.where(bits >= 2**31, bits - 2**32, bits).to(torch.int32)
    return torch.where(keys < 0, -torch.inf, signed.view(torch.float32))


@triton.jit
def tensor_of(program, first_block, tensors, wide: tl.constexpr):
    """Return which tensor a program reads."""
    index = tl.arange(0, wide)
    firsts = tl.load(first_block + index, mask=index < tensors, other=2**62)
    return tl.sum((firsts <= program).to(tl.int32), 0) - 1


@triton.jit
def _group(first_block, group_of, tensors, wide: tl.constexpr):
    """Return the group of this program's scores."""
    return tl.load(group_of + tensor_of(tl.program_id(0), first_block, tensors, wide))


@triton.jit
def _keys(pointers, first_block, group_of, tensors, wide: tl.constexpr, block: tl.constexpr):
    """Return this program's tensor, its group, the positions in it, which of them exist, and their keys."""
    program = tl.program_id(0).to(tl.int64)
    tensor = tensor_of(program, first_block, tensors, wide)
    group, size = tl.load(group_of + tensor), tl.load(group_of + tensors + tensor)
    position = (program - tl.load(first_block + tensor)) * block + tl.arange(0, block)
    exists = position < size
    score = tl.load(tl.load(pointers + tensor).to(tl.pointer_type(tl.float32)) + position, mask=exists, other=0.0)
    key = tl.where(score == score, _key_of(score), 0xFFFFFFFF).to(tl.uint32)
    return tensor, group, position, exists, key


@triton.jit
def _key_of(score):
    """Return keys in the order of the scores. + 0.0 turns -0 into 0."""
    bits = (score + 0.0).to(tl.int32, bitcast=True)
    return tl.where(bits < 0, ~bits, bits ^ (-2147483648)).to(tl.uint32, bitcast=True)


@triton.jit
def _look(
    pointers, first_block, group_of, state, windows, inside, tensors, groups, room,
    wide: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Count the keys above the window, and collect those in it, in any order."""
    _, group, _, exists, key = _keys(pointers, first_block, group_of, tensors, wide, block)
    low, high = tl.load(windows + group), tl.load(windows + groups + group)
    if low < high:
        above = exists & (key > _key_of(high))
        tl.atomic_add(state + 4 * groups + group, tl.sum(above.to(tl.int64), 0))
        within = exists & (key >= _key_of(low)) & ~above
        slot = tl.atomic_add(state + 5 * groups + group + tl.zeros_like(key).to(tl.int64), 1, mask=within)
        tl.store(inside + group * room + slot, key.to(tl.int32, bitcast=True), mask=within & (slot < room))


@triton.jit
def _settle(state, inside, groups, room, block: tl.constexpr):
    """Find the cut among the keys in the window, bit by bit from the highest, if it lies there."""
    group = tl.program_id(0)
    above, within = tl.load(state + 4 * groups + group), tl.load(state + 5 * groups + group)
    wanted = tl.load(state + groups + group) - above
    if (wanted > 0) & (wanted <= within) & (within <= room):
        cut = tl.zeros((), tl.uint32)
        equal = within  # keys that agree with the cut's bits so far
        bit = tl.full((), 2147483648, tl.uint32)
        for _ in range(32):
            ones = tl.zeros((), tl.int64)
            slot = tl.zeros((), tl.int64)
            while slot < within:
                slots = slot + tl.arange(0, block)
                slot += block
                key = tl.load(inside + group * room + slots, mask=slots < within, other=0).to(tl.uint32, bitcast=True)
                lower = bit - 1
                ones += tl.sum(((slots < within) & ((key | lower) == (cut | bit | lower))).to(tl.int64), 0)
            is_one = wanted <= ones
            wanted = tl.where(is_one, wanted, wanted - ones)
            equal = tl.where(is_one, ones, equal - ones)
            cut = tl.where(is_one, cut | bit, cut)
            bit = bit // 2
        tl.store(state + group, cut.to(tl.int64))
        tl.store(state + groups + group, wanted)
        tl.store(state + 2 * groups + group, equal)
        tl.store(state + 3 * groups + group, 1)


@triton.jit
def _count(
    pointers, first_block, group_of, state, histogram, tensors, groups, shift,
    few: tl.constexpr, wide: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Count the values of one byte, over the keys whose higher bytes are the cut's."""
    group = _group(first_block, group_of, tensors, wide)
    if tl.load(state + 3 * groups + group) == 0:
        _, _, _, exists, key = _keys(pointers, first_block, group_of, tensors, wide, block)
        cut = tl.load(state + group).to(tl.uint32)
        candidate = exists & ((((key ^ cut) >> shift) >> 8) == 0)
        byte = ((key >> shift) & 255).to(tl.int32)
        if few:
            tl.atomic_add(histogram + group * 256 + byte, 1, mask=candidate)
        else:
            counted = tl.histogram(byte, 256, mask=candidate)
            values = tl.arange(0, 256)
            tl.atomic_add(histogram + group * 256 + values, counted, mask=counted > 0)


@triton.jit
def _narrow(state, histogram, groups, shift):
    """Set the cut's byte: the largest with as many keys at and above it as have to be kept."""
    group = tl.program_id(0)
    if tl.load(state + 3 * groups + group) == 0:
        values = tl.arange(0, 256)
        counted = tl.load(histogram + group * 256 + values).to(tl.int64)
        wanted = tl.load(state + groups + group)
        above = tl.sum(counted, 0) - tl.cumsum(counted, 0)  # keys with a larger byte
        at_cut = (above < wanted) & (above + counted >= wanted)
        byte = tl.sum(tl.where(at_cut, values, 0).to(tl.int64), 0)
        over = tl.sum(tl.where(at_cut, above, 0), 0)
        equal = tl.sum(tl.where(at_cut, counted, 0), 0)
        byte = tl.where(wanted > 0, byte, 255)  # to keep none: a cut above all keys, with none to keep at it
        tl.store(state + group, tl.load(state + group) | (byte << shift))
        tl.store(state + groups + group, wanted - over)
        tl.store(state + 2 * groups + group, equal)


@triton.jit
def _follow(state, windows, groups, room):
    """Place the next window around the cut.

    The old width is quartered where the window held many keys, and doubled where it held few or missed the cut. The new
    width is that or 8 × the cut's last move, whichever is larger.
    """
    group = tl.program_id(0)
    key = tl.load(state + group)
    bits = tl.where(key >= 2147483648, key - 2147483648, 4294967295 - key)
    cut = bits.to(tl.uint32).to(tl.float32, bitcast=True)
    hit, within = tl.load(state + 3 * groups + group), tl.load(state + 5 * groups + group)
    last_cut, width = tl.load(windows + 2 * groups + group), tl.load(windows + 4 * groups + group)
    move = tl.abs(cut - last_cut)
    move = tl.where(move == move, move, 0.0)
    width = tl.where(within > room // 4, width / 4, tl.where((within < room // 64) | (hit == 0), 2 * width, width))
    width = tl.maximum(width, tl.maximum(8 * move, 1e-6 * tl.abs(cut) + 1e-30))
    width = tl.where(width < 1e30, width, 0.0)
    finite = tl.abs(cut) < 1e30
    tl.store(windows + group, tl.where(finite, cut - width / 2, float("nan")))
    tl.store(windows + groups + group, tl.where(finite, cut + width / 2, float("nan")))
    tl.store(windows + 2 * groups + group, cut)
    tl.store(windows + 3 * groups + group, tl.load(windows + 3 * groups + group) + hit.to(tl.float32))
    tl.store(windows + 4 * groups + group, width)


@triton.jit
def _equal(
    pointers, first_block, group_of, state, equals, tensors, groups, wide: tl.constexpr, block: tl.constexpr
):  # fmt: skip
    """Count this program's keys that equal the cut's, where not all of those stay."""
    group = _group(first_block, group_of, tensors, wide)
    if tl.load(state + groups + group) < tl.load(state + 2 * groups + group):
        _, _, _, exists, key = _keys(pointers, first_block, group_of, tensors, wide, block)
        equal = exists & (key == tl.load(state + group).to(tl.uint32))
        tl.store(equals + tl.program_id(0), tl.sum(equal.to(tl.int32), 0))


@triton.jit
def _write(
    pointers, first_block, group_of, start, group_block, state, until, mask, removed, tensors, groups,
    wide: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Write the mask: the keys above the cut, and the first of those at it. Also find the largest removed key."""
    program = tl.program_id(0)
    tensor, group, position, exists, key = _keys(pointers, first_block, group_of, tensors, wide, block)
    cut, wanted = tl.load(state + group).to(tl.uint32), tl.load(state + groups + group)
    stays = key > cut
    if wanted < tl.load(state + 2 * groups + group):
        equal = exists & (key == cut)
        earlier = tl.load(until + program - 1, mask=program > 0, other=0)
        group_start = tl.load(group_block + group)
        earlier -= tl.load(until + group_start - 1, mask=group_start > 0, other=0)
        stays = stays | (equal & (earlier + tl.cumsum(equal.to(tl.int32), 0) <= wanted))
    else:
        stays = stays | ((key == cut) & (wanted > 0))
    tl.store(mask + tl.load(start + tensor) + position, stays.to(tl.uint8), mask=exists)
    largest = tl.max(tl.where(exists & ~stays, key, 0), 0).to(tl.int64)
    removes = tl.max((exists & ~stays).to(tl.int32), 0)
    tl.atomic_max(removed + group, tl.where(removes > 0, largest, -1))
