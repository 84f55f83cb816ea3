import { z } from 'zod';

/**
 * What the platform knows of one place for a process, on disk so that a new controller adopts what runs. Written before the process
 * is started (without `process`), and again once it is: a record without `process` and without `exit` may belong to a process that nobody
 * remembers, which is then looked for by the path of its configuration.
 */
export const ProcessRecord = z.strictObject({
  format: z.literal(1),
  /** Of the FlinkJob: a recreated one does not adopt the processes of its predecessor. */
  uid: z.string(),
  role: z.enum(['JobManager', 'TaskManager', 'PreFlight', 'Purge', 'SavepointTask']),
  slot: z.string(),
  attemptNumber: z.int(),
  /** JobManager: which instance. TaskManager: which of the replicas. */
  ordinal: z.int(),
  revision: z.string(),
  operationId: z.string(),
  /** A new one for every start. */
  podUid: z.string(),
  configPath: z.string(),
  logPath: z.string(),
  /** Size of the log before this start. */
  logOffset: z.int(),
  startedAtMs: z.number(),
  process: z.strictObject({ pid: z.int(), startTime: z.string() }).optional(),
  /** Failures in a row. */
  failures: z.int(),
  exit: z
    .strictObject({
      kind: z.enum(['Ok', 'Failed', 'Unusable', 'Fenced', 'Unknown']),
      atMs: z.number(),
      problem: z.strictObject({ code: z.string(), message: z.string(), remedy: z.string().optional() }).optional(),
    })
    .optional(),
  /** When the polite end was asked for, and when it is forced. */
  terminate: z.strictObject({ sinceMs: z.number(), forceAtMs: z.number() }).optional(),
});
export type ProcessRecord = z.infer<typeof ProcessRecord>;

/** It ends by itself, with an answer on standard output. */
export function isShortLived(role: ProcessRecord['role']): boolean {
  return role === 'PreFlight' || role === 'Purge' || role === 'SavepointTask';
}

/** The first restart comes at once, because a killed process should cost nothing; a crash loop slows down to this. */
const backOffMaxMs = 30_000;
const backOffStepMs = 500;
/** Who ran for so long was well: the next failure counts as the first. */
const healthyAfterMs = 60_000;

export function failuresAfter(record: ProcessRecord, exitedAtMs: number): number {
  return exitedAtMs - record.startedAtMs >= healthyAfterMs ? 1 : record.failures + 1;
}

export function backOffUntilMs(record: ProcessRecord): number {
  const delayMs = record.failures <= 1 ? 0 : Math.min(backOffMaxMs, backOffStepMs * 2 ** Math.min(record.failures - 2, 20));
  return (record.exit?.atMs ?? record.startedAtMs) + delayMs;
}
