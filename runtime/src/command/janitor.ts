import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { exitCodes } from '../api/process-config.ts';
import { openStorageAt } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { type ErrorInfo, JobError, toErrorInfo } from '../core/job-error.ts';
import type { AccountedObject, MissingFile } from '../core/lineage/account-objects.ts';
import { type CheckOptions, checkLineage, isSound, type LineageCheck, sumByStanding } from '../janitor/check-lineage.ts';
import { type Cleaned, cleanLineage } from '../janitor/clean-lineage.ts';
import { condemnReleased } from '../janitor/condemn-released.ts';
import { findLineages } from '../janitor/find-lineages.ts';
import { LineageLog } from '../job-manager/lineage-log.ts';
import type { Log } from '../log.ts';
import { systemClock } from '../system-clock.ts';
import { formatSize } from './format-size.ts';
import { formatTable } from './format-table.ts';
import { storageUrlOf } from './storage-argument.ts';

/** A checkpoint may take ten minutes, the default of checkpoints.timeoutSeconds; what is older and named by nothing will not be named any more. */
const youngSecondsDefault = 900;
/** As `checkpoints.deleteGraceSeconds` of the processes. */
const graceSecondsDefault = 60;
/** Objects that a person is shown by name, for each lineage; `-o json` has all. */
const shownCountMax = 20;

/** What `-o json` prints, one per lineage. */
interface LineageResult {
  readonly url: string;
  readonly sound: boolean;
  readonly sums: Readonly<Record<string, { readonly count: number; readonly sizeBytes: number }>>;
  /** By name: garbage, and what could not be proven to be anything. */
  readonly objects: readonly AccountedObject[];
  readonly missing: readonly MissingFile[];
  readonly unreadable: readonly { readonly path: string; readonly error: ErrorInfo }[];
  readonly deleted: Cleaned | undefined;
  /** Why the lineage could not be checked or cleaned. */
  readonly error: ErrorInfo | undefined;
}

interface Arguments extends CheckOptions {
  readonly url: string;
  readonly isDeleting: boolean;
  readonly isJson: boolean;
}

/**
 * `janitor DIR [--delete]`: proves of every object in one lineage, or in all below a root, what it is there for. Returns 0 when nothing is garbage, missing or
 * unproven (after deleting, with `--delete`), 1 otherwise. Unfinished multipart uploads are no objects: a lifecycle rule of the bucket ends them.
 */
export async function janitorCommand(argv: readonly string[]): Promise<number> {
  const options = parse(argv, 'janitor');
  return await runJanitor(options);
}

/** `lineage check DIR`: the same for looking only. */
export async function lineageCheckCommand(argv: readonly string[]): Promise<number> {
  const options = parse(argv, 'lineage check');
  return await runJanitor(options);
}

async function runJanitor(options: Arguments): Promise<number> {
  const url = options.url.replace(/\/+$/, '');
  const { folders, strays } = await findLineages(openStorageAt(url));
  if (folders.length === 0) {
    throw new JobError(`${options.url} holds no lineage: there is no lineage/ with entries in it`, {
      ...{ domain: 'user', retry: 'never', code: 'LineageNotFound' },
      remedy: 'Name the directory of one job, <checkpointStorage>/<namespace>/<name>, or a root of several.',
    });
  }
  const results: LineageResult[] = [];
  for (const folder of folders) {
    const result = await careFor(`${url}/${folder}`.replace(/\/+$/, ''), options);
    results.push(result);
    if (!options.isJson) {
      process.stdout.write(formatResult(result));
    }
  }
  process.stdout.write(
    options.isJson ? `${JSON.stringify({ lineages: results, strays }, undefined, 2)}\n` : formatStrays(strays),
  );
  return results.every(({ sound }) => sound) ? exitCodes.ok : exitCodes.failed;
}

/** One lineage that cannot be read does not keep the others from being looked at. */
async function careFor(url: string, options: Arguments): Promise<LineageResult> {
  const ports = { storage: openStorageAt(url), clock: systemClock, nonce: randomUUID, log: silent };
  try {
    const log = await LineageLog.read(ports);
    const check = await checkLineage(ports, log, options);
    if (!options.isDeleting) {
      return resultOf(check, undefined);
    }
    await condemnReleased(log, { check, isUnattended: options.isUnattended });
    const deleted = await cleanLineage(ports, log, { check, graceMs: options.graceMs });
    return resultOf(await checkLineage(ports, log, options), deleted);
  } catch (error) {
    const empty = { sums: {}, objects: [], missing: [], unreadable: [], deleted: undefined };
    return { url, sound: false, ...empty, error: toErrorInfo(error, 'external') };
  }
}

function resultOf(check: LineageCheck, deleted: Cleaned | undefined): LineageResult {
  const { url, objects, missing, unreadable } = check;
  return {
    ...{ url, sound: isSound(check), sums: Object.fromEntries(sumByStanding(objects)) },
    objects: objects.filter(({ standing }) => standing === 'Garbage' || standing === 'Unproven'),
    ...{ missing, unreadable, deleted, error: undefined },
  };
}

