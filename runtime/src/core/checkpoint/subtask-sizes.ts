import type { OperatorSubtaskState } from '../protocol/messages.ts';
import { handleSizeBytes, subtaskHandles } from './assemble-manifest.ts';

export interface SubtaskSizes {
  /** Of all state that the subtask's part of a checkpoint names. */
  readonly stateSizeBytes: number;
  /** Of what the checkpoint before it does not name. */
  readonly deltaSizeBytes: number;
}

/** `isKnown`: whether the checkpoint before names the file. What is inline is new each time. */
export function subtaskSizes(operators: readonly OperatorSubtaskState[], isKnown: (path: string) => boolean): SubtaskSizes {
  let stateSizeBytes = 0;
  let deltaSizeBytes = 0;
  for (const handle of operators.flatMap(subtaskHandles)) {
    const sizeBytes = handleSizeBytes(handle);
    stateSizeBytes += sizeBytes;
    deltaSizeBytes += handle.type === 'file' && isKnown(handle.path) ? 0 : sizeBytes;
  }
  return { stateSizeBytes, deltaSizeBytes };
}
