// What a platform has done with savepoints while no JobManager runs: the command as a process, on savepoints that a real job took. The steps in the log and
// their races are tested in janitor/ and savepoint-transfer/.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { SavepointTask, SavepointTaskResult } from '../api/process-config.ts';
import { manifestFiles } from '../core/checkpoint/assemble-manifest.ts';
import { parseManifest } from '../core/checkpoint/manifest-format.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const paddedCounts = fileURLToPath(new URL('../../test/jobs/padded-counts.ts', import.meta.url));
/** Only matters when something is broken. */
const deadlineMs = 60_000;

let directory: string;
/** URLs of the savepoints that the job was stopped with, the older one first. */
let savepoints: readonly string[];

const storageOf = (name: string) => pathToFileURL(join(directory, name)).href;
const lineage = () => join(directory, 'storage', 'default', 'padded-counts');

function start(...args: readonly string[]) {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const end = Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]).then(([[code], stdout, stderr]) => ({
    ...{ code: code as number | null, stdout, stderr },
  }));
  return { child, end };
}

/** Until it has committed output of its own and `isEnough`, and to the end, which is a savepoint. */
async function runJob(out: string, isEnough: () => Promise<boolean>): Promise<void> {
  const place = [
    '--checkpoint-storage',
    join(directory, 'storage'),
    '--checkpoint-interval',
    '0.2',
    '--state-backend',
    'RocksDB',
  ];
  const { child, end } = start(
    'run',
    paddedCounts,
    '--arg',
    `out=${out}`,
    '--arg',
    'rate=2000',
    '--arg',
    'count=10000000',
    ...place,
  );
  const startedAtMs = performance.now();
  while ((await committedCount(out)) < 800 || !(await isEnough())) {
    assert.ok(child.exitCode === null && performance.now() - startedAtMs < deadlineMs, 'too little was committed');
    await delay(50);
  }
  child.kill('SIGINT');
  const { code, stderr } = await end;
  assert.equal(code, 0, stderr);
}

async function committedCount(out: string): Promise<number> {
  const names = existsSync(out) ? (await readdir(out)).filter((name) => name.startsWith('part-')) : [];
  const contents = await Promise.all(names.map((name) => readFile(join(out, name), 'utf8')));
  return contents.join('').split('\n').length;
}

/** The state files that the checkpoint in a folder names. */
async function filesIn(folder: string): Promise<readonly string[]> {
  const path = join(folder, '_metadata');
  return manifestFiles(parseManifest(await readFile(path), path)).map((file) => file.path);
}

/** More than the engine retains: what lies before them is condemned. */
const newestCount = 5;

/** Whether RocksDB has compacted away some table of `savepoint`, and no checkpoint that is still needed names it. */
async function isCompactedSince(savepoint: string): Promise<boolean> {
  const folders = (await readdir(lineage())).filter((name) => name.startsWith('chk-')).toSorted();
  const newest = folders.slice(-newestCount).filter((folder) => existsSync(join(lineage(), folder, '_metadata')));
  const named = (await Promise.all(newest.map((folder) => filesIn(join(lineage(), folder))))).flat();
  const tables = await filesIn(fileURLToPath(savepoint));
  return named.length > 0 && tables.some((table) => !named.includes(table));
}

async function locations(): Promise<readonly string[]> {
  const { stdout } = await start('savepoint', 'ls', lineage(), '-o', 'json').end;
  return JSON.parse(stdout).savepoints.map(({ location }: { readonly location: string }) => location);
}

async function run(task: SavepointTask, job: { readonly name?: string; readonly module?: string } = {}) {
  const { name = 'padded-counts', module = paddedCounts } = job;
  const config = join(directory, 'task.json');
  const source = { module, args: { out: join(directory, 'unused'), count: '10000000' }, parallelism: 1, maxParallelism: 128 };
  const place = { checkpointStorage: storageOf('storage'), namespace: 'default', name, clusterId: 'local' };
  await writeFile(config, JSON.stringify({ job: source, lineage: place, stateBackend: 'RocksDB', task }));
  const answer = join(directory, 'answer.json');
  const { code, stdout, stderr } = await start('savepoint-task', '--config', config, '--json', '--result-file', answer).end;
  assert.equal(await readFile(answer, 'utf8'), stdout.trim(), stderr);
  return { code, result: JSON.parse(stdout) as SavepointTaskResult };
}

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'savepoint-task-test-'));
  await runJob(join(directory, 'first'), async () => true);
  const [first = ''] = await locations();
  await runJob(join(directory, 'second'), () => isCompactedSince(first));
  savepoints = await locations();
  assert.equal(savepoints.length, 2);
});
after(() => rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));

