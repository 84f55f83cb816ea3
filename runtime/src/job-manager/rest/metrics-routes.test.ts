// The documents about metrics, checkpoints and exceptions in Flink's shapes, of a JobManager on virtual time and TaskManagers that report what the test says.
// That what they report is true is tested with a real job in command/metrics-of-a-job.test.ts.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { JobManagerHarness, jobManagerConfig, type StartedJobManager } from '../../../test/fakes/job-manager-harness.ts';
import { parsePrometheusText } from '../../../test/fakes/prometheus-parser.ts';
import type { ScriptedTaskManager } from '../../../test/fakes/scripted-task-manager.ts';
import type { SubtaskMetrics } from '../../core/protocol/messages.ts';
import { jobIdOf } from '../job-id.ts';
import { routesOf } from './routes.ts';
import { servedByJobManager, servedWithoutJobManager } from './serve-job.ts';
import type { ServedJob } from './served-job.ts';

const jobId = jobIdOf({ namespace: 'default', name: 'word-count' });
let harness: JobManagerHarness;
let started: StartedJobManager;
let taskManager: ScriptedTaskManager;
let served: ServedJob;

beforeEach(async () => {
  harness = new JobManagerHarness();
  started = harness.start();
  taskManager = await started.running();
  const config = jobManagerConfig();
  const fixed = { config, startedAtMs: harness.time.nowMs(), checkpointStorageUrl: harness.storage.url };
  served = servedByJobManager(started.jobManager, { config, graph: harness.graph }, fixed);
});

/** What a GET gives; the paths are those of the table, with the ids put in. */
function get(path: string, parameters: Readonly<Record<string, string>> = {}, query = '', job = served) {
  const measureProcess = () => [{ name: 'residentSize', value: 7 } as const];
  const routes = routesOf(job, { nowMs: () => harness.time.nowMs(), newId: () => 'id', measureProcess });
  const route = routes.find((each) => each.method === 'GET' && each.path === path);
  assert.ok(route !== undefined, path);
  const answer = route.handle({ parameters, query: new URLSearchParams(query), body: '' });
  assert.equal(answer.status, 200);
  return 'text' in answer ? answer.text : answer.document;
}

/** Of a subtask after `seconds`, of which it was busy a tenth per subtask index and one, and back-pressured the rest. */
function report(vertexId: string, subtaskIndex: number, seconds: number): SubtaskMetrics {
  const busyMs = seconds * 100 * (subtaskIndex + 1);
  return {
    task: { vertexId, subtaskIndex },
    ...{ recordsIn: seconds * 10, recordsOut: seconds * 20, stateSizeBytes: 5, lateRecordsDropped: 0, bytesIn: 1, bytesOut: 2 },
    ...{ busyMs, backPressuredMs: seconds * 1000 - busyMs, idleMs: 0, inputQueueLength: 3, outputQueueLength: 4 },
    watermarkMs: subtaskIndex === 0 ? undefined : 1000 * seconds,
    operators: [
      { uid: vertexId, name: 'numRecordsIn', kind: 'Counter', value: seconds * 10 },
      { uid: vertexId, name: 'user_errors', kind: 'Counter', value: subtaskIndex },
      { uid: vertexId, name: 'nobodyKnows', kind: 'Gauge', value: 1 },
    ],
  };
}

async function reportAfter(...seconds: readonly number[]): Promise<void> {
  for (const second of seconds) {
    const token = { epoch: 1, executionAttempt: 1 };
    const subtasks = taskManager.subtasks.map(({ task }) => report(task.vertexId, task.subtaskIndex, second));
    taskManager.send({ type: 'Metrics', token, subtasks });
  }
  taskManager.send({ type: 'ProcessMetrics', metrics: [{ name: 'heapUsed', labels: { thread: 'slots-0' }, value: 12 }] });
  await harness.pass(10);
}

const vertexPath = '/jobs/:jobId/vertices/:vertexId';

test('back pressure has the level of the subtask that has most of it, and none before there are two reports', async () => {
  assert.deepEqual(get(`${vertexPath}/backpressure`, { vertexId: 'counts' }), { status: 'deprecated' });
  await reportAfter(1, 3);
  assert.deepEqual(get(`${vertexPath}/backpressure`, { vertexId: 'counts' }), {
    ...{ status: 'ok', backpressureLevel: 'high', 'backpressure-level': 'high', 'end-timestamp': harness.time.nowMs() },
    subtasks: [0.9, 0.8].map((ratio, subtask) => ({
      ...{ subtask, 'attempt-number': 1, backpressureLevel: 'high', 'backpressure-level': 'high', ratio },
      ...{ busyRatio: subtask === 0 ? 0.1 : 0.2, idleRatio: 0 },
    })),
  });
  assert.throws(() => get(`${vertexPath}/backpressure`, { vertexId: 'nothing' }), { code: 'NotFound' });
});

