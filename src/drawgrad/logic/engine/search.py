"""The kernels that loop over problems: rounds of propagation, and depth-first search that can be interrupted.

A search keeps its state in arrays, so that it can stop after some nodes and go on later, in the middle of a problem:

* ``state``: what :data:`BUSY` and the names after it say;
* ``log``: what was taken from domains, to be undone; ``levels``: for each decision the length of the log before it,
  its variable and its value;
* ``queue``: constraints to run, a ring; ``queued``: which ones are in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from drawgrad.kernels.cpu.jit import device_function, kernel
from drawgrad.logic.engine.narrow import NONE, bit, keep, narrow, population

__all__ = ["COMPLETE", "LIMIT", "NODES", "STATE", "TIME", "rounds", "search"]

COMPLETE, LIMIT, NODES, TIME = 0, 1, 2, 3
"""How a search ended: all was searched; enough solutions; too many nodes; too long."""
BUSY, LOGGED, LEVEL, HEAD, LENGTH, CUT = 0, 1, 2, 3, 4, 5
"""Whether a problem is under way, entries of the log, decisions, the queue's first place and length, and whether this
pass left out something because of its score."""
STATE = 6


@kernel
def rounds(
    code: Any, domains: Any, count: Any, old: Any, log: Any, masks: Any, work: Any, start: Any, stop: Any
) -> Any:
    """Rounds in which all constraints see the domains of the round before; a negative count goes on to the end."""
    for problem in range(start, stop):
        done = 0
        while done != count:
            for variable in range(code[1]):
                for word in range(code[3]):
                    old[variable, word] = domains[problem, variable, word]
            taken = 0
            for constraint in range(code[4]):
                # The log is for a search; a round may take more than it holds, one constraint does not.
                if narrow(code, constraint, old, domains[problem], log, 0, masks, work) > 0:
                    taken = 1
            done += 1
            if taken == 0:
                break


@device_function()
def awake(code: Any, variable: Any, state: Any, queue: Any, queued: Any) -> Any:
    """Queue the constraints of a variable."""
    starts, lists = code[6], code[7]
    for at in range(code[starts + variable], code[starts + variable + 1]):
        constraint = code[lists + at]
        if queued[constraint] == 0:
            queued[constraint] = 1
            place = state[HEAD] + state[LENGTH]
            queue[place - len(queue) if place >= len(queue) else place] = constraint
            state[LENGTH] += 1


@device_function()
def take(
    code: Any, domain: Any, variable: Any, word: Any, mask: Any, log: Any, state: Any, queue: Any, queued: Any
) -> Any:
    """Narrow one word of a domain by hand."""
    before = state[LOGGED]
    state[LOGGED] = keep(domain, variable, word, mask, log, before)
    if state[LOGGED] > before:
        awake(code, variable, state, queue, queued)


@device_function()
def settle(code: Any, domain: Any, log: Any, masks: Any, work: Any, state: Any, queue: Any, queued: Any) -> Any:
    """Run the queue empty; whether no domain became empty."""
    words = code[3]
    good = True
    while state[LENGTH] > 0:
        constraint = queue[state[HEAD]]
        state[HEAD] = state[HEAD] + 1 if state[HEAD] + 1 < len(queue) else 0
        state[LENGTH] -= 1
        queued[constraint] = 0
        if not good:
            continue
        before = state[LOGGED]
        state[LOGGED] = narrow(code, constraint, domain, domain, log, before, masks, work)
        for entry in range(before, state[LOGGED]):
            variable = log[entry, 0]
            if population(domain, variable, words) == 0:
                good = False
            awake(code, variable, state, queue, queued)
    return good


@device_function()
def choose(code: Any, domain: Any) -> Any:
    """The first variable with the fewest values, of those with several; -1 if there is none."""
    found, fewest = -1, 64 * code[3] + 1
    for variable in range(code[1]):
        size = 0
        for word in range(code[3]):
            bits = domain[variable, word]
            while bits != 0:
                bits &= bits - 1
                size += 1
        if 1 < size < fewest:
            found, fewest = variable, size
            if size == 2:
                break
    return found


@device_function()
def bound(code: Any, domain: Any, scores: Any) -> Any:
    """The sum of each variable's best score: no solution below is better."""
    total = 0.0
    for variable in range(code[1]):
        total += best_of(code, domain, variable, scores)
    return total


@device_function()
def best_of(code: Any, domain: Any, variable: Any, scores: Any) -> Any:
    """The best score of a variable's values."""
    best = -np.inf
    for value in range(code[2]):
        if domain[variable, value >> 6] & bit(value) != 0 and scores[variable, value] > best:
            best = scores[variable, value]
    return best


@device_function()
def expel(code: Any, domain: Any, scores: Any, spare: Any, log: Any, state: Any, queue: Any, queued: Any) -> Any:
    """Take the values that cost more than there is to spare; whether there were any."""
    before = state[LOGGED]
    for variable in range(code[1]):
        least = best_of(code, domain, variable, scores) - spare
        for value in range(code[2]):
            if domain[variable, value >> 6] & bit(value) != 0 and scores[variable, value] <= least:
                take(code, domain, variable, value >> 6, ~bit(value), log, state, queue, queued)
    return state[LOGGED] > before


