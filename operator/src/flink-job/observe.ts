import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import { keyOf, type StoredFlinkJob } from '../api/flink-job.ts';
import { type FlinkJobStatus, initialStatus, type Problem } from '../api/flink-job-status.ts';
import { annotations } from '../api/labels.ts';
import { parseFlinkJobSpec } from '../api/parse-flink-job.ts';
import type { Engine } from '../engine/engine.ts';
import type { JobReference, Platform, PlatformFacts } from '../platform/platform.ts';
import type { FlinkJobStore } from '../store/flink-job-store.ts';
import { buildRevision } from './build-revision.ts';
import { currentPurgeId } from './decide-purge.ts';
import { currentJobManager, currentPreFlightId, type DecideInput, type Desired, type Facts, wantsProcesses } from './decision.ts';

export interface ObservePorts {
  readonly store: FlinkJobStore;
  readonly platform: Platform;
  readonly engine: Engine;
}

export type Observed = Pick<
  DecideInput,
  'uid' | 'generation' | 'deleting' | 'paused' | 'desired' | 'current' | 'target' | 'stable' | 'rejected' | 'status'
> & {
  readonly facts: Omit<Facts, 'refusals' | 'hindrance'>;
};

/** Everything that a decision needs to know of the world. Changes nothing. `mirrored`: facts of the platform that were known without asking it. */
export async function observe(flinkJob: StoredFlinkJob, ports: ObservePorts, mirrored?: PlatformFacts): Promise<Observed> {
  const { store, platform, engine } = ports;
  const key = keyOf(flinkJob);
  const { uid, generation, deletionTimestamp } = flinkJob.metadata;
  const status: FlinkJobStatus = flinkJob.status ?? initialStatus;
  const { revision, rollout } = status;
  const preFlightId = currentPreFlightId(status);
  const reference: JobReference = { ...key, uid };
  const stored = (name: string | undefined) => (name === undefined ? undefined : store.getRevision(key, uid, name));
  const [current, target, stable, rejected, platformFacts] = await Promise.all([
    stored(revision),
    stored(rollout?.revision),
    stored(status.stable?.revision),
    stored(status.rolledBack?.revision),
    mirrored ?? platform.observe(reference, preFlightId, currentPurgeId(status)),
  ]);
  const wanted = wantsProcesses(status) || deletionTimestamp !== undefined;
  const jobManager = wanted ? currentJobManager(status, platformFacts) : undefined;
  const alive = jobManager?.process.state === 'Alive';
  const document = alive && jobManager.restAddress !== undefined ? await readDocument(engine, jobManager.restAddress) : undefined;
  return {
    uid,
    generation,
    deleting: deletionTimestamp !== undefined,
    paused: flinkJob.metadata.annotations?.[annotations.paused] === 'true',
    desired: desiredOf(flinkJob),
    ...{ current, target, stable, rejected },
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
