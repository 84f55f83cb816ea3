import type { SubtaskId } from '../protocol/messages.ts';

/** A subtask as a map key and in messages: `counts#2`. Unique, because the index has no `#`. */
export function subtaskKey({ vertexId, subtaskIndex }: SubtaskId): string {
  return `${vertexId}#${subtaskIndex}`;
}
