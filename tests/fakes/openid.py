"""An OpenID provider that does as it is told: signs in everybody at once, and tampers with what it sends where a test says so."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

CLIENT, SECRET, AUDIENCE = "symbiosis", "client-secret-Kx73", "https://gateway.example/api"
Claims = dict[str, Any]


@cache
def rsa_key(name: str) -> RSAPrivateKey:
    """Return a key, the same for the same name."""
    return generate_private_key(65537, 2048)


@dataclass
class OpenId:
    """`claims` go into the ID token, `userinfo` into the answer of that endpoint; `twist` may change an ID token's claims, `sign` makes the token."""

    origin: str = ""
    subject: str = "sub-1"
    claims: Claims = field(default_factory=dict)
    userinfo: Claims = field(default_factory=dict)
    discovery: Claims = field(default_factory=dict)
    twist: Callable[[Claims], Claims] = lambda claims: claims
    sign: Callable[["OpenId", Claims], str] = lambda self, claims: self.signed(claims)
    published: list[str] = field(default_factory=lambda: ["key-1"])
    signs_by: str = "key-1"
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    is_down: bool = False

    def signed(self, claims: Claims, kid: str | None = "", key: str = "", algorithm: str = "RS256") -> str:
        """Return a token signed by a key, under its own name or another or none."""
        headers = {} if kid is None else {"kid": kid or self.signs_by}
        return jwt.encode(claims, rsa_key(key or self.signs_by), algorithm, headers)

    def access_token(self, **changes: Any) -> str:
        """Return an access token for our API."""
        now = int(time.time())
        claims = {"iss": self.origin, "sub": self.subject, "aud": AUDIENCE, "client_id": "cli", "iat": now, "exp": now + 300, **changes}
        return self.signed({name: value for name, value in claims.items() if value is not None})

    def page(self, path: str) -> Claims | None:
        """Return what is published at a path."""
        endpoints = {
            f"{name}_endpoint": f"{self.origin}/{name}" for name in ("authorization", "token", "userinfo", "end_session")
        }
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.origin, **endpoints, "jwks_uri": f"{self.origin}/jwks", **self.discovery}
        if path == "/jwks":
            return {"keys": [{**RSAAlgorithm.to_jwk(rsa_key(kid).public_key(), as_dict=True), "kid": kid, "use": "sig"} for kid in self.published]}
        if path == "/userinfo":
            return {"sub": self.subject, **self.userinfo}
        return None

    def authorize(self, query: dict[str, str]) -> str:
        """Return where the browser is sent with a code."""
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def tokens(self, form: dict[str, str], basic: str) -> Claims | None:
        """Return the tokens for a code, None when anything does not fit."""
        asked = self.codes.pop(form.get("code", ""), None)
        verifier = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        proof = f"Basic {base64.b64encode(f'{quote(CLIENT)}:{quote(SECRET)}'.encode()).decode()}"
        if asked is None or verifier != asked["code_challenge"] or basic != proof or form["redirect_uri"] != asked["redirect_uri"]:
            return None
        now = int(time.time())
        access_token = self.access_token()
        claims = {
            "iss": self.origin, "sub": self.subject, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"],
            "at_hash": base64.urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()[:16]).rstrip(b"=").decode(), **self.claims,
        }  # fmt: skip
        return {"access_token": access_token, "token_type": "Bearer", "id_token": self.sign(self, self.twist(claims))}


@contextmanager
def openid_provider() -> Iterator[OpenId]:
    """Serve on a free loopback port."""
    told = OpenId()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            told.asked.append(parts.path)
            if told.is_down:
                self.say(503, {})
            elif parts.path == "/authorization":
                self.send_response(302)
                self.send_header("location", told.authorize(dict(parse_qsl(parts.query))))
                self.send_header("content-length", "0")
                self.end_headers()
            else:
                found = told.page(parts.path)
                self.say(404 if found is None else 200, found or {})

        def do_POST(self) -> None:
            told.asked.append(self.path)
            form = {name: values[0] for name, values in parse_qs(self.rfile.read(int(self.headers["content-length"])).decode()).items()}
            found = told.tokens(form, self.headers.get("authorization", ""))
            self.say(400 if found is None else 200, found or {"error": "invalid_grant"})

        def say(self, status: int, body: Claims) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    told.origin = f"http://127.0.0.1:{server.server_port}"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
