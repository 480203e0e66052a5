"""A policy file → its statements and definitions, each with its place.

Everything in a file is part of a policy or of a definition, or refused at its location; nothing is
skipped. Says where `temporal { … }` stands, not what it means. Cedar itself judges the inside of a
statement; this module only keeps from it what it could not survive (it recurses without a limit of
its own).
"""

from __future__ import annotations

from msgspec import Struct

from bridle.language.errors import LanguageError, fault
from bridle.language.lexer import Kind, Source, Token, tokens, unescape
from bridle.model.finding import Finding, Location

MAX_NESTING = 40
"""Brackets within brackets. Cedar's parser overflows the stack at several hundred."""

MAX_OPERATORS = 500
"""Operators, member accesses and `if`s in one policy, for the same reason."""

MAX_FINDINGS = 50
"""After so many in one file the rest of it is not read: it is no policy file."""

_OPEN, _CLOSE = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
_COUNTED = {"==", "!=", "<=", ">=", "<", ">", "&&", "||", "+", "-", "*", "/", "%", "!", ".", "["}
_COUNTED_WORDS = {"if", "has", "like", "is", "in", "when", "unless"}
_CLAUSES = {"when", "unless"}
_NAMES_FOLLOW = {"has", "is", "like"}
_SLOTS = {"?principal", "?resource"}


class Annotation(Struct, frozen=True):
    """`@name("value")`. `places` maps each character of the value to its offset in the file."""

    name: str
    value: str
    location: Location
    places: tuple[int, ...] = ()


class Marker(Struct, frozen=True):
    """`temporal { … }` in a statement.

    `first` and `last` count tokens of the body: from the word up to the closing bracket. `inside`
    are the offsets of what the brackets hold. `clause` tells the whole clause of a `when` or
    `unless` from a part of an expression.
    """

    first: int
    last: int
    inside: tuple[int, int]
    clause: bool


class Statement(Struct, frozen=True):
    """One policy as it stands in its file. `text` runs from the first annotation to the `;`.

    `guardrails` counts the tokens of the body that say nothing (`when guardrails { … }`).
    """

    annotations: tuple[Annotation, ...]
    effect: str
    text: str
    start: int
    location: Location
    body: tuple[Token, ...]
    markers: tuple[Marker, ...] = ()
    guardrails: frozenset[int] = frozenset()

    def annotation(self, name: str) -> Annotation | None:
        """Return the annotation of that name, if there is one."""
        return next((a for a in self.annotations if a.name == name), None)


class Definition(Struct, frozen=True):
    """`def kind name(?parameter, …) { … };`. `body` are the tokens within the brackets."""

    kind: str
    name: Token
    parameters: tuple[Token, ...]
    text: str
    location: Location
    inside: tuple[int, int]
    body: tuple[Token, ...]


class Contents(Struct, frozen=True):
    """What a file holds. What is refused is in `findings` alone."""

    statements: tuple[Statement, ...] = ()
    definitions: tuple[Definition, ...] = ()
    findings: tuple[Finding, ...] = ()


def contents(source: Source) -> Contents:
    """Split a file into its statements and definitions."""
    try:
        words = tokens(source)
    except LanguageError as error:
        return Contents(findings=(error.finding,))
    return _Splitter(source, words).run()


class Limits:
    """Counts what Cedar could not survive. Brackets that do not match are refused, too."""

    def __init__(self) -> None:
        self.closers = list[str]()
        self.operators = 0

    def read(self, token: Token, *, counted: bool = True) -> tuple[str, str, str] | None:
        """Take one more token. Return code, message and hint where it is one too many."""
        if token.text in _OPEN:
            self.closers.append(_OPEN[token.text])
        elif token.text in _CLOSE:
            if not self.closers or self.closers[-1] != token.text:
                return "policy_syntax", f"`{token.text}` closes nothing here", ""
            self.closers.pop()
        if len(self.closers) > MAX_NESTING:
            return (
                "policy_too_large",
                f"brackets are nested more than {MAX_NESTING} deep",
                "split the condition into several policies",
            )
        known = _COUNTED if token.kind is not Kind.WORD else _COUNTED_WORDS
        self.operators += counted and token.text in known
        if self.operators > MAX_OPERATORS:
            return (
                "policy_too_large",
                f"this policy has more than {MAX_OPERATORS} operators",
                "split it into several policies",
            )
        return None


