"""The few values that random cases draw from, so that they meet often."""

from random import Random

from differential.worlds import BOOL, DECIMAL, LONG, STRING, Type, World

LAST = 2**63 - 1
STRINGS = [*"aaaaaaaabbbbbb", "c", "", "A", "1", "true", "é", "a b"]
LONGS = [0, 1, 1, 1, 1, 2, 2, 2, 3, -1, 7]
ENDS = [LAST, LAST - 1, -LAST - 1, -LAST, LAST // 2, LAST // 2 + 1]
DECIMALS = ["1.0", "1.00", "01.0", "2.5", "0.0", "-0.0", "-1.0", "1.0001"]
TAGS = [[], ["a"], ["a", "b"], ["b", "a"], ["b"]]

Value = int | str | bool | list | dict | None


class Number(str):
    """A decimal, as written."""

    __slots__ = ()


class Ref(str):
    """An entity, as written."""

    __slots__ = ()


def value(rnd: Random, kind: Type, world: World) -> Value:
    """Draw a value of a type."""
    if kind == STRING:
        return rnd.choice(STRINGS)
    if kind == LONG:
        return rnd.choice(ENDS if world.wide and rnd.random() < 0.4 else LONGS)
    if kind == BOOL:
        return rnd.random() < 0.6
    if kind == DECIMAL:
        return Number(rnd.choice(DECIMALS))
    if kind[0] == "Set":
        return list(rnd.choice(TAGS))
    return Ref(ref(kind, rnd.choice(world.names(kind))))


def ref(kind: Type, name: str) -> str:
    return "::".join((*kind, f'"{name}"'))


def written(value: Value) -> str:
    """Write a value as traces do."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k}: {written(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Number | Ref):
        return str(value)
    return f'"{value}"'
