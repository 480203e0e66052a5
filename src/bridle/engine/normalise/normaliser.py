"""From the text of a call or a result to a canonical, typed value. No policy, no detectors.

The text itself is never changed: what executes are the caller's bytes. `Typed.value` keeps nulls;
they are left out only in what Cedar sees (see `bridle.engine.normalise.projection`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jsonschema_rs import ReferencingError, ValidationError

from bridle.bundle.bundle import Bundle
from bridle.bundle.schema.json_schema import is_bounded, validator
from bridle.bundle.schema.shape import Record, Typing, input_typing, output_typing
from bridle.engine.case import Refusal, Typed
from bridle.engine.normalise.canonical import Canon, NotCanonicalError, path_text
from bridle.engine.normalise.encoding import digest_of, digest_of_result
from bridle.engine.normalise.parts import readable
from bridle.engine.normalise.places import Meaning, Place, compile_places, meaning_of, place_of
from bridle.engine.normalise.projection import (
    RecordProjector,
    UntypableError,
    holds_decimals,
    record_projector,
)
from bridle.engine.normalise.steering import reaches, steering
from bridle.engine.strict_json import parse_arguments, parse_result
from bridle.language.plain import is_object
from bridle.model.errors import BundleError
from bridle.model.reason import ReasonCode

_PASS_ON = (KeyboardInterrupt, SystemExit, GeneratorExit)


class _Form:
    """One schema, prepared.

    `project` makes what Cedar sees of a value (None: nothing), `decimals` tells whether that can
    fail: the type may say `decimal` where only integers conform, and they reach further. `explains`
    tells whether saying where a value does not fit takes a bounded time.
    """

    __slots__ = ("decimals", "explains", "place", "project", "validator")

    def __init__(self, schema: dict[str, Any], meaning: Meaning, typing: Typing) -> None:
        self.validator = validator(schema)
        self.place = compile_places(schema, meaning)
        self.project = record_projector(typing.shape) if isinstance(typing.shape, Record) else None
        self.decimals = holds_decimals(typing.shape)
        self.explains = is_bounded(schema)

    def conforms(self, value: Any) -> bool:
        """Whether the schema confirms a value."""
        # INVARIANT: I2. What it cannot confirm is refused; a panic of it is a BaseException.
        try:
            return self.validator.is_valid(value)
        except BaseException as e:
            if isinstance(e, _PASS_ON):
                raise
            return False


class Normaliser:
    """Reads arguments and results of one bundle's tools. Safe to share between threads.

    Each tool is prepared when it is first met; preparing it twice at once does no harm.
    """

    __slots__ = ("_canon", "_inputs", "_limits", "_outputs", "_tools")

    def __init__(self, bundle: Bundle) -> None:
        self._tools = bundle.tools
        self._limits = bundle.manifest.limits
        self._canon = Canon(self._limits)
        self._inputs: dict[str, _Form | Refusal] = {}
        self._outputs: dict[str, _Form | Refusal] = {}

    def normalise(self, tool: str, text: str) -> Typed | Refusal:
        """Read the arguments of a call. Every text gives a value or a refusal, never an error."""
        form = self._inputs.get(tool) or self._prepare(tool)
        if isinstance(form, Refusal):
            return form
        limits = self._limits
        value = parse_arguments(text, size=limits.args_bytes, depth=limits.depth)
        if isinstance(value, Refusal):
            return value
        try:
            self._canon.check(value, form.place)
        except NotCanonicalError as e:
            return e.refusal()
        if not form.conforms(value):
            return _mismatch(form, value)
        if form.decimals and form.project and not _typable(form.project, value):
            return Refusal(ReasonCode.LIMIT_EXCEEDED, "a number beyond the range of decimal")
        return Typed(text, value, digest_of(tool, value, form.place))

    def output(self, tool: str, text: str) -> Typed | Refusal:
        """Read a result. Its strings are nobody's to refuse; its size, depth and schema are."""
        form = self._outputs.get(tool) or self._prepare_output(tool)
        if isinstance(form, Refusal):
            return form
        limits = self._limits
        value = parse_result(text, size=limits.result_bytes, depth=limits.depth)
        if isinstance(value, Refusal):
            return value
        if not form.conforms(value):
            return _mismatch(form, value)
        return Typed(text, value, digest_of_result(tool, value, form.place))

    def output_parts(self, tool: str, text: str) -> Typed | None:
        """Read a result as far as that can be done: all of it, or the parts of their own type."""
        found = self.output(tool, text)
        if isinstance(found, Typed):
            return found
        limits = self._limits
        value = parse_result(text, size=limits.result_bytes, depth=limits.depth)
        known = self._tools.get(tool)
        shape = output_typing(known.output or {}).shape if known is not None else None
        if not is_object(value) or not isinstance(shape, Record):
            return None
        return Typed(text, readable(value, shape), "")

    def steering(self, tool: str, value: Any, but: frozenset[tuple[str, ...]]) -> Any:
        """Return what of a tool's arguments steers its effect, without what stands at `but`.

        Two of them are compared by `bridle.engine.normalise.steering.same`. Raises `BundleError`
        for a tool that the bundle does not have.
        """
        return steering(value, self._known(tool).place, but)

    def declares(self, tool: str, path: tuple[str, ...]) -> bool:
        """Whether a path of names leads to a declared argument of a tool."""
        form = self._inputs.get(tool) or self._prepare(tool)
        return not isinstance(form, Refusal) and reaches(form.place, path)

    def digest(self, tool: str, value: Any) -> str:
        """Return the digest of arguments that `normalise` has let through.

        Raises `BundleError` for a tool that the bundle does not have.
        """
        return digest_of(tool, value, self._known(tool).place)

    def cedar_input(self, tool: str, value: dict[str, Any]) -> dict[str, Any]:
        """Return Cedar's JSON of arguments that `normalise` has let through: its `context.input`.

        Only typed parts, without nulls; decimals as strings with at least one fraction digit.
        Raises `BundleError` for a tool that the bundle does not have.
        """
        project = self._known(tool).project
        return project(value) if project else {}

    def cedar_output(self, tool: str, value: Any) -> dict[str, Any] | None:
        """Return Cedar's JSON of a result that `output` has let through; None where it has no type.

        Where it holds a number that Cedar cannot hold exactly (more than four fraction digits, or
        too large), the result is left out as a whole, which Cedar refuses, so that no policy judges
        half of it.
        """
        form = self._outputs.get(tool) or self._prepare_output(tool)
        if isinstance(form, Refusal) or form.project is None:
            return None
        try:
            return form.project(value)
        except UntypableError:
            return None

    def _known(self, tool: str) -> _Form:
        form = self._inputs.get(tool) or self._prepare(tool)
        if isinstance(form, Refusal):
            raise BundleError(f"{form.text}: `{tool}`", code=form.code.value)
        return form

    def _prepare(self, tool: str) -> _Form | Refusal:
        known = self._tools.get(tool)
        if known is None:
            return _UNKNOWN
        made = self._inputs[tool] = _prepared(
            known.input, meaning_of(known.arguments), input_typing
        )
        return made

    def _prepare_output(self, tool: str) -> _Form | Refusal:
        known = self._tools.get(tool)
        if known is None:
            return _UNKNOWN
        made = self._outputs[tool] = _prepared(
            known.output or {}, Meaning(steering=False), output_typing
        )
        return made


