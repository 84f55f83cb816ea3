import type { PendingCheckpoint } from '../core/checkpoint/checkpoint-coordinator.ts';
import type { LocalStatePart, PrefetchedPart, SubtaskId } from '../core/protocol/messages.ts';

/**
 * What the TaskManagers of a completed checkpoint have of it on their local disks, without asking them: each keeps the files that it wrote. One that
 * registers says itself what it has.
 */
export function localPartsOf(
  { id, token, acknowledgements }: PendingCheckpoint,
  taskManagerOf: (task: SubtaskId) => string | undefined,
): ReadonlyMap<string, readonly LocalStatePart[]> {
  const byTaskManager = new Map<string, LocalStatePart[]>();
  for (const { task, operators } of acknowledgements.values()) {
    const taskManagerId = taskManagerOf(task);
    for (const { uid, keyed } of taskManagerId === undefined ? [] : operators) {
      const sizeBytes = (keyed?.files ?? []).reduce(
        (sum, { handle }) => sum + (handle.type === 'file' ? handle.sizeBytes : 0),
        0,
      );
      if (keyed?.backend === 'RocksDB' && taskManagerId !== undefined && sizeBytes > 0) {
        const parts = byTaskManager.get(taskManagerId) ?? [];
        parts.push({ uid, keyGroups: keyed.keyGroups, checkpointId: id, epoch: token.epoch, sizeBytes });
        byTaskManager.set(taskManagerId, parts);
      }
    }
  }
  return byTaskManager;
}

/** What a TaskManager without tasks may have to go on with, the parts of the `index`th of several at another place of the list first. */
export function partsToPrefetch(
  { acknowledgements }: PendingCheckpoint,
  index: number,
  count: number,
): readonly PrefetchedPart[] {
  const parts = [...acknowledgements.values()].flatMap(({ task, operators }) =>
    operators.flatMap(({ uid, keyed }) =>
      keyed?.backend !== 'RocksDB' || keyed.files.every(({ handle }) => handle.type === 'inline')
        ? []
        : [{ uid, subtaskIndex: task.subtaskIndex, part: keyed }],
    ),
  );
  const first = Math.floor((index * parts.length) / Math.max(1, count));
  return [...parts.slice(first), ...parts.slice(0, first)];
}
