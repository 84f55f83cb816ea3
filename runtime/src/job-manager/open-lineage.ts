import { probeStorage } from '../checkpoint-storage/probe-storage.ts';
import type { ErrorInfo } from '../core/job-error.ts';
import type { LineageRules } from '../core/lineage/lineage-rules.ts';
import type { OpenDecision, OpenRequest } from '../core/lineage/open.ts';
import type { LineageView } from '../core/lineage/view.ts';
import type { AllowedStateChanges } from '../core/restore/check-compatibility.ts';
import type { CompletedCheckpoint } from './checkpointing.ts';
import type { JobManagerInput, JobManagerPorts } from './job-manager-ports.ts';
import { limits } from './limits.ts';
import { LineageLog } from './lineage-log.ts';
import { joinErrors, proveRestorable } from './prove-restorable.ts';

export type OpenResult =
  /** Nothing was changed. */
  | { readonly type: 'Refused'; readonly error: ErrorInfo; readonly view: LineageView }
  | {
      readonly type: 'Open';
      readonly lineage: LineageLog;
      readonly decision: OpenDecision & { readonly type: 'Open' };
      readonly restored: CompletedCheckpoint | undefined;
    };

const headMovedCode = 'HeadMoved';

/**
 * Opens the lineage, but only from a checkpoint that was proven restorable before: a JobManager that cannot start must not fence the one that
 * runs. Throws a `JobError` when the storage does not answer or its content is corrupt.
 */
export async function openLineage(input: JobManagerInput, ports: JobManagerPorts, rules: LineageRules): Promise<OpenResult> {
  await probeStorage(ports.storage, ports.nonce());
  const request = openRequest(input, ports.storage.url);
  const proven: { path: string | undefined } = { path: undefined };
  const lineage = await LineageLog.read(ports, {
    ...rules,
    decideOpen: (view, openingRequest) => onlyFrom(proven.path, rules.decideOpen(view, openingRequest)),
  });
  for (let attempt = 1; ; attempt++) {
    const preview = rules.decideOpen(lineage.view, { ...request, nowMs: ports.clock.nowMs() });
    if (preview.type === 'Refuse') {
      return { type: 'Refused', error: preview.error, view: lineage.view };
    }
    const record = preview.restore.checkpoint;
    const { checkpoint, errors } = await proveRestorable(ports, {
      record,
      graph: input.graph,
      allowed: allowedStateChanges(input.config),
      closedWith: lineage.view.closed?.checkpointId,
      stateBackend: input.config.stateBackend,
    });
    const [first, ...rest] = errors;
    if (first !== undefined) {
      return { type: 'Refused', error: joinErrors([first, ...rest]), view: lineage.view };
    }
    proven.path = record?.manifest.path;
    const decision = await lineage.open(request);
    if (decision.type === 'Open') {
      return { type: 'Open', lineage, decision, restored: checkpoint };
    }
    if (decision.error.code !== headMovedCode || attempt >= limits.openAttemptCountMax) {
      return { type: 'Refused', error: decision.error, view: lineage.view };
    }
    await lineage.refresh();
  }
}

/** The predecessor lives and has completed another checkpoint since the proof: prove that one. */
function onlyFrom(path: string | undefined, decision: OpenDecision): OpenDecision {
  if (decision.type === 'Refuse' || decision.restore.checkpoint?.manifest.path === path) {
    return decision;
  }
  const message = 'the newest checkpoint changed faster than it could be verified';
  return { type: 'Refuse', error: { code: headMovedCode, message, domain: 'external', retry: 'backoff' } };
}

export function allowedStateChanges(config: {
  readonly allowDroppedState: readonly string[];
  readonly allowNewState: readonly string[];
}): AllowedStateChanges {
  return { dropped: config.allowDroppedState, added: config.allowNewState };
}

export function openRequest(
  { config }: { readonly config: Pick<JobManagerInput['config'], 'lineage' | 'attempt' | 'podUid' | 'revision' | 'restore'> },
  storageUrl: string,
): Omit<OpenRequest, 'nowMs'> {
  const { attempt, podUid, revision, restore } = config;
  const { clusterId, namespace, name, adoptFrom } = config.lineage;
  return {
    owner: `${clusterId}/${namespace}/${name}`,
    adoptFrom,
    attempt,
    podUid,
    revision,
    // Savepoints are reported with their whole URL, so people give it back.
    restore: restore.from === 'Path' ? { ...restore, path: withoutPrefix(restore.path, `${storageUrl}/`) } : restore,
  };
}

function withoutPrefix(text: string, prefix: string): string {
  return text.startsWith(prefix) ? text.slice(prefix.length) : text;
}
