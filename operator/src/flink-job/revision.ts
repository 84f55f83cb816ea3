import type { FlinkJobSpec } from '../api/flink-job-spec.ts';
import type { SpecDefaults } from '../defaults/merge-defaults.ts';

/**
 * What one start of a job is made of, frozen: a controller that dies, or a newer one, runs what was decided and not what the spec says
 * by then. A revision's name is a hash over its content.
 */
export interface Revision {
  readonly format: 1;
  readonly name: string;
  readonly spec: FlinkJobSpec;
  /** What its namespace said for all when it was built, which is in `spec`; absent where it said nothing. No part of the name. */
  readonly defaults?: SpecDefaults;
  /** SHA-256 of the job module's content, where known. */
  readonly moduleDigest: string | undefined;
  /** Directory that relative paths count from, where known. */
  readonly workingDirectory: string | undefined;
}
