import type { FoundSavepoint } from '../api/process-config.ts';
import { JobError } from '../core/job-error.ts';
import { LineageLog } from '../job-manager/lineage-log.ts';
import { foundSavepoint, type SavepointTaskPorts } from './savepoint-task-ports.ts';

/**
 * What a job that does not run can answer to "take a savepoint": the one that this very operation took before its JobManager went, or, where the lineage is closed,
 * what it was closed with, which is the state of the job as it stands. Undefined: neither is so. Throws what the operation failed with.
 */
export async function findSavepointOf(
  ports: SavepointTaskPorts,
  operationIds: readonly string[],
): Promise<FoundSavepoint | undefined> {
  const { view } = await LineageLog.read(ports);
  const taken = view.checkpoints.find(({ operationId }) => operationId !== undefined && operationIds.includes(operationId));
  if (taken !== undefined) {
    return foundSavepoint(ports.storage, taken);
  }
  const { closed, latest } = view;
  if (closed !== undefined && latest !== undefined && latest.checkpointId === closed.checkpointId) {
    return foundSavepoint(ports.storage, latest);
  }
  const outcome = view.outcomes.findLast(({ operationId }) => operationIds.includes(operationId));
  if (outcome?.result.state === 'Failed') {
    const { code, message } = outcome.result;
    throw new JobError(message, { domain: 'external', retry: 'never', code });
  }
  return undefined;
}
