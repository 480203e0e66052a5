"""Sources, indexes and flows for tests of where values came from."""

from bridle.engine.flow.arguments import Meanings, MissionFlow
from bridle.engine.flow.index import Bounds, Index
from bridle.engine.flow.reading import Reader
from bridle.engine.flow.source import Source, SourceKind
from bridle.model.tool import Argument, EffectClass, System, Tool

READER = Reader(b"a key that nobody knows")
HERE = "internet"


def prompt(*, trusted=True):
    return Source(id="prompt", kind=SourceKind.PROMPT, trusted=trusted)


def constant():
    return Source(id="template", kind=SourceKind.CONSTANT, trusted=True)


def result(system="web", *, trusted=False, labels=(), action="", domain=""):
    return Source(
        id=action or f"from-{system}",
        kind=SourceKind.RESULT,
        system=system,
        domain=domain or f"{system}-domain",
        labels=tuple(labels),
        trusted=trusted,
    )


def endorsement(sink="recipient", toward=HERE):
    return Source(id="card", kind=SourceKind.ENDORSEMENT, trusted=True, sink=sink, toward=toward)


def index_of(*read, gone=()):
    """Return an index of pairs of a source and its texts (or its imprint), in this order."""
    made = Index(gone)
    for number, (source, said) in enumerate(read, 1):
        imprint = READER.imprint([said]) if isinstance(said, str) else said
        made.add(number, source, imprint)
    return made


def trace(index, text, sink="recipient", domain=HERE, **kw):
    return index.trace(READER.read(text), sink, domain, Bounds(), **kw)


TEXT = {"type": "string"}
TOOLS = {
    "send": Tool(
        name="send",
        system="mail",
        effect=EffectClass.WRITE,
        input={
            "type": "object",
            "properties": {
                "to": {"type": "array", "items": TEXT},
                "body": TEXT,
                "note": TEXT,
                "urgent": {"type": "boolean"},
                "mode": {"enum": ["now", "later"]},
                "folder": {**TEXT, "default": "outbox"},
                "copies": {"type": "integer", "enum": [1, 2]},
                "amount": {"type": "number"},
                "headers": {"type": "object", "additionalProperties": TEXT},
                "who": {
                    "type": "object",
                    "properties": {"name": TEXT, "at": TEXT},
                    "additionalProperties": False,
                },
            },
            "additionalProperties": False,
        },
        arguments=(
            Argument("to[]", "recipient"),
            Argument("body", "content"),
            Argument("note", "content", inherits=False),
            Argument("headers", "command"),
            Argument("who", "content"),
            Argument("who.at", "locator"),
        ),
    ),
    "open": Tool(name="open", system="mail", effect=EffectClass.READ, input={"type": "object"}),
}
SYSTEMS = {"mail": System("mail", HERE)}
MEANINGS = Meanings(TOOLS, SYSTEMS)
MISSION = frozenset(["mission"])


def nothing_found(texts):
    """Stands for detectors that attach no label."""
    return iter(())


def flow_of(*read, gone=(), index=None, labels=MISSION, labelled=nothing_found):
    made = index_of(*read, gone=gone) if index is None else index
    return MissionFlow(made, READER, MEANINGS, labels, labelled)


def origins(value, *read, tool="send", **kw):
    return flow_of(*read, **kw).origins(tool, value)
