import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineJob, type Infer, type Sink, t, type WindowContext, watermarks, windows } from '@flinkjob/runtime';
import { withNativeMemoryFile } from './native-memory-file.ts';
import { pacedSource } from './paced-source.ts';
import { addTo, outOfOrdernessMs, type Reading, Readings, reading, type WindowTotals } from './window-buffer-records.ts';

const firing = t.struct({ windowEndMs: t.int, records: t.int, sum: t.int });
type Firing = Infer<typeof firing>;

interface WindowBufferArguments {
  readonly keys: string;
  readonly recordsPerSecond: string;
  /** Of event time for one of the clock. */
  readonly eventSecondsPerSecond: string;
  /** Undefined: without end. */
  readonly records?: string;
  readonly due: string;
  readonly taken: string;
  readonly totals: string;
  readonly nativeMemory: string;
}

/** Keeps every record of a window of two hours until it fires, and then looks at each of them: state that is written all the time and read once. */
export default defineJob<WindowBufferArguments>(({ env, args }) => {
  const recordsPerSecond = Number(args.recordsPerSecond);
  const readings = new Readings({
    keyCount: Number(args.keys),
    recordsPerEventSecond: recordsPerSecond / Number(args.eventSecondsPerSecond),
  });
  env
    .source(
      pacedSource({
        ...{ type: reading, recordAt: (index) => readings.at(index), recordsPerSecond },
        recordCount: args.records === undefined ? Number.POSITIVE_INFINITY : Number(args.records),
        ...{ dueDirectory: args.due, takenDirectory: args.taken },
      }),
      {
        uid: 'readings',
        watermarks: watermarks.boundedOutOfOrderness({
          timestampMs: ({ timestampMs }) => timestampMs,
          outOfOrdernessSeconds: outOfOrdernessMs / 1000,
        }),
      },
    )
    .keyBy(({ key }) => key, t.int)
    .window(windows.tumbling({ hours: 2 }))
    .process(
      {
        window(ctx: WindowContext<number, Firing>, elements: readonly Reading[]) {
          let sum = 0;
          for (const element of elements) {
            if (element.key !== ctx.key || !readings.isRight(element)) {
              throw new Error(`wrong state: record ${element.index} of key ${ctx.key} is not what was put into the window`);
            }
            sum += element.index;
          }
          ctx.emit({ windowEndMs: ctx.window.end, records: elements.length, sum });
        },
      },
      { uid: 'two-hours', type: firing },
    )
    .sink(withNativeMemoryFile(totalsSink(args.totals), args.nativeMemory), { uid: 'totals' });
});

/** Writes, when it is closed, what came of each window. */
function totalsSink(directory: string): Sink<Firing> {
  return {
    name: 'window-totals',
    guarantee: 'AtLeastOnce',
    createWriter: ({ subtaskIndex }) => {
      const totals = new Map<number, WindowTotals>();
      return {
        write(firings) {
          for (const { windowEndMs, records, sum } of firings) {
            addTo(totals, windowEndMs, records, sum);
          }
        },
        prepareCommit: async () => [],
        commit: async () => {},
        close: async () => writeFileSync(join(directory, `${subtaskIndex}.json`), JSON.stringify([...totals])),
      };
    },
  };
}
