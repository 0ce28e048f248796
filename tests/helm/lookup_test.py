#!/usr/bin/env python3
"""What the chart asks of a cluster while it renders: keys, classes of disks, shards that are there. The cluster is a small HTTP server here."""
import contextlib
import http.server
import json
import threading

import case
import chart
from case import DEFAULT, HELMS, ChartCase

# Also what the chart makes: helm asks how each kind is called.
KINDS = {"v1": [("secrets", True, "Secret"), ("namespaces", False, "Namespace"), ("persistentvolumeclaims", True, "PersistentVolumeClaim"),
                ("services", True, "Service"), ("configmaps", True, "ConfigMap"), ("serviceaccounts", True, "ServiceAccount"), ("pods", True, "Pod")],
         "apps/v1": [("statefulsets", True, "StatefulSet"), ("deployments", True, "Deployment")],
         "policy/v1": [("poddisruptionbudgets", True, "PodDisruptionBudget")],
         "networking.k8s.io/v1": [("networkpolicies", True, "NetworkPolicy")],
         "rbac.authorization.k8s.io/v1": [("roles", True, "Role"), ("rolebindings", True, "RoleBinding")],
         "batch/v1": [("jobs", True, "Job")],
         "storage.k8s.io/v1": [("storageclasses", False, "StorageClass")]}
PLACES = {"Secret": "/api/v1/namespaces/fed/secrets/", "Namespace": "/api/v1/namespaces/", "PersistentVolumeClaim": "/api/v1/namespaces/fed/persistentvolumeclaims/",
          "StatefulSet": "/apis/apps/v1/namespaces/fed/statefulsets/", "StorageClass": "/apis/storage.k8s.io/v1/storageclasses/"}


def discovery():
    groups = [version.split("/")[0] for version in KINDS if "/" in version]
    answers = {"/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"}, "/api": {"kind": "APIVersions", "versions": ["v1"]},
               "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
                   {"name": group, "versions": [{"groupVersion": f"{group}/v1", "version": "v1"}],
                    "preferredVersion": {"groupVersion": f"{group}/v1", "version": "v1"}} for group in groups]}}
    for version, kinds in KINDS.items():
        answers[("/apis/" if "/" in version else "/api/") + version] = {
            "kind": "APIResourceList", "groupVersion": version,
            "resources": [{"name": name, "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]} for name, namespaced, kind in kinds]}
    return answers


@contextlib.contextmanager
def cluster(*objects, forbidden=()):
    """The URL of an API server that has kube-system and `objects`, and lets nobody read the kinds that are forbidden."""
    answers = discovery()
    everything = ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}, *objects)
    for each in everything:
        answers[PLACES[each["kind"]] + each["metadata"]["name"]] = each
    answers[PLACES["StorageClass"].rstrip("/")] = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClassList",
                                                   "items": [each for each in everything if each["kind"] == "StorageClass"]}
    closed = tuple(PLACES[kind].rstrip("/") for kind in forbidden)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0]
            missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": f"{path} not found"}
            status, answer = (200, answers[path]) if path in answers else (404, missing)
            if closed and path.startswith(closed):
                status, answer = 403, {**missing, "reason": "Forbidden", "code": 403, "message": f"{path} is forbidden"}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def secret(name):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "fed"}}


def storage_class(name, provisioner, **annotations):
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name, "annotations": annotations}, "provisioner": provisioner}


def default_class(name, provisioner, made="2026-01-01T00:00:00Z", mark="storageclass.kubernetes.io/is-default-class"):
    found = storage_class(name, provisioner, **{mark: "true"})
    found["metadata"]["creationTimestamp"] = made
    return found


def claim(name, of="", mode="ReadWriteOnce"):
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": "fed"},
            "spec": {"accessModes": [mode], **({"storageClassName": of} if of else {})}}


