"""Credentials and performed tools in systems.toml: read strictly, secrets never in their place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridle.bundle.check import check_files
from bridle.model.credential import (
    ExchangeCredential,
    HeaderCredential,
    PostgresCredential,
    SealedCredential,
    Use,
)
from bridle.model.finding import Severity
from bridle.model.performing import Egress, HttpCall, SqlCall
from bundle.test_fuzz import SPLICES, settled

SYSTEM = """
[systems.hub]
domain = "support"
attributes = { tier = "gold" }
"""
TOOL = """
[tools."hub.open"]
system = "hub"
effect = "write"
"""
INPUT = """
input = { type = "object", required = ["owner", "number", "title"], properties = { \
owner = { type = "string" }, number = { type = "integer" }, title = { type = "string" }, \
labels = { type = "array", items = { type = "string" } }, deep = { type = "object" }, \
rows = { type = "array", items = { type = "object" } }, maybe = { type = "string" } } }
"""
HEADER = 'broker = "header"\nsecret = "hub-token"\n'
URL = 'url = "https://hub.example/v1"\n'
EXCHANGE = 'broker = "token_exchange"\nuse = "worker"\nsecret = "subject"\n'
ENDPOINT = 'endpoint = "https://as.example/token"\n'
POSTGRES = 'broker = "postgres"\nsecret = "dsn"\nrole = "reader"\n'
SEALED = 'broker = "sealed"\nuse = "worker"\nsecret = "key"\n'


def files(desk, system="", credential="", tool=""):
    text = desk.files["systems.toml"] + SYSTEM + system
    text += f"[systems.hub.credential]\n{credential}" if credential else ""
    text += TOOL + tool if tool else ""
    return {**desk.files, "systems.toml": text}


def read(desk, system="", credential="", tool=""):
    bundle, found = check_files(files(desk, system, credential, tool))
    assert bundle is not None, [str(each) for each in found]
    return bundle.systems["hub"], bundle.tools.get("hub.open")


def errors(desk, system="", credential="", tool=""):
    """Codes of the errors with the line they stand at."""
    made = files(desk, system, credential, tool)
    bundle, found = check_files(made)
    lines = made["systems.toml"].splitlines()
    wrong = [f for f in found if f.severity is Severity.ERROR]
    assert (bundle is None) == bool(wrong)
    assert all(f.location.file == "systems.toml" and f.location.line for f in wrong)
    return {f.code: lines[f.location.line - 1] for f in wrong}


# --- credentials ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "text", "wanted"),
    [
        ("", HEADER, HeaderCredential(use=Use.GOVERNOR, secret="hub-token")),
        (
            "",
            HEADER + 'header = "X-Key"\nform = "{secret}"\nlease = "30s"\nwait = "2s"\n',
            HeaderCredential(
                use=Use.GOVERNOR,
                secret="hub-token",
                header="X-Key",
                form="{secret}",
                lease_ms=30_000,
                wait_ms=2_000,
            ),
        ),
        ("", SEALED, SealedCredential(use=Use.WORKER, secret="key")),
        (
            'protocol = "mcp"\n',
            SEALED.replace("worker", "mcp") + 'meta = "example.com/key"\n',
            SealedCredential(use=Use.MCP, secret="key", meta="example.com/key"),
        ),
        ("", POSTGRES, PostgresCredential(use=Use.GOVERNOR, secret="dsn", role="reader")),
        (
            "",
            POSTGRES + 'use = "worker"\n',
            PostgresCredential(use=Use.WORKER, secret="dsn", role="reader"),
        ),
        (
            "",
            EXCHANGE + ENDPOINT + 'client_id = "b"\nclient_secret = "b-pw"\nscope = "a b"\n',
            ExchangeCredential(
                use=Use.WORKER,
                secret="subject",
                endpoint="https://as.example/token",
                client_id="b",
                client_secret="b-pw",
                scope="a b",
            ),
        ),
        (
            "",
            EXCHANGE + 'private = true\nendpoint = "http://127.0.0.1:9000/token/"\n',
            ExchangeCredential(
                use=Use.WORKER,
                secret="subject",
                endpoint="http://127.0.0.1:9000/token",
                private=True,
            ),
        ),
    ],
)
def test_each_broker_s_declaration_is_read_as_it_stands(desk, system, text, wanted):
    assert read(desk, system, text)[0].credential == wanted


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ('use = "worker"\nsecret = "x"\n', "missing_key", "[systems.hub.credential]"),
        ('broker = "vault"\nsecret = "x"\n', "bad_value", "broker"),
        ('broker = ""\nuse = "worker"\nsecret = "x"\n', "bad_value", "broker"),
        (SEALED.replace("worker", ""), "bad_value", "use"),
        ('broker = "header"\n', "missing_key", "[systems.hub.credential]"),
        ('broker = "sealed"\nsecret = "x"\n', "missing_key", "[systems.hub.credential]"),
        (HEADER + "typo = 1\n", "unknown_key", "typo"),
        (HEADER + 'meta = "x"\n', "unknown_key", "meta"),
        (SEALED + 'meta = "x"\n', "unknown_key", "meta"),
        (SEALED + 'header = "X-Key"\n', "unknown_key", "header"),
        # The wrong place.
        (SEALED.replace("worker", "governor"), "wrong_use", "use"),
        (SEALED.replace("worker", "mcp") + 'meta = "a/b"\n', "wrong_use", "use"),
        (HEADER + 'use = "worker"\n', "wrong_use", "use"),
        (HEADER + 'use = "mcp"\n', "wrong_use", "use"),
        (POSTGRES + 'use = "mcp"\n', "wrong_use", "use"),
        (HEADER + 'use = "agent"\n', "bad_value", "use"),
        (HEADER + "use = 3\n", "wrong_type", "use"),
        # Times.
        (HEADER + 'lease = "999ms"\n', "bad_value", "lease"),
        (HEADER + 'lease = "11m"\n', "bad_value", "lease"),
        (HEADER + 'lease = "0s"\n', "bad_value", "lease"),
        (HEADER + "lease = 30\n", "wrong_type", "lease"),
        (HEADER + 'wait = "31s"\n', "bad_value", "wait"),
        (HEADER + 'wait = "0s"\n', "bad_value", "wait"),
        # Headers and forms.
        (HEADER + 'header = "Host"\n', "bad_value", "header"),
        (HEADER + 'header = "content-LENGTH"\n', "bad_value", "header"),
        (HEADER + 'header = "Transfer-Encoding"\n', "bad_value", "header"),
        (HEADER + 'header = "Connection"\n', "bad_value", "header"),
        (HEADER + 'header = "X Key"\n', "bad_value", "header"),
        (HEADER + 'header = "X-Key:"\n', "bad_value", "header"),
        (HEADER + 'header = "X-Key\\r\\nHost"\n', "bad_value", "header"),
        (HEADER + 'header = ""\n', "bad_value", "header"),
        (HEADER + 'form = "Bearer"\n', "bad_value", "form"),
        (HEADER + 'form = "{secret}{secret}"\n', "bad_value", "form"),
        (HEADER + 'form = "Bearer {secret}\\r\\nX: y"\n', "bad_value", "form"),
        (HEADER + 'form = " {secret}"\n', "bad_value", "form"),
        # Endpoints.
        (EXCHANGE, "missing_key", "[systems.hub.credential]"),
        (EXCHANGE + 'endpoint = "http://as.example/token"\n', "plain_http", "endpoint"),
        (EXCHANGE + ENDPOINT + 'revocation = "http://as.example/r"\n', "plain_http", "revocation"),
        (EXCHANGE + 'endpoint = "https://me:pw@as.example/token"\n', "bad_value", "endpoint"),
        (EXCHANGE + 'endpoint = "https://as.example/token?x=1"\n', "bad_value", "endpoint"),
        (EXCHANGE + ENDPOINT + 'client_secret = "b"\n', "bad_value", "client_secret"),
        (EXCHANGE + ENDPOINT + 'subject_type = "jwt"\n', "bad_value", "subject_type"),
        (EXCHANGE + ENDPOINT + 'scope = "a  b"\n', "bad_value", "scope"),
        (EXCHANGE + ENDPOINT + 'resource = "crm"\n', "bad_value", "resource"),
        (EXCHANGE + ENDPOINT + 'audience = "a b"\n', "bad_value", "audience"),
        # Roles.
        (POSTGRES.replace('role = "reader"\n', ""), "missing_key", "[systems.hub.credential]"),
        (POSTGRES.replace("reader", "none"), "bad_value", "role"),
        (POSTGRES.replace("reader", "PUBLIC"), "bad_value", "role"),
        (POSTGRES.replace("reader", "pg_execute_server_program"), "bad_value", "role"),
        (POSTGRES.replace("reader", "r" * 64), "bad_value", "role"),
        (POSTGRES.replace("reader", "a\\u0000b"), "bad_value", "role"),
        (POSTGRES.replace("reader", ""), "bad_value", "role"),
    ],
)
def test_what_is_declared_wrongly_is_an_error_at_its_line(desk, text, code, line):
    found = errors(desk, credential=text)
    assert found[code].startswith(line)


@pytest.mark.parametrize(
    "meta", ["", "mcp/key", "modelcontextprotocol.io/key", "progressToken", "a b"]
)
def test_keys_of_mcp_itself_are_no_place_for_a_secret(desk, meta):
    text = SEALED.replace("worker", "mcp") + f'meta = "{meta}"\n'
    assert errors(desk, 'protocol = "mcp"\n', text) == {"bad_value": f'meta = "{meta}"'}


@pytest.mark.parametrize("key", ["secret", "form", "client_secret"])
def test_a_secret_that_stands_where_its_name_belongs_is_not_repeated(desk, key):
    real = "ghp_R3alT0kenOfTheHouse4711"
    base = EXCHANGE + ENDPOINT + 'client_id = "b"\n'
    text = {
        "secret": HEADER.replace("hub-token", real),
        "form": HEADER + f'form = "Bearer {real}"\n',
        "client_secret": base + f'client_secret = "{real}"\n',
    }[key]
    found = check_files(files(desk, credential=text))[1]
    wrong = [f for f in found if f.severity is Severity.ERROR]
    assert {f.code for f in wrong} == {"bad_value" if key == "form" else "bad_secret_name"}
    assert all(real not in str(f) for f in found)


# --- where the governor's side reaches ------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://api.github.example",
        "https://api.github.example/v3",
        "https://api.github.example:8443/a-b/c_d~e",
        "https://[2606:4700::1]/x",
        "https://192.0.2.7",
    ],
)
def test_urls_that_name_one_place_are_taken(desk, url):
    assert read(desk, f'url = "{url}/"\n')[0].url == url


@pytest.mark.parametrize(
    "url",
    [
        "", "hub.example", "ftp://hub.example", "https://", "https:///v1", "HTTPS://hub.example",
        "https://user@hub.example", "https://hub.example#x", "https://hub.example?x",
        "https://hub.example/../admin", "https://hub.example/./x", "https://hub.example//x",
        "https://hub.example/%2e%2e/x", "https://hub.example:0", "https://hub.example:65536",
        "https://hub.example:+80", "https://hub.example\\\\@evil.example", "https://hüb.example",
        "https://hub.example\\r\\nX: y", "https://2130706433", "https://0x7f.1", "https://127.1",
        "https://017700000001", "https://127.0.0.1.", "https://[::1%25eth0]", "https://[127.0.0.1]",
        "https://hub..example", "https://-hub.example", "https://" + "a" * 64 + ".example",
    ],
)  # fmt: skip
def test_urls_that_two_readers_could_read_differently_are_refused(desk, url):
    assert errors(desk, f'url = "{url}"\n')["bad_value"].startswith("url")


def test_http_is_for_private_systems(desk):
    assert errors(desk, 'url = "http://hub.example"\n')["plain_http"].startswith("url")
    system = 'private = true\nurl = "http://127.0.0.1:8080"\n'
    assert read(desk, system)[0].url == "http://127.0.0.1:8080"
    assert codes(desk, system) == {"private_http"}


def test_hosts_are_names_and_what_lies_below_them(desk):
    system, _ = read(desk, 'hosts = ["docs.example.com", "*.wiki.example.com"]\n')
    assert system.hosts == ("docs.example.com", "*.wiki.example.com")
    system, _ = read(desk, 'hosts = ["docs.example.com:8443", "*.wiki.example:65535"]\n')
    assert system.hosts == ("docs.example.com:8443", "*.wiki.example:65535")
    system, _ = read(desk, 'private = true\nhosts = ["127.0.0.1", "::1", "localhost"]\n')
    assert system.hosts == ("127.0.0.1", "::1", "localhost")


@pytest.mark.parametrize(
    "host",
    [
        "*", "*.", "*.com", "com", "localhost", "127.0.0.1", "::1", "https://docs.example.com", "",
        "docs.example.com:0", "docs.example.com:65536", "docs.example.com:080",
        "docs.example.com:", "127.0.0.1:80", "[::1]:80", "docs.example.com:80:80",
        "docs.*.com", "*.*.example.com", "Docs.Example.com",
        "*docs.example",
        "docs.example.com.", "docs.example.com/x", "0x7f.0.0.1", "2130706433", "*.0.0.1",
    ],
)  # fmt: skip
def test_hosts_that_say_more_than_they_seem_to_are_refused(desk, host):
    assert errors(desk, f'hosts = ["{host}"]\n')["bad_host"].startswith("hosts")


# --- tools that the governor's side carries out ---------------------------------------------------


def test_an_http_tool_is_one_request(desk):
    http = 'http = { method = "POST", path = "/r/{owner}/{number}.json", query = ["labels"] }\n'
    _, tool = read(desk, URL, HEADER, http + INPUT)
    wanted = HttpCall(method="POST", path="/r/{owner}/{number}.json", query=("labels",))
    assert tool.performed == wanted


@pytest.mark.parametrize(
    ("http", "code"),
    [
        ("{}", "missing_key"),
        ('{ method = "TRACE" }', "bad_value"),
        ('{ method = "CONNECT" }', "bad_value"),
        ('{ method = "POST", body = "x" }', "unknown_key"),
        ('{ method = "POST", path = "r/{owner}" }', "bad_value"),
        ('{ method = "POST", path = "//evil.example/{owner}" }', "bad_value"),
        ('{ method = "POST", path = "/a/../{owner}" }', "bad_value"),
        ('{ method = "POST", path = "/a/%2e%2e/{owner}" }', "bad_value"),
        ('{ method = "POST", path = "/a?x={owner}" }', "bad_value"),
        ('{ method = "POST", path = "/a#{owner}" }', "bad_value"),
        ('{ method = "POST", path = "/a b" }', "bad_value"),
        ('{ method = "POST", path = "/{owner" }', "bad_value"),
        ('{ method = "POST", path = "/{}" }', "unknown_argument"),
        ('{ method = "POST", path = "/{owner}{number}" }', "bad_value"),
        ('{ method = "POST", path = "/{who}" }', "unknown_argument"),
        ('{ method = "POST", path = "/{maybe}" }', "bad_value"),
        ('{ method = "POST", path = "/{labels}" }', "bad_value"),
        ('{ method = "POST", query = ["who"] }', "unknown_argument"),
        ('{ method = "POST", query = ["deep"] }', "bad_value"),
        ('{ method = "POST", query = ["rows"] }', "bad_value"),
        ('{ method = "POST", path = "/{owner}", query = ["owner"] }', "bad_value"),
        ('{ method = "GET" }', "bad_value"),
        ('{ method = "POST", answer_bytes = 0 }', "bad_value"),
        ('{ method = "POST", answer_bytes = 99999999 }', "bad_value"),
        ('"POST /x"', "wrong_type"),
    ],
)
def test_an_http_tool_that_could_go_astray_is_an_error(desk, http, code):
    assert code in errors(desk, URL, HEADER, f"http = {http}\n{INPUT}")


@pytest.mark.parametrize(
    ("system", "credential", "way"),
    [
        ("", "", 'http = { method = "POST" }'),
        (URL, POSTGRES, 'http = { method = "POST" }'),
        (URL, SEALED, 'http = { method = "POST" }'),
        (URL + 'protocol = "mcp"\n', "", 'http = { method = "POST" }'),
        (URL, "", "egress = {}"),
        ("", "", 'sql = { statement = "SELECT 1" }'),
        (URL, HEADER, 'sql = { statement = "SELECT 1" }'),
        ("", POSTGRES + 'use = "worker"\n', 'sql = { statement = "SELECT 1" }'),
        (URL, "", 'http = { method = "POST" }\nsql = { statement = "SELECT 1" }'),
    ],
)
def test_a_tool_that_its_system_cannot_carry_out_that_way_is_an_error(
    desk, system, credential, way
):
    schema = INPUT.replace('"number", "title"]', '"number", "title", "method", "url"]').replace(
        "properties = {", 'properties = { method = { type = "string" }, url = { type = "string" },'
    )
    assert set(errors(desk, system, credential, f"{way}\n{schema}")) == {"not_performable"}


def test_an_egress_tool_needs_no_schema_of_its_own(desk):
    hosts = 'hosts = ["docs.example.com"]\n'
    _, tool = read(desk, hosts, "", 'egress = { methods = ["GET", "CONNECT"] }\n')
    assert tool.performed == Egress(methods=("GET", "CONNECT"))
    assert tool.input["properties"]["method"] == {"enum": ["GET", "CONNECT"]}
    assert tool.input["required"] == ["method", "url"]
    assert tool.input["additionalProperties"] is False
    assert {a.path: a.sink for a in tool.arguments} == {"url": "locator", "body": "content"}


@pytest.mark.parametrize(
    ("egress", "code"),
    [
        ('egress = { methods = ["TRACE"] }', "bad_value"),
        ("egress = { methods = [] }", "bad_value"),
        ('egress = { methods = "GET" }', "wrong_type"),
        ("egress = { methods = [3] }", "wrong_type"),
        ("egress = 3", "wrong_type"),
        ("egress = { hosts = [] }", "unknown_key"),
        (
            'egress = {}\ninput = { type = "object", properties = { url = { type = "string" } } }',
            "unknown_argument",
        ),
    ],
)
def test_an_egress_tool_that_is_declared_wrongly_is_an_error(desk, egress, code):
    assert code in errors(desk, 'hosts = ["docs.example.com"]\n', "", egress + "\n")


def test_a_statement_reads_where_its_tool_only_reads(desk):
    sql = "sql = { statement = \"SELECT '%%' WHERE 1 = %(number)s\", rows = 7 }\n"
    assert read(desk, "", POSTGRES, sql + INPUT)[1].performed == SqlCall(
        statement="SELECT '%%' WHERE 1 = %(number)s", readonly=False, rows=7
    )
    made = files(desk, "", POSTGRES, sql + INPUT)
    made["systems.toml"] = made["systems.toml"].replace(TOOL, TOOL.replace("write", "read"))
    bundle, _ = check_files(made)
    assert bundle.tools["hub.open"].performed.readonly


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("{}", "bad_value"),
        ('{ statement = "SELECT 1", argument = "title" }', "bad_value"),
        ('{ statement = "SELECT %(who)s" }', "unknown_argument"),
        ('{ statement = "SELECT %s" }', "bad_value"),
        ('{ statement = "SELECT 5 % 2" }', "bad_value"),
        ('{ statement = "SELECT %(title)d" }', "bad_value"),
        ('{ statement = "SELECT \\u0000" }', "bad_value"),
        ('{ argument = "who" }', "unknown_argument"),
        ('{ argument = "number" }', "bad_value"),
        ('{ argument = "maybe" }', "bad_value"),
        ('{ statement = "SELECT 1", rows = 0 }', "bad_value"),
        ('{ statement = "SELECT 1", text = 0 }', "unknown_key"),
    ],
)
def test_a_statement_that_is_declared_wrongly_is_an_error(desk, sql, code):
    assert code in errors(desk, "", POSTGRES, f"sql = {sql}\n{INPUT}")


def test_a_tool_that_reads_cannot_be_given_a_transaction_that_writes(desk):
    sql = 'sql = { statement = "SELECT 1", readonly = false }\n'
    made = files(desk, "", POSTGRES, sql + INPUT)
    made["systems.toml"] = made["systems.toml"].replace(TOOL, TOOL.replace("write", "read"))
    assert {f.code for f in check_files(made)[1] if f.severity is Severity.ERROR} == {"bad_value"}


# --- workloads ------------------------------------------------------------------------------------


def workload(desk, text):
    made = {**desk.files, "agents.toml": desk.files["agents.toml"] + text}
    return {f.code for f in check_files(made)[1] if f.severity is Severity.ERROR}


def test_no_workload_but_the_governor_is_called_governor(desk):
    assert workload(desk, "\n[workloads.governor]\n") == {"reserved_workload"}


def test_a_separate_workload_has_a_key(desk):
    assert workload(desk, "\n[workloads.press]\nseparate = true\n") == {"separate_without_key"}
    assert workload(desk, "\n[workloads.press]\nseparate = 1\n") == {"wrong_type"}


# --- what is likely a mistake ---------------------------------------------------------------------


def codes(desk, system="", credential="", tool="", **more):
    made = {**files(desk, system, credential, tool), **more}
    known = {"nobody_separate", "no_vend_permit", "private_http"}
    return {f.code for f in check_files(made)[1]} & known


def test_a_tool_that_nobody_could_carry_out_is_reported(desk):
    permits = {"governance/vend.dw": permit('action == Action::"vend_credential", resource')}
    http = 'http = { method = "POST" }\n' + INPUT
    assert codes(desk, URL, HEADER, INPUT, **permits) == {"nobody_separate"}
    assert codes(desk, URL, HEADER, http, **permits) == set()
    assert codes(desk, "", SEALED, INPUT, **permits) == {"nobody_separate"}
    for every in (
        "",
        '\n[workloads.press]\nseparate = true\nkey = "ed25519:' + "Aw" * 21 + 'M="\n',
    ):
        agents = desk.files["agents.toml"] + every
        found = codes(desk, "", SEALED, INPUT, **permits, **{"agents.toml": agents})
        assert found == ({"nobody_separate"} if not every else set())


def permit(scope):
    return f'@id("vending")\npermit (principal, {scope});\n'


@pytest.mark.parametrize(
    ("scope", "covers"),
    [
        ('action == Action::"vend_credential", resource', True),
        ('action == Action::"vend_credential", resource == System::"hub"', True),
        ('action == Action::"vend_credential", resource in Domain::"support"', True),
        ('action in [Action::"governance"], resource', True),
        ('action == Action::"vend_credential", resource == System::"desk"', False),
        ('action == Action::"delegate", resource', False),
    ],
)
def test_a_credential_that_no_permit_covers_is_reported(desk, scope, covers):
    http = 'http = { method = "POST" }\n' + INPUT
    found = codes(desk, URL, HEADER, http, **{"governance/vend.dw": permit(scope)})
    assert found == (set() if covers else {"no_vend_permit"})


@pytest.mark.parametrize("key", ["effect", "system"])
def test_an_empty_word_is_none_of_a_few_words(desk, key):
    made = desk.files["systems.toml"]
    old = {"effect": 'effect = "irreversible"', "system": 'system = "payments"'}[key]
    assert old in made
    changed = {**desk.files, "systems.toml": made.replace(old, f'{key} = ""', 1)}
    assert check_files(changed)[0] is None


# --- whatever stands there -----------------------------------------------------------------------

ODD = [
    'url = "https://[::1"', "hosts = [[]]", "credential = 3", 'credential = "x"', "http = []",
    "sql = {}",
    'egress = { methods = [["GET"]] }', "lease = 1e9", 'lease = "9999999999s"', "private = 1",
    'url = "https://' + "a" * 3000 + '"', 'statement = "%(((("', 'path = "/{{{{}}"',
    'role = "\\ud800"',
    'secret = "{secret}"', 'form = "{secret"', "query = [[]]", 'query = [""]', 'argument = ""',
]  # fmt: skip

EVERY = [
    (URL, HEADER, 'http = { method = "POST", path = "/r/{owner}", query = ["labels"] }\n' + INPUT),
    ('hosts = ["docs.example.com"]\n', "", 'egress = { methods = ["GET"] }\n'),
    ("", POSTGRES, 'sql = { statement = "SELECT %(number)s", rows = 7 }\n' + INPUT),
    ("private = true\n", EXCHANGE + ENDPOINT + 'client_id = "b"\nclient_secret = "p"\n', INPUT),
    ('protocol = "mcp"\n', SEALED.replace("worker", "mcp") + 'meta = "a.b/c"\n', INPUT),
]


@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_whatever_stands_there_is_a_bundle_or_findings_and_nothing_else(desk, data):
    whole = files(desk, *data.draw(st.sampled_from(EVERY)))["systems.toml"]
    start = len(desk.files["systems.toml"])
    edit = st.tuples(
        st.floats(0, 1), st.sampled_from([0, 0, 1, 8, 40]), st.sampled_from(SPLICES + ODD)
    )
    text = whole[start:]
    for where, cut, new in data.draw(st.lists(edit, min_size=1, max_size=3)):
        at = int(where * len(text))
        text = text[:at] + new + text[at + cut :]
    settled(check_files({**desk.files, "systems.toml": whole[:start] + text}))
