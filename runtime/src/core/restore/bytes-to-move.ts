import type { KeyedStatePart, StateHandle } from '../checkpoint/manifest.ts';
import type { OperatorSubtaskRestore } from '../protocol/messages.ts';

/** Whether the machine that a subtask will run on still has the files of an operator's part. */
export type IsLocalPart = (subtaskKey: string, uid: string, part: KeyedStatePart) => boolean;

/** Bytes of files that a subtask brings from checkpoint storage for one operator: those that its machine has not got, and that are not inside the manifest. */
export function bytesToMoveOf(
  { keyedParts, broadcast }: OperatorSubtaskRestore,
  isLocal: (part: KeyedStatePart) => boolean,
): number {
  const handles: readonly StateHandle[] = [
    ...keyedParts.filter((part) => !isLocal(part)).flatMap(({ handle, files }) => [handle, ...files.map((file) => file.handle)]),
    ...(broadcast === undefined ? [] : [broadcast]),
  ];
  return handles.reduce((sum, handle) => sum + (handle.type === 'file' ? handle.sizeBytes : 0), 0);
}
