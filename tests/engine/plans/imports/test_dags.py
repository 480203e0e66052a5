"""DAGs of Airflow are data: what is plain is read, everything else refused with its place."""

import json
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.plans.imports import airflow, dag, drafting
from bridle.model.errors import UsageError

HEAD = """from airflow import DAG
from airflow.providers.http.operators.http import HttpOperator as Http
from airflow.operators.empty import EmptyOperator
from airflow.models.baseoperator import chain
from datetime import datetime
import pendulum
"""
MAP = """
ignore = ["retries", "retry_delay"]
[kinds."airflow.operators.empty.EmptyOperator"]
skip = true
[kinds."airflow.providers.http.operators.http.HttpOperator"]
tool = "page.get"
args = { endpoint = "id", data = "body" }
ignore = ["http_conn_id"]
constants = { method = "GET" }
result = "/body"
"""


def read(body: str, *, head: str = HEAD) -> dict[str, Any]:
    indented = "".join(f"    {line}\n" for line in body.splitlines() or ["pass"])
    return dag.main(f"{head}with DAG('d') as d:\n{indented}")


def planned(body: str, mapping: str = MAP) -> list[dict[str, Any]]:
    answer = json.dumps(read(body))
    text = drafting.drafted(airflow.tasks(answer, "dag.py"), drafting.mapping(mapping))
    steps: list[dict[str, Any]] = json.loads(text)["steps"]
    return steps


def refused(body: str) -> str:
    with pytest.raises(UsageError) as problem:
        planned(body)
    assert problem.value.code == "import_refused"
    return problem.value.message


def test_a_dag_is_a_plan() -> None:
    steps = planned(
        """
start = EmptyOperator(task_id="start", retries=3)
get = Http(task_id="get", endpoint="7", http_conn_id="web")
send = Http(task_id="send", endpoint=get.output, data={"n": [1, -2.5, True, None]})
start >> get >> send
""".strip()
    )
    assert steps == [
        {"id": "get", "tool": "page.get", "args": {"id": "7", "method": "GET"}},
        {
            "id": "send",
            "tool": "page.get",
            "after": ["get"],
            "args": {
                "body": {"n": [1, -2.5, True, None]},
                "id": {"$from": "get", "path": "/body"},
                "method": "GET",
            },
        },
    ]


@pytest.mark.parametrize(
    "order",
    ["a >> b >> c", "c << b << a", "a.set_downstream(b)\nb.set_downstream(c)",
     "c.set_upstream(b)\nb.set_upstream(a)", "chain(a, b, c)", "a >> b\nb >> c",
     "a >> [b]\n[b] >> c"],
)  # fmt: skip
def test_an_order_is_read_however_it_is_written(order: str) -> None:
    tasks = "\n".join(f'{n} = Http(task_id="{n}", endpoint="x")' for n in "cab")
    steps = planned(f"{tasks}\n{order}")
    assert [each["id"] for each in steps] == ["a", "b", "c"]
    assert [each.get("after", []) for each in steps] == [[], ["a"], ["b"]]


def test_constants_templates_and_defaults_are_read() -> None:
    head = HEAD + 'TO = "7"\nDEF = {"retries": 2, "endpoint": "9"}\n'
    text = f"""{head}
d = DAG("d", default_args=DEF, schedule=None)
a = Http(task_id="a", endpoint=TO, dag=d)
b = Http(task_id="b", data="{{{{ ti.xcom_pull(task_ids='a') }}}}", dag=d)
"""
    found = airflow.tasks(json.dumps(dag.main(text)), "dag.py")
    steps = json.loads(drafting.drafted(found, drafting.mapping(MAP)))["steps"]
    assert steps[0]["args"] == {"id": "7", "method": "GET"}
    assert steps[1]["args"]["id"] == "9"
    assert steps[1]["args"]["body"] == {"$from": "a", "path": "/body"}


