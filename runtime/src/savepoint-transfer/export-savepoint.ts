import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { getVerifiedFile, putObject } from '../checkpoint-storage/verified-objects.ts';
import { stateSizeBytes } from '../core/checkpoint/assemble-manifest.ts';
import type { CheckpointManifest } from '../core/checkpoint/manifest.ts';
import { encodeManifest } from '../core/checkpoint/manifest-format.ts';
import { namedFiles } from '../core/checkpoint/relocate-manifest.ts';
import { JobError } from '../core/job-error.ts';
import { type LineageRules, lineageRules } from '../core/lineage/lineage-rules.ts';
import { manifestName } from '../core/lineage/object-paths.ts';
import {
  type CheckpointSource,
  normalizeCheckpointUrl,
  openCheckpointSource,
  pinSource,
  type SourcePorts,
  unpin,
  withoutCommittedOutput,
} from './checkpoint-source.ts';
import { type CopyProgress, copyFiles, type FileCopy } from './copy-files.ts';
import { exportedFilePath, exportedFilesFolder, exportedManifest } from './exported-manifest.ts';

export interface ExportRequest {
  /** URL of a checkpoint or savepoint: in a lineage, or exported before. */
  readonly from: string;
  /** URL of the folder to be made. */
  readonly to: string;
  /** Read everything back and compare the content, too. */
  readonly verifyContent: boolean;
  readonly onProgress: (progress: CopyProgress) => void;
}

export interface ExportResult {
  readonly url: string;
  /** What was copied; its copy belongs to whoever made it in any case. */
  readonly kind: CheckpointManifest['kind'];
  readonly checkpointId: number;
  readonly fileCount: number;
  /** Of the state, small pieces inside `_metadata` included. */
  readonly stateSizeBytes: number;
}

/**
 * Makes a self-contained copy: `_metadata` with relative paths, and every file that it names. It can be moved as a whole and restored from where it is then.
 * Needs no job to run, and does not mind one that does. Doing it again continues an export that was interrupted; `_metadata` is written
 * last, so a folder without it is no savepoint yet.
 */
export async function exportSavepoint(
  ports: SourcePorts,
  request: ExportRequest,
  rules: Pick<LineageRules, 'forkSteps'> = lineageRules,
): Promise<ExportResult> {
  const source = await openCheckpointSource(ports, request.from);
  const url = normalizeCheckpointUrl(request.to);
  const target = ports.openStorageAt(url);
  refuseInside(source, target.url);
  const manifest = exportedManifest(withoutCommittedOutput(source), source.url);
  const bytes = encodeManifest(manifest);
  await refuseOccupied(target, bytes);
  const pinId = `export to ${target.url}`;
  for (const step of rules.forkSteps()) {
    switch (step) {
      case 'Pin':
        await pinSource(source, { pinId, for: pinId });
        break;
      case 'Read':
        await copyFiles(copiesOf(source), { source: source.storage, target, clock: ports.clock, onProgress: request.onProgress });
        if (request.verifyContent) {
          await verifyContent(target, copiesOf(source));
        }
        await putObject({ storage: target, clock: ports.clock }, manifestName, bytes);
        break;
      case 'Unpin':
        if (source.origin !== undefined) {
          await unpin(source.origin.log, pinId);
        }
        break;
    }
  }
  const fileCount = copiesOf(source).length;
  return { url, kind: manifest.kind, checkpointId: manifest.checkpointId, fileCount, stateSizeBytes: stateSizeBytes(manifest) };
}

/** Equal content is copied once. */
function copiesOf({ manifest }: CheckpointSource): readonly FileCopy[] {
  const copies = namedFiles(manifest).map((file) => ({
    from: file.path,
    to: exportedFilePath(file),
    sizeBytes: file.sizeBytes,
    sha256: file.sha256,
  }));
  return [...new Map(copies.map((copy) => [copy.to, copy])).values()];
}

function refuseInside({ storage, url }: CheckpointSource, targetUrl: string): void {
  if (`${targetUrl}/`.startsWith(`${storage.url}/`)) {
    throw new JobError(`cannot export ${url} to ${targetUrl}, a folder inside of what it is exported from`, {
      domain: 'user',
      retry: 'never',
      code: 'ExportTargetInside',
      remedy: "Choose a place outside of the job's directory: whatever removes the job's state would take the export with it.",
    });
  }
}

/** An export that is there already must be this one, whole or begun. */
async function refuseOccupied(target: CheckpointStorage, manifest: Uint8Array): Promise<void> {
  const found = await target.get(manifestName);
  const isAnother = found !== undefined && !Buffer.from(found).equals(manifest);
  const stranger = isAnother
    ? manifestName
    : (await target.list(''))
        .map(({ path }) => path)
        .find((path) => path !== manifestName && !path.startsWith(exportedFilesFolder));
  if (stranger !== undefined) {
    throw new JobError(
      isAnother ? `${target.url} holds another savepoint already` : `${target.url} is no empty folder: it holds ${stranger}`,
      {
        domain: 'user',
        retry: 'never',
        code: 'ExportTargetOccupied',
        remedy: 'Choose a folder that does not exist yet.',
      },
    );
  }
}

async function verifyContent(target: CheckpointStorage, copies: readonly FileCopy[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'flinkjob-verify-'));
  try {
    for (const { to, sizeBytes, sha256 } of copies) {
      const file = join(folder, 'file');
      await getVerifiedFile(target, { path: to, sizeBytes, sha256 }, file, 'Content');
      await rm(file);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
