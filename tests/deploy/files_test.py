#!/usr/bin/env python3
"""What deploy/compose.yaml, deploy/env.example and docker/Dockerfile promise, checked without an engine; and that these checks can fail.

    files_test.py SOURCE BINARIES       exit 77: no python3-yaml here
"""

import copy
import pathlib
import re
import subprocess
import sys
import unittest

try:
    import yaml
except ImportError:
    print("SKIPPED: python3-yaml is not here")
    sys.exit(77)

SOURCE = pathlib.Path(sys.argv.pop(1))
BINARIES = pathlib.Path(sys.argv.pop(1))
COMPOSE = SOURCE / "deploy" / "compose.yaml"
COMPOSE_SITE = SOURCE / "deploy" / "compose-site.yaml"
DOCKERFILE = (SOURCE / "docker" / "Dockerfile").read_text()

SERVERS = ("coordinator", "blob-store", "aggregator")
LONG_RUNNING = SERVERS + ("trainer", "trainer-gpu")
PROGRAMS = {"coordinator": "tributary-coordinator", "blob-store": "tributary-blob-store", "aggregator": "tributary-aggregator",
            "trainer": "tributary-trainer", "trainer-gpu": "tributary-trainer"}
# Which volume each one may read a secret key from.
OWN_KEY = {"coordinator": {"key-coordinator"}, "blob-store": {"key-blob-store"}, "aggregator": {"key-aggregator"}, "trainer": {"key-sites"},
           "trainer-gpu": {"key-sites"}, "cli": {"key-operator"}}
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)(?::-([^}]*))?\}")


def volumes(service):
    """(source, target, read only) of each; anonymous ones have no source."""
    for volume in service.get("volumes", []):
        # A default may have a colon: look at what it becomes.
        parts = VARIABLE.sub(lambda match: match.group(2) or "", volume).split(":")
        yield (parts[0], parts[1], "ro" in parts[2:]) if len(parts) > 1 else ("", parts[0], False)


def violations(compose):
    """A line for each promise that the file breaks."""
    found = []
    services = compose["services"]
    if "version" in compose:
        found.append("it has a version")
    for name, service in services.items():
        if "container_name" in service:
            found.append(f"{name}: has a container_name, so there can be one only")
        if service.get("read_only") is not True:
            found.append(f"{name}: its root file system can be written")
        if service.get("cap_drop") != ["ALL"]:
            found.append(f"{name}: keeps capabilities")
        if "no-new-privileges:true" not in service.get("security_opt", []):
            found.append(f"{name}: may gain privileges")
        if service.get("privileged"):
            found.append(f"{name}: is privileged")
        if str(service.get("user", "0")).split(":")[0] == "0" and name != "s3-credentials":
            found.append(f"{name}: runs as root")
        if not any(str(entry).startswith("/tmp:") and "size=" in entry for entry in service.get("tmpfs", [])):
            found.append(f"{name}: has no /tmp of a bounded size")
        image = VARIABLE.sub(lambda match: match.group(2) or "", service["image"])
        if not re.search(r":[^:/]+$", image) or image.endswith(":latest"):
            found.append(f"{name}: its image has no fixed tag")
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|ACCESS_KEY", key) and not key.endswith(("_FILE", "__FILE")) and value:
                found.append(f"{name}: a secret in the environment: {key}")
        for source, target, read_only in volumes(service):
            if source.startswith("key") and name != "keygen":
                if not read_only:
                    found.append(f"{name}: may write {source}")
                if source != "keys" and source not in OWN_KEY.get(name, set()):
                    found.append(f"{name}: sees the key of another: {source}")
            if source and not source.startswith((".", "/")) and source not in compose["volumes"]:
                found.append(f"{name}: the volume {source} is not declared")
            if source.startswith(".") and not read_only:
                found.append(f"{name}: may write {source} of the machine")
        for network in service.get("networks", []):
            if network not in compose["networks"]:
                found.append(f"{name}: the network {network} is not declared")
        for needed, how in service.get("depends_on", {}).items():
            wanted = {"keygen": "service_completed_successfully"}.get(needed, "service_healthy")
            if how.get("condition") != wanted:
                found.append(f"{name}: depends on {needed} without {wanted}")
    for name in LONG_RUNNING:
        service = services[name]
        if service.get("healthcheck", {}).get("test") != ["CMD", PROGRAMS[name], "--health"]:
            found.append(f"{name}: health is not asked of its own binary")
        if not service.get("depends_on"):
            found.append(f"{name}: depends on nobody")
    for name in services:
        limit = services[name].get("deploy", {}).get("resources", {}).get("limits", {}).get("memory")
        if name in SERVERS and limit != "128M":
            found.append(f"{name}: its limit is {limit} and not 128M")
        if services[name].get("restart") == "unless-stopped" and limit is None:
            found.append(f"{name}: has no memory limit")
        if services[name].get("restart") == "unless-stopped" and not services[name].get("healthcheck", {}).get("test"):
            found.append(f"{name}: nobody asks how it is")
        labels = services[name].get("build", {}).get("labels", {})
        for label in ("version", "revision"):
            if "build" in services[name] and not labels.get(f"org.opencontainers.image.{label}"):
                found.append(f"{name}: a built image has no label of its {label}")
    for name in ("trainer", "trainer-gpu", "aggregator"):
        if services[name].get("ports"):
            found.append(f"{name}: has a host port, so there can be one only")
    for name in ("coordinator", "blob-store", "prometheus", "grafana"):
        for port in services[name]["ports"]:
            if not port.startswith(("127.0.0.1:", "${TRIBUTARY_BIND:-127.0.0.1}:")):
                found.append(f"{name}: {port} is open to other machines without being asked")
    for name, profile in (("prometheus", "monitoring"), ("grafana", "monitoring"), ("trainer-gpu", "gpu"), ("s3-credentials", "s3"), ("cli", "cli")):
        if services[name].get("profiles") != [profile]:
            found.append(f"{name}: is not of the profile {profile}")
    return found


