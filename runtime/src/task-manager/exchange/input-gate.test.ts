// One subtask's input channels: turns, barriers, ends, and what the producer is told. Where elements come from is tested with TaskManagers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CheckpointMode } from '../../core/checkpoint/checkpoint-mode.ts';
import { maxTimestampMs } from '../../core/time/event-time.ts';
import { type GateElement, InputGate } from './input-gate.ts';

const batch = (...records: unknown[]): GateElement => ({ type: 'Batch', records, timestamps: undefined });
const barrier = (checkpointId: number, mode: CheckpointMode = 'ExactlyOnce'): GateElement => ({
  type: 'Barrier',
  barrier: { checkpointId, directory: `chk-${checkpointId}`, stopSources: false, format: 'Native', mode },
});
const watermark = (timestampMs: number, isIdle = false): GateElement => ({ type: 'Watermark', timestampMs, isIdle });
const end: GateElement = { type: 'End' };

/** Everything that can be read now: records, `@time` for a watermark, `#id` for a checkpoint, `end`. */
function readAll(gate: InputGate): unknown[] {
  const seen: unknown[] = [];
  for (let event = gate.poll(); event !== undefined; event = gate.poll()) {
    switch (event.type) {
      case 'Batch':
        seen.push(...event.records);
        break;
      case 'Watermark':
        seen.push(`@${event.timestampMs}${event.isIdle ? ' idle' : ''}`);
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

for (const [mode, counted] of [
  ['ExactlyOnce', 1],
  ['AtLeastOnce', 2],
] as const) {
  test(`${mode}: a record between the barriers of two channels counts ${counted} time(s) when its source gives it again`, () => {
    const gate = new InputGate(2, () => {});
    gate.add(0, barrier(1, mode));
    gate.add(0, batch('between'));
    const read = readAll(gate);
    gate.add(1, batch('before'));
    gate.add(1, barrier(1, mode));
    read.push(...readAll(gate));
    const inCheckpoint = read.slice(0, read.indexOf('#1'));
    assert.ok(inCheckpoint.includes('before'), 'nothing before a barrier is ever left out');
    // After the restore sources go on behind their barriers.
    const afterRestore = [...inCheckpoint, 'between'];
    assert.equal(afterRestore.filter((record) => record === 'between').length, counted);
  });
}

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

test('a watermark of all channels is given behind the records before it, and waits behind a barrier', () => {
  const gate = new InputGate(2, () => {});
  gate.add(0, batch('a1'));
  gate.add(0, watermark(10));
  gate.add(1, batch('b1'));
  gate.add(1, watermark(5));
  assert.deepEqual(readAll(gate), ['a1', 'b1', '@5']);
  gate.add(1, barrier(1));
  gate.add(1, watermark(20));
  assert.deepEqual(readAll(gate), []);
  gate.add(0, barrier(1));
  assert.deepEqual(readAll(gate), ['#1', '@10']);
});

test('an idle channel is not waited for, and an ended one neither', () => {
  const gate = new InputGate(3, () => {});
  gate.add(0, watermark(10));
  gate.add(1, watermark(3, true));
  gate.add(2, watermark(maxTimestampMs));
  gate.add(2, end);
  assert.deepEqual(readAll(gate), ['@10']);
  gate.add(0, watermark(10, true));
  assert.deepEqual(readAll(gate), ['@10 idle']);
  gate.add(1, watermark(11));
  assert.deepEqual(readAll(gate), ['@11']);
  gate.add(0, watermark(maxTimestampMs));
  gate.add(1, watermark(maxTimestampMs));
  gate.add(0, end);
  gate.add(1, end);
  assert.deepEqual(readAll(gate), [`@${maxTimestampMs}`, 'end']);
});

test('watermarks that nobody reads do not pile up', () => {
  const gate = new InputGate(1, () => {});
  gate.add(0, batch('a'));
  for (let timestampMs = 0; timestampMs < 1000; timestampMs++) {
    gate.add(0, watermark(timestampMs));
  }
  const seen: unknown[] = [];
  for (let event = gate.poll(); event !== undefined; event = gate.poll()) {
    seen.push(event.type);
  }
  assert.deepEqual(seen, ['Batch', 'Watermark']);
});

test('while records must wait a checkpoint may pass, once every channel has nothing but its end before the barrier', () => {
  const gate = new InputGate(2, () => {});
  gate.add(0, end);
  gate.add(0, barrier(1));
  gate.add(1, batch('b'));
  gate.add(1, barrier(1));
  assert.equal(gate.pollCheckpoint(), undefined);
  assert.deepEqual(readAll(gate), ['b', '#1']);
  gate.add(1, watermark(1));
  gate.add(0, barrier(2));
  assert.equal(gate.pollCheckpoint(), undefined);
  assert.equal(
    gate.poll(),
    undefined,
    'the other channel has not ended, but nothing follows from it but a watermark without effect',
  );
  gate.add(1, end);
  gate.add(1, barrier(2));
  gate.add(1, barrier(3));
  const event = gate.pollCheckpoint();
  assert.equal(event?.type === 'Checkpoint' && event.barrier.checkpointId, 2);
  assert.deepEqual(readAll(gate), ['end'], 'the end waits for a time when anything may be read');
  gate.add(0, barrier(3));
  assert.deepEqual(readAll(gate), ['#3']);
});

test('how long a checkpoint was aligned is from the first of its barriers to the last, and starts anew with a later one', () => {
  let nowMs = 0;
  const gate = new InputGate(
    3,
    () => {},
    () => nowMs,
  );
  const arrive = (channel: number, id: number, atMs: number) => {
    nowMs = atMs;
    gate.add(channel, barrier(id));
    return readAll(gate);
  };
  arrive(0, 1, 10);
  arrive(1, 1, 15);
  assert.equal(gate.alignmentDurationMs, 0);
  assert.deepEqual(arrive(2, 1, 40), ['#1']);
  assert.equal(gate.alignmentDurationMs, 30);
  arrive(0, 2, 100);
  // The second is given up; what is measured is the third alone.
  arrive(1, 3, 200);
  arrive(0, 3, 210);
  arrive(2, 2, 215);
  assert.deepEqual(arrive(2, 3, 225), ['#3']);
  assert.equal(gate.alignmentDurationMs, 25);
});

test('what waits to be read is counted', () => {
  const gate = new InputGate(2, () => {});
  gate.add(0, batch('a'));
  gate.add(1, batch('b'));
  gate.add(1, watermark(5));
  assert.equal(gate.queuedElementCount, 3);
  readAll(gate);
  assert.equal(gate.queuedElementCount, 0);
});
