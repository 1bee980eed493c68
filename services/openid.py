"""Sign-in with an OpenID Connect provider: authorisation code with PKCE, and what the provider then says is looked at
before it is believed (OpenID Connect Core 3.1.3.7, RFC 9207).

Nothing here touches the database: the provider is asked outside of any transaction.
"""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
from joserfc import jwk, jwt
from joserfc.errors import InvalidKeyIdError, JoseError

from services.core import clock
from services.core.errors import NotFound, NotSignedIn, Unavailable
from services.core.i18n import _
from settings import Settings, get_settings

SCOPE = "openid email profile"
TIMEOUT = httpx.Timeout(10, connect=5)
MEMORY = timedelta(hours=1)
# Somebody who makes up key ids must not make us ask for the keys each time.
KEYS_AGAIN_AFTER = timedelta(seconds=30)
LEEWAY = 120  # seconds that the provider's clock may be ahead of ours, or behind
# Never `none`, and nothing that is signed with a secret both sides know.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")


@dataclass(frozen=True, slots=True)
class Quest:
    """What one sign-in keeps to itself until the provider's answer: to know that it is the answer to this one."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> "Quest":
        return cls(*(secrets.token_urlsafe(32) for _index in range(3)))

    @property
    def challenge(self) -> str:
        """PKCE's S256 (RFC 7636)."""
        return base64.urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider put into the address it sent the browser back to."""

    code: str = ""
    state: str = ""
    issuer: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Claims:
    """Who somebody is, as the provider says. `email` only when it vouches for it."""

    issuer: str
    subject: str
    email: str = ""
    name: str = ""
    locale: str = ""


def is_configured() -> bool:
    settings = get_settings()
    return settings.openid_issuer is not None and bool(settings.openid_client_id)


def require_configured() -> None:
    """Raises `NotFound`."""
    if not is_configured():
        raise NotFound(_("There is nothing at this address."))


async def address(quest: Quest, redirect_uri: str) -> str:
    """Where the browser goes. Raises `NotFound` where no provider is configured, `Unavailable` when it is away."""
    provider = _provider()
    metadata = await provider.metadata()
    endpoint = _endpoint(metadata, "authorization_endpoint")
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": redirect_uri,
        "scope": SCOPE,
        "state": quest.state,
        "nonce": quest.nonce,
        "code_challenge": quest.challenge,
        "code_challenge_method": "S256",
    }
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"


async def redeem(quest: Quest, answer: Answer, redirect_uri: str) -> Claims:
    """Who came back. Raises `NotSignedIn` for whatever is not as it must be, `Unavailable` while the provider is."""
    provider = _provider()
    metadata = await provider.metadata()
    if not compare_digest(answer.state.encode(), quest.state.encode()):
        raise _refused()
    # Which of several providers answers: one that is not ours could pass on another's code.
    must_say = metadata.get("authorization_response_iss_parameter_supported") is True
    if (answer.issuer or must_say) and answer.issuer != metadata["issuer"]:
        raise _refused()
    if answer.error or not answer.code:
        raise NotSignedIn(_("{name} did not sign you in.").format(name=provider.name), code="openid_denied")
    tokens = await provider.redeem(answer.code, quest.verifier, redirect_uri)
    claims = await provider.read(tokens.get("id_token"), quest.nonce)
    if not claims.get("email") and isinstance(tokens.get("access_token"), str):
        # Of one piece: what one of them vouches for is not what the other says.
        about = await provider.ask_about(claims["sub"], tokens["access_token"])
        claims = {**about, "iss": claims["iss"], "sub": claims["sub"]}
    return _said(claims)


class _Provider:
    """The one that is configured, and what it published about itself lately."""

    def __init__(self, settings: Settings) -> None:
        self.configured = str(settings.openid_issuer).rstrip("/")
        self.client_id = settings.openid_client_id
        self.client_secret = settings.openid_client_secret.get_secret_value()
        self.name = settings.openid_name
        self._metadata: tuple[datetime, dict[str, Any]] | None = None
        self._keys: tuple[datetime, jwk.KeySet] | None = None

    async def metadata(self) -> dict[str, Any]:
        if self._metadata is None or clock.now() - self._metadata[0] > MEMORY:
            found = await self._fetch("GET", f"{self.configured}/.well-known/openid-configuration")
            # Whoever publishes must be who was meant; a slash at the end is all that may differ.
            if str(found.get("issuer", "")).rstrip("/") != self.configured:
                raise _broken()
            self._metadata = clock.now(), found
        return self._metadata[1]

    async def redeem(self, code: str, verifier: str, redirect_uri: str) -> dict[str, Any]:
        metadata = await self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        auth = None
        if not self.client_secret:
            form |= {"client_id": self.client_id}
        elif "client_secret_basic" in methods:
            auth = httpx.BasicAuth(quote_plus(self.client_id), quote_plus(self.client_secret))
        else:
            form |= {"client_id": self.client_id, "client_secret": self.client_secret}
        return await self._fetch("POST", _endpoint(metadata, "token_endpoint"), data=form, auth=auth)

    async def read(self, id_token: object, nonce: str) -> dict[str, Any]:
        """What is in an ID token that is meant for us, now, and for this sign-in."""
        if not isinstance(id_token, str):
            raise _refused()
        metadata = await self.metadata()
        rules = jwt.JWTClaimsRegistry(
            now=int(clock.now().timestamp()),
            leeway=LEEWAY,
            iss={"essential": True, "value": metadata["issuer"]},
            sub={"essential": True},
            aud={"essential": True, "value": self.client_id},
            azp={"value": self.client_id},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            claims = (await self._verified(id_token)).claims
            rules.validate(claims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise _refused() from error
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims:
            raise _refused()
        if not 0 < len(claims["sub"]) <= 255:
            raise _refused()
        return claims

    async def ask_about(self, subject: str, access_token: str) -> dict[str, Any]:
        """More about somebody, from where some providers keep it."""
        metadata = await self.metadata()
        if "userinfo_endpoint" not in metadata:
            return {}
        endpoint = _endpoint(metadata, "userinfo_endpoint")
        found = await self._fetch("GET", endpoint, headers={"Authorization": f"Bearer {access_token}"})
        if found.get("sub") != subject:
            raise _refused()
        return found

    async def _verified(self, id_token: str) -> jwt.Token:
        try:
            return jwt.decode(id_token, await self._key_set(), algorithms=list(ALGORITHMS))
        except InvalidKeyIdError:
            # It may have new keys since.
            if self._keys and clock.now() - self._keys[0] < KEYS_AGAIN_AFTER:
                raise
            return jwt.decode(id_token, await self._key_set(anew=True), algorithms=list(ALGORITHMS))

    async def _key_set(self, *, anew: bool = False) -> jwk.KeySet:
        if anew or self._keys is None or clock.now() - self._keys[0] > MEMORY:
            metadata = await self.metadata()
            found = await self._fetch("GET", _endpoint(metadata, "jwks_uri"))
            try:
                keys = jwk.KeySet.import_key_set({"keys": found["keys"]})
            except (JoseError, LookupError, ValueError, TypeError) as error:
                raise _broken() from error
            self._keys = clock.now(), keys
        return self._keys[1]

    async def _fetch(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT, headers={"Accept": "application/json"}) as client:
                response = await client.request(method, url, **options)
            found = response.json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(_("{name} cannot be reached.").format(name=self.name)) from error
        except ValueError as error:
            raise _broken() from error
        if 400 <= response.status_code < 500 and method == "POST":
            raise _refused()  # the code was used, or is somebody else's
        if not response.is_success or not isinstance(found, dict):
            raise _broken()
        return found


_known: dict[tuple[str, str, str], _Provider] = {}


def _provider() -> _Provider:
    require_configured()
    settings = get_settings()
    key = (str(settings.openid_issuer), settings.openid_client_id, settings.openid_client_secret.get_secret_value())
    if key not in _known:
        _known.clear()
        _known[key] = _Provider(settings)
    return _known[key]


def _endpoint(metadata: dict[str, Any], name: str) -> str:
    found = metadata.get(name)
    if not isinstance(found, str) or urlsplit(found).scheme not in {"http", "https"}:
        raise _broken()
    return found


def _said(claims: dict[str, Any]) -> Claims:
    texts = {name: claims[name] for name in ("email", "name", "locale") if isinstance(claims.get(name), str)}
    if claims.get("email_verified") is not True:
        texts.pop("email", None)
    return Claims(issuer=claims["iss"], subject=claims["sub"], **texts)


def _refused() -> NotSignedIn:
    name = get_settings().openid_name
    return NotSignedIn(_("{name} did not sign you in. Please start again.").format(name=name), code="openid_refused")


def _broken() -> Unavailable:
    return Unavailable(_("{name} answers in a way we do not understand.").format(name=get_settings().openid_name))