STATEMENTS = [
    "exec('x')",
    "eval('x')",
    "os.system('touch /tmp/pwned')",
    "__import__('os').system('id')",
    "import os; os.system('id')",
    "for i in range(3): Http(task_id=f't{i}')",
    "if True: a = Http(task_id='a')",
    "while True: pass",
    "def f(): pass",
    "async def f(): pass",
    "class A: pass",
    "@task\ndef f(): pass",
    "lambda: 1",
    "[x for x in y]",
    "a = b = 1",
    "a, b = 1, 2",
    "a: int = 1",
    "a += 1",
    "del DAG",
    "global a",
    "assert True",
    "raise ValueError",
    "try:\n    pass\nfinally:\n    pass",
    "with open('/etc/passwd') as f: pass",
    "match 1:\n    case _: pass",
    "print('x')",
    "a = Http(task_id='a')\na = Http(task_id='b')",
    "Http = 1",
    "import nothing as Http",
    "from evil import *",
    "from . import x",
    "a = [1, f()]",
    "(a := 1)",
    "a = 'x' % 1",
    "Http('x', task_id='a')",
    "Http(**{'task_id': 'a'})",
    "Http(task_id=1)",
    "Http(task_id='a' + 'b')",
    "Http(endpoint='x')",
    "Nothing(task_id='a')",
    "a.partial(task_id='a').expand(x=[1])",
    "DAG('other')",
    "Http(task_id='a') + Http(task_id='b')",
    "[] >> Http(task_id='a')",
    "Http(task_id='a')\nHttp(task_id='a')",
    "Http(task_id='a', dag=other)",
    "chain(*x)",
    "chain([Http(task_id='a'), Http(task_id='b')], [Http(task_id='c'), Http(task_id='e')])",
]


@pytest.mark.parametrize("body", STATEMENTS)
def test_what_would_have_to_be_run_is_refused_with_its_place(body: str, tmp_path: Path) -> None:
    found = read(body)
    assert found.get("refused"), found
    assert found["line"] >= 1
    assert not Path("/tmp/pwned").exists()
    assert tmp_path


@pytest.mark.parametrize(
    "argument",
    ["f'{x}'", "'{{ ds }}'", "'{% if x %}'", "'{{ ti.xcom_pull(task_ids=x) }}'", "'get.sql'",
     "'run.SH '", "x", "a.output['x']", "b.output", "(1, 2)", "{1}", "b'x'", "1e400", "1e-9", "0.0",
     "2 + 70", str(2**70), "{'$from': 'a'}", "{1: 2}", "{'a': 1, 'a': 2}", "'\\ud800'",
     "...", "-'x'", "1j", "datetime(2024, 1, 1)", "pendulum.datetime(2024, 1, 1, tz='UTC')"],
)  # fmt: skip
def test_an_argument_that_is_no_plain_value_is_refused_where_it_is_needed(argument: str) -> None:
    message = refused(f"a = Http(task_id='a')\nHttp(task_id='z', endpoint={argument})")
    assert message.startswith("dag.py:9:")
    # Where nobody asks for it, it is nobody's.
    steps = planned(f"a = Http(task_id='a')\nHttp(task_id='z', http_conn_id={argument})")
    assert [step["id"] for step in steps] == ["a", "z"]


