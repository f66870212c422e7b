"""Proxies of the environment: used with their logins, and imported only where there is one."""

from __future__ import annotations

import base64
import os
import subprocess
import sys

import pytest
from support.loopback import free_port
from support.registry import Logins, Running
from support.registry_proxy import Fault, Proxy
from support.versions import put

from launch_action.core.errors import InputError, RegistryError
from launch_action.core.ports import read_blob
from launch_action.core.reference import Repository
from launch_action.oci.registries import Registries
from launch_action.oci.retry import Patience

pytestmark = pytest.mark.registry
DATA = os.urandom(1_500_000)
QUICK = Patience(tries=3, base=0.01, answer=5)


def test_a_proxy_of_the_environment_is_used_with_its_login(proxy: Proxy) -> None:
    """The registry's name is known to nobody: what arrives came through the proxy."""
    environment = {"HTTP_PROXY": f"http://user:p%40ss@{proxy.address}", "NO_PROXY": "other.invalid"}
    registries = Registries(
        Logins(), environment=environment, insecure=("registry.invalid",), patience=QUICK
    )
    content = registries.open(Repository.parse("registry.invalid/acme/proxied"), writable=True)

    assert read_blob(content, put(content, DATA)) == DATA

    login = base64.b64encode(b"user:p@ss").decode()
    assert {s.headers["proxy-authorization"] for s in proxy.seen} == {f"Basic {login}"}
    assert all(s.path.startswith("http://registry.invalid/v2/") for s in proxy.seen)


def test_a_proxy_that_is_gone_is_named_without_its_login() -> None:
    environment = {"HTTP_PROXY": f"http://user:hunter2@127.0.0.1:{free_port()}"}
    registries = Registries(
        Logins(), environment=environment, insecure=("registry.invalid",), patience=QUICK
    )

    with pytest.raises(RegistryError, match="proxy failed: Connection refused") as caught:
        registries.open(Repository.parse("registry.invalid/acme/proxied")).tags()

    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    "address",
    ["socks5://me:hunter2@h:1", "http://me:hunter2@h:port", "http://me:hunter2@[::1", " "],
)
def test_what_is_no_proxy_s_address_is_an_input_error(address: str) -> None:
    registries = Registries(Logins(), environment={"HTTPS_PROXY": address}, patience=QUICK)

    with pytest.raises(InputError, match="not the address of a proxy") as caught:
        registries.open(Repository.parse("registry.invalid/acme/proxied")).tags()

    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


def test_a_proxy_that_wants_a_login_is_asked_once(proxy: Proxy) -> None:
    proxy.faults.append(Fault("status", "CONNECT", status=407, times=9))
    environment = {"HTTPS_PROXY": f"http://{proxy.address}"}
    registries = Registries(Logins(), environment=environment, patience=QUICK)

    with pytest.raises(RegistryError, match=r"the proxy answered 407 \(it wants a login"):
        registries.open(Repository.parse("registry.invalid/acme/proxied")).tags()

    assert proxy.count("CONNECT") == 1


def test_nothing_of_http_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, launch_action.oci.registries; "
        "print(*{'urllib3', 'ssl', 'http.client', 'email', 'socket'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("\n", "")


def test_urllib3_is_imported_for_a_proxy_alone(server: Running) -> None:
    code = (
        "import sys\n"
        "from launch_action.core.reference import Repository\n"
        "from launch_action.oci.registries import Registries\n"
        "class Nobody:\n"
        "    def find(self, registry): return None\n"
        f"Registries(Nobody()).open(Repository.parse('{server.address}/acme/none')).tags()\n"
        "print(*{'urllib3', 'logging', 'encodings.idna'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("\n", "")
