"""Which calls of a trace an agent could have planned in one turn of its model.

Consecutive calls, none of which needs what an earlier one of them showed. What cannot be known is
taken for a need: any word of the arguments that the result holds, wherever else it may stand, and
whatever follows a read but another read. No call stands twice in a step. A step never crosses the
border of an injection: no card mixes what the user wants with what the attacker wants.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator

from bench.agentdojo.traces import Call, Trace

_WORD = re.compile(r"\w+")


def steps(trace: Trace, reads: Collection[str]) -> Iterator[list[Call]]:
    """Yield the calls of a trace, step by step. `reads` are the tools that only read."""
    step: list[Call] = []
    for call in trace.calls:
        if step and _after(call, step, reads):
            yield step
            step = []
        step.append(call)
    if step:
        yield step


def _after(call: Call, step: list[Call], reads: Collection[str]) -> bool:
    if call.origin != step[0].origin or _repeated(call, step):
        return True
    if call.tool not in reads and any(each.tool in reads for each in step):
        return True
    words = _words(json.dumps(list(call.args.values()), ensure_ascii=False))
    return any(words & _words(each.output) for each in step)


def _repeated(call: Call, step: list[Call]) -> bool:
    return any((each.tool, each.args) == (call.tool, call.args) for each in step)


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text)}
