#!/usr/bin/env python3
"""The features that well-kept charts have, counted by pattern over this chart's templates and values; prints the table.

A pattern says that a feature appears, not that it is on by default: what each does is asserted by the other tests.
"""
import re
import unittest

import chart

TESTS = chart.ROOT / "tests/helm"


def text(*patterns):
    return "\n".join(path.read_text() for pattern in patterns for path in sorted(chart.CHART.glob(pattern)))


TEMPLATES = text("templates/**/*.yaml", "templates/*.tpl")
BOTH = TEMPLATES + text("values.yaml")

FEATURES = {
    "values.schema.json": (chart.CHART / "values.schema.json").exists(),
    "NOTES.txt": (chart.CHART / "templates/NOTES.txt").exists(),
    "livenessProbe": "livenessProbe:" in TEMPLATES,
    "readinessProbe": "readinessProbe:" in TEMPLATES,
    "startupProbe": "startupProbe:" in TEMPLATES,
    "preStop": '"preStop"' in TEMPLATES,
    "terminationGracePeriodSeconds": "terminationGracePeriodSeconds:" in TEMPLATES,
    "resources": "resources:" in TEMPLATES,
    "PodDisruptionBudget": "kind: PodDisruptionBudget" in TEMPLATES,
    "HorizontalPodAutoscaler": "kind: HorizontalPodAutoscaler" in TEMPLATES,
    "KEDA ScaledObject": "kind: ScaledObject" in TEMPLATES,
    "NetworkPolicy": "kind: NetworkPolicy" in TEMPLATES,
    "ServiceAccount": "kind: ServiceAccount" in TEMPLATES,
    "automountServiceAccountToken: false": "automountServiceAccountToken: false" in TEMPLATES,
    "RBAC": "kind: Role\n" in TEMPLATES,
    "runAsNonRoot": "runAsNonRoot: true" in BOTH,
    "readOnlyRootFilesystem": "readOnlyRootFilesystem: true" in BOTH,
    "drop capabilities": bool(re.search(r"drop: \[ALL\]", BOTH)),
    "seccompProfile": "seccompProfile" in BOTH,
    "topologySpreadConstraints": "topologySpreadConstraints:" in TEMPLATES,
    "affinity": "affinity:" in TEMPLATES,
    "nodeSelector and tolerations": "nodeSelector:" in TEMPLATES and "tolerations:" in TEMPLATES,
    "priorityClassName": "priorityClassName:" in TEMPLATES,
    "ServiceMonitor": "kind: ServiceMonitor" in TEMPLATES,
    "PrometheusRule": "kind: PrometheusRule" in TEMPLATES,
    "Grafana dashboard ConfigMap": "grafana_dashboard" in BOTH,
    "existingSecret": "existingSecret" in BOTH,
    # Other charts have Certificates of their servers; here no server has one: every socket is CURVE, whose keys cert-manager does not make. The one TLS connection is a
    # blob-store's to S3, which needs the CA alone and takes it from a Secret as cert-manager writes it. A Certificate of our own would be a private key that nobody uses.
    "cert-manager's Secret for S3's CA": bool(re.search(r'"secretName" \$b\.s3\.caSecret .*"key" "ca\.crt" "path" "ca-certificates\.crt"', TEMPLATES)),
    "PVC / volumeClaimTemplates": "volumeClaimTemplates:" in TEMPLATES,
    "extraEnv": "extraEnv" in TEMPLATES,
    "extraVolumes": "extraVolumes" in TEMPLATES,
    "checksum/config annotation": "checksum/config" in TEMPLATES,
    "helm test hook": '"helm.sh/hook" "test"' in TEMPLATES,
    "ct ci/*-values.yaml": len(list((chart.CHART / "ci").glob("*-values.yaml"))) > 0,
    "unit tests": (TESTS / "policy_test.py").exists(),
    "README from values": (chart.CHART / "README.md.gotmpl").exists(),
    "kubeVersion constraint": "kubeVersion:" in text("Chart.yaml"),
    "extra manifests hook": "extraObjects" in TEMPLATES,
}


class Features(unittest.TestCase):
    def test_all_of_them(self):
        present = [name for name, there in FEATURES.items() if there]
        for name, there in FEATURES.items():
            print("  yes  " if there else "  NO   ", name)
        print(f"{len(present)} of {len(FEATURES)} features")
        self.assertEqual(len(FEATURES), 38)
        self.assertEqual(present, list(FEATURES))


if __name__ == "__main__":
    unittest.main()
