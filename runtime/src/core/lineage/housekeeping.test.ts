// What may be condemned, deleted and trimmed (rules 3, 8, 16). Carrying it out is tested with LineageHousekeeping and by the simulator.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LineageBuilder } from '../../../test/fakes/lineage-builder.ts';
import {
  deletableCondemnations,
  entryCountBetweenRenewals,
  entryCountKept,
  namesToCondemn,
  nextOldestNumber,
  orphans,
  renewal,
  subsumedCheckpoints,
  trimmedEntries,
} from './housekeeping.ts';
import { firstNumberOfLog, highestIsland, islandsOf } from './island.ts';

describe('rule 3: islands', () => {
  test('the log is the run that ends at the highest number', () => {
    assert.deepEqual(islandsOf([9, 2, 1, 7, 8, 4]), [
      { first: 1, last: 2 },
      { first: 4, last: 4 },
      { first: 7, last: 9 },
    ]);
    assert.deepEqual(highestIsland([9, 2, 1, 7, 8, 4]), { first: 7, last: 9 });
    assert.equal(highestIsland([]), undefined);
  });

  test('what landed late beside the trimmed end is not part of it', () => {
    const [entry] = new LineageBuilder().open().entries;
    assert.ok(entry !== undefined);
    const island = { first: 7, last: 20 };
    assert.equal(firstNumberOfLog(island, { ...entry, number: 20, oldestNumber: 8 }), 8);
    assert.equal(firstNumberOfLog(island, { ...entry, number: 20, oldestNumber: 3 }), 7);
  });
});

describe('rule 8: subsumption', () => {
  const subsumed = (log: LineageBuilder, retain: number, inUse: readonly string[] = []): readonly number[] =>
    subsumedCheckpoints(log.view, { retain, inUse }).map(({ checkpointId }) => checkpointId);

  test('the newest stay, savepoints and what is pinned or in use stay besides', () => {
    const log = new LineageBuilder().open();
    for (const id of [1, 2, 3, 5, 6]) {
      log.complete(id);
    }
    log.complete(7, { kind: 'Savepoint' });
    assert.deepEqual(subsumed(log, 2), [1, 2, 3]);
    assert.deepEqual(subsumed(log, 1), [1, 2, 3, 5]);
    assert.deepEqual(subsumed(log, 2, ['chk-000001-e1/_metadata']), [2, 3]);
    log.append({ type: 'Pinned', pinId: 'p', checkpoint: 'chk-000003-e1/_metadata', for: 'green' });
    assert.deepEqual(subsumed(log, 2), [1, 2]);
    log.append({ type: 'Unpinned', pinId: 'p' });
    assert.deepEqual(subsumed(log, 2), [1, 2, 3]);
  });

  test('a savepoint goes only when it was released, and never as the head', () => {
    const log = new LineageBuilder().open().complete(1, { kind: 'Savepoint' });
    log.append({ type: 'SavepointReleased', savepoint: 'savepoints/000001-e1/_metadata' });
    assert.deepEqual(subsumed(log, 1), []);
    assert.deepEqual(subsumed(log.complete(2), 1), [1]);
  });

  test('after a rewind the head stays although newer ones exist', () => {
    const log = new LineageBuilder().open().complete(1).complete(2).complete(3);
    log.open({ attempt: { number: 2, token: 't' }, restore: { from: 'Path', path: 'chk-000001-e1', token: 'p' } });
    assert.deepEqual(subsumed(log, 1), [2]);
  });

  test('a file that a checkpoint which stays names too is not condemned', () => {
    const log = new LineageBuilder().open().complete(1).complete(2).complete(3);
    const [first, secondOne] = log.view.checkpoints;
    assert.ok(first !== undefined && secondOne !== undefined);
    const names = namesToCondemn(log.view, [first, secondOne], ({ checkpointId, manifest }) => [
      manifest.path,
      'shared/e1-common',
      `shared/e1-${checkpointId}`,
    ]);
    assert.deepEqual(names, ['chk-000001-e1/_metadata', 'chk-000002-e1/_metadata', 'shared/e1-1', 'shared/e1-2']);
  });
});

