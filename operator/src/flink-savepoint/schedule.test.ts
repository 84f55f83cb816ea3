import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredFlinkSavepoint } from '../api/flink-savepoint.ts';
import type { FlinkSavepointStatus } from '../api/flink-savepoint-status.ts';
import { SavepointSchedule } from '../api/savepoint-schedule-spec.ts';
import { decideSchedule } from './schedule.ts';

// Savepoints by the clock: which are due, which are kept, which is drilled. What cron says is tested in api/.

const at = (text: string) => Date.parse(`2026-03-${text}Z`);
const createdAtMs = at('01T12:00:00');
const flinkJob = { namespace: 'team', name: 'words', uid: 'uid-1', createdAtMs };

function scheduled(time: string, more: { state?: FlinkSavepointStatus['state']; drill?: object; deleted?: boolean } = {}) {
  const scheduleTime = new Date(at(time)).toISOString();
  const { state = 'Completed', drill, deleted = false } = more;
  const completedTime = state === 'Completed' || state === 'Failed' ? scheduleTime : undefined;
  return {
    ...{ apiVersion: 'flinkjob.dev/v1alpha1', kind: 'FlinkSavepoint', spec: { flinkJobName: 'words' } },
    metadata: {
      ...{ name: `words-${time}`, namespace: 'team', uid: `uid-${time}`, generation: 1, resourceVersion: '1', finalizers: [] },
      ...{ creationTimestamp: scheduleTime, labels: { 'flinkjob.dev/scheduled': 'true' } },
      annotations: { 'flinkjob.dev/schedule-time': scheduleTime },
      ...(deleted ? { deletionTimestamp: scheduleTime } : {}),
    },
    status: { state, conditions: [], completedTime, drill } as FlinkSavepointStatus,
  } as StoredFlinkSavepoint;
}

function decide(
  spec: Parameters<typeof SavepointSchedule.parse>[0],
  time: string,
  more: { savepoints?: readonly StoredFlinkSavepoint[]; isUp?: boolean; uid?: string } = {},
) {
  const { savepoints = [], isUp = true, uid = flinkJob.uid } = more;
  const schedule = SavepointSchedule.parse(spec);
  return decideSchedule({ flinkJob: { ...flinkJob, uid }, schedule, isUp, savepoints, nowMs: at(time) });
}

const daily = { schedule: '0 3 * * *' };
const removed = (decision: ReturnType<typeof decide>) => decision.remove.map(({ metadata }) => metadata.name);

test('the first time after the job was made is the first that is due', () => {
  const early = decide(daily, '02T02:59:59');
  assert.equal(early.create, undefined);
  assert.equal(early.wakeAtMs, at('02T03:00:00'));
  const { create } = decide(daily, '02T03:00:00');
  assert.equal(create?.name, 'words-20260302t0300');
  assert.equal(create?.spec.deletionPolicy, 'Delete');
  assert.deepEqual(create?.annotations, { 'flinkjob.dev/schedule-time': '2026-03-02T03:00:00.000Z' });
});

test('whoever dies after making one makes none, or the very same, again', () => {
  const first = decide(daily, '02T03:00:01').create;
  assert.deepEqual(decide(daily, '02T03:07:00').create, first, 'it was not made');
  assert.equal(decide(daily, '02T03:07:00', { savepoints: [scheduled('02T03:00:00')] }).create, undefined, 'it was');
});

test('one that somebody took the label from, to keep it, is not made again, and retention leaves it alone', () => {
  const [kept] = [scheduled('02T03:00:00')];
  const unlabelled = { ...kept, metadata: { ...kept.metadata, labels: {} } } as StoredFlinkSavepoint;
  const decision = decide({ ...daily, retain: 1 }, '02T03:07:00', { savepoints: [unlabelled, scheduled('01T13:00:00')] });
  assert.equal(decision.create, undefined);
  assert.deepEqual(removed(decision), []);
});

test('of times that passed unseen the newest is made up for, or none that is too late', () => {
  const savepoints = [scheduled('02T03:00:00')];
  assert.equal(decide(daily, '06T11:00:00', { savepoints }).create?.name, 'words-20260306t0300');
  const skip = { ...daily, missedRun: 'Skip', startDeadlineSeconds: 600 };
  assert.equal(decide(skip, '06T11:00:00', { savepoints }).create, undefined);
  assert.equal(decide(skip, '06T03:10:00', { savepoints }).create?.name, 'words-20260306t0300');
});

test('none is due of a job that is not there, or while the one before is not over', () => {
  assert.equal(decide(daily, '02T03:00:00', { isUp: false }).create, undefined);
  const savepoints = [scheduled('02T03:00:00', { state: 'InProgress' })];
  assert.equal(decide(daily, '03T03:00:00', { savepoints }).create, undefined);
  const failed = [scheduled('02T03:00:00', { state: 'Failed' })];
  assert.notEqual(decide(daily, '03T03:00:00', { savepoints: failed }).create, undefined);
});

test('a jitter puts every time of one job off by the same, and jobs apart', () => {
  const spec = { ...daily, jitterSeconds: 600 };
  const wakes = ['uid-1', 'uid-2', 'uid-3'].map((uid) => decide(spec, '02T02:00:00', { uid }).wakeAtMs ?? 0);
  assert.equal(new Set(wakes).size, 3);
  for (const wakeAtMs of wakes) {
    assert.ok(wakeAtMs >= at('02T03:00:00') && wakeAtMs <= at('02T03:10:00'));
  }
  const [wakeAtMs = 0] = wakes;
  const time = new Date(wakeAtMs).toISOString().slice('2026-03-'.length, -1);
  assert.equal(decide(spec, time).create?.name, 'words-20260302t0300', 'named by its time, not by when it begins');
});

