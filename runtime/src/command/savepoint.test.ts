// Savepoints of real jobs, as a person has them: `run` and `savepoint` as processes, state in files. Every refusal and every crash in between
// are tested with their parts: savepoint-transfer/, job-manager/import.test.ts.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { SavepointDocument } from '../api/rest.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const keyedCounts = fileURLToPath(new URL('../../test/jobs/keyed-counts.ts', import.meta.url));
/** Only matters when something is broken. */
const deadlineMs = 60_000;

let directory: string;
const running = new Set<ChildProcess>();

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'savepoint-test-'));
});
afterEach(async () => {
  for (const child of running) {
    child.kill('SIGKILL');
  }
  await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(...args: readonly string[]): { readonly child: ChildProcess; readonly end: Promise<Ended> } {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  const end = Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]).then(([[code], stdout, stderr]) => {
    running.delete(child);
    return { code: code as number | null, stdout, stderr };
  });
  return { child, end };
}

/** The result of a command that must succeed, without the line's end. */
async function result(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await start(...args).end;
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

/** A job that counts per key and writes each count down, and what is known of it. */
class CountingJob {
  readonly storage: string;
  readonly lineage: string;
  readonly out: string;
  readonly #args: readonly string[];
  #running: ReturnType<typeof start> | undefined;

  constructor(name: string, ...args: readonly string[]) {
    this.storage = join(directory, name, 'storage');
    this.lineage = join(this.storage, 'default', 'keyed-counts');
    this.out = join(directory, name, 'out');
    this.#args = args;
  }

  start(...more: readonly string[]): void {
    const kept = ['--checkpoint-storage', this.storage, '--checkpoint-interval', '0.2'];
    this.#running = start('run', keyedCounts, '--arg', `out=${this.out}`, '--arg', 'rate=2000', ...kept, ...this.#args, ...more);
  }

  /** Committed output, file by file. */
  async lines(): Promise<readonly string[]> {
    const names = existsSync(this.out) ? (await readdir(this.out)).filter((name) => name.startsWith('part-')) : [];
    const contents = await Promise.all(names.toSorted().map((name) => readFile(join(this.out, name), 'utf8')));
    return contents.flatMap((content) => content.trimEnd().split('\n'));
  }

  async untilMore(than = 0): Promise<void> {
    await this.until(async () => (await this.lines()).length > than, 'nothing was committed');
  }

  /** While it runs; `otherwise` says what is wrong when it is not so in the end. */
  async until(isSo: () => Promise<boolean>, otherwise: string): Promise<void> {
    const startedAtMs = performance.now();
    while (!(await isSo())) {
      assert.equal(this.#running?.child.exitCode, null, (await this.#ended())?.stderr);
      assert.ok(performance.now() - startedAtMs < deadlineMs, otherwise);
      await delay(50);
    }
  }

  async #ended(): Promise<Ended | undefined> {
    return this.#running?.child.exitCode === null ? undefined : await this.#running?.end;
  }

  signal(signal: NodeJS.Signals): void {
    this.#running?.child.kill(signal);
  }

  /** Ends in a savepoint. */
  async stop(): Promise<void> {
    this.#running?.child.kill('SIGINT');
    const ended = await this.#running?.end;
    assert.equal(ended?.code, 0, ended?.stderr);
  }

  async savepoints(): Promise<readonly SavepointDocument[]> {
    return JSON.parse(await result('savepoint', 'ls', this.lineage, '-o', 'json')).savepoints;
  }

  async entryTypes(): Promise<readonly string[]> {
    return (await this.#entries()).map(({ type }) => type);
  }

  /** Its folder in the lineage. */
  async newestCheckpoint(): Promise<string> {
    const newest = (await this.#entries()).findLast(({ type }) => type === 'Completed');
    assert.ok(newest?.manifest !== undefined, 'no checkpoint is complete');
    return dirname(newest.manifest.path);
  }

  /** Of the log, the oldest first. Read directly: to start a command takes its time. */
  async #entries(): Promise<readonly { readonly type: string; readonly manifest?: { readonly path: string } }[]> {
    const log = join(this.lineage, 'lineage');
    const names = (await readdir(log)).filter((name) => name.endsWith('.json')).toSorted();
    return await Promise.all(names.map(async (name) => JSON.parse(await readFile(join(log, name), 'utf8'))));
  }

  async pins(): Promise<readonly unknown[]> {
    return JSON.parse(await result('savepoint', 'ls', this.lineage, '-o', 'json')).pins;
  }
}

/** By key, in the order of their output: `key-3 1`, `key-3 2`, … */
function countsByKey(lines: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const counts = new Map<string, number[]>();
  for (const line of lines) {
    const [key = '', count, inOrder] = line.split(' ');
    assert.equal(inOrder, 'true', line);
    counts.set(key, [...(counts.get(key) ?? []), Number(count)]);
  }
  return counts;
}

/** The second goes on exactly where the first had come to: state and position of the sources were the same. */
function assertContinues(first: readonly string[], second: readonly string[]): void {
  const before = countsByKey(first);
  for (const [key, counts] of countsByKey(second)) {
    const from = before.get(key)?.length ?? 0;
    assert.deepEqual(
      counts,
      counts.map((_count, index) => from + index + 1),
      key,
    );
  }
}

test('a savepoint is exported, moved, and restored at another parallelism when its job and lineage are gone', async () => {
  const first = new CountingJob('first', '--state-backend', 'RocksDB', '--parallelism', '2');
  first.start();
  await first.untilMore();
  await first.stop();
  const [savepoint, ...others] = await first.savepoints();
  assert.equal(others.length, 0);
  assert.ok(savepoint !== undefined);
  assert.deepEqual([savepoint.owner, savepoint.stateFormat, savepoint.released], ['local/default/keyed-counts', 'Native', false]);
  const made = join(directory, 'backup');
  const url = await result('savepoint', 'export', savepoint.location, '--to', made, '--verify');
  assert.equal(url, pathToFileURL(made).href);
  const before = await first.lines();
  await rm(first.storage, { recursive: true });
  const moved = join(directory, 'moved away');
  await cp(made, moved, { recursive: true });
  await rm(made, { recursive: true });

  const second = new CountingJob('second', '--state-backend', 'RocksDB', '--parallelism', '3');
  second.start('--restore', moved);
  await second.untilMore(500);
  await second.stop();
  assertContinues(before, await second.lines());
  // The same command once more: the request is honoured, so the job goes on.
  await rm(moved, { recursive: true });
  const lineCount = (await second.lines()).length;
  second.start('--restore', moved);
  await second.untilMore(lineCount);
  await second.stop();
  assertContinues(before, await second.lines());
});

test('a job is forked from the newest checkpoint of one that runs and subsumes', async () => {
  const owner = new CountingJob('owner', '--state-backend', 'RocksDB');
  owner.start();
  await owner.untilMore();
  const fork = await forkOf(owner);
  await owner.untilMore((await owner.lines()).length);
  // The fork's pin goes while it runs, and nobody waits for that.
  await owner.until(async () => (await owner.pins()).length === 0, 'the pin of the fork stays');
  await Promise.all([owner.stop(), fork.stop()]);
  countsByKey(await owner.lines()).forEach((counts, key) => {
    assert.deepEqual(
      counts,
      counts.map((_count, index) => index + 1),
      key,
    );
  });
  // Its first line per key follows the checkpoint; from there on, no hole.
  countsByKey(await fork.lines()).forEach((counts, key) => {
    const from = counts[0] ?? 0;
    assert.ok(from >= 1);
    assert.deepEqual(
      counts,
      counts.map((_count, index) => from + index),
      key,
    );
  });
});

/** From the newest checkpoint, which its owner, standing still, does not subsume before the fork has pinned it: a busy machine takes its time to start one. */
async function forkOf(owner: CountingJob): Promise<CountingJob> {
  owner.signal('SIGSTOP');
  const head = await owner.newestCheckpoint();
  const fork = new CountingJob('fork', '--state-backend', 'RocksDB');
  fork.start('--restore', join(owner.lineage, head));
  await fork.until(async () => (await owner.entryTypes()).includes('Pinned'), 'the fork pins nothing');
  owner.signal('SIGCONT');
  await fork.untilMore();
  return fork;
}

test('a savepoint stays until it is released, and a job may be seeded with one before its first start', async () => {
  const first = new CountingJob('first');
  first.start();
  await first.untilMore();
  await first.stop();
  const before = await first.lines();
  const [savepoint] = await first.savepoints();
  assert.ok(savepoint !== undefined);
  const seeded = new CountingJob('seeded');
  const owner = ['--owner', 'local/default/keyed-counts'];
  const path = await result('savepoint', 'import', savepoint.location, '--to', seeded.lineage, ...owner);
  assert.match(path, /\/chk-\d{6}-e1$/);
  seeded.start();
  await seeded.untilMore(500);
  await seeded.stop();
  assertContinues(before, await seeded.lines());
  const again = await start('savepoint', 'import', savepoint.location, '--to', seeded.lineage, ...owner).end;
  assert.equal(again.code, 2);
  assert.match(again.stderr, /has state already.*\n.*restore\.path/);

  const lineCount = before.length;
  first.start();
  await first.untilMore(lineCount + 500);
  await first.stop();
  assert.equal((await first.savepoints()).length, 2, 'newer checkpoints subsume no savepoint');
  await result('savepoint', 'release', savepoint.location);
  assert.deepEqual(
    (await first.savepoints()).map(({ released }) => released),
    [true, false],
  );
  first.start();
  const isListed = async () => (await first.savepoints()).some(({ location }) => location === savepoint.location);
  await first.until(async () => !(await isListed()), 'it is not condemned');
  await first.stop();
});

test('what cannot be done says why and what to do', async () => {
  const empty = join(directory, 'empty');
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /what is to be done with a savepoint\?[\s\S]*savepoint export SAVEPOINT --to PLACE/],
    [['lose', empty], /there is no savepoint lose/],
    [['export', empty], /--to is missing/],
    [['export', empty, '--to', join(directory, 'to')], /is no checkpoint or savepoint: there is no _metadata in it/],
    [['ls', empty], /holds no lineage/],
    [['release', empty], /is in no lineage/],
    [['import', empty, '--to', empty, '--owner', 'me'], /is no CLUSTER\/NAMESPACE\/NAME/],
  ];
  for (const [args, message] of cases) {
    const { code, stderr } = await start('savepoint', ...args).end;
    assert.match(stderr, message);
    assert.notEqual(code, 0);
  }
});
