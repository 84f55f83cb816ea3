import type { FlinkJobSpec } from '../api/flink-job-spec.ts';

/**
 * What one start of a job is made of, frozen: a controller that dies, or a newer one, runs what was decided and not what the spec says
 * by then. A revision's name is a hash over its content.
 */
export interface Revision {
  readonly format: 1;
  readonly name: string;
  readonly spec: FlinkJobSpec;
  /** SHA-256 of the job module's content, where known. */
  readonly moduleDigest: string | undefined;
  /** Directory that relative paths count from, where known. */
  readonly workingDirectory: string | undefined;
}
