// What entries mean once they are read in order, and that a trimmed log means the same. Decisions upon it are tested beside them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineageBuilder } from '../../../test/fakes/lineage-builder.ts';
import { emptyView, foldEntries, outcomeCountMax } from './view.ts';

const latestId = (log: LineageBuilder): number | undefined => log.view.latest?.checkpointId;
const ids = (log: LineageBuilder): readonly number[] => log.view.checkpoints.map(({ checkpointId }) => checkpointId);

test('nothing was ever written: nothing to restore, epoch 0, ids from 1', () => {
  assert.deepEqual(foldEntries([]), emptyView);
  assert.equal(emptyView.nextCheckpointId, 1);
});

test('the newest completed checkpoint is what Latest means, savepoints included', () => {
  const log = new LineageBuilder().open().complete(1).complete(2, { kind: 'Savepoint' });
  assert.equal(log.view.latest?.manifest.path, 'savepoints/000002-e1/_metadata');
  assert.deepEqual(ids(log), [1, 2]);
  assert.equal(log.view.nextCheckpointId, 3);
});

test('after a start from nothing, older checkpoints stay known and are no longer Latest; ids go on', () => {
  const log = new LineageBuilder().open().complete(5);
  log.open({ attempt: { number: 2, token: 'two' }, restore: { from: 'None', token: 't' } });
  assert.equal(latestId(log), undefined);
  assert.deepEqual(ids(log), [5]);
  assert.equal(log.view.nextCheckpointId, 6);
  assert.equal(latestId(log.complete(6)), 6);
});

test('after a rewind Latest is what was asked for, until something newer is complete', () => {
  const log = new LineageBuilder().open().complete(1).complete(2);
  log.open({ attempt: { number: 2, token: 'two' }, restore: { from: 'Path', path: 'chk-000001-e1', token: 't' } });
  assert.equal(log.view.latest?.checkpointId, 1);
  log.open({ attempt: { number: 2, token: 'two' }, podUid: 'pod-2' });
  assert.equal(log.view.latest?.checkpointId, 1);
  assert.equal(log.complete(3).view.latest?.checkpointId, 3);
});

test('a condemned checkpoint is no longer there, and a condemned Latest does not fall back to an older one', () => {
  const log = new LineageBuilder().open().complete(1).complete(2).condemn('chk-000001-e1/_metadata');
  assert.deepEqual(ids(log), [2]);
  log.complete(3).condemn('chk-000003-e1/_metadata');
  assert.deepEqual(ids(log), [2]);
  assert.equal(log.view.latest?.checkpointId, 3);
});

test('an entry by a fenced epoch counts for nothing, whatever it is', () => {
  const log = new LineageBuilder().open().complete(1).open({ podUid: 'pod-2' }).complete(2);
  const before = log.view;
  log.append({ type: 'Stopping', operationId: 'old', deadlineMs: 1 }, { epoch: 1 });
  log.complete(9);
  assert.deepEqual(log.view.staleEntries, [5]);
  assert.equal(log.view.stopping, before.stopping);
});

test('a second Opened of one epoch is not believed', () => {
  const log = new LineageBuilder().open().complete(1);
  const [opened] = log.entries;
  assert.ok(opened?.type === 'Opened');
  const { format, number, nonce, writtenAtMs, oldestNumber, ...draft } = opened;
  log.append({ ...draft, podUid: 'thief' }, { epoch: 1 });
  assert.equal(log.view.opened?.podUid, 'pod-1');
  assert.equal(log.view.latest?.checkpointId, 1);
});

