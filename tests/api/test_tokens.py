"""Tokens of the office's own sign-on: only what its keys signed, for us, now, with one of our roles."""

from __future__ import annotations

import base64
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from api.app import create_app
from api.settings import Settings
from layers.access import Access
from layers.errors import BadInput
from tests.api.test_service import is_problem
from tests.api.two_zones import EAST_PARCEL, WEST_PARCEL, bearer, two_zones

ISSUER, AUDIENCE = "https://sso.example.gov.cn", "parkplan"
RSA = RSAKey.generate_key(2048, {"kid": "r1"}, private=True)
EC = ECKey.generate_key("P-256", {"kid": "e1"}, private=True)
STRANGER = RSAKey.generate_key(2048, {"kid": "r1"}, private=True)
ROLES = {"规划科": "planner", "审查科": "reviewer", "审计": "auditor"}


def jwks(*keys: Any) -> str:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]})


def settings(path: Path, **changes: Any) -> Settings:
    said = {
        "jwt_issuer": ISSUER,
        "jwt_audience": AUDIENCE,
        "jwt_jwks": jwks(RSA, EC),
        "jwt_role_claim": "realm_access.roles",
        "jwt_zones_claim": "areas",
        "jwt_roles": ROLES,
    }
    return Settings(county=path, **(said | changes))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokens") / "two.gpkg"
    two_zones(path).close()
    return path


@pytest.fixture(scope="module")
def client(path: Path) -> Iterator[TestClient]:
    app = create_app(settings(path))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(autouse=True)
def _forget(request: pytest.FixtureRequest) -> None:
    if "client" in request.fixturenames:
        request.getfixturevalue("client").app.state.tries._failed.clear()


def token(key: Any = RSA, alg: str = "RS256", header: dict[str, Any] | None = None, **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "li.ming",
        "iat": now,
        "exp": now + 300,
        "realm_access": {"roles": ["offline_access", "审查科"]},
    }
    claims = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode({"alg": alg, "kid": key.kid, **(header or {})}, claims, key, algorithms=[alg])


def whoami(client: TestClient, said: str) -> Any:
    return client.get("/whoami", headers=bearer(said))


def test_a_good_token_is_its_subject_with_the_role_its_claims_map_to(client: TestClient) -> None:
    assert whoami(client, token()).json() == {"name": "oidc:li.ming", "role": "reviewer", "zones": None}
    assert whoami(client, token(EC, "ES256")).status_code == 200
    assert whoami(client, token(aud=["other", AUDIENCE])).status_code == 200
    assert whoami(client, token(exp=int(time.time()) - 10)).status_code == 200  # clocks differ by less than 30 s


def test_a_planners_zones_come_from_a_claim(client: TestClient) -> None:
    role = {"realm_access": {"roles": ["规划科"]}}
    one = token(**role, areas=["U-W"])
    assert whoami(client, one).json() == {"name": "oidc:li.ming", "role": "planner", "zones": ["U-W"]}
    assert client.get(f"/parcels/{WEST_PARCEL}", headers=bearer(one)).status_code == 200
    is_problem(client.get(f"/parcels/{EAST_PARCEL}", headers=bearer(one)), 404, "not-found")
    assert whoami(client, token(**role, areas="*")).json()["zones"] is None
    is_problem(whoami(client, token(**role)), 401, "unauthorized")  # a planner of which zones?


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in (header, claims)]
    return ".".join([*parts, signature])


