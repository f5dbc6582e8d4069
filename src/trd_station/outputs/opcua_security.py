"""Who may read the OPC UA server, and how what goes over the network is protected."""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trd.errors import RecipeError
from trd_station.addresses import is_loopback
from trd_station.outputs.secret import secret

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

USER, PASSWORD = "TRD_OPCUA_USER", "TRD_OPCUA_PASSWORD"
OAEP = "http://www.w3.org/2001/04/xmlenc#rsa-oaep"  # Basic256Sha256's
BITS = (2048, 4096)  # of the RSA keys that Basic256Sha256 allows
HOW = "docs/station.md says how to make one"


@dataclass(frozen=True)
class OpcUaSecurity:
    """certificate, key: the server's own, PEM or DER, the key without password. With them only Basic256Sha256 (signed,
    or signed and encrypted) is served, to the one user that the environment names: TRD_OPCUA_USER, and
    TRD_OPCUA_PASSWORD or TRD_OPCUA_PASSWORD_FILE. Without them anyone may read, unencrypted: on this machine, or with
    `anyone` from others too."""

    certificate: Path | None = None
    key: Path | None = None
    anyone: bool = False

    def protection(self, host: str) -> Protection | None:
        """None: anyone may read. host: where the server listens. Raises RecipeError."""
        user, password = os.environ.get(USER), secret(PASSWORD)
        if self.certificate is None or self.key is None:
            if self.certificate is not None or self.key is not None:
                raise RecipeError("--opcua-cert and --opcua-key belong together: give both")
            if user is not None or password is not None:
                raise RecipeError(
                    f"{USER} or {PASSWORD} is set, and the OPC UA server would take the password unencrypted: "
                    f"give --opcua-cert and --opcua-key too ({HOW})"
                )
            if not self.anyone and not is_loopback(host):
                raise RecipeError(
                    f"--opcua at {host} is reached from other machines, and anyone could read there, unencrypted: give "
                    f"--opcua-cert and --opcua-key ({HOW}), or --opcua-open where that is wanted"
                )
            return None
        if self.anyone:
            raise RecipeError("--opcua-open lets anyone read, --opcua-cert only its user: leave one of them out")
        if not user or not password:
            raise RecipeError(
                f"--opcua-cert needs a user: set {USER}, and {PASSWORD} or {PASSWORD}_FILE, in the environment"
            )
        certificate, key = _loaded(self.certificate, self.key)
        return Protection(certificate, key, _uri(certificate, self.certificate), user, password)


@dataclass(frozen=True)
class Protection:
    """Checked. uri: of the application, as the certificate names it; clients compare both."""

    certificate: Certificate
    key: Any
    uri: str
    user: str
    password: str

    def server(self) -> Any:
        """An asyncua server, before `init`, that only the user reads."""
        from asyncua import Server
        from asyncua.server.internal_server import InternalServer

        internal: Any = InternalServer(user_manager=_OneUser(self.user, self.password))
        # else a session of another connection could be taken over by its number, which can be guessed: it is attached
        # before the password is looked at
        internal.lookup_external_session = lambda _: None
        decrypted = internal.decrypt_user_token

        def with_oaep(session: Any, token: Any) -> Any:
            """The older padding tells who tries many passwords something about the key."""
            if token.EncryptionAlgorithm not in (None, "", OAEP):
                raise ValueError(f"the password is encrypted by {token.EncryptionAlgorithm}")
            return decrypted(session, token)

        internal.decrypt_user_token = with_oaep
        return Server(iserver=internal)

    async def apply(self, server: Any) -> None:
        """After `init`, before `start`."""
        from asyncua import ua
        from asyncua.crypto.permission_rules import SimpleRoleRuleset
        from asyncua.crypto.security_policies import SecurityPolicyFactory, SecurityPolicyNone

        server.iserver.certificate, server.iserver.private_key = self.certificate, self.key
        await server.set_application_uri(self.uri)
        modes = ua.SecurityPolicyType
        server.set_security_policy(
            [modes.Basic256Sha256_SignAndEncrypt, modes.Basic256Sha256_Sign], SimpleRoleRuleset()
        )
        server.set_identity_tokens([ua.UserNameIdentityToken])
        # a channel without security is opened to anyone who looks for endpoints, and asyncua takes sessions and
        # passwords there too, whatever the policies are: nothing can be done in these
        server._policies.append(
            SecurityPolicyFactory(SecurityPolicyNone, ua.MessageSecurityMode.None_, permission_ruleset=_Nothing())
        )


class _OneUser:
    """asyncua's user manager."""

    def __init__(self, user: str, password: str) -> None:
        self._user, self._password = user, password

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> Any:
        from asyncua.crypto.permission_rules import User, UserRole

        same = (_same(username, self._user), _same(password, self._password))
        return User(role=UserRole.User, name=self._user) if all(same) else None  # reads; only an admin would write


class _Nothing:
    """asyncua's permissions: none."""

    def check_validity(self, *_: Any) -> bool:
        return False


def _same(value: str | None, expected: str) -> bool:
    return hmac.compare_digest(
        (value or "").encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass")
    )


def _loaded(certificate: Path, key: Path) -> tuple[Certificate, Any]:
    """Raises RecipeError for what Basic256Sha256 cannot use."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

    both = f"--opcua-cert {certificate} with --opcua-key {key}"
    try:
        data, secret_data = certificate.read_bytes(), key.read_bytes()
        own = (x509.load_pem_x509_certificate if _pem(data) else x509.load_der_x509_certificate)(data)
        private = (load_pem_private_key if _pem(secret_data) else load_der_private_key)(secret_data, None)
    except (OSError, ValueError, TypeError) as error:  # TypeError: the key has a password
        reason = error.strerror if isinstance(error, OSError) else error
        raise RecipeError(f"{both} cannot be used: {reason}; give PEM or DER, the key unencrypted ({HOW})") from error
    if not isinstance(private, RSAPrivateKey) or not BITS[0] <= private.key_size <= BITS[1]:
        raise RecipeError(f"{both}: Basic256Sha256 needs an RSA key of {BITS[0]} to {BITS[1]} bits ({HOW})")
    if private.public_key() != own.public_key():
        raise RecipeError(f"{both}: the key is not that of the certificate; give those that were made together")
    if own.not_valid_after_utc <= datetime.now(timezone.utc):
        raise RecipeError(f"{both}: the certificate ended on {own.not_valid_after_utc:%Y-%m-%d}; {HOW}")
    return own, private


def _pem(data: bytes) -> bool:
    return data.lstrip().startswith(b"-----BEGIN")


def _uri(certificate: Certificate, path: Path) -> str:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris: Sequence[str] = names.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = ()
    if not uris:
        raise RecipeError(
            f"--opcua-cert {path} names no application: OPC UA clients need a URI in its subjectAltName, such as "
            f"URI:urn:trd:station ({HOW})"
        )
    return uris[0]
