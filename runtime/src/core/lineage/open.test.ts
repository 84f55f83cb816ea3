// Who may open a lineage and from what (rules 4, 5, 6, 9). That the decision is taken on the newest entries is tested with LineageLog.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LineageBuilder, openRequest } from '../../../test/fakes/lineage-builder.ts';
import { decideOpen, type OpenDecision, type OpenRequest } from './open.ts';
import { emptyView, type LineageView } from './view.ts';

const second = { number: 2, token: 'two' };

function open(view: LineageView, overrides: Partial<OpenRequest> = {}): Extract<OpenDecision, { type: 'Open' }> {
  const decision = decideOpen(view, openRequest(overrides));
  assert.equal(decision.type, 'Open', decision.type === 'Refuse' ? decision.error.message : '');
  return decision.type === 'Open' ? decision : assert.fail();
}

function refusalOf(view: LineageView, overrides: Partial<OpenRequest> = {}): string {
  const decision = decideOpen(view, openRequest(overrides));
  assert.equal(decision.type, 'Refuse');
  return decision.type === 'Refuse' ? decision.error.code : assert.fail();
}

test('an empty lineage is opened with epoch 1 and nothing to restore, and says so', () => {
  const { epoch, mode, restore } = open(emptyView);
  assert.equal(epoch, 1);
  assert.equal(mode, 'Run');
  assert.deepEqual(restore, { checkpoint: undefined, source: 'Nothing', reason: 'Empty', note: undefined });
});

test('whoever opened before may run still, unless the log says that its tasks have ended', () => {
  const outcome = (operationType: 'Cancel' | 'Savepoint') => ({
    ...({ type: 'Outcome', operationId: 'op-1', operationType } as const),
    result: { state: 'Completed', checkpointId: undefined, path: undefined } as const,
  });
  assert.equal(open(emptyView).mayPredecessorLive, false);
  assert.equal(open(new LineageBuilder().open().view).mayPredecessorLive, true);
  assert.equal(open(new LineageBuilder().open().append(outcome('Savepoint')).view).mayPredecessorLive, true);
  assert.equal(open(new LineageBuilder().open().append(outcome('Cancel')).view).mayPredecessorLive, false);
  assert.equal(open(new LineageBuilder().open().append(outcome('Cancel')).open().view).mayPredecessorLive, true);
});

describe('rule 4: attempts', () => {
  const { view } = new LineageBuilder().open({ attempt: second, podUid: 'pod-1' }).open({ attempt: second, podUid: 'pod-2' });

  test('an older attempt is refused, a newer one opens with the next epoch', () => {
    assert.equal(refusalOf(view, { attempt: { number: 1, token: 'one' } }), 'AttemptSuperseded');
    assert.equal(open(view, { attempt: { number: 3, token: 'three' } }).epoch, 3);
  });

  test('the same number by another controller is refused', () => {
    assert.equal(refusalOf(view, { attempt: { number: 2, token: 'other' } }), 'AttemptTaken');
  });

  test('a pod that was replaced is refused; the newest and a new one are not', () => {
    assert.equal(refusalOf(view, { attempt: second, podUid: 'pod-1' }), 'PodSuperseded');
    open(view, { attempt: second, podUid: 'pod-2' });
    open(view, { attempt: second, podUid: 'pod-3' });
  });

  test('a replaced pod stays refused however often its successors start again', () => {
    const log = new LineageBuilder().open({ podUid: 'pod-1' });
    for (const podUid of ['pod-2', 'pod-2', 'pod-3', 'pod-3', 'pod-2x']) {
      log.open({ podUid });
    }
    assert.deepEqual(
      ['pod-1', 'pod-2', 'pod-3'].map((podUid) => refusalOf(log.view, { podUid })),
      ['PodSuperseded', 'PodSuperseded', 'PodSuperseded'],
    );
  });

  test('a pod of an older attempt may serve a newer one', () => {
    open(view, { attempt: { number: 3, token: 'three' }, podUid: 'pod-1' });
  });

  test('a closed attempt is over for every pod; the next attempt opens', () => {
    const log = new LineageBuilder().open().complete(1);
    log.append({ type: 'Closed', reason: 'Finished', checkpointId: 1, operationId: undefined });
    assert.equal(refusalOf(log.view), 'AttemptClosed');
    assert.equal(refusalOf(log.view, { podUid: 'pod-9' }), 'AttemptClosed');
    assert.equal(open(log.view, { attempt: second }).restore.checkpoint?.checkpointId, 1);
  });

  test('an attempt that purged the lineage is over for every pod, although who opened in it is forgotten', () => {
    const log = new LineageBuilder().open();
    log.append({ type: 'Purged', attempt: log.view.attempt, honouredRestoreTokens: [], nextCheckpointId: 1 });
    assert.equal(refusalOf(log.view, { podUid: 'pod-9' }), 'AttemptClosed');
    assert.equal(open(log.view, { attempt: second }).restore.reason, 'Empty');
  });
});