test('as many stay as are to be retained, the newest ones', () => {
  const savepoints = ['02', '03', '04', '05'].map((day) => scheduled(`${day}T03:00:00`));
  assert.deepEqual(removed(decide({ ...daily, retain: 2 }, '05T04:00:00', { savepoints })).toSorted(), [
    'words-02T03:00:00',
    'words-03T03:00:00',
  ]);
  assert.deepEqual(removed(decide({ ...daily, retain: 4 }, '05T04:00:00', { savepoints })), []);
});

test('what is too old goes, but never the newest, which may be the only thing to restore', () => {
  const savepoints = [scheduled('02T03:00:00'), scheduled('03T03:00:00')];
  const spec = { retainSeconds: 86400 };
  const early = decide(spec, '03T02:00:00', { savepoints });
  assert.deepEqual(removed(early), []);
  assert.equal(early.wakeAtMs, at('03T03:00:00'));
  assert.deepEqual(removed(decide(spec, '20T03:00:00', { savepoints })), ['words-02T03:00:00']);
});

test('one that failed takes no place of one that is there, and few of them are kept', () => {
  const savepoints = [
    scheduled('02T03:00:00'),
    ...['03', '04', '05', '06', '07'].map((day) => scheduled(`${day}T03:00:00`, { state: 'Failed' })),
  ];
  assert.deepEqual(removed(decide({ ...daily, retain: 1 }, '07T04:00:00', { savepoints })), [
    'words-04T03:00:00',
    'words-03T03:00:00',
  ]);
});

test('savepoints of people are neither counted nor removed', () => {
  const own = scheduled('04T03:00:00');
  const theirs = { ...own, metadata: { ...own.metadata, name: 'theirs', labels: {} } };
  const savepoints = [theirs, scheduled('02T03:00:00'), scheduled('03T03:00:00')];
  assert.deepEqual(removed(decide({ ...daily, retain: 1 }, '05T02:00:00', { savepoints })), ['words-02T03:00:00']);
});

test('the newest savepoint is drilled once for each time of the drill schedule', () => {
  const spec = { drill: { schedule: '0 5 * * *' } };
  const savepoints = [scheduled('02T03:00:00'), scheduled('03T03:00:00')];
  const { drill } = decide(spec, '03T05:00:00', { savepoints });
  assert.deepEqual(drill, { uid: 'uid-03T03:00:00', scheduleTime: '2026-03-03T05:00:00.000Z' });
  const drilled = [scheduled('02T03:00:00'), scheduled('03T03:00:00', { drill: { scheduleTime: drill?.scheduleTime } })];
  assert.equal(decide(spec, '03T06:00:00', { savepoints: drilled }).drill, undefined);
  assert.equal(decide(spec, '04T05:00:00', { savepoints: drilled }).drill?.uid, 'uid-03T03:00:00');
  assert.equal(decide(spec, '04T05:00:00').drill, undefined, 'nothing is there to be drilled');
});

test('one that is being drilled is not removed meanwhile', () => {
  const savepoints = [
    scheduled('02T03:00:00', { drill: { scheduleTime: '2026-03-02T05:00:00.000Z' } }),
    scheduled('03T03:00:00'),
  ];
  assert.deepEqual(removed(decide({ ...daily, retain: 1 }, '03T04:00:00', { savepoints })), []);
});

test('a time that a wrong clock has put into the future stops no schedule, and what was done by then is not done again', () => {
  const wrong = scheduled('28T03:00:00');
  // By the store's clock, which was right.
  const ahead = { ...wrong, metadata: { ...wrong.metadata, creationTimestamp: '2026-03-02T12:00:00Z' } };
  assert.equal(decide(daily, '03T02:00:00', { savepoints: [ahead] }).create, undefined);
  assert.equal(decide(daily, '03T03:00:00', { savepoints: [ahead] }).create?.name, 'words-20260303t0300');
  assert.equal(decide(daily, '03T04:00:00', { savepoints: [ahead, scheduled('03T03:00:00')] }).create, undefined);
  const spec = { drill: { schedule: '0 5 * * *' } };
  const drilled = scheduled('02T03:00:00', { drill: { scheduleTime: '2026-03-28T05:00:00.000Z', result: 'Restorable' } });
  assert.equal(decide(spec, '03T05:00:00', { savepoints: [drilled] }).drill?.uid, 'uid-02T03:00:00');
});

test('which one is the newest does not rest on when a wrong clock has seen it complete', () => {
  const ahead = scheduled('02T03:00:00');
  const wrong = { ...ahead, status: { ...ahead.status, completedTime: '2026-03-28T03:00:00.000Z' } } as StoredFlinkSavepoint;
  const savepoints = [wrong, scheduled('03T03:00:00')];
  assert.deepEqual(removed(decide({ ...daily, retain: 1 }, '03T04:00:00', { savepoints })), ['words-02T03:00:00']);
});

test('a drill is not repeated because the savepoint that was drilled has made room for another', () => {
  const spec = { schedule: '0 * * * *', retain: 1, drill: { schedule: '0 5 * * *' } };
  assert.equal(decide(spec, '03T06:00:30', { savepoints: [scheduled('03T06:00:00')] }).drill, undefined);
  assert.equal(decide(spec, '04T05:00:00', { savepoints: [scheduled('04T04:00:00')] }).drill?.uid, 'uid-04T04:00:00');
});

test('a name that somebody else has taken is not asked for again and again', () => {
  const theirs = scheduled('02T03:00:00');
  const metadata = { ...theirs.metadata, name: 'words-20260302t0300', labels: {}, annotations: {} };
  assert.equal(decide(daily, '02T03:07:00', { savepoints: [{ ...theirs, metadata }] }).create, undefined);
});
