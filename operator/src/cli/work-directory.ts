import { constants } from 'node:fs';
import { access, mkdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { type FlinkJobKey, formatKey, keyOf, type StoredFlinkJob } from '../api/flink-job.ts';
import { controllerLockPath, openLocalStore } from '../local-operator.ts';
import { isAlive, type ProcessIdentity } from '../process-identity/process-identity.ts';
import type { FlinkJobStore } from '../store/flink-job-store.ts';
import { CommandFailure } from './command.ts';
import type { OptionDescription, ParsedCommandLine } from './command-line.ts';
import { nearest } from './nearest.ts';

/** Where things are below a work directory; the store and the platform own the rest. */
export interface WorkDirectory {
  readonly root: string;
  /** Held by the one process that controls the jobs here. */
  readonly lock: string;
  readonly modules: string;
  readonly operatorLog: string;
}

export const workDirectoryOptions = {
  'work-dir': { type: 'string', value: 'DIR', default: '.flinkjob', meaning: 'where jobs of this machine are kept' },
  namespace: { type: 'string', short: 'n', value: 'NS', default: 'default', meaning: 'namespace of the job' },
} as const satisfies Record<string, OptionDescription>;

export function workDirectoryOf(parsed: ParsedCommandLine): WorkDirectory {
  const root = path.resolve(parsed.text('work-dir') ?? '.flinkjob');
  return {
    root,
    lock: controllerLockPath(root),
    modules: path.join(root, '.modules'),
    operatorLog: path.join(root, 'operator.log'),
  };
}

/** Makes the work directory, or says why it cannot be one. */
export async function prepareWorkDirectory(workDirectory: WorkDirectory): Promise<void> {
  try {
    await makeDirectory(workDirectory.root);
    await access(workDirectory.root, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CommandFailure(
      `the work directory ${workDirectory.root} cannot be used (${code ?? message})`,
      'Name a directory that can be written with --work-dir DIR.',
    );
  }
}

/** One level at a time: where a directory cannot be made, as in /proc, Node's recursive mkdir never returns. */
async function makeDirectory(directory: string): Promise<void> {
  const found = await stat(directory).catch((error: NodeJS.ErrnoException) => error);
  if (!(found instanceof Error) && found.isDirectory()) {
    return;
  }
  if (found instanceof Error && found.code === 'ENOENT' && directory !== path.dirname(directory)) {
    await makeDirectory(path.dirname(directory));
  }
  await mkdir(directory).catch((error: NodeJS.ErrnoException) => {
    // Somebody else was quicker; a file of that name is met by whoever uses it.
    if (error.code !== 'EEXIST' || !(found instanceof Error)) {
      throw error;
    }
  });
}

/** The store of a work directory that somebody has used before. */
export async function openExistingStore(workDirectory: WorkDirectory): Promise<FlinkJobStore> {
  const found = await stat(workDirectory.root).catch(() => undefined);
  if (!found?.isDirectory()) {
    throw new CommandFailure(
      `there is no work directory ${workDirectory.root}`,
      'Run this where `flinkjob dev` was started, or say where with --work-dir DIR.',
    );
  }
  return openLocalStore(workDirectory.root);
}

/** The job of that name, or a failure that names those there are. */
export async function getFlinkJob(store: FlinkJobStore, key: FlinkJobKey): Promise<StoredFlinkJob> {
  const found = await store.get(key);
  if (found !== undefined) {
    return found;
  }
  const keys = (await store.list()).map(keyOf);
  const elsewhere = keys.find(({ name }) => name === key.name);
  const near = nearest(
    key.name,
    keys.filter(({ namespace }) => namespace === key.namespace).map(({ name }) => name),
  );
  const remedy =
    elsewhere !== undefined
      ? `There is one in another namespace: --namespace ${elsewhere.namespace}.`
      : near !== undefined
        ? `Did you mean ${near}?`
        : keys.length === 0
          ? 'There are none in this work directory.'
          : `There are: ${keys.map(formatKey).join(', ')}.`;
  throw new CommandFailure(`there is no FlinkJob ${formatKey(key)}`, remedy);
}

export function keyFrom(parsed: ParsedCommandLine, name: string): FlinkJobKey {
  return { namespace: parsed.text('namespace') ?? 'default', name };
}

/** The process that controls the jobs of a work directory, if one does. */
export async function findController(workDirectory: WorkDirectory): Promise<ProcessIdentity | undefined> {
  const text = await readFile(workDirectory.lock, 'utf8').catch(() => undefined);
  const holder = text === undefined ? undefined : (JSON.parse(text) as ProcessIdentity);
  return holder !== undefined && (await isAlive(holder)) ? holder : undefined;
}
