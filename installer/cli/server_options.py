"""Options that say which Hubble is meant, with the names of the hubble command."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from installer.wiring.flows import ServerChoice

F = TypeVar("F", bound=Callable[..., Any])
NAMES = (
    "server",
    "tls",
    "tls_allow_insecure",
    "tls_ca_cert_files",
    "tls_client_cert_file",
    "tls_client_key_file",
    "tls_server_name",
    "basic_auth_username",
    "basic_auth_password",
    "port_forward",
    "kubeconfig",
    "kube_context",
    "kube_namespace",
)


def _option(name: str, text: str, *more: str, **settings: Any) -> Callable[[F], F]:
    variable = "HUBBLE_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, *more, help=text, envvar=variable, show_envvar=False, **settings)


def server_options(function: F) -> F:
    """Add ``--server``, ``--tls…``, ``--basic-auth…``, ``-P`` and ``--kube…``; all can be set as ``HUBBLE_…`` too."""
    options = (
        _option("--server", "host:port, tls://host:port or unix:///path; else Relay of the cluster.", default=""),
        _option("--tls", "Speak TLS.", is_flag=True),
        _option("--tls-allow-insecure", "Take any certificate of the server.", is_flag=True),
        _option("--tls-ca-cert-files", "Authorities, PEM, by comma. Repeatable.", multiple=True, metavar="FILES"),
        _option("--tls-client-cert-file", "Certificate of ours, PEM.", default="", metavar="FILE"),
        _option("--tls-client-key-file", "Its private key, PEM.", default="", metavar="FILE"),
        _option("--tls-server-name", "Name that the server's certificate must carry.", default="", metavar="NAME"),
        _option("--basic-auth-username", "User name, with TLS only.", default="", metavar="NAME"),
        _option("--basic-auth-password", "Its password.", default="", metavar="TEXT"),
        _option("--port-forward", "Forward a port to Relay, whatever --server says.", "-P", is_flag=True),
        click.option("--kubeconfig", metavar="PATH", help="Kubeconfig; else KUBECONFIG, k3s' own, ~/.kube/config."),
        _option("--kube-context", "Context of the kubeconfig.", "--context", metavar="NAME"),
        _option("--kube-namespace", "Namespace of Relay.", default="kube-system", show_default=True, metavar="NAME"),
    )
    for option in reversed(options):
        function = option(function)
    return function


def server_choice(options: dict[str, Any]) -> ServerChoice:
    """Take the options of ``server_options`` out of a command's options and read them.

    Raises:
        UsageError: ``E-HUBBLE-016`` a file cannot be read, or options that need TLS are given without it.
    """
    from installer.domain.errors import UsageError
    from installer.ports.hubble import Access
    from installer.wiring.flows import ServerChoice, read_tls

    given = {name: options.pop(name) for name in NAMES}
    files = tuple(path for value in given["tls_ca_cert_files"] for path in value.split(",") if path)
    names = (given["tls_client_cert_file"], given["tls_client_key_file"], given["tls_server_name"])
    wants_tls = given["tls"] or given["server"].startswith("tls://")
    if not wants_tls and (files or any(names) or given["tls_allow_insecure"]):
        raise UsageError(
            "TLS options are given, but no TLS",
            why="Without --tls or tls:// the server is spoken to in plain text.",
            fix="Add --tls.",
            code="E-HUBBLE-016",
        )
    tls = (
        read_tls(
            ca_files=files,
            certificate_file=names[0],
            key_file=names[1],
            server_name=names[2],
            any_certificate=given["tls_allow_insecure"],
        )
        if wants_tls
        else None
    )
    return ServerChoice(
        server="" if given["port_forward"] else given["server"],
        access=Access(tls, given["basic_auth_username"], given["basic_auth_password"]),
        kubeconfig=given["kubeconfig"],
        context=given["kube_context"],
        namespace=given["kube_namespace"],
    )
