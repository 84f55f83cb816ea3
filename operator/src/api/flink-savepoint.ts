import { z } from 'zod';
import type { FlinkJobKey } from './flink-job.ts';
import type { Problem } from './flink-job-status.ts';
import { FlinkSavepointSpec } from './flink-savepoint-spec.ts';
import { FlinkSavepointStatus } from './flink-savepoint-status.ts';
import { apiVersion, group } from './labels.ts';

export const savepointKind = 'FlinkSavepoint';

/** Holds the resource until what it has in storage is dealt with. */
export const savepointFinalizer = `${group}/savepoint`;

export const savepointLabels = {
  /** On those that `spec.savepoints.schedule` has made; its value is `true`. Retention looks at these alone. */
  scheduled: `${group}/scheduled`,
} as const;

export const savepointAnnotations = {
  /** The time of the schedule that it was made for, to the millisecond in UTC. */
  scheduleTime: `${group}/schedule-time`,
} as const;

/** As it lies in a store. The spec has not been checked again. */
export const StoredFlinkSavepoint = z.strictObject({
  apiVersion: z.literal(apiVersion),
  kind: z.literal(savepointKind),
  metadata: z.strictObject({
    name: z.string().min(1).max(253),
    namespace: z.string().min(1).max(63),
    labels: z.record(z.string(), z.string()).optional(),
    annotations: z.record(z.string(), z.string()).optional(),
    uid: z.string().min(1),
    generation: z.int().min(1),
    resourceVersion: z.string().min(1),
    creationTimestamp: z.iso.datetime(),
    deletionTimestamp: z.iso.datetime().optional(),
    finalizers: z.array(z.string()).default([]),
  }),
  spec: z.unknown(),
  status: FlinkSavepointStatus.optional(),
});
export type StoredFlinkSavepoint = z.infer<typeof StoredFlinkSavepoint>;

/** What is to be created. */
export interface NewFlinkSavepoint extends FlinkJobKey {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: FlinkSavepointSpec;
}

/** Checks a spec that comes from a store. */
export function parseFlinkSavepointSpec(
  spec: unknown,
): { readonly ok: true; readonly value: FlinkSavepointSpec } | { readonly ok: false; readonly problem: Problem } {
  const parsed = FlinkSavepointSpec.safeParse(spec);
  if (parsed.success) {
    return { ok: true, value: parsed.data };
  }
  const message = parsed.error.issues.map(({ path, message: why }) => `spec.${path.join('.')}: ${why}`).join('; ');
  return { ok: false, problem: { code: 'InvalidSpec', message, remedy: 'Delete it, and make one with a spec that is right.' } };
}

/** The job that a stored one names, also where the rest of its spec cannot be read. */
export function flinkJobNameOf(spec: unknown): string | undefined {
  const name = (spec as { readonly flinkJobName?: unknown } | null | undefined)?.flinkJobName;
  return typeof name === 'string' && name !== '' ? name : undefined;
}
