"""The hard propagators: the twins of the rules' ``support``, on the words of domains.

Each one reads the domains ``old`` and takes from ``new`` what its constraint does not leave. In a search both are the
same array: masks are complete before anything is taken. What is taken is logged: variable, word, and the word before.

Arguments of all: the program, the places of the rule's data and of the scope, the arity, the number of words of a
domain, the domains, the log, how many entries it has, working memory. Returned is the number of entries afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from drawgrad.kernels.cpu.jit import device_function

__all__ = ["narrow"]

ONE = np.int64(1)
ALL = np.int64(-1)
NONE = np.int64(0)


@device_function()
def bit(value: Any) -> Any:
    """The bit of a value in its word."""
    return ONE << np.int64(value & 63)


@device_function()
def whole_word(values: Any, word: Any) -> Any:
    """The bits of a word that are values."""
    rest = values - 64 * word
    if rest >= 64:
        return ALL
    return (ONE << np.int64(rest)) - ONE if rest > 0 else NONE


@device_function()
def keep(new: Any, variable: Any, word: Any, mask: Any, log: Any, count: Any) -> Any:
    """Take from a word all but a mask."""
    before = new[variable, word]
    after = before & mask
    if after != before:
        log[count, 0] = variable
        log[count, 1] = word
        log[count, 2] = before
        new[variable, word] = after
        count += 1
    return count


@device_function()
def keep_all(code: Any, scope: Any, arity: Any, words: Any, new: Any, masks: Any, log: Any, count: Any) -> Any:
    """Take from the domains of a scope all but their masks, one word after the other."""
    for place in range(arity):
        for word in range(words):
            count = keep(new, code[scope + place], word, masks[place * words + word], log, count)
    return count


@device_function()
def population(old: Any, variable: Any, words: Any) -> Any:
    """How many values a domain has: 0, 1, or 2 for more."""
    found = 0
    for word in range(words):
        bits = old[variable, word]
        if bits != 0:
            if found > 0 or bits & (bits - 1) != 0:
                return 2
            found = 1
    return found


@device_function()
def distinct(code: Any, data: Any, scope: Any, arity: Any, words: Any, old: Any, masks: Any, work: Any) -> Any:
    """All different. Working memory: the bits of one or more, of two or more, and the sizes."""
    empty = 0
    for word in range(2 * words):
        work[word] = 0
    for place in range(arity):
        variable = code[scope + place]
        size = population(old, variable, words)
        work[2 * words + place] = size
        if size == 0:
            empty += 1
        elif size == 1:
            for word in range(words):
                bits = old[variable, word]
                work[words + word] |= work[word] & bits
                work[word] |= bits
    for place in range(arity):
        size = work[2 * words + place]
        others_empty = empty - (1 if size == 0 else 0)
        for word in range(words):
            taken = work[words + word] if size == 1 else work[word]
            masks[place * words + word] = NONE if others_empty > 0 else ~taken
    covered = code[data]
    if covered > 0:
        for word in range(2 * words):
            work[word] = 0
        for place in range(arity):
            for word in range(words):
                bits = old[code[scope + place], word]
                work[words + word] |= work[word] & bits
                work[word] |= bits
        for place in range(arity):
            cover(code[scope + place], place, words, old, covered, masks, work)


@device_function()
def distinct_word(code: Any, data: Any, scope: Any, arity: Any, old: Any, new: Any, log: Any, count: Any) -> Any:
    """All different, of up to 64 values: the same in registers, for boards by the ten thousand."""
    once, twice, possible, shared = NONE, NONE, NONE, NONE
    empty = 0
    for place in range(arity):
        bits = old[code[scope + place], 0]
        shared |= possible & bits
        possible |= bits
        alone = bits if bits & (bits - 1) == 0 else NONE
        twice |= once & alone
        once |= alone
        empty += 1 if bits == 0 else 0
    covered = whole_word(code[data], 0)
    missing, unique = covered & ~possible, covered & possible & ~shared
    # Nothing to take: no value that is taken is possible elsewhere, and none has a last place that is still open.
    if (once & shared) | missing | (unique & ~once) == 0 and empty == 0:
        return count
    for place in range(arity):
        variable = code[scope + place]
        bits = old[variable, 0]
        mask = ~twice if bits & (bits - 1) == 0 else ~once
        if empty > (1 if bits == 0 else 0):
            mask = NONE
        own = missing | (unique & bits)
        if own != 0:
            mask &= (NONE if own & (own - 1) != 0 else own) | ~covered
        count = keep(new, variable, 0, mask, log, count)
    return count


@device_function()
def cover(variable: Any, place: Any, words: Any, old: Any, covered: Any, masks: Any, work: Any) -> Any:
    """A variable that alone can take a value must take it: narrow its mask."""
    lonely, several = False, False
    for word in range(words):
        own = lone(variable, words, word, old, covered, work)
        if own != 0:
            several = several or lonely or own & (own - 1) != 0
            lonely = True
    if lonely:
        for word in range(words):
            own = NONE if several else lone(variable, words, word, old, covered, work)
            masks[place * words + word] &= own | ~whole_word(covered, word)


@device_function()
def lone(variable: Any, words: Any, word: Any, old: Any, covered: Any, work: Any) -> Any:
    """The values below ``covered`` that no other variable of the scope can take."""
    only = work[word] & ~work[words + word] & old[variable, word]
    return whole_word(covered, word) & (~work[word] | only)


@device_function()
def pairs(code: Any, data: Any, scope: Any, arity: Any, words: Any, old: Any, masks: Any, work: Any) -> Any:
    """Two variables, and the partners of each value."""
    values, width = code[data], code[data + 1]
    for side in range(2):
        variable, other = code[scope + side], code[scope + 1 - side]
        partners = data + 2 + side * values * width
        for word in range(words):
            masks[side * words + word] = 0
        for value in range(values):
            if old[variable, value >> 6] & bit(value) != 0:
                for word in range(width):
                    if code[partners + value * width + word] & old[other, word] != 0:
                        masks[side * words + (value >> 6)] |= bit(value)
                        break


@device_function()
def tuples(code: Any, data: Any, scope: Any, arity: Any, words: Any, old: Any, masks: Any, work: Any) -> Any:
    """Listed tuples."""
    for place in range(arity * words):
        masks[place] = 0
    for number in range(code[data]):
        row = data + 1 + number * arity
        possible = True
        for place in range(arity):
            value = code[row + place]
            if old[code[scope + place], value >> 6] & bit(value) == 0:
                possible = False
                break
        if possible:
            for place in range(arity):
                value = code[row + place]
                masks[place * words + (value >> 6)] |= bit(value)


@device_function()
def sums(code: Any, data: Any, scope: Any, arity: Any, words: Any, old: Any, masks: Any, work: Any) -> Any:
    """Weighted sums. Working memory: places of the steps, and the sums that can be reached from either end."""
    total = code[data]
    left = arity
    right = left + arity * total
    for place in range(arity * words):
        masks[place] = 0
    for place in range(left, right + arity * total):
        work[place] = 0
    at = data + 1 + total
    for place in range(arity):
        work[place] = at
        at += 1 + code[at]
    work[left] = 1
    for number in range(total):
        work[right + (arity - 1) * total + number] = code[data + 1 + number]
    for place in range(arity - 1):
        variable, at = code[scope + place], work[place]
        for value in range(code[at]):
            if old[variable, value >> 6] & bit(value) != 0:
                step = code[at + 1 + value]
                for number in range(total - step):
                    work[left + (place + 1) * total + number + step] |= work[left + place * total + number]
    for place in range(arity - 1, 0, -1):
        variable, at = code[scope + place], work[place]
        for value in range(code[at]):
            if old[variable, value >> 6] & bit(value) != 0:
                step = code[at + 1 + value]
                for number in range(total - step):
                    work[right + (place - 1) * total + number] |= work[right + place * total + number + step]
    for place in range(arity):
        variable, at = code[scope + place], work[place]
        for value in range(code[at]):
            if old[variable, value >> 6] & bit(value) != 0:
                step = code[at + 1 + value]
                for number in range(total - step):
                    if work[left + place * total + number] & work[right + place * total + number + step] != 0:
                        masks[place * words + (value >> 6)] |= bit(value)
                        break


@device_function()
def literals(code: Any, data: Any, scope: Any, arity: Any, words: Any, old: Any, masks: Any, work: Any) -> Any:
    """A clause."""
    positive = code[data]
    able, last = 0, 0
    for place in range(arity):
        masks[place] = ALL
        true = 2 if place < positive else 1
        if old[code[scope + place], 0] & true != 0:
            able += 1
            last = place
    for place in range(arity):
        if able == 0 or (able == 1 and place == last):
            masks[place] = 2 if place < positive else 1


@device_function()
def lookup(code: Any, data: Any, scope: Any, arity: Any, words: Any, old: Any, masks: Any, work: Any) -> Any:
    """An element of an array of variables. Working memory: whether each place is chosen (2), and matches then (1)."""
    index, result = code[scope], code[scope + 1]
    for place in range(2 * words):
        masks[place] = 0
    hits = 0
    for place in range(arity - 2):
        matches = False
        for word in range(words):
            if old[code[scope + 2 + place], word] & old[result, word] != 0:
                matches = True
        inside = place < 64 * words
        chosen = inside and old[index, place >> 6] & bit(place) != 0
        if matches and inside:
            masks[place >> 6] |= bit(place)
        if chosen:
            for word in range(words):
                masks[words + word] |= old[code[scope + 2 + place], word]
        work[place] = (2 if chosen else 0) + (1 if matches and chosen else 0)
        hits += work[place] & 1
    for place in range(arity - 2):
        elsewhere = hits - (work[place] & 1) > 0
        for word in range(words):
            mask = old[result, word] if work[place] >= 2 else NONE
            masks[(2 + place) * words + word] = ALL if elsewhere else mask


@device_function()
def matched(code: Any, data: Any, scope: Any, arity: Any, words: Any, old: Any, masks: Any, work: Any) -> Any:
    """All different, by matching. Working memory: sets that can be taken before a variable, and may be after it."""
    values = code[data]
    sets = 1 << values
    right = arity * sets
    for place in range(arity * words):
        masks[place] = 0
    for place in range(2 * arity * sets):
        work[place] = 0
    work[0] = 1
    for taken in range(sets):
        work[right + (arity - 1) * sets + taken] = 1
    for place in range(arity - 1):
        bits = old[code[scope + place], 0]
        for taken in range(sets):
            if work[place * sets + taken] != 0:
                for value in range(values):
                    if bits & ~taken & bit(value) != 0:
                        work[(place + 1) * sets + taken + (1 << value)] = 1
    for place in range(arity - 1, 0, -1):
        bits = old[code[scope + place], 0]
        for taken in range(sets):
            for value in range(values):
                if bits & ~taken & bit(value) != 0 and work[right + place * sets + taken + (1 << value)] != 0:
                    work[right + (place - 1) * sets + taken] = 1
                    break
    for place in range(arity):
        for taken in range(sets):
            if work[place * sets + taken] != 0:
                for value in range(values):
                    if ~taken & bit(value) != 0 and work[right + place * sets + taken + (1 << value)] != 0:
                        masks[place * words] |= bit(value)


@device_function()
def narrow(code: Any, constraint: Any, old: Any, new: Any, log: Any, count: Any, masks: Any, work: Any) -> Any:
    """Narrow the domains ``new`` by one constraint."""
    words = code[3]
    at = code[code[5] + constraint]
    rule, arity, scope = code[at], code[at + 1], at + 2
    kind, data = code[rule], rule + 1
    if kind == 1 and words == 1:
        return distinct_word(code, data, scope, arity, old, new, log, count)
    if kind == 1:
        distinct(code, data, scope, arity, words, old, masks, work)
    elif kind == 2:
        pairs(code, data, scope, arity, words, old, masks, work)
    elif kind == 3:
        tuples(code, data, scope, arity, words, old, masks, work)
    elif kind == 4:
        sums(code, data, scope, arity, words, old, masks, work)
    elif kind == 5:
        literals(code, data, scope, arity, words, old, masks, work)
    elif kind == 6:
        lookup(code, data, scope, arity, words, old, masks, work)
    else:
        matched(code, data, scope, arity, words, old, masks, work)
    return keep_all(code, scope, arity, words, new, masks, log, count)
