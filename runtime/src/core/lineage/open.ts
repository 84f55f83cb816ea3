import type { ErrorInfo } from '../job-error.ts';
import type { Attempt, Carried, CheckpointRecord, EntryDraft, ImportRequest, Owner, RestoredReference } from './entries.ts';
import { directoryOfManifest } from './object-paths.ts';
import type { LineageView } from './view.ts';

/** What a JobManager asks for when it starts. */
export interface OpenRequest {
  readonly owner: Owner;
  /** `restore.adopt.from`: whose lineage may be taken over. */
  readonly adoptFrom: Owner | undefined;
  readonly attempt: Attempt;
  readonly podUid: string;
  readonly revision: string;
  readonly restore: RestoreRequest;
  readonly nowMs: number;
}

type RestoreRequest =
  | { readonly from: 'Latest' }
  | { readonly from: 'None'; readonly token: string }
  /** `path`: the folder of a checkpoint or savepoint, relative to the lineage's directory. */
  | { readonly from: 'Path'; readonly path: string; readonly token: string }
  /** `url`: the folder of an exported savepoint, or of a checkpoint or savepoint of another lineage; it is copied into this one. */
  | { readonly from: 'Import'; readonly url: string; readonly token: string };

export type OpenDecision =
  /** The JobManager stays down; nothing was changed. */
  | { readonly type: 'Refuse'; readonly error: ErrorInfo }
  | {
      readonly type: 'Open';
      readonly epoch: number;
      /** `FinishStop`: a stop was begun and not finished; do only that (rule 9). */
      readonly mode: 'Run' | 'FinishStop';
      /** Whoever opened before may run still; one that has closed the lineage, or said that its job is cancelled, had ended its tasks. */
      readonly mayPredecessorLive: boolean;
      /** The stop to finish or, with `Run`, the one whose deadline is over: append `StopAborted` before anything else. */
      readonly stopping: { readonly operationId: string; readonly deadlineMs: number } | undefined;
      readonly restore: RestoreDecision;
      /** To be appended at the very number after the view that was decided upon. */
      readonly entry: Extract<EntryDraft, { type: 'Opened' }>;
    };

export interface RestoreDecision {
  readonly checkpoint: CheckpointRecord | undefined;
  /** To be imported before anything runs; then that is restored. Absent where there is nothing to import. */
  readonly import?: ImportRequest | undefined;
  readonly source: RestoredReference['source'];
  readonly reason: RestoredReference['reason'];
  /** Why the request was not honoured, or why there is nothing to restore; for people. */
  readonly note: string | undefined;
}

/**
 * Pods of one attempt that are remembered as superseded. Forgetting the oldest cannot harm the state (the epoch fences), it could only let a
 * pod that slept through a thousand successors take over from the newest.
 */
const supersededPodUidCountMax = 1000;

/** May this JobManager open the lineage, with which epoch, and what does it restore? Rules 4, 5, 6 and 9, in that order. */
export function decideOpen(view: LineageView, request: OpenRequest): OpenDecision {
  const refusal = refuseAttempt(view, request) ?? refuseOwner(view, request);
  if (refusal !== undefined) {
    return { type: 'Refuse', error: refusal };
  }
  const stopping = view.stopping;
  const finishStop = stopping !== undefined && request.nowMs < stopping.deadlineMs;
  // A stop is finished from where it was; what else was asked for is honoured by the next start.
  const restore = decideRestore(view, finishStop ? { from: 'Latest' } : request.restore);
  if ('refusal' in restore) {
    return { type: 'Refuse', error: restore.refusal };
  }
  return {
    type: 'Open',
    epoch: view.epoch + 1,
    mode: finishStop ? 'FinishStop' : 'Run',
    mayPredecessorLive: view.epoch > 0 && view.closed === undefined && !view.isCanceled,
    stopping,
    restore: restore.decision,
    entry: openedEntry(view, request, restore),
  };
}

