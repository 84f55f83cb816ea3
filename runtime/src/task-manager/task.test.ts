// One task, step by step: the order of watermarks, timers, records, barriers and the end. Stages are tested beside them, several tasks together with
// the TaskManager and as whole jobs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operator } from '../../test/fakes/job-graphs.ts';
import type { KeyedProcessFunction } from '../core/job-graph/keyed-process.ts';
import type { OperatorSubtaskState } from '../core/protocol/messages.ts';
import { maxTimestampMs } from '../core/time/event-time.ts';
import { t } from '../core/types/t.ts';
import type { Type } from '../core/types/type.ts';
import { createHashmapStateBackendFactory } from '../state-backend/hashmap/keyed-state-backend.ts';
import type { KeyedStateBackend } from '../state-backend/state-backend.ts';
import { KeyedProcessStage } from './chain/keyed-process-stage.ts';
import { OperatorOutputs } from './chain/operator-outputs.ts';
import { OutputStage } from './chain/output-stage.ts';
import { WatermarkFloors } from './chain/watermark-floors.ts';
import { type GateElement, InputGate } from './exchange/input-gate.ts';
import { LocalOutputChannel } from './exchange/output-channel.ts';
import { OutputPartition } from './exchange/output-partition.ts';
import { HeadState } from './head-state.ts';
import { OperatorMetricGroup } from './operator-metric-group.ts';
import { Task, type TaskReporter } from './task.ts';

const int = t.int as Type<unknown>;
const keyGroups = { first: 0, last: 127 };
const key = { select: (record: unknown) => record, keyType: int };

const batch = (...records: unknown[]): GateElement => ({ type: 'Batch', records, timestamps: undefined });
const watermark = (timestampMs: number): GateElement => ({ type: 'Watermark', timestampMs, isIdle: false });
const barrier = (checkpointId: number, stopSources = false): GateElement => ({
  type: 'Barrier',
  barrier: { checkpointId, directory: `chk-${checkpointId}`, stopSources, format: 'Native', mode: 'ExactlyOnce' },
});
const end: GateElement = { type: 'End' };

/** Registers a timer for the time that each record is, and emits the times of those that fire. */
const byTimers: KeyedProcessFunction = {
  elements: [(record, ctx) => ctx.registerTimer('EventTime', Number(record))],
  timer: ({ timestampMs }, ctx) => ctx.emit(timestampMs),
};

interface Scene {
  readonly task: Task;
  readonly gate: InputGate;
  readonly backend: KeyedStateBackend;
  /** What leaves the task: records, `@time`, `#checkpoint`, `end`; and what it reports: `ended`, `acknowledged #n`. */
  readonly seen: unknown[];
  readonly states: Map<number, readonly OperatorSubtaskState[]>;
  run(stepCountMax?: number): void;
}

async function scene(options: {
  readonly function: KeyedProcessFunction;
  readonly inputs?: number;
  readonly hasRoom?: () => boolean;
  /** Nobody takes what the task emits. */
  readonly isBlocked?: boolean;
  readonly nowMs?: () => number;
  readonly monotonicMs?: () => number;
}): Promise<Scene> {
  const { function: keyedFunction, inputs = 1, hasRoom, nowMs = () => 0, monotonicMs = () => 0 } = options;
  const seen: unknown[] = [];
  const states = new Map<number, readonly OperatorSubtaskState[]>();
  const described = operator({
    id: 'timers',
    type: 'keyedProcess',
    keyed: { keyType: { type: 'int' }, states: [], timers: true },
  });
  const created = await createHashmapStateBackendFactory({ sizeBytesMax: 1e8 })(
    {
      ...{ name: 'timers-0', keyType: int, namespaceType: undefined, states: [], timers: true, maxParallelism: 128 },
      ...{ keyGroups, nowMs, onRoom: () => {} },
    },
    [],
  );
  const backend = hasRoom === undefined ? created : withRoom(created, hasRoom);
  const channel: LocalOutputChannel = new LocalOutputChannel((element) => {
    seen.push(...shown(element));
    if (options.isBlocked !== true) {
      channel.addCredits(element.type === 'Batch' ? 1 : 0);
    }
  });
  const partition = new OutputPartition({
    partitioning: 'Forward',
    edge: { recordType: int, key: undefined },
    ...{ maxParallelism: 128, producerIndex: 0, channels: [channel] },
  });
  const output = new OutputStage(described, [partition], () => 0);
  const stage = new KeyedProcessStage({
    operator: described,
    keys: new Array(inputs).fill(key),
    keyType: int,
    function: keyedFunction,
    backend,
    broadcastState: undefined,
    operatorLists: undefined,
    metrics: new OperatorMetricGroup(described.id),
    floors: new WatermarkFloors(keyGroups, []),
    maxParallelism: 128,
    nowMs,
    monotonicMs: () => 0,
    outputs: new OperatorOutputs(described, output, new Map()),
  });
  const gate = new InputGate(inputs, () => {});
  const reporter: TaskReporter = {
    acknowledged: (_task, { checkpointId, operators }) => {
      seen.push(`acknowledged #${checkpointId}`);
      states.set(checkpointId, operators);
    },
    declined: (_task, checkpointId, error) => assert.fail(`declined ${checkpointId}: ${error}`),
    committed: () => {},
    endOfInput: (_task, pending) =>
      seen.push(pending === undefined ? 'ended' : `ended before ${pending.count} at ${pending.firstDueMs}`),
    failed: (_task, error) => {
      throw error;
    },
  };
  const keyedOperator = { operator: described, backend, stage, keyGroups };
  const task = new Task({
    id: { vertexId: 'timers', subtaskIndex: 0 },
    head: stage,
    inputs: stage.inputs,
    source: undefined,
    input: { gate, recordTypes: new Array(inputs).fill(int), ordinals: Array.from({ length: inputs }, (_, index) => index) },
    keyed: keyedOperator,
    headState: new HeadState({
      keyed: keyedOperator,
      broadcast: undefined,
      operatorLists: undefined,
      sharedFiles: undefined,
      place: { subtaskIndex: 0, executionAttempt: 1 },
      snapshotTarget: () => ({
        format: 'Native',
        putBytes: async (_name, bytes) => ({ type: 'inline', base64: Buffer.from(bytes).toString('base64') }),
        putFile: () => assert.fail('this backend writes no files'),
        putSharedFile: () => assert.fail('this backend writes no files'),
      }),
    }),
    ...{ sinks: [], timestamps: [], outputs: [output], partitions: [partition], reporter, measureOperators: () => [] },
    mayCommit: () => true,
    nowMs,
    monotonicMs,
  });
  task.start();
  const run = (stepCountMax = 1000) => {
    for (let step = 0; step < stepCountMax && task.step(0); step++) {
      task.flushDue(0, 0);
    }
  };
  return { task, gate, backend, seen, states, run };
}

