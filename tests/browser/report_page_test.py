"""The page of `tributary report` in a real browser: it loads without an error and without a request, everything in it can be seen, it tells its
values, in light and dark, wide and narrow. Screenshots go to --screenshots DIR where that is given.

usage: report_page_test.py build/bin/tributary [--screenshots DIR] [--work-dir DIR]   exit 77: there is no browser
"""
import argparse
import base64
import json
import math
import sys
import tempfile
import unittest
from pathlib import Path
import subprocess

sys.path.insert(0, str(Path(__file__).parent))
import browser  # noqa: E402

EVIL = '</script><script>document.title="taken"</script><img src=http://127.0.0.1:9/x onerror=alert(1)>'
ARGUMENTS = None

# Contrast of text with what lies behind it, as WCAG counts it.
CONTRAST = '''(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = c => { canvas.fillStyle = '#000'; canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3); };
  const light = c => { const [r, g, b] = rgb(c).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (c !== 'rgba(0, 0, 0, 0)') return c; } return 'white'; };
  const against = (e, c) => { const [a, b] = [light(c), light(behind(e))].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05); };
  const seen = e => e.getClientRects().length > 0;
  const texts = [...document.querySelectorAll('p,dt,dd,td,th,h1,h2,h3,li,caption,footer,.state')].filter(seen).map(e => against(e, getComputedStyle(e).color));
  const words = [...document.querySelectorAll('svg text')].filter(seen).map(e => against(e, getComputedStyle(e).fill));
  const lines = [...document.querySelectorAll('svg path.line')].filter(seen).map(e => against(e, getComputedStyle(e).stroke));
  const bars = [...document.querySelectorAll('svg rect.bar')].filter(seen).map(e => against(e, getComputedStyle(e).fill));
  return {text: Math.min(...texts, ...words), graphics: Math.min(...lines, ...bars)};
})()'''


