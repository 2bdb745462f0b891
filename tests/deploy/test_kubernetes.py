"""The manifests are what Kubernetes takes, as narrow as it allows, and say the same as redshank's own settings."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from detector import __version__
from detector.config import Settings
from detector.web.server import PUBLIC
from tests.deploy.reading import DEPLOY, Manifest, pod_spec, render, the

FOLDERS = [DEPLOY / "kubernetes" / name for name in ("base", "two-replicas")]
VERSIONS = ["1.31", kubernetes_validate.latest_version()]
SAFE_VOLUMES = {
    "configMap",
    "secret",
    "emptyDir",
    "persistentVolumeClaim",
    "projected",
    "downwardAPI",
    "ephemeral",
    "csi",
}


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return render(request.param)


@pytest.fixture
def spec(manifests: list[Manifest]) -> Manifest:
    return pod_spec(manifests)


@pytest.fixture
def container(spec: Manifest) -> Manifest:
    (only,) = spec["containers"]
    assert isinstance(only, dict)
    return only


@pytest.fixture
def settings(manifests: list[Manifest]) -> Settings:
    return Settings.model_validate(yaml.safe_load(the(manifests, "ConfigMap")["data"]["redshank.yaml"]))


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_every_object(manifests: list[Manifest], version: str) -> None:
    for manifest in manifests:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_an_object_that_kubernetes_refuses_is_noticed(manifests: list[Manifest]) -> None:
    stateful = the(manifests, "StatefulSet")
    stateful["spec"]["replica"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(stateful, VERSIONS[-1], strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_kustomize_makes_the_same_of_them(folder: Path) -> None:
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=True, timeout=60)
    built = {one["kind"]: one for one in yaml.safe_load_all(done.stdout)}
    assert built == {one["kind"]: one for one in render(folder)}


def test_no_file_is_left_out() -> None:
    for folder in FOLDERS:
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
        used = {*kustomization["resources"], *(patch["path"] for patch in kustomization.get("patches", []))}
        used |= {name for entry in kustomization.get("configMapGenerator", []) for name in entry["files"]}
        assert {path.name for path in folder.iterdir()} == {one for one in used if one != "../base"} | {
            "kustomization.yaml"
        }


def test_the_namespace_takes_restricted_pods_only(manifests: list[Manifest]) -> None:
    labels = the(manifests, "Namespace")["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "warn", "audit")} == {"restricted"}


def test_the_pod_is_restricted(spec: Manifest) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(spec)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert all(SAFE_VOLUMES & set(volume) for volume in spec["volumes"])


def test_the_container_has_no_rights_and_writes_to_two_places(container: Manifest) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/var/lib/redshank", "/tmp"}
    assert all("hostPort" not in port for port in container["ports"])


def test_nothing_may_ask_the_api_server_anything(manifests: list[Manifest], spec: Manifest) -> None:
    assert {one["kind"] for one in manifests} <= {
        "Namespace",
        "ServiceAccount",
        "Service",
        "StatefulSet",
        "PodDisruptionBudget",
        "NetworkPolicy",
        "ConfigMap",
        "PersistentVolumeClaim",
    }
    assert the(manifests, "ServiceAccount")["automountServiceAccountToken"] is False
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == the(manifests, "ServiceAccount")["metadata"]["name"]


def test_memory_is_bounded_and_cpu_is_not(container: Manifest) -> None:
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert set(container["resources"]["limits"]) == {"memory"}


def test_settings_ports_and_probes_are_of_one_mind(container: Manifest, settings: Settings) -> None:
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"webhook": settings.webhook.address.port, "web": settings.web.address.port}
    assert {settings.webhook.address.host, settings.web.address.host} == {""}
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {probe["port"] for probe in probes.values()} == {"web"}
    assert {probe["path"] for probe in probes.values()} <= PUBLIC
    assert (probes["liveness"]["path"], probes["readiness"]["path"]) == ("/healthz", "/readyz")
    # Probes speak plain HTTP.
    assert settings.web.tls is None


def test_the_settings_ask_who_posts(settings: Settings) -> None:
    assert settings.webhook.certificate_required
    assert not settings.webhook.insecure


def test_every_file_that_the_settings_name_is_mounted(container: Manifest, settings: Settings) -> None:
    mounts = {Path(mount["mountPath"]) for mount in container["volumeMounts"]}
    tls = settings.webhook.tls
    assert tls is not None
    assert tls.client_ca is not None
    config = Path(container["args"][container["args"].index("--config") + 1])
    assert {config.parent, tls.cert.parent, tls.key.parent, tls.client_ca.parent} <= mounts


def test_what_is_mounted_is_a_volume_of_something_that_is_there(manifests: list[Manifest], spec: Manifest) -> None:
    claimed = {one["metadata"]["name"] for one in the(manifests, "StatefulSet")["spec"].get("volumeClaimTemplates", [])}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounted = {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
    assert mounted == set(volumes) | claimed
    assert not set(volumes) & claimed
    assert volumes["config"]["configMap"]["name"] == the(manifests, "ConfigMap")["metadata"]["name"]
    if "data" in volumes:
        claim = the(manifests, "PersistentVolumeClaim")
        assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_the_volume_has_room_beside_a_full_journal(manifests: list[Manifest], settings: Settings) -> None:
    templates = the(manifests, "StatefulSet")["spec"].get("volumeClaimTemplates")
    claim = templates[0] if templates else the(manifests, "PersistentVolumeClaim")
    storage = claim["spec"]["resources"]["requests"]["storage"]
    assert int(storage.removesuffix("Gi")) * 2**30 >= 2 * settings.store.journal_limit


def test_there_is_time_to_stop(spec: Manifest, settings: Settings) -> None:
    assert spec["terminationGracePeriodSeconds"] > settings.stop_within.total_seconds()


def test_the_image_is_this_version(container: Manifest) -> None:
    assert container["image"].rpartition(":")[2] == __version__


def test_all_that_selects_selects_the_pod_and_ports_it_has(manifests: list[Manifest], container: Manifest) -> None:
    stateful = the(manifests, "StatefulSet")["spec"]
    labels = stateful["template"]["metadata"]["labels"]
    selected: list[dict[str, Any]] = [
        stateful["selector"]["matchLabels"],
        the(manifests, "Service")["spec"]["selector"],
        the(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        the(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(one.items() <= labels.items() for one in selected)
    names = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in the(manifests, "Service")["spec"]["ports"]} == names
    ingress = the(manifests, "NetworkPolicy")["spec"]["ingress"]
    assert {port["port"] for rule in ingress for port in rule["ports"]} == names
    assert stateful["serviceName"] == the(manifests, "Service")["metadata"]["name"]


def test_in_and_out_only_what_is_named_is_let_through(manifests: list[Manifest]) -> None:
    policy = the(manifests, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule.get("from") and rule.get("ports") for rule in policy["ingress"])
    assert all(rule.get("ports") for rule in policy["egress"])


def test_one_replica_with_a_volume_of_its_own_or_two_with_one() -> None:
    base, two = (the(render(folder), "StatefulSet")["spec"] for folder in FOLDERS)
    assert base["replicas"] == 1
    assert "volumeClaimTemplates" in base
    assert two["replicas"] == 2
    assert "volumeClaimTemplates" not in two
    # The one that waits is never ready: nothing may wait for it.
    assert (two["podManagementPolicy"], two["updateStrategy"]) == ("Parallel", {"type": "OnDelete"})
    (term,) = two["template"]["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"]["matchLabels"] == two["template"]["metadata"]["labels"]


def test_both_of_two_wait_for_the_directory_and_answer_probes_meanwhile() -> None:
    base, two = (pod_spec(render(folder))["containers"][0] for folder in FOLDERS)
    assert two["args"] == ["serve", "--standby", *base["args"][1:]]
    assert "command" not in two
    assert {key: two[key] for key in two if key != "args"} == {key: base[key] for key in base if key != "args"}
