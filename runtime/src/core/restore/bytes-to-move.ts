import { handlesOf } from '../checkpoint/assemble-manifest.ts';
import type { KeyedStatePart } from '../checkpoint/manifest.ts';
import type { OperatorSubtaskRestore } from '../protocol/messages.ts';

/** Whether the machine that a subtask will run on still has the files of an operator's part. */
export type IsLocalPart = (subtaskKey: string, uid: string, part: KeyedStatePart) => boolean;

/** Bytes of files that a subtask brings from checkpoint storage for one operator: those that its machine has not got, and that are not inside the manifest. */
export function bytesToMoveOf(
  { keyedParts, broadcast, operatorLists = [] }: OperatorSubtaskRestore,
  isLocal: (part: KeyedStatePart) => boolean,
): number {
  const handles = handlesOf({ keyedParts: keyedParts.filter((part) => !isLocal(part)), broadcast, operatorLists });
  return handles.reduce((sum, handle) => sum + (handle.type === 'file' ? handle.sizeBytes : 0), 0);
}