def write_work_dir(folder, rounds):
    """What a run of four minutes leaves, with names as no peer should choose them."""
    folder.mkdir()
    rows = ['unix_seconds,instance,pid,rss_bytes,rss_peak_bytes,phase']
    for second in range(240):
        phase = ('start', 'train', 'aggregate', 'seal', 'validate')[min(second // 10, 1) if second < 20 else 1 + second // 12 % 4]
        for i, instance in enumerate(('coordinator', 'aggregator-0', 'blob-store', 'trainer-0', 'trainer-1')):
            rss = (12 + 9 * i + 120 * (i > 2) + 6 * math.sin(second / 9 + i)) * 2 ** 20
            rows.append(f'{1.7e9 + second:.3f},{instance},{i},{rss:.0f},{rss:.0f},{phase}')
    (folder / 'memory.csv').write_text('\n'.join(rows) + '\n')
    summary = {
        'job': 'hostile ' + EVIL, 'status': 'failed', 'message': 'why: ' + EVIL, 'seconds': 240.5, 'memory_budget_bytes': 64 << 20,
        'rounds': [{'round': r, 'seconds': 12 + r % 3, 'participants': ['a/0', 'b/1'], 'dropped': ['c/2'] if r == 3 else [], 'dropped_because': {'c/2': 'its site is away'} if r == 3 else {},
                    'metrics': {'train_loss': 1 + 4 / r, 'val_loss': 1.2 + 4 / r, 'seconds_train': 8, 'seconds_aggregate': 1.5, 'seconds_seal': .5, 'seconds_validate': 2},
                    'bytes_up': 9 << 20, 'bytes_down': 11 << 20} for r in range(1, rounds + 1)],
        'services': [{'service': 'blob-store', 'instance': 'blob-store', 'pid': 1, 'peak_rss_bytes': 40 << 20, 'cpu_seconds': 3.5, 'restarts': 1,
                      'phases': {'train': {'peak_rss_bytes': 40 << 20}}},
                     {'service': 'trainer', 'instance': 'trainer-0', 'pid': 2, 'peak_rss_bytes': 170 << 20, 'cpu_seconds': 99, 'restarts': 0, 'phases': {}}]}
    (folder / 'summary.json').write_text(json.dumps(summary))


class ReportPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Errors of the removal are no fault of the page's: the browser may have left a process that still writes.
        cls.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        cls.browser = browser.Browser(browser.find(), cls.folder.name + '/profile')

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.folder.cleanup()

    def load(self, name, rounds):
        work_dir = Path(ARGUMENTS.work_dir) if ARGUMENTS.work_dir else Path(self.folder.name) / name
        if not work_dir.exists():
            write_work_dir(work_dir, rounds)
        page = Path(self.folder.name) / (name + '.html')
        subprocess.run([ARGUMENTS.tributary, 'report', str(work_dir), '--html', str(page)], check=True, stdout=subprocess.DEVNULL)
        self.browser.events.clear()
        self.browser.show_as(1200, 900, 'light')
        self.browser.open(page.as_uri())
        return page

    def test_loads_without_errors_and_requests(self):
        page = self.load('clean', 5)
        self.browser.evaluate('new Promise(r => setTimeout(r, 300))')
        urls = [params['request']['url'] for method, params in self.browser.events if method == 'Network.requestWillBeSent']
        self.assertEqual([url for url in urls if not url.startswith('data:')], [page.as_uri()])
        told = [params for method, params in self.browser.events if method in ('Log.entryAdded', 'Runtime.exceptionThrown', 'Runtime.consoleAPICalled')]
        self.assertEqual(told, [])
        self.assertNotEqual(self.browser.evaluate('document.title'), 'taken')
        self.assertEqual(self.browser.evaluate('document.images.length'), 0)

    def test_everything_is_seen_in_every_width_and_scheme(self):
        self.load('seen', 12)
        for width, scheme in ((1200, 'light'), (1200, 'dark'), (400, 'light'), (400, 'dark')):
            with self.subTest(width=width, scheme=scheme):
                self.browser.show_as(width, 900, scheme)
                boxes = self.browser.evaluate('''[...document.querySelectorAll('figure.plot')].map(f => [...f.querySelectorAll('.canvas > svg')].map(s => {
                    const box = s.getBoundingClientRect(); return [box.width, box.height]; }).filter(b => b[0] > 0))''')
                self.assertGreaterEqual(len(boxes), 4)
                for shown in boxes:
                    self.assertEqual(len(shown), 1, 'one drawing for this width')
                    self.assertGreater(shown[0][0], 0.8 * width if width == 400 else 400)
                    self.assertGreater(shown[0][1], 150)
                self.assertLessEqual(self.browser.evaluate('document.documentElement.scrollWidth'), width, 'nothing is wider than the page')
                contrast = self.browser.evaluate(CONTRAST)
                self.assertGreaterEqual(contrast['text'], 4.5)
                self.assertGreaterEqual(contrast['graphics'], 3)
                self.screenshot(f'report-{width}-{scheme}.png', width)

    def test_tells_values_under_the_pointer_and_by_keys(self):
        self.load('values', 5)
        self.browser.evaluate("document.querySelector('#loss').scrollIntoView()")
        box = self.browser.evaluate("(b => [b.x, b.y, b.width, b.height])(document.querySelector('#loss svg.wide').getBoundingClientRect())")
        self.browser.call('Input.dispatchMouseEvent', type='mouseMoved', x=box[0] + box[2] * 0.97, y=box[1] + box[3] / 2)
        tip = "document.querySelector('#loss .tip')"
        told = self.browser.evaluate(tip + '.textContent')
        self.assertIn('round 5', told)
        self.assertIn('validation: 2', told)
        self.assertFalse(self.browser.evaluate(tip + '.hidden'))
        self.browser.evaluate("document.querySelector('#loss .canvas').focus()")
        for key in ('Home', 'ArrowRight'):
            self.browser.call('Input.dispatchKeyEvent', type='keyDown', key=key)
        self.assertIn('round 2', self.browser.evaluate(tip + '.textContent'))
        self.browser.call('Input.dispatchKeyEvent', type='keyDown', key='Escape')
        self.assertTrue(self.browser.evaluate(tip + '.hidden'))

    def test_has_names_for_who_does_not_see(self):
        self.load('names', 5)
        nodes = self.browser.call('Accessibility.getFullAXTree')['nodes']
        images = [node for node in nodes if node.get('role', {}).get('value') in ('image', 'img')]
        self.assertGreaterEqual(len(images), 4)
        for node in images:
            self.assertTrue(node['name']['value'], node)
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('h1').length"), 1)
        ids = self.browser.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        self.assertEqual(len(ids), len(set(ids)))

    def test_prints(self):
        self.load('print', 5)
        self.browser.show_as(1200, 900, 'dark', 'print')
        self.assertEqual(self.browser.evaluate('getComputedStyle(document.body).backgroundColor'), 'rgb(255, 255, 255)')
        pdf = base64.b64decode(self.browser.call('Page.printToPDF')['data'])
        self.assertTrue(pdf.startswith(b'%PDF'))

    def test_a_thousand_rounds(self):
        page = self.load('many', 1000)
        self.assertLess(page.stat().st_size, 2_000_000)
        self.assertGreater(self.browser.evaluate("document.querySelectorAll('#rounds svg.wide rect.bar').length"), 100)

    def screenshot(self, name, width):
        if not ARGUMENTS.screenshots:
            return
        height = self.browser.evaluate('document.documentElement.scrollHeight')
        shot = self.browser.call('Page.captureScreenshot', captureBeyondViewport=True, clip={'x': 0, 'y': 0, 'width': width, 'height': height, 'scale': 1})
        Path(ARGUMENTS.screenshots, name).write_bytes(base64.b64decode(shot['data']))


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('tributary')
    parser.add_argument('--screenshots')
    parser.add_argument('--work-dir')
    ARGUMENTS, rest = parser.parse_known_args()
    if browser.find() is None:
        print('there is no Chromium here: apt-get install chromium')
        sys.exit(77)
    unittest.main(argv=sys.argv[:1] + rest)
