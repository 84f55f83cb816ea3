import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { CheckpointStorage } from '../../../runtime/src/checkpoint-storage/checkpoint-storage.ts';
import { openStorageAt } from '../../../runtime/src/checkpoint-storage/open-checkpoint-storage.ts';
import { S3Connection } from '../../../runtime/src/checkpoint-storage/s3/s3-connection.ts';
import { parseS3Url } from '../../../runtime/src/checkpoint-storage/s3/s3-location.ts';
import { readS3Settings } from '../../../runtime/src/checkpoint-storage/s3/s3-settings.ts';
import { S3Storage } from '../../../runtime/src/checkpoint-storage/s3/s3-storage.ts';
import { transferShare } from '../../../runtime/src/checkpoint-storage/s3/transfer-budget.ts';
import { S3Server, whyNoS3Server } from '../../s3-server/s3-server.ts';
import { announce } from '../announce.ts';

/** Where checkpoints lie, on this machine. */
export interface BenchedMedium {
  readonly name: 'local' | 's3';
  /** What processes need to reach it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Its server, if it has one. */
  readonly server: S3Server | undefined;
  /** A root for checkpoints or exports, and where its objects lie as files. With a local disk it is below `directory`. */
  open(directory: string, name?: string): Promise<{ readonly url: string; readonly directory: string }>;
  readonly openStorageAt: (url: string) => CheckpointStorage;
  /** Removes all that is not below a run's directory. */
  clear(): void;
}

/** A directory, and then a real S3 server of one's own, where it is built. */
export async function onEachMedium(measure: (medium: BenchedMedium) => Promise<void>): Promise<void> {
  await measure(localMedium);
  if (whyNoS3Server !== false) {
    announce(`without S3, because ${whyNoS3Server}`);
    return;
  }
  await using server = await S3Server.start();
  await measure(s3Medium(server));
}

const localMedium: BenchedMedium = {
  name: 'local',
  environment: {},
  server: undefined,
  async open(directory, name = 'checkpoints') {
    const root = join(directory, name);
    await mkdir(root, { recursive: true });
    return { url: pathToFileURL(root).href, directory: root };
  },
  openStorageAt,
  clear: () => {},
};

function s3Medium(server: S3Server): BenchedMedium {
  const connection = new S3Connection({
    settings: readS3Settings(server.environment),
    share: transferShare(1),
    credentials: server.credentials,
  });
  return {
    name: 's3',
    environment: server.environment,
    server,
    async open(_directory, name = 'checkpoints') {
      const root = join(server.directoryOf(server.bucket), name);
      await mkdir(root, { recursive: true });
      return { url: `s3://${server.bucket}/${name}`, directory: root };
    },
    openStorageAt: (url) => new S3Storage(connection, parseS3Url(url)),
    clear: () => server.emptyBucket(),
  };
}

/** Of the files below a directory that are not there yet now. */
export async function storedSince(
  directory: string,
): Promise<() => Promise<{ readonly objectCount: number; readonly sizeBytes: number }>> {
  const before = new Set((await files(directory)).map(({ path }) => path));
  return async () => {
    const added = (await files(directory)).filter(({ path }) => !before.has(path));
    return { objectCount: added.length, sizeBytes: added.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
  };
}

async function files(directory: string): Promise<readonly { readonly path: string; readonly sizeBytes: number }[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name);
        return { path, sizeBytes: (await stat(path)).size };
      }),
  );
}
