import type { PlanResult, PurgeResult, SavepointTaskResult } from '@flinkjob/runtime/process-config';

/** What `plan --json` printed; undefined when that is no answer. */
export function parsePlanResult(text: string | undefined): PlanResult | undefined {
  try {
    const result = JSON.parse(text ?? '') as PlanResult;
    return typeof result?.ok === 'boolean' && typeof result.lineage?.attemptNumber === 'number' ? result : undefined;
  } catch {
    return undefined;
  }
}

/** What `savepoint-task --json` printed; undefined when that is no answer. */
export function parseSavepointTaskResult(text: string | undefined): SavepointTaskResult | undefined {
  try {
    const result = JSON.parse(text ?? '') as SavepointTaskResult;
    return typeof result?.ok === 'boolean' ? result : undefined;
  } catch {
    return undefined;
  }
}

/** What `purge --json` printed; undefined when that is no answer. */
export function parsePurgeResult(text: string | undefined): PurgeResult | undefined {
  try {
    const result = JSON.parse(text ?? '') as PurgeResult;
    return typeof result?.ok === 'boolean' ? result : undefined;
  } catch {
    return undefined;
  }
}
