import { type Source, type Type, t } from '@flinkjob/runtime';

interface IndexPosition {
  readonly next: number;
}

/** Record number 0, 1, 2 … for ever, in one split, as fast as they are taken; the counterpart of Flink's DataGeneratorSource. */
export function indexSource<T>(options: {
  readonly type: Type<T>;
  readonly recordAt: (index: number) => T;
}): Source<T, IndexPosition> {
  const { type, recordAt } = options;
  return {
    name: 'index-source',
    recordType: type,
    positionType: t.struct({ next: t.int }),
    bounded: false,
    replayable: true,
    parallelismMax: 1,
    discoverSplits: async () => [{ id: 'all', position: { next: 0 } }],
    createReader: (_context, splits) => {
      const positions = splits.map(({ id, position }) => ({ id, next: position.next }));
      return {
        poll(countMax) {
          const [split] = positions;
          if (split === undefined) {
            return 'End';
          }
          const records = new Array<T>(countMax);
          for (let index = 0; index < countMax; index++) {
            records[index] = recordAt(split.next + index);
          }
          split.next += countMax;
          return { splitId: split.id, records };
        },
        positions: () => positions.map(({ id, next }) => ({ id, position: { next } })),
        close: async () => {},
      };
    },
  };
}
