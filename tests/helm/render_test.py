#!/usr/bin/env python3
"""The chart renders, with every values file and both helms, and what it refuses it refuses by the place of the mistake."""
import json
import re
import unittest

import yaml

import case
import chart
from case import DEFAULT, HELMS, ChartCase, rendered


class Renders(ChartCase):
    def test_lint_is_strict_and_content(self):
        for name, binary in HELMS.items():
            for path in [None, *chart.values_files()]:
                with self.subTest(helm=name, values=path and path.name):
                    words = DEFAULT if path is None else ("-f", path)
                    run = chart.helm(binary, "lint", "--strict", chart.CHART, *words)
                    self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_both_helms_render_the_same(self):
        for path in chart.values_files():
            with self.subTest(values=path.name):
                self.assertEqual(rendered(HELMS["helm 3"], "-f", path), rendered(HELMS["helm 4"], "-f", path))

    def test_twice_the_same(self):
        self.assertEqual(chart.template(self.helm, *DEFAULT).stdout, chart.template(self.helm, *DEFAULT).stdout)

    def test_the_default_is_these_objects(self):
        found = sorted(chart.name_of(each) for each in self.default())
        services = ["aggregator", "blob-store", "coordinator", "trainer"]
        expected = [f"{kind}/fl-tributary-{service}" for kind in ("ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount") for service in services]
        expected += ["Deployment/fl-tributary-aggregator", "StatefulSet/fl-tributary-blob-store", "StatefulSet/fl-tributary-coordinator",
                     "StatefulSet/fl-tributary-trainer", "Service/fl-tributary-blob-store", "Service/fl-tributary-coordinator",
                     "Service/fl-tributary-coordinator-pods", "Service/fl-tributary-trainer", "NetworkPolicy/fl-tributary-cli",
                     "ConfigMap/fl-tributary-test", "Pod/fl-tributary-test"]
        self.assertEqual(found, sorted(expected))

    def test_a_trainer_site_installs_no_server_and_opens_no_port(self):
        site = rendered(self.helm, "-f", chart.CHART / "values-trainer-site.yaml")
        self.assertEqual({chart.component(each) for each in site}, {"trainer", "cli"})
        for each in site:
            if each["kind"] == "Service":
                self.assertEqual(each["spec"]["clusterIP"], "None")
        flags = chart.ini(self.find(site, "ConfigMap", "trainer")["data"]["service.ini"])
        self.assertEqual(flags["coordinator"], "tcp://fl.example.org:7700")
        self.assertEqual(flags["blob-store"], "tcp://fl.example.org:7710")
        self.assertEqual(flags["data"], "imdb=/data/imdb")

    def test_shards_are_named_in_order(self):
        three = rendered(self.helm, "-f", chart.CHART / "ci/s3-values.yaml")
        flags = chart.ini(self.find(three, "ConfigMap", "coordinator")["data"]["service.ini"])
        self.assertEqual(flags["blob-store"], [f"tcp://fl-tributary-blob-store-{i}.fl-tributary-blob-store.fed.svc:7710" for i in range(3)])
        store = self.find(three, "StatefulSet", "blob-store")
        self.assertEqual(store["spec"]["replicas"], 3)
        self.assertEqual(chart.ini(self.find(three, "ConfigMap", "blob-store")["data"]["service.ini"])["shards"], "3")
        env = store["spec"]["template"]["spec"]["containers"][0]["env"]
        self.assertEqual(env[1]["name"], "TRIBUTARY_SHARD")
        self.assertIn("apps.kubernetes.io/pod-index", env[1]["valueFrom"]["fieldRef"]["fieldPath"])
        self.assertEqual(env[2], {"name": "TRIBUTARY_S3_PREFIX", "value": "tributary/$(TRIBUTARY_SHARD)"})

    def test_scalars_stay_text(self):
        # With the parser that takes y, on and 0123 for what they are not: labels, annotations, environment and data are text.
        for what, manifests in self.every_rendering():
            for each in manifests:
                with self.subTest(values=what, object=chart.name_of(each)):
                    metadata = [each["metadata"]]
                    pod = chart.pod_of(each)
                    if pod is not None:
                        metadata.append(pod["metadata"])
                        for container in chart.containers(pod):
                            for env in container.get("env", []):
                                self.assertIsInstance(env.get("value", ""), str, env)
                            for word in container.get("args", []) + container.get("command", []):
                                self.assertIsInstance(word, str, word)
                    for data in metadata:
                        for key, value in {**data.get("labels", {}), **data.get("annotations", {})}.items():
                            self.assertIsInstance(key, str)
                            self.assertIsInstance(value, str, f"{key}: {value!r}")
        everything = rendered(self.helm, "-f", chart.CHART / "ci/everything-values.yaml")
        trainer = self.find(everything, "StatefulSet", "trainer")["spec"]["template"]
        self.assertEqual(trainer["metadata"]["labels"]["b"], "n")
        self.assertEqual(trainer["spec"]["nodeSelector"], {"disk": "yes"})
        self.assertEqual(chart.ini(self.find(everything, "ConfigMap", "trainer")["data"]["service.ini"])["site"], "no")

    def test_what_is_passed_through_arrives(self):
        everything = rendered(self.helm, "-f", chart.CHART / "ci/everything-values.yaml")
        for kind, service in (("StatefulSet", "coordinator"), ("StatefulSet", "blob-store"), ("Deployment", "aggregator"), ("StatefulSet", "trainer")):
            with self.subTest(service=service):
                spec = self.find(everything, kind, service)["spec"]["template"]["spec"]
                main = spec["containers"][0]
                self.assertEqual(main["image"], "registry.example.org:5000/team/fl/a/b-c:0.1.0-rc1")
                self.assertEqual(main["args"][-1], "--log-level=trace")
                self.assertIn({"name": "MODE", "value": "no"}, main["env"])
                self.assertIn({"name": "more", "mountPath": "/more"}, main["volumeMounts"])
                self.assertEqual([each["name"] for each in spec["initContainers"] + spec["containers"]], ["first", service, "beside"])
                self.assertEqual((spec["priorityClassName"], spec["runtimeClassName"]), ("high", "gvisor"))
                self.assertIn("podAntiAffinity", spec["affinity"])
                self.assertEqual(spec["tolerations"][0]["value"], "true")
                spread = spec["topologySpreadConstraints"][0]
                self.assertEqual(spread["labelSelector"]["matchLabels"]["app.kubernetes.io/component"], service)
                self.assertEqual(spec["imagePullSecrets"], [{"name": "pull"}])
                flags = chart.ini(self.find(everything, "ConfigMap", service)["data"]["service.ini"])
                self.assertEqual(flags["log-level"], "debug")
        extra = {each["metadata"]["name"]: each for each in everything if each["kind"] == "ConfigMap"}
        self.assertEqual(extra["extra"]["data"], {"of": "fl"})
        self.assertIn("fl-more", extra)
        trainer = self.find(everything, "StatefulSet", "trainer")["spec"]["template"]["spec"]
        self.assertIn({"name": "data-imdb", "mountPath": "/data/imdb", "readOnly": True, "subPath": "train"}, trainer["containers"][0]["volumeMounts"])
        self.assertIn({"name": "data-alpaca-1-0", "nfs": {"server": "10.0.0.1", "path": "/alpaca", "readOnly": True}}, trainer["volumes"])

    def test_long_names_fit(self):
        long = "a" * 53
        for each in chart.render(self.helm, *DEFAULT, "--set", "dashboards.enabled=true,blobStore.service.type=NodePort", release=long):
            self.assertLessEqual(len(each["metadata"]["name"]), 63)
            for value in each["metadata"]["labels"].values():
                self.assertLessEqual(len(value), 63)

    def test_names_are_unique(self):
        for what, manifests in self.every_rendering():
            names = [chart.name_of(each) for each in manifests]
            self.assertEqual(len(names), len(set(names)), what)

    def test_notes_tell_the_next_command(self):
        run = chart.helm(self.helm, "install", "fl", chart.CHART, "--dry-run=client", "--namespace", "fed", *DEFAULT)
        notes = run.stdout[run.stdout.index("NOTES:"):]
        self.assertIn("helm test -n fed fl", notes)
        self.assertIn("tributary submit JOB.yaml --coordinator tcp://127.0.0.1:7700", notes)
        self.assertNotIn("WARNING", notes)
        run = chart.helm(self.helm, "install", "fl", chart.CHART, "--dry-run=client", "--set", "keys.insecure=true")
        self.assertIn("WARNING: keys.insecure", run.stdout)


