"""What is written fits together: an API server that uses it is believed by a redshank that uses it, and nobody else."""

from __future__ import annotations

import asyncio
import re
import ssl
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
import yaml

from detector.config import Settings
from detector.errors import ConfigError
from detector.setup.certificates import Authority
from detector.setup.files import File, config, credentials, files, printable, shipped
from detector.setup.folder import write
from detector.setup.plan import Plan
from detector.sources.webhook import Answer, Webhook, WebhookSettings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "kube-apiserver"
PAGE = DEPLOY.parents[1] / "docs" / "kube-apiserver.md"
SHOWN = Plan.make(["prod"], "https://redshank.example:8889")
"""The plan whose files ``deploy/kube-apiserver`` shows."""
NOW = datetime.now(UTC)
NAMES = ["prod", "on", "1.5"]
LOCAL = Plan.make(NAMES, "https://127.0.0.1:8889", ["localhost"])
TOKENS = Plan.make(NAMES, "https://127.0.0.1:8889", token=True)


def made(plan: Plan) -> list[File]:
    return files(plan, credentials(plan, Authority.new(NOW), NOW))


def settings_in(folder: Path) -> WebhookSettings:
    """Read the configuration as redshank would, from where the files lie, on any free port of this machine."""
    data = yaml.safe_load(
        (folder / "redshank/redshank.yaml").read_text().replace("/etc/redshank", f"{folder}/redshank")
    )
    data["webhook"]["listen"] = "127.0.0.1:0"
    return Settings.model_validate(data).webhook


class ApiServer:
    """A client that reads a kubeconfig as kube-apiserver does, and posts as it does."""

    def __init__(self, folder: Path, cluster: str) -> None:
        base = folder / "clusters" / cluster
        kubeconfig = yaml.safe_load((base / "webhook-kubeconfig.yaml").read_text())
        (target,), (user,) = kubeconfig["clusters"], kubeconfig["users"]
        self.path = target["cluster"]["server"].removeprefix("https://127.0.0.1:8889")
        self.context = ssl.create_default_context(cafile=base / target["cluster"]["certificate-authority"])
        self.headers = {}
        if "tokenFile" in user["user"]:
            self.headers["Authorization"] = f"Bearer {(base / user['user']['tokenFile']).read_text()}"
        else:
            self.context.load_cert_chain(base / user["user"]["client-certificate"], base / user["user"]["client-key"])

    async def post(self, webhook: Webhook, path: str = "", method: str = "POST") -> int:
        url = f"https://127.0.0.1:{webhook.addresses[0].port}{path or self.path}"
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.context)) as session,
            session.request(method, url, data=b"{}", headers=self.headers) as answer,
        ):
            return answer.status


async def posted(folder: Path) -> tuple[list[int], list[str], list[int]]:
    """Post from every cluster; also from the first to the others. Gives answers, clusters believed, answers."""
    believed: list[str] = []

    async def accept(cluster: str, body: bytes, peer: str) -> Answer:
        believed.append(cluster)
        return Answer(200, "ok")

    webhook = Webhook(settings_in(folder), accept)
    await webhook.start()
    try:
        servers = [ApiServer(folder, name) for name in NAMES]
        own = [await server.post(webhook) for server in servers]
        foreign = [await servers[0].post(webhook, server.path) for server in servers[1:]]
        return own, believed, foreign
    finally:
        await webhook.stop(5.0)


@pytest.mark.parametrize("plan", [LOCAL, TOKENS], ids=["certificates", "tokens"])
def test_each_cluster_is_believed_for_itself_and_for_no_other(tmp_path: Path, plan: Plan) -> None:
    write(tmp_path, made(plan), force=False)
    own, believed, foreign = asyncio.run(posted(tmp_path))
    assert own == [200, 200, 200]
    assert believed == NAMES
    assert foreign == [403, 403]


async def tried(folder: Path) -> tuple[int, int]:
    """Ask with GET as the README says, and post as a stranger; gives both answers."""
    webhook = Webhook(settings_in(folder), lambda *_: pytest.fail("a batch was taken"))
    await webhook.start()
    server = ApiServer(folder, "prod")
    try:
        asked = await server.post(webhook, method="GET")
        server.headers = {}
        return asked, await server.post(webhook)
    finally:
        await webhook.stop(5.0)


def test_a_get_shows_who_is_believed(tmp_path: Path) -> None:
    write(tmp_path, made(TOKENS), force=False)
    assert asyncio.run(tried(tmp_path)) == (405, 401)


