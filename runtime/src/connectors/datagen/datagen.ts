import type { Source, SourceReader, SourceReaderContext, Split, SplitRecords } from '../../core/job-graph/source.ts';
import { t } from '../../core/types/t.ts';
import type { Type } from '../../core/types/type.ts';
import { invalidOption, refuseUnknownOptions, requireNumber } from '../invalid-option.ts';
import { RateLimit } from '../rate-limit.ts';
import { SeededRandom } from './seeded-random.ts';

export interface DatagenOptions<T> {
  /** The same seed gives the same records. Default 1. */
  readonly seed?: number;
  /** Into how many independent streams the records are divided; with the seed it fixes the content, whatever the parallelism. Default 8. */
  readonly splits?: number;
  /** Records of all splits together; without it there is no end. */
  readonly count?: number;
  /** How many different keys there are, `key-0` … ; at least one per split. Default 100. Without meaning if `generate` is given. */
  readonly keys?: number;
  /** Of all splits together; without it as fast as the job takes them. */
  readonly recordsPerSecond?: number;
  /**
   * Makes record `sequenceNumber` (from 0, each number once over all splits). Use `random` (0 ≤ x < 1) and nothing else that changes,
   * so that a restart makes the same records again.
   */
  readonly generate?: (sequenceNumber: number, random: () => number) => T;
  /** Of what `generate` makes. Default `t.any`. */
  readonly type?: Type<T>;
}

export interface DatagenRecord {
  /** Every key belongs to one split, so its records keep their order. */
  readonly key: string;
  /** Counts the key's records from 0 without a gap. */
  readonly sequence: number;
  /** From 0 to 999,999. */
  readonly value: number;
}

/** Number of the split's next record. */
export interface DatagenPosition {
  readonly next: number;
}

/** Made-up records: the same ones at every start, from any position, at any parallelism. */
// First, because a failed first overload would leave `generate` without the types of its parameters.
export function datagen<T>(
  options: DatagenOptions<T> & { readonly generate: (sequenceNumber: number, random: () => number) => T },
): Source<T, DatagenPosition>;
export function datagen(
  options?: Omit<DatagenOptions<DatagenRecord>, 'generate' | 'type'>,
): Source<DatagenRecord, DatagenPosition>;
export function datagen(options: DatagenOptions<unknown> = {}): Source<unknown, DatagenPosition> {
  refuseUnknownOptions('datagen', options, ['seed', 'splits', 'count', 'keys', 'recordsPerSecond', 'generate', 'type']);
  const seed = requireNumber('datagen', 'seed', options.seed ?? 1, { min: 0, max: 2 ** 32 - 1, integer: true });
  const splitCount = requireNumber('datagen', 'splits', options.splits ?? 8, { min: 1, max: 32_768, integer: true });
  const keyCount = requireNumber('datagen', 'keys', options.keys ?? 100, { min: 1, max: 1e9, integer: true });
  const count =
    options.count === undefined
      ? undefined
      : requireNumber('datagen', 'count', options.count, { min: 0, max: Number.MAX_SAFE_INTEGER, integer: true });
  const recordsPerSecond =
    options.recordsPerSecond === undefined
      ? undefined
      : requireNumber('datagen', 'recordsPerSecond', options.recordsPerSecond, { min: 0.001, max: 1e9, integer: false });
  if (options.generate === undefined && keyCount < splitCount) {
    throw invalidOption({
      connector: 'datagen',
      option: 'keys',
      problem: `is ${keyCount}, less than the ${splitCount} splits`,
      remedy: 'A key belongs to one split: ask for more keys or fewer splits.',
    });
  }
  const { generate } = options;
  return {
    name: 'datagen',
    recordType: (generate === undefined ? recordType : (options.type ?? t.any)) as Type<unknown>,
    positionType: t.struct({ next: t.int }),
    bounded: count !== undefined,
    replayable: true,
    parallelismMax: splitCount,
    discoverSplits: async () => Array.from({ length: splitCount }, (_, index) => ({ id: splitId(index), position: { next: 0 } })),
    createReader: (context, splits) =>
      new DatagenReader({
        context,
        splits: splits.map((split) => {
          const index = splitIndex(split.id);
          return {
            id: split.id,
            next: split.position.next,
            isOver: false,
            end: count === undefined ? Number.POSITIVE_INFINITY : shareOf(count, splitCount, index),
            generate:
              generate === undefined
                ? keyedRecords({ seed, splitCount, splitIndex: index, keyCount })
                : userRecords({ seed, splitCount, splitIndex: index, generate }),
          };
        }),
        recordsPerSecond: recordsPerSecond === undefined ? undefined : (recordsPerSecond * splits.length) / splitCount,
      }),
  };
}

