"""Token exchange against a real authorization server, and against servers that mean ill."""

import json
import pickle
import socket
import ssl
import threading
import time
import traceback
from contextlib import contextmanager
from urllib.parse import parse_qs

import pytest
from msgspec.structs import replace

from bridle.brokers import endpoints
from bridle.brokers.broker import BrokerError, Order
from bridle.brokers.sealed_file import SealedFile
from bridle.brokers.token_exchange import MOST_SECONDS, TokenExchangeBroker
from bridle.model.credential import ExchangeCredential, Use
from brokers import authorization_server as standard

FAR = 2**53


@pytest.fixture(scope="module")
def site():
    with standard.site() as both:
        yield both


@pytest.fixture
def secrets(tmp_path):
    sealed = SealedFile(tmp_path / "secrets.sealed", b"k" * 32)
    sealed.set("organisation", standard.SUBJECT)
    sealed.set("password", standard.PASSWORD)
    return sealed


@pytest.fixture
def broker(secrets):
    return TokenExchangeBroker(secrets)


def declared(url, **more):
    about = {
        "use": Use.GOVERNOR,
        "secret": "organisation",
        "endpoint": url + "/token",
        "revocation": url + "/revocation",
        "client_id": standard.GOVERNOR,
        "client_secret": "password",
        "audience": standard.AUDIENCE,
        "scope": "crm.read",
        "private": True,
    }
    return ExchangeCredential(**{**about, **more})


def order(credential, lease="lease-1", expires=FAR):
    return Order(
        lease=lease,
        mission="m",
        agent="a",
        attempt="t",
        system="crm",
        tool="crm.find",
        expires=expires,
        credential=credential,
    )


def token_of(made):
    return made.secret.reveal()["secret"]


def refused(broker, credential, code="broker_refused"):
    with pytest.raises(BrokerError) as caught:
        broker.vend(order(credential))
    assert caught.value.code == code
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    for secret in (standard.SUBJECT, standard.PASSWORD):
        assert secret not in shown
    return caught.value


# --- a server that keeps the standards ------------------------------------------------------------


def test_the_token_opens_the_resource_until_it_is_revoked(site, broker):
    credential = declared(site.url)
    made = broker.vend(order(credential))
    assert site.opens(token_of(made))
    broker.revoke(credential, made.handle)
    assert not site.opens(token_of(made))
    broker.revoke(credential, made.handle)


def test_the_request_is_the_one_of_the_standard(site, broker):
    broker.vend(order(declared(site.url)))
    assert site.books.asked[-1] == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": standard.SUBJECT,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": standard.AUDIENCE,
        "scope": "crm.read",
    }


def test_a_client_without_a_password_names_itself_in_the_form(secrets):
    with standard.site(password="") as open_site:
        credential = declared(open_site.url, client_secret="")
        made = TokenExchangeBroker(secrets).vend(order(credential))
        assert open_site.books.asked[-1]["client_id"] == standard.GOVERNOR
        TokenExchangeBroker(secrets).revoke(credential, made.handle)
        assert not open_site.opens(token_of(made))


def test_a_lease_ends_no_later_than_the_token_and_than_the_order(site, broker):
    before = int(time.time() * 1000)
    made = broker.vend(order(declared(site.url)))
    assert made.expires <= int(time.time() * 1000) + standard.LIFE * 1000
    assert made.expires >= before + standard.LIFE * 1000
    assert broker.vend(order(declared(site.url), expires=before + 5)).expires == before + 5


def test_two_leases_are_two_tokens_and_one_survives_the_other(site, broker):
    credential = declared(site.url)
    one, other = broker.vend(order(credential)), broker.vend(order(credential, "lease-2"))
    assert token_of(one) != token_of(other)
    broker.revoke(credential, one.handle)
    assert site.opens(token_of(other))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"audience": "https://other.example/"}, "invalid_target"),
        ({"resource": "https://other.example/"}, "invalid_target"),
        ({"scope": "crm.read everything"}, "invalid_scope"),
        ({"client_id": "somebody else"}, "invalid_client"),
        ({"subject_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
    ],
)
def test_what_the_server_refuses_is_no_credential(site, broker, more, said):
    assert said in refused(broker, declared(site.url, **more)).message


def test_a_wrong_password_and_a_wrong_subject_are_refused(site, secrets, broker):
    secrets.set("password", "another")
    assert "invalid_client" in refused(broker, declared(site.url)).message
    secrets.set("password", standard.PASSWORD)
    secrets.set("organisation", "stolen elsewhere")
    assert "invalid_grant" in refused(broker, declared(site.url)).message


