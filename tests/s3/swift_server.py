#!/usr/bin/python3
"""OpenStack Swift with its S3 interface, as a few processes on loopback over one directory: a real S3 server for tests.

    swift_server.py DIRECTORY [--port PORT]

Prints 'ready URL BUCKET ACCESS-KEY SECRET-KEY REGION' once it answers, serves until its standard input ends or it is sent SIGTERM, and takes its
processes along. The same directory and port again serve what was stored. Exit code 77: Swift (Debian: python3-swift) is not installed,
or the directory's file system has no extended attributes.
"""
import argparse
import ctypes
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

SKIPPED = 77
ACCESS, SECRET, REGION, BUCKET = 'test:tester', 'testing', 'us-east-1', 'tributary-test'
PR_SET_PDEATHSIG = 1

COMMON = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {root}/etc
devices = {root}/devices
mount_check = false
disable_fallocate = true
log_address = {root}/no-syslog
log_level = WARNING
"""
BACKEND = """
[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
"""
PROXY = """
[pipeline:main]
pipeline = catch_errors cache listing_formats bulk s3api tempauth copy slo versioned_writes proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
# The proxy is asked while the others still start: it shall not give them up for a minute.
error_suppression_limit = 1000000

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1

[filter:listing_formats]
use = egg:swift#listing_formats

[filter:bulk]
use = egg:swift#bulk

[filter:s3api]
use = egg:swift#s3api
location = us-east-1

[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin

[filter:copy]
use = egg:swift#copy

[filter:slo]
use = egg:swift#slo

[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
"""
SERVE = """
import sys
from swift.common import utils
utils.SWIFT_CONF_FILE = {swift!r}
from swift.common.wsgi import run_wsgi
sys.exit(run_wsgi({conf!r}, {section!r}))
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(('127.0.0.1', 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def prepare(root, ports):
    from swift.common.ring import RingBuilder
    user = pwd.getpwuid(os.getuid()).pw_name
    etc = root / 'etc'
    for folder in (etc, root / 'devices' / 'disk'):
        folder.mkdir(parents=True, exist_ok=True)
    (etc / 'swift.conf').write_text('[swift-hash]\nswift_hash_path_prefix = tributary\nswift_hash_path_suffix = tests\n')
    for kind in ('account', 'container', 'object'):
        builder = RingBuilder(4, 1, 0)
        builder.add_dev({'id': 0, 'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': ports[kind], 'replication_ip': '127.0.0.1',
                         'replication_port': ports[kind], 'device': 'disk', 'weight': 1, 'meta': ''})
        builder.rebalance()
        builder.get_ring().save(str(etc / f'{kind}.ring.gz'))
        (etc / f'{kind}.conf').write_text((COMMON + BACKEND).format(port=ports[kind], root=root, user=user, kind=kind))
    (etc / 'proxy.conf').write_text((COMMON + PROXY).format(port=ports['proxy'], root=root, user=user))


def start(root, kind):
    conf = str(root / 'etc' / f'{kind}.conf')
    log = open(root / f'{kind}.log', 'ab')
    code = SERVE.format(swift=str(root / 'etc' / 'swift.conf'), conf=conf, section=f'{kind}-server')
    return subprocess.Popen([sys.executable, '-c', code], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                            preexec_fn=die_with_parent)


def fail(root, why):
    print(f'swift_server: {why}', file=sys.stderr)
    for log in sorted(root.glob('*.log')):
        print(f'--- {log.name}:', *log.read_text(errors='replace').splitlines()[-8:], sep='\n', file=sys.stderr)
    sys.exit(1)


def await_server(url, processes, root):
    deadline = time.monotonic() + 120
    answer = 'nothing'
    while time.monotonic() < deadline:
        dead = [kind for kind, process in processes.items() if process.poll() is not None]
        if dead:
            fail(root, f'the {dead[0]} server ended at once')
        try:
            if make_bucket(url):
                return
        except (urllib.error.URLError, OSError) as error:
            answer = error
        time.sleep(0.1)
    fail(root, f'no answer at {url} within 120 s: {answer}')


def make_bucket(url):
    """With a SigV4 request, as whoever comes next will send."""
    import datetime
    import hashlib
    import hmac
    host = url.split('//')[1]
    now = datetime.datetime.now(datetime.timezone.utc).strftime('%Y%m%dT%H%M%SZ')
    empty = hashlib.sha256(b'').hexdigest()
    signed = 'host;x-amz-content-sha256;x-amz-date'
    canonical = f'PUT\n/{BUCKET}\n\nhost:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{now}\n\n{signed}\n{empty}'
    scope = f'{now[:8]}/{REGION}/s3/aws4_request'
    text = f'AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}'
    key = ('AWS4' + SECRET).encode()
    for part in (now[:8], REGION, 's3', 'aws4_request'):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    request = urllib.request.Request(f'{url}/{BUCKET}', method='PUT', headers={
        'x-amz-content-sha256': empty, 'x-amz-date': now,
        'Authorization': f'AWS4-HMAC-SHA256 Credential={ACCESS}/{scope}, SignedHeaders={signed}, Signature={signature}'})
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status == 200
    except urllib.error.HTTPError as error:
        if error.code == 409:  # there already
            return True
        raise


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('directory', type=Path)
    parser.add_argument('--port', type=int, default=0)
    options = parser.parse_args()
    try:
        import swift.proxy.server  # noqa: F401
    except ImportError as error:
        print(f'swift_server: skipped: OpenStack Swift is not installed (Debian: python3-swift): {error}', file=sys.stderr)
        sys.exit(SKIPPED)
    root = options.directory.resolve()
    root.mkdir(parents=True, exist_ok=True)
    try:
        os.setxattr(root, 'user.tributary', b'1')
    except OSError as error:
        print(f'swift_server: skipped: Swift needs extended attributes, which {root} does not have: {error}', file=sys.stderr)
        sys.exit(SKIPPED)
    names = ('account', 'container', 'object', 'proxy')
    ports = dict(zip(names, free_ports(len(names))))
    ports['proxy'] = options.port or ports['proxy']
    prepare(root, ports)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    processes = {kind: start(root, kind) for kind in names}
    try:
        url = f"http://127.0.0.1:{ports['proxy']}"
        await_server(url, processes, root)
        print('ready', url, BUCKET, ACCESS, SECRET, REGION, flush=True)
        while os.read(0, 4096):
            pass
    finally:
        for process in processes.values():
            process.kill()
        for process in processes.values():
            process.wait()


if __name__ == '__main__':
    main()