test('metrics are listed by name, and given by value when asked for', async () => {
  await reportAfter(1, 2);
  const names = get(`${vertexPath}/metrics`, { vertexId: 'counts' }) as readonly { id: string }[];
  assert.ok(names.some(({ id }) => id === '1.numRecordsOutPerSecond'));
  assert.deepEqual(get(`${vertexPath}/metrics`, { vertexId: 'counts' }, 'get=0.numRecordsIn,1.counts.user_errors,0.none'), [
    { id: '0.numRecordsIn', value: '20' },
    { id: '1.counts.user_errors', value: '1' },
  ]);
  assert.deepEqual(get(`${vertexPath}/subtasks/metrics`, { vertexId: 'counts' }, 'get=busyTimeMsPerSecond'), [
    { id: 'busyTimeMsPerSecond', min: 100, max: 200, avg: 150, sum: 300 },
  ]);
  assert.deepEqual(get(`${vertexPath}/subtasks/metrics`, { vertexId: 'counts' }, 'get=numRecordsOut&agg=max&subtasks=1'), [
    { id: 'numRecordsOut', max: 40 },
  ]);
  const subtask = { vertexId: 'counts', subtaskIndex: '1' };
  assert.deepEqual(get(`${vertexPath}/subtasks/:subtaskIndex/metrics`, subtask, 'get=numRecordsIn'), [
    { id: 'numRecordsIn', value: '20' },
  ]);
  assert.deepEqual(get(`${vertexPath}/watermarks`, { vertexId: 'counts' }), [{ id: '1.currentInputWatermark', value: '2000' }]);
  assert.deepEqual(get('/taskmanagers/:taskManagerId/metrics', { taskManagerId: 'tm-1' }, 'get=heapUsed.slots-0'), [
    { id: 'heapUsed.slots-0', value: '12' },
  ]);
  assert.deepEqual(get('/taskmanagers/metrics', {}, 'get=heapUsed.slots-0&agg=sum'), [{ id: 'heapUsed.slots-0', sum: 12 }]);
  assert.deepEqual(get('/jobmanager/metrics', {}, 'get=taskSlotsTotal,residentSize'), [
    { id: 'taskSlotsTotal', value: '2' },
    { id: 'residentSize', value: '7' },
  ]);
  assert.deepEqual(get('/jobs/:jobId/metrics', {}, 'get=numRestarts'), [{ id: 'numRestarts', value: '0' }]);
  assert.throws(() => get(`${vertexPath}/subtasks/metrics`, { vertexId: 'counts' }, 'subtasks=a'), { code: 'InvalidRequest' });
});

test('/metrics is the whole job, without what no document explains, and the JobManager alone where that is asked for', async () => {
  await reportAfter(1, 2);
  const all = parsePrometheusText(get('/metrics') as string);
  const errors = all.samples.filter(({ name }) => name === 'flink_taskmanager_job_task_operator_user_errors');
  assert.equal(errors.length, 6);
  assert.deepEqual(
    errors.find(({ labels }) => labels['task_id'] === 'counts' && labels['subtask_index'] === '1'),
    {
      name: 'flink_taskmanager_job_task_operator_user_errors',
      labels: {
        ...{ job_id: jobId, job_name: 'word-count', task_id: 'counts', task_name: 'counts', subtask_index: '1', tm_id: 'tm-1' },
        ...{ operator_id: 'counts', operator_name: 'counts' },
      },
      value: 1,
    },
  );
  assert.equal(all.types.get('flink_taskmanager_job_task_operator_user_errors'), 'counter');
  assert.ok(![...all.types.keys()].some((name) => name.includes('nobodyKnows')));
  const own = parsePrometheusText(get('/metrics/jobmanager') as string);
  assert.ok([...own.types.keys()].every((name) => /^(flink|flinkjob)_(jobmanager|job)_/.test(name)));
  assert.ok(own.types.has('flinkjob_jobmanager_residentSize'));
});

