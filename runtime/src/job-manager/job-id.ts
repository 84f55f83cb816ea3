import { createHash } from 'node:crypto';

/** Flink's form of a job's id, 32 hex digits; the same for every revision and every restart of a job. */
export function jobIdOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return createHash('sha256').update(`${namespace}/${name}`).digest('hex').slice(0, 32);
}
