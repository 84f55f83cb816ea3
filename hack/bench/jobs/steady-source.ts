import { type Source, type Type, t } from '@flinkjob/runtime';

/** Between looks at the clock when nothing is due. */
const pauseMs = 2;

/** Record number 0, 1, 2 … in one split: the first ones as fast as they are taken, each later one when it is due since the first that was asked for. */
export function steadyAfterFirst<T>(options: {
  readonly type: Type<T>;
  readonly recordAt: (index: number) => T;
  readonly firstCount: number;
  readonly recordsPerSecond: number;
}): Source<T, { readonly next: number }> {
  const { type, recordAt, firstCount, recordsPerSecond } = options;
  return {
    name: 'steady-source',
    recordType: type,
    positionType: t.struct({ next: t.int }),
    bounded: false,
    replayable: true,
    parallelismMax: 1,
    discoverSplits: async () => [{ id: 'all', position: { next: 0 } }],
    createReader: ({ nowMs, wake }, [split]) => {
      if (split === undefined) {
        return { poll: () => 'End', positions: () => [], close: async () => {} };
      }
      let { next } = split.position;
      let paced: { readonly sinceMs: number; readonly first: number } | undefined;
      let pause: NodeJS.Timeout | undefined;
      const due = (): number => {
        if (next < firstCount) {
          return firstCount - next;
        }
        paced ??= { sinceMs: nowMs(), first: next };
        return paced.first + Math.floor(((nowMs() - paced.sinceMs) * recordsPerSecond) / 1000) - next;
      };
      return {
        poll(countMax) {
          const count = Math.min(countMax, due());
          if (count <= 0) {
            clearTimeout(pause);
            pause = setTimeout(wake, pauseMs);
            return 'Pending';
          }
          const records = Array.from({ length: count }, (_, offset) => recordAt(next + offset));
          next += count;
          return { splitId: split.id, records };
        },
        positions: () => [{ id: split.id, position: { next } }],
        isReadable: () => due() > 0,
        close: async () => clearTimeout(pause),
      };
    },
  };
}
