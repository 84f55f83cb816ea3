import type { SplitState } from '../core/checkpoint/manifest.ts';
import { JobError } from '../core/job-error.ts';
import type { JobGraph } from '../core/job-graph/job-graph.ts';
import { statefulOperators } from '../core/job-graph/stateful-operators.ts';
import type { JobManagerPorts } from './job-manager-ports.ts';
import { limits } from './limits.ts';

/** Asks every source, all at once, for its splits; by uid. */
export async function discoverAllSplits(
  graph: JobGraph,
  ports: Pick<JobManagerPorts, 'clock' | 'discoverSplits'>,
): Promise<ReadonlyMap<string, readonly SplitState[]>> {
  const uids = statefulOperators(graph).flatMap(({ uid, operator }) => (operator.source === undefined ? [] : [uid]));
  const found = await Promise.all(uids.map(async (uid) => [uid, await withinTime(uid, ports)] as const));
  return new Map(found);
}

async function withinTime(
  uid: string,
  { clock, discoverSplits }: Pick<JobManagerPorts, 'clock' | 'discoverSplits'>,
): Promise<readonly SplitState[]> {
  let cancelTimer = () => {};
  const late = new Promise<never>((_resolve, reject) => {
    cancelTimer = clock.schedule(limits.discoverSplitsTimeoutMs, () => reject(tooSlow(uid)));
  });
  try {
    return await Promise.race([discoverSplits(uid), late]);
  } finally {
    cancelTimer();
  }
}

function tooSlow(uid: string): JobError {
  return new JobError(`source '${uid}' did not say what there is to read within ${limits.discoverSplitsTimeoutMs / 1000} s`, {
    domain: 'external',
    retry: 'backoff',
    code: 'SplitDiscoveryTimedOut',
    remedy: 'Look whether what the source reads from is reachable.',
  });
}
