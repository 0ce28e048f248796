#!/usr/bin/env python3
"""Every manifest of every values file has the types of Kubernetes' API and of the operators', and no key that they do not know."""
import copy
import json
import subprocess
import sys
import unittest

import case
import chart
import tools
from case import ChartCase


def check(given):
    """Exit code and output of the checker for [(where, manifest)…]."""
    text = json.dumps([{"where": where, "manifest": manifest} for where, manifest in given])
    run = subprocess.run(["node", chart.ROOT / "tests/helm/check_types.mjs", case.TOOLS], input=text, text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, timeout=240, check=False)
    return run.returncode, run.stdout


class Types(ChartCase):
    def test_every_manifest(self):
        given = [(f"{what}: {chart.name_of(each)}", each) for what, manifests in self.every_rendering() for each in manifests]
        code, output = check(given)
        print(output.strip().splitlines()[-1])
        self.assertEqual(code, 0, output)
        kinds = {each["kind"] for _, each in given}
        self.assertLessEqual({"ScaledObject", "ServiceMonitor", "PodMonitor", "HorizontalPodAutoscaler", "NetworkPolicy", "StatefulSet"}, kinds)

    def test_it_finds_what_is_wrong(self):
        store = self.find(self.default(), "StatefulSet", "blob-store")
        monitored = case.rendered(self.helm, "-f", chart.CHART / "ci/monitored-values.yaml")

        def container(manifest):
            return manifest["spec"]["template"]["spec"]["containers"][0]
        wrong = {
            "securitycontext": (store, lambda each: container(each).update(securitycontext={})),
            "containerPort": (store, lambda each: container(each)["ports"][0].update(containerPort="7710")),
            "must have required property selector": (store, lambda each: each["spec"].pop("selector")),
            "Jobb": (store, lambda each: each.update(kind="Jobb")),
            "intervall": (self.find(monitored, "ServiceMonitor", "coordinator"), lambda each: each["spec"]["endpoints"][0].update(intervall="1s")),
            "thresold": (self.find(monitored, "ScaledObject", "trainer"), lambda each: each["spec"].update(thresold="1")),
        }
        for expected, (manifest, spoil) in wrong.items():
            spoiled = copy.deepcopy(manifest)
            spoil(spoiled)
            with self.subTest(wrong=expected):
                code, output = check([("spoiled", spoiled)])
                self.assertEqual(code, 1)
                self.assertIn(expected, output)


if __name__ == "__main__":
    if tools.modules(case.TOOLS) is None:
        print("SKIPPED: node's packages are not here (tests/helm/tools.py says why): manifests are not checked for their types")
        sys.exit(tools.SKIPPED)
    case.main()