test('a stop is under way from Stopping to Closed or StopAborted, and its outcome is the stop’s, not its savepoint’s', () => {
  const log = new LineageBuilder().open().append({ type: 'Stopping', operationId: 'stop', deadlineMs: 50 });
  log.complete(1, { kind: 'Savepoint', operationId: 'stop' });
  assert.deepEqual(log.view.stopping, { operationId: 'stop', deadlineMs: 50 });
  assert.deepEqual(log.view.outcomes, []);
  log.append({ type: 'Closed', reason: 'StoppedWithSavepoint', checkpointId: 1, operationId: 'stop' });
  assert.equal(log.view.stopping, undefined);
  assert.equal(log.view.closed?.checkpointId, 1);
  assert.deepEqual(log.view.outcomes, [
    {
      operationId: 'stop',
      operationType: 'Stop',
      result: { state: 'Completed', checkpointId: 1, path: 'savepoints/000001-e1/_metadata' },
    },
  ]);
  const aborted = new LineageBuilder().open().append({ type: 'Stopping', operationId: 'stop', deadlineMs: 50 });
  aborted.append({ type: 'StopAborted', operationId: 'stop', reason: 'too late' });
  assert.equal(aborted.view.stopping, undefined);
  assert.deepEqual(aborted.view.outcomes[0]?.result, { state: 'Failed', code: 'StopAborted', message: 'too late' });
});

test('a savepoint that was asked for is the outcome of its operation, and the first outcome stays', () => {
  const log = new LineageBuilder().open().complete(1, { kind: 'Savepoint', operationId: 'save' });
  log.append({
    type: 'Outcome',
    operationId: 'save',
    operationType: 'Savepoint',
    result: { state: 'Failed', code: 'Late', message: 'said twice' },
  });
  assert.deepEqual(
    log.view.outcomes.map(({ result }) => result.state),
    ['Completed'],
  );
});

test('outcomes are bounded, oldest first to go', () => {
  const log = new LineageBuilder().open();
  for (let index = 0; index < outcomeCountMax + 5; index += 1) {
    const result = { state: 'Failed', code: 'x', message: 'y' } as const;
    log.append({ type: 'Outcome', operationId: `op-${index}`, operationType: 'Savepoint', result });
  }
  assert.equal(log.view.outcomes.length, outcomeCountMax);
  assert.equal(log.view.outcomes[0]?.operationId, 'op-5');
});

test('a purge forgets the state and its owner, and restarts neither numbers nor epochs nor ids nor restore requests', () => {
  const log = new LineageBuilder().open({ restore: { from: 'None', token: 't' } }).complete(4);
  log.append({ type: 'Purged', attempt: log.view.attempt, honouredRestoreTokens: ['t'], nextCheckpointId: 5 });
  const { headNumber, epoch, latest, checkpoints, opened, honouredRestoreTokens, nextCheckpointId } = log.view;
  assert.deepEqual(
    { headNumber, epoch, latest, checkpoints, opened, honouredRestoreTokens, nextCheckpointId },
    {
      headNumber: 3,
      epoch: 1,
      latest: undefined,
      checkpoints: [],
      opened: undefined,
      honouredRestoreTokens: ['t'],
      nextCheckpointId: 5,
    },
  );
});

test('a log says the same from its newest Opened on as from its beginning', () => {
  const log = new LineageBuilder()
    .open({ restore: { from: 'None', token: 'none' } })
    .complete(1)
    .complete(2, { kind: 'Savepoint', operationId: 'save' })
    .append({ type: 'Pinned', pinId: 'p', checkpoint: 'chk-000001-e1/_metadata', for: 'green' })
    .append({ type: 'SavepointReleased', savepoint: 'savepoints/000002-e1/_metadata' })
    .append({ type: 'Stopping', operationId: 'stop', deadlineMs: 10_000 })
    .open({ podUid: 'pod-2' })
    .open({ podUid: 'pod-3' })
    .append({ type: 'StopAborted', operationId: 'stop', reason: 'late' })
    .complete(3);
  const first = log.view.newestOpenedNumber;
  const trimmed = foldEntries(log.entries.filter(({ number }) => number >= first));
  assert.equal(first, 8);
  assert.deepEqual(trimmed, log.view);
});