test('a job that cannot even be loaded serves its metrics and no checkpoint too', () => {
  const { config, startedAtMs, checkpointStorageUrl } = served;
  const error = { code: 'X', message: 'broken', domain: 'user', retry: 'never' } as const;
  const refused = servedWithoutJobManager(error, 0, { config, startedAtMs, checkpointStorageUrl });
  const { samples } = parsePrometheusText(get('/metrics', {}, '', refused) as string);
  assert.equal(samples.find(({ name, labels }) => name === 'flinkjob_job_state' && labels['state'] === 'Refused')?.value, 1);
  assert.ok(!samples.some(({ name }) => name === 'flinkjob_job_restorableAgeSeconds'));
});

const none = { min: 0, max: 0, avg: 0, p50: 0, p90: 0, p95: 0, p99: 0, p999: 0 };
const all = (value: number) => ({
  ...{ min: value, max: value, avg: value, p50: value, p90: value, p95: value, p99: value, p999: value },
});

test('checkpoints are counted and summed up, each with sizes in full, new and uploaded', async () => {
  await harness.pass(20_000);
  // biome-ignore lint/suspicious/noExplicitAny: looked into field by field.
  const document = get('/jobs/:jobId/checkpoints') as any;
  assert.deepEqual(document.counts, { restored: 0, total: 2, in_progress: 0, completed: 2, failed: 0 });
  // `counts#0@1` and `counts#1@1`, inline; each of the six subtasks says that it uploaded a byte.
  assert.deepEqual(document.summary, {
    ...{ checkpointed_size: all(20), state_size: all(20), end_to_end_duration: document.summary.end_to_end_duration },
    ...{ alignment_buffered: none, processed_data: none, persisted_data: none, uploaded_size: all(6) },
  });
  const { completed } = document.latest;
  assert.deepEqual(completed, {
    ...{ className: 'completed', id: 2, status: 'COMPLETED', is_savepoint: false, checkpoint_type: 'CHECKPOINT' },
    ...{ trigger_timestamp: completed.trigger_timestamp, latest_ack_timestamp: completed.latest_ack_timestamp },
    ...{ end_to_end_duration: completed.latest_ack_timestamp - completed.trigger_timestamp },
    ...{ state_size: 20, checkpointed_size: 20, uploaded_size: 6, alignment_buffered: 0, processed_data: 0, persisted_data: 0 },
    ...{ num_subtasks: 6, num_acknowledged_subtasks: 6, tasks: {} },
    ...{ external_path: 'memory:///lineage/chk-000002-e1', discarded: false },
  });
  assert.deepEqual([document.latest.savepoint, document.latest.failed, document.latest.restored], [null, null, null]);
  assert.deepEqual(
    document.history.map(({ id }: { readonly id: number }) => id),
    [2, 1],
  );
});

test('what became of a checkpoint is told for each vertex and subtask', async () => {
  await harness.pass(10_000);
  const path = '/jobs/:jobId/checkpoints/details/:checkpointId';
  // biome-ignore lint/suspicious/noExplicitAny: looked into field by field.
  const details = get(path, { checkpointId: '1' }) as any;
  assert.deepEqual(Object.keys(details.tasks), ['lines', 'counts', 'out']);
  const sizes = { state_size: 20, checkpointed_size: 20, uploaded_size: 2 };
  const inFlight = { alignment_buffered: 0, processed_data: 0, persisted_data: 0 };
  const { latest_ack_timestamp } = details.tasks.counts;
  const end_to_end_duration = latest_ack_timestamp - details.trigger_timestamp;
  assert.deepEqual(details.tasks.counts, {
    ...{ id: 1, status: 'COMPLETED', latest_ack_timestamp, end_to_end_duration, ...sizes, ...inFlight },
    ...{ num_subtasks: 2, num_acknowledged_subtasks: 2 },
  });
  // biome-ignore lint/suspicious/noExplicitAny: looked into field by field.
  const ofVertex = get(`${path}/subtasks/:vertexId`, { checkpointId: '1', vertexId: 'counts' }) as any;
  assert.deepEqual(ofVertex.summary, {
    ...{ state_size: all(10), checkpointed_size: all(10), uploaded_size: all(1), start_delay: none },
    ...{ end_to_end_duration: all(end_to_end_duration), checkpoint_duration: { sync: all(1), async: all(1) } },
    alignment: { buffered: none, processed: none, persisted: none, duration: all(1) },
  });
  assert.deepEqual(ofVertex.subtasks[1], {
    ...{ index: 1, status: 'completed', ack_timestamp: latest_ack_timestamp, end_to_end_duration },
    ...{ state_size: 10, checkpointed_size: 10, uploaded_size: 1, checkpoint: { sync: 1, async: 1 } },
    alignment: { buffered: 0, processed: 0, persisted: 0, duration: 1 },
    ...{ start_delay: 0, unaligned_checkpoint: false, aborted: false },
  });
});

