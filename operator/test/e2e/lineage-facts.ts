import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JobUnderTest } from './job-under-test.ts';

interface Entry {
  readonly number: number;
  readonly epoch: number;
  readonly type: string;
  readonly attempt?: { readonly number: number };
  readonly reason?: string;
}

/** What the lineage's files say, read directly: the tests' own eyes, not the product's. */
export function readLineage(job: JobUnderTest): {
  readonly entries: readonly Entry[];
  readonly attempts: readonly number[];
  readonly epochs: readonly number[];
  readonly closed: readonly { readonly reason: string }[];
} {
  const directory = join(job.storageDirectory, 'default', job.name, 'lineage');
  const entries = readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .toSorted()
    .map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as Entry);
  const opened = entries.filter(({ type }) => type === 'Opened');
  return {
    entries,
    attempts: opened.map(({ attempt }) => attempt?.number ?? 0),
    epochs: opened.map(({ epoch }) => epoch),
    closed: entries.filter(({ type }) => type === 'Closed').map(({ reason }) => ({ reason: reason ?? '' })),
  };
}

/** Where the newest completed checkpoint or savepoint of the job is. */
export function newestCheckpointDirectory(job: JobUnderTest): {
  readonly metadata: string;
  readonly stateFile: string | undefined;
} {
  const root = join(job.storageDirectory, 'default', job.name);
  const completed = readLineage(job).entries.findLast(({ type }) => type === 'Completed') as unknown as {
    readonly manifest: { readonly path: string };
  };
  const metadata = join(root, completed.manifest.path);
  const manifest = JSON.parse(readFileSync(metadata, 'utf8')) as {
    readonly operators: readonly {
      readonly keyed?: { readonly parts: readonly { readonly handle: { readonly path?: string } }[] };
    }[];
  };
  const path = manifest.operators.flatMap(({ keyed }) => keyed?.parts ?? []).find(({ handle }) => handle.path !== undefined)
    ?.handle.path;
  return { metadata, stateFile: path === undefined ? undefined : join(root, path) };
}
