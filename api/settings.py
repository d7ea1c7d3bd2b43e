"""Everything the service can be told, read once from `PARKPLAN_*` and handed to `create_app`."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """`county` is what to serve, a file or a URL; the rest bounds what one client may ask of it.

    `map_approval_no` is the 审图号 of the public map; without it `/public` is shown on loopback only.
    """

    model_config = SettingsConfigDict(env_prefix="PARKPLAN_", frozen=True)

    county: Annotated[str, BeforeValidator(str), Field(repr=False)]  # a URL may hold a password
    host: str = "127.0.0.1"
    port: int = 8000
    max_body_bytes: int = 8 * 2**20
    max_upload_bytes: int = 512 * 2**20
    max_readers: int = 2
    reader_wait_s: float = 20.0
    max_site_vertices: int = 20_000
    max_batch_sites: int = 1_000
    max_km2: float = 100.0
    max_requests_at_once: int = 64
    map_approval_no: str | None = None
    # the office's own sign-on, where there is one (`api.tokens`, docs/access.md)
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_jwks: str | None = None  # the issuer's public keys: JSON, or the path of a file with it
    jwt_algorithms: tuple[str, ...] = ("RS256", "ES256")
    jwt_role_claim: str = "role"
    jwt_zones_claim: str = "zones"
    jwt_roles: dict[str, str] = Field(
        default_factory=dict
    )  # the issuer's word: our role; empty where they are the same
    jwt_leeway_s: Annotated[int, Field(ge=0, le=300)] = 30

    @property
    def on_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False
