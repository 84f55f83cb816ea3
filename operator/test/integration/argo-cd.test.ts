// What Argo CD makes of FlinkJobs and FlinkSavepoints with examples/argo-cd, by the interpreter that it has built in: its health never contradicts kstatus, which Flux and
// others go by, and each action does one thing. That our statuses are right is shown in src/flink-job/kstatus.test.ts.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { builtLua } from '../../../hack/argo-cd/build-lua.ts';
import { FlinkSavepointSpec } from '../../src/api/flink-savepoint-spec.ts';
import { type FlinkSavepointStatus, initialSavepointStatus } from '../../src/api/flink-savepoint-status.ts';
import { apiVersion, kind } from '../../src/api/labels.ts';
import type { SavepointInput } from '../../src/flink-savepoint/decision.ts';
import { describeSavepoint } from '../../src/flink-savepoint/describe-savepoint.ts';
import { defaultSavepointLimits } from '../../src/flink-savepoint/limits.ts';
import { jobSituations } from '../contracts/job-situations.ts';
import type { ControlledJob } from '../fakes/controlled-job.ts';
import { running } from '../fakes/controlled-job.ts';
import { type Judged, type Kstatus, kstatusOf } from '../fakes/kstatus.ts';

interface Health {
  readonly status: 'Healthy' | 'Progressing' | 'Degraded' | 'Suspended';
  readonly message: string;
}

interface Actions {
  readonly 'discovery.lua': string;
  readonly definitions: readonly { readonly name: string; readonly 'action.lua': string }[];
}

const interpreter = builtLua();
const skip = interpreter === undefined && 'the Lua interpreter of Argo CD is not built (npm test builds it; it needs Go)';
const root = fileURLToPath(new URL('../../..', import.meta.url));
const file = `${root}examples/argo-cd/argocd-cm.yaml`;
const { data } = parse(readFileSync(file, 'utf8')) as { readonly data: Readonly<Record<string, string>> };
const actions = parse(data['resource.customizations.actions.flinkjob.dev_FlinkJob'] ?? '') as Actions;

function run<Result>(script: string | undefined, object: unknown): Result {
  const input = `${JSON.stringify({ script, object })}\n`;
  const { stdout, stderr } = spawnSync(interpreter ?? '', { input, encoding: 'utf8' });
  const { result, error } = JSON.parse(stdout) as { readonly result?: Result; readonly error?: string };
  assert.ok(result !== undefined, `${error}${stderr}`);
  return result;
}

/** As the API server gives it to whoever asks. */
function objectOf(kindName: string, { generation, deleting, status }: Judged, spec: unknown): unknown {
  const deletionTimestamp = deleting ? { deletionTimestamp: '2026-03-02T03:00:00Z' } : {};
  return {
    apiVersion,
    kind: kindName,
    metadata: { name: 'words', namespace: 'team', generation, annotations: {}, ...deletionTimestamp },
    spec,
    status,
  };
}

function healthOf(kindName: string, judged: Judged): Health {
  return run(data[`resource.customizations.health.flinkjob.dev_${kindName}`], objectOf(kindName, judged, {}));
}

/** Suspended is Argo CD's word for what waits for a person; for kstatus that is under way, too. */
const allowed: Readonly<Record<Kstatus, readonly Health['status'][]>> = {
  Current: ['Healthy'],
  InProgress: ['Progressing', 'Suspended'],
  Failed: ['Degraded'],
  Terminating: ['Progressing'],
};

for (const { what, expected, make } of jobSituations) {
  test(`for Argo CD ${what} is what it is for kstatus: ${expected}`, { skip }, () => {
    const { controller } = make();
    const { status, message } = healthOf(kind, controller);
    assert.ok(allowed[expected].includes(status), `${status}: ${message}`);
    assert.notEqual(message, '');
    // Only a person who holds a job back is waited for by name.
    assert.equal(status === 'Suspended', controller.paused && expected === 'InProgress');
  });
}

test('Argo CD shows a FlinkJob that no operator has looked at as Progressing', { skip }, () => {
  assert.equal(healthOf(kind, { generation: 1, deleting: false, status: { conditions: [] } }).status, 'Progressing');
  const health = data['resource.customizations.health.flinkjob.dev_FlinkJob'];
  const withoutStatus = { apiVersion, kind, metadata: { name: 'words', generation: 1 }, spec: {} };
  assert.equal(run<Health>(health, withoutStatus).status, 'Progressing');
});

