import { availableParallelism, totalmem } from 'node:os';
import type { TaskManagerProcessConfig } from '../api/process-config.ts';
import { storageClientSizeBytes } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { type MemoryBudget, planMemory } from '../core/memory/memory-budget.ts';

/** Where nothing limits the process, as on a laptop: a TaskManager is a guest there. */
const unlimitedSizeBytes = 2 * 1024 * 1024 * 1024;

/** Threads that run subtasks: slots share as many as there are cores. */
export function slotThreadCount(slots: number, threadCountMax = availableParallelism()): number {
  return Math.max(1, Math.min(slots, threadCountMax));
}

/** Divides what the configuration says, or else the container's limit. Throws `MemoryTooSmall`. */
export function processMemory(
  { memorySizeBytes, stateBackend, lineage }: Pick<TaskManagerProcessConfig, 'memorySizeBytes' | 'stateBackend' | 'lineage'>,
  threadCount: number,
): MemoryBudget {
  return planMemory({
    totalSizeBytes: memorySizeBytes ?? containerLimitSizeBytes() ?? unlimitedSizeBytes,
    threadCount,
    stateBackend,
    storageClientSizeBytes: storageClientSizeBytes(lineage.checkpointStorage, threadCount),
  });
}

/** Undefined when the limit is the machine's own memory, or unknown. */
function containerLimitSizeBytes(): number | undefined {
  const constrained = process.constrainedMemory();
  return constrained > 0 && constrained < totalmem() ? constrained : undefined;
}
