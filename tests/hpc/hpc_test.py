"""deploy/hpc: the scripts parse, say what they would do, and do it, with an ssh that forwards on this machine alone.

hpc_test.py SOURCE-DIR BINARY-DIR
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SOURCE = Path(sys.argv[1])
BINARIES = Path(sys.argv[2])
HPC = SOURCE / 'deploy/hpc'
STUB_SSH = SOURCE / 'tests/hpc/stub-ssh'
SCRIPTS = [HPC / name for name in ('on-node', 'site.sh', 'trainers.slurm', 'trainers.pbs')]

# A trainer that tells its words and ends as it is told.
FAKE_TRAINER = '''#!/usr/bin/env bash
trap 'echo "$$ TERM" >>"$FAKE_LOG"; exit 0' TERM
echo "$$ $*" >>"$FAKE_LOG"
[[ -n ${FAKE_DIES:-} ]] && exit 3
while :; do sleep 0.1; done
'''
FAKE_STATUS = '''#!/usr/bin/env bash
echo "state:  $(cat "$FAKE_STATE")"
'''


class Hpc(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix='tributary-hpc-'))
        self.started = []
        (self.dir / 'path').mkdir()
        (self.dir / 'bin').mkdir()
        (self.dir / 'path/ssh').symlink_to(STUB_SSH)
        self.write('bin/tributary-trainer', FAKE_TRAINER)
        self.write('bin/tributary', FAKE_STATUS)
        # A login shell sets its own PATH.
        self.write('.bash_profile', f'PATH={self.dir}/path:$PATH\n')
        (self.dir / 'state').write_text('running')
        self.env = dict(os.environ, PATH=f'{self.dir}/path:{os.environ["PATH"]}', TMPDIR=str(self.dir), HOME=str(self.dir),
                        STUB_SSH_LOG=str(self.dir / 'ssh.log'), FAKE_LOG=str(self.dir / 'trainer.log'), FAKE_STATE=str(self.dir / 'state'),
                        HPC_BIN=str(self.dir / 'bin'), HPC_WORK=str(self.dir / 'work'), HPC_SITE='cluster',
                        HPC_LOGIN='login', HPC_RESTART_PAUSE='0.1', HPC_LOOK_PAUSE='0.1', SLURM_NODEID='1')

    def tearDown(self):
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        shutil.rmtree(self.dir)

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        path.chmod(0o755)

    def start(self, *words, **env):
        process = subprocess.Popen([str(word) for word in words], env=dict(self.env, **env), start_new_session=True, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.started.append(process)
        return process

    def lines(self, name):
        path = self.dir / name
        return path.read_text().splitlines() if path.exists() else []

    def wait_for(self, what, condition):
        for _ in range(3000):
            if found := condition():
                return found
            time.sleep(0.01)
        logs = [path.read_text() for path in sorted(self.dir.glob('work/*/log'))]
        self.fail(f'never: {what}\n' + '\n'.join(logs))

    def ended(self, process, code=0):
        out, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, code, out)
        self.assertEqual(list(self.dir.glob('tributary.*')), [], 'sockets stay')
        return out

    def test_every_script_parses(self):
        for script in SCRIPTS:
            subprocess.run(['bash', '-n', str(script)], check=True)

    @unittest.skipUnless(shutil.which('shellcheck'), 'no shellcheck here')
    def test_shellcheck_finds_nothing(self):
        subprocess.run(['shellcheck', '-x', '-P', str(SOURCE), *map(str, SCRIPTS)], check=True)

    def test_dry_runs_tell_what_would_start_and_start_nothing(self):
        for script, launcher in (('trainers.slurm', 'srun '), ('trainers.pbs', 'pbsdsh ')):
            process = self.start('bash', HPC / script, '--dry-run', HPC_TRAINERS_PER_NODE='2', HPC_DATA='a=/x b=/y',
                                 HPC_OFFERS='scans=/s', HPC_TRAINER_WORDS='--train-threads 4', HPC_SSH_WORDS='-p 2222')
            out = self.ended(process).splitlines()
            self.assertEqual(len(out), 4, out)
            self.assertTrue(out[0].startswith(launcher), out[0])
            self.assertIn(' -p 2222 ', out[1])
            self.assertRegex(out[1], r'^ssh -N .*-o ExitOnForwardFailure=yes.* -L \S+/coordinator\.sock:\S+:7700 -L \S+/blob-store\.sock:\S+:7710 login $')
            self.assertRegex(out[3], r'--coordinator ipc://\S+/coordinator\.sock .*--site cluster --instance node1-1 ')
            self.assertIn('--data a=/x --data b=/y --offer scans=/s --train-threads 4', out[3])
        self.assertEqual(self.lines('ssh.log'), [])
        self.assertEqual(self.lines('trainer.log'), [])

    def test_a_mistyped_word_is_refused(self):
        process = self.start(HPC / 'on-node', '--dryrun')
        self.assertIn('usage:', self.ended(process, 2))

    def test_both_launchers_run_the_body_and_pass_on_the_end(self):
        # srun runs the step and passes SIGTERM on; pbsdsh runs it, and PBS signals all processes of the job.
        self.write('path/srun', '#!/usr/bin/env bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n')
        self.write('path/pbsdsh', '#!/usr/bin/env bash\nshift\nexec "$@"\n')
        for script in ('trainers.slurm', 'trainers.pbs'):
            (self.dir / 'trainer.log').unlink(missing_ok=True)
            process = self.start('bash', HPC / script, HPC_TRAINERS_PER_NODE='2')
            self.wait_for('two trainers', lambda: len(self.lines('trainer.log')) == 2)
            if script == 'trainers.slurm':
                process.terminate()
            else:
                os.killpg(process.pid, signal.SIGTERM)
            self.ended(process)
            # Each was told, one or more times.
            self.assertEqual(len({line for line in self.lines('trainer.log') if line.endswith(' TERM')}), 2)

    def test_a_launcher_without_its_body_says_so(self):
        process = self.start('bash', HPC / 'trainers.slurm', SLURM_SUBMIT_DIR=str(self.dir))
        self.assertIn('submit from deploy/hpc', self.ended(process, 2))

    def test_what_dies_is_started_again(self):
        process = self.start(HPC / 'on-node')
        first = int(self.wait_for('ssh', lambda: self.lines('ssh.log'))[0].split()[0])
        os.kill(first, signal.SIGKILL)
        self.wait_for('a second ssh', lambda: len(self.lines('ssh.log')) == 2)
        trainer = int(self.lines('trainer.log')[0].split()[0])
        os.kill(trainer, signal.SIGKILL)
        self.wait_for('a second trainer', lambda: len(self.lines('trainer.log')) == 2)
        process.terminate()
        self.ended(process)

    def test_a_trainer_that_cannot_run_is_tried_again_until_the_end(self):
        process = self.start(HPC / 'on-node', FAKE_DIES='1')
        self.wait_for('three trainers', lambda: len(self.lines('trainer.log')) >= 3)
        process.terminate()
        self.ended(process)
        self.assertIn('ended with 3', (self.dir / 'work/node1-0/log').read_text())

    def test_nodes_are_given_back_when_the_job_has_ended(self):
        process = self.start(HPC / 'on-node', HPC_JOB='tune')
        self.wait_for('a trainer', lambda: self.lines('trainer.log'))
        (self.dir / 'state').write_text('completed')
        self.assertIn('job tune is completed', self.ended(process))

    def test_real_trainers_dial_out_through_the_tunnel_and_leave_at_the_end(self):
        def serve(name, *words):
            process = self.start(BINARIES / f'tributary-{name}', '--listen', 'tcp://127.0.0.1:0', '--metrics-address', 'off', *words)
            for line in process.stdout:
                if found := re.search(r'tcp://(127\.0\.0\.1:[1-9]\d*)', line):
                    return found.group(1)
            return self.fail(f'{name} does not serve')

        store = serve('blob-store', '--data-dir', self.dir / 'blobs')
        coordinator = serve('coordinator', '--state-dir', self.dir / 'state-dir', '--blob-store', f'tcp://{store}')
        scans = self.dir / 'scans'
        scans.write_bytes(os.urandom(3_000_000))
        process = self.start(HPC / 'on-node', HPC_BIN=str(BINARIES), HPC_COORDINATOR=coordinator, HPC_BLOB_STORE=store,
                             HPC_OFFERS=f'scans={scans}')

        def offers():
            words = [str(BINARIES / 'tributary'), 'offers', '--coordinator', f'tcp://{coordinator}']
            return subprocess.run(words, capture_output=True, text=True, check=True).stdout

        self.wait_for('the offer', lambda: re.search(r'^cluster +scans +1 trainer$', offers(), re.MULTILINE))
        # Its bytes come through the tunnel too.
        subprocess.run([str(BINARIES / 'tributary'), 'get', '--from', 'cluster', 'scans', str(self.dir / 'copy'), '--coordinator',
                        f'tcp://{coordinator}'], check=True, capture_output=True)
        self.assertEqual((self.dir / 'copy').read_bytes(), scans.read_bytes())
        # To all processes at once, as batch systems do. The trainer has left, and not only fallen silent: that would take 15 s to tell.
        os.killpg(process.pid, signal.SIGTERM)
        self.ended(process)
        self.assertEqual(offers(), '')


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2)
