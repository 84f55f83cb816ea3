// Covers the order of timers over many of them; keys, snapshots and restores are in ../conformance.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cell } from './cell.ts';
import { type Timer, TimerHeap } from './timer-heap.ts';

const cells = Array.from(
  { length: 20 },
  (_, key) => new Cell({ key, keyGroup: key % 4, namespace: undefined, slotCount: 0, preservedFor: 0 }),
);

function compareCells(a: Cell, b: Cell): number {
  return a.keyGroup - b.keyGroup || Number(a.key) - Number(b.key);
}

test('the next timer comes first however timers were added and deleted, those of one time in the order of their cells', () => {
  for (let seed = 1; seed <= 20; seed++) {
    let state = seed;
    const random = (limit: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
    const heap = new TimerHeap(compareCells);
    const model: Timer[] = [];
    for (let step = 0; step < 2000; step++) {
      const cell = cells[random(20)] as Cell;
      const timestampMs = random(100);
      const known = model.findIndex((timer) => timer.cell === cell && timer.timestampMs === timestampMs);
      // Growing first, then shrinking, so that deletions reach every depth of the heap.
      if (random(1000) < (step < 1000 ? 700 : 300)) {
        if (known < 0) {
          model.push(heap.add(timestampMs, cell));
        }
      } else if (model.length > 0) {
        const [victim] = model.splice(random(model.length), 1);
        heap.delete(victim as Timer);
      }
      assert.equal(heap.size, model.length);
    }
    model.sort((a, b) => a.timestampMs - b.timestampMs || compareCells(a.cell, b.cell));
    for (const expected of model) {
      assert.equal(heap.first(), expected, `seed ${seed}`);
      heap.delete(expected);
      assert.equal(expected.heapIndex, -1);
    }
    assert.equal(heap.first(), undefined);
  }
});