function parse(argv: readonly string[], command: 'janitor' | 'lineage check'): Arguments {
  const deleting = command === 'janitor' ? ' [--delete]' : '';
  const usage = `Use: ${command} DIR${deleting} [--unattended] [--grace SECONDS] [--young SECONDS] [-o json], where DIR is the directory or URL of one job's lineage, or of several.`;
  const fail = (message: string, cause?: unknown): never => {
    throw new JobError(message, { domain: 'user', retry: 'never', code: 'BadArguments', remedy: usage, cause });
  };
  const seconds = (name: string, text: string | undefined, otherwise: number) => {
    const value = text === undefined ? otherwise : Number(text);
    return text !== '' && Number.isFinite(value) && value >= 0 ? value * 1000 : fail(`--${name} ${text} is no number of seconds`);
  };
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: {
        ...(command === 'janitor' ? { delete: { type: 'boolean' as const } } : {}),
        unattended: { type: 'boolean' },
        grace: { type: 'string' },
        young: { type: 'string' },
        output: { type: 'string', short: 'o' },
      },
      allowPositionals: true,
    });
    const [directory] = positionals;
    if (directory === undefined || positionals.length > 1) {
      return fail(`${command} takes one directory or URL, not ${positionals.length}`);
    }
    if (values.output !== undefined && values.output !== 'json') {
      return fail(`-o ${values.output} is no form of output`);
    }
    return {
      url: storageUrlOf(directory),
      isDeleting: 'delete' in values && values.delete === true,
      isUnattended: values.unattended === true,
      isJson: values.output === 'json',
      graceMs: seconds('grace', values.grace, graceSecondsDefault),
      youngMs: seconds('young', values.young, youngSecondsDefault),
    };
  } catch (error) {
    return error instanceof JobError ? fail(error.message) : fail(error instanceof Error ? error.message : String(error), error);
  }
}

const standings: readonly { readonly standing: AccountedObject['standing']; readonly meaning: string }[] = [
  { standing: 'Log', meaning: 'entries of the log' },
  { standing: 'Referenced', meaning: 'named by a retained checkpoint' },
  { standing: 'Kept', meaning: 'named by a savepoint or a pinned checkpoint' },
  { standing: 'Condemned', meaning: 'waiting to be deleted' },
  { standing: 'Young', meaning: 'named by nothing yet, and new' },
  { standing: 'Open', meaning: 'of the epoch that holds the lineage; its JobManager, or the next one, decides' },
  { standing: 'Garbage', meaning: 'named by nothing, for ever' },
  { standing: 'Unproven', meaning: 'none of these for sure' },
];

function formatResult({ url, sound, sums, objects, missing, unreadable, deleted, error }: LineageResult): string {
  const rows = standings.flatMap(({ standing, meaning }) => {
    const sum = sums[standing];
    return sum === undefined ? [] : [[standing, String(sum.count), formatSize(sum.sizeBytes), meaning]];
  });
  const problems = [
    ...(error === undefined ? [] : [`NOT CHECKED ${error.message} [${error.code}]`]),
    ...unreadable.map(({ error: { message } }) => `UNREADABLE ${message}`),
    ...missing.map(
      ({ path, sizeBytes, foundSizeBytes, namedBy }) =>
        `${foundSizeBytes === undefined ? 'MISSING' : 'DAMAGED'} ${path}: ${namedBy} says ${sizeBytes} bytes, found ${foundSizeBytes ?? 'nothing'}`,
    ),
    ...objects.map(({ path, sizeBytes, standing }) => `${standing.toUpperCase()} ${path}, ${formatSize(sizeBytes)}`),
  ];
  const shown = problems.slice(0, shownCountMax);
  const lines = [
    url,
    ...(rows.length === 0 ? [] : formatTable(['OBJECTS', 'COUNT', 'SIZE', ''], rows)),
    ...(deleted === undefined ? [] : [`Deleted ${deleted.deletedCount} objects, ${formatSize(deleted.deletedSizeBytes)}.`]),
    ...shown,
    ...(problems.length > shown.length ? [`… and ${problems.length - shown.length} more; -o json has all.`] : []),
    sound ? 'Every object is accounted for.' : 'Not every object is as it should be.',
    '',
  ];
  return `${lines.join('\n')}\n`;
}

function formatStrays(strays: readonly { readonly path: string; readonly sizeBytes: number }[]): string {
  const sizeBytes = strays.reduce((sum, stray) => sum + stray.sizeBytes, 0);
  return strays.length === 0
    ? ''
    : `${strays.length} objects, ${formatSize(sizeBytes)}, lie outside of every lineage: ${strays[0]?.path} …\n`;
}

/** The result says what happened. */
const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
