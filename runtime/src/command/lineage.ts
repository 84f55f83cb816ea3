import { parseArgs } from 'node:util';
import { exitCodes } from '../api/process-config.ts';
import { openStorageAt } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { JobError } from '../core/job-error.ts';
import type { LineageEntry } from '../core/lineage/entries.ts';
import { directoryOfManifest } from '../core/lineage/object-paths.ts';
import { formatSize } from './format-size.ts';
import { formatTable } from './format-table.ts';
import { lineageCheckCommand } from './janitor.ts';
import { type LineageReport, refuseNoLineage, reportLineage } from './lineage-report.ts';
import { storageUrlOf } from './storage-argument.ts';

/**
 * `lineage DIR [-o json]`, with a directory or the URL of one: what the checkpoint storage of a job says, whether or not anything runs. Reads only. Returns the exit code:
 * not 0 when an entry is corrupt.
 */
export async function lineageCommand(argv: readonly string[]): Promise<number> {
  if (argv[0] === 'check') {
    return await lineageCheckCommand(argv.slice(1));
  }
  const { directory, output } = parse(argv);
  const report = await reportLineage(openStorageAt(storageUrlOf(directory)), Date.now());
  refuseNoLineage(report, directory);
  process.stdout.write(output === 'json' ? `${JSON.stringify(report, undefined, 2)}\n` : formatLineage(report));
  return report.corruptEntries.length === 0 ? exitCodes.ok : exitCodes.failed;
}

function parse(argv: readonly string[]): { readonly directory: string; readonly output: string | undefined } {
  const usage = 'Use: lineage DIR [-o json], where DIR is the directory or URL <checkpointStorage>/<namespace>/<name>.';
  const fail = (message: string, cause?: unknown): never => {
    throw new JobError(message, { domain: 'user', retry: 'never', code: 'BadArguments', remedy: usage, cause });
  };
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: { output: { type: 'string', short: 'o' } },
      allowPositionals: true,
    });
    const [directory] = positionals;
    if (directory === undefined || positionals.length > 1) {
      return fail(`lineage takes one directory, not ${positionals.length}`);
    }
    if (values.output !== undefined && values.output !== 'json') {
      return fail(`-o ${values.output} is no form of output`);
    }
    return { directory, output: values.output };
  } catch (error) {
    return error instanceof JobError ? fail(error.message) : fail(error instanceof Error ? error.message : String(error), error);
  }
}

export function formatLineage(report: LineageReport): string {
  const lines = [
    report.url,
    ...headLines(report),
    '',
    ...checkpointLines(report),
    '',
    ...formatTable(['NUMBER', 'WRITTEN', 'EPOCH', 'ENTRY', 'SAYS'], report.entries.map(entryRow)),
    ...garbageLines(report),
  ];
  return `${lines.join('\n')}\n`;
}

function headLines({ head, start, stopping, closed, condemnedCount }: LineageReport): readonly string[] {
  const lines: string[] = [];
  if (head !== undefined) {
    lines.push(
      `Head: entry ${head.number}, epoch ${head.epoch}, attempt ${head.attempt ?? 'none'}` +
        (head.owner === undefined ? '' : `, owner ${head.owner}`) +
        (head.podUid === undefined ? '' : `, pod ${head.podUid} of revision ${head.revision}`),
    );
  }
  if (start === undefined) {
    lines.push('A start would be refused: the log has corrupt entries, named below.');
  } else if ('refused' in start) {
    lines.push(`A start would be refused: ${start.refused}`);
  } else {
    const what = start.path === undefined ? 'nothing' : start.path;
    const note = start.note === undefined ? '' : ` (${start.note})`;
    lines.push(`A start would ${start.mode === 'FinishStop' ? 'finish the stop' : 'run'} from ${what}${note}.`);
  }
  if (stopping !== undefined) {
    lines.push(`Stopping: operation ${stopping.operationId}, until ${time(stopping.deadlineMs)}.`);
  }
  if (closed !== undefined) {
    lines.push(`Closed: ${closed.reason} with checkpoint ${closed.checkpointId}.`);
  }
  if (condemnedCount > 0) {
    lines.push(`${condemnedCount} condemned objects wait to be deleted.`);
  }
  return lines;
}

function checkpointLines({ checkpoints }: LineageReport): readonly string[] {
  if (checkpoints.length === 0) {
    return ['No completed checkpoint.'];
  }
  const rows = checkpoints.map((checkpoint) => [
    checkpoint.path,
    checkpoint.kind,
    time(checkpoint.completedAtMs),
    formatSize(checkpoint.stateSizeBytes),
    formatSize(checkpoint.folderSizeBytes),
    [checkpoint.isHead ? 'head' : '', checkpoint.isManifestPresent ? '' : 'MANIFEST MISSING OR CUT'].filter(Boolean).join(', '),
  ]);
  return formatTable(['CHECKPOINT', 'KIND', 'COMPLETED', 'STATE', 'FILES', ''], rows);
}

function garbageLines({ garbageIslands, corruptEntries }: LineageReport): readonly string[] {
  const garbage = garbageIslands.map(({ first, last }) =>
    first === last
      ? `Entry ${first} is garbage: not part of the log.`
      : `Entries ${first} to ${last} are garbage: not part of the log.`,
  );
  const corrupt = corruptEntries.map(({ path, problem }) =>
    problem.includes(path) ? `CORRUPT ${problem}` : `CORRUPT ${path}: ${problem}`,
  );
  return garbage.length + corrupt.length === 0 ? [] : ['', ...garbage, ...corrupt];
}

function entryRow(entry: LineageEntry): readonly string[] {
  return [String(entry.number), time(entry.writtenAtMs), String(entry.epoch), entry.type, describeEntry(entry)];
}

function describeEntry(entry: LineageEntry): string {
  switch (entry.type) {
    case 'Opened':
      return entry.renewal
        ? 'renewed, so that older entries can go'
        : `attempt ${entry.attempt.number}, pod ${entry.podUid}, from ${
            entry.restored.path === undefined ? 'nothing' : directoryOfManifest(entry.restored.path)
          } (${entry.restored.reason})`;
    case 'Completed':
      return `${directoryOfManifest(entry.manifest.path)}, ${formatSize(entry.stateSizeBytes)}${byOperation(entry.operationId)}`;
    case 'Stopping':
      return `operation ${entry.operationId}, until ${time(entry.deadlineMs)}`;
    case 'StopAborted':
      return `operation ${entry.operationId}: ${entry.reason}`;
    case 'Closed':
      return `${entry.reason}, checkpoint ${entry.checkpointId}${byOperation(entry.operationId)}`;
    case 'Pinned':
      return `${directoryOfManifest(entry.checkpoint)} for ${entry.for}`;
    case 'Unpinned':
      return `pin ${entry.pinId}`;
    case 'SavepointReleased':
      return directoryOfManifest(entry.savepoint);
    case 'Imported':
      return `${directoryOfManifest(entry.manifest.path)} from ${entry.from}`;
    case 'Condemned':
      return `${entry.names.length} objects: ${entry.names[0] ?? ''}${entry.names.length > 1 ? ', …' : ''}`;
    case 'Outcome':
      return `operation ${entry.operationId} (${entry.operationType}): ${entry.result.state}`;
    case 'Purged':
      return 'everything before was purged';
  }
}

function byOperation(operationId: string | undefined): string {
  return operationId === undefined ? '' : ` for operation ${operationId}`;
}

function time(ms: number): string {
  return Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString().slice(0, 19).replace('T', ' ') : String(ms);
}