def test_a_missing_secret_asks_nobody(site, broker):
    asked = len(site.books.asked)
    refused(broker, declared(site.url, secret="nobody-sealed-it"), "secret_missing")
    refused(broker, declared(site.url, client_secret="nor-this"), "secret_missing")
    assert len(site.books.asked) == asked


def test_without_a_revocation_endpoint_a_lease_has_not_ended_before_its_token(secrets):
    with standard.site(life=1) as brief:
        credential = declared(brief.url, revocation="")
        broker = TokenExchangeBroker(secrets)
        made = broker.vend(order(credential))
        with pytest.raises(BrokerError) as caught:
            broker.revoke(credential, made.handle)
        assert caught.value.code == "not_expired"
        for ended in _until(lambda: _ends(broker, credential, made.handle)):
            assert ended or time.time() * 1000 <= made.expires + 1_000
        assert not brief.opens(token_of(made))


def _ends(broker, credential, handle):
    try:
        broker.revoke(credential, handle)
    except BrokerError:
        return False
    return True


def _until(done):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        found = done()
        yield found
        if found:
            return
    pytest.fail("it did not end")


def test_a_token_that_could_not_be_taken_back_may_not_outlive_the_longest_lease(site, broker):
    credential = declared(site.url, revocation="", lease_ms=standard.LIFE * 1000 - 1)
    assert "lives too long" in refused(broker, credential).message
    broker.vend(order(replace(credential, lease_ms=standard.LIFE * 1000)))


def test_of_a_lease_whose_token_nobody_noted_nothing_is_asked(broker):
    broker.revoke(declared("http://127.0.0.1:9"), b"lease-1")


def test_credentials_are_not_shown_and_not_pickled(site, broker):
    made = broker.vend(order(declared(site.url)))
    assert token_of(made) not in repr(made.secret)
    with pytest.raises(TypeError):
        pickle.dumps(made.secret)


# --- servers that mean ill ------------------------------------------------------------------------


class Hostile:
    """Answers every request with the bytes of `answers`, in order; the last one again and again."""

    def __init__(self, *answers, hold=False):
        self.answers, self.hold, self.forms = list(answers), hold, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection):
        connection.settimeout(10)
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(65536)
        path = head.split()[1].decode()
        self.forms.append((path, {k: v[0] for k, v in parse_qs(body.decode()).items()}))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            for part in [answer] if isinstance(answer, bytes) else answer:
                connection.sendall(part)
            if self.hold:
                self.over.wait(10)
        except OSError:
            pass

    def close(self):
        self.over.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


@contextmanager
def hostile(*answers, **more):
    server = Hostile(*answers, **more)
    try:
        yield server
    finally:
        server.close()


def answer(body, status=200, kind="application/json", more=""):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}"
    return head.encode() + b"\r\n" + body


GOOD = {
    "access_token": "made-for-this-action",
    "issued_token_type": standard.ACCESS_TOKEN,
    "token_type": "Bearer",
    "expires_in": 60,
    "scope": "crm.read",
}
WITHOUT = object()


def changed(**fields):
    return {k: v for k, v in {**GOOD, **fields}.items() if v is not WITHOUT}


def test_the_answer_that_the_others_are_changed_from_is_taken(broker):
    with hostile(answer(GOOD)) as server:
        made = broker.vend(order(declared(server.url)))
        assert token_of(made) == "made-for-this-action"
    with hostile(answer(changed(scope=WITHOUT, token_type="bEARER"))) as server:
        broker.vend(order(declared(server.url)))