def known_variables(program):
    """The TRIBUTARY_ names that a program's --help lists."""
    text = subprocess.run([BINARIES / program, "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"environment\s+(TRIBUTARY_[A-Z0-9_]+)", text))


def stages():
    """Name to lines of each stage of the Dockerfile."""
    found, name = {}, None
    for line in DOCKERFILE.replace("\\\n", " ").splitlines():
        start = re.match(r"FROM \S+ AS (\S+)", line)
        if start:
            name = start.group(1)
            found[name] = []
        elif name:
            found[name].append(line)
    return found


class ComposeFile(unittest.TestCase):
    def setUp(self):
        self.compose = yaml.safe_load(COMPOSE.read_text())

    def test_keeps_its_promises(self):
        self.assertEqual(violations(self.compose), [])

    def test_each_broken_promise_is_seen(self):
        def broken(change):
            compose = copy.deepcopy(self.compose)
            change(compose, compose["services"])
            return violations(compose)
        changes = {
            "container_name": lambda c, s: s["trainer"].update(container_name="t"),
            "host port": lambda c, s: s["trainer"].update(ports=["9473:9473"]),
            "root file system": lambda c, s: s["aggregator"].pop("read_only"),
            "capabilities": lambda c, s: s["coordinator"].update(cap_drop=[]),
            "privileges": lambda c, s: s["trainer"].update(security_opt=[]),
            "as root": lambda c, s: s["cli"].update(user="0:0"),
            "key of another": lambda c, s: s["trainer"]["volumes"].append("key-coordinator:/other:ro"),
            "may write key": lambda c, s: s["coordinator"].update(volumes=["key-coordinator:/key"]),
            "not 128M": lambda c, s: s["blob-store"]["deploy"]["resources"]["limits"].update(memory="1G"),
            "no memory limit": lambda c, s: s["trainer"].pop("deploy"),
            "own binary": lambda c, s: s["coordinator"]["healthcheck"].update(test=["CMD", "curl", "localhost"]),
            "service_healthy": lambda c, s: s["trainer"]["depends_on"].update(coordinator={"condition": "service_started"}),
            "nobody asks": lambda c, s: s["prometheus"].pop("healthcheck"),
            "prometheus without service_healthy": lambda c, s: s["grafana"]["depends_on"].update(prometheus={"condition": "service_started"}),
            "label of its revision": lambda c, s: s["coordinator"]["build"]["labels"].pop("org.opencontainers.image.revision"),
            "fixed tag": lambda c, s: s["grafana"].update(image="grafana/grafana"),
            "secret in the environment": lambda c, s: s["grafana"]["environment"].update(GF_SECURITY_ADMIN_PASSWORD="x"),
            "open to other machines": lambda c, s: s["prometheus"].update(ports=["9090:9090"]),
            "not declared": lambda c, s: c["volumes"].pop("blobs"),
            "has a version": lambda c, s: c.update(version="3.7"),
        }
        for words, change in changes.items():
            with self.subTest(words):
                self.assertTrue(any(words in line for line in broken(change)), broken(change))

    def test_every_variable_stands_in_the_example_with_the_same_default(self):
        used = {name: fallback for name, fallback in VARIABLE.findall(COMPOSE.read_text())}
        example = dict(line.split("=", 1) for line in (SOURCE / "deploy" / "env.example").read_text().splitlines() if re.match(r"[A-Z]", line))
        self.assertEqual(example.pop("COMPOSE_PROJECT_NAME"), "tributary")
        # Where trainers dial is for sites of their own: docs/deploy.md.
        for name in ("TRIBUTARY_COORDINATOR", "TRIBUTARY_BLOB_STORE"):
            used.pop(name)
        self.assertEqual(example, used)

    def test_what_containers_are_told_is_what_their_programs_understand(self):
        for name, program in list(PROGRAMS.items()) + [("cli", "tributary submit")]:
            words = program.split()
            if len(words) > 1:
                text = subprocess.run([BINARIES / words[0], words[1], "--help"], capture_output=True, text=True, check=True).stdout
                known = set(re.findall(r"environment\s+(TRIBUTARY_[A-Z0-9_]+)", text))
            else:
                known = known_variables(program)
            told = {key for key in self.compose["services"][name]["environment"] if key.startswith("TRIBUTARY_")}
            self.assertEqual(told - known, set(), name)

    def test_a_site_alone_is_asked_how_it_is_and_scraped_by_nobody(self):
        trainer = yaml.safe_load(COMPOSE_SITE.read_text())["services"]["trainer"]
        self.assertEqual(trainer["healthcheck"]["test"], ["CMD", "tributary-trainer", "--health"])
        self.assertEqual(trainer["environment"]["TRIBUTARY_RELAY_METRICS"], "true")
        self.assertTrue(trainer["environment"]["TRIBUTARY_METRICS_ADDRESS"].startswith("127.0.0.1:"))
        self.assertNotIn("ports", trainer)
        told = {key for key in trainer["environment"] if key.startswith("TRIBUTARY_")}
        self.assertEqual(told - known_variables("tributary-trainer"), set())

    def test_the_tag_is_the_project_s_version(self):
        version = re.search(r"project\(tributary VERSION ([0-9.]+)", (SOURCE / "CMakeLists.txt").read_text()).group(1)
        self.assertIn(f"TRIBUTARY_TAG={version}\n", (SOURCE / "deploy" / "env.example").read_text())


class Dockerfile(unittest.TestCase):
    def test_names_no_registry(self):
        for reference in re.findall(r"^(?:FROM|ARG [A-Z_]+=) ?(\S+)", DOCKERFILE, re.M):
            host = reference.split("/")[0] if "/" in reference else ""
            self.assertFalse("." in host or ":" in host, reference)

    def test_every_service_is_nobody_s_root_and_asks_itself_for_health(self):
        for name in ("coordinator", "blob-store", "aggregator", "trainer"):
            lines = stages()[name]
            users = [line.split()[1] for line in lines if line.startswith("USER ")]
            self.assertEqual(users[-1], "10001:10001", name)
            self.assertTrue(any(line.startswith("HEALTHCHECK") and f'["tributary-{name}", "--health"]' in line for line in lines), name)
            self.assertTrue(any("org.opencontainers.image.title" in line for line in lines), name)

    def test_variables_are_those_of_the_programs(self):
        for name in ("coordinator", "blob-store", "aggregator", "trainer"):
            told = set(re.findall(r"(TRIBUTARY_[A-Z_]+)=", " ".join(line for line in stages()[name] if line.startswith("ENV "))))
            self.assertTrue(told, name)
            self.assertEqual(told - known_variables(f"tributary-{name}"), set(), name)

    def test_only_the_trainer_has_libtorch(self):
        for name in ("runtime", "coordinator", "blob-store", "aggregator", "cli"):
            self.assertNotIn("torch", " ".join(stages()[name]).lower(), name)

    def test_what_is_copied_is_let_through(self):
        allowed = {line[1:] for line in (SOURCE / ".dockerignore").read_text().splitlines() if line.startswith("!")}
        for line in DOCKERFILE.splitlines():
            if line.startswith("COPY ") and "--from" not in line:
                for path in line.split()[1:-1]:
                    self.assertTrue((SOURCE / path).exists(), path)
                    self.assertTrue(any(path == a or path.startswith(a + "/") for a in allowed), path)


if __name__ == "__main__":
    unittest.main()
