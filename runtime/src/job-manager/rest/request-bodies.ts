import { z } from 'zod';
import { JobError } from '../../core/job-error.ts';

/** Ids name operations in the lineage for ever, so they have a limit. */
const OperationId = z.string().min(1).max(256);

/** Flink's words. Its default is CANONICAL; ours is what costs nothing, and every kind can be restored everywhere. */
const FormatType = z
  .enum(['NATIVE', 'CANONICAL'])
  .nullish()
  .transform((formatType) => (formatType === 'CANONICAL' ? 'Canonical' : 'Native'));

/**
 * Ours or Flink's. Flink's `target-directory` is read and has no effect: a savepoint is a pinned manifest in the job's lineage, and the answer
 * says where; `flinkjob savepoint export` copies it elsewhere.
 */
export const SavepointBody = z.strictObject({
  operationId: OperationId.optional(),
  triggerId: OperationId.optional(),
  'target-directory': z.string().nullish(),
  'cancel-job': z.literal(false, { error: 'must be false; POST …/stop takes a savepoint and ends the job' }).optional(),
  formatType: FormatType,
  /** Ours: why, for people. */
  reason: z.string().min(1).max(1024).nullish(),
});

/** Ours or Flink's; `drain` has no effect while jobs know no event time. */
export const StopBody = z.strictObject({
  operationId: OperationId.optional(),
  triggerId: OperationId.optional(),
  deadlineSeconds: z.number().positive().max(86_400).optional(),
  targetDirectory: z.string().nullish(),
  drain: z.boolean().nullish(),
  formatType: FormatType,
});

/** Flink's. */
export const SavepointDisposalBody = z.strictObject({
  operationId: OperationId.optional(),
  triggerId: OperationId.optional(),
  'savepoint-path': z.string().min(1),
});

export const CancelBody = z.strictObject({ operationId: OperationId.optional() });

/** An empty body counts as `{}`. What is wrong is said field by field. */
export function parseBody<T>(schema: z.ZodType<T>, text: string): T {
  let json: unknown;
  try {
    json = text.trim() === '' ? {} : JSON.parse(text);
  } catch (cause) {
    throw invalidRequest(
      `the body is not JSON: ${cause instanceof Error ? cause.message : cause}`,
      'Send a JSON object, or no body.',
    );
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.length === 0 ? 'body' : path.join('.')}: ${message}`);
    throw invalidRequest(problems.join('; '), 'Correct the fields that are named.');
  }
  return parsed.data;
}

export function invalidRequest(message: string, remedy: string): JobError {
  return new JobError(message, { domain: 'user', retry: 'never', code: 'InvalidRequest', remedy });
}
