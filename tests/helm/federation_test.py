#!/usr/bin/env python3
"""The configuration that the chart renders runs a job: each service's own binary with its rendered file and environment, then the script of `helm test`.

Words: the folder of the binaries. No cluster: names of Services become 127.0.0.1, paths a temporary folder, ports are free ones by the chart's values.
"""
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

import case
import chart
from case import ChartCase

BINARIES = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else pathlib.Path("build/bin")
# Flags that keys need: a build that does not know them yet runs without, and the test says so.
SECURITY = ("key", "peers", "insecure")
SERVICES = {"coordinator": ("StatefulSet", 1), "blob-store": ("StatefulSet", 2), "aggregator": ("Deployment", 1), "trainer": ("StatefulSet", 1)}


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def known_flags(service):
    text = subprocess.run([BINARIES / f"tributary-{service}", "--help"], text=True, stdout=subprocess.PIPE, check=True).stdout
    return {line.split()[0].removeprefix("--") for line in text.splitlines() if line.startswith("  --")}


class Flags(ChartCase):
    def test_every_rendered_flag_is_one_of_the_service(self):
        unknown = set()
        for what, manifests in self.every_rendering():
            for each in manifests:
                if "service.ini" not in each.get("data", {}):
                    continue
                service = chart.component(each)
                flags = set(chart.ini(each["data"]["service.ini"]))
                strange = flags - known_flags(service)
                unknown |= strange & set(SECURITY)
                with self.subTest(values=what, service=service):
                    self.assertEqual(strange - set(SECURITY), set())
        if unknown:
            print(f"NOTE: this build does not know --{', --'.join(sorted(unknown))}: not checked with keys")

    def test_every_environment_variable_is_a_flag(self):
        for what, manifests in self.every_rendering():
            for manifest, pod in chart.pods(manifests):
                service = chart.component(manifest)
                if service not in SERVICES:
                    continue
                for env in pod["spec"]["containers"][0].get("env", []):
                    if env["name"].startswith("TRIBUTARY_"):
                        self.assertIn(env["name"].removeprefix("TRIBUTARY_").lower().replace("_", "-"), known_flags(service), what)


def key_files(helm, root):
    """Entry of the Secret -> file, made by `tributary keygen` and named by the words with which the chart itself makes the Secret."""
    job = next(each for each in case.rendered(helm, "-f", chart.CHART / "ci/generated-keys-values.yaml") if each["kind"] == "Job")["spec"]["template"]["spec"]
    words = [word.replace("/generated", str(root)) for word in job["initContainers"][0]["args"]]
    subprocess.run([BINARIES / "tributary", *words], check=True, stdout=subprocess.DEVNULL)
    pairs = [word.removeprefix("--from-file=").split("=", 1) for word in job["containers"][0]["command"] if word.startswith("--from-file=")]
    return {entry: root / path for entry, path in pairs}


