#!/usr/bin/env python3
"""How much a container must leave beside a service's budget is told in several places: it is one number everywhere.

    number_test.py SOURCE
"""

import pathlib
import re
import sys
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1))
PLACES = {  # file: what stands around the number there, in MiB unless it says otherwise
    "deploy/env.example": r"of which it must leave (\d+)\.",
    "docs/deploy.md": r"does not leave (\d+) MiB beside its budget",
    "docs/watching.md": r"peak is more than\s+(\d+) MiB above their budget",
    "helm/tributary/README.md": r"Must leave (\d+) MiB",
    "helm/tributary/templates/validate.yaml": r"memoryBudget %s and (\d+) MiB for the process",
    "helm/tributary/values.yaml": r"Must leave (\d+) MiB",
}


class Number(unittest.TestCase):
    def test_is_that_of_the_services(self):
        header = (SOURCE / "libs/memory/include/tributary/memory/process_memory.h").read_text()
        base = int(re.search(r"kServiceBase = (\d+)ull << 20;", header).group(1))
        for name, around in PLACES.items():
            with self.subTest(name):
                told = [int(number) for number in re.findall(around, (SOURCE / name).read_text())]
                self.assertTrue(told, "it says nothing any more: name what it says here")
                self.assertEqual(set(told), {base})
        room = re.search(r"\$room := (\d+)", (SOURCE / "helm/tributary/templates/validate.yaml").read_text())
        self.assertEqual(int(room.group(1)), base << 20, "what the chart checks is not what it says")


if __name__ == "__main__":
    unittest.main()