const recordType = t.struct({ key: t.string, sequence: t.int, value: t.int });

function splitId(index: number): string {
  return `split-${index}`;
}

function splitIndex(id: string): number {
  return Number(id.slice('split-'.length));
}

/** How many of `count` things are numbered `index` modulo `parts`. */
function shareOf(count: number, parts: number, index: number): number {
  return Math.floor((count - index + parts - 1) / parts);
}

/** Each key of the split once per round, in another order every round: the round is the key's sequence, and nothing needs counting. */
function keyedRecords(options: {
  readonly seed: number;
  readonly splitCount: number;
  readonly splitIndex: number;
  readonly keyCount: number;
}): (position: number) => DatagenRecord {
  const { seed, splitCount, splitIndex: split, keyCount } = options;
  const ownKeyCount = shareOf(keyCount, splitCount, split);
  const random = new SeededRandom();
  return (position) => {
    const sequence = Math.floor(position / ownKeyCount);
    random.reseed(seed, split, sequence);
    const rotation = random.nextBelow(ownKeyCount);
    const ownKey = (position + rotation) % ownKeyCount;
    random.reseed(seed, split, position);
    return { key: `key-${ownKey * splitCount + split}`, sequence, value: random.nextBelow(1_000_000) };
  };
}

function userRecords(options: {
  readonly seed: number;
  readonly splitCount: number;
  readonly splitIndex: number;
  readonly generate: (sequenceNumber: number, random: () => number) => unknown;
}): (position: number) => unknown {
  const { seed, splitCount, splitIndex: split, generate } = options;
  const random = new SeededRandom();
  const nextRandom = () => random.next();
  return (position) => {
    random.reseed(seed, split, position);
    return generate(position * splitCount + split, nextRandom);
  };
}

interface DatagenSplit {
  readonly id: string;
  next: number;
  /** It was said that nothing follows. */
  isOver: boolean;
  readonly end: number;
  readonly generate: (position: number) => unknown;
}

class DatagenReader implements SourceReader<unknown, DatagenPosition> {
  readonly #context: SourceReaderContext;
  readonly #splits: readonly DatagenSplit[];
  readonly #byId: ReadonlyMap<string, DatagenSplit>;
  readonly #rateLimit: RateLimit | undefined;
  #paused: ReadonlySet<string> = new Set();
  #timer: NodeJS.Timeout | undefined;
  #turn = 0;

  constructor(options: {
    readonly context: SourceReaderContext;
    readonly splits: readonly DatagenSplit[];
    readonly recordsPerSecond: number | undefined;
  }) {
    this.#context = options.context;
    this.#splits = options.splits;
    this.#byId = new Map(this.#splits.map((split) => [split.id, split]));
    this.#rateLimit =
      options.recordsPerSecond === undefined || options.splits.length === 0
        ? undefined
        : new RateLimit(options.recordsPerSecond, options.context.nowMs());
  }

  poll(countMax: number): SplitRecords<unknown> | 'Pending' | 'End' {
    const split = this.#nextSplit();
    if (split === undefined) {
      return this.#splits.every(({ isOver }) => isOver) ? 'End' : 'Pending';
    }
    const wanted = Math.min(countMax, split.end - split.next);
    const count = this.#rateLimit === undefined ? wanted : this.#rateLimit.take(wanted, this.#context.nowMs());
    if (count === 0 && wanted > 0) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#context.wake(), this.#rateLimit?.delayMs() ?? 0);
      return 'Pending';
    }
    const records: unknown[] = new Array(count);
    for (let index = 0; index < count; index++) {
      records[index] = split.generate(split.next + index);
    }
    split.next += count;
    split.isOver = split.next >= split.end;
    this.#turn++;
    return { splitId: split.id, records, isLast: split.isOver };
  }

  positions(): readonly Split<DatagenPosition>[] {
    return this.#splits.map(({ id, next }) => ({ id, position: { next } }));
  }

  pauseSplits(splitIds: ReadonlySet<string>): void {
    this.#paused = splitIds;
  }

  /** There is always more to make up, or it is over. */
  isReadable(splitId: string): boolean {
    return this.#byId.get(splitId)?.isOver === false;
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
  }

  #nextSplit(): DatagenSplit | undefined {
    for (let tried = 0; tried < this.#splits.length; tried++) {
      const split = this.#splits[this.#turn % this.#splits.length];
      if (split !== undefined && !split.isOver && !this.#paused.has(split.id)) {
        return split;
      }
      this.#turn++;
    }
    return undefined;
  }
}