function refuseAttempt(view: LineageView, { attempt, podUid }: OpenRequest): ErrorInfo | undefined {
  const head = view.attempt;
  if (head === undefined || attempt.number > head.number) {
    return undefined;
  }
  if (attempt.number < head.number) {
    return refused(
      'AttemptSuperseded',
      `attempt ${attempt.number} may not start: attempt ${head.number} has opened the lineage`,
      'Nothing to do when a newer revision is running; to start this one again the controller takes a new attempt number.',
    );
  }
  if (attempt.token !== head.token) {
    return refused(
      'AttemptTaken',
      `attempt ${attempt.number} has been opened by another controller (token ${head.token}, not ${attempt.token})`,
      'Make sure that only one controller manages this job; start again with a higher attempt number.',
    );
  }
  if (view.opened === undefined) {
    // Who opened in this attempt went with everything else, so there is nobody left to hold a pod against: the attempt is over for all.
    return refused(
      'AttemptClosed',
      `attempt ${attempt.number} is over: it purged the lineage`,
      'Nothing to do; a new start takes a new attempt number.',
    );
  }
  if (view.closed !== undefined) {
    return refused(
      'AttemptClosed',
      `attempt ${attempt.number} is over: the lineage says Closed (${view.closed.reason})`,
      'Nothing to do; a new start takes a new attempt number.',
    );
  }
  if (view.supersededPodUids.includes(podUid)) {
    return refused(
      'PodSuperseded',
      `pod ${podUid} was replaced by pod ${view.opened?.podUid ?? 'unknown'} in attempt ${attempt.number} and may not take over again`,
      'Nothing to do; this pod may be deleted.',
    );
  }
  return undefined;
}

function refuseOwner(view: LineageView, { owner, adoptFrom }: OpenRequest): ErrorInfo | undefined {
  const head = view.opened?.owner;
  if (head === undefined || head === owner || head === adoptFrom) {
    return undefined;
  }
  return refused(
    'LineageOwnedByAnother',
    adoptFrom === undefined
      ? `the lineage belongs to ${head}, and this job is ${owner}`
      : `the lineage belongs to ${head}; restore.adopt.from names ${adoptFrom}, which does not own it now`,
    `If ${head} is gone for good, take the lineage over with restore.adopt.from: ${head}; otherwise give this job another checkpoint directory or name.`,
  );
}

type RestoreOutcome =
  | { readonly refusal: ErrorInfo }
  | { readonly decision: RestoreDecision; readonly honouredToken: string | undefined };

/** Rule 6: a request is honoured once; afterwards, and without one, it is the newest completed checkpoint. */
function decideRestore(view: LineageView, request: RestoreRequest): RestoreOutcome {
  if (request.from === 'Latest') {
    return restoreLatest(view, undefined);
  }
  if (view.honouredRestoreTokens.includes(request.token)) {
    const asked =
      request.from === 'None' ? 'restore.from None' : `restore.path ${request.from === 'Path' ? request.path : request.url}`;
    return restoreLatest(view, `${asked} (token ${request.token}) was honoured before; continuing from the newest checkpoint`);
  }
  if (request.from === 'None') {
    return {
      decision: { checkpoint: undefined, source: 'Nothing', reason: 'RequestedNone', note: undefined },
      honouredToken: request.token,
    };
  }
  if (request.from === 'Import') {
    return restoreByImport({ url: request.url, token: request.token }, undefined);
  }
  const directory = directoryOfManifest(request.path.replace(/\/$/, ''));
  const checkpoint = view.checkpoints.find((record) => directoryOfManifest(record.manifest.path) === directory);
  if (checkpoint === undefined) {
    const known = view.checkpoints.map((record) => directoryOfManifest(record.manifest.path));
    return {
      refusal: refused(
        'RestorePathUnknown',
        `restore.path ${request.path} is no completed checkpoint of this lineage`,
        `${known.length === 0 ? 'It has none' : `It has ${known.join(', ')}`}; what lies elsewhere is named by its URL, such as file:///backup/savepoint${request.path.startsWith('.') ? `; a place that counts from the YAML file's directory is file:${request.path}` : ''}.`,
      ),
    };
  }
  return {
    decision: { checkpoint, source: checkpoint.kind, reason: 'Requested', note: undefined },
    honouredToken: request.token,
  };
}

