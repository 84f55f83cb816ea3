import { type Source, type Type, t } from '@flinkjob/runtime';
import { ProgressFile } from './progress-file.ts';

/** Between looks at the clock when nothing is due. */
const pauseMs = 2;

/**
 * Record number 0, 1, 2 … in one split, each when it is due by the clock and no sooner, as from a device that does not wait. What is due and not yet
 * taken is the job's lag: both numbers go to progress files.
 */
export function pacedSource<T>(options: {
  readonly type: Type<T>;
  readonly recordAt: (index: number) => T;
  readonly recordsPerSecond: number;
  /** Infinity for a source without end. */
  readonly recordCount: number;
  readonly dueDirectory: string;
  readonly takenDirectory: string;
}): Source<T, { readonly next: number }> {
  const { type, recordAt, recordsPerSecond, recordCount } = options;
  return {
    name: 'paced-source',
    recordType: type,
    positionType: t.struct({ next: t.int }),
    bounded: recordCount !== Number.POSITIVE_INFINITY,
    replayable: true,
    parallelismMax: 1,
    discoverSplits: async () => [{ id: 'all', position: { next: 0 } }],
    createReader: ({ nowMs, wake, subtaskIndex }, [split]) => {
      if (split === undefined) {
        return { poll: () => 'End', positions: () => [], close: async () => {} };
      }
      let { next } = split.position;
      const startedAtMs = nowMs();
      const first = next;
      const due = () => Math.min(recordCount, first + Math.floor(((nowMs() - startedAtMs) * recordsPerSecond) / 1000));
      const progress = [
        new ProgressFile({ directory: options.dueDirectory, subtaskIndex, records: due }),
        new ProgressFile({ directory: options.takenDirectory, subtaskIndex, records: () => next }),
      ];
      let pause: NodeJS.Timeout | undefined;
      return {
        poll(countMax) {
          if (next === recordCount) {
            return 'End';
          }
          const count = Math.min(countMax, due() - next);
          if (count === 0) {
            clearTimeout(pause);
            pause = setTimeout(wake, pauseMs);
            return 'Pending';
          }
          const records = Array.from({ length: count }, (_, offset) => recordAt(next + offset));
          next += count;
          return { splitId: split.id, records };
        },
        positions: () => [{ id: split.id, position: { next } }],
        // Records that are due and not taken are there to be read.
        isReadable: () => next < due(),
        close: async () => {
          clearTimeout(pause);
          for (const file of progress) {
            file.close();
          }
        },
      };
    },
  };
}
