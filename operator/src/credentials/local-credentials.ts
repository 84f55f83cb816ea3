import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Log } from '../log.ts';
import { JobCredentials } from './job-credentials.ts';
import { ensureRootKey, openRootKeys } from './root-keys.ts';

// The credentials of a work directory. Whoever may read the root key in it may do with its jobs what their controller may.

/** For their controller, which makes the root key if need be. */
export async function createLocalCredentials(
  workDirectory: string,
  options: { readonly log: Log; readonly nowMs: () => number; readonly periodMs?: number | undefined },
): Promise<JobCredentials> {
  await ensureRootKey(rootKeyDirectory(workDirectory));
  return open(workDirectory, options);
}

/** For a command beside it; undefined where no controller has made a root key, so that no job has keys. Throws `RootKeyUnusable`. */
export function openLocalCredentials(
  workDirectory: string,
  options: { readonly log: Log; readonly nowMs: () => number },
): JobCredentials | undefined {
  return existsSync(rootKeyDirectory(workDirectory)) ? open(workDirectory, options) : undefined;
}

function open(
  workDirectory: string,
  { log, nowMs, periodMs }: { readonly log: Log; readonly nowMs: () => number; readonly periodMs?: number | undefined },
): JobCredentials {
  const roots = openRootKeys(rootKeyDirectory(workDirectory), { log, nowMs });
  return new JobCredentials({ roots, nowMs, ...(periodMs === undefined ? {} : { periodMs }) });
}

/** A namespace cannot begin with a dot, so this name is free. */
function rootKeyDirectory(workDirectory: string): string {
  return path.join(workDirectory, '.root-key');
}
