import { encodeSplit } from '../connectors/split-codec.ts';
import { assert } from '../core/assert.ts';
import type { SplitState } from '../core/checkpoint/manifest.ts';
import type { ExecutableJob } from '../core/job-graph/executable-job.ts';

/** Asks a source of the job for its splits, in the form in which checkpoints hold them. */
export function splitDiscovery(job: ExecutableJob): (uid: string) => Promise<readonly SplitState[]> {
  return async (uid) => {
    const implementation = job.operators.get(uid);
    assert(implementation?.type === 'source', `'${uid}' is a source of the job`);
    const { source } = implementation;
    return (await source.discoverSplits()).map((split) => encodeSplit(split, source.positionType));
  };
}
