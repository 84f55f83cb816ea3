import { probeStorage } from '../checkpoint-storage/probe-storage.ts';
import { assert } from '../core/assert.ts';
import type { Clock } from '../core/clock.ts';
import { type ErrorInfo, JobError } from '../core/job-error.ts';
import type { ImportRequest } from '../core/lineage/entries.ts';
import type { LineageRules } from '../core/lineage/lineage-rules.ts';
import type { OpenDecision, OpenRequest, RestoreDecision } from '../core/lineage/open.ts';
import type { LineageView } from '../core/lineage/view.ts';
import type { AllowedStateChanges } from '../core/restore/check-compatibility.ts';
import {
  type CheckpointSource,
  isCheckpointUrl,
  lineageOfCheckpointUrl,
  normalizeCheckpointUrl,
  openCheckpointSource,
  pendingOutput,
  pinSource,
  stateToImport,
  unpin,
} from '../savepoint-transfer/checkpoint-source.ts';
import type { CopyProgress } from '../savepoint-transfer/copy-files.ts';
import { importCheckpoint } from '../savepoint-transfer/import-checkpoint.ts';
import type { CompletedCheckpoint } from './checkpointing.ts';
import type { JobManagerInput, JobManagerPorts } from './job-manager-ports.ts';
import { limits } from './limits.ts';
import { isFencedError, LineageLog } from './lineage-log.ts';
import { joinErrors, proveManifest, proveRestorable } from './prove-restorable.ts';

export type OpenResult =
  /** Nothing was changed. */
  | { readonly type: 'Refused'; readonly error: ErrorInfo; readonly view: LineageView }
  | {
      readonly type: 'Open';
      readonly lineage: LineageLog;
      readonly decision: OpenDecision & { readonly type: 'Open' };
      readonly restored: CompletedCheckpoint | undefined;
    };

/** Whoever started this JobManager looks on while it imports. */
export interface ImportWatch {
  /** The lineage is open, and the import begins. */
  readonly onOpened: (epoch: number) => void;
  readonly onProgress: (progress: ImportProgress) => void;
  /** Throws when the import is of no use any more. */
  readonly throwIfEnded: () => void;
}

export interface ImportProgress extends CopyProgress {
  readonly url: string;
}

const headMovedCode = 'HeadMoved';

/**
 * Opens the lineage, but only from a checkpoint that was proven restorable before: a JobManager that cannot start must not fence the one that
 * runs. One that lies elsewhere is imported then, under the epoch that was opened. Throws a `JobError` when a storage does not answer or its
 * content is corrupt.
 */
export async function openLineage(
  input: JobManagerInput,
  ports: JobManagerPorts,
  rules: LineageRules,
  watch: ImportWatch,
): Promise<OpenResult> {
  await probeStorage(ports.storage, ports.nonce());
  const proven: { target: string | undefined } = { target: undefined };
  const lineage = await LineageLog.read(ports, {
    ...rules,
    decideOpen: (view, openingRequest) => onlyFrom(proven.target, rules.decideOpen(view, openingRequest)),
  });
  const opening: Opening = { input, ports, rules, lineage, request: openRequest(input, ports.storage.url), proven };
  for (let attempt = 1; ; attempt++) {
    const preview = rules.decideOpen(lineage.view, { ...opening.request, nowMs: ports.clock.nowMs() });
    if (preview.type === 'Refuse') {
      return { type: 'Refused', error: preview.error, view: lineage.view };
    }
    const givenUp = lineage.view.importing;
    const { import: importRequest } = preview.restore;
    const result =
      importRequest === undefined
        ? await openProven(opening, preview.restore)
        : await openByImport(opening, { request: importRequest, watch });
    if (result.type === 'Open') {
      forgetPins(ports, { lineage, givenUp: importRequest?.url === givenUp?.url ? undefined : givenUp });
      return result;
    }
    if (result.error.code !== headMovedCode || attempt >= limits.openAttemptCountMax) {
      return result;
    }
    await lineage.refresh();
  }
}

interface Opening {
  readonly input: JobManagerInput;
  readonly ports: JobManagerPorts;
  readonly rules: LineageRules;
  readonly lineage: LineageLog;
  readonly request: Omit<OpenRequest, 'nowMs'>;
  /** What was proven last; nothing else may be opened from. */
  readonly proven: { target: string | undefined };
}

