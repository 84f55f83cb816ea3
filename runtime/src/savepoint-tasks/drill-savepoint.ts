import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobSourceConfig, SavepointDrill } from '../api/process-config.ts';
import { getVerifiedFile } from '../checkpoint-storage/verified-objects.ts';
import type { StateBackendType } from '../core/checkpoint/manifest.ts';
import { type NamedFile, namedFiles } from '../core/checkpoint/relocate-manifest.ts';
import { JobError } from '../core/job-error.ts';
import type { AllowedStateChanges } from '../core/restore/check-compatibility.ts';
import { bringJobModule } from '../job-loading/bring-job-module.ts';
import { loadJob } from '../job-loading/load-job.ts';
import { joinErrors, proveManifest } from '../job-manager/prove-restorable.ts';
import { type CheckpointSource, withoutCommittedOutput } from '../savepoint-transfer/checkpoint-source.ts';
import { openSnapshot } from '../state-reader/open-snapshot.ts';
import type { OperatorSnapshot } from '../state-reader/operator-snapshot.ts';
import type { SavepointTaskPorts } from './savepoint-task-ports.ts';

export interface DrillRequest {
  readonly location: string;
  readonly job: JobSourceConfig;
  readonly stateBackend: StateBackendType;
  readonly allowed: AllowedStateChanges;
}

/**
 * Restores a savepoint as far as can be done without running the job: the module is loaded and its graph planned against the manifest, as a start would;
 * every file is brought and its SHA-256 compared; every row of every state is opened and decoded, timers, broadcast state, operator state and positions too.
 * Throws a `JobError` that says what is not restorable. Writes nothing.
 */
export async function drillSavepoint(ports: SavepointTaskPorts, request: DrillRequest): Promise<SavepointDrill> {
  const { graph } = await loadJob(await bringJobModule(request.job));
  await using snapshot = await openSnapshot(request.location);
  const { source } = snapshot;
  const { errors } = await proveManifest(
    { storage: source.storage, clock: ports.clock },
    {
      ...{ graph, allowed: request.allowed, stateBackend: request.stateBackend },
      ...{ manifest: withoutCommittedOutput(source), isOutputCommitted: false },
    },
  );
  const [first, ...rest] = errors;
  if (first !== undefined) {
    const joined = joinErrors([first, ...rest]);
    throw new JobError(joined.message, joined);
  }
  const files = [...new Map(namedFiles(source.manifest).map((file) => [file.path, file])).values()];
  await verifyFiles(source, files);
  let rowCount = 0;
  for (const operator of snapshot.operators) {
    rowCount += await readAll(operator);
  }
  return {
    operatorCount: snapshot.operators.length,
    rowCount,
    fileCount: files.length,
    sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

/** One at a time: a drill may take long, and should be noticed by nobody. */
async function verifyFiles({ storage }: CheckpointSource, files: readonly NamedFile[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'flinkjob-drill-'));
  const local = join(folder, 'file');
  try {
    for (const { path, sizeBytes, sha256 } of files) {
      await getVerifiedFile(storage, { path, sizeBytes, sha256 }, local, 'Content');
      await rm(local);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function readAll(operator: OperatorSnapshot): Promise<number> {
  let rowCount = operator.splits.length;
  if (operator.keyed !== undefined) {
    for await (const batch of operator.batches()) {
      rowCount += batch.length;
    }
  }
  for await (const _entry of operator.broadcastEntries()) {
    rowCount += 1;
  }
  for await (const _element of operator.listElements()) {
    rowCount += 1;
  }
  return rowCount;
}
