import type { Source, SourceReader, Split, SplitRecords } from '../../src/core/job-graph/source.ts';
import { minTimestampMs } from '../../src/core/time/event-time.ts';
import { BinaryReader } from '../../src/core/types/binary-reader.ts';
import { BinaryWriter } from '../../src/core/types/binary-writer.ts';
import { OperatorMetricGroup } from '../../src/task-manager/operator-metric-group.ts';

/** Reads a source as a subtask does: polls, waits to be woken, and hands positions on in their encoded form. */
export class SourceReading<T, Position> {
  readonly reader: SourceReader<T, Position>;
  readonly #source: Source<T, Position>;
  #woken = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<never>();
  /** What the reader is told of its splits' event time. */
  readonly watermarks = new Map<string, number>();
  /** Sees every poll that gives something. */
  onPolled: (polled: SplitRecords<T>) => void = () => {};
  /** Of which the reader said that nothing follows. */
  readonly endedSplits = new Set<string>();

  constructor(source: Source<T, Position>, splits: readonly Split<Position>[], nowMs: () => number = Date.now) {
    this.#source = source;
    this.#failed.promise.catch(() => {});
    this.reader = source.createReader(
      {
        subtaskIndex: 0,
        parallelism: 1,
        wake: () => this.#woken.resolve(),
        fail: (error) => this.#failed.reject(error),
        nowMs,
        watermarkMs: (splitId) => this.watermarks.get(splitId) ?? minTimestampMs,
        metrics: new OperatorMetricGroup('tested'),
      },
      splits,
    );
  }

  static async fromStart<T, Position>(source: Source<T, Position>): Promise<SourceReading<T, Position>> {
    return new SourceReading(source, await source.discoverSplits());
  }

  /** At least `countMin` records, or all that are left; at most `pollCountMax` per poll. Rejects when the source fails. */
  async read(countMin = Number.POSITIVE_INFINITY, pollCountMax = 100): Promise<readonly T[]> {
    const records: T[] = [];
    while (records.length < countMin) {
      this.#woken = Promise.withResolvers();
      const polled = this.reader.poll(pollCountMax);
      if (polled === 'End') {
        break;
      }
      if (polled === 'Pending') {
        await Promise.race([this.#woken.promise, this.#failed.promise]);
      } else {
        records.push(...polled.records);
        this.onPolled(polled);
        if (polled.isLast) {
          this.endedSplits.add(polled.splitId);
        }
      }
    }
    return records;
  }

  /** Rejects with the error that the source fails with. */
  failure(): Promise<never> {
    return this.#failed.promise;
  }

  positions(): readonly Split<Position>[] {
    const { positionType } = this.#source;
    return this.reader.positions().map(({ id, position }) => {
      const writer = new BinaryWriter();
      positionType.encode(position, writer);
      return { id, position: positionType.decode(new BinaryReader(writer.toBytes())) };
    });
  }

  close(): Promise<void> {
    return this.reader.close();
  }
}
