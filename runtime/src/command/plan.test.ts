// `plan` over real job modules and a real directory: every reason for which a revision cannot start, found before anything is touched. The
// mapping of state itself has its own table.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { jobManagerConfig } from '../../test/fakes/job-manager-harness.ts';
import { openCheckpointStorage } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { referenceTo } from '../checkpoint-storage/verified-objects.ts';
import type { OperatorState } from '../core/checkpoint/manifest.ts';
import { encodeManifest } from '../core/checkpoint/manifest-format.ts';
import { keyGroupHash } from '../core/key-groups/key-group.ts';
import { LineageLog } from '../job-manager/lineage-log.ts';
import { openRequest } from '../job-manager/open-lineage.ts';
import { systemClock } from '../system-clock.ts';
import { PlanProcessConfig, plan } from './plan.ts';

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'plan-'));
});
after(() => rm(directory, { recursive: true }));

const countJob = `
import { datagen, defineJob, keyedProcess, print, state, t } from '@flinkjob/runtime';
const count = keyedProcess({
  state: { count: state.value(t.int) },
  element(event, ctx, { count }) { count.set((count.get() ?? 0) + 1); },
});
export default defineJob(({ env }) => {
  env.source(datagen({ seed: 1, count: 10 }), { uid: 'events' })
    .keyBy((event) => event.key, t.string)
    .process(count, { uid: 'UID', type: t.string })
    .sink(print(), { uid: 'out' });
});
`;