def test_a_token_is_in_no_file_of_redshank() -> None:
    by_path = {file.path: file.content for file in made(TOKENS)}
    token = by_path["clusters/prod/token"]
    assert len(token) > 40
    assert [path for path, content in by_path.items() if token in content] == ["clusters/prod/token"]


def test_the_key_of_the_ca_is_in_one_file_only() -> None:
    by_path = {file.path: file.content for file in made(LOCAL)}
    assert [path for path, content in by_path.items() if by_path["ca.key"] in content] == ["ca.key"]


@pytest.mark.parametrize("plan", [LOCAL, TOKENS], ids=["certificates", "tokens"])
def test_the_configuration_needs_no_exception_to_be_safe(plan: Plan) -> None:
    data = yaml.safe_load(config(plan, credentials(plan, Authority.new(NOW), NOW).clients))
    settings = WebhookSettings.model_validate(data["webhook"])
    assert not settings.insecure
    assert settings.address.host == ""
    assert list(settings.clusters) == NAMES
    assert settings.certificate_required is not plan.token


def flags() -> dict[str, str]:
    (container,) = yaml.safe_load(shipped("kube-apiserver-flags.yaml"))["spec"]["containers"]
    return dict(flag.removeprefix("--").split("=", 1) for flag in container["command"])


def test_the_flags_send_soon_and_whole_and_hold_nothing_up() -> None:
    given = flags()
    assert given["audit-webhook-mode"] == "batch"
    assert given["audit-webhook-batch-max-wait"] in ("1s", "2s")
    assert given["audit-webhook-batch-max-size"] == "400"
    assert given["audit-webhook-truncate-enabled"] == "false"


def test_the_page_about_kube_apiserver_has_the_same_flags() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    kubeadm, k3s = map(yaml.safe_load, blocks)
    assert {one["name"]: one["value"] for one in kubeadm["apiServer"]["extraArgs"]} == flags()
    assert dict(one.split("=", 1) for one in k3s["kube-apiserver-arg"]) == flags()


def test_the_flags_name_files_that_are_written_and_mounted() -> None:
    spec = yaml.safe_load(shipped("kube-apiserver-flags.yaml"))["spec"]
    (mount,), (volume,) = spec["containers"][0]["volumeMounts"], spec["volumes"]
    assert (mount["name"], mount["mountPath"]) == (volume["name"], volume["hostPath"]["path"])
    written = {Path(file.path).name for file in made(SHOWN) if file.path.startswith("clusters/prod/")}
    named = {Path(value) for value in flags().values() if value.startswith("/")}
    assert {path.parent for path in named} == {Path(mount["mountPath"])}
    assert {path.name for path in named} <= written


def test_the_readme_names_what_is_there_and_leaves_no_gap() -> None:
    by_path = {file.path: file.content.decode() for file in made(SHOWN)}
    text = by_path["README.md"]
    for name in re.findall(r"`(?:redshank/|clusters/CLUSTER/)?([\w.-]+\.(?:yaml|key|crt))`", text):
        assert any(path.endswith(name) for path in by_path), name
    assert "https://redshank.example:8889/audit/CLUSTER" in text
    assert not re.search(r"\$\{?[a-z_]+\b(?! token)", text.replace("$(cat token)", ""))


def test_deploy_shows_what_is_written() -> None:
    expected = {file.path: file.content.decode() for file in made(SHOWN) if not file.kept}
    found = {
        path.relative_to(DEPLOY).as_posix(): path.read_text()
        for path in [*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.md")]
    }
    assert found == expected, (
        "redshank init kube-apiserver --cluster prod --url https://redshank.example:8889 --out deploy/kube-apiserver "
        "--force writes them anew (keys and certificates are ignored by git)"
    )


@pytest.mark.parametrize("name", ["webhook-kubeconfig.yaml", "redshank.yaml", "README.md", "audit-policy.yaml"])
def test_one_file_can_be_had_by_its_name(name: str) -> None:
    assert printable(SHOWN, name).encode() in [file.content for file in made(SHOWN)]


@pytest.mark.parametrize(
    ("plan", "name"),
    [
        (SHOWN, "tls.key"),
        (SHOWN, "ca.crt"),
        (TOKENS, "redshank.yaml"),
        (LOCAL, "webhook-kubeconfig.yaml"),
        (SHOWN, "nonsense"),
        (SHOWN, "yaml"),
    ],
)
def test_what_is_worth_nothing_by_itself_is_not_printed(plan: Plan, name: str) -> None:
    with pytest.raises(ConfigError, match="--print"):
        printable(plan, name)


def test_of_several_clusters_one_is_named_by_its_path() -> None:
    assert "/audit/prod" in printable(LOCAL, "clusters/prod/webhook-kubeconfig.yaml")
