"""The files that `redshank init kube-apiserver` writes, and what they say."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.resources import files as resources
from string import Template

import msgspec

from detector.errors import ConfigError
from detector.listen import hash_token
from detector.setup.certificates import CA_DAYS, DAYS, Authority, Pair
from detector.setup.plan import Plan

AUDIT_POLICY, FLAGS, README = "audit-policy.yaml", "kube-apiserver-flags.yaml", "README.md"
SHIPPED = (AUDIT_POLICY, FLAGS)
"""The same for everybody."""
CONFIG, KUBECONFIG = "redshank.yaml", "webhook-kubeconfig.yaml"
CA, CA_KEY = "ca.crt", "ca.key"
TOKEN_BYTES = 32


class File(msgspec.Struct, frozen=True):
    """A file by its path in the folder. One that is `kept` is worth something only where it stays: keys, tokens."""

    path: str
    content: bytes
    kept: bool = False


class Credentials(msgspec.Struct, frozen=True):
    """What proves who is who: of each cluster a certificate or a token."""

    authority: Pair
    server: Pair
    clients: Mapping[str, Pair | str]


def shipped(name: str) -> str:
    """Give a file of ``data/``."""
    return (resources("detector.setup") / "data" / name).read_text(encoding="utf-8")


def credentials(plan: Plan, authority: Authority, now: datetime) -> Credentials:
    """Make keys, certificates and tokens.

    :raises ConfigError: a cluster's name is too long for a certificate.
    """
    clients: dict[str, Pair | str] = {}
    for cluster in plan.clusters:
        clients[cluster] = (
            secrets.token_urlsafe(TOKEN_BYTES) if plan.token else authority.client(client_name(cluster), now)
        )
    return Credentials(authority.pair, authority.server(plan.hosts, now), clients)


def client_name(cluster: str) -> str:
    """Give the common name of the certificate of a cluster's API servers."""
    return f"kube-apiserver-{cluster}"


def files(plan: Plan, made: Credentials) -> list[File]:
    """Give every file, in the order of a reader's interest."""
    return [
        File(README, readme(plan).encode()),
        File(FLAGS, shipped(FLAGS).encode()),
        *_of_redshank(plan, made),
        *(file for cluster in plan.clusters for file in _of_cluster(plan, cluster, made)),
        File(CA, made.authority.certificate, kept=True),
        File(CA_KEY, made.authority.key, kept=True),
    ]


def printable(plan: Plan, name: str) -> str:
    """Give the text of one file by the end of its path.

    :raises ConfigError: there is no such file, or it is worth nothing by itself.
    """
    now = datetime.now(UTC)
    made = files(plan, credentials(plan, Authority.new(now), now))
    known = {file.path: file.content.decode() for file in made if not file.kept}
    found = {text for path, text in known.items() if f"/{path}".endswith(f"/{name}")}
    if len(found) != 1:
        raise ConfigError(f"--print {name!r}: give one of {', '.join(known)}; keys and tokens go to a folder only")
    return found.pop()


def _of_redshank(plan: Plan, made: Credentials) -> Iterator[File]:
    # A token's hash is of use only together with the token.
    yield File(f"redshank/{CONFIG}", config(plan, made.clients).encode(), kept=plan.token)
    yield File("redshank/tls/tls.crt", made.server.certificate, kept=True)
    yield File("redshank/tls/tls.key", made.server.key, kept=True)
    if not plan.token:
        yield File("redshank/tls/client-ca.crt", made.authority.certificate, kept=True)


def _of_cluster(plan: Plan, cluster: str, made: Credentials) -> Iterator[File]:
    folder = f"clusters/{cluster}"
    yield File(f"{folder}/{AUDIT_POLICY}", shipped(AUDIT_POLICY).encode())
    yield File(f"{folder}/{KUBECONFIG}", kubeconfig(plan, cluster).encode())
    yield File(f"{folder}/{CA}", made.authority.certificate, kept=True)
    client = made.clients[cluster]
    if isinstance(client, str):
        yield File(f"{folder}/token", client.encode(), kept=True)
    else:
        yield File(f"{folder}/client.crt", client.certificate, kept=True)
        yield File(f"{folder}/client.key", client.key, kept=True)


def config(plan: Plan, clients: Mapping[str, Pair | str]) -> str:
    """Give redshank's configuration, as `detector.sources.webhook.WebhookSettings` reads it."""
    return "".join(line + "\n" for line in _config_lines(plan, clients))


def _config_lines(plan: Plan, clients: Mapping[str, Pair | str]) -> Iterator[str]:
    yield "# What the section `webhook` of redshank's configuration says. Other sections: redshank config example."
    yield "webhook:"
    yield "  # Every address of this machine, on the port that API servers post to."
    yield f'  listen: ":{plan.port}"'
    yield "  tls:"
    yield "    cert: /etc/redshank/tls/tls.crt"
    yield "    key: /etc/redshank/tls/tls.key"
    if not plan.token:
        yield "    client_ca: /etc/redshank/tls/client-ca.crt"
    yield "  # Who may post to /audit/NAME, and thereby say what happened in that cluster."
    yield "  clusters:"
    for cluster, client in clients.items():
        yield f"    {_quoted(cluster)}:"
        if isinstance(client, str):
            yield f"      tokens: [{_quoted(hash_token(client))}]"
        else:
            yield f"      certificate_names: [{_quoted(client_name(cluster))}]"


def kubeconfig(plan: Plan, cluster: str) -> str:
    """Give what ``--audit-webhook-config-file`` names.

    The cluster is in the path, as API servers drop a query. Paths are relative to the file itself.
    https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/#webhook-backend
    """
    proof = "tokenFile: token" if plan.token else "client-certificate: client.crt\n      client-key: client.key"
    return Template(shipped(KUBECONFIG)).substitute(server=_quoted(f"{plan.url}/audit/{cluster}"), proof=proof)


def readme(plan: Plan) -> str:
    """Give the steps to take, one by one."""
    return Template(shipped(README)).substitute(
        clusters=_listed(plan.clusters),
        url=plan.url,
        port=plan.port,
        days=DAYS,
        ca_days=CA_DAYS,
        contents=f"audit policy, address of redshank, CA, {'token' if plan.token else 'certificate and key'}",
        curl='-H "Authorization: Bearer $(cat token)"' if plan.token else "--cert client.crt --key client.key",
    )


def _listed(clusters: Iterable[str]) -> str:
    return ", ".join(f"`{cluster}`" for cluster in clusters)


def _quoted(text: str) -> str:
    """Write a text so that YAML takes it as a text: a cluster may be called ``on`` or ``1.5``."""
    return json.dumps(text)