async function moduleOf(name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

function config(name: string, module: string) {
  const base = jobManagerConfig();
  const checkpointStorage = pathToFileURL(join(directory, 'storage')).href;
  return {
    ...base,
    job: { ...base.job, module },
    lineage: { ...base.lineage, checkpointStorage, name },
    ...{ rest: undefined, rpc: undefined, addressFile: undefined },
  };
}

/** A lineage with one checkpoint that holds keyed state of `counts` in a file. */
async function writeLineage(name: string): Promise<string> {
  const started = config(name, '');
  const storage = openCheckpointStorage(started.lineage.checkpointStorage, started.lineage);
  let nonce = 0;
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const lineage = await LineageLog.read({ storage, clock: systemClock, nonce: () => `n${++nonce}`, log });
  await lineage.open(openRequest({ config: started }, storage.url));
  const path = 'chk-000001-e1/state';
  const bytes = new Uint8Array(64);
  await storage.putIfAbsent(path, bytes);
  const none = { keyed: undefined, splits: undefined, positionType: undefined, committables: undefined };
  const counts: OperatorState = {
    ...{ ...none, uid: 'counts', name: 'counts', parallelism: 1, maxParallelism: 128 },
    keyed: {
      description: {
        keyType: { type: 'string' },
        states: [{ name: 'count', stateType: 'value', valueType: { type: 'int' } }],
        timers: false,
      },
      keyGroupHash,
      parts: [
        {
          backend: 'HashMap',
          files: [],
          keyGroups: { first: 0, last: 127 },
          handle: { type: 'file', ...referenceTo(path, bytes) },
        },
      ],
    },
  };
  const manifest = encodeManifest({
    ...{ format: 1, checkpointId: 1, epoch: 1, executionAttempt: 1, triggeredAtMs: 0, kind: 'Checkpoint', jobName: 'job' },
    operators: [counts],
  });
  await storage.putIfAbsent('chk-000001-e1/_metadata', manifest);
  await lineage.append({
    ...{ type: 'Completed', checkpointId: 1, kind: 'Checkpoint', stateSizeBytes: 64, triggeredAtMs: 0, operationId: undefined },
    manifest: referenceTo('chk-000001-e1/_metadata', manifest),
  });
  return join(directory, 'storage', 'default', name);
}

async function everyFile(root: string): Promise<readonly string[]> {
  const found = await readdir(root, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

test('a checkpoint of another lineage would be imported: what, how much, and whether the job can read it', async () => {
  const other = await writeLineage('source');
  const url = pathToFileURL(join(other, 'chk-000001-e1')).href;
  const asking = (text: string, path = url) =>
    moduleOf(`fork-${text.length}.mjs`, text).then((module) => ({
      ...config('fork', module),
      restore: { from: 'Path', path, token: 'fork' } as const,
    }));
  const before = await everyFile(join(directory, 'storage'));
  const result = await plan(await asking(countJob.replace('UID', 'counts')));
  assert.deepEqual(result.problems, []);
  assert.deepEqual(result.import, { url, fileCount: 1, sizeBytes: 64 });
  assert.equal(result.lineage.restorePath, url);
  assert.deepEqual(
    result.restore.map(({ uid, action }) => `${uid} ${action}`),
    ['events New', 'counts Restore', 'out New'],
  );
  const incompatible = await plan(await asking(countJob.replace('UID', 'renamed')));
  assert.equal(incompatible.ok, false);
  const nowhere = await plan(await asking(countJob.replace('UID', 'counts'), `${url}-none`));
  assert.deepEqual(
    nowhere.problems.map(({ code }) => code),
    ['RestoreSourceNotFound'],
  );
  assert.deepEqual(await everyFile(join(directory, 'storage')), before, 'nothing is pinned, copied or opened for a plan');
});

test('a job without a lineage can start from nothing', async () => {
  const module = await moduleOf('fresh.mjs', countJob.replace('UID', 'counts'));
  const result = await plan(config('fresh', module));
  assert.deepEqual(result.problems, []);
  assert.equal(result.ok, true);
  assert.equal(result.slotsRequired, 2);
  assert.equal(result.lineage.restorePath, undefined);
  assert.match(result.jobGraphHash ?? '', /^[0-9a-f]{64}$/);
});

test('a job with a checkpoint restores it, and nothing is written', async () => {
  const root = await writeLineage('known');
  const files = await everyFile(root);
  const module = await moduleOf('known.mjs', countJob.replace('UID', 'counts'));
  const result = await plan(config('known', module));
  assert.deepEqual(result.problems, []);
  assert.deepEqual(result.lineage, {
    attemptNumber: 1,
    attemptToken: 'attempt-1',
    epoch: 1,
    restorePath: 'chk-000001-e1',
    owner: 'test/default/known',
  });
  assert.deepEqual(
    result.restore.map(({ uid, action }) => `${uid} ${action}`),
    ['events New', 'counts Restore', 'out New'],
  );
  assert.deepEqual(result.startsEmpty, ['events'], 'a sink with nothing pending misses nothing');
  // One file, read by both subtasks.
  assert.equal(result.bytesToMove, 128);
  assert.deepEqual(await everyFile(root), files);
});

test('what is newer than the state that was asked for is named, because the job does not continue from it', async () => {
  await writeLineage('rewound');
  const other = pathToFileURL(join(await writeLineage('backup'), 'chk-000001-e1')).href;
  const module = await moduleOf('rewound.mjs', countJob.replace('UID', 'counts'));
  const asking = { none: { from: 'None', token: 'a' }, backup: { from: 'Path', path: other, token: 'b' } } as const;
  for (const restore of Object.values(asking)) {
    const { lineage, problems } = await plan({ ...config('rewound', module), restore });
    assert.deepEqual([problems, lineage.setsAside], [[], 'chk-000001-e1']);
  }
  const newest = await plan({ ...config('rewound', module), restore: { from: 'Path', path: 'chk-000001-e1', token: 'c' } });
  assert.equal(newest.lineage.setsAside, undefined);
});

test('a uid that vanished is named', async () => {
  await writeLineage('renamed');
  const module = await moduleOf('renamed.mjs', countJob.replace('UID', 'counts2'));
  const { ok, problems } = await plan(config('renamed', module));
  assert.equal(ok, false);
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['OperatorMissingInJob'],
  );
});

test('a state file that is shorter than its checkpoint says, and one that is gone, is named', async () => {
  const root = await writeLineage('damaged');
  const module = await moduleOf('damaged.mjs', countJob.replace('UID', 'counts'));
  await truncate(join(root, 'chk-000001-e1/state'), 10);
  const shorter = await plan(config('damaged', module));
  assert.deepEqual(
    shorter.problems.map(({ code }) => code),
    ['CheckpointDamaged'],
  );
  assert.match(shorter.problems[0]?.message ?? '', /chk-000001-e1\/state has 10 bytes.*64/);
  await rm(join(root, 'chk-000001-e1/state'));
  const missing = await plan(config('damaged', module));
  assert.match(missing.problems[0]?.message ?? '', /chk-000001-e1\/state is missing/);
});

test('a corrupt manifest is named', async () => {
  const root = await writeLineage('corrupt');
  const module = await moduleOf('corrupt.mjs', countJob.replace('UID', 'counts'));
  await truncate(join(root, 'chk-000001-e1/_metadata'), 20);
  const { problems } = await plan(config('corrupt', module));
  assert.match(problems[0]?.message ?? '', /chk-000001-e1\/_metadata/);
});

test('a module that throws and a storage that cannot be written are both said at once', async () => {
  const module = await moduleOf('throws.mjs', "throw new Error('no luck');");
  const blocked = await moduleOf('a-file', '');
  const broken = config('throws', module);
  const lineage = { ...broken.lineage, checkpointStorage: pathToFileURL(blocked).href };
  const { ok, problems } = await plan({ ...broken, lineage });
  assert.equal(ok, false);
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['ModuleFailed', 'CheckpointStorageNotWritable'],
  );
  assert.ok(problems.every(({ remedy }) => remedy !== undefined));
});

test('TaskManagers with too little memory are named before any is started', async () => {
  const asked = config('small', await moduleOf('small.ts', countJob.replace('UID', 'counts')));
  const small = { ...asked, taskManager: { slots: 1, memorySizeBytes: 100 * 1024 * 1024 } };
  const result = await plan(PlanProcessConfig.parse(small));
  assert.equal(result.ok, false);
  assert.deepEqual(
    result.problems.map(({ code }) => code),
    ['MemoryTooSmall'],
  );
  assert.match(result.problems[0]?.message ?? '', /^100 MiB of memory are too little for a TaskManager with 1 thread and/);
  const enough = { ...asked, taskManager: { slots: 1, memorySizeBytes: 1024 * 1024 * 1024 } };
  assert.deepEqual((await plan(PlanProcessConfig.parse(enough))).problems, []);
});

test("another cluster's lineage and an unknown restore path are refused", async () => {
  await writeLineage('owned');
  const module = await moduleOf('owned.mjs', countJob.replace('UID', 'counts'));
  const mine = config('owned', module);
  const other = await plan({ ...mine, lineage: { ...mine.lineage, clusterId: 'other' } });
  assert.deepEqual(
    other.problems.map(({ code }) => code),
    ['LineageOwnedByAnother'],
  );
  const unknown = await plan({ ...mine, restore: { from: 'Path', path: 'chk-000009-e1', token: 't' } });
  assert.deepEqual(
    unknown.problems.map(({ code }) => code),
    ['RestorePathUnknown'],
  );
});