class Upgrades(ChartCase):
    """What Kubernetes does not let change stays, and only a change of configuration or image starts pods anew."""

    def test_fields_that_cannot_change_do_not(self):
        before = self.default()
        after = self.default("--set", "image.tag=9.9.9,logLevel=debug,coordinator.memoryBudget=32MiB,trainer.replicas=7,commonLabels.new=label",
                             "--set", "blobStore.resources.limits.memory=1Gi,blobStore.resources.requests.memory=1Gi")
        for old in before:
            if old["kind"] not in ("StatefulSet", "Deployment"):
                continue
            new = next(each for each in after if chart.name_of(each) == chart.name_of(old))
            for field in ("selector", "serviceName", "volumeClaimTemplates", "podManagementPolicy"):
                self.assertEqual(old["spec"].get(field), new["spec"].get(field), f"{chart.name_of(old)}: {field}")

    def checksum(self, *words):
        return {each["metadata"]["name"]: pod["metadata"]["annotations"]["checksum/config"]
                for each, pod in chart.pods(self.default(*words)) if each["kind"] != "Pod"}

    def test_pods_start_anew_when_their_configuration_changes(self):
        before = self.checksum()
        self.assertEqual(before, self.checksum("--set", "trainer.replicas=5,coordinator.service.type=NodePort"))
        after = self.checksum("--set", "trainer.trainThreads=4")
        self.assertEqual({name for name in before if before[name] != after[name]}, {"fl-tributary-trainer"})

    def test_pods_carry_no_version_of_the_chart(self):
        for each, pod in chart.pods(self.default()):
            if each["kind"] != "Pod":
                self.assertNotIn("helm.sh/chart", pod["metadata"]["labels"])


