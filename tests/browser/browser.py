"""A headless Chromium, spoken to through its debugging pipe: file descriptors 3 and 4, JSON texts that end with a zero byte."""
import json
import os
import shutil
import signal
import subprocess
import time

NAMES = ('chromium', 'chromium-browser', 'google-chrome')


def find():
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page. `events` holds what the browser told: (method, params)."""

    def __init__(self, program, profile):
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()

        def place():
            # The ends may have these very numbers already.
            copy_in, copy_out = os.dup(to_browser), os.dup(from_browser)
            os.dup2(copy_in, 3)
            os.dup2(copy_out, 4)

        words = [program, '--headless', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update',
                 '--disable-dev-shm-usage', '--hide-scrollbars', '--remote-debugging-pipe', '--user-data-dir=' + profile]
        if os.geteuid() == 0:
            words.append('--no-sandbox')
        self._process = subprocess.Popen(words, pass_fds=(3, 4, to_browser, from_browser), preexec_fn=place,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                         env={**os.environ, 'TMPDIR': os.path.dirname(profile)})
        os.close(to_browser)
        os.close(from_browser)
        self._rest, self._id, self._session = b'', 0, None
        self.events = []
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        self._session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(domain + '.enable')

    def close(self):
        # All its processes, not the first alone: one that lives on writes into the profile while the caller removes it.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        limit = time.monotonic() + 10
        while time.monotonic() < limit:
            try:
                os.killpg(self._process.pid, 0)
            except ProcessLookupError:
                break
            time.sleep(.05)
        os.close(self._read)
        os.close(self._write)

    def _receive(self):
        while b'\0' not in self._rest:
            piece = os.read(self._read, 1 << 16)
            if not piece:
                raise RuntimeError('the browser has ended')
            self._rest += piece
        text, _, self._rest = self._rest.partition(b'\0')
        return json.loads(text)

    def call(self, method, **params):
        self._id += 1
        message = {'id': self._id, 'method': method, 'params': params}
        if self._session:
            message['sessionId'] = self._session
        os.write(self._write, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._receive()
            if answer.get('id') == self._id:
                if 'error' in answer:
                    raise RuntimeError(f'{method}: {answer["error"]}')
                return answer['result']
            if 'method' in answer:
                self.events.append((answer['method'], answer['params']))

    def open(self, url):
        self.call('Page.navigate', url=url)
        limit = time.monotonic() + 60
        while self.evaluate('document.readyState') != 'complete':
            if time.monotonic() > limit:
                raise RuntimeError(url + ' does not load')

    def evaluate(self, expression):
        result = self.call('Runtime.evaluate', expression=expression, returnByValue=True)
        if 'exceptionDetails' in result:
            raise RuntimeError(f'{expression}: {result["exceptionDetails"]}')
        return result['result'].get('value')

    def show_as(self, width, height, scheme, media=''):
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call('Emulation.setEmulatedMedia', media=media, features=[{'name': 'prefers-color-scheme', 'value': scheme}])
