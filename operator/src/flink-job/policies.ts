import type { FlinkJobSpec } from '../api/flink-job-spec.ts';
import type { DecideInput } from './decision.ts';
import type { Revision } from './revision.ts';
import { diffRevisions } from './spec-diff.ts';

/**
 * The parts of a spec that say how to treat a job and not what runs: they count as they are now, whatever revision runs. A spec that cannot be used asks for nothing,
 * and then those of the last revision count; one that an older operator stored may lack what is newer than it.
 */
export interface Policies {
  readonly rollback: FlinkJobSpec['upgrade']['rollback'];
  readonly recovery: FlinkJobSpec['recovery'];
  readonly onDelete: FlinkJobSpec['checkpoints']['onDelete'];
  readonly deleteTimeoutSeconds: number;
  readonly stopTimeoutSeconds: number;
  readonly savepointFormat: FlinkJobSpec['upgrade']['savepointFormat'];
  readonly revisionHistoryLimit: number;
}

type Stored<T> = { readonly [K in keyof T]?: T[K] | undefined };

export function policiesOf({ desired, current }: Pick<DecideInput, 'desired' | 'current'>): Policies {
  const spec: Stored<FlinkJobSpec> | undefined = desired.valid ? desired.revision.spec : current?.spec;
  const upgrade: Stored<FlinkJobSpec['upgrade']> | undefined = spec?.upgrade;
  const checkpoints: Stored<FlinkJobSpec['checkpoints']> | undefined = spec?.checkpoints;
  return {
    rollback: upgrade?.rollback ?? defaultRollback,
    recovery: spec?.recovery ?? { restarts: 3, windowSeconds: 3600 },
    onDelete: checkpoints?.onDelete ?? 'Retain',
    deleteTimeoutSeconds: checkpoints?.deleteTimeoutSeconds ?? 300,
    stopTimeoutSeconds: upgrade?.stopTimeoutSeconds ?? 120,
    savepointFormat: upgrade?.savepointFormat ?? 'Native',
    revisionHistoryLimit: spec?.revisionHistoryLimit ?? 10,
  };
}

const defaultRollback: Policies['rollback'] = {
  ...{ mode: 'Automatic', stableCheckpoints: 2, deadlineSeconds: 600, maxRestarts: 3, lag: 'NotGrowing', allowRewind: false },
};

/** What should run, and whether it should. */
export interface Wanted {
  readonly revision: Revision;
  readonly suspended: boolean;
  /** Not what the spec asks for, which was rolled back, but the last revision that was stable. */
  readonly isRollback: boolean;
}

/** Undefined while the spec cannot be used: then what was wanted before still is. */
export function wantedOf(
  input: Pick<DecideInput, 'desired' | 'status' | 'stable' | 'rejected' | 'generation'>,
): Wanted | undefined {
  const { desired, stable } = input;
  if (!desired.valid) {
    return undefined;
  }
  const suspended = desired.revision.spec.job.desiredState === 'Suspended';
  if (!isRejected(input)) {
    return { revision: desired.revision, suspended, isRollback: false };
  }
  return stable === undefined ? undefined : { revision: stable, suspended, isRollback: true };
}

/**
 * A revision that was rolled back is not tried again until the spec asks for another one. A newer operator may name the same spec otherwise: under the same generation
 * what counts is whether anything differs.
 */
export function isRejected({
  desired,
  status,
  rejected,
  generation,
}: Pick<DecideInput, 'desired' | 'status' | 'rejected' | 'generation'>): boolean {
  const { rolledBack } = status;
  if (rolledBack === undefined || !desired.valid) {
    return false;
  }
  const { revision } = desired;
  const same = rejected !== undefined && diffRevisions(rejected, revision).action === 'None';
  return revision.name === rolledBack.revision || (generation === rolledBack.generation && same);
}

/** A restart that was asked for, and nothing that a program or its state would notice. */
export function differsInNonceOnly(before: Revision, after: Revision): boolean {
  const aligned: Revision = { ...before, spec: { ...before.spec, restartNonce: after.spec.restartNonce } };
  return diffRevisions(before, after).action !== 'None' && diffRevisions(aligned, after).action === 'None';
}