class Refuses(ChartCase):
    SCHEMA = [
        ("replicaCount=3", ["replicaCount"]),
        ("coordinator.replicas=2", ["coordinator", "replicas"]),
        ("coordinator.persistence.siz=1Gi", ["coordinator/persistence", "siz"]),
        ("coordinator.image.tagg=1", ["coordinator/image", "tagg"]),
        ("blobStore.s3.buckt=x", ["blobStore/s3", "buckt"]),
        ("aggregator.autoscaling.targetMemoryUtilizationPercentage=80", ["aggregator/autoscaling", "targetMemoryUtilizationPercentage"]),
        ("trainer.workDir.persistant=true", ["trainer/workDir", "persistant"]),
        ("trainer.resources.limit.memory=1Gi", ["trainer/resources", "limit"]),
        ("trainer.data[0].nam=x", ["trainer/data/0", "nam"]),
        ("keys.generate.enable=true", ["keys/generate", "enable"]),
        ("probes.liveness.path=/", ["probes/liveness", "path"]),
        ("prometheus.rules.enable=true", ["prometheus/rules", "enable"]),
        ("networkPolicy.metricFrom=x", ["networkPolicy", "metricFrom"]),
        ("coordinator.memoryBudget=64Mi", ["coordinator/memoryBudget"]),
        ("coordinator.resources.limits.memory=128MiB", ["coordinator/resources/limits/memory"]),
        ("coordinator.port=http", ["coordinator/port"]),
        ("blobStore.port=70000", ["blobStore/port"]),
        ("blobStore.shards=0", ["blobStore/shards"]),
        ("trainer.replicas=-1", ["trainer/replicas"]),
        ("trainer.site=a/b", ["trainer/site"]),
        ("image.tag=latest", ["image/tag"]),
        ("trainer.image.tag=latest", ["trainer/image/tag"]),
        ("image.pullPolicy=Sometimes", ["image/pullPolicy"]),
        ("mode=standalone", ["mode"]),
        ("federation.coordinator=fl.example.org", ["federation/coordinator"]),
        ("coordinator.service.type=ExternalName", ["coordinator/service/type"]),
        ("coordinator.heartbeat=1", ["coordinator/heartbeat"]),
        ("aggregator.autoscaling.type=vpa", ["aggregator/autoscaling/type"]),
    ]
    RULES = [
        (["coordinator.persistence.accessMode=ReadWriteMany"], ["coordinator.persistence.accessMode is ReadWriteMany", "ReadWriteOnce"]),
        (["blobStore.persistence.accessMode=ReadWriteMany"], ["blobStore.persistence.accessMode is ReadWriteMany"]),
        (["coordinator.memoryBudget=112MiB"], ["coordinator.memoryBudget 112MiB", "coordinator.resources.limits.memory 128Mi", "144Mi"]),
        (["aggregator.memoryBudget=134217728"], ["aggregator.memoryBudget", "160Mi"]),
        (["blobStore.resources.limits.memory=256Mi"], ["blobStore.resources.requests.memory is 128Mi and limits.memory 256Mi"]),
        (["trainer.resources.limits.memory=null"], ["trainer.resources.limits.memory is not set"]),
        (["blobStore.quota=100GiB"], ["blobStore.quota 100GiB is above blobStore.persistence.size 20Gi"]),
        (["blobStore.s3.enabled=true,blobStore.s3.endpoint=https://s3,blobStore.s3.bucket=b"], ["blobStore.s3.existingSecret is empty"]),
        (["aggregator.autoscaling.type=keda"], ["prometheus.serverAddress is empty"]),
        (["trainer.autoscaling.enabled=true"], ["prometheus.serverAddress is empty"]),
        (["trainer.autoscaling.enabled=true,prometheus.serverAddress=http://p:9090,trainer.autoscaling.minReplicas=20"], ["trainer.autoscaling.minReplicas is above"]),
        (["aggregator.autoscaling.type=hpa", "aggregator.autoscaling.extraMetrics[0].type=Resource,aggregator.autoscaling.extraMetrics[0].resource.name=memory"], ["memory, which is constant by design"]),
        (["blobStore.extraEnv[0].name=AWS_SECRET_ACCESS_KEY,blobStore.extraEnv[0].value=x"], ["blobStore.extraEnv: AWS_SECRET_ACCESS_KEY", "blobStore.s3.existingSecret"]),
        (["trainer.extraEnv[0].name=X,trainer.extraEnv[0].valueFrom.secretKeyRef.name=s,trainer.extraEnv[0].valueFrom.secretKeyRef.key=k"], ["trainer.extraEnv: X"]),
        (["trainer.data[0].name=imdb"], ["trainer.data: imdb needs one of existingClaim and volume"]),
        (["test.seats=3"], ["test.seats is 3 and trainer.replicas 2"]),
        (["trainer.image.tag=0.2.0"], ["image.tag", "trainer 0.2.0", "coordinator 0.1.0", "image.allowMixedVersions=true"]),
        (["image.tag=0.2.0,blobStore.image.tag=0.1.0"], ["blobStore 0.1.0", "0.2.0"]),
        (["cli.image.tag=0.0.9"], ["cli 0.0.9"]),
        (["trainer.image.tag=0.2.0-cuda"], ["trainer 0.2.0-cuda"]),
        (["image.tag=0.2.0,trainer.image.tag=0.1.0,mode=trainer-site,federation.coordinator=tcp://a:1,federation.blobStores={tcp://a:2}"], ["trainer 0.1.0", "cli 0.2.0"]),
        (["keys.insecure=true"], ["choose one of existingSecret, generate.enabled and insecure"]),
        (["mode=trainer-site"], ["federation.coordinator is empty"]),
        (["mode=trainer-site,federation.coordinator=tcp://a:1"], ["federation.blobStores is empty"]),
    ]

    def test_unknown_keys_and_wrong_values_by_their_place(self):
        for name, binary in HELMS.items():
            for setting, expected in self.SCHEMA:
                with self.subTest(helm=name, setting=setting):
                    self.refused(binary, expected, "--set", setting)

    def test_contradictions_with_what_to_change(self):
        for settings, expected in self.RULES:
            with self.subTest(settings=settings):
                self.refused(self.helm, expected, *(word for setting in settings for word in ("--set", setting)))

    def test_versions_that_go_together(self):
        digest = "sha256:" + "0" * 64
        for settings in ("image.tag=0.2.0", "trainer.image.tag=0.1.0-cuda", "image.tag=0.2.0,trainer.image.tag=0.2.0-cuda12.8", "image.tag=1-mine,trainer.image.tag=1-mine-cuda",
                         "trainer.image.tag=0.2.0,image.allowMixedVersions=true", f"trainer.image.tag=0.2.0,trainer.image.digest={digest}",
                         "trainer.enabled=false,trainer.image.tag=0.2.0"):
            with self.subTest(settings=settings):
                run = chart.template(self.helm, *DEFAULT, "--set", settings)
                self.assertEqual(run.returncode, 0, run.stderr)

    def test_missing_keys_with_the_command(self):
        self.refused(self.helm, ["keys.existingSecret is empty", "tributary keygen keys --site site-1", "kubectl create secret generic tributary-keys",
                                 "--from-file=site-site-1.key=keys/sites/site-1/key"], fresh=True)
        self.refused(self.helm, ["keys.generate.kubectlImage is empty"], "--set", "keys.generate.enabled=true", fresh=True)

    def test_an_old_cluster(self):
        self.refused(self.helm, ["1.28"], "--kube-version", "1.27.3")
        self.assertEqual(chart.template(self.helm, *DEFAULT, "--kube-version", "v1.30.2-eks-1").returncode, 0)


