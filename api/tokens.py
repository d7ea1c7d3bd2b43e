"""JSON web tokens of the office's own sign-on (OIDC): verified against keys that lie here, nothing is fetched.

The library is the optional extra `auth`. Only asymmetric algorithms are accepted, whatever the token says of itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.settings import Settings
from layers.access import ALL_ZONES, FOREIGN, ROLES, SCOPED, User
from layers.errors import BadInput, Fault

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
LONGEST = 16_384  # characters of a token


def is_token(key: str) -> bool:
    """Keys of ours have no dot in them, tokens have two."""
    return key.count(".") == 2


class Tokens:
    """Verifies the tokens of one issuer. BadInput, naming every setting that is wrong, where it could not."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._read: tuple[float, KeySet] | None = None
        if faults := list(_faults(settings)):
            raise BadInput("the settings for tokens cannot be used", faults)
        self._keys()

    @classmethod
    def of(cls, settings: Settings) -> Tokens | None:
        """None where the settings speak of no tokens."""
        said = (settings.jwt_issuer, settings.jwt_audience, settings.jwt_jwks)
        return cls(settings) if any(one is not None for one in said) else None

    def recognise(self, token: str) -> User | None:
        """The bearer of a good token, as `oidc:<subject>` (no user of this county); None for any other."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        one = self._settings
        if len(token) > LONGEST:
            return None
        rules: dict[str, Any] = {
            "iss": {"essential": True, "value": one.jwt_issuer},
            "aud": {"essential": True, "value": one.jwt_audience},
            "exp": {"essential": True},
            "sub": {"essential": True},
        }
        try:
            claims = jwt.decode(token, self._keys(), algorithms=list(one.jwt_algorithms)).claims
            jwt.JWTClaimsRegistry(leeway=one.jwt_leeway_s, **rules).validate(claims)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            return None
        return self._user(claims)

    def _user(self, claims: dict[str, Any]) -> User | None:
        """Exactly one of the token's roles has to be one of ours: who is two things is neither."""
        subject = claims["sub"]
        said = _texts(_claim(claims, self._settings.jwt_role_claim))
        roles = {self._settings.jwt_roles.get(one, one if not self._settings.jwt_roles else None) for one in said}
        known = [one for one in roles if one in ROLES]
        if len(known) != 1 or not subject or len(subject) > 190 or not subject.isprintable():
            return None
        (role,) = known
        zones = _texts(_claim(claims, self._settings.jwt_zones_claim))
        if role == "planner" and not zones:
            return None
        is_all = ALL_ZONES in zones or role not in SCOPED or not zones
        return User(f"{FOREIGN}{subject}", role, None if is_all else frozenset(zones))

    def _keys(self) -> KeySet:
        """The issuer's public keys; a file is read again when it was changed, so that keys can be rolled over."""
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        said = str(self._settings.jwt_jwks)
        is_inline = said.lstrip().startswith("{")
        stamp = 0.0
        try:
            stamp = 0.0 if is_inline else Path(said).stat().st_mtime
            if self._read is not None and self._read[0] == stamp:
                return self._read[1]
            rows = json.loads(said if is_inline else Path(said).read_text(encoding="utf-8"))["keys"]
            public = [one for one in rows if one["kty"] != "oct"]
            if len(public) != len(rows) or any("d" in one for one in rows) or not rows:
                raise ValueError("it holds no keys, or secret ones")
            self._read = (stamp, KeySet.import_key_set({"keys": public}))
        except (OSError, ValueError, TypeError, KeyError, JoseError) as error:
            if self._read is not None:  # half-written: the keys that were good are still
                return self._read[1]
            reason = f"the key set cannot be read ({type(error).__name__}: {error})"
            fix = "Give a JWKS with public keys only, as JSON or as the path of a file"
            raise BadInput("the settings for tokens cannot be used", [Fault(reason, fix, field="jwt_jwks")]) from error
        return self._read[1]


def _faults(settings: Settings) -> Any:
    try:
        import joserfc  # noqa: F401
    except ImportError:
        fix = "Install the extra: uv sync --extra auth (or pip install 'parkplan[auth]')"
        yield Fault("tokens are wanted, but joserfc is not installed", fix, field="jwt_issuer")
    for name in ("jwt_issuer", "jwt_audience", "jwt_jwks"):
        if not getattr(settings, name):
            yield Fault("it is not said", f"Set PARKPLAN_{name.upper()}", field=name)
    if wrong := set(settings.jwt_algorithms) - set(ASYMMETRIC) or (not settings.jwt_algorithms and {"none"}):
        yield Fault(f"{', '.join(sorted(wrong))} may not sign", f"Of {', '.join(ASYMMETRIC)}", field="jwt_algorithms")
    if strangers := set(settings.jwt_roles.values()) - set(ROLES):
        yield Fault(f"no role {', '.join(sorted(strangers))}", f"Of {', '.join(ROLES)}", field="jwt_roles")


def _claim(claims: dict[str, Any], path: str) -> Any:
    """A claim by its name, or by its path: `realm_access.roles`."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _texts(said: Any) -> list[str]:
    some = said if isinstance(said, list) else [said]
    return [one for one in some if isinstance(one, str)]
