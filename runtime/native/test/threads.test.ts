// Several threads, and the ends of threads and processes: nothing crashes, nothing stays open. Each case is a process of its own, because a crash would
// take the test with it; it must end with code 0, not by a signal.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newPath, skip } from './native-fixture.ts';

const program = fileURLToPath(new URL('thread-cases.ts', import.meta.url));

/** For a hang, not for a slow machine. */
const caseTimeoutMs = 180_000;

/** What the process printed. `prefix`: a command that runs it. `onPrinted` is told when it printed something. */
async function runCase(name: string, prefix: readonly string[] = [], onPrinted = () => {}): Promise<string> {
  const [command = '', ...args] = [...prefix, process.execPath, program, name, newPath()];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: caseTimeoutMs });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output.stdout += chunk;
    onPrinted();
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    output.stderr += chunk;
  });
  const ended = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  assert.deepEqual(ended, { code: 0, signal: null }, `${name}: ${output.stdout}${output.stderr}`);
  return output.stdout.trim();
}

test('threads have databases of their own and one memory', { skip }, async () => {
  const usage = JSON.parse(await runCase('shared-memory')) as { alone: number; together: number; later: string };
  assert.ok(usage.together > usage.alone, `both threads' memtables are seen: ${JSON.stringify(usage)}`);
  assert.equal(usage.later, 'MemoryAlreadyConfigured');
});

test('a thread that is terminated leaves nothing open, whatever is under way', { skip }, async () => {
  assert.equal(await runCase('terminate'), 'opened again 10 times');
});

test('a thread that ends by itself closes what it left open', { skip }, async () => {
  assert.equal(await runCase('forget'), 'opened again');
});

test('a thread ends also when a file hangs, and leaves that database alone', { skip }, async () => {
  assert.equal(await runCase('hang'), 'Busy');
});

test('process.exit in the middle of everything', { skip }, async () => {
  let exitingAtMs = 0;
  const note = (): void => {
    exitingAtMs = performance.now();
  };
  assert.equal(await runCase('exit', [], note), 'exiting');
  // The addon waits ten seconds at most for what it told to stop; here it must stop.
  assert.ok(performance.now() - exitingAtMs < 9000, 'something did not stop');
});

test('process.exit with threads at work', { skip }, async () => {
  assert.equal(await runCase('exit-with-threads'), 'exiting');
});

test('a process ends by itself with databases, iterators and snapshots open', { skip }, async () => {
  assert.equal(await runCase('leave-open'), 'left');
});

test('an idle database does not keep the process, a call under way does', { skip }, async () => {
  assert.equal(await runCase('keep-alive'), 'flushed');
});

test('an idle database that holds most of the memory is flushed to make room for another', { skip }, async () => {
  const { idleFiles, activeFiles } = JSON.parse(await runCase('make-room')) as { idleFiles: number; activeFiles: number };
  assert.ok(idleFiles >= 1, 'the idle one was flushed');
  assert.ok(activeFiles < 20, `the active one was not flushed after every batch: ${activeFiles} files`);
});

test('a disk that takes no more is an error of flush and of writes, and nothing waits for it', { skip }, async () => {
  // Without the signal that would end the process, a write past the limit fails.
  const limited = ['sh', '-c', 'trap "" XFSZ; ulimit -f 1000; exec "$0" "$@"'];
  assert.match(await runCase('disk-fails', limited), /^IOError (IOError|Corruption)$/);
});