describe('rule 5: owners', () => {
  const { view } = new LineageBuilder().open();

  test('another cluster is refused, and told what would allow it', () => {
    const decision = decideOpen(view, openRequest({ attempt: second, owner: 'cluster-b/default/job' }));
    assert.ok(decision.type === 'Refuse');
    assert.equal(decision.error.code, 'LineageOwnedByAnother');
    assert.match(decision.error.remedy ?? '', /restore.adopt.from: cluster-a\/default\/job/);
  });

  test('adoption works while the head names that owner, and not when it names another', () => {
    const adopting = { attempt: second, owner: 'cluster-b/default/job', adoptFrom: 'cluster-a/default/job' };
    assert.equal(open(view, adopting).entry.adoptedFrom, 'cluster-a/default/job');
    const log = new LineageBuilder().open().open(adopting);
    assert.equal(refusalOf(log.view, { attempt: { number: 3, token: 'x' } }), 'LineageOwnedByAnother');
    const third = { attempt: { number: 3, token: 'x' }, owner: 'cluster-c/default/job', adoptFrom: 'cluster-a/default/job' };
    assert.equal(refusalOf(log.view, third), 'LineageOwnedByAnother');
    assert.equal(open(log.view, { ...adopting, attempt: { number: 3, token: 'x' } }).entry.adoptedFrom, undefined);
  });
});