function shown(element: GateElement): readonly unknown[] {
  switch (element.type) {
    case 'Batch':
      return element.records;
    case 'Watermark':
      return [`@${element.timestampMs}`];
    case 'Barrier':
      return [`#${element.barrier.checkpointId}`];
    case 'End':
      return ['end'];
    default:
      return assert.fail('within a thread there are no pages');
  }
}

/** The backend as it is, but for its room. */
function withRoom(backend: KeyedStateBackend, hasRoom: () => boolean): KeyedStateBackend {
  return new Proxy(backend, {
    get(target, name) {
      const value: unknown = name === 'hasRoom' ? hasRoom() : Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const times = (count: number) => Array.from({ length: count }, (_, index) => index);
/** Slices of a batch grow from one record on, while they cost nothing. */
function stepsOf(recordCount: number): number {
  let steps = 0;
  for (let left = recordCount, slice = 1; left > 0; left -= slice, slice *= 2) {
    steps++;
  }
  return steps;
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('records behind a watermark wait until all its timers have fired, over as many steps as that takes', async () => {
  const { gate, seen, run } = await scene({
    function: {
      ...byTimers,
      elements: [(record, ctx) => (Number(record) < 0 ? ctx.emit(record) : ctx.registerTimer('EventTime', Number(record)))],
    },
  });
  gate.add(0, batch(...times(1300)));
  gate.add(0, watermark(1299));
  gate.add(0, batch(-1));
  gate.add(0, watermark(2000));
  run(stepsOf(1300) + 1);
  assert.equal(seen.length, 512, 'one slice in the step of the watermark');
  run();
  assert.deepEqual(seen, [...times(1300), '@1299', -1, '@2000']);
});

test('of a batch of records that become very many, no more is worked on than until output waits', async () => {
  const { task, gate, run } = await scene({
    function: {
      elements: [
        (_record, ctx) => {
          for (const each of times(10_000)) {
            ctx.emit(each);
          }
        },
      ],
      timer: undefined,
    },
    isBlocked: true,
  });
  gate.add(0, batch(...times(500)));
  run();
  assert.equal(task.metrics().recordsIn, 1, 'less than one cannot be done: it is one call of the author');
});

test('between two slices of slow records the task looks round; what follows them stays behind them', async () => {
  let nowMs = 0;
  const { gate, seen, run } = await scene({
    function: {
      elements: [
        (record, ctx) => {
          nowMs += 10;
          ctx.emit(record);
        },
      ],
      timer: undefined,
    },
    monotonicMs: () => nowMs,
  });
  gate.add(0, batch(...times(100)));
  gate.add(0, barrier(1));
  run(10);
  assert.deepEqual(seen, times(10), 'one record to a step');
  run();
  await settled();
  assert.deepEqual(seen, [...times(100), '#1', 'acknowledged #1']);
});

test('the end comes behind every event-time timer, also of those that were registered after the last watermark', async () => {
  const { gate, seen, run } = await scene({ function: byTimers });
  gate.add(0, watermark(maxTimestampMs));
  gate.add(0, batch(...times(1300)));
  gate.add(0, end);
  run(stepsOf(1300) + 2);
  assert.equal(seen.includes('end'), false);
  run();
  assert.deepEqual(seen.slice(-3), [1299, 'end', 'ended']);
  assert.deepEqual(
    seen.filter((each) => typeof each === 'number'),
    times(1300),
  );
});

test('a checkpoint passes between two slices of timers at the end of the input, and holds those that are left', async () => {
  const { gate, seen, states, run } = await scene({ function: byTimers });
  gate.add(0, batch(...times(1300)));
  gate.add(0, watermark(maxTimestampMs));
  gate.add(0, end);
  run(stepsOf(1300) + 1);
  gate.add(0, barrier(1));
  run(1);
  await settled();
  run();
  const at = seen.indexOf('#1');
  assert.deepEqual(seen.slice(0, at), times(512), 'what had fired went out before the barrier');
  assert.deepEqual(
    seen.filter((each) => typeof each === 'number'),
    times(1300),
  );
  const [state] = states.get(1) ?? [];
  assert.deepEqual(state?.watermarkFloors, [{ keyGroups, watermarkMs: maxTimestampMs }]);
  const restored = await restore(state);
  assert.deepEqual(restored, times(1300).slice(512));
});

/** Times of the timers in a checkpoint. */
async function restore(state: OperatorSubtaskState | undefined): Promise<readonly number[]> {
  const handle = state?.keyed?.handle;
  assert.ok(handle?.type === 'inline');
  const backend = await createHashmapStateBackendFactory({ sizeBytesMax: 1e8 })(
    {
      ...{ name: 'restored', keyType: int, namespaceType: undefined, states: [], timers: true, maxParallelism: 128 },
      ...{ keyGroups, nowMs: () => 0, onRoom: () => {} },
    },
    [{ backend: 'HashMap', keyGroups, bytes: Buffer.from(handle.base64, 'base64'), files: [] }],
  );
  const fired: number[] = [];
  backend.fireTimers('EventTime', maxTimestampMs, 10_000, ({ timestampMs }) => fired.push(timestampMs));
  return fired;
}

test('a barrier that stops the job stops a run of timers too, and its abort lets it go on', async () => {
  const { task, gate, seen, run } = await scene({ function: byTimers });
  gate.add(0, batch(...times(1300)));
  gate.add(0, watermark(maxTimestampMs));
  gate.add(0, end);
  run(2);
  gate.add(0, barrier(1, true));
  run();
  await settled();
  assert.deepEqual(seen, [...times(512), '#1', 'acknowledged #1']);
  task.abortCheckpoint(1);
  run();
  assert.deepEqual(
    seen.filter((each) => typeof each === 'number'),
    times(1300),
  );
  assert.equal(seen.at(-1), 'ended');
});

test('a barrier behind records waits with them, and a second input is held up by the first', async () => {
  const { gate, seen, run } = await scene({
    inputs: 2,
    function: {
      elements: [(record, ctx) => ctx.registerTimer('EventTime', Number(record)), (record, ctx) => ctx.emit(`second ${record}`)],
      timer: ({ timestampMs }, ctx) => ctx.emit(timestampMs),
    },
  });
  gate.add(0, batch(...times(600)));
  gate.add(0, watermark(1000));
  gate.add(1, watermark(700));
  run(stepsOf(600) + 1);
  assert.equal(seen.length, 512);
  gate.add(0, barrier(1));
  gate.add(1, batch(5));
  gate.add(1, barrier(1));
  run();
  assert.deepEqual(seen, [...times(600), '@700', 'second 5', '#1']);
});

test('while the state takes no changes the task rests, and goes on where it was', async () => {
  let hasRoom = false;
  const { gate, seen, run, task } = await scene({ function: byTimers, hasRoom: () => hasRoom });
  gate.add(0, batch(1, 2));
  gate.add(0, watermark(5));
  assert.equal(task.step(0), false);
  assert.deepEqual(seen, []);
  hasRoom = true;
  run();
  assert.deepEqual(seen, [1, 2, '@5']);
});

test('processing-time timers that are not due at the end of the input never fire, and stay in the last checkpoint', async () => {
  let nowMs = 100;
  const { task, gate, seen, backend, run } = await scene({
    nowMs: () => nowMs,
    function: {
      elements: [(record, ctx) => ctx.registerTimer('ProcessingTime', Number(record))],
      timer: ({ timestampMs }, ctx) => ctx.emit(timestampMs),
    },
  });
  gate.add(0, batch(50, 150));
  run();
  assert.equal(task.nextTimerMs(), 150);
  gate.add(0, end);
  run();
  nowMs = 200;
  run();
  assert.deepEqual(seen, [50, `@${maxTimestampMs}`, 'end', 'ended before 1 at 150']);
  assert.equal(task.nextTimerMs(), undefined);
  assert.equal(backend.nextTimerMs('ProcessingTime'), 150);
});
