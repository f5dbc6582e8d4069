"""Whom outputs trust, and how they prove who they are."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from trd.errors import RecipeError


@dataclass(frozen=True)
class Tls:
    """ca: certificates (PEM) that are trusted in place of the system's. certificate, key: the station's own (PEM; the
    key may lie in the same file, and has no password)."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer; the receiver's name and certificate are checked. Raises RecipeError."""
        if self.key is not None and self.certificate is None:
            raise RecipeError("--output-key needs --output-cert: the certificate that the key belongs to")
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:  # ssl.SSLError is one
            raise RecipeError(f"--output-ca {self.ca} holds no certificates in PEM: {_reason(error)}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate is not None:
            try:
                context.load_cert_chain(self.certificate, self.key, password=_no_password)
            except OSError as error:
                both = f"{self.certificate} with the key {self.key or self.certificate}"
                raise RecipeError(
                    f"--output-cert {both} cannot be used: {_reason(error)}; give both in PEM, the key unencrypted"
                ) from error
        return context


def _no_password() -> str:
    """OpenSSL would ask at the terminal."""
    return ""


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