describe('rule 6: importing', () => {
  const fork = { from: 'Import', url: 'file:///other/default/job/chk-000009-e2', token: 'fork' } as const;
  const third = { number: 3, token: 'three' };
  const imported = (log: LineageBuilder, overrides: { readonly restoreToken?: string } = { restoreToken: 'fork' }) =>
    log.append({
      type: 'Imported',
      checkpointId: 10,
      manifest: { path: 'chk-000010-e2/_metadata', sizeBytes: 10, sha256: 'ab' },
      stateSizeBytes: 100,
      from: fork.url,
      kind: 'Checkpoint',
      sourceCheckpointId: 9,
      pinId: 'pin-1',
      ...overrides,
    });

  test('the Opened that begins it honours nothing yet, keeps the former head and says what is being imported', () => {
    const log = new LineageBuilder().open().complete(1);
    const { restore, entry } = open(log.view, { attempt: second, restore: fork });
    assert.deepEqual(restore.import, { url: fork.url, token: 'fork' });
    assert.equal(restore.checkpoint, undefined);
    assert.equal(entry.restoreToken, undefined);
    assert.deepEqual(entry.carried.importing, { url: fork.url, token: 'fork' });
    assert.equal(entry.carried.latest, 'chk-000001-e1/_metadata');
    assert.equal(log.open({ attempt: second, restore: fork }).view.latest?.checkpointId, 1);
  });

  test('a start after a crash in between resumes it, also one that asks for nothing special', () => {
    const log = new LineageBuilder().open({ restore: fork });
    assert.equal(open(log.view, { restore: fork }).restore.import?.url, fork.url);
    const plain = open(log.view, { attempt: second });
    assert.equal(plain.restore.import?.url, fork.url);
    assert.match(plain.restore.note ?? '', /begun and not finished/);
    assert.deepEqual(log.open({ attempt: second }).view.importing, { url: fork.url, token: 'fork' });
  });

  test('it is given up in words: by None, a path of this lineage, or another import', () => {
    const log = new LineageBuilder().open().complete(1).open({ attempt: second, restore: fork });
    const path = { from: 'Path', path: 'chk-000001-e1', token: 'p' } as const;
    for (const restore of [{ from: 'None', token: 'n' } as const, path]) {
      const { entry } = open(log.view, { attempt: third, restore });
      assert.equal('importing' in entry.carried, false);
    }
    const other = { ...fork, url: 'file:///elsewhere', token: 'other' };
    assert.equal(open(log.view, { attempt: third, restore: other }).entry.carried.importing?.token, 'other');
  });

  test('Imported honours it: the import is the head, and the same token means Latest from then on', () => {
    const log = imported(new LineageBuilder().open().complete(1).open({ attempt: second, restore: fork }));
    assert.equal(log.view.importing, undefined);
    assert.equal(log.view.latest?.checkpointId, 10);
    assert.deepEqual(log.view.latest?.importedFrom, { url: fork.url, checkpointId: 9, pinId: 'pin-1' });
    const again = open(log.view, { attempt: third, restore: fork });
    assert.equal(again.restore.checkpoint?.checkpointId, 10);
    assert.match(again.restore.note ?? '', /honoured before/);
    assert.deepEqual(log.open({ attempt: third, restore: fork }).view.latest?.importedFrom?.pinId, 'pin-1');
    assert.equal(log.view.nextCheckpointId, 11);
  });

  test('an Imported without a request is there to be restored by name, and changes no head', () => {
    const log = imported(new LineageBuilder().open().complete(1).open({ attempt: second }), {});
    assert.equal(log.view.latest?.checkpointId, 1);
    assert.deepEqual(log.view.honouredRestoreTokens, []);
  });
});

