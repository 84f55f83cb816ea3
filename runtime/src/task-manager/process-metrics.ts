import type { MemoryBudget } from '../core/memory/memory-budget.ts';
import type { taskManagerMetrics } from '../core/metrics/metric-definitions.ts';
import type { ProcessMetric } from '../core/protocol/messages.ts';
import { EventLoopDelay, ThreadMeter, type ThreadMetrics } from '../process-meters.ts';
import type { LocalState } from './local-state.ts';

/** Of a whole TaskManager process, whatever it runs. */
export class ProcessMetrics {
  readonly #memory: MemoryBudget;
  readonly #mainThread = new ThreadMeter();
  readonly #eventLoopDelay = new EventLoopDelay();

  constructor(memory: MemoryBudget) {
    this.#memory = memory;
  }

  /** `threads`: those of the slots, by name, as they last reported. */
  measure(threads: ReadonlyMap<string, ThreadMetrics>, localState: LocalState | undefined): readonly ProcessMetric[] {
    const { user, system } = process.cpuUsage();
    return [
      metric('residentSize', process.memoryUsage.rss()),
      metric('processCpuSeconds', (user + system) / 1e6),
      ...this.#memoryBudget(),
      ...[['main', this.#mainThread.measure()] as const, ...threads].flatMap(([thread, measured]) => [
        metric('heapUsed', measured.heapUsedSizeBytes, { thread }),
        metric('heapLimit', measured.heapLimitSizeBytes, { thread }),
        metric('threadUtilization', measured.utilization, { thread }),
      ]),
      ...this.#eventLoopDelay.recent().map(({ quantile, seconds }) => metric('eventLoopDelaySeconds', seconds, { quantile })),
      ...(localState === undefined ? [] : localStateMetrics(localState)),
    ];
  }

  close(): void {
    this.#eventLoopDelay.close();
  }

  #memoryBudget(): readonly ProcessMetric[] {
    const { totalSizeBytes, reserveSizeBytes, networkSizeBytes, rocksDb, heapStateSizeBytes } = this.#memory;
    return [
      metric('memoryBudget', totalSizeBytes, { part: 'total' }),
      metric('memoryBudget', reserveSizeBytes, { part: 'reserve' }),
      metric('memoryBudget', networkSizeBytes, { part: 'network' }),
      metric('memoryBudget', heapStateSizeBytes, { part: 'heapState' }),
      ...(rocksDb === undefined ? [] : [metric('memoryBudget', rocksDb.capacitySizeBytes, { part: 'rocksDb' })]),
    ];
  }
}

function localStateMetrics({ memoryUsage, disks }: LocalState): readonly ProcessMetric[] {
  const { capacityBytes, usedBytes, blockCacheBytes, pinnedBytes, memtableBytes } = memoryUsage();
  return [
    metric('rocksDbMemoryCapacity', capacityBytes),
    metric('rocksDbMemoryUsed', usedBytes, { part: 'total' }),
    metric('rocksDbMemoryUsed', blockCacheBytes, { part: 'blockCache' }),
    metric('rocksDbMemoryUsed', memtableBytes, { part: 'memtables' }),
    metric('rocksDbMemoryUsed', pinnedBytes, { part: 'pinned' }),
    ...disks.flatMap(({ path: directory, probe }) => [
      metric('diskWriteBytesPerSecond', probe.writeMegabytesPerSecond * 1e6, { directory }),
      metric('diskSyncSeconds', probe.syncMedianMs / 1000, { directory, quantile: '0.5' }),
      metric('diskSyncSeconds', probe.syncMaxMs / 1000, { directory, quantile: '1' }),
    ]),
  ];
}

function metric(
  name: keyof typeof taskManagerMetrics,
  value: number,
  labels: Readonly<Record<string, string>> = {},
): ProcessMetric {
  return { name, labels, value };
}