class Schema(ChartCase):
    """Values, schema and README are of one mind."""

    def objects(self, node, place="", seen=()):
        if isinstance(node, dict):
            if node.get("type") == "object":
                yield place, node
            for key, value in node.items():
                yield from self.objects(value, f"{place}/{key}")
        elif isinstance(node, list):
            for number, value in enumerate(node):
                yield from self.objects(value, f"{place}/{number}")

    def setUp(self):
        self.schema = json.loads((chart.CHART / "values.schema.json").read_text())
        self.values = yaml.safe_load((chart.CHART / "values.yaml").read_text())

    def test_every_object_is_closed_or_says_that_it_is_open(self):
        for place, node in self.objects(self.schema):
            with self.subTest(place=place):
                closed = node.get("additionalProperties") is False
                self.assertTrue(closed or node.get("description", "").startswith("Open: "), "neither closed nor described as open")

    def resolve(self, node):
        return self.schema["definitions"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node

    def compare(self, node, values, place):
        node = self.resolve(node)
        if "properties" not in node or not isinstance(values, dict):
            return
        # Kept out of values.yaml: what has no default.
        optional = {"global", "claims", "cpu", "memory", "ephemeral-storage"}
        self.assertEqual(set(values) - set(node["properties"]), {key for key in values if "/" in key}, place)
        self.assertLessEqual(set(node["properties"]) - set(values), optional, f"{place}: in the schema, not in values.yaml")
        for key, value in values.items():
            if key in node["properties"]:
                self.compare(node["properties"][key], value, f"{place}.{key}")

    def test_values_and_schema_have_the_same_keys(self):
        self.compare(self.schema, self.values, "values")

    def test_definitions_are_used(self):
        text = json.dumps(self.schema)
        for name in self.schema["definitions"]:
            self.assertIn(f'#/definitions/{name}"', text, f"{name} is not used")

    def test_ports_in_the_readme_and_the_chart_version(self):
        meta = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
        project = re.search(r"project\(tributary VERSION ([0-9.]+)", (chart.ROOT / "CMakeLists.txt").read_text()).group(1)
        self.assertEqual(meta["appVersion"], project)


class Package(ChartCase):
    def test_a_package_has_rules_dashboards_and_scripts(self):
        import tarfile
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            run = chart.helm(self.helm, "package", chart.CHART, "--destination", folder)
            self.assertEqual(run.returncode, 0, run.stderr)
            archive = run.stdout.split(": ")[-1].strip()
            with tarfile.open(archive) as packed:
                names = set(packed.getnames())
        for path in chart.CHART.rglob("*"):
            name = f"tributary/{path.relative_to(chart.CHART)}"
            if path.is_file() and path.name not in (".helmignore", "README.md.gotmpl", ".gitkeep") and path.parent.name != "ci":
                self.assertIn(name, names)


if __name__ == "__main__":
    case.main()
