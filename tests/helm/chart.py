"""Renders the chart, and reads what comes out as kubectl would."""
import pathlib
import re
import subprocess
import sys

try:
    import yaml
except ImportError:
    print("SKIPPED: python3-yaml is not here: the chart is not checked")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "tributary"
WORKLOADS = ("Deployment", "StatefulSet", "Job", "Pod")


class Yaml11(yaml.SafeLoader):
    """YAML 1.1 as Kubernetes' own parser has it: an unquoted y, n, on, off is a boolean (PyYAML knows all but y and n)."""


Yaml11.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(y|Y|n|N)$"), list("yYnN"))
Yaml11.bool_values = {**yaml.SafeLoader.bool_values, "y": True, "n": False}


def values_files():
    return sorted(CHART.glob("values-*.yaml")) + sorted((CHART / "ci").glob("*-values.yaml"))


def helm(binary, *words, timeout=120):
    return subprocess.run([binary, *map(str, words)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False,
                          env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "HELM_CACHE_HOME": "/nonexistent", "HELM_PLUGINS": "/nonexistent"})


def template(binary, *words, release="fl", namespace="fed"):
    return helm(binary, "template", release, CHART, "--namespace", namespace, *words)


def manifests(text):
    return [each for each in yaml.load_all(text, Loader=Yaml11) if each]


def render(binary, *words, **more):
    run = template(binary, *words, **more)
    if run.returncode != 0:
        raise AssertionError(f"helm template {words}: {run.stderr}")
    return manifests(run.stdout)


def name_of(manifest):
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def pod_of(manifest):
    """The pod's template (metadata, spec) of a workload; None: it makes no pods."""
    if manifest["kind"] == "Pod":
        return manifest
    return manifest["spec"]["template"] if manifest["kind"] in WORKLOADS else None


def pods(all_manifests):
    return [(each, pod_of(each)) for each in all_manifests if each["kind"] in WORKLOADS]


def containers(pod):
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def component(manifest):
    return manifest["metadata"].get("labels", {}).get("app.kubernetes.io/component")


def ini(text):
    """flag -> value, or the list of values of a repeated one."""
    flags = {}
    for line in text.splitlines():
        if "=" not in line:
            continue
        flag, value = (part.strip() for part in line.split("=", 1))
        flags.setdefault(flag, []).append(value)
    return {flag: values[0] if len(values) == 1 else values for flag, values in flags.items()}


def size(text):
    """Bytes of a size, of Kubernetes or of Tributary."""
    text = str(text).removesuffix("B")
    for unit, factor in (("Ki", 2**10), ("Mi", 2**20), ("Gi", 2**30), ("Ti", 2**40), ("k", 10**3), ("M", 10**6), ("G", 10**9), ("T", 10**12)):
        if text.endswith(unit):
            return int(float(text.removesuffix(unit)) * factor)
    return int(text)
