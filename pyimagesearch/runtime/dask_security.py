"""Certificates of a Dask cluster, and whether a scheduler can be reached with them.

Dask sends pickled functions, and runs what it is sent: whoever reaches a scheduler or a worker runs
code there, and the scheduler runs code in the script. Certificates decide who does. They come from
Dask's own configuration (docs.dask.org/en/stable/configuration.html), as ``dask worker`` has them;
what is wrong with them is said here, before Dask retries, waits or prints a traceback of its own.
"""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyimagesearch.runtime import packages
from pyimagesearch.runtime.console import UserError, printable

if TYPE_CHECKING:
    from distributed import Security

SECONDS_TO_CONNECT = 10
_ENCRYPTED = ("tls://", "wss://")
_CA, _CERTIFICATE, _KEY = "ca-file", "client.cert", "client.key"


def temporary_security() -> Security:
    """Certificates for a cluster on this machine, which its other users do not have.

    Raises:
        UserError: the package that makes them is missing.
    """
    import distributed

    try:
        return distributed.Security.temporary()
    except ImportError as error:
        raise _missing_package(error) from error


def configured_security(scheduler: str) -> Security:
    """The certificates of Dask's configuration, checked where a scheduler's address needs them.

    Args:
        scheduler: its address.

    Raises:
        UserError: the address needs them, and they are missing, damaged or not in force; or the
            configuration wants encryption, and the address has none.
    """
    import distributed

    try:
        security = distributed.Security()
    except ValueError as error:
        raise UserError(f"Dask's configuration cannot be used: {error}") from error
    if not scheduler.startswith(_ENCRYPTED):
        if security.require_encryption:
            raise UserError(
                f"Dask's configuration requires encryption, which {scheduler} does without: its "
                "address must begin with tls://"
            )
        return security
    files = security.get_tls_config_for_role("client")
    named = {_CA: files["ca_file"], _CERTIFICATE: files["cert"], _KEY: files["key"]}
    if unset := [name for name in (_CA, _CERTIFICATE) if not named[name]]:
        raise UserError(
            f"{scheduler} needs a certificate: set {' and '.join(map(_variable, unset))}, or what "
            "Dask's configuration files have for it"
        )
    for name, path in named.items():
        if path is not None and "\n" not in path:  # else it is the certificate itself
            _check_file(name, path)
    try:
        security.get_connection_args("client")
    except ssl.SSLError as error:
        raise UserError(
            f"the key of the certificate {printable(named[_CERTIFICATE])} is not in "
            f"{printable(named[_KEY] or named[_CERTIFICATE])}: set {_variable(_KEY)}"
        ) from error
    return security


def check_scheduler(scheduler: str, security: Security) -> None:
    """Connect to a scheduler once, and say what is wrong where that is not possible.

    Args:
        scheduler: its address.
        security: what to connect with.

    Raises:
        UserError: it does not answer in time, is no scheduler, or one of the two certificates is
            not accepted.
    """
    try:
        asyncio.run(_shake_hands(scheduler, security))
    except (OSError, ValueError) as error:
        raise UserError(
            f"no scheduler can be reached at {scheduler}: {_reason(scheduler, security, error)}"
        ) from error


async def _shake_hands(scheduler: str, security: Security) -> None:
    from distributed.comm import connect

    arguments = security.get_connection_args("client")
    # Dask waits for ever for the answer of one that accepts a connection and says nothing.
    async with asyncio.timeout(SECONDS_TO_CONNECT + 1):
        connection = await connect(scheduler, timeout=SECONDS_TO_CONNECT, **arguments)
    connection.abort()


def _reason(scheduler: str, security: Security, error: Exception) -> str:
    """Why a connection failed, in words."""
    from distributed.comm import CommClosedError

    is_encrypted = scheduler.startswith(_ENCRYPTED)
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            authority = printable(security.get_tls_config_for_role("client")["ca_file"])
            return f"its certificate is not accepted by {authority} ({cause.verify_message})"
        if isinstance(cause, (ConnectionRefusedError, socket.gaierror)):
            return str(cause.strerror)
    # A scheduler without certificates speaks first, and not TLS.
    if is_encrypted and any("not idle" in str(c) or _speaks_no_tls(c) for c in causes):
        return "it was started without certificates (its address then begins with tcp://)"
    if is_encrypted and isinstance(error, CommClosedError):
        own = security.get_tls_config_for_role("client")["cert"]
        return (
            f"it does not accept the certificate {printable(own)}, which must be in force, and "
            "signed by the authority that the scheduler was started with"
        )
    if isinstance(error, CommClosedError):
        return (
            "it closes the connection, as one that was started with certificates does (its "
            "address then begins with tls://)"
        )
    if not str(error):
        return "what answers there is no scheduler"
    return str(error).splitlines()[0]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        if str(error):
            yield error
        error = error.__cause__ or error.__context__


def _speaks_no_tls(error: BaseException) -> bool:
    return isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER"


def _variable(name: str) -> str:
    """The environment variable in which Dask looks for a setting of ``distributed.comm.tls``."""
    return f"DASK_DISTRIBUTED__COMM__TLS__{name.upper().replace('.', '__').replace('-', '_')}"


def _check_file(name: str, path: str) -> None:
    """Raises UserError where a file cannot be read, or holds no certificate that is in force."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise UserError(
            f"{printable(path)}: {error.strerror} (distributed.comm.tls.{name} of Dask's "
            "configuration)"
        ) from error
    if name == _KEY:
        return
    try:
        from cryptography import x509
    except ImportError as error:
        raise _missing_package(error) from error
    try:
        certificates = x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise UserError(f"{printable(path)}: no certificate is in this file") from error
    now = datetime.datetime.now(datetime.UTC)
    begins = max(certificate.not_valid_before_utc for certificate in certificates)
    ends = min(certificate.not_valid_after_utc for certificate in certificates)
    if not begins <= now <= ends:
        raise UserError(
            f"{printable(path)}: the certificate is in force from {begins:%Y-%m-%d} to "
            f"{ends:%Y-%m-%d}, and not now"
        )


def _missing_package(error: ImportError) -> UserError:
    return UserError(
        f"certificates need the package cryptography ({error}): {packages.install_line('cluster')}"
    )