describe('rule 6: restore requests', () => {
  const none = { from: 'None', token: 'none-1' } as const;

  test('None is honoured once, recorded, and means Latest afterwards, also for a new attempt', () => {
    const log = new LineageBuilder().open().complete(1);
    const first = open(log.view, { attempt: second, restore: none });
    assert.equal(first.restore.reason, 'RequestedNone');
    assert.equal(first.entry.restoreToken, 'none-1');
    log.open({ attempt: second, restore: none }).complete(2);
    for (const attempt of [second, { number: 3, token: 'three' }]) {
      const again = open(log.view, { attempt, restore: none });
      assert.equal(again.restore.checkpoint?.checkpointId, 2);
      assert.match(again.restore.note ?? '', /honoured before/);
      assert.equal(again.entry.restoreToken, undefined);
    }
  });

  test('a JobManager that dies before the first checkpoint after None is followed by one that starts empty and says why', () => {
    const log = new LineageBuilder().open().complete(1).open({ attempt: second, restore: none });
    const next = open(log.view, { attempt: second, podUid: 'pod-2' });
    assert.equal(next.restore.source, 'Nothing');
    assert.equal(next.restore.reason, 'Latest');
    assert.match(next.restore.note ?? '', /from nothing as requested/);
  });

  test('another token is another request', () => {
    const log = new LineageBuilder().open().complete(1).open({ attempt: second, restore: none }).complete(2);
    const attempt = { number: 3, token: 'three' };
    assert.equal(open(log.view, { attempt, restore: { from: 'None', token: 'none-2' } }).restore.reason, 'RequestedNone');
  });

  test('a path is a folder of a completed checkpoint, with or without its manifest’s name', () => {
    const log = new LineageBuilder().open().complete(1).complete(2, { kind: 'Savepoint' }).complete(3);
    for (const [path, checkpointId] of [
      ['chk-000001-e1', 1],
      ['chk-000001-e1/', 1],
      ['chk-000001-e1/_metadata', 1],
      ['savepoints/000002-e1', 2],
    ] as const) {
      const { restore, entry } = open(log.view, { attempt: second, restore: { from: 'Path', path, token: 'p' } });
      assert.equal(restore.checkpoint?.checkpointId, checkpointId);
      assert.equal(restore.reason, 'Requested');
      assert.equal(entry.carried.latest, restore.checkpoint?.manifest.path);
    }
  });

  test('a path is honoured once, too: a job that fails and starts again goes on from its newest checkpoint', () => {
    const restore = { from: 'Path', path: 'chk-000001-e1', token: 'p' } as const;
    const log = new LineageBuilder().open().complete(1).complete(2).open({ attempt: second, restore }).complete(3);
    for (const attempt of [second, { number: 3, token: 'three' }]) {
      const again = open(log.view, { attempt, restore });
      assert.equal(again.restore.checkpoint?.checkpointId, 3);
      assert.match(again.restore.note ?? '', /honoured before/);
    }
  });

  test('an unknown or condemned path, and another lineage’s with the same end, are refused with what there is', () => {
    const log = new LineageBuilder().open().complete(1).complete(2).condemn('chk-000001-e1/_metadata');
    for (const path of ['chk-000001-e1', 'chk-000007-e1', 'file:///other/job/chk-000002-e1', '']) {
      const decision = decideOpen(log.view, openRequest({ attempt: second, restore: { from: 'Path', path, token: 'p' } }));
      assert.ok(decision.type === 'Refuse', path);
      assert.equal(decision.error.code, 'RestorePathUnknown');
      assert.match(decision.error.remedy ?? '', /chk-000002-e1/);
    }
    const besideTheFile = { from: 'Path', path: './backup', token: 'p' } as const;
    const decision = decideOpen(log.view, openRequest({ attempt: second, restore: besideTheFile }));
    assert.match(decision.type === 'Refuse' ? (decision.error.remedy ?? '') : '', / is file:\.\/backup\.$/);
  });

  test('when the newest checkpoint is condemned, nothing older is started from silently', () => {
    const log = new LineageBuilder().open().complete(1).complete(2).condemn('chk-000002-e1/_metadata');
    assert.equal(refusalOf(log.view, { attempt: second }), 'LatestCheckpointCondemned');
    open(log.view, { attempt: second, restore: { from: 'Path', path: 'chk-000001-e1', token: 'p' } });
    open(log.view, { attempt: second, restore: none });
  });
});

describe('rule 9: a stop that was begun', () => {
  const stopping = (): LineageBuilder =>
    new LineageBuilder().open().complete(1, { kind: 'Savepoint' }).complete(2).append({
      type: 'Stopping',
      operationId: 'stop',
      deadlineMs: 5_000,
    });

  test('before its deadline every JobManager only finishes it, from the head, whatever it was told to restore', () => {
    for (const overrides of [{}, { attempt: second }, { attempt: second, restore: { from: 'None', token: 't' } as const }]) {
      const decision = open(stopping().view, { ...overrides, podUid: 'pod-2', nowMs: 4_999 });
      assert.equal(decision.mode, 'FinishStop');
      assert.equal(decision.restore.checkpoint?.checkpointId, 2);
      assert.deepEqual(decision.entry.carried.honouredRestoreTokens, []);
      assert.deepEqual(decision.stopping, { operationId: 'stop', deadlineMs: 5_000 });
    }
  });

  test('past its deadline it is given up, and requests are honoured', () => {
    const decision = open(stopping().view, { attempt: second, restore: { from: 'None', token: 't' }, nowMs: 5_000 });
    assert.equal(decision.mode, 'Run');
    assert.equal(decision.stopping?.operationId, 'stop');
    assert.equal(decision.restore.reason, 'RequestedNone');
  });

  test('a stop stays under way over any number of openings until it is closed or aborted', () => {
    const log = stopping().open({ podUid: 'pod-2' }).open({ podUid: 'pod-3' });
    assert.equal(open(log.view, { podUid: 'pod-4' }).mode, 'FinishStop');
    log.append({ type: 'StopAborted', operationId: 'stop', reason: 'late' });
    assert.equal(open(log.view, { podUid: 'pod-4' }).mode, 'Run');
  });
});
