// Rule 8 where TaskManagers have a say. Their side of it: core/checkpoint/shared-file-registry.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { condemnableNames, type ForgettingFacts, forgottenNameCountMax, namesToAsk } from './forgetting.ts';
import { sharedFileOfPath, sharedFilePath } from './object-paths.ts';

const hash = '0f'.repeat(32);
const own = sharedFilePath({ epoch: 7, sha256: hash, executionAttempt: 2, forgetRequest: 9 });
const older = sharedFilePath({ epoch: 6, sha256: hash, executionAttempt: 1, forgetRequest: 0 });
const exclusive = 'chk-000003-e7/_metadata';

const facts: ForgettingFacts = { epoch: 7, forgotten: new Set([own, older]), inFlight: new Set(), lostAttemptMax: 0 };

test('the name of a shared file says who wrote it, and when', () => {
  for (const file of [
    { epoch: 7, sha256: hash, executionAttempt: 1, forgetRequest: 0 },
    { epoch: 7, sha256: hash, executionAttempt: 1, forgetRequest: 3 },
    { epoch: 12, sha256: hash, executionAttempt: 4, forgetRequest: 0 },
  ]) {
    assert.deepEqual(sharedFileOfPath(sharedFilePath(file)), file);
  }
  assert.equal(sharedFileOfPath('shared/e7-ab.sst'), undefined);
  assert.equal(sharedFileOfPath(exclusive), undefined);
});

test('TaskManagers are asked for shared files alone, of every epoch, and for so many at a time', () => {
  assert.deepEqual(namesToAsk([exclusive, own, older]), [own, older]);
  assert.equal(namesToAsk(Array.from({ length: forgottenNameCountMax + 1 }, () => own)).length, forgottenNameCountMax);
});

test('a shared file is condemned when all have forgotten it; others need not be asked for', () => {
  assert.deepEqual(condemnableNames([exclusive, own, older], facts), [exclusive, own, older]);
  assert.deepEqual(condemnableNames([exclusive, own, older], { ...facts, forgotten: new Set([older]) }), [exclusive, older]);
});

test('what a checkpoint in flight names waits', () => {
  assert.deepEqual(condemnableNames([own, older], { ...facts, inFlight: new Set([older]) }), [own]);
});

test('what a lost TaskManager may still be writing waits; older epochs are fenced', () => {
  assert.deepEqual(condemnableNames([own, older], { ...facts, lostAttemptMax: 2 }), [older]);
  assert.deepEqual(condemnableNames([own, older], { ...facts, lostAttemptMax: 1 }), [own, older]);
});

test('what an import of this epoch brought was written before there were tasks, so no lost TaskManager holds it up', () => {
  const imported = sharedFilePath({ epoch: 7, sha256: hash, executionAttempt: 0, forgetRequest: 0 });
  const forgotten = new Set([imported]);
  for (const lostAttemptMax of [0, 2]) {
    assert.deepEqual(condemnableNames([imported], { ...facts, forgotten, lostAttemptMax }), [imported]);
  }
});
