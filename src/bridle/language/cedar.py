"""Lowered text → Cedar's tree, and where in the file Cedar's complaint belongs.

Cedar's messages carry no position; the place is found by asking Cedar about prefixes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import cedarpy
from cedarpy import pst

from bridle.language.errors import LanguageError, fault
from bridle.language.lexer import Kind, Source
from bridle.language.lowering import Word

_NAMED = re.compile(r"`([^`]+)`|: (\w+)$")
_CLOSING = {")", "]", "}"}
_BEFORE_OPERAND = {
    *("+", "-", "*", "<", "<=", ">", ">=", "==", "!=", "&&", "||", "!", ",", ".", "(", "[", "{"),
    *("in", "has", "like", "is", "if", "then", "else"),
}
_END = "unexpected end of input"


def parse(source: Source, text: str, words: Sequence[Word]) -> pst.Template:
    """Parse exactly one policy. `words` are those of its body. Raises `LanguageError`."""
    try:
        parsed = cedarpy.policies_to_pst(text)
    except ValueError as error:
        raise _syntax_fault(source, text, words, str(error)) from None
    if parsed.templates:
        raise _template_fault(source, words)
    nodes = list(parsed.static_policies.values())
    if len(nodes) != 1:
        raise fault(source.at(words[0].origin), "policy_syntax", "this is not exactly one policy")
    return nodes[0]


def _template_fault(source: Source, words: Sequence[Word]) -> LanguageError:
    slot = next((word for word in words if word.kind is Kind.SIGIL), words[0])
    return fault(
        source.at(slot.origin),
        "template",
        "templates (`?principal`, `?resource`) are not supported",
        "write one policy for each, or use a group",
    )


def _syntax_fault(source: Source, text: str, words: Sequence[Word], message: str) -> LanguageError:
    word = _culprit(text, words, message)
    hint = ""
    if "nesting exceeds" in message:
        code, message = "policy_too_large", "this condition is nested more than 100 levels deep"
        hint = "split it into several policies; long chains of && and || count too"
    elif "too large" in message:
        code, message = "integer_range", "this integer does not fit into 64 bits"
    else:
        code = "policy_syntax"
    return fault(source.at(word.origin), code, message, hint)


def _culprit(text: str, words: Sequence[Word], message: str) -> Word:
    """Return the word Cedar stumbled over: the first that ends a prefix it could still continue.

    Cedar reports a prefix of a well-formed policy as ended too early; that holds up to the culprit,
    so bisection finds it. What only makes no sense (an unknown function) is found by its name.
    """
    if "too large" in message:
        return _largest(words)
    low, high = 0, len(words)
    while low < high:
        middle = (low + high) // 2
        if _continues(text[: words[middle].end]):
            low = middle + 1
        else:
            high = middle
    if low < len(words) - 1:
        return words[low]
    names = [re.split(r"\.|::", a or b)[0] for a, b in _NAMED.findall(message)]
    return next((w for name in names for w in _called(words, name)), words[0])


def _called(words: Sequence[Word], name: str) -> list[Word]:
    """Return the words of that text. A bracket that closes too early follows no operand."""
    found = [index for index, word in enumerate(words) if word.text == name]
    if name in _CLOSING:
        found.sort(key=lambda index: words[index - 1].text not in _BEFORE_OPERAND)
    return [words[index] for index in found]


def _continues(text: str) -> bool:
    try:
        cedarpy.policies_to_pst(text)
    except ValueError as error:
        return str(error).startswith(_END)
    return True


def _largest(words: Sequence[Word]) -> Word:
    numbers = [word for word in words if word.kind is Kind.NUMBER]
    return max(numbers, key=lambda w: len(w.text.lstrip("0")), default=words[0])
