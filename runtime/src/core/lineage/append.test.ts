// What follows from a put and from a collision (rules 1 and 2), as tables.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineageBuilder } from '../../../test/fakes/lineage-builder.ts';
import { type AfterPut, afterPut, classifyCollision, type PutFacts, refusedPutTriesMax } from './append.ts';

test('a put is followed by what its outcome allows, and an unknown outcome by nothing but the same put', () => {
  const facts = (outcome: PutFacts['outcome'], rest: Partial<PutFacts> = {}): PutFacts => ({
    outcome,
    everUnknown: outcome === 'Unknown',
    retryable: true,
    tries: 1,
    ...rest,
  });
  const cases: readonly (readonly [PutFacts, AfterPut])[] = [
    [facts('Created'), 'Verify'],
    [facts('Created', { everUnknown: true, tries: 9 }), 'Verify'],
    [facts('Occupied'), 'ReadBack'],
    [facts('Unknown'), 'PutAgain'],
    [facts('Unknown', { tries: 1_000 }), 'PutAgain'],
    [facts('NotApplied'), 'PutAgain'],
    [facts('NotApplied', { tries: refusedPutTriesMax }), 'Fail'],
    [facts('NotApplied', { retryable: false }), 'Fail'],
    // An earlier try may still land, however surely this one did not.
    [facts('NotApplied', { retryable: false, everUnknown: true, tries: 1_000 }), 'PutAgain'],
  ];
  for (const [given, expected] of cases) {
    assert.equal(afterPut(given), expected, JSON.stringify(given));
  }
});

test('only an Opened of a higher epoch fences; my own nonce is success; everything else is applied', () => {
  const [opened, completed] = new LineageBuilder().open().complete(1).entries;
  assert.ok(opened !== undefined && completed !== undefined);
  const me = { nonce: 'mine', epoch: 3 };
  assert.equal(classifyCollision({ ...completed, nonce: 'mine', epoch: 3 }, me), 'Mine');
  assert.equal(classifyCollision({ ...opened, epoch: 4 }, me), 'Fenced');
  assert.equal(classifyCollision({ ...opened, epoch: 3 }, me), 'Apply');
  assert.equal(classifyCollision({ ...opened, epoch: 2 }, me), 'Apply');
  assert.equal(classifyCollision({ ...completed, epoch: 9 }, me), 'Apply');
  // Who has not opened yet is not fenced; it decides anew.
  assert.equal(classifyCollision({ ...opened, epoch: 4 }, { nonce: 'mine', epoch: undefined }), 'Apply');
});