async function openProven(opening: Opening, restore: RestoreDecision): Promise<OpenResult> {
  const { input, ports, lineage, request, proven } = opening;
  const { checkpoint, errors } = await proveRestorable(ports, {
    record: restore.checkpoint,
    graph: input.graph,
    allowed: allowedStateChanges(input.config),
    closedWith: lineage.view.closedCheckpointId,
    stateBackend: input.config.stateBackend,
  });
  const [first, ...rest] = errors;
  if (first !== undefined) {
    return { type: 'Refused', error: joinErrors([first, ...rest]), view: lineage.view };
  }
  proven.target = targetOf(restore);
  const decision = await lineage.open(request);
  return decision.type === 'Open'
    ? { type: 'Open', lineage, decision, restored: checkpoint }
    : { type: 'Refused', error: decision.error, view: lineage.view };
}

/**
 * Rules 6 and 14: pin the source, prove that it can be restored, open, copy, honour the request, unpin. A failure that may heal leaves the pin to the
 * next try, and a fenced JobManager to its successor, which uses the same one.
 */
async function openByImport(
  opening: Opening,
  { request, watch }: { readonly request: ImportRequest; readonly watch: ImportWatch },
): Promise<OpenResult> {
  const { ports, rules } = opening;
  const source = await openCheckpointSource(ports, request.url);
  const pinId = importPinId(ports.storage.url, request.token);
  let result: OpenResult | undefined;
  for (const step of rules.forkSteps()) {
    switch (step) {
      case 'Pin':
        await pinSource(source, { pinId, for: `import to ${ports.storage.url}` });
        break;
      case 'Read':
        result = await readSource(opening, { source, request, pinId, watch }).catch((error: unknown) => {
          if (error instanceof JobError && error.retry === 'never' && !isFencedError(error)) {
            unpinLater(ports, source.origin?.log, pinId);
          }
          throw error;
        });
        break;
      case 'Unpin':
        unpinLater(ports, source.origin?.log, pinId);
        break;
    }
  }
  assert(result !== undefined, 'one of the steps reads');
  return result;
}

async function readSource(
  opening: Opening,
  facts: {
    readonly source: CheckpointSource;
    readonly request: ImportRequest;
    readonly pinId: string;
    readonly watch: ImportWatch;
  },
): Promise<OpenResult> {
  const { input, ports, lineage, proven, rules } = opening;
  const { source, request, pinId, watch } = facts;
  const { config, graph } = input;
  const { errors } = await proveManifest(
    { storage: source.storage, clock: ports.clock },
    {
      manifest: stateToImport(source),
      ...{ isOutputCommitted: false, graph, allowed: allowedStateChanges(config), stateBackend: config.stateBackend },
    },
  );
  const [first, ...rest] = errors;
  if (first !== undefined) {
    return { type: 'Refused', error: joinErrors([first, ...rest]), view: lineage.view };
  }
  proven.target = targetOf({ checkpoint: undefined, import: request });
  const decision = await lineage.open(opening.request);
  if (decision.type === 'Refuse') {
    return { type: 'Refused', error: decision.error, view: lineage.view };
  }
  ports.log.info({ epoch: decision.epoch, from: source.url }, 'lineage opened; importing what the job is to start from');
  watch.onOpened(decision.epoch);
  const imported = await whileWatchingHead(lineage, ports.clock, (throwIfFenced) =>
    importCheckpoint({
      ...{ storage: ports.storage, clock: ports.clock, lineage, rules, source, request },
      pinId: source.origin === undefined ? undefined : pinId,
      onProgress: (progress) => watch.onProgress({ url: source.url, ...progress }),
      beforeEach: () => {
        throwIfFenced();
        watch.throwIfEnded();
      },
    }),
  );
  const { record } = imported;
  ports.log.info({ from: source.url, path: record.manifest.path, sizeBytes: record.stateSizeBytes }, 'imported');
  const note = noteAboutOutput(source) ?? decision.restore.note;
  const restore = { ...decision.restore, checkpoint: record, source: source.manifest.kind, note };
  return { type: 'Open', lineage, decision: { ...decision, restore }, restored: { ...imported, isOutputCommitted: false } };
}