test('rule 8: orphans are what older epochs and settled own checkpoints left; higher epochs and strange files are left alone', () => {
  const objects = [
    'chk-000001-e1/_metadata',
    'chk-000002-e1/left',
    'chk-000003-e2/aborted',
    'chk-000004-e2/in-progress',
    'chk-000004-e3/of-a-newer-one',
    'lineage/00000000000000000001.json',
    'notes.txt',
    'probe/new',
    'savepoints/000002-e1/left',
  ].map((path) => ({ path, modifiedAtMs: 9_000_000 }));
  const found = orphans({
    epoch: 2,
    objects: [...objects, { path: 'probe/old', modifiedAtMs: 0 }],
    settledBelowId: 4,
    referenced: new Set(['chk-000001-e1/_metadata']),
    nowMs: 9_000_001,
  });
  assert.deepEqual(found, ['chk-000002-e1/left', 'chk-000003-e2/aborted', 'probe/old', 'savepoints/000002-e1/left']);
});

test('rule 8: condemned names are deleted when the grace period is over since they were seen condemned, and once', () => {
  const { view } = new LineageBuilder().open().condemn('a').condemn('b').condemn('c');
  const options = {
    graceMs: 100,
    seenAtMs: new Map([
      [2, 0],
      [3, 50],
    ]),
    deletedEntries: new Set<number>(),
  };
  const names = (nowMs: number, deletedEntries = options.deletedEntries): readonly string[] =>
    deletableCondemnations(view, { ...options, nowMs, deletedEntries }).flatMap((condemned) => condemned.names);
  assert.deepEqual(names(99), []);
  assert.deepEqual(names(100), ['a']);
  assert.deepEqual(names(150), ['a', 'b']);
  assert.deepEqual(names(150, new Set([2])), ['b']);
  // Never seen: its time has not begun.
  assert.deepEqual(names(1e9), ['a', 'b']);
});

describe('rule 16: trimming', () => {
  const long = (): LineageBuilder => {
    const log = new LineageBuilder().open().open({ podUid: 'pod-2' });
    for (let id = 1; id <= 2 * entryCountKept; id += 1) {
      log.complete(id);
    }
    return log;
  };

  test('the log begins at its newest Opened at the latest, and keeps the last entries', () => {
    const log = long();
    assert.equal(nextOldestNumber(log.view, new Set()), 2);
    log.open({ podUid: 'pod-3' });
    assert.equal(nextOldestNumber(log.view, new Set()), log.view.headNumber - entryCountKept + 1);
  });

  test('what is condemned and not deleted holds the beginning back', () => {
    const log = long().condemn('x').open({ podUid: 'pod-3' });
    for (let id = 1_000; id <= 1_000 + entryCountKept; id += 1) {
      log.complete(id);
    }
    const condemned = log.view.condemnations[0]?.number ?? 0;
    assert.equal(nextOldestNumber(log.view, new Set()), condemned);
    assert.equal(nextOldestNumber(log.view, new Set([condemned])), condemned + 1);
  });

  test('the beginning never moves back', () => {
    const log = long().append({ type: 'Unpinned', pinId: 'x' }, { oldestNumber: 2 });
    assert.equal(nextOldestNumber({ ...log.view, newestOpenedNumber: 1 }, new Set()), 2);
  });

  test('entries below the recorded beginning are deleted lowest first', () => {
    const { view } = new LineageBuilder().open().complete(1).append({ type: 'Unpinned', pinId: 'x' }, { oldestNumber: 3 });
    assert.deepEqual(trimmedEntries(view, [3, 2, 1]), [1, 2]);
  });

  test('an Opened is renewed after so many entries, fences nobody and changes nothing', () => {
    const log = new LineageBuilder().open();
    assert.equal(renewal(log.view), undefined);
    for (let id = 1; id <= entryCountBetweenRenewals; id += 1) {
      log.complete(id);
    }
    const draft = renewal(log.view);
    assert.ok(draft !== undefined);
    const { headNumber, newestOpenedNumber, ...before } = log.view;
    log.append(draft);
    const { headNumber: newHead, newestOpenedNumber: newOpened, ...after } = log.view;
    assert.deepEqual(after, before);
    assert.equal(newOpened, newHead);
    assert.equal(newHead, headNumber + 1);
    assert.equal(newestOpenedNumber, 1);
    assert.equal(renewal(log.view), undefined);
  });

  test('a closed lineage is not renewed: that would open it again', () => {
    const log = new LineageBuilder().open().complete(1);
    log.append({ type: 'Closed', reason: 'Finished', checkpointId: 1, operationId: undefined });
    assert.equal(renewal(log.view, 1), undefined);
  });
});