class _Splitter:
    def __init__(self, source: Source, words: list[Token]) -> None:
        self.source = source
        self.words = words
        self.next = 0

    def run(self) -> Contents:
        statements, definitions = list[Statement](), list[Definition]()
        findings = list[Finding]()
        while self.next < len(self.words) and len(findings) < MAX_FINDINGS:
            begin = self.next
            try:
                if self.words[begin].text == "def":
                    definitions.append(self._definition())
                else:
                    statements.append(self._statement())
            except LanguageError as error:
                findings.append(error.finding)
                self._skip(begin)
        return Contents(tuple(statements), tuple(definitions), tuple(findings))

    # --- policies --------------------------------------------------------------------------------

    def _statement(self) -> Statement:
        first = self.words[self.next]
        annotations = self._annotations()
        begin = self.next
        effect = self._take("a policy (`permit` or `forbid`)")
        if effect.text not in {"permit", "forbid"}:
            raise self._fault(
                effect,
                "not_a_policy",
                f"expected a policy (`permit` or `forbid`), found `{_short(effect.text)}`",
                "everything in a policy file is a policy, a definition (`def`) or a // comment",
            )
        end, markers, guardrails = self._clauses(effect, begin)
        return Statement(
            annotations,
            effect.text,
            self.source.text[first.start : end.end],
            first.start,
            self.source.at(effect.start),
            tuple(self.words[begin : self.next]),
            markers,
            guardrails,
        )

    def _annotations(self) -> tuple[Annotation, ...]:
        found = list[Annotation]()
        while self.next < len(self.words) and self.words[self.next].text == "@":
            at = self._take("@")
            name = self._take("the name of an annotation")
            if name.kind is not Kind.WORD:
                raise self._fault(name, "policy_syntax", "expected the name of an annotation")
            found.append(self._annotation(at, name.text))
        return tuple(found)

    def _annotation(self, at: Token, name: str) -> Annotation:
        location = self.source.at(at.start)
        if self.next >= len(self.words) or self.words[self.next].text != "(":
            return Annotation(name, "", location)
        self.next += 1
        string = self._take("a string")
        if string.kind is not Kind.STRING:
            raise self._fault(string, "policy_syntax", "an annotation holds one string")
        value, places = unescape(self.source, string)
        close = self._take("`)`")
        if close.text != ")":
            raise self._fault(close, "policy_syntax", "an annotation holds one string, then `)`")
        return Annotation(name, value, location, tuple(places))

    def _clauses(
        self, effect: Token, begin: int
    ) -> tuple[Token, tuple[Marker, ...], frozenset[int]]:
        """Walk to the `;` that ends the statement, refusing what Cedar could not survive."""
        limits, markers, guardrails = Limits(), list[Marker](), set[int]()
        while True:
            token = self._take(f"`;` after this `{effect.text}`", effect)
            if not limits.closers and token.text == ";":
                return token, tuple(markers), frozenset(guardrails)
            if self._opens("temporal"):
                markers.append(self._marker(limits, begin))
                continue
            if self._opens("guardrails") and self._before(1) in _CLAUSES and not limits.closers:
                guardrails.add(self.next - 1 - begin)
            self._read(limits, token)
            self._refuse_provider(token)
            if token.kind is Kind.SIGIL and token.text not in _SLOTS:
                raise self._stray(token)

    def _opens(self, name: str) -> bool:
        """Whether the token just taken is `name`, with a `{` behind it that Cedar knows not of."""
        word, following = self.words[self.next - 1], self._peek()
        return word.text == name and following == "{" and self._before(1) not in {".", "::"}

    def _marker(self, limits: Limits, begin: int) -> Marker:
        word = self.words[self.next - 1]
        first, clause = self.next - 1 - begin, not limits.closers
        if self._before(1) not in _CLAUSES if clause else "}" not in limits.closers:
            raise self._fault(
                word, "policy_syntax", "a condition over history stands in a `when` or `unless`"
            )
        if self._before(1) in _NAMES_FOLLOW:
            # Cedar would take the truth that stands for the condition for a path of names.
            raise self._fault(
                word, "policy_syntax", f"a name follows `{self._before(1)}`, never a condition"
            )
        opening = self._take("`{`")
        closing = self._block(opening, limits, counted=False)
        inside = (opening.end, closing.start)
        return Marker(first, self.next - begin, inside, clause)

    def _block(self, opening: Token, limits: Limits, *, counted: bool) -> Token:
        """Walk to the bracket that closes this one. What Cedar never sees need not be counted."""
        level = len(limits.closers)
        self._read(limits, opening)
        while True:
            token = self._take("`}`", opening)
            self._read(limits, token, counted=counted)
            if len(limits.closers) == level:
                return token

    def _refuse_provider(self, token: Token) -> None:
        if token.text != "(" or self._before(2) != "::":
            return
        first = self.next - 2
        if self.words[first].kind is not Kind.WORD:
            return
        while first >= 2 and self.words[first - 1].text == "::":
            first -= 2
        raise self._fault(
            self.words[first],
            "provider_unsupported",
            "information providers are not supported",
            "let a tool ask for the information, and write a condition over its result",
        )

    def _stray(self, token: Token) -> LanguageError:
        return self._fault(
            token,
            "stray_parameter",
            f"`{_short(token.text)}` stands outside a macro",
            "parameters (`?x`) and fresh variables (`$x`) belong into the body of a `def`",
        )

    # --- definitions -----------------------------------------------------------------------------

    def _definition(self) -> Definition:
        begin = self._take("def")
        kind = self._take("`cedar` or `temporal`", begin)
        if kind.text not in {"cedar", "temporal"}:
            raise self._macro_fault(kind, "a macro is `def cedar` or `def temporal`")
        name = self._take("the name of the macro", begin)
        if name.kind is not Kind.WORD:
            raise self._macro_fault(name, "expected the name of the macro")
        parameters = self._parameters()
        opening = self._expect("{")
        first = self.next
        closing = self._block(opening, Limits(), counted=kind.text == "cedar")
        body = tuple(self.words[first : self.next - 1])
        end = self._expect(";")
        return Definition(
            kind.text,
            name,
            parameters,
            self.source.text[begin.start : end.end],
            self.source.at(name.start),
            (opening.end, closing.start),
            body,
        )

    def _parameters(self) -> tuple[Token, ...]:
        self._expect("(")
        found = list[Token]()
        while self._peek() != ")":
            token = self._take("a parameter such as `?x`")
            if token.kind is not Kind.SIGIL or token.text[0] != "?":
                raise self._macro_fault(token, "parameters are written `?x`")
            found.append(token)
            if self._peek() != ")":
                self._expect(",")
                if self._peek() == ")":
                    raise self._macro_fault(self.words[self.next], "expected another parameter")
        self._expect(")")
        return tuple(found)

    def _macro_fault(self, token: Token, message: str) -> LanguageError:
        hint = "write `def temporal name(?window, ?p) { … };`"
        return self._fault(token, "macro_syntax", message, hint)

    # --- tokens ----------------------------------------------------------------------------------

    def _read(self, limits: Limits, token: Token, *, counted: bool = True) -> None:
        refused = limits.read(token, counted=counted)
        if refused:
            raise self._fault(token, *refused)

    def _peek(self) -> str:
        return self.words[self.next].text if self.next < len(self.words) else ""

    def _before(self, count: int) -> str:
        """Return the text of the token `count` before the one just taken."""
        place = self.next - 1 - count
        return self.words[place].text if place >= 0 else ""

    def _expect(self, text: str) -> Token:
        token = self._take(f"`{text}`")
        if token.text != text:
            message = f"expected `{text}`, found `{_short(token.text)}`"
            raise self._macro_fault(token, message)
        return token

    def _take(self, wanted: str, begin: Token | None = None) -> Token:
        if self.next >= len(self.words):
            place = begin or self.words[-1]
            raise self._fault(place, "policy_syntax", f"the file ends where {wanted} should follow")
        token = self.words[self.next]
        self.next += 1
        return token

    def _skip(self, begin: int) -> None:
        """Go on after the next `;` outside brackets, so that one file can have several findings."""
        self.next, depth = begin, 0
        while self.next < len(self.words):
            text = self.words[self.next].text
            depth += (text in _OPEN) - (text in _CLOSE and depth > 0)
            self.next += 1
            if text == ";" and depth == 0:
                return

    def _fault(self, token: Token, code: str, message: str, hint: str = "") -> LanguageError:
        return fault(self.source.at(token.start), code, message, hint)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "…"