@device_function()
def undo(domain: Any, log: Any, length: Any, state: Any) -> Any:
    """Put back what was taken since the log had that length."""
    while state[LOGGED] > length:
        state[LOGGED] -= 1
        entry = state[LOGGED]
        domain[log[entry, 0], log[entry, 1]] = log[entry, 2]


@device_function()
def awake_all(code: Any, state: Any, queue: Any, queued: Any) -> Any:
    """Queue every constraint."""
    for constraint in range(code[4]):
        queue[constraint] = constraint
        queued[constraint] = 1
    state[HEAD] = 0
    state[LENGTH] = code[4]


@device_function()
def first_value(code: Any, domain: Any, variable: Any, scores: Any) -> Any:
    """The value to try first: the one with the best score, or the first of equals."""
    found, best = -1, -np.inf
    for value in range(code[2]):
        if domain[variable, value >> 6] & bit(value) != 0:
            score = scores[variable, value] if len(scores) > 0 else 0.0
            if found < 0 or score > best:
                found, best = value, score
    return found


@kernel
def search(
    code: Any, domains: Any, scores: Any, limit: Any, most: Any, solutions: Any, report: Any, best: Any, slack: Any,
    log: Any, levels: Any, masks: Any, work: Any, state: Any, queue: Any, queued: Any,
    start: Any, stop: Any, budget: Any,
) -> Any:  # fmt: skip
    """Search the problems from ``start`` on until ``stop``, or until the budget of nodes is spent.

    Without scores it finds solutions in order up to the limit. With scores it finds the best one, in passes: each looks
    for solutions whose score is less than ``slack`` below the sum of the best scores of the variables, and the first
    pass that has any has the best. What is too costly for a pass is taken from the domains before it is tried, so that
    a pass with little slack is short. ``report`` gets the number of solutions, how the search ended, and its nodes.
    Returns the problem that is under way.
    """
    variables, words = code[1], code[3]
    by_score = scores.shape[2] > 0
    for problem in range(start, stop):
        domain = domains[problem]
        own = scores[problem]
        good = True
        if state[BUSY] == 0:
            state[:] = 0
            state[BUSY] = 1
            best[problem] = -np.inf
            slack[problem] = 0.0
            for variable in range(variables):
                if by_score:
                    for value in range(code[2]):
                        if own[variable, value] == -np.inf:
                            domain[variable, value >> 6] &= ~bit(value)
                good = good and population(domain, variable, words) > 0
            awake_all(code, state, queue, queued)
        while True:
            # Every turn runs the queue empty, and then goes one decision down, or back to the last one.
            good = settle(code, domain, log, masks, work, state, queue, queued) and good
            if good and by_score:
                total = bound(code, domain, own)
                if best[problem] == -np.inf:
                    slack[problem] = 1.0 if slack[problem] == 0 else 2 * slack[problem]
                    best[problem] = total - slack[problem]
                good = total > best[problem]
                if not good:
                    state[CUT] = 1
                elif expel(code, domain, own, total - best[problem], log, state, queue, queued):
                    state[CUT] = 1
                    continue
            variable = choose(code, domain) if good else -1
            if variable >= 0:
                if report[problem, 2] == most:
                    report[problem, 1] = NODES
                    break
                report[problem, 2] += 1
                budget -= 1
                value = first_value(code, domain, variable, own)
                level = state[LEVEL]
                levels[level, 0] = state[LOGGED]
                levels[level, 1] = variable
                levels[level, 2] = value
                state[LEVEL] += 1
                for word in range(words):
                    mask = bit(value) if word == value >> 6 else NONE
                    take(code, domain, variable, word, mask, log, state, queue, queued)
            else:
                if good:
                    number = 0 if by_score else report[problem, 0]
                    for each in range(variables):
                        solutions[problem, number, each] = first_value(code, domain, each, own[:0])
                    report[problem, 0] = number + 1
                    if by_score:
                        best[problem] = bound(code, domain, own)
                    elif report[problem, 0] == limit:
                        report[problem, 1] = LIMIT
                        break
                if state[LEVEL] == 0:
                    if by_score and report[problem, 0] == 0 and state[CUT] == 1 and slack[problem] < np.inf:
                        # Nothing yet, and not everything was looked at: the next pass has twice the slack.
                        undo(domain, log, 0, state)
                        awake_all(code, state, queue, queued)
                        best[problem] = -np.inf
                        state[CUT] = 0
                        good = True
                        continue
                    report[problem, 1] = COMPLETE
                    break
                state[LEVEL] -= 1
                level = state[LEVEL]
                undo(domain, log, levels[level, 0], state)
                variable, value = levels[level, 1], levels[level, 2]
                take(code, domain, variable, value >> 6, ~bit(value), log, state, queue, queued)
                good = True
            if budget <= 0:
                return problem
        state[BUSY] = 0
        for at in range(state[LENGTH]):
            queued[queue[(state[HEAD] + at) % len(queue)]] = 0
    return stop