function noteAboutOutput(source: CheckpointSource): string | undefined {
  const uids = pendingOutput(source);
  return uids.length === 0
    ? undefined
    : `what ${uids.join(', ')} had written and not yet committed at this checkpoint stays the output of the job that took it, which commits it`;
}

/** Rule 10, while there is no `JobRun` that looks. */
async function whileWatchingHead<T>(
  lineage: LineageLog,
  clock: Clock,
  action: (throwIfFenced: () => void) => Promise<T>,
): Promise<T> {
  let fenced: JobError | undefined;
  let stop: () => void = () => {};
  let isOver = false;
  const look = (): void => {
    if (isOver) {
      return;
    }
    stop = clock.schedule(limits.headWatchIntervalMs, () => {
      lineage.checkHead().then(look, (error: unknown) => {
        fenced = isFencedError(error) ? error : undefined;
        // Any other failure is the storage's; whoever writes hears of it.
        if (fenced === undefined) {
          look();
        }
      });
    });
  };
  look();
  try {
    return await action(() => {
      if (fenced !== undefined) {
        throw fenced;
      }
    });
  } finally {
    isOver = true;
    stop();
  }
}

/** The same for every JobManager that honours this request, so that a successor finds its predecessor's. */
function importPinId(storageUrl: string, token: string): string {
  return `import to ${storageUrl} (${token})`;
}

/** Not awaited: the job does not need the source any more, and a start must not wait for another job's storage. */
function unpinLater(ports: JobManagerPorts, log: LineageLog | undefined, pinId: string): void {
  if (log !== undefined) {
    unpin(log, pinId).catch((error: unknown) => {
      ports.log.warn({ err: error, pinId }, 'a pin in another lineage could not be removed; `flinkjob savepoint release` can');
    });
  }
}

/** Pins that a JobManager which died between its last two steps has left, and that of an import which is not wanted any more. */
function forgetPins(
  ports: JobManagerPorts,
  { lineage, givenUp }: { readonly lineage: LineageLog; readonly givenUp: ImportRequest | undefined },
): void {
  const imported = lineage.view.latest?.importedFrom;
  const left = [
    ...(imported?.pinId === undefined ? [] : [{ url: imported.url, pinId: imported.pinId }]),
    ...(givenUp === undefined ? [] : [{ url: givenUp.url, pinId: importPinId(ports.storage.url, givenUp.token) }]),
  ];
  for (const { url, pinId } of left) {
    const root = lineageOfCheckpointUrl(url);
    if (root !== undefined) {
      LineageLog.read({ ...ports, storage: ports.openStorageAt(root) }).then(
        (log) => (log.view.pins.some((pin) => pin.pinId === pinId) ? unpinLater(ports, log, pinId) : undefined),
        (error: unknown) =>
          ports.log.warn({ err: error, url, pinId }, 'another lineage, which may hold a pin of ours, cannot be read'),
      );
    }
  }
}

/** The predecessor lives and has completed another checkpoint since the proof: prove that one. */
function onlyFrom(target: string | undefined, decision: OpenDecision): OpenDecision {
  if (decision.type === 'Refuse' || targetOf(decision.restore) === target) {
    return decision;
  }
  const message = 'the newest checkpoint changed faster than it could be verified';
  return { type: 'Refuse', error: { code: headMovedCode, message, domain: 'external', retry: 'backoff' } };
}

function targetOf(restore: Pick<RestoreDecision, 'checkpoint' | 'import'>): string | undefined {
  return restore.import?.url ?? restore.checkpoint?.manifest.path;
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
    restore: restore.from === 'Path' ? pathRequest(restore, storageUrl) : restore,
  };
}

/** Savepoints are reported with their whole URL, so people give it back; any other URL is another place. */
function pathRequest(
  { path, token }: { readonly path: string; readonly token: string },
  storageUrl: string,
): OpenRequest['restore'] {
  if (!isCheckpointUrl(path)) {
    return { from: 'Path', path, token };
  }
  const url = normalizeCheckpointUrl(path);
  return url.startsWith(`${storageUrl}/`)
    ? { from: 'Path', path: url.slice(storageUrl.length + 1), token }
    : { from: 'Import', url, token };
}
