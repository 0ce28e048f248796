#!/usr/bin/env python3
"""Includes match declared dependencies; dependencies point one way; each third-party header has one library.

    check_includes.py SOURCE-DIR DEPENDENCIES.txt
"""
import re
import sys
from pathlib import Path

from structure import (finish, include_owners, includes_of, owner_of_include, read_dependencies, read_order,
                       source_files)

# Third-party headers, and the one library that may include them.
THIRD_PARTY = [
    (r'zmq(_addon)?\.hpp?$|zmq\.h$', 'transport'),
    (r'msgpack(/|\.hpp$|\.h$)', 'wire'),
    (r'sqlite3', 'journal'),
    (r'(torch|ATen|c10|caffe2)/', 'train'),
    (r'yaml-cpp/', 'job'),
    (r'boost/', 'config'),
    (r'prometheus/|civetweb|CivetServer', 'metrics'),
    (r'openssl/|xxh', 'digest'),
    (r'pcre2', 'text'),
    (r'curl/', 's3'),
    (r'nlohmann/', 'json'),
    (r'spdlog/', 'base'),
]
ANYWHERE = ('fmt/',)
SYSTEM_FOLDERS = ('sys/', 'linux/', 'netinet/', 'arpa/', 'net/', 'asm/', 'sanitizer/')


def third_party_violation(owner, text):
    for pattern, library in THIRD_PARTY:
        if re.match(pattern, text):
            return None if owner == library else f'only library {library} may include it'
    if '/' in text and not text.startswith(ANYWHERE + SYSTEM_FOLDERS):
        return 'it is in no table; give it a library in tests/checks/check_includes.py'
    return None


def check_order(dependencies, order):
    violations = []
    for name, uses in dependencies.items():
        if name not in order:
            violations.append(f'CMakeLists.txt: {name} stands in no foreach list of the top CMakeLists.txt')
            continue
        for use in uses:
            if use not in dependencies:
                violations.append(f'{name}: depends on {use}, which is no library or service')
            elif use in order and order.index(use) >= order.index(name):
                violations.append(f'{name}: depends on {use}, which stands below it in CMakeLists.txt')
    return violations


def check_cycles(dependencies):
    done = set()

    def visit(name, path):
        if name in path:
            return ['cycle: ' + ' -> '.join(path[path.index(name):] + [name])]
        if name in done:
            return []
        found = []
        for use in dependencies.get(name, []):
            found += visit(use, path + [name])
        done.add(name)
        return found

    return [violation for name in dependencies for violation in visit(name, [])]


def check_includes(root, dependencies):
    violations = []
    used = {name: set() for name in dependencies}
    owners = include_owners(root)
    files = 0
    for owner, is_test, path in source_files(root):
        if owner not in dependencies:
            continue  # left out of this build, as libtorch's libraries may be
        files += 1
        for line, quote, text in includes_of(path):
            place = f'{path.relative_to(root)}:{line}'
            target = owner_of_include(root, owners, text)
            if target == '?':
                violations.append(f'{place}: "{text}" does not exist')
            elif target is not None:
                if target != owner:
                    used[owner].add(target)
                    if not is_test and target not in dependencies[owner]:
                        violations.append(f'{place}: "{text}" belongs to {target}, which {owner} does not list in DEPS')
            elif quote == '<' and not is_test:
                why = third_party_violation(owner, text)
                if why:
                    violations.append(f'{place}: <{text}>: {why}')
    for name, uses in dependencies.items():
        for use in uses:
            if use not in used[name]:
                violations.append(f'{name}: lists {use} in DEPS and includes nothing of it')
    return violations, files


def main():
    root = Path(sys.argv[1])
    dependencies = read_dependencies(sys.argv[2])
    violations = check_order(dependencies, read_order(root / 'CMakeLists.txt')) + check_cycles(dependencies)
    more, files = check_includes(root, dependencies)
    finish('includes', violations + more, f'{len(dependencies)} libraries and services, {files} files')


if __name__ == '__main__':
    main()
