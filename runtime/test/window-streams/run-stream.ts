import assert from 'node:assert/strict';
import { maxTimestampMs } from '../../src/core/time/event-time.ts';
import { t } from '../../src/core/types/t.ts';
import type { Type } from '../../src/core/types/type.ts';
import { type TimeWindow, timeWindowType } from '../../src/core/windows/time-window.ts';
import type { WindowContentsDefinition } from '../../src/core/windows/window-contents.ts';
import { windowOperator } from '../../src/core/windows/window-operator.ts';
import type { StateDirectories } from '../../src/state-backend/conformance-fixtures.ts';
import type { KeyedStateBackendFactory } from '../../src/state-backend/state-backend.ts';
import { KeyedOperator } from '../fakes/keyed-operator.ts';
import type { Random } from '../simulation/random.ts';
import type { ContentsType, WindowStream } from './random-stream.ts';
import { type ExpectedEvent, expectedWindows, type WindowRecord, type WindowStep } from './window-model.ts';

export interface WindowStreamRun {
  readonly createBackend: KeyedStateBackendFactory;
  /** Whether the backend's size says exactly whether it holds anything. */
  readonly isCounted: boolean;
  readonly directories: StateDirectories;
  readonly random: Random;
}

/**
 * Gives the stream to a window operator, record by record and watermark by watermark, with checkpoints restored at another parallelism in between, and
 * compares what it emits and keeps after each step with the model.
 */
export async function runStream(
  { assigner, allowedLatenessMs, contents, isLateRead, steps }: WindowStream,
  { createBackend, isCounted, directories, random }: WindowStreamRun,
): Promise<void> {
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
  let running = await KeyedOperator.open(operator, { createBackend, parallelism: random.between(1, 3) });
  let lateCount = 0;
  for (const [step, action] of given.entries()) {
    await running.room();
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
    if (isCounted) {
      assert.equal(running.stateSizeBytes > 0, expected.isAnythingKept[step], `what is kept after step ${step}`);
    }
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

/** By the clock: a record's time is when it arrives, and nothing is late. */
function byTheClock(steps: readonly WindowStep[]): readonly WindowStep[] {
  let clockMs = 0;
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
