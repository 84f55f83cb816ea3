import { type FencingToken, formatFencingToken } from '../../core/fencing-token.ts';

/**
 * The names that a file sink uses below its directory:
 *
 *     part-<uid>-<subtask>-<checkpoint>-<token>-<writer>                  committed, visible
 *     .pending/<lineage>/<uid>/<token>-<subtask>-<n>-<writer>.inprogress  being written; belongs to no checkpoint yet
 *     .pending/<lineage>/<uid>/<token>-<subtask>-<checkpoint>-<writer>.pending    complete and durable; waits for its checkpoint
 *     .pending/<lineage>/<uid>/<token>-<subtask>-<checkpoint>-<writer>.committed  the same file after its commit, until the next one
 *
 * `<writer>` is drawn at random by every writer. A lineage that starts anew, as each \`run\` without kept state does, counts its tokens and
 * checkpoints from the beginning, and must not meet the names of an earlier life in the same directory.
 */
export interface PendingName {
  readonly token: FencingToken;
  readonly subtaskIndex: number;
  /** Of an in-progress file a running number instead. */
  readonly checkpointId: number;
  /** Eight hex digits. */
  readonly writer: string;
  readonly state: 'inprogress' | 'pending' | 'committed';
}

export function pendingDirectory(lineageId: string, uid: string): string {
  return `.pending/${safeName(lineageId)}/${safeName(uid)}`;
}

export function formatPendingName({ token, subtaskIndex, checkpointId, writer, state }: PendingName): string {
  return `${formatFencingToken(token)}-${subtaskIndex}-${checkpointId}-${writer}.${state}`;
}

/** Undefined for a file that no file sink made. */
export function parsePendingName(name: string): PendingName | undefined {
  const match = /^e(\d+)a(\d+)-(\d+)-(\d+)-([0-9a-f]{8})\.(inprogress|pending|committed)$/.exec(name);
  if (match === null) {
    return undefined;
  }
  const [, epoch, executionAttempt, subtaskIndex, checkpointId, writer = '', state] = match;
  return {
    token: { epoch: Number(epoch), executionAttempt: Number(executionAttempt) },
    subtaskIndex: Number(subtaskIndex),
    checkpointId: Number(checkpointId),
    writer,
    state: state as PendingName['state'],
  };
}

/** Numbers are padded so that names sort by checkpoint. */
export function visibleName(uid: string, { token, subtaskIndex, checkpointId, writer }: Omit<PendingName, 'state'>): string {
  const subtask = String(subtaskIndex).padStart(3, '0');
  const checkpoint = String(checkpointId).padStart(9, '0');
  return `part-${safeName(uid)}-${subtask}-${checkpoint}-${formatFencingToken(token)}-${writer}`;
}

/** Any text as one name in a directory; different texts stay different. */
export function safeName(text: string): string {
  return encodeURIComponent(text).replaceAll('.', '%2E').replaceAll('*', '%2A').replaceAll('-', '%2D');
}