_UNKNOWN = Refusal(ReasonCode.UNKNOWN_TOOL, "no tool has exactly this name")


def _prepared(
    schema: dict[str, Any], meaning: Meaning, typing: Callable[[dict[str, Any]], Typing]
) -> _Form | Refusal:
    try:
        return _Form(schema, meaning, typing(schema))
    except (ValidationError, ReferencingError, ValueError, TypeError, RecursionError):
        # A checked bundle has no such schema; one that came here all the same runs nothing.
        return Refusal(ReasonCode.INTERNAL, "the tool's schema cannot be used")


def _typable(project: RecordProjector, value: dict[str, Any]) -> bool:
    try:
        project(value)
    except UntypableError:
        return False
    return True


def _mismatch(form: _Form, value: Any) -> Refusal:
    vague = Refusal(ReasonCode.SCHEMA_MISMATCH, "does not fit the schema")
    if not form.explains:
        return vague
    try:
        error = next(iter(form.validator.iter_errors(value)))
    except Exception:
        return vague
    place = path_text(_declared(error.instance_path, form.place))
    said = _said(error)
    return Refusal(ReasonCode.SCHEMA_MISMATCH, f"{place}: {said}" if place else said)


def _said(error: ValidationError) -> str:
    """Name the keyword that does not hold, with what the schema says of it; never the value."""
    keyword = error.kind.name
    details: dict[str, Any] = error.kind.as_dict()
    if keyword in _UNDECLARED:
        return f"{keyword} (a property that nobody declared)"
    for detail in _TELLING:
        if detail in details:
            told: Any = details[detail]
            text = ", ".join(str(each) for each in (told if detail in _LISTS else [told]))
            return f"{keyword} ({text})" if len(text) <= _TOLD else keyword
    return keyword


_UNDECLARED = ("additionalProperties", "unevaluatedProperties")
_TELLING = ("property", "types", "limit", "options", "pattern")  # what a schema declares
_LISTS = ("types", "options")
_TOLD = 80


def _declared(path: Iterable[str | int], place: Place) -> Iterator[str | int]:
    """Replace the keys that nobody declared: they are the caller's words, not a place of ours."""
    for step in path:
        if isinstance(step, int):
            yield step
            place = place_of(place, step)
        else:
            yield step if step in place.names else "*"
            place = place.names.get(step, place.other)
