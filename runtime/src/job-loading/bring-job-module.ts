import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { JobSourceConfig } from '../api/process-config.ts';
import { downloadBytes } from '../checkpoint-storage/s3/download.ts';
import { S3Connection } from '../checkpoint-storage/s3/s3-connection.ts';
import { parseS3Url, type S3Location } from '../checkpoint-storage/s3/s3-location.ts';
import { readS3Settings } from '../checkpoint-storage/s3/s3-settings.ts';
import { transferShare } from '../checkpoint-storage/s3/transfer-budget.ts';
import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { Log } from '../log.ts';

/** It is held in memory once, and a bundle of code has a few MiB; what is larger is a mistake in the URL. */
const moduleSizeBytesMax = 32 * 1024 * 1024;

const form = 's3://bucket/path/job.js, or s3://bucket/path/job.js#sha256=<64 hex digits>';

/**
 * A module at `s3://…` is brought to a directory of this process first, which goes when the process ends: for trying a job without building an image.
 * It is one file, and imports nothing but the runtime and Node. Each process brings it for itself, so what stands behind the URL must not change while
 * a revision runs; a checksum in the URL holds everybody to one content. Without one, a process with another graph is refused by its JobManager,
 * but one with other code in the same graph is not. Other modules are left as they are.
 */
export async function bringJobModule(job: JobSourceConfig, log?: Log): Promise<JobSourceConfig> {
  if (!job.module.startsWith('s3:')) {
    return job;
  }
  const { url, expected, location } = parseModuleUrl(job.module);
  const bytes = await download(url, location);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (expected !== undefined && expected !== sha256) {
    throw invalidJob(
      'ModuleChanged',
      `${url} has the SHA-256 ${sha256}, and the spec names ${expected}`,
      'Put the right content there, or change the checksum in spec.job.module; a module of another name is better than a changed one.',
    );
  }
  const directory = await mkdtemp(join(tmpdir(), 'flinkjob-module-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const module = join(directory, basename(location.prefix));
  await writeFile(module, bytes);
  const facts = { url, sha256, sizeBytes: bytes.byteLength };
  if (expected === undefined) {
    log?.warn(facts, 'brought the job module; its URL names no checksum, so nothing notices when it changes while the job runs');
  } else {
    log?.info(facts, 'brought the job module');
  }
  return { ...job, module };
}

interface ModuleUrl {
  /** Without the checksum. */
  readonly url: string;
  readonly expected: string | undefined;
  readonly location: S3Location;
}

function parseModuleUrl(module: string): ModuleUrl {
  const [, url = '', expected] = /^([^#]*)(?:#sha256=([0-9a-f]{64}))?$/.exec(module) ?? [];
  try {
    const location = parseS3Url(url);
    if (!/\.(ts|js|mjs)$/.test(location.prefix)) {
      throw new Error('it names no .ts, .js or .mjs file');
    }
    return { url, expected, location };
  } catch (error) {
    const shown = module.replace(/[?#].*$/s, '');
    const why = error instanceof Error ? error.message : String(error);
    throw invalidJob('ModuleUrlInvalid', `the job module ${shown} cannot be used: ${why}`, `Write ${form}.`);
  }
}

/** With the settings and credentials that checkpoint storage has, from the environment. Throws `StorageError` when S3 does not answer or refuses. */
async function download(url: string, { bucket, prefix: key }: S3Location): Promise<Uint8Array> {
  const connection = new S3Connection({ settings: readS3Settings(process.env), share: transferShare(1) });
  const bytes = await downloadBytes(connection, { bucket, key }, (sizeBytes) => {
    if (sizeBytes > moduleSizeBytesMax) {
      throw invalidJob(
        'ModuleTooLarge',
        `${url} has ${sizeBytes} bytes; a job module may have ${moduleSizeBytesMax}`,
        'Check the URL; leave data and native packages out of the bundle, or build an image.',
      );
    }
  });
  if (bytes === undefined) {
    throw invalidJob(
      'ModuleMissing',
      `there is no job module ${url} at ${connection.endpoint}`,
      'Upload it, or correct the URL.',
    );
  }
  return bytes;
}