class Federation(ChartCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        self.processes = []
        self.keys = key_files(self.helm, self.root) if "key" in known_flags("coordinator") else None
        if self.keys is None:
            print("NOTE: this build does not know --key: the federation runs without keys")

    def tearDown(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=20)
        self.folder.cleanup()

    def mount_keys(self, pod, where):
        """What the pod's volume of keys has, and nothing else: its items."""
        for volume in pod["spec"]["volumes"]:
            if volume["name"] == "keys" and self.keys is not None:
                (where / "keys").mkdir()
                for item in volume["secret"]["items"]:
                    (where / "keys" / item["path"]).write_bytes(self.keys[item["key"]].read_bytes())
                    (where / "keys" / item["path"]).chmod(0o400)

    def start(self, service, pod, config, number, env):
        path = self.root / f"{service}-{number}"
        path.mkdir()
        self.mount_keys(pod, path)
        lines = [line for line in config.splitlines() if self.keys is not None or line.split("=")[0].strip() not in SECURITY]
        text = "\n".join(lines).replace("/var/lib/tributary", str(path / "state")).replace("/etc/tributary/keys", str(path / "keys"))
        (path / "service.ini").write_text(text + "\n")
        log = open(path / "log", "w")
        self.addCleanup(log.close)
        self.processes.append(subprocess.Popen([BINARIES / f"tributary-{service}", "--config", path / "service.ini"], env=env, stdout=log, stderr=log))

    def local(self, text, ports):
        """Endpoints in the cluster -> here. Shards share a port there and cannot here."""
        for shard in range(2):
            text = text.replace(f"tcp://fl-tributary-blob-store-{shard}.fl-tributary-blob-store.fed.svc:{ports['blobStore.port']}",
                                f"tcp://127.0.0.1:{ports['blobStore.port'] if shard == 0 else ports['shard 1']}")
        return text.replace("fl-tributary-coordinator.fed.svc", "127.0.0.1")

    def run_test(self, name, manifests, ports):
        """The pod of `helm test` of a rendering, here."""
        pod = self.find(manifests, "Pod", "cli")
        test = pod["spec"]["containers"][0]
        self.assertEqual(test["command"], ["/bin/sh", "/etc/tributary/test/test.sh"])
        where = self.root / name
        where.mkdir()
        self.mount_keys(pod, where)
        data = next(each for each in manifests if each["kind"] == "ConfigMap" and chart.component(each) == "cli")["data"]
        (where / "job.yaml").write_text(data["job.yaml"])
        (where / "test.sh").write_text(data["test.sh"].replace("/etc/tributary/test", str(where)))
        env = {each["name"]: self.local(each["value"], ports).replace("/etc/tributary/keys", str(where / "keys")) for each in test["env"]}
        return subprocess.run(["/bin/sh", where / "test.sh", *test["args"]], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=200,
                              check=False, env={**env, "PATH": f"{BINARIES}:/usr/bin:/bin"})

    def test_a_job_goes_through_what_is_rendered(self):
        names = ["coordinator.port", "coordinator.metricsPort", "blobStore.port", "blobStore.metricsPort", "aggregator.metricsPort", "trainer.metricsPort"]
        ports = dict(zip(names + ["shard 1", "shard 1 metrics"], free_ports(8)))
        settings = ",".join(f"{name}={ports[name]}" for name in names)
        manifests = self.default("--set", "blobStore.shards=2,trainer.replicas=1,logFormat=text,test.timeoutSeconds=90", "--set", settings)
        for service, (kind, count) in SERVICES.items():
            pod = self.find(manifests, kind, service)["spec"]["template"]
            for number in range(count):
                config = self.local(self.find(manifests, "ConfigMap", service)["data"]["service.ini"], ports)
                env = {"PATH": "/usr/bin:/bin"}
                for each in pod["spec"]["containers"][0]["env"]:
                    path = each.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
                    env[each["name"]] = each.get("value") or (str(number) if "pod-index" in path else f"fl-tributary-{service}-{number}")
                if number:
                    config = config.replace(str(ports["blobStore.port"]), str(ports["shard 1"]))
                    env["TRIBUTARY_METRICS_ADDRESS"] = f"0.0.0.0:{ports['shard 1 metrics']}"
                self.start(service, pod, config, number, env)

        # Readiness as the probes ask for it.
        for port in [ports[name] for name in names if "metrics" in name] + [ports["shard 1 metrics"]]:
            self.wait_ready(port)

        run = self.run_test("test", manifests, ports)
        logs = "".join(path.read_text()[-1500:] for path in self.root.glob("*/log"))
        self.assertEqual(run.returncode, 0, run.stdout + logs)
        self.assertIn("state:  completed", run.stdout)
        self.assertIn("round 2:", run.stdout)

        # A site's own test: its key may ask who is there.
        stores = f"federation.blobStores={{tcp://127.0.0.1:{ports['blobStore.port']},tcp://127.0.0.1:{ports['shard 1']}}}"
        site = self.default("--set", f"mode=trainer-site,trainer.site=site-1,federation.coordinator=tcp://127.0.0.1:{ports['coordinator.port']}", "--set", stores)
        run = self.run_test("site-test", site, ports)
        self.assertEqual(run.returncode, 0, run.stdout + logs)
        self.assertIn("answered in", run.stdout)

        # What the preStop hook reads is told, and nothing runs any more.
        with urllib.request.urlopen(f"http://127.0.0.1:{ports['trainer.metricsPort']}/metrics", timeout=5) as answer:
            self.assertIn('tributary_tasks_running{kind="train"} 0', answer.read().decode())

        # Eight MiB of model did not grow any process beyond what a server's container is given.
        for process in self.processes:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
            self.assertLess(peak, 128 * 2**20)

    def test_the_test_says_who_does_not_answer(self):
        data = next(each for each in self.default() if each["kind"] == "ConfigMap" and chart.component(each) == "cli")["data"]
        (self.root / "test.sh").write_text(data["test.sh"])
        port = free_ports(1)[0]
        env = {"PATH": f"{BINARIES}:/usr/bin:/bin", "TRIBUTARY_COORDINATOR": f"tcp://127.0.0.1:{port}", "TRIBUTARY_BLOB_STORE": "tcp://127.0.0.1:1"}
        run = subprocess.run(["/bin/sh", self.root / "test.sh", "job", "1"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False, env=env)
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"no answer from tcp://127.0.0.1:{port}", run.stdout)

    def wait_ready(self, port):
        end = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except OSError as error:
                if time.monotonic() > end:
                    logs = "".join(path.read_text()[-800:] for path in self.root.glob("*/log"))
                    self.fail(f"port {port} is not ready: {error}\n{logs}")
            for process in self.processes:
                self.assertIsNone(process.poll(), "".join(path.read_text()[-800:] for path in self.root.glob("*/log")))
            time.sleep(0.1)


if __name__ == "__main__":
    if not (BINARIES / "tributary-coordinator").exists():
        print(f"SKIPPED: {BINARIES} has no tributary-coordinator")
        sys.exit(77)
    os.environ.setdefault("TRIBUTARY_HELM_TOOLS", case.TOOLS)
    case.main()
