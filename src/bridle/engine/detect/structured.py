"""Detectors whose finds arithmetic or a parser confirms: card numbers, IBANs, IP addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from itertools import pairwise

from bridle.engine.detect.expression import Expression

Found = Iterator[tuple[int, int]]

# --- payment cards (ISO/IEC 7812) ---------------------------------------------------------------

_DIGITS = Expression(rb"[0-9](?:[ \t._/-]{0,3}[0-9]){12,}")
_GROUPS = Expression(rb"[0-9]+")
_LONGEST, _SHORTEST = 19, 13
_ENDLESS = 16_384  # octets of one run


def payment_cards(data: bytes) -> Found:
    """Yield card numbers: 13 to 19 digits with a valid check digit, separators between them.

    A run of exactly that many digits counts when it starts with 2 to 6 (the digits of banking and
    finance, ISO/IEC 7812-1). Inside a longer run a number must have an issuer's prefix and usual
    length, begin and end where a group does, and keep one separator. In thousands of digits
    there is always one, so such a run is found as a whole.
    """
    for start, end in _DIGITS.spans(data):
        if end - start > _ENDLESS:
            yield start, end
            continue
        run = _Run(data, start, end)
        if run.is_card():
            yield start, end
        else:
            yield from run.cards()


class _Run:
    """Digits with separators between them. Check sums of any window cost the same."""

    __slots__ = ("_sums", "_swapped", "digits", "places", "starts", "stops", "uniform")

    def __init__(self, data: bytes, start: int, end: int) -> None:
        groups = [(s + start, e + start) for s, e in _GROUPS.spans(data[start:end])]
        self.places = [p for s, e in groups for p in range(s, e)]
        self.digits = bytes(data[p] for p in self.places)
        # _sums[i]: digits before i, doubling those at odd places; _swapped doubles the others.
        self._sums, self._swapped = _sums(self.digits, 1), _sums(self.digits, 0)
        self._mark(data, groups)

    def _mark(self, data: bytes, groups: list[tuple[int, int]]) -> None:
        """Note where groups start and stop, and how many changes of separator lie before each."""
        self.starts: set[int] = {0}
        self.stops: set[int] = {len(self.digits)}
        self.uniform = [0] * (len(self.digits) + 1)
        changes, place, last = 0, groups[0][1] - groups[0][0], b""
        marks: dict[int, int] = {}
        for (_, end), (start, stop) in pairwise(groups):
            between = data[end:start]
            changes += last not in (b"", between)
            last = between
            self.starts.add(place)
            self.stops.add(place)
            marks[place] = changes
            place += stop - start
        running = 0
        for index in range(len(self.digits) + 1):
            running = marks.get(index, running)
            self.uniform[index] = running

    def is_card(self) -> bool:
        """Whether the digits as a whole are a card number."""
        length = len(self.digits)
        fits = _SHORTEST <= length <= _LONGEST and self.digits[0] in b"23456"
        return fits and self.valid(0, length)

    def valid(self, first: int, stop: int) -> bool:
        """Whether the digits of a window have a valid check digit (Luhn)."""
        # Every second digit from the right is doubled; the last one is not.
        sums = self._sums if (stop - 1) % 2 == 0 else self._swapped
        return (sums[stop] - sums[first]) % 10 == 0

    def cards(self) -> Found:
        done = 0
        for first in range(len(self.digits) - _SHORTEST + 1):
            if first < done or not self._may_start(first):
                continue
            for length in _lengths(self.digits[first : first + 6]):
                stop = first + length
                if stop <= len(self.digits) and self._may_stop(first, stop):
                    yield self.places[first], self.places[stop - 1] + 1
                    done = stop
                    break

    def _may_start(self, first: int) -> bool:
        return first in self.starts or self.places[first] - self.places[first - 1] == 1

    def _may_stop(self, first: int, stop: int) -> bool:
        if not self.valid(first, stop):
            return False
        if self.places[stop - 1] - self.places[first] == stop - 1 - first:
            return True
        whole = first in self.starts and stop in self.stops
        return whole and self._one_separator(first, stop)

    def _one_separator(self, first: int, stop: int) -> bool:
        inner = [i for i in range(first + 1, stop) if i in self.starts]
        return not inner or self.uniform[inner[0]] == self.uniform[inner[-1]]


def _sums(digits: bytes, odd: int) -> list[int]:
    total, sums = 0, [0]
    for index, octet in enumerate(digits):
        digit = octet - 48
        if index % 2 == odd:
            digit = digit * 2 - 9 if digit > 4 else digit * 2
        total += digit
        sums.append(total)
    return sums


def _lengths(prefix: bytes) -> tuple[int, ...]:
    """Return the usual lengths of the issuer that a prefix belongs to, longest first."""
    head = int(prefix[:4]) if len(prefix) >= 4 else 0
    two = head // 100
    if prefix[:1] == b"4":
        return (19, 16, 13)
    if 51 <= two <= 55 or 2221 <= head <= 2720:
        return (16,)
    if two in (34, 37):
        return (15,)
    if two in (36, 38, 39) or 3000 <= head <= 3059:
        return (16, 14)
    if head == 6011 or 6440 <= head <= 6599 or 3528 <= head <= 3589 or two in (60, 62, 81):
        return (19, 16)
    return (16,) if two in (50, 56, 57, 58, 63, 67) else ()


# --- IBAN (ISO 13616) ---------------------------------------------------------------------------

_SEPARATORS = b" \t._-/"

# Country:length (IBAN registry). In the countries of _NUMERIC only digits follow the check digits.
_COUNTRIES = (
    "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 "
    "CZ:24 DE:22 DJ:27 DK:18 DO:28 EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 "
    "GL:18 GR:27 GT:28 HN:28 HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 "
    "LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MN:20 MR:27 MT:31 MU:30 NI:28 "
    "NL:18 NO:15 OM:23 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 RU:33 SA:24 SC:31 SD:18 SE:24 "
    "SI:19 SK:24 SM:27 SO:23 ST:25 SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20 YE:30"
)
_DIGITS_ONLY = (
    "AE AT BA BE BI CR CZ DE DJ DK EE EG ES FI FO GL HR HU IL IS LT LY ME MN MR NO PL PT RS SD SE "
    "SI SK SO ST TL TN VA XK"
)
_LENGTHS = {pair[:2]: int(pair[3:]) for pair in _COUNTRIES.split()}
_NUMERIC = frozenset(_DIGITS_ONLY.split())


def _starts() -> bytes:
    """Return the pattern of a known country and two check digits."""
    second: dict[str, str] = {}
    for country in _LENGTHS:
        second[country[0]] = second.get(country[0], "") + country[1]
    countries = "|".join(rf"{a}[ \t._-]{{0,2}}[{b}]" for a, b in second.items())
    return rf"(?i)(?:{countries})(?:[ \t._-]{{0,2}}[0-9]){{2}}".encode()


_IBAN_START = Expression(_starts())


def ibans(data: bytes) -> Found:
    """Yield account numbers of a known country with its length and a valid check (mod 97)."""
    done = 0
    for start, _ in _IBAN_START.candidates(data):
        if start >= done and (end := _iban_end(data, start)):
            yield start, end
            done = end


def _iban_end(data: bytes, start: int) -> int:
    """Return where the account number that starts here ends, or 0."""
    places = _characters(data, start, 34)
    text = bytes(data[p] for p in places).decode("ascii").upper()
    length = _LENGTHS.get(text[:2], 0)
    if not length or len(text) < length:
        return 0
    text = text[:length]
    if text[:2] in _NUMERIC and not text[4:].isdigit():
        return 0
    number = "".join(str(int(c, 36)) for c in text[4:] + text[:4])
    return places[length - 1] + 1 if int(number) % 97 == 1 else 0


def _characters(data: bytes, start: int, count: int) -> list[int]:
    """Return the places of the next letters and digits, with at most two separators before each."""
    places: list[int] = []
    gap = 0
    for place in range(start, min(len(data), start + 3 * count)):
        octet = data[place]
        if 48 <= octet <= 57 or 65 <= octet <= 90 or 97 <= octet <= 122:
            places.append(place)
            gap = 0
        elif octet not in _SEPARATORS or gap == 2:
            break
        else:
            gap += 1
        if len(places) == count:
            break
    return places


# --- IP addresses -------------------------------------------------------------------------------

# Greedy, so that `1.2.3.4.5` is seen whole and not taken for an address.
_V4 = Expression(rb"[0-9]+(?:\.[0-9]+){3,}")
_V6 = Expression(rb"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?:(?:\.[0-9]{1,3}){3})?")


def ip_addresses(data: bytes) -> Found:
    """Yield IPv4 and IPv6 addresses in their usual text forms (RFC 4291, section 2.2)."""
    if data.count(b".") >= 3:
        for start, end in _V4.spans(data):
            if not _touches(data, start, end, b".") and _is_v4(data[start:end]):
                yield start, end
    if data.count(b":") < 2:
        return
    for start, end in _V6.spans(data):
        # A single colon at an edge is punctuation.
        first = start + (data[start : start + 1] == b":" and data[start : start + 2] != b"::")
        stop = end - (data[end - 1 : end] == b":" and data[end - 2 : end] != b"::")
        if not _touches(data, first, stop, b"") and _is_v6(data[first:stop]):
            yield first, stop


def _is_v4(octets: bytes) -> bool:
    # Leading zeros are let through: some readers take them as octal, and it is an address to all.
    parts = octets.split(b".")
    return len(parts) == 4 and all(len(p) <= 3 and int(p) <= 255 for p in parts)


def _is_v6(octets: bytes) -> bool:
    # `Type::member` in source code reads as an address too; real ones have digits.
    if not any(48 <= o <= 57 for o in octets):
        return False
    try:
        ipaddress.IPv6Address(octets.decode("ascii"))
    except ValueError:
        return False
    return True


def _touches(data: bytes, start: int, end: int, more: bytes) -> bool:
    """Whether letters, digits or one of `more` lie right at an edge (a full stop may end it)."""
    before = data[start - 1 : start]
    after = data[end : end + 1]
    if after == b"." and not data[end + 1 : end + 2].isdigit():
        after = b""
    return any(o and (o.isalnum() or o in more) for o in (before, after))
