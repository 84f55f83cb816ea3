// The command `run` as a process: exit codes, Ctrl-C, continuing, what is left behind. The job's semantics are tested with the TaskManager.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const keyedCounts = fileURLToPath(new URL('../../test/jobs/keyed-counts.ts', import.meta.url));

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'run-test-'));
  await mkdir(join(directory, 'tmp'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

interface Running {
  readonly process: ChildProcess;
  readonly end: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
}

function run(...args: readonly string[]): Running {
  return runWith({}, ...args);
}

function runWith(environment: Readonly<Record<string, string>>, ...args: readonly string[]): Running {
  const child = spawn(process.execPath, [main, 'run', ...args], {
    env: { ...process.env, TMPDIR: join(directory, 'tmp'), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end = Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]).then(([[code], stdout, stderr]) => ({
    code: code as number | null,
    stdout,
    stderr,
  }));
  return { process: child, end };
}

const out = () => join(directory, 'out');

async function committedLines(): Promise<readonly string[]> {
  const names = existsSync(out()) ? (await readdir(out())).filter((name) => name.startsWith('part-')) : [];
  // By checkpoint; at parallelism 1 that is the order of the records.
  const contents = await Promise.all(names.toSorted().map((name) => readFile(join(out(), name), 'utf8')));
  return contents.flatMap((content) => content.trimEnd().split('\n'));
}

/** Until something is committed, so that a signal meets a job that runs. */
async function untilCommitted(lineCount: number): Promise<void> {
  while ((await committedLines()).length <= lineCount) {
    await delay(50);
  }
}

/** Each key's counts go on from what it had `before`, in order. */
function assertWhole(lines: readonly string[], before: ReadonlyMap<string, number> = new Map()): void {
  const counts = new Map(before);
  for (const line of lines) {
    const [key = ''] = line.split(' ');
    const count = (counts.get(key) ?? 0) + 1;
    assert.equal(line, `${key} ${count} true`);
    counts.set(key, count);
  }
}

function countByKey(lines: readonly string[]): ReadonlyMap<string, number> {
  return new Map(lines.map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]));
}

test('a finite job ends with exit code 0, all output committed and nothing left in the temporary directory', async () => {
  const { code, stderr } = await run(keyedCounts, '--arg', `out=${out()}`, '--arg', 'count=1000', '--parallelism', '2').end;
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.equal((await committedLines()).length, 1000);
  assert.deepEqual(await readdir(join(directory, 'tmp')), []);
});

test('Ctrl-C with a checkpoint storage stops with a savepoint, and running it again continues; --fresh does not', async () => {
  const storage = join(directory, 'storage');
  const args = [keyedCounts, '--arg', `out=${out()}`, '--checkpoint-storage', storage, '--checkpoint-interval', '0.2'];
  let lineCount = 0;
  for (let round = 0; round < 2; round++) {
    const { process: child, end } = run(...args);
    await untilCommitted(lineCount);
    child.kill('SIGINT');
    const { code, stderr } = await end;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /stopped with a savepoint/);
    const lines = await committedLines();
    assertWhole(lines);
    lineCount = lines.length;
  }
  // What was written is its reader's: taking it away while the job is stopped does not keep the job from going on.
  const before = countByKey(await committedLines());
  await rm(out(), { recursive: true });
  const emptied = run(...args);
  await untilCommitted(0);
  emptied.process.kill('SIGINT');
  const { code, stderr } = await emptied.end;
  assert.equal(code, 0, stderr);
  assertWhole(await committedLines(), before);

  await rm(out(), { recursive: true });
  const fresh = run(...args, '--fresh');
  await untilCommitted(0);
  fresh.process.kill('SIGINT');
  await fresh.end;
  assertWhole(await committedLines());
});

test('Ctrl-C without a checkpoint storage cancels and removes the temporary directory', async () => {
  const { process: child, end } = run(keyedCounts, '--arg', `out=${out()}`, '--checkpoint-interval', '0.2');
  await untilCommitted(0);
  child.kill('SIGINT');
  assert.equal((await end).code, 130);
  assert.deepEqual(await readdir(join(directory, 'tmp')), []);
});

test('a job that fails ends with exit code 1 and says where', async () => {
  for (const [fault, message] of [
    ['poison=key-1/3', /map.*poisoned by key-1\/3/],
    ['stray=key-1/3', /a stray promise of key-1\/3/],
  ] as const) {
    const { code, stderr } = await run(keyedCounts, '--arg', `out=${out()}`, '--arg', 'count=1000', '--arg', fault).end;
    assert.equal(code, 1);
    assert.match(stderr, message);
    assert.match(stderr, /keyed-counts\.ts:\d+/);
  }
});

test('what can never work ends with exit code 2 and says what to do', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /the job module is missing/],
    [[join(directory, 'missing.ts')], /there is no job module .*missing\.ts/],
    [[keyedCounts], /fileSink: option 'path' is not set.*\n.*is the argument missing\?/],
    [[keyedCounts, '--arg', 'out'], /--arg must be NAME=VALUE, not 'out'/],
    [[keyedCounts, '--parallelism', 'two'], /--parallelism must be a whole number/],
    [[keyedCounts, '--fresh'], /--fresh means something only with --checkpoint-storage/],
    [[keyedCounts, '--paralelism', '2'], /--paralelism/],
  ];
  for (const [args, message] of cases) {
    const { code, stderr } = await run(...args).end;
    assert.match(stderr, message);
    assert.equal(code, 2, args.join(' '));
  }
});

test('without the addon RocksDB is refused by name, and state in memory needs none', async () => {
  const withoutAddon = { FLINKJOB_NATIVE: join(directory, 'none.node') };
  const job = [keyedCounts, '--arg', 'count=10', '--arg', `out=${out()}`];
  const refused = await runWith(withoutAddon, ...job, '--state-backend', 'RocksDB').end;
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /none\.node \(not there\) \[RocksDbNotAvailable\]\n {2}Use the state backend HashMap/);
  assert.doesNotMatch(refused.stderr, /\n {4}at /, 'no stack: nothing is wrong with the program');
  assert.equal((await runWith(withoutAddon, ...job).end).code, 0);
});
