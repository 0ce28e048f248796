"""What the sources say of their structure: libraries, services, declared dependencies, includes.

The table of dependencies is written by CMake (build/dependencies.txt), a line each:
    library wire: base tensor
    service coordinator: base wire service-blob-store
"""
import re
import sys
from pathlib import Path

SKIPPED = 77
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
SOURCES = ('.h', '.cc')


def read_dependencies(path):
    """{'wire': ['base', 'tensor'], 'service-coordinator': [...]}, in the order of configuration."""
    table = {}
    for line in Path(path).read_text().splitlines():
        if not line.strip():
            continue
        kind, rest = line.split(' ', 1)
        name, _, names = rest.partition(':')
        table[('service-' if kind == 'service' else '') + name] = names.split()
    return table


def read_order(cmake_lists):
    """Libraries, then services, as the foreach loops of the top CMakeLists.txt name them."""
    text = re.sub(r'#[^\n]*', '', Path(cmake_lists).read_text())
    order = []
    for variable, words in re.findall(r'foreach\s*\(\s*(library|service)\s+IN\s+ITEMS([^)]*)\)', text):
        order += [('service-' if variable == 'service' else '') + word for word in words.split()]
    return order


def include_owners(root):
    """{'tributary/train/': 'train-api' ...}: whose folder a public header lies in; several may share one."""
    owners = {}
    for folder in sorted(root.glob('libs/*/include/tributary/*')):
        for header in folder.rglob('*.h'):
            owners[str(header.relative_to(folder.parent.parent))] = folder.parent.parent.parent.name
    return owners


def owner_of_include(root, owners, text):
    """The library or service that an include belongs to; None when it is no include of ours."""
    if text.startswith('tributary/'):
        return owners.get(text, '?')
    if text.startswith('services/'):
        return 'service-' + text.split('/')[1] if (root / text).is_file() else '?'
    return None


def source_files(root):
    """(owner, is_test, path) of every source file under libs/ and services/."""
    for top, prefix in (('libs', ''), ('services', 'service-')):
        for folder in sorted((root / top).glob('*')):
            if not (folder / 'CMakeLists.txt').is_file():
                continue  # not part of the build
            for path in sorted(folder.rglob('*')):
                if path.suffix in SOURCES and path.is_file():
                    inner = path.relative_to(folder).parts
                    yield prefix + folder.name, 'tests' in inner or 'testing' in inner, path


def includes_of(path):
    """(line, '<' or '"', text) of every include."""
    text = path.read_text(encoding='utf-8', errors='replace')
    for match in INCLUDE.finditer(text):
        yield text.count('\n', 0, match.start(1)) + 1, match.group(1), match.group(2)


def finish(name, violations, checked):
    for violation in violations:
        print(violation)
    print(f'{name}: {checked}, {len(violations)} violation(s)')
    sys.exit(1 if violations else 0)
