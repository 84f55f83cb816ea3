import { randomUUID } from 'node:crypto';
import { exitCodes, PurgeProcessConfig, type PurgeResult } from '../api/process-config.ts';
import { StorageError } from '../checkpoint-storage/checkpoint-storage.ts';
import { openCheckpointStorage } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { JobError, toErrorInfo } from '../core/job-error.ts';
import { purgeLineage } from '../janitor/purge-lineage.ts';
import { isFencedError } from '../job-manager/lineage-log.ts';
import { systemClock } from '../system-clock.ts';
import { formatSize } from './format-size.ts';
import { readProcessConfig } from './read-process-config.ts';
import { writeResultFile } from './result-file.ts';
import { createRootLog } from './root-log.ts';

/**
 * `purge --config FILE [--json] [--result-file FILE]`: deletes all that a lineage holds, for good. For a platform, once the processes of the job are gone; the FlinkJob said
 * `checkpoints.onDelete: Purge`. Returns the exit code.
 */
export async function purgeCommand(argv: readonly string[]): Promise<number> {
  const isJson = argv.includes('--json');
  const { result, exitCode } = await purge(argv);
  process.stdout.write(isJson ? `${JSON.stringify(result)}\n` : formatPurge(result));
  await writeResultFile(argv, result, [
    ({ problem, ...rest }) => ({ ...rest, problem: problem && { ...problem, message: problem.message.slice(0, 1000) } }),
  ]);
  return exitCode;
}

async function purge(argv: readonly string[]): Promise<{ readonly result: PurgeResult; readonly exitCode: number }> {
  try {
    const { lineage, attemptNumber, operationId, deleteGraceSeconds } = await readProcessConfig(PurgeProcessConfig, argv);
    const { namespace, name, clusterId, adoptFrom } = lineage;
    const ports = {
      ...{ storage: openCheckpointStorage(lineage.checkpointStorage, lineage), clock: systemClock, nonce: randomUUID },
      log: createRootLog({ process: 'purge', namespace, flinkJob: name }),
    };
    const purged = await purgeLineage(ports, {
      ...{ owner: `${clusterId}/${namespace}/${name}`, adoptFrom, attemptNumber, operationId, processUid: randomUUID() },
      graceMs: deleteGraceSeconds * 1000,
    });
    const { deletedCount, deletedSizeBytes, strangers } = purged;
    return {
      result: { ok: true, deletedCount, deletedSizeBytes, leftCount: strangers.length, problem: undefined },
      exitCode: exitCodes.ok,
    };
  } catch (error) {
    const { code, message, remedy } = toErrorInfo(error, 'external');
    const result = { ok: false, deletedCount: 0, deletedSizeBytes: 0, leftCount: 0, problem: { code, message, remedy } };
    return { result, exitCode: exitCodeOf(error) };
  }
}

function exitCodeOf(error: unknown): number {
  if (isFencedError(error)) {
    return exitCodes.fenced;
  }
  const isFinal = (error instanceof JobError || error instanceof StorageError) && error.retry === 'never';
  return isFinal ? exitCodes.unusable : exitCodes.failed;
}

function formatPurge({ deletedCount, deletedSizeBytes, leftCount, problem }: PurgeResult): string {
  if (problem !== undefined) {
    return `Not purged: ${problem.message} [${problem.code}]\n${problem.remedy === undefined ? '' : `  ${problem.remedy}\n`}`;
  }
  const left = leftCount === 0 ? '' : ` ${leftCount} objects whose names are not ours were left.`;
  return `Purged: ${deletedCount} objects, ${formatSize(deletedSizeBytes)}.${left}\n`;
}
