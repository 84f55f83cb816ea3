import { type FlinkJobKey, keyOf, type StoredFlinkJob } from '../api/flink-job.ts';
import type { FlinkJobSpec } from '../api/flink-job-spec.ts';
import { type FlinkJobStatus, initialStatus } from '../api/flink-job-status.ts';
import { parseFlinkJobSpec } from '../api/parse-flink-job.ts';
import { lineageUrlOf } from '../api/storage-url.ts';
import { mergeDefaults } from '../defaults/merge-defaults.ts';
import type { Engine } from '../engine/engine.ts';
import { buildRevision } from '../flink-job/build-revision.ts';
import { wantsProcesses } from '../flink-job/decision.ts';
import type { Revision } from '../flink-job/revision.ts';
import type { FlinkJobStore } from '../store/flink-job-store.ts';
import type { JobFacts } from './decision.ts';

export interface ObservedJob {
  readonly key: FlinkJobKey;
  readonly stored: StoredFlinkJob;
  readonly facts: JobFacts;
  /** What tasks run as: the revision that runs, or ran last; before any did, the one that the spec asks for. */
  readonly revision: Revision | undefined;
  readonly spec: FlinkJobSpec | undefined;
}

/** The time-out of checkpoints where a spec cannot be read. */
const checkpointTimeoutDefaultSeconds = 600;

/** `asksJobManager`: whether anything waits for what it says. */
export async function observeJob(
  stored: StoredFlinkJob,
  ports: { readonly store: FlinkJobStore; readonly engine: Engine },
  { asksJobManager }: { readonly asksJobManager: boolean },
): Promise<ObservedJob> {
  const key = keyOf(stored);
  const { uid, deletionTimestamp } = stored.metadata;
  const status = stored.status ?? initialStatus;
  const current = status.revision === undefined ? undefined : await ports.store.getRevision(key, uid, status.revision);
  // A schedule may be what the namespace says for all; that counts as the job has it.
  const parsed = parseFlinkJobSpec(mergeDefaults(current?.defaults, stored.spec));
  const spec = parsed.ok ? parsed.value : undefined;
  const revision = current ?? (spec && buildRevision(withStorageOf(status, spec), stored.metadata));
  const isUp = wantsProcesses(status) || status.rollout !== undefined;
  const closed = status.ended?.state === 'Suspended' || status.ended?.state === 'Finished' || status.ended?.state === 'Stopped';
  const facts: JobFacts = {
    uid,
    deleting: deletionTimestamp !== undefined,
    purges: deletionTimestamp !== undefined && (spec ?? revision?.spec)?.checkpoints.onDelete === 'Purge',
    state: status.state,
    presence: isUp ? 'Up' : closed ? 'Closed' : 'Ended',
    jobManager: asksJobManager && wantsProcesses(status) ? await readJobManager(stored, ports.engine) : undefined,
    canRunTasks: revision !== undefined,
    lineageUrl: revision && lineageUrlOf(revision.spec.state.checkpointStorage, key),
    checkpointTimeoutMs: (revision?.spec.checkpoints.timeoutSeconds ?? checkpointTimeoutDefaultSeconds) * 1000,
  };
  return { key, stored, facts, revision, spec };
}

/** Somebody has deleted the revision that runs. The newest spec may name a storage that the job has not gone to. */
function withStorageOf({ attempt }: FlinkJobStatus, spec: FlinkJobSpec): FlinkJobSpec {
  const checkpointStorage = attempt?.checkpointStorage ?? spec.state.checkpointStorage;
  return { ...spec, state: { ...spec.state, checkpointStorage } };
}

/** Silence is a fact like any other; so is an address that has passed to somebody else. */
async function readJobManager({ status }: StoredFlinkJob, engine: Engine): Promise<JobFacts['jobManager']> {
  const address = status?.jobManagerAddress;
  if (address === undefined) {
    return undefined;
  }
  try {
    const document = await engine.client(address, undefined).readStatus();
    const { number, token } = document.attempt;
    return number === status?.attempt?.number && token === status.attempt.token ? { address, document } : undefined;
  } catch {
    return undefined;
  }
}
