/**
 * Windows of all kinds against a plain model, over random streams: out of order, late, before the epoch, with watermarks that jump, with
 * checkpoints restored at another parallelism in between. Single rules by name are in window-operator.test.ts.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { KeyedOperator } from '../../../test/fakes/keyed-operator.ts';
import { type ExpectedEvent, expectedWindows, type WindowRecord, type WindowStep } from '../../../test/fakes/window-model.ts';
import { Random } from '../../../test/simulation/random.ts';
import { StateDirectories } from '../../state-backend/conformance-fixtures.ts';
import { createHashmapStateBackendFactory } from '../../state-backend/hashmap/keyed-state-backend.ts';
import { maxTimestampMs } from '../time/event-time.ts';
import { t } from '../types/t.ts';
import type { Type } from '../types/type.ts';
import { type TimeWindow, timeWindowType } from './time-window.ts';
import type { WindowAssigner } from './window-assigner.ts';
import type { WindowContentsDefinition } from './window-contents.ts';
import { windowOperator } from './window-operator.ts';

const caseCount = 1_200;
const createBackend = createHashmapStateBackendFactory({ sizeBytesMax: 100_000_000 });
let directories: StateDirectories;

before(async () => {
  directories = await StateDirectories.create();
});
after(() => directories.remove());

type ContentsType = 'Elements' | 'MergeableList' | 'List';

interface Case {
  readonly assigner: WindowAssigner;
  readonly allowedLatenessMs: number;
  readonly contents: ContentsType;
  readonly isLateRead: boolean;
  readonly steps: readonly WindowStep[];
}

function randomCase(random: Random): Case {
  const assigner = randomAssigner(random);
  return {
    assigner,
    allowedLatenessMs: random.pick([0, 0, 1, 7, 30]),
    contents:
      assigner.type === 'Session'
        ? random.pick(['Elements', 'MergeableList'])
        : random.pick(['Elements', 'MergeableList', 'List']),
    isLateRead: random.chance(0.5),
    steps: randomSteps(random),
  };
}

function randomAssigner(random: Random): WindowAssigner {
  const domain = random.chance(0.2) ? 'ProcessingTime' : 'EventTime';
  const sizeMs = random.between(1, 24);
  switch (random.between(0, 9)) {
    case 0:
      return { type: 'Global', domain: 'EventTime' };
    case 1:
    case 2:
      return { type: 'Tumbling', domain, sizeMs, offsetMs: random.between(1 - sizeMs, sizeMs - 1) };
    case 3:
    case 4:
    case 5: {
      const slideMs = random.chance(0.4) ? random.between(1, 30) : Math.ceil(sizeMs / random.between(1, 4));
      return { type: 'Sliding', domain, sizeMs, slideMs, offsetMs: random.between(1 - slideMs, slideMs - 1) };
    }
    default:
      return { type: 'Session', domain, gapMs: random.between(1, 15) };
  }
}

function randomSteps(random: Random): readonly WindowStep[] {
  const keys = ['a', 'b', 'c'].slice(0, random.between(1, 3));
  const scatterMs = random.pick([0, 5, 40]);
  const boundMs = random.pick([0, 3, scatterMs]);
  let nowMs = random.between(-60, 20);
  let value = 0;
  let latestMs = Number.MIN_SAFE_INTEGER;
  const steps: WindowStep[] = [];
  for (let step = random.between(1, 24); step > 0; step--) {
    if (random.chance(0.6)) {
      const records = Array.from({ length: random.between(1, 6) }, (): WindowRecord => {
        nowMs += random.between(0, 9);
        const timestampMs = nowMs - random.between(0, scatterMs);
        latestMs = Math.max(latestMs, timestampMs);
        return { key: random.pick(keys), value: value++, timestampMs };
      });
      steps.push({ type: 'Records', records });
    } else {
      nowMs += random.chance(0.1) ? 100 : 0;
      steps.push({
        type: 'Watermark',
        timestampMs: random.chance(0.9) ? latestMs - boundMs - 1 : nowMs + random.between(-50, 50),
      });
    }
  }
  return [...steps, { type: 'Watermark', timestampMs: maxTimestampMs }];
}

/** By the clock: a record's time is when it arrives, and nothing is late. */
function byTheClock(steps: readonly WindowStep[]): readonly WindowStep[] {
  let clockMs = -70;
  return steps.map((step): WindowStep => {
    if (step.type === 'Records') {
      return { type: 'Records', records: step.records.map((record) => ({ ...record, timestampMs: clockMs })) };
    }
    clockMs = step.timestampMs === maxTimestampMs ? 100_000 : Math.max(clockMs, step.timestampMs);
    return { type: 'Watermark', timestampMs: clockMs - 1 };
  });
}

