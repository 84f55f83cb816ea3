import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerStatus, Pod } from './kubernetes-objects.ts';
import { processStateOf } from './pod-state.ts';

// What the kubelet and the scheduler say of a pod, and what the controller is told.

const nowMs = Date.parse('2026-01-01T00:10:00Z');
const time = (agoMs: number): string => new Date(nowMs - agoMs).toISOString();

function pod(container: Omit<ContainerStatus, 'name'> | undefined, status: Pod['status'] = {}, ageMs = 10_000): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'words-tm-1', namespace: 'streams', creationTimestamp: time(ageMs) },
    spec: { containers: [{ name: 'flinkjob', image: 'example/words:2' }] },
    status: { ...status, ...(container === undefined ? {} : { containerStatuses: [{ name: 'flinkjob', ...container }] }) },
  };
}

const state = (it: Pod) => processStateOf(it, nowMs);

function waitingCode(it: Pod): string | undefined {
  const found = state(it);
  assert.equal(found.state, 'Waiting');
  return found.state === 'Waiting' ? found.problem?.code : undefined;
}

test('a container that runs is alive since its own start, not since that of its pod', () => {
  assert.deepEqual(state(pod({ state: { running: { startedAt: time(5_000) } } }, {}, 600_000)), {
    state: 'Alive',
    startedAtMs: nowMs - 5_000,
  });
});

test('a pod that is being started is no problem, until that takes long', () => {
  assert.equal(waitingCode(pod(undefined)), undefined);
  const creating = { state: { waiting: { reason: 'ContainerCreating' } } };
  assert.equal(waitingCode(pod(creating)), undefined);
  assert.equal(waitingCode(pod(creating, {}, 300_000)), 'PodNotStarted');
});

test('what keeps a pod from starting is said with what to do', () => {
  const unschedulable = {
    conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes are available' }],
  };
  const found = state(pod(undefined, unschedulable));
  assert.ok(found.state === 'Waiting');
  assert.equal(found.problem?.message, 'no node takes pod words-tm-1: 0/3 nodes are available');
  assert.match(found.problem?.remedy ?? '', /add nodes/);
  const message = "0/3 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity";
  const bound = state(pod(undefined, { conditions: unschedulable.conditions.map((condition) => ({ ...condition, message })) }));
  assert.match((bound.state === 'Waiting' && bound.problem?.remedy) || '', /^Its volume is on a node .*: bring that node back/);
  const codes = {
    ImagePullBackOff: 'ImagePullFailed',
    ErrImagePull: 'ImagePullFailed',
    ErrImageNeverPull: 'ImagePullFailed',
    InvalidImageName: 'ImagePullFailed',
    CreateContainerConfigError: 'PodConfigInvalid',
    CreateContainerError: 'ContainerStartFailed',
  };
  for (const [reason, code] of Object.entries(codes)) {
    const problem = state(pod({ state: { waiting: { reason, message: 'the kubelet says why' } } }));
    assert.ok(problem.state === 'Waiting' && problem.problem?.code === code, reason);
    assert.match(problem.problem.message, /the kubelet says why/);
    assert.ok(problem.problem.remedy, reason);
  }
});

const crashing = (terminated: { readonly exitCode: number; readonly reason?: string; readonly message?: string }) =>
  pod({ state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: { terminated } });

test('a crash is waited out with the last words of the process', () => {
  const found = state(
    crashing({ exitCode: 1, message: 'error: the bucket does not answer [StorageUnreachable]\n  Look at it.' }),
  );
  assert.deepEqual(found, {
    state: 'Waiting',
    problem: { code: 'StorageUnreachable', message: 'the bucket does not answer', remedy: 'Look at it.' },
  });
});

test('a process that ran out of memory says nothing, and its problem names the limit', () => {
  assert.equal(waitingCode(crashing({ exitCode: 137, reason: 'OOMKilled', message: 'some line' })), 'OutOfMemory');
});

test('an image in which the runtime is not to be found is named as that', () => {
  for (const reason of ['StartError', 'ContainerCannotRun']) {
    const message = 'exec: "flinkjob-runtime": executable file not found in $PATH';
    assert.equal(waitingCode(crashing({ exitCode: 128, reason, message })), 'ContainerStartFailed');
  }
});

test('a process that was killed has no exit code of its own', () => {
  const found = state(crashing({ exitCode: 137 }));
  assert.ok(found.state === 'Waiting');
  assert.match(found.problem?.message ?? '', /ended with signal 9/);
});

test('an end that a restart cannot heal is an end, whatever the kubelet tries', () => {
  const message = 'error: a newer JobManager took over [Superseded]';
  for (const [exitCode, kind] of [
    [2, 'Unusable'],
    [3, 'Fenced'],
  ] as const) {
    const found = state(crashing({ exitCode, message }));
    assert.ok(found.state === 'Ended' && found.exit.kind === kind && found.exit.problem?.code === 'Superseded');
    const restarted = (agoMs: number) =>
      pod({ state: { running: { startedAt: time(agoMs) } }, lastState: { terminated: { exitCode, message } } });
    assert.equal(state(restarted(1_000)).state, 'Ended');
    // It has run for long since: whatever it was has healed.
    assert.equal(state(restarted(60_000)).state, 'Alive');
  }
});
