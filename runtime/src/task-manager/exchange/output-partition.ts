import { assert } from '../../core/assert.ts';
import type { EdgeImplementation, KeySelection } from '../../core/job-graph/executable-job.ts';
import type { Partitioning } from '../../core/job-graph/job-graph.ts';
import { keyGroupOf, subtaskIndexOf } from '../../core/key-groups/key-group.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { CheckpointBarrier } from '../../transport/data/data-transport.ts';
import type { OutputChannel } from './output-channel.ts';

/** One outgoing edge of a subtask: decides for every record which consumer gets it. */
export class OutputPartition {
  readonly #channels: readonly OutputChannel[];
  readonly #route: (records: readonly unknown[]) => void;
  /** When the oldest record that was written and not yet sent came; undefined when nothing lies here. */
  #unsentSinceMs: number | undefined;

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

  get unsentSinceMs(): number | undefined {
    return this.#unsentSinceMs;
  }

  write(records: readonly unknown[], nowMs: number): void {
    this.#route(records);
    this.#unsentSinceMs ??= nowMs;
  }

  flush(): void {
    this.#unsentSinceMs = undefined;
    for (const channel of this.#channels) {
      channel.flush();
    }
  }

  sendBarrier(barrier: CheckpointBarrier): void {
    this.#unsentSinceMs = undefined;
    for (const channel of this.#channels) {
      channel.sendBarrier(barrier);
    }
  }

  sendEnd(): void {
    this.#unsentSinceMs = undefined;
    for (const channel of this.#channels) {
      channel.sendEnd();
    }
  }
}

function routeOf(options: {
  readonly partitioning: Partitioning;
  readonly edge: EdgeImplementation;
  readonly maxParallelism: number;
  readonly producerIndex: number;
  readonly channels: readonly OutputChannel[];
}): (records: readonly unknown[]) => void {
  const { partitioning, edge, maxParallelism, producerIndex, channels } = options;
  const [first] = channels;
  assert(first !== undefined, 'an edge without consumers');
  switch (partitioning) {
    case 'Forward':
      return (records) => first.writeAll(records);
    case 'Rebalance':
      return channels.length === 1 ? (records) => first.writeAll(records) : roundRobin(channels, producerIndex);
    case 'Hash':
      assert(edge.key !== undefined, 'a hash edge without a key');
      return channels.length === 1 ? (records) => first.writeAll(records) : byKeyGroup(channels, edge.key, maxParallelism);
  }
}

/** Producers begin at different consumers, so that few records spread well too. */
function roundRobin(channels: readonly OutputChannel[], producerIndex: number): (records: readonly unknown[]) => void {
  let next = producerIndex % channels.length;
  return (records) => {
    for (const record of records) {
      channels[next]?.write(record);
      next = next + 1 === channels.length ? 0 : next + 1;
    }
  };
}

function byKeyGroup(
  channels: readonly OutputChannel[],
  key: KeySelection,
  maxParallelism: number,
): (records: readonly unknown[]) => void {
  const { select, keyType } = key;
  const writer = new BinaryWriter();
  const consumerOf = Uint16Array.from({ length: maxParallelism }, (_, group) =>
    subtaskIndexOf(group, channels.length, maxParallelism),
  );
  return (records) => {
    for (const record of records) {
      writer.reset();
      keyType.encodeKey(select(record), writer);
      channels[consumerOf[keyGroupOf(writer.view(), maxParallelism)] ?? 0]?.write(record);
    }
  };
}
