import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { JobManagerAddress } from '../api/process-config.ts';
import { JobError } from '../core/job-error.ts';

const schema: z.ZodType<JobManagerAddress> = z.object({
  rest: z.string(),
  rpc: z.string(),
  pid: z.number(),
  podUid: z.string(),
  epoch: z.number(),
});

/** Where the JobManager is now. It may not be there yet, or have just been replaced: whoever reads this tries again. */
export async function readJobManagerAddress(path: string): Promise<JobManagerAddress> {
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    throw new JobError(`no address of a JobManager in ${path}`, {
      domain: 'external',
      retry: 'backoff',
      code: 'JobManagerUnknown',
      cause: error,
    });
  }
}
