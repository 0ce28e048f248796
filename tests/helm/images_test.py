#!/usr/bin/env python3
"""The images that the chart names are those that docker/build makes, and the README tells how they come to the nodes. docker/build itself is run, with a client
that builds nothing and writes down what it is asked for."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import chart

CLIENT = """#!/bin/bash
case "$1" in
  version) echo 20.10.0 ;;
  image) echo 0 ;;
  build) while [ $# -gt 0 ]; do [ "$1" != -t ] || echo "$2" >> "$MADE"; shift; done ;;
esac
"""


def images_made(*words):
    with tempfile.TemporaryDirectory() as folder:
        client, made = pathlib.Path(folder) / "docker", pathlib.Path(folder) / "made"
        client.write_text(CLIENT)
        client.chmod(0o755)
        run = subprocess.run([chart.ROOT / "docker/build", "--base", "base", *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False,
                             env={**os.environ, "DOCKER": str(client), "MADE": str(made), "TMPDIR": folder})
        if run.returncode != 0:
            raise AssertionError(f"docker/build: {run.stdout}")
        return made.read_text().split()


class Images(unittest.TestCase):
    def test_the_chart_names_what_is_built(self):
        values = chart.yaml.safe_load((chart.CHART / "values.yaml").read_text())
        tag = chart.yaml.safe_load((chart.CHART / "Chart.yaml").read_text())["appVersion"]
        named = {service["image"]["repository"] for service in values.values() if isinstance(service, dict) and "repository" in service.get("image", {})}
        self.assertEqual(len(named), 5)
        self.assertEqual(sorted(images_made()), sorted(f"{repository}:{tag}" for repository in named))

    def test_the_readme_pushes_all_of_them(self):
        text = (chart.CHART / "README.md.gotmpl").read_text()
        names = re.search(r"for name in (.*); do", text).group(1).split()
        made = [image.split(":") for image in images_made()]
        self.assertEqual(sorted(names), sorted(name for name, _ in made))
        for tag in re.findall(r"\$name:([\w.-]+)", text):
            self.assertEqual(tag, made[0][1], "the README tells another version")
        # The trainer for GPUs, and images with a tag of their own.
        self.assertIn("trainer.image.tag=" + made[0][1] + "-cuda", text)
        self.assertEqual(set(image.split(":")[1] for image in images_made("--tag", "0.1.0-mine")), {"0.1.0-mine"})


if __name__ == "__main__":
    unittest.main()