const contentsByType: Readonly<Record<ContentsType, WindowContentsDefinition>> = {
  Elements: { type: 'Elements', elementType: t.struct({ key: t.string, value: t.int, timestampMs: t.int }) as Type<unknown> },
  MergeableList: aggregated((a, b) => [...(a as number[]), ...(b as number[])]),
  List: aggregated(undefined),
};

/** Aggregated, but so that what was put in can be seen. */
function aggregated(merge: ((a: unknown, b: unknown) => unknown) | undefined): WindowContentsDefinition {
  return {
    type: 'Aggregate',
    accumulatorType: t.array(t.int) as Type<unknown>,
    aggregate: {
      createAccumulator: () => [],
      add: (values, record) => [...(values as number[]), (record as WindowRecord).value],
      getResult: (values) => values,
    },
    merge,
  };
}

async function runCase({ assigner, allowedLatenessMs, contents, isLateRead, steps }: Case, random: Random): Promise<void> {
  const isByTheClock = assigner.domain === 'ProcessingTime';
  const given = isByTheClock ? byTheClock(steps) : steps;
  const lateness = isByTheClock ? 0 : allowedLatenessMs;
  const expected = expectedWindows(assigner, lateness, given);
  const operator = {
    ...windowOperator({
      assigner,
      allowedLatenessMs: lateness,
      lateOutputTag: isLateRead ? 'late' : undefined,
      contents: contentsByType[contents],
      emit: (context, window, result) => {
        const values = (result as readonly (number | WindowRecord)[]).map((each) =>
          typeof each === 'number' ? each : each.value,
        );
        context.emitAt({ key: context.key, window, values: values.toSorted((a, b) => a - b) }, window.end - 1);
      },
    }),
    namespaceType: timeWindowType as Type<unknown>,
    keyType: t.string as Type<unknown>,
    select: ({ key }: WindowRecord) => key,
    sideOutputTags: isLateRead ? ['late'] : [],
  };
  let running = await KeyedOperator.open(operator, { createBackend, parallelism: random.between(1, 3), nowMs: -70 });
  let lateCount = 0;
  for (const [step, action] of given.entries()) {
    if (action.type === 'Records') {
      running.process(action.records, isByTheClock ? undefined : action.records.map(({ timestampMs }) => timestampMs));
    } else if (isByTheClock) {
      running.advanceClock(action.timestampMs + 1);
    } else {
      running.watermark(action.timestampMs);
    }
    const got = running.takeEmitted().map(({ record, outputTag, timestampMs }): ExpectedEvent => {
      if (outputTag === 'late') {
        const late = record as WindowRecord;
        assert.equal(timestampMs, late.timestampMs, 'a late record keeps its time');
        return { step, key: late.key, window: 'late', values: [late.value] };
      }
      const fired = record as { key: string; window: TimeWindow; values: readonly number[] };
      assert.equal(timestampMs, fired.window.end - 1, 'a result has the time of its window');
      return { step, ...fired };
    });
    const wanted = expected.events.filter((event) => event.step === step && (isLateRead || event.window !== 'late'));
    assert.deepEqual(got.map(format).sort(), wanted.map(format).sort(), `step ${step}`);
    assert.equal(running.stateSizeBytes > 0, expected.isAnythingKept[step], `what is kept after step ${step}`);
    if (random.chance(0.05)) {
      const restored = await running.checkpoint(directories);
      lateCount += running.lateRecordCount;
      await running.close();
      running = await KeyedOperator.open(operator, {
        createBackend,
        parallelism: random.between(1, 3),
        restored,
        nowMs: running.nowMs,
      });
    }
  }
  const expectedLateCount = expected.events.filter(({ window }) => window === 'late').length;
  assert.equal(lateCount + running.lateRecordCount, isLateRead ? 0 : expectedLateCount);
  await running.close();
}

function format({ step, key, window, values }: ExpectedEvent): string {
  return `${step} ${key} ${window === 'late' ? 'late' : `${window.start}..${window.end}`} ${values.join(' ')}`;
}

test(`${caseCount} random streams through windows give what a plain model works out from the whole input`, async () => {
  const types = new Map<string, number>();
  for (let seed = 1; seed <= caseCount; seed++) {
    const random = new Random(seed);
    const drawn = randomCase(random);
    types.set(drawn.assigner.type, (types.get(drawn.assigner.type) ?? 0) + 1);
    try {
      await runCase(drawn, random);
    } catch (error) {
      const { steps, ...rest } = drawn;
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(
        `seed ${seed}: ${JSON.stringify(rest)}: ${message}\n${steps.map((step) => JSON.stringify(step)).join('\n')}`,
      );
    }
  }
  assert.deepEqual([...types.keys()].sort(), ['Global', 'Session', 'Sliding', 'Tumbling']);
});
