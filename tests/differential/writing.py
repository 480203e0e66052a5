"""Print conditions and policies. It shares no code with the printer of the language itself."""

from bridle.language.temporal import ast

BARE = (ast.Predicate, ast.Tp, ast.Call, ast.Sigil, ast.Refine)


def condition(node: ast.Condition) -> str:  # noqa: C901, PLR0911 - one for each node
    """Print a condition, with as few brackets as the grammar allows but for aggregates."""
    match node:
        case ast.Predicate():
            return _head(node) + _fields(node.fields)
        case ast.Comparison(op=op, left=left, right=right):
            return f"{_operand(left)} {op} {_operand(right)}"
        case ast.And(left=left, right=right):
            open_right = isinstance(right, ast.Exists)
            last = condition(right) if open_right else _conjunct(right)
            return f"{_first(left)} && {last}"
        case ast.Not(inner=inner):
            return f"!{_tight(inner)}"
        case ast.Formerly(window=window, body=body):
            return f"formerly within {_window(window)} {_atom(body)}"
        case ast.Previous(window=window, body=body):
            return f"previous within {_window(window)} {_atom(body)}"
        case ast.Since(left=left, window=window, right=right):
            return f"{_left(left)} since within {_window(window)} {_atom(right)}"
        case ast.Exists(binder=binder, body=body):
            return f"exists {_binder(binder)}. {_atom(body)}"
        case ast.Tp(variable=name, sigil=sigil):
            return f"tp({sigil}{name})"
        case ast.Call(name=name, arguments=arguments):
            return f"{name}({', '.join(map(argument, arguments))})"
        case ast.Sigil(name=name):
            return f"?{name}"
        case ast.Refine(base=base, fields=fields):
            return condition(base) + _fields(fields)
    raise TypeError(node)


def argument(node: ast.Argument) -> str:
    """Print what a macro is called with."""
    if isinstance(node, ast.Window):
        return _window(node)
    conditions = (*BARE, ast.Comparison, ast.And, ast.Not, ast.Formerly, ast.Previous, ast.Since)
    return condition(node) if isinstance(node, (*conditions, ast.Exists)) else term(node)


def term(node: ast.Term) -> str:  # noqa: C901, PLR0911, PLR0912 - one for each node
    """Print a term."""
    match node:
        case ast.EntityLiteral(type=kind, id=name):
            return f'{kind}::"{name}"'
        case ast.IntegerLiteral(value=value):
            return str(value)
        case ast.DecimalLiteral(text=text):
            return f'decimal("{text}")'
        case ast.TextLiteral(value=value):
            return f'"{value}"'
        case ast.TruthLiteral(value=value):
            return "true" if value else "false"
        case ast.ContextField(path=path):
            return ".".join(("context", *path))
        case ast.ScopeField(path=path):
            return ".".join(path)
        case ast.Variable(name=name):
            return name
        case ast.Parameter(name=name):
            return f"?{name}"
        case ast.FreshBinder(name=name):
            return f"${name}"
        case ast.Wildcard():
            return "*"
        case ast.ArrayLiteral(items=items):
            return f"[{', '.join(map(term, items))}]"
        case _:
            return aggregate(node)


def aggregate(node: ast.Term) -> str:
    """Print an aggregate, without brackets around it."""
    match node:
        case ast.Count(binders=binders, body=body):
            return f"count for {', '.join(map(_binder, binders))}. where {_atom(body)}"
        case ast.Sum(variable=name, binders=binders, body=body, sigil=sigil):
            listed = ", ".join(map(_binder, binders))
            return f"sum {sigil}{name} for {listed}. where {_atom(body)}"
        case ast.AggregateCall(name=name, arguments=arguments):
            return f"{name}({', '.join(map(argument, arguments))})"
    raise TypeError(node)


def _operand(node: ast.Term) -> str:
    return f"({term(node)})" if isinstance(node, ast.Count | ast.Sum) else term(node)


def _head(node: ast.Predicate) -> str:
    return "::".join((*node.namespace, f'"{node.action}"', node.kind))


def _fields(fields: tuple[ast.Field, ...]) -> str:
    listed = ", ".join(f"{f.path}: {term(f.term)}" for f in fields)
    return f"{{ {listed} }}" if fields else "{}"


def _window(window: ast.Window) -> str:
    return f"?{window.parameter}" if window.parameter else f"{window.amount}{window.unit}"


def _binder(binder: ast.Binder) -> str:
    return f"({binder.sigil}{binder.name}: {'::'.join(binder.type)})"


def _atom(node: ast.Condition) -> str:
    return condition(node) if isinstance(node, BARE) else f"({condition(node)})"


def _tight(node: ast.Condition) -> str:
    plain = (*BARE, ast.Not, ast.Formerly, ast.Previous, ast.Comparison)
    return condition(node) if isinstance(node, plain) else f"({condition(node)})"


def _left(node: ast.Condition) -> str:
    return _tight(node)


def _conjunct(node: ast.Condition) -> str:
    plain = (*BARE, ast.Not, ast.Formerly, ast.Previous, ast.Comparison, ast.Since)
    return condition(node) if isinstance(node, plain) else f"({condition(node)})"


def _first(node: ast.Condition) -> str:
    return condition(node) if isinstance(node, ast.And) and not _open(node) else _conjunct(node)


def _open(node: ast.And) -> bool:
    """Tell whether the right end would swallow what follows."""
    return isinstance(node.right, ast.Exists)