@pytest.mark.parametrize(
    "argument",
    ["f()", "lambda: 1", "[1, f()]", "[x for x in y]", "1 if x else 2", "2 ** 70", "a >> a",
     "Http(task_id='hidden')", "datetime(f())", "a.set_downstream(a)", "f'{f()}'", "(x := 1)",
     "os.system('id')", "Http(task_id='b').output", "await x", "(yield)", "a.output[f()]",
     "datetime.now.__globals__['os'].system('id')"],
)  # fmt: skip
def test_an_argument_that_would_do_something_is_refused_even_where_nobody_asks_for_it(
    argument: str,
) -> None:
    message = refused(f"a = Http(task_id='a')\nHttp(task_id='z', http_conn_id={argument})")
    assert message.startswith("dag.py:9:")
    assert read("", head=HEAD).get("tasks") == []
    assert dag.main(f"{HEAD}with DAG('d', schedule={argument}): pass").get("refused")


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("Http(task_id='a', method='POST')", "'method' is mapped nowhere"),
        ("Http(task_id='a', trigger_rule='all_done')", "'trigger_rule' is mapped nowhere"),
        ("EmptyOperator(task_id='a')\nHttp(task_id='b', trigger_rule='x')", "mapped nowhere"),
        ("e = EmptyOperator(task_id='e')\nHttp(task_id='b', endpoint=e.output)", "is left out"),
        ("a = Http(task_id='a')\nb = Http(task_id='b')\na >> b >> a", "in a circle"),
        ("a = Http(task_id='a', endpoint=\"{{ ti.xcom_pull('no') }}\")", "no task 'no'"),
        ("from evil import Op\nOp(task_id='a')", "no kind 'evil.Op' is mapped"),
    ],
)
def test_what_the_mapping_does_not_speak_of_is_refused(body: str, what: str) -> None:
    assert what in refused(body)


@pytest.mark.parametrize(
    "text",
    ["", "x = 1", "\x00", "def", "(" * 5_000, "a" * 100_000 + "(", "[" * 300 + "]" * 300,
     "x = " + "-" * 3_000 + "1", "x = 1 " + "+ 1 " * 20_000, f"{HEAD}DAG('a')\n",
     f"{HEAD}with DAG('a', on_failure_callback=f): pass", f"{HEAD}with DAG('a', **x): pass",
     f"{HEAD}with DAG('a', params={{}}): pass", f"{HEAD}with DAG('a', default_args=f()): pass",
     f"{HEAD}with DAG('a') as a, DAG('b') as b: pass", f"{HEAD}with DAG('a') as a.b: pass",
     f"{HEAD}with DAG('a'): pass\nwith DAG('b'): pass", "from airflow import DAG as D\nDAG('x')"],
)  # fmt: skip
def test_what_is_no_dag_is_refused(text: str) -> None:
    assert dag.main(text).get("refused"), text[:80]


@given(st.text(alphabet=string.printable, max_size=200))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    found = dag.main(HEAD + text)
    assert "refused" in found or found["tasks"] == []


def test_the_reader_needs_nothing_but_python_and_imports_nothing_of_the_dag(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    text = "import evil\nfrom evil import x\n" + HEAD + "with DAG('d'):\n    pass\n"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-B", dag.__file__],
        input=text.encode(), capture_output=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert json.loads(ran.stdout) == {"tasks": [], "defaults": {}}
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "answer",
    ["", "[]", "{}", '{"tasks":[]}', '{"tasks":[1],"defaults":{}}', '{"tasks":{},"defaults":[]}',
     '{"tasks":[{"id":1,"kind":"k","line":1,"column":1,"args":{},"after":[]}],"defaults":{}}',
     '{"tasks":[{"id":"a","kind":"k","line":"1","column":1,"args":{},"after":[]}],"defaults":{}}',
     '{"tasks":[{"id":"a","kind":"k","line":1,"column":1,"args":{"x":1},"after":[]}],"defaults":{}}',
     '{"tasks":[{"id":"a","kind":"k","line":1,"column":1,"args":{},"after":[1]}],"defaults":{}}',
     '{"refused":1,"line":1,"column":1}', '{"refused":"x","line":null,"column":1}',
     '{"refused":"x"}', '{"tasks":[],"tasks":[],"defaults":{}}', "x" * 100],
)  # fmt: skip
def test_an_answer_that_no_reader_gives_is_refused(answer: str) -> None:
    with pytest.raises(UsageError):
        airflow.tasks(answer, "dag.py")


def test_what_a_reader_says_is_shown_without_what_moves_a_terminal() -> None:
    answer = json.dumps({"refused": "x\x1b[2J\u202e", "line": 1, "column": 1})
    with pytest.raises(UsageError) as problem:
        airflow.tasks(answer, "dag.py")
    assert problem.value.message == "dag.py:1:1: x?[2J?"
