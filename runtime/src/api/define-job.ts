import type { ExecutableJob } from '../core/job-graph/executable-job.ts';
import { invalidJob } from '../core/job-graph/invalid-job.ts';
import { JobGraphBuilder, type JobGraphOptions } from '../core/job-graph/job-graph-builder.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import { StreamExecutionEnvironment } from './data-stream.ts';

export interface JobContext<Args> {
  readonly env: StreamExecutionEnvironment;
  /** What the job was started with (`spec.job.args`, `--arg name=value`): strings by name. A name that was not given is undefined. */
  readonly args: Args;
}

/** What a job module exports as its default. */
export class JobDefinition {
  readonly #build: (context: JobContext<unknown>) => void | Promise<void>;

  constructor(build: (context: JobContext<unknown>) => void | Promise<void>) {
    this.#build = build;
  }

  /** Builds the job once. Each call gives a new one. */
  async build(args: Readonly<Record<string, string>>, options: JobGraphOptions): Promise<ExecutableJob> {
    const builder = new JobGraphBuilder(options);
    await this.#build({ env: new StreamExecutionEnvironment(builder), args: Object.freeze({ ...args }) });
    return builder.build();
  }
}

/**
 * Declares a job: `export default defineJob(({ env, args }) => { … })`. The function runs in every process of the job and must declare
 * the same job each time; what it declares may depend on `args` and on nothing else.
 *
 * `args` has no declared type unless one is given, as in `defineJob<{ host: string; port: string }>(…)`. Anything but `any` would make
 * the plain `args.host` an error under `noPropertyAccessFromIndexSignature`, which jobs in a strict project have on.
 */
// biome-ignore lint/suspicious/noExplicitAny: see above; the values are strings, and connectors check what they are given.
export function defineJob<Args = any>(build: (context: JobContext<Args>) => void | Promise<void>): JobDefinition {
  if (typeof build !== 'function') {
    throw invalidJob(
      'FunctionMissing',
      `defineJob was given ${describeValue(build)}`,
      'Pass a function: defineJob(({ env, args }) => { … }).',
    );
  }
  return new JobDefinition(build as (context: JobContext<unknown>) => void | Promise<void>);
}
