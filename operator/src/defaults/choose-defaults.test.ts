import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Revision } from '../flink-job/revision.ts';
import { chooseDefaults } from './choose-defaults.ts';
import type { SpecDefaults } from './merge-defaults.ts';
import type { NamespaceDefaults } from './parse-defaults.ts';

// Which defaults count for a FlinkJob, and when others do. How they are merged is in merge-defaults.test.ts.

const none: NamespaceDefaults = { state: 'None' };
const problem = { code: 'DefaultsUnusable', message: 'bad', remedy: 'Correct it.' };
const unusable: NamespaceDefaults = { state: 'Unusable', problem };
const every = (intervalSeconds: number): NamespaceDefaults => ({ state: 'Usable', spec: { checkpoints: { intervalSeconds } } });

const words = (more: object = {}, job: object = {}): SpecDefaults => ({
  job: { module: '/app/words.js', ...job },
  state: { checkpointStorage: 's3://bucket' },
  ...more,
});

function chosen(spec: unknown, latest: NamespaceDefaults, known: readonly (Revision | undefined)[] = [], isResumed = false) {
  return chooseDefaults({ flinkJob: { spec, metadata: {} }, known, latest, isResumed });
}

function built(spec: unknown, latest: NamespaceDefaults, known: readonly (Revision | undefined)[] = []): Revision {
  const { desired } = chosen(spec, latest, known);
  assert.ok(desired.valid);
  return desired.revision;
}

test('a FlinkJob that is new takes the defaults in, and its revision keeps what it was built with', () => {
  const { desired, standing } = chosen(words(), every(30));
  assert.ok(desired.valid);
  assert.equal(desired.revision.spec.checkpoints.intervalSeconds, 30);
  assert.deepEqual(desired.revision.defaults, { checkpoints: { intervalSeconds: 30 } });
  assert.deepEqual(standing, { state: 'TakenIn' });
});

test('what the FlinkJob says itself counts, also when it is what would be filled in', () => {
  assert.equal(built(words({ checkpoints: { intervalSeconds: 10 } }), every(30)).spec.checkpoints.intervalSeconds, 10);
});

test('without defaults a revision has the name and the content that it always had', () => {
  const revision = built(words(), none);
  assert.ok(!('defaults' in revision));
  assert.equal(chosen(words(), none).standing, undefined);
  // The same spec by other means is the same revision.
  assert.equal(built(words({ checkpoints: { intervalSeconds: 30 } }), none).name, built(words(), every(30)).name);
});

test('defaults that change, go or come change no job, and it is said what the next change takes in', () => {
  const current = built(words(), every(30));
  for (const [latest, changes] of [
    [every(60), ['spec.checkpoints.intervalSeconds']],
    [none, ['spec.checkpoints.intervalSeconds']],
  ] as const) {
    const { desired, standing } = chosen(words(), latest, [current]);
    assert.ok(desired.valid);
    assert.equal(desired.revision.name, current.name);
    assert.deepEqual(desired.revision.defaults, current.defaults);
    assert.deepEqual(standing, { state: 'Changed', changes });
  }
  const bare = built(words(), none);
  assert.deepEqual(chosen(words(), every(60), [bare]).standing, {
    state: 'Changed',
    changes: ['spec.checkpoints.intervalSeconds'],
  });
});

test('defaults that change only what the FlinkJob says itself are taken in', () => {
  const spec = words({ checkpoints: { intervalSeconds: 10 } });
  assert.deepEqual(chosen(spec, every(60), [built(spec, every(30))]).standing, { state: 'TakenIn' });
});

test('a change of the spec that starts the job anew takes the new defaults in', () => {
  const current = built(words(), every(30));
  for (const spec of [words({}, { parallelism: 2 }), words({ restartNonce: 1 }), words({ image: 'words:2' })]) {
    assert.equal(built(spec, every(60), [current]).spec.checkpoints.intervalSeconds, 60);
  }
});

test('a change that touches nothing that runs, and a suspension, take none in', () => {
  const current = built(words(), every(30));
  for (const spec of [words({ upgrade: { mode: 'LastState' } }), words({}, { desiredState: 'Suspended' })]) {
    const revision = built(spec, every(60), [current]);
    assert.equal(revision.spec.checkpoints.intervalSeconds, 30);
    assert.equal(revision.name, current.name);
  }
  assert.equal(built(words({ upgrade: { mode: 'LastState' } }), every(60), [current]).spec.upgrade.mode, 'LastState');
});

test('a job that was suspended takes them in when it is wanted again, and not before', () => {
  const current = built(words(), every(30));
  const intervalOf = (desiredState: string) => {
    const { desired } = chosen(words({}, { desiredState }), every(60), [current], true);
    return desired.valid && desired.revision.spec.checkpoints.intervalSeconds;
  };
  assert.equal(intervalOf('Suspended'), 30);
  assert.equal(intervalOf('Running'), 60);
});

test('a revision that was rolled back stays rolled back when the defaults change', () => {
  const stable = built(words(), every(30));
  const rejected = built(words({ image: 'words:2' }), every(60), [stable]);
  assert.equal(built(words({ image: 'words:2' }), every(90), [stable, rejected]).name, rejected.name);
});

test('a spec that was written back from an older revision is that revision, whatever the defaults are by now', () => {
  const older = built(words(), { state: 'Usable', spec: { podTemplate: { env: [{ name: 'A', value: '1' }] } } });
  const newer = built(words({ image: 'words:2' }), none, [older]);
  const latest: NamespaceDefaults = { state: 'Usable', spec: { podTemplate: { env: [{ name: 'B', value: '2' }] } } };
  const writtenBack = JSON.parse(JSON.stringify(older.spec));
  assert.equal(built(writtenBack, latest, [newer, undefined, older]).name, older.name);
  // Without the mark it is a change like any other.
  assert.notEqual(built(writtenBack, latest, [newer]).name, older.name);
});

test('defaults that cannot be used leave a job as it is, and hold up one that needs them', () => {
  const current = built(words(), every(30));
  const running = chosen(words(), unusable, [current]);
  assert.ok(running.desired.valid);
  assert.equal(running.desired.revision.name, current.name);
  assert.deepEqual(running.standing, { state: 'Unusable', problem });
  for (const [spec, known] of [
    [words(), []],
    [words({ image: 'words:2' }), [current]],
  ] as const) {
    assert.deepEqual(chosen(spec, unusable, known).desired, { valid: false, problem });
  }
});

test('a mistake of the FlinkJob is not put down to the defaults', () => {
  const { desired } = chosen(words({ checkpoints: { intervalSeconds: 'fast' } }), every(30));
  assert.ok(!desired.valid);
  assert.equal(desired.problem.code, 'InvalidSpec');
});

test('a spec and defaults that go together badly are called that', () => {
  const latest: NamespaceDefaults = { state: 'Usable', spec: { podTemplate: { containers: sidecars('default') } } };
  const { desired } = chosen(words({ podTemplate: { containers: sidecars('own') } }), latest);
  assert.ok(!desired.valid);
  assert.equal(desired.problem.code, 'DefaultsUnusable');
  assert.match(
    desired.problem.message,
    /^with the defaults of ConfigMap flinkjob-defaults in its namespace: spec\.podTemplate\.containers/,
  );
  assert.match(desired.problem.remedy ?? '', /Say otherwise in the FlinkJob, or correct the ConfigMap\.$/);
});

/** As many as a pod may have. */
function sidecars(prefix: string): readonly object[] {
  return Array.from({ length: 16 }, (_, index) => ({ name: `${prefix}-${index}`, image: 'proxy:1' }));
}
