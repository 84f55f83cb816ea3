import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openStorageAt } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { JobError } from '../core/job-error.ts';
import { directoryOfManifest } from '../core/lineage/object-paths.ts';
import { LineageLog } from '../job-manager/lineage-log.ts';
import type { Log } from '../log.ts';
import {
  type CheckpointSource,
  normalizeCheckpointUrl,
  openCheckpointSource,
  type SourcePorts,
} from '../savepoint-transfer/checkpoint-source.ts';
import { systemClock } from '../system-clock.ts';

/**
 * The checkpoint or savepoint at a path or URL: its own folder, in a lineage or exported; or a whole lineage, or `latest` in it, of which it is the one that
 * a start would restore. Reads only.
 */
export async function findSnapshot(place: string): Promise<CheckpointSource> {
  const url = normalizeCheckpointUrl(toUrl(place));
  const lineageUrl = url.endsWith(latestSuffix) ? url.slice(0, -latestSuffix.length) : url;
  const log = await lineageAt(lineageUrl);
  if (log === undefined) {
    return await openCheckpointSource(ports, url);
  }
  const { latest } = log.view;
  if (latest === undefined) {
    throw new JobError(`the lineage ${lineageUrl} has no completed checkpoint that a start would restore`, {
      domain: 'user',
      retry: 'never',
      code: 'SnapshotNotFound',
      remedy: `\`flinkjob lineage ${lineageUrl}\` shows what there is; name one of its checkpoints or savepoints.`,
    });
  }
  return await openCheckpointSource(ports, `${lineageUrl}/${directoryOfManifest(latest.manifest.path)}`);
}

const latestSuffix = '/latest';

/** Undefined for a folder that is no lineage. */
async function lineageAt(url: string): Promise<LineageLog | undefined> {
  const log = await LineageLog.read({ ...ports, storage: openStorageAt(url) });
  return log.view.headNumber === 0 ? undefined : log;
}

/** A directory as a person names it is a URL too. */
export function toUrl(place: string): string {
  return /^[a-z][a-z0-9+.-]*:/iu.test(place) ? place : pathToFileURL(resolve(place)).href;
}

/** What reading a log says is said to whoever asked, as errors. */
const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const ports: SourcePorts = { clock: systemClock, log: silent, nonce: randomUUID, openStorageAt };
