import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { checkpointStorageOf } from '../../api/parse-flink-job.ts';
import { lineageUrlOf } from '../../api/storage-url.ts';
import type { FlinkJobObject } from './cluster.ts';
import type { Asked } from './job-manager-proxy.ts';

/** Reading a log of a few hundred small objects; a bucket that does not answer must not hold up a bundle. */
const listingTimeoutMs = 30_000;
const listingSizeMaxBytes = 64 * 2 ** 20;

/**
 * What `flinkjob lineage` says about the job, with the credentials that this machine has, if any: the cluster's own are in Secrets, which nobody reads here.
 */
export async function lineageListing(flinkJob: FlinkJobObject): Promise<Asked<string>> {
  const { metadata } = flinkJob;
  const storage = checkpointStorageOf(flinkJob);
  if (storage === undefined) {
    return { ok: false, why: 'the spec does not say where it is' };
  }
  if (storage.startsWith('file:')) {
    return { ok: false, why: `${storage} is a directory in the pods, not on this machine` };
  }
  const program = fileURLToPath(new URL('../main.ts', import.meta.url));
  const url = lineageUrlOf(storage, { namespace: metadata.namespace ?? '', name: metadata.name });
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [program, 'lineage', url, '--output', 'json'],
      {
        timeout: listingTimeoutMs,
        maxBuffer: listingSizeMaxBytes,
        // Through kubectl the same command would be about a cluster.
        env: { ...process.env, FLINKJOB_INVOKED_AS: 'flinkjob' },
      },
      (error, stdout, stderr) => {
        const why =
          error?.killed === true ? `${url} did not answer within ${listingTimeoutMs / 1000} s` : stderr.trim().split('\n')[0];
        resolve(error === null ? { ok: true, value: stdout } : { ok: false, why: why || error.message });
      },
    );
  });
}