const [older, newest] = [() => savepoints[0] ?? '', () => savepoints[1] ?? ''];

test('of a closed lineage that is found which it was closed with', async () => {
  const { code, result } = await run({ type: 'Find', operationIds: ['never-begun'] });
  assert.equal(code, 0);
  assert.deepEqual([result.savepoint?.location, result.savepoint?.kind], [newest(), 'Savepoint']);
  const elsewhere = await run({ type: 'Find', operationIds: ['never-begun'] }, { name: 'nobody' });
  assert.deepEqual(elsewhere.result, { ok: true });
});

test('a drill reads every row, and says what was read', async () => {
  const { code, result } = await run({ type: 'Drill', location: newest() });
  assert.equal(code, 0, JSON.stringify(result.problem));
  // A count for most of 400 keys, and the positions of 4 splits, at least.
  assert.ok((result.drill?.rowCount ?? 0) >= 300, JSON.stringify(result.drill));
  assert.ok((result.drill?.fileCount ?? 0) > 0);
});

test('a drill finds one damaged byte in one file', async () => {
  const copy = join(directory, 'copy');
  assert.equal((await start('savepoint', 'export', newest(), '--to', copy).end).code, 0);
  const [name = ''] = (await readdir(join(copy, 'state'))).filter((each) => each.endsWith('.sst'));
  const file = join(copy, 'state', name);
  const bytes = await readFile(file);
  bytes[10] = (bytes[10] ?? 0) ^ 1;
  // The export may be hard links to what is in the lineage.
  await rm(file);
  await writeFile(file, bytes);
  const { code, result } = await run({ type: 'Drill', location: pathToFileURL(copy).href });
  assert.equal(code, 2);
  assert.equal(result.problem?.code, 'CheckpointDamaged', JSON.stringify(result));
  assert.match(result.problem?.message ?? '', new RegExp(name));
});

test('a drill refuses a savepoint that the graph of the job cannot start from', async () => {
  const other = fileURLToPath(new URL('../../test/jobs/count-words.ts', import.meta.url));
  const { code, result } = await run({ type: 'Drill', location: newest() }, { module: other });
  assert.equal(code, 2);
  assert.equal(result.problem?.retry, 'never');
});

test('a savepoint is imported into the lineage of a job without state, once', async () => {
  const task = { type: 'Import', path: newest(), token: 'import-1' } as const;
  const { code, result } = await run(task, { name: 'seeded' });
  assert.equal(code, 0, JSON.stringify(result.problem));
  assert.match(result.savepoint?.location ?? '', /\/default\/seeded\/chk-\d{6}-e1$/);
  assert.deepEqual((await run(task, { name: 'seeded' })).result, result, 'the same request finds what it has done');
  const again = await run({ ...task, token: 'import-2' }, { name: 'seeded' });
  assert.equal(again.result.problem?.code, 'LineageInUse');
  assert.match(again.result.problem?.message ?? '', /\/default\/seeded has state already, up to chk-\d{6}-e1$/);
  assert.match(
    again.result.problem?.remedy ?? '',
    /restore\.from: Path, .* restore\.path and a restore\.token .* a job of another name\.$/,
  );
  assert.equal((await run({ type: 'Drill', location: result.savepoint?.location ?? '' }, { name: 'seeded' })).code, 0);
});

test('what is disposed is gone with all that only it named, and the head stays', async () => {
  const dispose = (location: string) => run({ type: 'Dispose', location, deleteGraceSeconds: 0 });
  const [named, kept] = await Promise.all([older(), newest()].map((savepoint) => filesIn(fileURLToPath(savepoint))));
  const { code, result } = await dispose(older());
  assert.equal(code, 0, JSON.stringify(result.problem));
  assert.equal(result.disposed?.isGone, true);
  const gone = named?.filter((file) => !existsSync(join(lineage(), file))) ?? [];
  assert.ok(gone.length > 0, 'there were tables that only this one named');
  assert.ok((result.disposed?.deletedCount ?? 0) > gone.length, 'its manifest, too');
  assert.deepEqual(
    gone.filter((file) => kept?.includes(file)),
    [],
  );
  assert.equal(existsSync(fileURLToPath(older())), false);
  assert.equal((await dispose(older())).result.disposed?.isGone, true, 'once more does no harm');
  assert.equal((await dispose(newest())).result.disposed?.isGone, false, 'a start restores it');
  assert.equal((await run({ type: 'Drill', location: newest() })).code, 0);
  const check = await start('lineage', 'check', lineage()).end;
  assert.equal(check.code, 0, check.stdout);
});