def hmacked(secret: bytes, claims: dict[str, Any]) -> str:
    """A token signed with what everybody knows, in the hope that the verifier takes it for a shared secret."""
    text = unsigned({"alg": "HS256", "kid": "r1"}, claims).removesuffix(".")
    signature = hmac.digest(secret, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def claims_of(said: str) -> dict[str, Any]:
    middle = said.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


def forged() -> dict[str, str]:
    good = token()
    head, body, signature = good.split(".")
    public = RSA.as_pem(private=False)
    raw = json.dumps(RSA.as_dict(private=False)).encode()
    now = int(time.time())
    return {
        "alg none": unsigned({"alg": "none"}, claims_of(good)),
        "alg None": unsigned({"alg": "None", "kid": "r1"}, claims_of(good)),
        "alg none with the signature": unsigned({"alg": "none", "kid": "r1"}, claims_of(good), signature),
        "HS256 with the public key": hmacked(public, claims_of(good)),
        "HS256 with the public JWK": hmacked(raw, claims_of(good)),
        "another key with our kid": token(STRANGER),
        "its own key in the header": token(STRANGER, header={"jwk": STRANGER.as_dict(private=False)}),
        "unknown kid": token(RSA, header={"kid": "zz"}),
        "RS512, which is not among ours": token(RSA, "RS512"),
        "expired": token(exp=now - 31),
        "no end": token(exp=None),
        "not yet": token(nbf=now + 120),
        "from the future": token(iat=now + 120),
        "another issuer": token(iss="https://evil.example"),
        "no issuer": token(iss=None),
        "another audience": token(aud="payroll"),
        "no audience": token(aud=None),
        "no subject": token(sub=None),
        "an empty subject": token(sub=""),
        "a subject of two lines": token(sub="a\nb"),
        "no role of ours": token(realm_access={"roles": ["guest"]}),
        "our word for a role, which is not the issuer's": token(realm_access={"roles": ["reviewer"]}),
        "two roles": token(realm_access={"roles": ["审查科", "审计"]}),
        "roles that are no list": token(realm_access="审查科"),
        "a changed body": f"{head}.{unsigned({}, claims_of(good) | {'sub': 'chef'}).split('.')[1]}.{signature}",
        "a cut signature": good[:-4],
        "three empty parts": "..",
        "no text": "a.b.c",
        "endless": f"{head}.{body * 200}.{signature}",
        "a critical header nobody knows": unsigned({"alg": "RS256", "crit": ["x"], "x": 1}, claims_of(good), signature),
    }  # fmt: skip


def test_forged_and_stale_tokens_are_nobody(client: TestClient) -> None:
    for kind, said in forged().items():
        client.app.state.tries._failed.clear()
        answer = whoami(client, said)
        assert answer.status_code == 401, (kind, answer.text)


def test_with_tokens_the_demo_is_over(client: TestClient) -> None:
    is_problem(client.get("/whoami"), 401, "unauthorized")
    is_problem(whoami(client, "demo-planner"), 401, "unauthorized")


def test_a_name_can_be_shut_out_here(path: Path, client: TestClient) -> None:
    said = token(sub="weg")
    assert whoami(client, said).status_code == 200
    access = Access(path)
    access.disable("oidc:weg", "operator")
    access.close()
    is_problem(whoami(client, said), 401, "unauthorized")
    assert whoami(client, token()).status_code == 200


def test_tokens_open_a_county_to_the_network_without_users(tmp_path: Path) -> None:
    path = tmp_path / "open.gpkg"
    two_zones(path).close()
    app = create_app(settings(path, host="0.0.0.0"))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert whoami(client, token()).status_code == 200
        is_problem(client.get("/layers"), 401, "unauthorized")


def test_the_issuers_keys_are_rolled_over_in_their_file(tmp_path: Path) -> None:
    path, keys = tmp_path / "two.gpkg", tmp_path / "jwks.json"
    two_zones(path).close()
    keys.write_text(jwks(RSA))
    new = RSAKey.generate_key(2048, {"kid": "r2"}, private=True)
    app = create_app(settings(path, jwt_jwks=str(keys)))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert whoami(client, token()).status_code == 200
        is_problem(whoami(client, token(new)), 401, "unauthorized")
        keys.write_text(jwks(new))
        assert whoami(client, token(new)).status_code == 200
        is_problem(whoami(client, token()), 401, "unauthorized")
        time.sleep(0.02)
        keys.write_text("{half")
        assert whoami(client, token(new)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"jwt_audience": None}, "jwt_audience"),
        ({"jwt_issuer": None}, "jwt_issuer"),
        ({"jwt_jwks": None}, "jwt_jwks"),
        ({"jwt_jwks": "/nowhere/jwks.json"}, "cannot be read"),
        ({"jwt_jwks": '{"keys": []}'}, "no keys"),
        ({"jwt_jwks": json.dumps({"keys": [RSA.as_dict(private=True)]})}, "secret ones"),
        ({"jwt_jwks": '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'}, "secret ones"),
        ({"jwt_algorithms": ("HS256",)}, "HS256 may not sign"),
        ({"jwt_algorithms": ("RS256", "none")}, "none may not sign"),
        ({"jwt_algorithms": ()}, "none may not sign"),
        ({"jwt_roles": {"x": "root"}}, "no role root"),
    ],
)
def test_settings_that_would_open_the_door_are_refused(path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadInput) as caught:
        create_app(settings(path, **changes))
    assert reason in str(caught.value)


def test_without_the_extra_the_service_says_what_to_install(path: Path) -> None:
    code = (
        "import sys; sys.modules['joserfc'] = None\n"
        "from pathlib import Path; from api.app import create_app; from api.settings import Settings\n"
        "create_app(Settings(county=Path(sys.argv[1])))\n"  # without tokens nothing is missing
        "create_app(Settings(county=Path(sys.argv[1]), jwt_issuer='x', jwt_audience='y', jwt_jwks='{}'))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, path], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "uv sync --extra auth" in done.stderr
