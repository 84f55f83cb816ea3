import type { FlinkJobSpec } from '../api/flink-job-spec.ts';
import type { FlinkJobStatus } from '../api/flink-job-status.ts';
import type { RestoreRequest } from '../platform/platform.ts';

/**
 * What `spec.restore` asks for. Without a token the request's own text is the token, so the same text is never honoured twice on a
 * lineage (lineage protocol, rule 6).
 */
export function restoreRequestOf(spec: FlinkJobSpec): RestoreRequest {
  const { from, path, token } = spec.restore;
  switch (from) {
    case 'Latest':
      return { from };
    case 'None':
      return { from, token: token ?? 'None' };
    case 'Path':
      return { from, path: path ?? '', token: token ?? `Path ${path}` };
  }
}

/** Of a request that is the controller's own: with the attempt before it, because a status that somebody emptied counts its rollouts again, and a token is honoured once. */
export function madeUpToken(
  what: 'stateless' | 'rollback',
  { status, uid }: { readonly status: FlinkJobStatus; readonly uid: string },
  rolloutId: number,
): string {
  return `${what} ${uid}/r${rolloutId}/a${status.attempt?.number ?? 0}`;
}

/** Whether `next` asks for something that `before` did not. */
export function isNewRestoreRequest(before: RestoreRequest, next: RestoreRequest): boolean {
  return next.from !== 'Latest' && (before.from === 'Latest' || before.token !== next.token || before.from !== next.from);
}

/** A request as flat fields of the status. */
export interface RestoreFields {
  readonly restoreFrom: 'Latest' | 'None' | 'Path';
  readonly restorePath?: string | undefined;
  readonly restoreToken?: string | undefined;
}

export function toRestoreFields(request: RestoreRequest): RestoreFields {
  switch (request.from) {
    case 'Latest':
      return { restoreFrom: 'Latest' };
    case 'None':
      return { restoreFrom: 'None', restoreToken: request.token };
    case 'Path':
      return { restoreFrom: 'Path', restorePath: request.path, restoreToken: request.token };
  }
}

export function fromRestoreFields(fields: RestoreFields): RestoreRequest {
  switch (fields.restoreFrom) {
    case 'Latest':
      return { from: 'Latest' };
    case 'None':
      return { from: 'None', token: fields.restoreToken ?? 'None' };
    case 'Path':
      return { from: 'Path', path: fields.restorePath ?? '', token: fields.restoreToken ?? `Path ${fields.restorePath}` };
  }
}