/** The request is honoured by the `Imported` that completes it, not by the `Opened` that begins it: a crash in between begins it again. */
function restoreByImport(request: ImportRequest, note: string | undefined): RestoreOutcome {
  return {
    decision: { checkpoint: undefined, import: request, source: 'Savepoint', reason: 'Requested', note },
    honouredToken: undefined,
  };
}

function restoreLatest(view: LineageView, note: string | undefined): RestoreOutcome {
  if (view.importing !== undefined) {
    return restoreByImport(
      view.importing,
      note ?? `the import of ${view.importing.url} was begun and not finished; it is resumed`,
    );
  }
  const checkpoint = view.latest;
  if (checkpoint === undefined) {
    const emptied = view.opened?.restored.source === 'Nothing' && view.opened.restored.reason !== 'Empty';
    return {
      decision: {
        checkpoint: undefined,
        source: 'Nothing',
        reason: emptied ? 'Latest' : 'Empty',
        note:
          note ?? (emptied ? 'no checkpoint was completed since the lineage was started from nothing as requested' : undefined),
      },
      honouredToken: undefined,
    };
  }
  if (!view.checkpoints.some((record) => record.manifest.path === checkpoint.manifest.path)) {
    return {
      refusal: refused(
        'LatestCheckpointCondemned',
        `the newest checkpoint ${directoryOfManifest(checkpoint.manifest.path)} is condemned; starting from an older one would lose data silently`,
        'Choose what to start from in words: restore.from Path with a checkpoint of `flinkjob lineage DIR`, or None.',
      ),
    };
  }
  return { decision: { checkpoint, source: checkpoint.kind, reason: 'Latest', note }, honouredToken: undefined };
}

function openedEntry(
  view: LineageView,
  request: OpenRequest,
  restore: Extract<RestoreOutcome, { decision: RestoreDecision }>,
): Extract<EntryDraft, { type: 'Opened' }> {
  const { decision, honouredToken } = restore;
  const previous = view.opened;
  const { importing: _done, ...carried } = carriedOf(view);
  return {
    type: 'Opened',
    attempt: request.attempt,
    owner: request.owner,
    adoptedFrom: previous === undefined || previous.owner === request.owner ? undefined : previous.owner,
    podUid: request.podUid,
    revision: request.revision,
    restored: {
      source: decision.source,
      reason: decision.reason,
      checkpointId: decision.checkpoint?.checkpointId,
      path: decision.import?.url ?? decision.checkpoint?.manifest.path,
    },
    restoreToken: honouredToken,
    renewal: false,
    carried: {
      ...carried,
      // Until the import is complete the former head stays what it is, and protected.
      ...(decision.import === undefined ? { latest: decision.checkpoint?.manifest.path } : { importing: decision.import }),
      honouredRestoreTokens:
        honouredToken === undefined ? view.honouredRestoreTokens : [...view.honouredRestoreTokens, honouredToken],
      supersededPodUids: supersededBy(view, request),
    },
  };
}

function supersededBy(view: LineageView, { attempt, podUid }: OpenRequest): readonly string[] {
  const previous = view.opened;
  if (previous === undefined || view.attempt?.number !== attempt.number) {
    return [];
  }
  if (previous.podUid === podUid) {
    return view.supersededPodUids;
  }
  return [...view.supersededPodUids, previous.podUid].slice(-supersededPodUidCountMax);
}

/** What an `Opened` must repeat so that nothing before it is needed. */
export function carriedOf(view: LineageView): Carried {
  return {
    latest: view.latest?.manifest.path,
    ...(view.importing === undefined ? {} : { importing: view.importing }),
    checkpoints: view.checkpoints,
    releasedSavepoints: view.releasedSavepoints,
    pins: view.pins,
    stopping: view.stopping,
    honouredRestoreTokens: view.honouredRestoreTokens,
    supersededPodUids: view.supersededPodUids,
    outcomes: view.outcomes,
    nextCheckpointId: view.nextCheckpointId,
    ...(view.closedCheckpointId === undefined ? {} : { closedCheckpointId: view.closedCheckpointId }),
  };
}

function refused(code: string, message: string, remedy: string): ErrorInfo {
  return { code, message, domain: 'external', retry: 'never', remedy };
}
