import { checkpointDamaged } from '../checkpoint-storage/checkpoint-damaged.ts';
import { type CheckpointStorage, StorageError } from '../checkpoint-storage/checkpoint-storage.ts';
import { getVerified, putObject } from '../checkpoint-storage/verified-objects.ts';
import { manifestFiles } from '../core/checkpoint/assemble-manifest.ts';
import type { CheckpointManifest } from '../core/checkpoint/manifest.ts';
import { encodeManifest, parseManifest } from '../core/checkpoint/manifest-format.ts';
import { type Clock, sleep } from '../core/clock.ts';
import { JobError } from '../core/job-error.ts';
import type { CheckpointRecord, ManifestReference } from '../core/lineage/entries.ts';
import { limits } from './limits.ts';

export interface ManifestPorts {
  readonly storage: CheckpointStorage;
  readonly clock: Clock;
}

/** Makes a manifest durable under its name. Nothing follows from the file before `Completed` names it. */
export async function writeManifest(
  ports: ManifestPorts,
  path: string,
  manifest: CheckpointManifest,
): Promise<ManifestReference> {
  return await putObject(ports, path, encodeManifest(manifest));
}

/** Reads and verifies; a manifest that is missing or is not what the lineage says is refused by name. */
export async function readManifest(ports: ManifestPorts, reference: ManifestReference): Promise<CheckpointManifest> {
  const bytes = await retrying(ports, `read ${reference.path}`, () => getVerified(ports.storage, reference));
  return parseManifest(bytes, `${ports.storage.url}/${reference.path}`);
}

/** Every name in a checkpoint's manifest, the manifest's own included. */
export function namesIn(record: CheckpointRecord, manifest: CheckpointManifest): readonly string[] {
  return [record.manifest.path, ...manifestFiles(manifest).map(({ path }) => path)];
}

/** State files that are not there, or not with the length that the manifest says. Content is verified by whoever loads it. */
export async function findDamagedFiles(ports: ManifestPorts, manifest: CheckpointManifest): Promise<readonly JobError[]> {
  const files = manifestFiles(manifest);
  const folders = new Set(files.map(({ path }) => path.slice(0, path.lastIndexOf('/') + 1)));
  const sizes = new Map<string, number>();
  for (const folder of folders) {
    const objects = await retrying(ports, `list ${folder}`, () => ports.storage.list(folder));
    for (const { path, sizeBytes } of objects) {
      sizes.set(path, sizeBytes);
    }
  }
  return files.flatMap(({ path, sizeBytes }) => {
    const found = sizes.get(path);
    if (found === sizeBytes) {
      return [];
    }
    const problem = found === undefined ? 'is missing' : `has ${found} bytes, and the checkpoint's manifest says ${sizeBytes}`;
    return [checkpointDamaged(`state file ${ports.storage.url}/${path}`, problem)];
  });
}

async function retrying<T>({ storage, clock }: ManifestPorts, what: string, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof StorageError)) {
        throw error;
      }
      if (!error.retryable || attempt >= limits.storageAttemptCountMax) {
        throw new JobError(`could not ${what} in ${storage.url}: ${error.message}`, {
          domain: 'external',
          retry: error.retry,
          code: 'CheckpointStorageUnavailable',
          remedy: 'Make the checkpoint storage reachable and readable for this job.',
          cause: error,
        });
      }
      await sleep(clock, limits.storageRetryDelayMs * 2 ** (attempt - 1));
    }
  }
}
