import { hkdfSync } from 'node:crypto';
import { type JobKey, type JobKeys, keySizeBytes } from '@flinkjob/runtime/credentials';
import type { RootKeys } from './root-keys.ts';

/** A FlinkJob that was deleted and made again has another uid, and so other keys. */
export interface KeyedJob {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/**
 * The keys of a job in some periods, of which the first signs: the same for everybody who has the root key, so nobody has to keep or to read them. Those of each root key that is accepted are among
 * them. Deterministic.
 */
export function deriveJobKeys(roots: RootKeys, job: KeyedJob, periods: readonly [number, ...number[]]): JobKeys {
  const id = `${job.namespace}/${job.name}/${job.uid}`;
  const accepted = [roots.current, roots.next, roots.previous].filter((root) => root !== undefined);
  const all = accepted.flatMap((root) => periods.map((period) => jobKey(root, id, period)));
  const [current, ...others] = all as [JobKey, ...JobKey[]];
  return { job: id, current, others };
}

function jobKey(root: Buffer, job: string, period: number): JobKey {
  // What a root key is called says nothing about it, and tells two of them apart in one period.
  const rootId = derive(root, 'flinkjob root key id', 4).toString('hex');
  return { id: `${rootId}-${period}`, secret: derive(root, `flinkjob job key\n${job}\n${period}`, keySizeBytes) };
}

function derive(root: Buffer, info: string, sizeBytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', root, '', info, sizeBytes));
}
