import { sleep } from '../core/clock.ts';
import { JobError } from '../core/job-error.ts';
import { type LineageRules, lineageRules } from '../core/lineage/lineage-rules.ts';
import { checkpointOfPath, lineageFolder, probeFolder, sharedFileOfPath } from '../core/lineage/object-paths.ts';
import type { OpenRequest } from '../core/lineage/open.ts';
import type { LineageView } from '../core/lineage/view.ts';
import { LineageLog, type LineageLogPorts } from '../job-manager/lineage-log.ts';
import { condemnedNameCountMax } from './clean-lineage.ts';

export interface PurgeRequest {
  readonly owner: OpenRequest['owner'];
  readonly adoptFrom: OpenRequest['adoptFrom'];
  /**
   * The attempt number that this purge has as a start (rule 4): from whoever decides about the job, and higher than that of any start before. One that the
   * purge took by itself would be higher than that of a job which was created since, and a purge that slept would delete it.
   */
  readonly attemptNumber: number;
  /** Of this purge, tries included: the same id goes on with what an earlier try began. */
  readonly operationId: string;
  /** Another one for every try. */
  readonly processUid: string;
  readonly graceMs: number;
}

export interface Purged {
  readonly deletedCount: number;
  readonly deletedSizeBytes: number;
  /** Objects whose names are not ours; they were left. */
  readonly strangers: readonly string[];
}

/** Late writes of tasks that had not ended: after so many rounds the rest is the janitor's. */
const roundCountMax = 3;

/**
 * Removes everything that a lineage holds, savepoints included, so that one entry stays: `Purged`, from which numbers, epochs, checkpoint ids and restore requests
 * go on. A purge is a start from nothing that never runs: it opens the lineage under an attempt of its own, which fences every JobManager that is
 * left, and with `None`, so that a job which starts when the purge was interrupted starts empty, as was asked for in words. Then everything is condemned, and
 * deleted after the grace period. Each step may be repeated, so an interrupted purge is carried on by the next try. Throws a `JobError`, or the `StorageError` of a storage
 * that fails.
 */
export async function purgeLineage(
  ports: LineageLogPorts,
  request: PurgeRequest,
  rules: LineageRules = lineageRules,
): Promise<Purged> {
  const { storage } = ports;
  const found = await storage.list('');
  const strangers = found.filter(({ path }) => !isOurs(path)).map(({ path }) => path);
  if (found.length === strangers.length || (await isPurged(ports, found, request))) {
    return { deletedCount: 0, deletedSizeBytes: 0, strangers };
  }
  const log = await openForPurge(ports, request, rules);
  if (log === undefined) {
    return { deletedCount: 0, deletedSizeBytes: 0, strangers };
  }
  let deletedCount = 0;
  let deletedSizeBytes = 0;
  for (let round = 1; round <= roundCountMax; round++) {
    const objects = (await storage.list('')).filter(({ path }) => isOurs(path) && !path.startsWith(lineageFolder));
    if (objects.length === 0) {
      break;
    }
    await condemnAll(
      log,
      storage.url,
      objects.map(({ path }) => path),
    );
    await sleep(ports.clock, request.graceMs);
    await deleteCondemned(ports, log, { graceMs: request.graceMs, rules });
    deletedCount += objects.length;
    deletedSizeBytes += objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }
  await log.append((view) => {
    refusePinned(view, storage.url);
    const { attempt, honouredRestoreTokens, nextCheckpointId } = view;
    return { type: 'Purged', attempt, honouredRestoreTokens, nextCheckpointId };
  });
  await log.deleteTrimmedEntries();
  return { deletedCount, deletedSizeBytes, strangers };
}

function isOurs(path: string): boolean {
  const isFile = checkpointOfPath(path) !== undefined || sharedFileOfPath(path) !== undefined;
  return isFile || path.startsWith(probeFolder) || path.startsWith(lineageFolder);
}

/**
 * The last entry says so, and nothing is left but the log; or this very purge has said so, and what came after it is the janitor's.
 */
async function isPurged(
  ports: LineageLogPorts,
  objects: readonly { readonly path: string }[],
  request: PurgeRequest,
): Promise<boolean> {
  const { entries, view } = await LineageLog.read(ports);
  const isEmpty = objects.every(({ path }) => !isOurs(path) || path.startsWith(lineageFolder));
  return entries.at(-1)?.type === 'Purged' && (isEmpty || view.attempt?.token === tokenOf(request));
}

function tokenOf({ operationId }: PurgeRequest): string {
  return `purge-${operationId}`;
}

/** Undefined when another process of this purge has finished it. */
async function openForPurge(ports: LineageLogPorts, request: PurgeRequest, rules: LineageRules): Promise<LineageLog | undefined> {
  for (let tries = 1; ; tries++) {
    const log = await LineageLog.read(ports, rules);
    refusePinned(log.view, ports.storage.url);
    const decision = await log.open({
      ...{ owner: request.owner, adoptFrom: request.adoptFrom, revision: 'purge' },
      attempt: { number: request.attemptNumber, token: tokenOf(request) },
      podUid: `${request.processUid}-${tries}`,
      restore: { from: 'None', token: tokenOf(request) },
    });
    if (decision.type === 'Refuse' && log.view.opened === undefined && log.view.attempt?.token === tokenOf(request)) {
      return undefined;
    }
    if (decision.type === 'Refuse') {
      throw new JobError(`the lineage in ${ports.storage.url} cannot be purged: ${decision.error.message}`, decision.error);
    }
    if (decision.stopping === undefined) {
      return log;
    }
    // Whoever opens during a stop may only finish it, from the head: so it is given up, and opened again from nothing.
    const { operationId } = decision.stopping;
    await log.append({ type: 'StopAborted', operationId, reason: 'the lineage is purged' });
  }
}

async function condemnAll(log: LineageLog, url: string, names: readonly string[]): Promise<void> {
  for (let start = 0; start < names.length; start += condemnedNameCountMax) {
    await log.append((view) => {
      refusePinned(view, url);
      // What was deleted and is there again needs an entry of its own, or nobody would delete it a second time.
      const waiting = view.condemnations.filter(({ number }) => !log.deletedCondemnations.has(number));
      const condemned = new Set(waiting.flatMap((entry) => entry.names));
      const going = names.slice(start, start + condemnedNameCountMax).filter((name) => !condemned.has(name));
      return going.length === 0 ? undefined : { type: 'Condemned', names: going };
    });
  }
}

async function deleteCondemned(
  { storage, clock }: LineageLogPorts,
  log: LineageLog,
  { graceMs, rules }: { readonly graceMs: number; readonly rules: LineageRules },
): Promise<void> {
  const deletable = rules.deletableCondemnations(log.view, {
    nowMs: clock.monotonicMs(),
    graceMs,
    seenAtMs: log.condemnedSeenAtMs,
    deletedEntries: log.deletedCondemnations,
  });
  for (const { entryNumber, names } of deletable) {
    await storage.delete(names);
    log.condemnedDeleted(entryNumber);
  }
}

/** Rule 14: another lineage reads them, or copies them, and must not depend on us keeping them. */
function refusePinned({ pins }: LineageView, url: string): void {
  const [first] = pins;
  if (first !== undefined) {
    throw new JobError(`${first.checkpoint} in ${url} is pinned for ${first.for}, and ${pins.length - 1} more are`, {
      ...{ domain: 'external', retry: 'backoff', code: 'LineagePinned' },
      remedy: 'Wait until whoever pinned it has completed a checkpoint of its own; or let that job end, and remove the pin.',
    });
  }
}
