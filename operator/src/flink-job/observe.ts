import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import { keyOf, type StoredFlinkJob } from '../api/flink-job.ts';
import { type FlinkJobStatus, initialStatus, type Problem } from '../api/flink-job-status.ts';
import { parseFlinkJobSpec } from '../api/parse-flink-job.ts';
import type { Engine } from '../engine/engine.ts';
import type { JobReference, Platform } from '../platform/platform.ts';
import type { FlinkJobStore } from '../store/flink-job-store.ts';
import { buildRevision } from './build-revision.ts';
import { currentPurgeId } from './decide-purge.ts';
import { currentJobManager, type DecideInput, type Desired, type Facts, wantsProcesses } from './decision.ts';

export interface ObservePorts {
  readonly store: FlinkJobStore;
  readonly platform: Platform;
  readonly engine: Engine;
}

export type Observed = Pick<DecideInput, 'uid' | 'generation' | 'deleting' | 'desired' | 'current' | 'target' | 'status'> & {
  readonly facts: Omit<Facts, 'refusals' | 'hindrance'>;
};

/** Everything that a decision needs to know of the world. Changes nothing. */
export async function observe(flinkJob: StoredFlinkJob, ports: ObservePorts): Promise<Observed> {
  const { store, platform, engine } = ports;
  const key = keyOf(flinkJob);
  const { uid, generation, deletionTimestamp } = flinkJob.metadata;
  const status: FlinkJobStatus = flinkJob.status ?? initialStatus;
  const { revision, rollout } = status;
  const preFlightId = rollout?.state === 'PreFlight' ? rollout.operationId : undefined;
  const reference: JobReference = { ...key, uid };
  const [current, target, platformFacts] = await Promise.all([
    revision === undefined ? undefined : store.getRevision(key, uid, revision),
    rollout?.revision === undefined ? undefined : store.getRevision(key, uid, rollout.revision),
    platform.observe(reference, preFlightId, currentPurgeId(status)),
  ]);
  const wanted = wantsProcesses(status) || deletionTimestamp !== undefined;
  const jobManager = wanted ? currentJobManager(status, platformFacts) : undefined;
  const alive = jobManager?.process.state === 'Alive';
  const document = alive && jobManager.restAddress !== undefined ? await readDocument(engine, jobManager.restAddress) : undefined;
  return {
    uid,
    generation,
    deleting: deletionTimestamp !== undefined,
    desired: desiredOf(flinkJob),
    current,
    target,
    status,
    facts: { ...platformFacts, document: isOf(document, status, jobManager?.podUid) ? document : undefined },
  };
}

function desiredOf(flinkJob: StoredFlinkJob): Desired {
  const parsed = parseFlinkJobSpec(flinkJob.spec);
  if (parsed.ok) {
    return { valid: true, revision: buildRevision(parsed.value, flinkJob.metadata) };
  }
  const [first] = parsed.problems;
  const problem: Problem = {
    code: 'InvalidSpec',
    message: parsed.problems.map(({ message }) => message).join('; '),
    remedy: first?.remedy,
  };
  return { valid: false, problem };
}

/** Silence is a fact like any other. */
async function readDocument(engine: Engine, address: string): Promise<JobStatusDocument | undefined> {
  try {
    return await engine.client(address, undefined).readStatus();
  } catch {
    return undefined;
  }
}

/** An address may have passed to another process between two looks. */
function isOf(document: JobStatusDocument | undefined, status: FlinkJobStatus, podUid: string | undefined): boolean {
  return (
    document?.podUid === podUid &&
    document?.attempt.number === status.attempt?.number &&
    document?.attempt.token === status.attempt?.token
  );
}
