import { randomUUID } from 'node:crypto';
import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { probeStorage } from '../checkpoint-storage/probe-storage.ts';
import { JobError } from '../core/job-error.ts';
import type { CheckpointRecord, Owner } from '../core/lineage/entries.ts';
import { lineageRules } from '../core/lineage/lineage-rules.ts';
import { directoryOfManifest } from '../core/lineage/object-paths.ts';
import type { LineageView } from '../core/lineage/view.ts';
import { LineageLog } from '../job-manager/lineage-log.ts';
import { findDamagedFiles } from '../job-manager/manifest-store.ts';
import { openCheckpointSource, pinSource, type SourcePorts, unpin } from './checkpoint-source.ts';
import type { CopyProgress } from './copy-files.ts';
import { importCheckpoint } from './import-checkpoint.ts';

export interface SeedRequest {
  /** URL of a checkpoint or savepoint anywhere. */
  readonly from: string;
  /** The lineage of a job that has no state yet. */
  readonly target: CheckpointStorage;
  /** Who will run the job. */
  readonly owner: Owner;
  /** Names this request: the same one again finds what it has done. Without it each is another. */
  readonly token?: string;
  readonly onProgress: (progress: CopyProgress) => void;
}

/**
 * Brings a savepoint into the lineage of a job before its first start, which then continues from it without being asked to. Opens the lineage, as a start
 * does, so only one of a job that does not run and has completed nothing. Whether the job can read it is proven by its start.
 */
export async function seedLineage(ports: SourcePorts, request: SeedRequest): Promise<CheckpointRecord> {
  const { target, from, owner, onProgress, token = `seed-${randomUUID()}` } = request;
  await probeStorage(target, ports.nonce());
  const lineage = await LineageLog.read({ ...ports, storage: target });
  const done = seededBefore(lineage.view, token);
  if (done !== undefined) {
    return done;
  }
  refuseInUse(lineage.view, target.url);
  const source = await openCheckpointSource(ports, from);
  const pinId = `import to ${target.url}`;
  await pinSource(source, { pinId, for: pinId });
  const [damaged] = await findDamagedFiles({ storage: source.storage, clock: ports.clock }, source.manifest);
  if (damaged !== undefined) {
    await forget();
    throw damaged;
  }
  const decision = await lineage.open({
    owner,
    adoptFrom: undefined,
    attempt: { number: (lineage.view.attempt?.number ?? 0) + 1, token },
    podUid: `seed-${randomUUID()}`,
    revision: 'savepoint import',
    restore: lineage.view.importing === undefined ? { from: 'Import', url: source.url, token } : { from: 'Latest' },
  });
  if (decision.type === 'Refuse') {
    await forget();
    throw new JobError(decision.error.message, decision.error);
  }
  const { record } = await importCheckpoint({
    ...{ storage: target, clock: ports.clock, lineage, rules: lineageRules, source, onProgress },
    request: decision.restore.import ?? { url: source.url, token },
    pinId: source.origin === undefined ? undefined : pinId,
    beforeEach: () => {},
  });
  await forget();
  return record;

  async function forget(): Promise<void> {
    if (source.origin !== undefined) {
      await unpin(source.origin.log, pinId);
    }
  }
}

/** What this very request has imported; by now newer checkpoints may have followed. */
function seededBefore({ honouredRestoreTokens, checkpoints, latest }: LineageView, token: string): CheckpointRecord | undefined {
  return honouredRestoreTokens.includes(token)
    ? (checkpoints.find(({ importedFrom }) => importedFrom !== undefined) ?? latest)
    : undefined;
}

function refuseInUse(view: LineageView, url: string): void {
  const { latest, opened, closed, importing } = view;
  if (latest !== undefined) {
    throw refused(
      `the lineage ${url} has state already, up to ${directoryOfManifest(latest.manifest.path)}`,
      'To start the job from the savepoint all the same, say so in words where it is started: restore.from: Path, with the URL as restore.path and a restore.token that was not used yet. What it has now is set aside then. To keep both, import it for a job of another name.',
    );
  }
  const isSeeding = importing !== undefined && opened?.revision === 'savepoint import';
  if (opened !== undefined && closed === undefined && !isSeeding) {
    throw refused(
      `the lineage ${url} was opened by pod ${opened.podUid}, which may be running`,
      'Name the URL as restore.path, with restore.from: Path; then the job itself imports it.',
    );
  }
}

function refused(message: string, remedy: string): JobError {
  return new JobError(message, { domain: 'user', retry: 'never', code: 'LineageInUse', remedy });
}