test('a checkpoint that is not complete names the subtasks that are missing, and one that failed says why', async () => {
  taskManager.script = { silentOn: ['TriggerCheckpoint'] };
  await harness.pass(10_000);
  const path = '/jobs/:jobId/checkpoints/details/:checkpointId/subtasks/:vertexId';
  // biome-ignore lint/suspicious/noExplicitAny: looked into field by field.
  const pending = get(path, { checkpointId: '1', vertexId: 'counts' }) as any;
  assert.deepEqual(pending.subtasks, [
    { index: 0, status: 'pending_or_failed' },
    { index: 1, status: 'pending_or_failed' },
  ]);
  assert.equal(pending.status, 'IN_PROGRESS');
  await harness.pass(60_000);
  // biome-ignore lint/suspicious/noExplicitAny: looked into field by field.
  const { failed } = (get('/jobs/:jobId/checkpoints') as any).latest;
  assert.deepEqual([failed.status, failed.num_acknowledged_subtasks], ['FAILED', 0]);
  assert.match(failed.failure_message, /checkpoint 1 was not complete in time: 0 of 6 subtasks/);
});

test('the age of what could be restored grows until a checkpoint completes', async () => {
  const age = () => started.jobManager.status().restorableAgeSeconds ?? Number.NaN;
  await harness.pass(9_000);
  assert.ok(Math.abs(age() - 9.1) < 0.2, `${age()}`);
  await harness.pass(3_000);
  assert.ok(Math.abs(age() - 2.1) < 0.2, `${age()}`);
});

test('exceptions are grouped by attempt, the newest first, each with its place and cut when it is long', async () => {
  const { history } = started.jobManager;
  const error = { code: 'UserCodeFailed', message: 'boom', domain: 'user', retry: 'backoff' } as const;
  const task = { vertexId: 'counts', subtaskIndex: 0 };
  const record = { error, task, taskManagerId: 'tm-1' };
  history.recordException({ ...record, atMs: 1, executionAttempt: 1 });
  history.recordException({ ...record, atMs: 2, executionAttempt: 1, task: { ...task, subtaskIndex: 1 } });
  history.recordException({ ...record, atMs: 3, executionAttempt: 2, error: { ...error, stack: 's'.repeat(20_000) } });
  history.recordException({ ...record, atMs: 4, executionAttempt: 2, task: undefined, taskManagerId: undefined });
  // biome-ignore lint/suspicious/noExplicitAny: looked into field by field.
  const document = get('/jobs/:jobId/exceptions') as any;
  const { entries, truncated } = document.exceptionHistory;
  assert.deepEqual([entries.length, truncated, document.timestamp, document['root-exception']], [3, false, 4, 'boom']);
  assert.deepEqual([entries[0].taskName, entries[0].endpoint], [null, null]);
  assert.match(entries[1].stacktrace, /^s{16384}\n… cut after 16384 characters$/);
  const place = { endpoint: 'tm-1:1', taskManagerId: 'tm-1', failureLabels: { domain: 'user', retry: 'backoff' } };
  assert.deepEqual(entries[2], {
    ...{ exceptionName: 'UserCodeFailed', stacktrace: 'boom', timestamp: 1, ...place },
    taskName: 'counts (1/2) - execution #1',
    concurrentExceptions: [
      { exceptionName: 'UserCodeFailed', stacktrace: 'boom', timestamp: 2, ...place, taskName: 'counts (2/2) - execution #1' },
    ],
  });
  // biome-ignore lint/suspicious/noExplicitAny: looked into field by field.
  const short = get('/jobs/:jobId/exceptions', {}, 'maxExceptions=1') as any;
  assert.deepEqual([short.exceptionHistory.entries.length, short.exceptionHistory.truncated, short.truncated], [1, true, true]);
  assert.throws(() => get('/jobs/:jobId/exceptions', {}, 'maxExceptions=0'), { code: 'InvalidRequest' });
});

test('how checkpoints are configured is told in milliseconds', () => {
  assert.deepEqual(get('/jobs/:jobId/checkpoints/config'), {
    ...{ mode: 'exactly_once', interval: 10_000, timeout: 60_000, min_pause: 0, max_concurrent: 1 },
    ...{ externalization: { enabled: true, delete_on_cancellation: false }, state_backend: 'HashMap' },
    ...{ checkpoint_storage: 'memory:///lineage', unaligned_checkpoints: false, tolerable_failed_checkpoints: 1 },
    ...{ checkpoints_after_tasks_finish: true, state_changelog_enabled: false, retain: 2 },
  });
});
