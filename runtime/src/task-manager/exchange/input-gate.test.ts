// One subtask's input channels: turns, barriers, ends, and what the producer is told. Where elements come from is tested with TaskManagers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type GateElement, InputGate } from './input-gate.ts';

const batch = (...records: unknown[]): GateElement => ({ type: 'Batch', records });
const barrier = (checkpointId: number): GateElement => ({
  type: 'Barrier',
  barrier: { checkpointId, directory: `chk-${checkpointId}`, stopSources: false },
});
const end: GateElement = { type: 'End' };

/** Everything that can be read now: records, `#id` for a checkpoint, `end`. */
function readAll(gate: InputGate): unknown[] {
  const seen: unknown[] = [];
  for (let event = gate.poll(); event !== undefined; event = gate.poll()) {
    switch (event.type) {
      case 'Batch':
        seen.push(...event.records);
        break;
      case 'Checkpoint':
        seen.push(`#${event.barrier.checkpointId}`);
        break;
      case 'End':
        seen.push('end');
        break;
      case 'Page':
        seen.push(`page of ${event.recordCount}`);
    }
  }
  return seen;
}

test('channels are read in turn, each in its own order', () => {
  const gate = new InputGate(2, () => {});
  gate.add(0, batch('a1'));
  gate.add(0, batch('a2'));
  gate.add(1, batch('b1'));
  assert.deepEqual(readAll(gate), ['a1', 'b1', 'a2']);
});

test('records behind a barrier wait until every channel has delivered it', () => {
  const gate = new InputGate(2, () => {});
  gate.add(0, barrier(1));
  gate.add(0, batch('after'));
  gate.add(1, batch('before'));
  assert.deepEqual(readAll(gate), ['before']);
  gate.add(1, barrier(1));
  gate.add(1, batch('b'));
  assert.deepEqual(readAll(gate), ['#1', 'after', 'b']);
});

test('an abort frees what its barrier held up, and the next checkpoint aligns', () => {
  const gate = new InputGate(2, () => {});
  gate.add(0, barrier(1));
  gate.add(0, batch('held'));
  assert.deepEqual(readAll(gate), []);
  gate.abort(1);
  assert.deepEqual(readAll(gate), ['held']);
  gate.add(1, barrier(1));
  gate.add(1, barrier(2));
  gate.add(1, batch('behind 2'));
  assert.deepEqual(readAll(gate), []);
  gate.add(0, barrier(2));
  assert.deepEqual(readAll(gate), ['#2', 'behind 2']);
});

test('the input ends with its last channel, and ended channels still bring barriers', () => {
  const gate = new InputGate(2, () => {});
  gate.add(0, end);
  gate.add(0, barrier(1));
  gate.add(1, batch('late'));
  assert.deepEqual(readAll(gate), ['late']);
  gate.add(1, barrier(1));
  gate.add(1, end);
  assert.deepEqual(readAll(gate), ['#1', 'end']);
  gate.add(0, barrier(2));
  gate.add(1, barrier(2));
  assert.deepEqual(readAll(gate), ['#2']);
});

test('a producer gets credit when its records are read, not for barriers, and not while it is blocked', () => {
  const taken: number[] = [];
  const gate = new InputGate(2, (inputIndex) => taken.push(inputIndex));
  gate.add(0, barrier(1));
  gate.add(0, batch('a'));
  gate.add(1, batch('b'));
  readAll(gate);
  assert.deepEqual(taken, [1]);
  gate.add(1, barrier(1));
  readAll(gate);
  assert.deepEqual(taken, [1, 0]);
});

test('records after the end of a channel are a broken invariant', () => {
  const gate = new InputGate(1, () => {});
  gate.add(0, end);
  gate.add(0, batch('a'));
  assert.equal(gate.poll()?.type, 'End');
  assert.throws(() => gate.poll(), /after the end/);
});