@pytest.mark.parametrize(
    "fields",
    [
        {"access_token": WITHOUT},
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": ["made"]},
        {"access_token": "two words"},
        {"access_token": "a\r\nX-Other: b"},
        {"access_token": "gr\u00fcn"},
        {"access_token": "x" * 20_000},
        {"access_token": standard.SUBJECT},
        {"token_type": WITHOUT},
        {"token_type": "mac"},
        {"token_type": "N_A"},
        {"token_type": ["Bearer"]},
        {"issued_token_type": WITHOUT},
        {"issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"expires_in": WITHOUT},
        {"expires_in": "60"},
        {"expires_in": 60.5},
        {"expires_in": True},
        {"expires_in": 0},
        {"expires_in": -60},
        {"expires_in": MOST_SECONDS + 1},
        {"expires_in": 10**30},
        {"scope": "crm.read crm.write"},
        {"scope": ["crm.read"]},
        {"scope": "CRM.READ"},
        {"refresh_token": "makes-more"},
    ],
)
def test_another_token_than_asked_is_refused(broker, fields):
    with hostile(answer(changed(**fields)), answer({})) as server:
        problem = refused(broker, declared(server.url))
    assert "made-for-this-action" not in str(problem)


def test_a_token_that_is_not_used_is_taken_back(broker):
    given = changed(scope="crm.read crm.write", refresh_token="makes-more")
    with hostile(answer(given), answer({})) as server:
        refused(broker, declared(server.url))
        assert [(path, form["token"]) for path, form in server.forms[1:]] == [
            ("/revocation", "makes-more"),
            ("/revocation", "made-for-this-action"),
        ]


@pytest.mark.parametrize(
    "sent",
    [
        answer(b""),
        answer(b"{"),
        answer(b"[]"),
        answer(b"null"),
        answer(b'{"access_token":"a","access_token":"b"}'),
        answer(b"\xff\xfe{}"),
        answer(b"[" * 5_000),
        answer(GOOD, kind="text/html"),
        answer(GOOD, kind="application/x-www-form-urlencoded"),
        answer(GOOD, status=201),
        answer(GOOD, status=302, more="Location: /elsewhere\r\n"),
        answer(GOOD, status=307, more="Location: http://127.0.0.1:9/\r\n"),
        answer(b"x" * (endpoints.LONGEST + 1)),
        answer({"error": "invalid_grant", "error_description": standard.SUBJECT}, status=400),
        answer({"error": standard.SUBJECT}, status=400),
        answer({"error": {"code": standard.SUBJECT}}, status=401),
        answer(f"no: {standard.SUBJECT}".encode(), status=403, kind="text/plain"),
    ],
    ids=range(17),
)
def test_what_is_no_token_is_refused_without_a_word_of_it(broker, sent):
    with hostile(sent) as server:
        refused(broker, declared(server.url))
        assert len(server.forms) == 1, "nothing is followed, and nothing asked again"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nContent-Type: application/json\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
    ids=range(6),
)
def test_what_is_no_http_is_a_server_that_cannot_be_reached(broker, sent):
    with hostile(sent) as server:
        refused(broker, declared(server.url), "broker_unreachable")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_cannot_answer_now_is_unreachable(broker, status):
    with hostile(answer({"error": "invalid_grant"}, status=status)) as server:
        refused(broker, declared(server.url), "broker_unreachable")


def _drip():
    yield b"HTTP/1.1 200 OK\r\nX-Slow: "
    while True:
        yield b"y"
        threading.Event().wait(0.05)


def _huge():
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"10000\r\n" + b" " * 0x10000 + b"\r\n"


def _never_final():
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n" * 100


@pytest.mark.parametrize("sent", [[b""], _drip(), _never_final()], ids=["mute", "drips", "1xx"])
def test_a_slow_server_is_given_up_in_time(broker, sent):
    with hostile(sent, hold=True) as server:
        began = time.monotonic()
        refused(broker, declared(server.url, wait_ms=300), "broker_slow")
        assert 0.25 < time.monotonic() - began < 3


def test_a_huge_answer_is_not_read_to_its_end(broker):
    with hostile(_huge()) as server:
        refused(broker, declared(server.url))


def test_a_server_that_is_down_is_unreachable(broker):
    free = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{free.getsockname()[1]}"
    free.close()
    refused(broker, declared(url), "broker_unreachable")


def test_a_private_address_or_plain_http_is_for_those_who_declare_it(broker, site):
    refused(broker, declared(site.url, private=False), "broker_unreachable")
    secure = site.url.replace("http:", "https:")
    problem = refused(broker, declared(secure, private=False), "broker_unreachable")
    assert "address_refused" in problem.message


def test_a_certificate_that_nobody_vouches_for_is_no_server(broker, tmp_path):
    from brokers.certificates import self_signed

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path, "127.0.0.1"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        seen = []

        def serve():
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as secured:
                    seen.append(secured.recv(65536))
            except OSError:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        problem = refused(broker, declared(url), "broker_unreachable")
        thread.join()
    assert "tls_failed" in problem.message
    assert b"".join(seen) == b"", "it was told nothing"


@pytest.mark.parametrize("status", [400, 401, 500, 503])
def test_a_revocation_that_fails_is_not_taken_for_one(broker, status):
    with hostile(answer(GOOD), answer({"error": "x"}, status=status)) as server:
        credential = declared(server.url)
        made = broker.vend(order(credential))
        with pytest.raises(BrokerError):
            broker.revoke(credential, made.handle)


def test_a_revocation_that_is_redirected_goes_nowhere(broker):
    moved = answer({}, status=307, more="Location: http://127.0.0.1:9/\r\n")
    with hostile(answer(GOOD), moved) as server:
        credential = declared(server.url)
        made = broker.vend(order(credential))
        with pytest.raises(BrokerError):
            broker.revoke(credential, made.handle)
        assert len(server.forms) == 2
