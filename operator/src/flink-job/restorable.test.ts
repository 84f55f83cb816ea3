import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentWith } from '../../test/fakes/flink-job-builders.ts';
import { initialStatus } from '../api/flink-job-status.ts';
import { newestDrill } from '../flink-savepoint/drill-results.ts';
import type { DecideInput } from './decision.ts';
import { type DrillFact, foldRestorable, restorableVerdict } from './restorable.ts';

// What shows that a job could be restored. That the condition does not disturb kstatus is in kstatus.test.ts.

const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();
const checkpoint = { id: 7, kind: 'Checkpoint', path: 'chk-7-e2', completedTime: at(50) } as const;

function attempt(choices: { readonly ranTime?: string; readonly restoredPath?: string }) {
  return {
    ...{ number: 2, token: 't', startedTime: at(1), taskManagers: 1, instance: 1, restoreFrom: 'Latest' as const },
    ...choices,
  };
}

function fold(
  status: Partial<DecideInput['status']>,
  facts: { readonly drill?: DrillFact | 'None'; readonly document?: DecideInput['facts']['document'] } = {},
) {
  const input = { status: { ...initialStatus, lastCheckpoint: checkpoint, ...status }, facts } as unknown as DecideInput;
  const folded = foldRestorable(input);
  return { folded, verdict: restorableVerdict({ status: folded }) };
}

const drilled = (minute: number, problem?: string): DrillFact => ({
  ...{ savepoint: 'nightly', path: 's3://bucket/savepoints/1', endedTime: at(minute), problem },
});

test('a job that has never been restored is not proven, and one without a checkpoint has nothing to restore', () => {
  assert.equal(fold({}).verdict.reason, 'NotProven');
  assert.equal(fold({ lastCheckpoint: undefined }).verdict.reason, 'NothingToRestore');
});

test('a start proves what it restored once its tasks ran, and not before', () => {
  assert.equal(fold({ attempt: attempt({ restoredPath: 'chk-1-e1' }) }).verdict.status, 'Unknown');
  assert.equal(fold({ attempt: attempt({ ranTime: at(2) }) }).verdict.status, 'Unknown');
  const { verdict, folded } = fold({ attempt: attempt({ restoredPath: 'chk-1-e1', ranTime: at(2) }) });
  assert.deepEqual([verdict.status, verdict.reason], ['True', 'RestoredAtStart']);
  assert.equal(verdict.message, `The start of ${at(2)} restored chk-1-e1, and its tasks ran.`);
  assert.deepEqual(folded.restorable, { by: 'Start', result: 'Restored', path: 'chk-1-e1', time: at(2) });
});

test('the newest of starts and drills counts', () => {
  const started = { attempt: attempt({ restoredPath: 'chk-1-e1', ranTime: at(20) }) };
  assert.equal(fold(started, { drill: drilled(30) }).verdict.reason, 'DrillPassed');
  assert.equal(fold(started, { drill: drilled(10) }).verdict.reason, 'RestoredAtStart');
  const failed = fold(started, { drill: drilled(30, 'a file is damaged') }).verdict;
  assert.deepEqual([failed.status, failed.reason], ['False', 'DrillFailed']);
  assert.match(failed.message, /savepoint nightly \(s3:.*\) cannot be restored: a file is damaged$/);
});

test('what is known stays while nobody has looked at the savepoints, and goes with the savepoint that it is of', () => {
  const { folded } = fold({}, { drill: drilled(30) });
  assert.equal(fold(folded).verdict.reason, 'DrillPassed');
  assert.equal(fold(folded, { drill: 'None' }).verdict.reason, 'NotProven');
});

test('a new start that has not run yet leaves the proof of the one before', () => {
  const { folded } = fold({ attempt: attempt({ restoredPath: 'chk-1-e1', ranTime: at(2) }) });
  assert.equal(fold({ ...folded, attempt: attempt({}) }).verdict.reason, 'RestoredAtStart');
});

test('a job that was started from nothing has nothing that was proven', () => {
  const { folded } = fold({ attempt: attempt({ restoredPath: 'chk-1-e1', ranTime: at(2) }) });
  const document = documentWith({ attempt: { number: 3, token: 'u' } });
  const emptied = fold(
    { ...folded, lastCheckpoint: undefined, attempt: { ...attempt({}), number: 3, token: 'u' } },
    { document },
  );
  assert.equal(emptied.folded.restorable, undefined);
  assert.equal(emptied.verdict.reason, 'NothingToRestore');
});

test('of the drills of its savepoints the newest that came to something counts', () => {
  const savepoint = (name: string, drill: object, state = 'Completed') =>
    ({ metadata: { name }, status: { state, conditions: [], path: name, drill } }) as unknown as Parameters<
      typeof newestDrill
    >[0][number];
  const all = [
    savepoint('a', { endedTime: at(1), result: 'Restorable' }),
    savepoint('b', { endedTime: at(3), result: 'NotRestorable', problem: { code: 'X', message: 'damaged' } }),
    savepoint('c', { endedTime: at(4), result: 'GivenUp' }),
    savepoint('d', { endedTime: at(5), result: 'Restorable' }, 'Deleting'),
    savepoint('e', {}),
  ];
  assert.deepEqual(newestDrill(all), { savepoint: 'b', path: 'b', endedTime: at(3), problem: 'damaged' });
  assert.equal(newestDrill([savepoint('e', {})]), undefined);
});
