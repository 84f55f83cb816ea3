// Covers the order of timers over many of them; keys, snapshots and restores are in ../conformance.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { t } from '../../core/types/t.ts';
import { createIdentityCodec } from './identity.ts';
import { SizeAccount } from './size-account.ts';
import { Timers } from './timers.ts';

function createTimers(): Timers {
  return new Timers({
    groupCount: 4,
    keys: createIdentityCodec(t.int),
    account: new SizeAccount(Number.MAX_SAFE_INTEGER),
  });
}

test('the earliest timer comes first however timers were added and deleted', () => {
  for (let seed = 1; seed <= 20; seed++) {
    let state = seed;
    const random = (limit: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
    const timers = createTimers();
    const model = new Map<string, number>();
    for (let step = 0; step < 2000; step++) {
      const [group, key, timestampMs] = [random(4), random(20), random(1000)];
      // Growing first, then shrinking, so that deletions reach every depth of the heap.
      if (random(1000) < (step < 1000 ? 700 : 300)) {
        timers.add(group, key, timestampMs);
        model.set(`${group} ${key} ${timestampMs}`, timestampMs);
      } else {
        const [victim] = [...model.keys()].slice(random(model.size));
        const [victimGroup = 0, victimKey = 0, victimTime = 0] = victim?.split(' ').map(Number) ?? [];
        timers.delete(victimGroup, victimKey, victimTime);
        model.delete(victim ?? '');
      }
    }
    const expected = [...model.values()].sort((a, b) => a - b);
    const order: number[] = [];
    for (let timer = timers.earliest(); timer !== undefined; timer = timers.earliest()) {
      order.push(timer.timestampMs);
      timers.delete(timer.group, Number(timer.identity), timer.timestampMs);
    }
    assert.deepEqual(order, expected, `seed ${seed}`);
  }
});

test('a key that moves its timer again and again leaves nothing behind', () => {
  const account = new SizeAccount(10_000);
  const timers = new Timers({ groupCount: 1, keys: createIdentityCodec(t.int), account });
  for (let timestampMs = 1; timestampMs < 5000; timestampMs++) {
    timers.add(0, 7, timestampMs);
    timers.delete(0, 7, timestampMs - 1);
  }
  assert.equal(timers.earliest()?.timestampMs, 4999);
  timers.delete(0, 7, 4999);
  assert.equal(timers.earliest(), undefined);
  assert.equal(account.sizeBytes, 0);
});
