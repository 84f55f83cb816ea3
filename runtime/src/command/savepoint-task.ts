import { Console } from 'node:console';
import { randomUUID } from 'node:crypto';
import { exitCodes, SavepointTaskProcessConfig, type SavepointTaskResult } from '../api/process-config.ts';
import { openCheckpointStorage, openStorageAt } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { toErrorInfo } from '../core/job-error.ts';
import { allowedStateChanges } from '../job-manager/open-lineage.ts';
import { disposeSavepoint } from '../savepoint-tasks/dispose-savepoint.ts';
import { drillSavepoint } from '../savepoint-tasks/drill-savepoint.ts';
import { findSavepointOf } from '../savepoint-tasks/find-savepoint.ts';
import { foundSavepoint, type SavepointTaskPorts } from '../savepoint-tasks/savepoint-task-ports.ts';
import { seedLineage } from '../savepoint-transfer/seed-lineage.ts';
import { systemClock } from '../system-clock.ts';
import { readProcessConfig } from './read-process-config.ts';
import { writeResultFile } from './result-file.ts';
import { createRootLog } from './root-log.ts';

/** `savepoint-task --config FILE [--json] [--result-file FILE]`: for a platform, as the job itself would. Returns the exit code. */
export async function savepointTaskCommand(argv: readonly string[]): Promise<number> {
  // What a job module prints while it is loaded must not get between the lines of the answer.
  globalThis.console = new Console(process.stderr);
  const result = await resultOf(argv);
  process.stdout.write(argv.includes('--json') ? `${JSON.stringify(result)}\n` : format(result));
  await writeResultFile(argv, result, [
    ({ problem, ...rest }) => ({
      ...rest,
      problem: problem && { ...problem, message: problem.message.slice(0, 1000), remedy: problem.remedy?.slice(0, 1000) },
    }),
  ]);
  return result.ok ? exitCodes.ok : result.problem?.retry === 'backoff' ? exitCodes.failed : exitCodes.unusable;
}

async function resultOf(argv: readonly string[]): Promise<SavepointTaskResult> {
  try {
    return { ok: true, ...(await carryOut(await readProcessConfig(SavepointTaskProcessConfig, argv))) };
  } catch (error) {
    const { code, message, remedy, retry } = toErrorInfo(error, 'external');
    return { ok: false, problem: { code, message, remedy, retry } };
  }
}

async function carryOut(config: SavepointTaskProcessConfig): Promise<Omit<SavepointTaskResult, 'ok'>> {
  const { lineage, task } = config;
  const { namespace, name, clusterId } = lineage;
  const ports: SavepointTaskPorts = {
    ...{ storage: openCheckpointStorage(lineage.checkpointStorage, lineage), lineage, clock: systemClock, nonce: randomUUID },
    log: createRootLog({ process: 'savepoint-task', namespace, flinkJob: name }),
    openStorageAt: (url) => openStorageAt(url),
  };
  switch (task.type) {
    case 'Find':
      return { savepoint: await findSavepointOf(ports, task.operationIds) };
    case 'Import': {
      const { path: from, token } = task;
      const owner = `${clusterId}/${namespace}/${name}`;
      const record = await seedLineage(ports, { from, token, owner, target: ports.storage, onProgress: () => {} });
      return { savepoint: foundSavepoint(ports.storage, record) };
    }
    case 'Dispose':
      return {
        disposed: await disposeSavepoint(ports, { location: task.location, graceMs: task.deleteGraceSeconds * 1000 }),
      };
    case 'Drill': {
      const { job, stateBackend } = config;
      const allowed = allowedStateChanges(config);
      return { drill: await drillSavepoint(ports, { location: task.location, job, stateBackend, allowed }) };
    }
  }
}

function format({ problem, savepoint, disposed, drill }: SavepointTaskResult): string {
  if (problem !== undefined) {
    return `Not done: ${problem.message} [${problem.code}]\n${problem.remedy === undefined ? '' : `  ${problem.remedy}\n`}`;
  }
  if (disposed !== undefined) {
    return disposed.isGone ? `Deleted: ${disposed.deletedCount} objects.\n` : 'It is released, and stays while it is needed.\n';
  }
  if (drill !== undefined) {
    return `Restorable: ${drill.rowCount} rows in ${drill.fileCount} files were read.\n`;
  }
  return savepoint === undefined ? 'There is none.\n' : `${savepoint.location}\n`;
}
