import { assert } from '../../core/assert.ts';
import type { EdgeImplementation, KeySelection } from '../../core/job-graph/executable-job.ts';
import type { Partitioning } from '../../core/job-graph/job-graph.ts';
import { keyGroupOf, subtaskIndexOf } from '../../core/key-groups/key-group.ts';
import { minTimestampMs, type Timestamps, type Watermark } from '../../core/time/event-time.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { named } from '../../core/types/named-type.ts';
import type { CheckpointBarrier } from '../../transport/data/data-transport.ts';
import type { OutputChannel } from './output-channel.ts';

/** One outgoing edge of a subtask: decides for every record which consumer gets it. */
export class OutputPartition {
  readonly #channels: readonly OutputChannel[];
  readonly #route: Route;
  /** When the oldest record that was written and not yet sent came; undefined when nothing lies here. */
  #unsentSinceMs: number | undefined;
  /** Not sent yet. Whatever is written after it may go before it: a watermark that comes later than it could promises less. */
  #watermark: Watermark | undefined;
  #sentWatermark: Watermark = { timestampMs: minTimestampMs, isIdle: false };

  constructor(options: {
    readonly partitioning: Partitioning;
    readonly edge: EdgeImplementation;
    readonly maxParallelism: number;
    readonly producerIndex: number;
    /** By consumer; of a forward edge only the one. */
    readonly channels: readonly OutputChannel[];
  }) {
    this.#channels = options.channels;
    this.#route = routeOf(options);
  }

  get hasRoom(): boolean {
    for (const channel of this.#channels) {
      if (!channel.hasRoom) {
        return false;
      }
    }
    return true;
  }

  /** What waits for credit in its channels. */
  get queuedElementCount(): number {
    return this.#channels.reduce((sum, channel) => sum + channel.queuedElementCount, 0);
  }

  get sizeBytes(): number {
    return this.#channels.reduce((sum, channel) => sum + channel.sizeBytes, 0);
  }

  get unsentSinceMs(): number | undefined {
    return this.#unsentSinceMs;
  }

  write(records: readonly unknown[], timestamps: Timestamps, nowMs: number): void {
    this.#route(records, timestamps);
    this.#unsentSinceMs ??= nowMs;
  }

  /** Goes out with the next flush, barrier or end, behind the records before it; of several only the last. */
  watermark(timestampMs: number, isIdle: boolean, nowMs: number): void {
    const { timestampMs: sentMs, isIdle: sentIdle } = this.#watermark ?? this.#sentWatermark;
    if (timestampMs !== sentMs || isIdle !== sentIdle) {
      this.#watermark = { timestampMs, isIdle };
      this.#unsentSinceMs ??= nowMs;
    }
  }

  flush(): void {
    this.#unsentSinceMs = undefined;
    for (const channel of this.#channels) {
      channel.flush();
    }
    const watermark = this.#watermark;
    if (watermark !== undefined) {
      this.#watermark = undefined;
      this.#sentWatermark = watermark;
      for (const channel of this.#channels) {
        channel.sendWatermark(watermark.timestampMs, watermark.isIdle);
      }
    }
  }

  sendBarrier(barrier: CheckpointBarrier): void {
    this.flush();
    for (const channel of this.#channels) {
      channel.sendBarrier(barrier);
    }
  }

  sendEnd(): void {
    this.flush();
    for (const channel of this.#channels) {
      channel.sendEnd();
    }
  }
}

type Route = (records: readonly unknown[], timestamps: Timestamps) => void;

function routeOf(options: {
  readonly partitioning: Partitioning;
  readonly edge: EdgeImplementation;
  readonly maxParallelism: number;
  readonly producerIndex: number;
  readonly channels: readonly OutputChannel[];
}): Route {
  const { partitioning, edge, maxParallelism, producerIndex, channels } = options;
  const [first] = channels;
  assert(first !== undefined, 'an edge without consumers');
  if (channels.length === 1 || partitioning === 'Forward') {
    assert(channels.length === 1, 'a forward edge has one consumer');
    return (records, timestamps) => first.writeAll(records, timestamps);
  }
  switch (partitioning) {
    case 'Rebalance':
      return roundRobin(channels, producerIndex);
    case 'Broadcast':
      return toAll(channels);
    case 'Hash':
      assert(edge.key !== undefined, 'a hash edge without a key');
      return byKeyGroup(channels, edge.key, maxParallelism);
  }
}

function toAll(channels: readonly OutputChannel[]): Route {
  return (records, timestamps) => {
    for (const channel of channels) {
      channel.writeAll(records, timestamps);
    }
  };
}

/** Producers begin at different consumers, so that few records spread well too. */
function roundRobin(channels: readonly OutputChannel[], producerIndex: number): Route {
  let next = producerIndex % channels.length;
  return (records, timestamps) => {
    for (let index = 0; index < records.length; index++) {
      channels[next]?.write(records[index], timestamps === undefined ? undefined : timestamps[index]);
      next = next + 1 === channels.length ? 0 : next + 1;
    }
  };
}

function byKeyGroup(channels: readonly OutputChannel[], key: KeySelection, maxParallelism: number): Route {
  const { select, keyType } = key;
  const writer = new BinaryWriter();
  const consumerOf = Uint16Array.from({ length: maxParallelism }, (_, group) =>
    subtaskIndexOf(group, channels.length, maxParallelism),
  );
  return (records, timestamps) => {
    for (let index = 0; index < records.length; index++) {
      const record = records[index];
      writer.reset();
      const selected = select(record);
      try {
        keyType.encodeKey(selected, writer);
      } catch (error) {
        throw named(error, 'the key that keyBy selects');
      }
      const channel = channels[consumerOf[keyGroupOf(writer.buffer, maxParallelism, 0, writer.length)] ?? 0];
      channel?.write(record, timestamps === undefined ? undefined : timestamps[index]);
    }
  };
}
