#!/usr/bin/env python3
"""What must hold in every rendering: no privilege, no token, bounded memory, each its own key, ports that agree, probes that differ."""
import re
import unittest

import case
import chart
from case import ChartCase, rendered

SERVICES = {"coordinator", "blob-store", "aggregator", "trainer"}
# Pods that users add (everything-values) are theirs.
OWN = SERVICES | {"test", "keygen", "secret"}


class Pods(ChartCase):
    def each_pod(self):
        for what, manifests in self.every_rendering():
            for manifest, pod in chart.pods(manifests):
                self.where = f"{what}, {chart.name_of(manifest)}: "
                yield manifest, pod, [each for each in chart.containers(pod) if each["name"] in OWN]
        self.where = ""

    def test_the_restricted_pod_security_standard(self):
        for _, pod, containers in self.each_pod():
            spec = pod["spec"]
            for forbidden in ("hostNetwork", "hostPID", "hostIPC", "hostUsers", "shareProcessNamespace"):
                self.assertNotIn(forbidden, spec)
            self.assertIs(spec["securityContext"]["runAsNonRoot"], True)
            self.assertEqual(spec["securityContext"]["runAsUser"], 10001)
            self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertTrue(containers)
            for container in containers:
                context = container["securityContext"]
                self.assertIs(context["allowPrivilegeEscalation"], False)
                self.assertIs(context["privileged"], False)
                self.assertIs(context["readOnlyRootFilesystem"], True)
                self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
                for port in container.get("ports", []):
                    self.assertNotIn("hostPort", port)
                    self.assertGreaterEqual(port["containerPort"], 1024)

    def test_no_token_but_the_key_makers(self):
        for manifest, pod, _ in self.each_pod():
            self.assertIs(pod["spec"]["automountServiceAccountToken"], False)
            self.assertIs(pod["spec"]["enableServiceLinks"], False)
            tokens = [each["name"] for each in pod["spec"]["volumes"] if "projected" in each]
            self.assertEqual(tokens, ["token"] if chart.component(manifest) == "keygen" else [])
            for container in chart.containers(pod):
                mounted = any(each["name"] == "token" for each in container.get("volumeMounts", []))
                self.assertEqual(mounted, container["name"] == "secret")
        for _, manifests in self.every_rendering():
            for each in manifests:
                if each["kind"] == "ServiceAccount":
                    self.assertIs(each["automountServiceAccountToken"], False)
                if each["kind"] in ("ClusterRole", "ClusterRoleBinding"):
                    self.fail(f"{chart.name_of(each)}: nothing here is the cluster's")

    def test_memory_is_bounded_and_asked_for_whole(self):
        for _, pod, containers in self.each_pod():
            for container in containers:
                limits, requests = container["resources"]["limits"], container["resources"]["requests"]
                self.assertEqual(limits["memory"], requests["memory"])
                self.assertIn("ephemeral-storage", limits)
            for volume in pod["spec"]["volumes"]:
                if "emptyDir" in volume:
                    self.assertIn("sizeLimit", volume["emptyDir"], volume["name"])

    def test_servers_are_small(self):
        for service, kind in (("coordinator", "StatefulSet"), ("blob-store", "StatefulSet"), ("aggregator", "Deployment")):
            resources = self.find(self.default(), kind, service)["spec"]["template"]["spec"]["containers"][0]["resources"]
            self.assertLessEqual(chart.size(resources["limits"]["memory"]), 128 * 2**20)

    def test_the_budget_fits_the_limit(self):
        for what, manifests in self.every_rendering():
            for manifest, pod in chart.pods(manifests):
                service = chart.component(manifest)
                if service not in SERVICES:
                    continue
                with self.subTest(values=what, service=service):
                    flags = chart.ini(self.find(manifests, "ConfigMap", service)["data"]["service.ini"])
                    limit = chart.size(pod["spec"]["containers"][0]["resources"]["limits"]["memory"])
                    self.assertLessEqual(chart.size(flags["memory-budget"]) + 32 * 2**20, limit)

    def test_images_are_pinned_and_of_no_registry_by_default(self):
        for _, _, containers in self.each_pod():
            for container in containers:
                self.assertRegex(container["image"], r"(:[\w.-]+|@sha256:[0-9a-f]{64})$")
                self.assertNotRegex(container["image"], r":latest$")
        for manifest, pod in chart.pods(self.default()):
            for container in chart.containers(pod):
                self.assertRegex(container["image"], r"^tributary(-[a-z-]+)?:[0-9.]+$")

    def test_three_probes_of_distinct_meaning(self):
        for manifest, pod, containers in self.each_pod():
            if chart.component(manifest) not in SERVICES:
                continue
            container = containers[0]
            startup, liveness, readiness = (container[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness"))
            self.assertEqual(startup["httpGet"], {"path": "/healthz", "port": "metrics"})
            self.assertEqual(liveness["httpGet"], {"path": "/healthz", "port": "metrics"})
            self.assertEqual(readiness["httpGet"], {"path": "/readyz", "port": "metrics"})
            given = {kind: probe["periodSeconds"] * probe["failureThreshold"]
                     for kind, probe in (("startup", startup), ("liveness", liveness), ("readiness", readiness))}
            self.assertGreaterEqual(given["startup"], 60, "a disk that is read through at the start needs its time")
            self.assertGreater(given["startup"], given["liveness"])
            self.assertGreater(given["liveness"], given["readiness"], "not ready must show before a restart")

    def test_secrets_are_files(self):
        for _, pod, _ in self.each_pod():
            for container in chart.containers(pod):
                self.assertNotIn("envFrom", container)
                for env in container.get("env", []):
                    self.assertNotIn("secretKeyRef", env.get("valueFrom", {}), env["name"])
            for volume in pod["spec"]["volumes"]:
                if "secret" in volume:
                    self.assertIn("items", volume["secret"], volume["name"])
                    self.assertLessEqual(volume["secret"]["defaultMode"] & 0o007 if volume["name"] != "s3-ca" else 0, 0)
                    self.assertEqual(volume["secret"]["defaultMode"] & 0o222, 0)

    def test_of_a_certificates_secret_the_ca_alone_is_seen(self):
        # cert-manager writes tls.key beside it.
        spec = self.find(rendered(self.helm, "-f", chart.CHART / "ci/s3-values.yaml"), "StatefulSet", "blob-store")["spec"]["template"]["spec"]
        self.assertIn({"name": "s3-ca", "secret": {"secretName": "s3-tls", "defaultMode": 0o444, "items": [{"key": "ca.crt", "path": "ca-certificates.crt"}]}}, spec["volumes"])
        # Where libcurl looks by itself.
        self.assertIn({"name": "s3-ca", "mountPath": "/etc/ssl/certs", "readOnly": True}, spec["containers"][0]["volumeMounts"])

    def test_each_pod_sees_its_own_key_alone(self):
        expected = {"coordinator": ("coordinator.key", "peers"), "blob-store": ("blob-store.key", "peers"), "aggregator": ("aggregator.key", "servers"),
                    "trainer": ("site-{site}.key", "servers"), "cli": ("operator.key", "servers")}
        for what, manifests in self.every_rendering():
            flags = [chart.ini(each["data"]["service.ini"]) for each in manifests if each["kind"] == "ConfigMap" and chart.component(each) == "trainer"]
            site = flags[0]["site"] if flags else "site-1"
            for manifest, pod in chart.pods(manifests):
                service = chart.component(manifest)
                volumes = [each["secret"] for each in pod["spec"]["volumes"] if each["name"] == "keys"]
                with self.subTest(values=what, service=service):
                    if what == "insecure-values.yaml" or service == "keygen":
                        self.assertEqual(volumes, [])
                        continue
                    own, peers = expected[service]
                    if what == "values-trainer-site.yaml":
                        own = "site-{site}.key"
                    self.assertEqual(volumes[0]["items"], [{"key": own.format(site=site), "path": "key"}, {"key": peers, "path": "peers"}])
                    mount = next(each for each in pod["spec"]["containers"][0]["volumeMounts"] if each["name"] == "keys")
                    # A subPath would never see a change of the list.
                    self.assertEqual(mount, {"name": "keys", "mountPath": "/etc/tributary/keys", "readOnly": True})

    def test_every_mount_has_its_volume_and_the_reverse(self):
        for manifest, pod, _ in self.each_pod():
            claims = [each["metadata"]["name"] for each in manifest["spec"].get("volumeClaimTemplates", [])]
            volumes = {each["name"] for each in pod["spec"]["volumes"]} | set(claims)
            mounted = {each["name"] for container in chart.containers(pod) for each in container.get("volumeMounts", [])}
            self.assertEqual(volumes, mounted)


class Disks(ChartCase):
    def test_claims_are_of_one_writer_and_outlive_the_release(self):
        for what, manifests in self.every_rendering():
            for each in manifests:
                if each["kind"] != "StatefulSet":
                    continue
                for claim in each["spec"].get("volumeClaimTemplates", []):
                    with self.subTest(values=what, object=chart.name_of(each)):
                        self.assertEqual(claim["spec"]["accessModes"], ["ReadWriteOnce"])
                        self.assertEqual(each["spec"]["persistentVolumeClaimRetentionPolicy"], {"whenDeleted": "Retain", "whenScaled": "Retain"})

    def test_the_quota_leaves_room_on_the_claim(self):
        for what, manifests in self.every_rendering():
            for each in manifests:
                if each["kind"] == "StatefulSet" and chart.component(each) == "blob-store":
                    flags = chart.ini(self.find(manifests, "ConfigMap", "blob-store")["data"]["service.ini"])
                    disk = chart.size(each["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"])
                    self.assertLess(chart.size(flags["quota"]), disk, what)

    def test_an_existing_claim_is_taken(self):
        spec = self.find(self.default("--set", "coordinator.persistence.existingClaim=old"), "StatefulSet", "coordinator")["spec"]
        self.assertNotIn("volumeClaimTemplates", spec)
        self.assertIn({"name": "journal", "persistentVolumeClaim": {"claimName": "old"}}, spec["template"]["spec"]["volumes"])

    def test_one_coordinator(self):
        self.assertEqual(self.find(self.default(), "StatefulSet", "coordinator")["spec"]["replicas"], 1)


class Network(ChartCase):
    PORTS = ("--set", "coordinator.port=17700,blobStore.port=17710,coordinator.metricsPort=19470,aggregator.metricsPort=19471,"
             "blobStore.metricsPort=19472,trainer.metricsPort=19473")

    def ports(self, rules):
        return {(each["protocol"], each["port"]) for rule in rules for each in rule["ports"]}

    def check_ports(self, manifests):
        policies = [each for each in manifests if each["kind"] == "NetworkPolicy"]
        listening = {}
        for manifest, pod in chart.pods(manifests):
            service = chart.component(manifest)
            if service not in SERVICES:
                continue
            selecting = [each for each in policies if chart.selects(each["spec"]["podSelector"]["matchLabels"], pod["metadata"]["labels"])]
            self.assertEqual(len(selecting), 1, service)
            self.assertEqual(selecting[0]["spec"]["policyTypes"], ["Ingress", "Egress"])
            named = {each["name"]: each["containerPort"] for each in pod["spec"]["containers"][0]["ports"]}
            self.assertEqual(self.ports(selecting[0]["spec"]["ingress"]), {("TCP", port) for port in named.values()}, service)
            flags = chart.ini(self.find(manifests, "ConfigMap", service)["data"]["service.ini"])
            env = {each["name"]: each.get("value") for each in pod["spec"]["containers"][0]["env"]}
            self.assertEqual(env["TRIBUTARY_METRICS_ADDRESS"], f"0.0.0.0:{named['metrics']}", "the images' own would win over the file")
            self.assertNotIn("metrics-address", flags)
            main = {port for name, port in named.items() if name != "metrics"}
            self.assertEqual({int(flags["listen"].rsplit(":", 1)[1])} if "listen" in flags else set(), main)
            listening[service] = (pod["metadata"]["labels"], main)
        # Egress to a service of this release: that service's port, no other.
        for policy in policies:
            for rule in policy["spec"]["egress"]:
                for peer in rule.get("to", []):
                    if "podSelector" not in peer:
                        continue
                    targets = [main for labels, main in listening.values() if chart.selects(peer["podSelector"]["matchLabels"], labels)]
                    self.assertEqual(len(targets), 1, policy["metadata"]["name"])
                    self.assertEqual({each["port"] for each in rule["ports"]}, targets[0])
        # Services lead to container ports that exist, by name, and under the same number.
        for service in (each for each in manifests if each["kind"] == "Service"):
            pods = [pod for _, pod in chart.pods(manifests) if chart.selects(
                {key: value for key, value in service["spec"]["selector"].items() if "pod-name" not in key}, pod["metadata"]["labels"])]
            self.assertEqual(len(pods), 1, chart.name_of(service))
            named = {each["name"]: each["containerPort"] for each in pods[0]["spec"]["containers"][0]["ports"]}
            for port in service["spec"]["ports"]:
                self.assertEqual(named[port["targetPort"]], port["port"])

    def test_ports_are_the_same_everywhere(self):
        for what, manifests in self.every_rendering():
            if what not in ("insecure-values.yaml",):
                with self.subTest(values=what):
                    self.check_ports(manifests)
        with self.subTest(values="other ports"):
            self.check_ports(self.default(*self.PORTS))

    def test_the_edges_and_no_more(self):
        policies = {chart.component(each): each["spec"] for each in self.default() if each["kind"] == "NetworkPolicy"}
        self.assertEqual(set(policies), SERVICES | {"cli"})

        def components(rules, side):
            return {peer["podSelector"]["matchLabels"].get("app.kubernetes.io/component", "label") for rule in rules for peer in rule.get(side, [])
                    if "podSelector" in peer}
        for server in ("coordinator", "blob-store"):
            self.assertEqual(components(policies[server]["ingress"], "from"), {"aggregator", "trainer", "cli", "label"})
            self.assertEqual(policies[server]["egress"], [], "servers dial nobody")
        for worker in ("aggregator", "trainer", "cli"):
            self.assertEqual(components(policies[worker]["egress"], "to"), {"coordinator", "blob-store"})
            self.assertEqual(components(policies[worker]["ingress"], "from"), set())
        self.assertEqual(policies["cli"]["ingress"], [])
        dns = policies["trainer"]["egress"][0]
        self.assertEqual(self.ports([dns]), {("UDP", 53), ("TCP", 53)})

    def test_a_site_dials_its_federation_alone(self):
        site = rendered(self.helm, "-f", chart.CHART / "values-trainer-site.yaml", "--set", "federation.blobStores={tcp://a:7711,tcp://a:7712}")
        egress = self.find(site, "NetworkPolicy", "trainer")["spec"]["egress"]
        self.assertEqual(self.ports(egress[1:]), {("TCP", 7700), ("TCP", 7711), ("TCP", 7712)})
        self.assertEqual(egress[1]["to"][0]["ipBlock"]["cidr"], "0.0.0.0/0")

    def test_s3_is_the_one_way_out_of_a_server(self):
        policy = self.find(rendered(self.helm, "-f", chart.CHART / "ci/s3-values.yaml"), "NetworkPolicy", "blob-store")
        self.assertEqual(self.ports(policy["spec"]["egress"]), {("UDP", 53), ("TCP", 53), ("TCP", 8443)})

    def test_shards_have_a_service_each_for_those_outside(self):
        manifests = rendered(self.helm, "-f", chart.CHART / "values-bare-metal.yaml")
        outside = [each["spec"] for each in manifests if each["kind"] == "Service" and each["spec"].get("type") == "NodePort" and chart.component(each) == "blob-store"]
        self.assertEqual([each["selector"]["statefulset.kubernetes.io/pod-name"] for each in outside], ["fl-tributary-blob-store-0", "fl-tributary-blob-store-1"])
        self.assertEqual([each["ports"][0]["nodePort"] for each in outside], [30710, 30711])


class Availability(ChartCase):
    def test_a_disruption_budget_for_each_workload(self):
        for what, manifests in self.every_rendering():
            workloads = [pod["metadata"]["labels"] for each, pod in chart.pods(manifests) if chart.component(each) in SERVICES]
            budgets = [each["spec"] for each in manifests if each["kind"] == "PodDisruptionBudget"]
            self.assertEqual(len(budgets), len(workloads), what)
            for budget in budgets:
                self.assertEqual(sum(chart.selects(budget["selector"]["matchLabels"], labels) for labels in workloads), 1)
                self.assertNotIn(budget["maxUnavailable"], (0, "0%"), "a node could never be drained")

    def test_headless_services_of_stateful_sets_exist(self):
        for what, manifests in self.every_rendering():
            headless = {each["metadata"]["name"] for each in manifests if each["kind"] == "Service" and each["spec"].get("clusterIP") == "None"}
            for each in manifests:
                if each["kind"] == "StatefulSet":
                    self.assertIn(each["spec"]["serviceName"], headless, what)


class Scaling(ChartCase):
    KEDA = ("-f", chart.CHART / "ci/monitored-values.yaml")
    HPA = ("-f", chart.CHART / "ci/hpa-values.yaml")

    def test_whoever_is_scaled_has_no_replicas(self):
        for what, manifests in self.every_rendering():
            by_name = {(each["kind"], each["metadata"]["name"]): each for each in manifests}
            for each in manifests:
                if each["kind"] in ("ScaledObject", "HorizontalPodAutoscaler"):
                    target = each["spec"]["scaleTargetRef"]
                    self.assertNotIn("replicas", by_name[target["kind"], target["name"]]["spec"], what)
        self.assertIn("replicas", self.find(self.default(), "Deployment", "aggregator")["spec"])

    def test_never_on_memory(self):
        for what, manifests in self.every_rendering():
            for each in manifests:
                if each["kind"] in ("ScaledObject", "HorizontalPodAutoscaler"):
                    text = str(each["spec"].get("metrics", "")) + str(each["spec"].get("triggers", ""))
                    self.assertNotIn("memory", text, what)

    def test_trainers_follow_seats(self):
        spec = self.find(rendered(self.helm, *self.KEDA), "ScaledObject", "trainer")["spec"]
        trigger = spec["triggers"][0]
        self.assertEqual(trigger["metadata"]["query"], 'max(tributary_seats_wanted{namespace="fed",service="fl-tributary-coordinator-pods"})')
        self.assertEqual(trigger["metadata"]["threshold"], "1")
        self.assertEqual((spec["minReplicaCount"], spec["maxReplicaCount"]), (0, 32))

    def test_the_queries_ask_for_series_that_the_monitors_make(self):
        manifests = rendered(self.helm, *self.KEDA)
        for service in ("trainer", "aggregator"):
            query = self.find(manifests, "ScaledObject", service)["spec"]["triggers"][0]["metadata"]["query"]
            name = re.search(r'service="([^"]+)"', query).group(1)
            selected = next(each for each in manifests if each["kind"] == "Service" and each["metadata"]["name"] == name)
            monitor = self.find(manifests, "ServiceMonitor", "coordinator")
            self.assertTrue(chart.selects(monitor["spec"]["selector"]["matchLabels"], selected["metadata"]["labels"]))

    def test_aggregators_follow_parts(self):
        keda = self.find(rendered(self.helm, *self.KEDA), "ScaledObject", "aggregator")["spec"]
        self.assertIn("sum(tributary_aggregation_parts{", keda["triggers"][0]["metadata"]["query"])
        hpa = self.find(rendered(self.helm, *self.HPA), "HorizontalPodAutoscaler", "aggregator")["spec"]
        self.assertEqual(hpa["metrics"][0]["external"]["metric"]["name"], "tributary_aggregation_parts")
        self.assertEqual(hpa["metrics"][1]["resource"]["name"], "cpu")
        self.assertEqual(hpa["behavior"]["scaleDown"]["stabilizationWindowSeconds"], 1800)

    def test_a_trainer_has_time_to_finish(self):
        spec = self.find(self.default(), "StatefulSet", "trainer")["spec"]["template"]["spec"]
        command = spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
        self.assertEqual(command[3:], ["drain", "9473", "1800"])
        self.assertEqual(spec["terminationGracePeriodSeconds"], 1860)


class Monitoring(ChartCase):
    def test_every_service_is_scraped_once(self):
        manifests = rendered(self.helm, *Scaling.KEDA)
        for service in ("coordinator", "blob-store"):
            monitor = self.find(manifests, "ServiceMonitor", service)["spec"]
            selected = [each for each in manifests if each["kind"] == "Service" and chart.selects(monitor["selector"]["matchLabels"], each["metadata"]["labels"])]
            self.assertEqual(len(selected), 1)
            self.assertIn(monitor["endpoints"][0]["port"], [each["name"] for each in selected[0]["spec"]["ports"]])
        for service in ("aggregator", "trainer"):
            monitor = self.find(manifests, "PodMonitor", service)["spec"]
            selected = [pod for _, pod in chart.pods(manifests) if chart.selects(monitor["selector"]["matchLabels"], pod["metadata"]["labels"])]
            self.assertEqual(len(selected), 1)
            self.assertIn(monitor["podMetricsEndpoints"][0]["port"], [each["name"] for each in selected[0]["spec"]["containers"][0]["ports"]])
        self.assertTrue(all(each["metadata"]["labels"]["release"] == "prom" for each in manifests if each["kind"] in ("ServiceMonitor", "PodMonitor", "PrometheusRule")))

    def test_rules_and_dashboards_arrive_as_they_are(self):
        manifests = rendered(self.helm, *Scaling.KEDA)
        rules = sorted((chart.CHART / "files/rules").glob("*.yml"))
        found = [each["spec"] for each in manifests if each["kind"] == "PrometheusRule"]
        self.assertEqual(found, [chart.manifests(path.read_text())[0] for path in rules])
        boards = sorted((chart.CHART / "files/dashboards").glob("*.json"))
        maps = [each for each in manifests if each["kind"] == "ConfigMap" and chart.component(each) == "dashboards"]
        self.assertEqual({name: text.rstrip("\n") for each in maps for name, text in each["data"].items()},
                         {path.name: path.read_text().rstrip("\n") for path in boards})
        for each in maps:
            self.assertEqual(each["metadata"]["labels"]["grafana_dashboard"], "1")
            self.assertEqual(each["metadata"]["annotations"]["grafana_folder"], "Tributary")
            self.assertLess(len(str(each["data"])), 2**20, "a ConfigMap holds a MiB")


    def test_trainers_of_a_site_are_relayed_or_scraped_there(self):
        def flags(*words):
            return chart.ini(self.find(rendered(self.helm, *words), "ConfigMap", "trainer")["data"]["service.ini"])
        site = ("-f", chart.CHART / "values-trainer-site.yaml")
        self.assertEqual(flags(*site)["relay-metrics"], "true")
        self.assertEqual(flags(*site, "--set", "prometheus.podMonitor.enabled=true")["relay-metrics"], "false")
        self.assertEqual(flags(*site, "--set", "prometheus.podMonitor.enabled=true,trainer.config.relay-metrics=true")["relay-metrics"], "true")
        # In the federation PodMonitors and whoever else reaches the pods scrape them.
        self.assertNotIn("relay-metrics", chart.ini(self.find(self.default(), "ConfigMap", "trainer")["data"]["service.ini"]))
        # The hook asks where the trainer listens, in this mode too.
        command = self.find(rendered(self.helm, *site), "StatefulSet", "trainer")["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
        self.assertEqual(command[3:], ["drain", "9473", "1800"])


class KeyMaker(ChartCase):
    def test_it_may_create_secrets_and_read_one(self):
        manifests = rendered(self.helm, "-f", chart.CHART / "ci/generated-keys-values.yaml")
        rules = self.find(manifests, "Role", "keygen")["rules"]
        self.assertEqual(rules[0], {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]})
        self.assertEqual(rules[1]["resourceNames"], ["fl-tributary-keys"])
        for kind in ("ServiceAccount", "Role", "RoleBinding", "Job"):
            self.assertEqual(self.find(manifests, kind, "keygen")["metadata"]["annotations"]["helm.sh/hook"], "pre-install,pre-upgrade")
        pod = self.find(manifests, "Job", "keygen")["spec"]["template"]["spec"]
        self.assertEqual(pod["initContainers"][0]["args"], ["keygen", "/generated/keys", "--site", "site-1"])
        self.assertEqual(pod["containers"][0]["command"][:5], ["kubectl", "create", "secret", "generic", "fl-tributary-keys"])
        # What it puts in is what the pods take out.
        made = {re.match(r"--from-file=([^=]+)=", word).group(1) for word in pod["containers"][0]["command"] if word.startswith("--from-file")}
        taken = {item["key"] for _, each in chart.pods(manifests) for volume in each["spec"]["volumes"] if volume["name"] == "keys" for item in volume["secret"]["items"]}
        self.assertEqual(taken, made)

    def test_it_is_not_there_unless_asked_for(self):
        for what, manifests in self.every_rendering():
            if what != "generated-keys-values.yaml":
                self.assertFalse([each for each in manifests if each["kind"] in ("Role", "RoleBinding", "Job")], what)


if __name__ == "__main__":
    case.main()
