"""Claims about a Dask cluster with certificates: it is started as docs/cluster.md says."""

import contextlib
import datetime
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import dask
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from helpers.scripts import CHECKOUT
from pyimagesearch.runtime import dask_security
from pyimagesearch.runtime.console import UserError
from pyimagesearch.runtime.dask_security import check_scheduler, configured_security

PAGE = (CHECKOUT / "docs" / "cluster.md").read_text()


def shown(beginning):
    """The lines of the page's shell blocks that begin so."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return [line for line in "".join(blocks).splitlines() if line.startswith(beginning)]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder with what the page's commands make."""
    if shutil.which("openssl") is None:
        pytest.skip("the commands of the page need openssl")
    folder = tmp_path_factory.mktemp("certificates")
    for line in shown("openssl"):
        subprocess.run(shlex.split(line), cwd=folder, check=True, capture_output=True)
    return folder


class Started:
    """Processes of ``dask`` on this machine."""

    def __init__(self, certificates):
        self._folder = certificates
        self._ports = {"8786": str(free_port()), "8787": str(free_port())}
        self.address = f"tls://127.0.0.1:{self._ports['8786']}"
        self.page = f"tcp://127.0.0.1:{self._ports['8787']}"

    def start(self, line, *more):
        """Start what a line of the page says, with this machine's address and free ports."""
        for port in self._ports.items():
            line = line.replace(*port)
        words = shlex.split(line.replace("10.0.0.1", "127.0.0.1"), comments=True)
        return subprocess.Popen(
            [sys.executable, "-m", *words, *more],
            cwd=self._folder,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start_scheduler(self):
        (line,) = shown("dask scheduler")
        return self.start(line, "--port", self._ports["8786"])


@contextlib.contextmanager
def ended(*processes):
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def started(certificates):
    """A scheduler with certificates."""
    cluster = Started(certificates)
    cluster.scheduler = cluster.start_scheduler()
    with ended(cluster.scheduler):
        yield cluster


def settings(folder, **changed):
    """Dask's configuration, as the page sets it, with some names of files changed."""
    names = {"CA_FILE": "ca.pem", "CLIENT__CERT": "cert.pem", "CLIENT__KEY": "key.pem"}
    assert shown("export") == [
        f"export DASK_DISTRIBUTED__COMM__TLS__{variable}={name}" for variable, name in names.items()
    ]
    return {
        f"DASK_DISTRIBUTED__COMM__TLS__{variable}": str(Path(folder, name))
        for variable, name in (names | changed).items()
        if name is not None
    }


def refusal_of(address, environment):
    """The sentence with which a connection is refused."""
    import distributed  # noqa: F401  # brings the rest of the configuration

    dotted = {
        variable.removeprefix("DASK_").lower().replace("__", ".").replace("_", "-"): value
        for variable, value in environment.items()
    }
    with (
        dask.config.set(dotted),
        pytest.raises(UserError) as refused,
    ):
        check_scheduler(address, configured_security(address))
    return str(refused.value)


def write_expired(folder):
    """A certificate of yesterday, signed by the authority, and its key."""
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    signing = serialization.load_pem_private_key((folder / "ca-key.pem").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(authority.subject, authority.subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now - datetime.timedelta(days=1))
        .sign(signing, hashes.SHA256())
    )
    (folder / "expired.pem").write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def test_a_cluster_with_certificates_gives_the_rows_of_one_machine(
    started, certificates, run, forest_model
):
    labelling = ("test_anomaly_detector.py", "-m", forest_model, "-d", "examples")
    here = run(*labelling)
    (line,) = shown("dask worker")
    with ended(started.start(line, "--nworkers", "1", "--nthreads", "1")):
        there = subprocess.run(
            [sys.executable, *labelling, "--scheduler", started.address],
            cwd=CHECKOUT,
            env=os.environ | settings(certificates),
            capture_output=True,
        )
    assert (there.returncode, there.stdout) == (0, here.stdout), there.stderr
    assert len(here.stdout.splitlines()) == 7


def test_the_scheduler_of_the_page_shows_its_web_pages_to_its_own_machine_alone(started):
    process = psutil.Process(started.scheduler.pid)
    while (
        len(listening := [c.laddr for c in process.net_connections() if c.status == "LISTEN"]) < 2
    ):
        time.sleep(0.05)
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_an_address_with_certificates_takes_one(run, forest_model):
    refused = run(
        *("test_anomaly_detector.py", "-m", forest_model, "-d", "examples"),
        *("--scheduler", "tls://127.0.0.1:1"),
    )
    assert refused.returncode == 1
    assert b"tls://127.0.0.1:1 needs a certificate: set DASK_DIST" in refused.stderr
    assert b"Traceback" not in refused.stderr


def test_a_certificate_that_cannot_be_used_is_named(certificates):
    write_expired(certificates)
    (certificates / "empty.pem").write_bytes(b"")
    for changed, sentence in (
        ({"CLIENT__CERT": None}, "set DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT"),
        ({"CLIENT__CERT": "none.pem"}, "none.pem: No such file or directory"),
        ({"CLIENT__KEY": None}, "set DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY"),
        ({"CLIENT__KEY": "ca-key.pem"}, "cert.pem is not in .*ca-key.pem"),
        ({"CA_FILE": "empty.pem"}, "empty.pem: no certificate is in this file"),
        ({"CLIENT__CERT": "expired.pem"}, "expired.pem: the certificate is in force from"),
    ):
        refusal = refusal_of("tls://127.0.0.1:1", settings(certificates, **changed))
        assert re.search(sentence, refusal)


def test_certificates_of_another_authority_are_refused_on_both_sides(
    started, certificates, tmp_path
):
    for line in shown("openssl"):
        subprocess.run(shlex.split(line), cwd=tmp_path, check=True, capture_output=True)
    theirs = refusal_of(started.address, settings(certificates, CA_FILE=tmp_path / "ca.pem"))
    assert f"its certificate is not accepted by {tmp_path / 'ca.pem'}" in theirs
    other = settings(tmp_path, CA_FILE=certificates / "ca.pem")
    assert f"does not accept the certificate {tmp_path / 'cert.pem'}" in refusal_of(
        started.address, other
    )


def test_an_address_says_whether_there_are_certificates(started, certificates):
    plain = started.address.replace("tls", "tcp")
    assert "started with certificates" in refusal_of(plain, {})
    other = Started(certificates)
    address = other.address.replace("tls", "tcp")
    host = ("scheduler", "--host", address, "--dashboard-address", "127.0.0.1:0")
    with ended(other.start(shlex.join(("dask", *host)))):
        check_scheduler(address, configured_security(address))
        refusal = refusal_of(other.address, settings(certificates))
        required = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"}
        assert "requires encryption" in refusal_of(address, required)
    assert "started without certificates" in refusal


def test_a_web_page_is_no_scheduler(started, monkeypatch):
    monkeypatch.setattr(dask_security, "SECONDS_TO_CONNECT", 1)
    assert "what answers there is no scheduler" in refusal_of(started.page, {})


def test_other_users_of_the_machine_cannot_reach_a_cluster_that_a_script_starts(
    forest_model, monkeypatch
):
    monkeypatch.setattr(dask_security, "SECONDS_TO_CONNECT", 1)
    with subprocess.Popen(
        [
            *(sys.executable, "test_anomaly_detector.py", "-m", forest_model, "-i", "-"),
            *("--scheduler", "local[1]"),
        ],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        process.stdin.write(b"examples/coast_1.jpg\n" * 600)  # more than a chunk
        assert [process.stdout.readline() for _ in range(2)][1]  # a worker has been at work
        script = psutil.Process(process.pid)
        ports = {
            connection.laddr.port
            for one in (script, *script.children(recursive=True))
            for connection in one.net_connections()
            if connection.status == "LISTEN"
        }
        process.stdin.close()
        refused = [refusal_of(f"tcp://127.0.0.1:{port}", {}) for port in ports]
        process.stdout.read()
    assert process.returncode == 0
    assert len(refused) >= 3  # a scheduler, a worker and what looks after it
