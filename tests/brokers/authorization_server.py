"""An authorization server on Authlib, and a resource server that asks it about every token.

Both listen on loopback, each in a thread of its own. RFC 8693 (token exchange), RFC 7009
(revocation), RFC 7662 (introspection), RFC 6749 §2.3.1 (the password of a client).
"""

import http.client
import json
import os
import threading
import time
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from functools import partial
from urllib.parse import quote_plus, urlencode, urlsplit

from authlib.integrations.flask_oauth2 import AuthorizationServer as Issuer
from authlib.oauth2.rfc6749 import ClientMixin, InvalidGrantError, InvalidScopeError, TokenMixin
from authlib.oauth2.rfc6749.errors import InvalidRequestError, OAuth2Error
from authlib.oauth2.rfc6749.grants.base import BaseGrant, TokenEndpointMixin
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from flask import Flask, request
from werkzeug.serving import WSGIRequestHandler, make_server

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"

GOVERNOR, PASSWORD = "bridle governor", "p/w:d+%41 ä"
RESOURCE, RESOURCE_PASSWORD = "crm-api", "introspects"
SUBJECT = "subject-token-of-the-organisation"
AUDIENCE, SCOPES, LIFE = "https://crm.example/", ("crm.read", "crm.write"), 60


class InvalidTargetError(OAuth2Error):
    error = "invalid_target"


class Client(ClientMixin):
    def __init__(self, id_, password):
        self.client_id, self.password = id_, password

    def get_client_id(self):
        return self.client_id

    def get_allowed_scope(self, scope):
        return " ".join(one for one in (scope or "").split() if one in SCOPES)

    def check_client_secret(self, client_secret):
        return client_secret == self.password

    def check_endpoint_auth_method(self, method, endpoint):
        return method == ("client_secret_basic" if self.password else "none")

    def check_grant_type(self, grant_type):
        return grant_type == EXCHANGE and self.client_id == GOVERNOR


class Token(TokenMixin):
    def __init__(self, client, text, scope, audience, life):
        self.client, self.text, self.scope, self.audience = client, text, scope, audience
        self.expires_in, self.ends, self.revoked = life, time.time() + life, False

    def check_client(self, client):
        return client.client_id == self.client

    def get_scope(self):
        return self.scope

    def get_expires_in(self):
        return self.expires_in

    def is_expired(self):
        return time.time() >= self.ends

    def is_revoked(self):
        return self.revoked


class Books:
    """What the server knows: clients, subject tokens, the tokens it has issued, what was asked."""

    def __init__(self, password=PASSWORD, life=LIFE):
        self.clients = {GOVERNOR: Client(GOVERNOR, password)}
        self.clients[RESOURCE] = Client(RESOURCE, RESOURCE_PASSWORD)
        self.subjects = {SUBJECT}
        self.tokens = {}
        self.asked = []
        self.life = life


class Exchange(BaseGrant, TokenEndpointMixin):
    GRANT_TYPE = EXCHANGE
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "none")

    def validate_token_request(self):
        books, form = self.server.books, self.request.form
        books.asked.append(form.to_dict())
        self.request.client = self.authenticate_token_endpoint_client()
        kinds = (form.get("subject_token_type"), form.get("requested_token_type"))
        if kinds != (ACCESS_TOKEN, ACCESS_TOKEN):
            raise InvalidRequestError
        if form.get("subject_token") not in books.subjects:
            raise InvalidGrantError
        if form.get("audience", AUDIENCE) != AUDIENCE or "resource" in form:
            raise InvalidTargetError
        if not set(form.get("scope", "").split()) <= set(SCOPES):
            raise InvalidScopeError

    def create_token_response(self):
        made = self.generate_token(
            scope=self.request.form.get("scope") or SCOPES[0],
            expires_in=self.server.books.life,
            include_refresh_token=False,
        )
        self.save_token(made)
        return 200, {**made, "issued_token_type": ACCESS_TOKEN}, self.TOKEN_RESPONSE_HEADER


class Revoke(RevocationEndpoint):
    CLIENT_AUTH_METHODS = ("client_secret_basic", "none")

    def query_token(self, token_string, token_type_hint):
        return self.server.books.tokens.get(token_string)

    def revoke_token(self, token, request):
        token.revoked = True


class Introspect(IntrospectionEndpoint):
    def query_token(self, token_string, token_type_hint):
        return self.server.books.tokens.get(token_string)

    def check_permission(self, token, client, request):
        return client.client_id == RESOURCE

    def introspect_token(self, token):
        return {"active": True, "scope": token.scope, "aud": token.audience}


def issuer(books):
    """The authorization server as a WSGI application."""

    def save(made, asked):
        client = asked.client.client_id
        text, life = made["access_token"], made["expires_in"]
        books.tokens[text] = Token(client, text, made["scope"], AUDIENCE, life)

    app = Flask("authorization-server")
    server = Issuer(app, books.clients.get, save)
    server.books = books
    server.register_grant(Exchange)
    server.register_endpoint(Revoke)
    server.register_endpoint(Introspect)
    app.post("/token")(server.create_token_response)
    for kind in (Revoke, Introspect):
        name = kind.ENDPOINT_NAME
        app.post(f"/{name}", endpoint=name)(partial(server.create_endpoint_response, name))
    return app


def resource(introspection):
    """The resource server: 200 for a token that the authorization server calls active, else 401."""
    app = Flask("resource-server")

    @app.get("/customers")
    def customers():
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer":
            return {}, 401
        known = introspected(introspection, token)
        if not known["active"] or known["aud"] != AUDIENCE:
            return {}, 401
        return ({"customers": []}, 200) if "crm.read" in known["scope"].split() else ({}, 403)

    return app


def introspected(url, token):
    pair = f"{quote_plus(RESOURCE)}:{quote_plus(RESOURCE_PASSWORD)}"
    headers = {
        "Authorization": "Basic " + b64encode(pair.encode()).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
    try:
        connection.request("POST", place.path, urlencode({"token": token}), headers)
        return json.load(connection.getresponse())
    finally:
        connection.close()


class _Quiet(WSGIRequestHandler):
    def log(self, *said):
        """Say nothing."""


@contextmanager
def serving(app):
    """Serve a WSGI application on loopback; yields its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Site:
    """Both servers. `opens` asks the resource server with a token."""

    def __init__(self, books, issuer_url, resource_url):
        self.books, self.url, self.resource = books, issuer_url, resource_url

    def opens(self, token):
        place = urlsplit(self.resource)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
        try:
            connection.request("GET", "/customers", headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status == 200
        finally:
            connection.close()


@contextmanager
def site(**about):
    """An authorization server and a resource server that introspects at it."""
    books = Books(**about)
    # Authlib takes no request over plain HTTP otherwise; this one stays on loopback.
    before = os.environ.get("AUTHLIB_INSECURE_TRANSPORT")
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    try:
        with ExitStack() as both:
            url = both.enter_context(serving(issuer(books)))
            yield Site(books, url, both.enter_context(serving(resource(url + "/introspection"))))
    finally:
        os.environ.pop("AUTHLIB_INSECURE_TRANSPORT")
        if before is not None:
            os.environ["AUTHLIB_INSECURE_TRANSPORT"] = before
