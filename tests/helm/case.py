"""What the chart's test cases share: the helms that are there, and each rendering made once."""
import functools
import os
import sys
import unittest

import chart
import tools

TOOLS = os.environ.get("TRIBUTARY_HELM_TOOLS", "")
HELMS = tools.helms(TOOLS) if TOOLS else {}
DEFAULT = ("--set", "keys.existingSecret=k")


@functools.lru_cache(maxsize=None)
def rendered(binary, *words):
    return chart.render(binary, *words)


class ChartCase(unittest.TestCase):
    maxDiff = None
    where = ""  # what a test that goes through many objects looks at; told with its failures

    @property
    def helm(self):
        return HELMS["helm 4"]

    def _formatMessage(self, msg, standardMsg):
        return self.where + super()._formatMessage(msg, standardMsg)

    def every_rendering(self):
        """(what, manifests) of the default and of every values file."""
        yield "defaults", rendered(self.helm, *DEFAULT)
        for path in chart.values_files():
            yield path.name, rendered(self.helm, "-f", path)

    def default(self, *words):
        return rendered(self.helm, *DEFAULT, *words)

    def find(self, manifests, kind, component):
        found = [each for each in manifests if each["kind"] == kind and chart.component(each) == component]
        self.assertTrue(found, f"no {kind} of {component}")
        return found[0]

    def refused(self, binary, expected, *words, fresh=False):
        """The rendering fails, and its message has each of `expected`. Places of the schema: a/b/c, however this helm writes them."""
        run = chart.template(binary, *(() if fresh else DEFAULT), *words)
        self.assertNotEqual(run.returncode, 0, f"{words} was accepted")
        for text in expected:
            self.assertTrue(text in run.stderr or text.replace("/", ".") in run.stderr, f"{text!r} is not in: {run.stderr}")


def main():
    if len(HELMS) < 2:
        print("SKIPPED: helm is not here (tests/helm/tools.py says why)")
        sys.exit(tools.SKIPPED)
    unittest.main(verbosity=1)
