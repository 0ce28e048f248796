#!/usr/bin/env python3
"""The checks can fail: each is run on a small tree that breaks one rule, and must name the place.

    checks_test.py COMPILER
"""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMPILER = sys.argv.pop(1) if len(sys.argv) > 1 else 'c++'

GOOD = {
    'CMakeLists.txt': 'foreach(library IN ITEMS\n    low # comment\n    high)\nendforeach()\n'
                      'foreach(service IN ITEMS one)\nendforeach()\n',
    'dependencies.txt': 'library low: \nlibrary high: low\nservice one: high\n',
    'libs/low/CMakeLists.txt': '',
    'libs/low/include/tributary/low/low.h': '#pragma once\n#include <fmt/core.h>\n#include <string>\n',
    'libs/high/CMakeLists.txt': '',
    'libs/high/include/tributary/high/high.h': '#pragma once\n#include "tributary/low/low.h"\n',
    'libs/high/src/high.cc': '#include "tributary/high/high.h"\n#include <sys/socket.h>\n',
    'services/one/CMakeLists.txt': '',
    'services/one/one.h': '#pragma once\n#include "tributary/high/high.h"\n',
    'services/one/main.cc': '#include "services/one/one.h"\n',
}


class ChecksTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix='tributary-checks-')
        self.root = Path(self.folder.name)
        for name, text in GOOD.items():
            self.write(name, text)

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run_check(self, name, *arguments):
        done = subprocess.run([sys.executable, str(HERE / f'check_{name}.py'), *map(str, arguments)],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def includes(self):
        return self.run_check('includes', self.root, self.root / 'dependencies.txt')

    def expect_include_violation(self, *parts):
        code, output = self.includes()
        self.assertEqual(code, 1, output)
        for part in parts:
            self.assertIn(part, output)

    def test_a_good_tree_passes(self):
        code, output = self.includes()
        self.assertEqual(code, 0, output)
        code, output = self.run_check('headers', self.root, self.root / 'dependencies.txt', COMPILER)
        self.assertEqual(code, 0, output)
        self.assertIn('2 headers', output)

    def test_include_of_an_undeclared_library(self):
        self.write('services/one/main.cc', '#include "services/one/one.h"\n\n#include "tributary/low/low.h"\n')
        self.expect_include_violation('services/one/main.cc:3', 'belongs to low, which service-one does not list')

    def test_include_upward_is_undeclared_too(self):
        self.write('libs/low/src/low.cc', '#include "tributary/high/high.h"\n')
        self.expect_include_violation('libs/low/src/low.cc:1', 'belongs to high')

    def test_include_that_does_not_exist_even_in_tests(self):
        self.write('libs/high/tests/high_test.cc', '#include "tributary/low/gone.h"\n')
        self.expect_include_violation('libs/high/tests/high_test.cc:1', 'does not exist')

    def test_tests_may_include_what_exists(self):
        self.write('libs/low/tests/low_test.cc', '#include "tributary/high/high.h"\n#include <zmq.hpp>\n')
        self.assertEqual(self.includes()[0], 0)

    def test_declared_dependency_that_is_not_used(self):
        self.write('libs/high/include/tributary/high/high.h', '#pragma once\n')
        self.expect_include_violation('high: lists low in DEPS and includes nothing of it')

    def test_dependency_on_what_stands_below(self):
        self.write('dependencies.txt', 'library low: high\nlibrary high: low\nservice one: high\n')
        self.expect_include_violation('low: depends on high, which stands below it', 'cycle: low -> high -> low')

    def test_dependency_that_does_not_exist(self):
        self.write('dependencies.txt', 'library low: \nlibrary high: low middle\nservice one: high\n')
        self.expect_include_violation('high: depends on middle, which is no library or service')

    def test_library_that_stands_in_no_list(self):
        self.write('dependencies.txt', GOOD['dependencies.txt'] + 'library other: \n')
        self.expect_include_violation('other stands in no foreach list')

    def test_third_party_header_outside_its_library(self):
        for header in ('zmq.hpp', 'msgpack.hpp', 'sqlite3.h', 'torch/torch.h', 'yaml-cpp/yaml.h', 'openssl/evp.h',
                       'boost/program_options.hpp', 'prometheus/registry.h', 'nlohmann/json.hpp', 'spdlog/spdlog.h'):
            self.write('libs/high/src/high.cc', f'#include "tributary/high/high.h"\n#include <{header}>\n')
            self.expect_include_violation('libs/high/src/high.cc:2', f'<{header}>: only library')

    def test_third_party_header_without_a_library(self):
        self.write('libs/high/src/high.cc', '#include "tributary/high/high.h"\n#include <indicators/bar.hpp>\n')
        self.expect_include_violation('<indicators/bar.hpp>: it is in no table')

    def test_header_that_does_not_compile_alone(self):
        self.write('libs/low/include/tributary/low/low.h', '#pragma once\ninline std::string Name();\n')
        code, output = self.run_check('headers', self.root, self.root / 'dependencies.txt', COMPILER)
        self.assertEqual(code, 1, output)
        self.assertIn('libs/low/include/tributary/low/low.h: does not compile alone', output)

    def test_header_that_reaches_past_its_dependencies(self):
        self.write('dependencies.txt', 'library low: \nlibrary high: \nservice one: high\n')
        code, output = self.run_check('headers', self.root, self.root / 'dependencies.txt', COMPILER)
        self.assertEqual(code, 1, output)
        self.assertIn('libs/high/include/tributary/high/high.h: does not compile alone', output)

    def build(self, source, *arguments):
        subprocess.run([COMPILER, '-x', 'c++', '-', *map(str, arguments)], input=source, text=True, check=True)

    def test_binary_that_needs_libtorch_directly_or_not(self):
        binaries = self.root / 'bin'
        binaries.mkdir()
        rpath = f'-Wl,-rpath,{self.root}'
        self.build('int torch() { return 1; }', '-shared', '-fPIC', '-o', self.root / 'libtorch_cpu.so')
        self.build('int torch(); int between() { return torch(); }', '-shared', '-fPIC', '-o',
                   self.root / 'libbetween.so', '-x', 'none', self.root / 'libtorch_cpu.so', rpath)
        self.build('int main() {}', '-o', binaries / 'clean')
        code, output = self.run_check('needed', binaries)
        self.assertEqual(code, 0, output)
        self.build('int between(); int main() { return between(); }', '-o', binaries / 'sly', f'-L{self.root}',
                   '-lbetween', f'-Wl,-rpath-link,{self.root}', rpath)
        code, output = self.run_check('needed', binaries)
        self.assertEqual(code, 1, output)
        self.assertIn('sly: needs libtorch_cpu.so by way of another library', output.replace(str(self.root) + '/', ''))
        self.build('int torch(); int main() { return torch(); }', '-o', binaries / 'plain', f'-L{self.root}',
                   '-ltorch_cpu', rpath)
        self.assertIn('plain: needs libtorch_cpu.so', self.run_check('needed', binaries)[1].replace(
            str(self.root) + '/', ''))

    def test_no_binaries_is_a_skip(self):
        self.assertEqual(self.run_check('needed', self.root / 'nothing')[0], 77)

    def test_packages(self):
        self.write('packages.txt', '# why\ng++\ntwo words\ng++   # again\n')
        code, output = self.run_check('packages', self.root / 'packages.txt')
        self.assertEqual(code, 1, output)
        self.assertIn("packages.txt:3: 'two words' is not a package's name", output)
        self.assertIn("packages.txt:4: 'g++' stands twice", output)


if __name__ == '__main__':
    unittest.main()