const problem = { code: 'StorageUnreachable', message: 'the bucket does not answer', remedy: 'Look at it.' };
const completed = { ...initialSavepointStatus, state: 'Completed', path: 's3://bucket/savepoints/1' } as const;
const savepointSituations: readonly (readonly [string, Kstatus, FlinkSavepointStatus])[] = [
  ['that waits for its turn', 'InProgress', initialSavepointStatus],
  ['that is being taken', 'InProgress', { ...initialSavepointStatus, state: 'InProgress' }],
  ['that is complete', 'Current', completed],
  ['that failed', 'Failed', { ...initialSavepointStatus, state: 'Failed', problem }],
  ['of a job that is not there', 'Failed', { ...initialSavepointStatus, state: 'Abandoned', problem }],
  ['that is being removed', 'InProgress', { ...completed, state: 'Deleting' }],
];

for (const [what, expected, status] of savepointSituations) {
  test(`for Argo CD and for kstatus a FlinkSavepoint ${what} is ${expected}`, { skip }, () => {
    const described = describeSavepoint(savepointInput(status));
    const judged = { generation: 1, deleting: false, status: described };
    assert.equal(kstatusOf(judged), expected);
    const health = healthOf('FlinkSavepoint', judged);
    assert.ok(allowed[expected].includes(health.status), `${health.status}: ${health.message}`);
    assert.notEqual(health.message, '');
    assert.equal(healthOf('FlinkSavepoint', { ...judged, generation: 2 }).status, 'Progressing');
    assert.equal(healthOf('FlinkSavepoint', { ...judged, deleting: true }).status, 'Progressing');
  });
}

function savepointInput(status: FlinkSavepointStatus): SavepointInput {
  return {
    ...{
      uid: 'sp-1',
      generation: 1,
      createdAtMs: 0,
      deleting: false,
      waitsFor: undefined,
      isNamedElsewhere: false,
      isLastOfSchedule: false,
      drillScheduleTime: undefined,
    },
    spec: { ok: true, value: FlinkSavepointSpec.parse({ flinkJobName: 'words' }) },
    ...{ status, job: undefined, tasks: [], refusals: [], limits: defaultSavepointLimits, nowMs: 0 },
  };
}

function act(name: string, job: ControlledJob, spec: unknown): { readonly spec: unknown } {
  const script = actions.definitions.find((each) => each.name === name)?.['action.lua'];
  return run(script, objectOf(kind, job.controller, spec));
}

test('the actions of Argo CD suspend, resume and restart a job, and change nothing else of its spec', { skip }, () => {
  const job = running();
  const spec = { job: { module: 'job.ts', parallelism: 2, desiredState: 'Running' }, restartNonce: 4, image: 'words:1' };
  const suspended = { ...spec, job: { ...spec.job, desiredState: 'Suspended' } };
  assert.deepEqual(act('suspend', job, spec).spec, suspended);
  assert.deepEqual(act('resume', job, suspended).spec, spec);
  assert.deepEqual(act('restart', job, spec).spec, { ...spec, restartNonce: 5 });
  const { restartNonce: _, ...withoutNonce } = spec;
  assert.deepEqual(act('restart', job, withoutNonce).spec, { ...withoutNonce, restartNonce: 1 });
});

test('Argo CD offers the actions that mean something for the job as it is', { skip }, () => {
  const job = running();
  const offered = (desiredState: string) => {
    const found = run<Record<string, { readonly disabled: boolean }>>(
      actions['discovery.lua'],
      objectOf(kind, job.controller, { job: { desiredState } }),
    );
    return Object.keys(found)
      .filter((name) => found[name]?.disabled === false)
      .toSorted();
  };
  assert.deepEqual(offered('Running'), ['restart', 'suspend']);
  assert.deepEqual(offered('Suspended'), ['resume']);
  const defined = actions.definitions.map(({ name }) => name).toSorted();
  assert.deepEqual(defined, ['restart', 'resume', 'suspend']);
});
