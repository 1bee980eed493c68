"""A provider that says what it is told to, right or wrong."""

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from joserfc import jwk, jwt

from services.core import clock
from tests.delivery.peers import HttpPeer, Request, http_peer

CLIENT_ID = "larder"


@lru_cache
def usual_key() -> jwk.RSAKey:
    return jwk.RSAKey.generate_key(2048, {"kid": "one"})


@dataclass
class Rogue:
    """`claims` go over those that are right; None takes one away. `id_token` goes out as it is."""

    peer: HttpPeer
    key: jwk.RSAKey = field(default_factory=usual_key)
    signs_with: jwk.RSAKey | jwk.OctKey | None = None
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256", "kid": "one"})
    nonce: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    id_token: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.peer.port}"

    def count(self, path: str) -> int:
        return sum(request.path == path for request in self.peer.requests)

    def token(self) -> str:
        if self.id_token is not None:
            return str(self.id_token)
        now = int(clock.now().timestamp())
        claims = {
            "iss": self.issuer,
            "sub": "rita",
            "aud": CLIENT_ID,
            "exp": now + 300,
            "iat": now,
            "nonce": self.nonce,
            "email": "rita@example.com",
            "email_verified": True,
            "name": "Rita",
            **self.claims,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        if self.header["alg"] == "none":
            return f"{_part(self.header)}.{_part(kept)}."
        algorithms = [self.header["alg"]]
        return jwt.encode(self.header, kept, self.signs_with or self.key, algorithms=algorithms)

    async def prepare(self, request: Request) -> None:
        answer: Any
        match request.path:
            case "/.well-known/openid-configuration":
                answer = {
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{self.issuer}/auth",
                    "token_endpoint": f"{self.issuer}/token",
                    "userinfo_endpoint": f"{self.issuer}/me",
                    "jwks_uri": f"{self.issuer}/jwks",
                    **self.metadata,
                }
            case "/jwks":
                answer = {"keys": [self.key.as_dict(private=False)]}
            case "/token":
                answer = {"access_token": "access", "token_type": "Bearer", "id_token": self.token()}
            case _:
                answer = {"sub": "rita", **self.about}
        answer = self.answers.get(request.path, answer)
        self.peer.answers = [answer if isinstance(answer, bytes) else as_json(answer)]


@asynccontextmanager
async def rogue_provider() -> AsyncIterator[Rogue]:
    async with http_peer() as peer:
        rogue = Rogue(peer)
        peer.on_request = rogue.prepare
        yield rogue


def as_json(value: Any, status: int = 200) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body)


def _part(value: Mapping[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