class Lookups(ChartCase):
    def words(self, url, *settings):
        return ("--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", url, *(word for setting in settings for word in ("--set", setting)))

    def accepted(self, binary, words):
        run = chart.template(binary, *DEFAULT, *words)
        self.assertEqual(run.returncode, 0, run.stderr)
        return chart.manifests(run.stdout)

    def test_a_missing_secret_is_told_with_the_command(self):
        for name, binary in HELMS.items():
            with self.subTest(helm=name):
                with cluster() as url:
                    self.refused(binary, ["the namespace fed has no Secret k", "kubectl create secret generic k"], *self.words(url))
                    self.accepted(binary, self.words(url, "keys.check=false"))
                with cluster(secret("k")) as url:
                    self.accepted(binary, self.words(url))

    def test_a_journal_on_a_network_file_system(self):
        for provisioner in ("efs.csi.aws.com", "file.csi.azure.com", "filestore.csi.storage.gke.io", "nfs.csi.k8s.io", "smb.csi.k8s.io",
                            "rook-ceph.cephfs.csi.ceph.com"):
            with self.subTest(provisioner=provisioner), cluster(secret("k"), storage_class("c", provisioner)) as url:
                self.refused(self.helm, ["coordinator.persistence.storageClass c", provisioner], *self.words(url, "coordinator.persistence.storageClass=c"))
        for provisioner in ("ebs.csi.aws.com", "disk.csi.azure.com", "pd.csi.storage.gke.io", "rancher.io/local-path", "rook-ceph.rbd.csi.ceph.com"):
            with self.subTest(provisioner=provisioner), cluster(secret("k"), storage_class("c", provisioner)) as url:
                self.accepted(self.helm, self.words(url, "coordinator.persistence.storageClass=c"))

    def test_the_class_that_the_cluster_takes_where_none_is_named(self):
        nfs, block = "nfs.csi.k8s.io", "ebs.csi.aws.com"
        for name, binary in HELMS.items():
            with self.subTest(helm=name), cluster(secret("k"), default_class("shared", nfs), storage_class("fast", block)) as url:
                self.refused(binary, ["storageClass is empty, and the cluster's default class shared is of nfs.csi.k8s.io"], *self.words(url))
                # Each disk is asked for by itself.
                self.refused(binary, ["blobStore.persistence.storageClass is empty"], *self.words(url, "coordinator.persistence.storageClass=fast"))
                self.refused(binary, ["coordinator.persistence.storageClass is empty"], *self.words(url, "blobStore.persistence.storageClass=fast"))
                self.accepted(binary, self.words(url, "coordinator.persistence.storageClass=fast", "blobStore.persistence.storageClass=fast"))
                self.accepted(binary, self.words(url, "coordinator.persistence.checkClass=false", "blobStore.persistence.checkClass=false"))
        with cluster(secret("k"), default_class("old", nfs, mark="storageclass.beta.kubernetes.io/is-default-class")) as url:
            self.refused(self.helm, ["default class old"], *self.words(url))
        # Of several the newest; one that is annotated "false" is none.
        older, newer = "2025-12-31T23:59:59Z", "2026-02-01T00:00:00Z"
        with cluster(secret("k"), default_class("a", block, older), default_class("b", nfs, newer), default_class("c", block, older)) as url:
            self.refused(self.helm, ["default class b"], *self.words(url))
        no = storage_class("no", nfs, **{"storageclass.kubernetes.io/is-default-class": "false"})
        for classes in ((default_class("a", nfs, older), default_class("b", block, newer)), (no,), (no, default_class("b", block)), ()):
            with self.subTest(classes=[each["metadata"]["name"] for each in classes]), cluster(secret("k"), *classes) as url:
                self.accepted(self.helm, self.words(url))

    def test_whoever_may_not_read_classes_says_so(self):
        with cluster(secret("k"), forbidden=["StorageClass"]) as url:
            self.refused(self.helm, ["forbidden"], *self.words(url))
            self.accepted(self.helm, self.words(url, "coordinator.persistence.checkClass=false", "blobStore.persistence.checkClass=false"))

    def test_a_claim_that_is_there_tells_its_class(self):
        classes = (storage_class("shared", "nfs.csi.k8s.io"), storage_class("fast", "ebs.csi.aws.com"))
        with cluster(secret("k"), *classes, claim("old", of="shared"), claim("good", of="fast"), claim("many", mode="ReadWriteMany")) as url:
            self.refused(self.helm, ["coordinator: the claim old has the class shared", "nfs.csi.k8s.io"], *self.words(url, "coordinator.persistence.existingClaim=old"))
            self.refused(self.helm, ["coordinator.persistence.existingClaim many is ReadWriteMany"], *self.words(url, "coordinator.persistence.existingClaim=many"))
            self.accepted(self.helm, self.words(url, "coordinator.persistence.existingClaim=good"))
        # An upgrade: the claims of the release stay what they are, whatever the cluster's default has become.
        for there in ("journal-fl-tributary-coordinator-0", "objects-fl-tributary-blob-store-0"):
            other = ({"journal-fl-tributary-coordinator-0", "objects-fl-tributary-blob-store-0"} - {there}).pop()
            with self.subTest(claim=there), cluster(secret("k"), default_class("nfs", "nfs.csi.k8s.io"), *classes, claim(there, of="fast"), claim(other, of="fast")) as url:
                self.accepted(self.helm, self.words(url))
            with self.subTest(claim=there), cluster(secret("k"), *classes, claim(there, of="shared")) as url:
                self.refused(self.helm, [f"the claim {there} has the class shared"], *self.words(url))
        # The names are those that the StatefulSets give.
        for service, name in (("coordinator", "journal"), ("blob-store", "objects")):
            found = self.find(self.default(), "StatefulSet", service)
            self.assertEqual(f"{found['spec']['volumeClaimTemplates'][0]['metadata']['name']}-{found['metadata']['name']}-0", f"{name}-fl-tributary-{service}-0")

    def test_the_number_of_shards_stays(self):
        store = {"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {"replicas": 2},
                 "metadata": {"name": "fl-tributary-blob-store", "namespace": "fed", "labels": {"app.kubernetes.io/managed-by": "Helm"},
                              "annotations": {"meta.helm.sh/release-name": "fl", "meta.helm.sh/release-namespace": "fed"}}}
        with cluster(secret("k"), store) as url:
            self.refused(self.helm, ["blobStore.shards is 3", "2 shards"], *self.words(url, "blobStore.shards=3"))
            self.accepted(self.helm, self.words(url, "blobStore.shards=2"))

    def test_keys_are_made_once(self):
        settings = ("keys.existingSecret=", "keys.generate.enabled=true", "keys.generate.kubectlImage=tools/kubectl:1")
        with cluster() as url:
            self.assertIn("Job", {each["kind"] for each in self.accepted(self.helm, self.words(url, *settings))})
        with cluster(secret("fl-tributary-keys")) as url:
            kinds = {each["kind"] for each in self.accepted(self.helm, self.words(url, *settings))}
            self.assertFalse(kinds & {"Job", "Role", "RoleBinding"}, "an upgrade would make keys anew")


if __name__ == "__main__":
    case.main()
