import { createHash } from 'node:crypto';
import type { FlinkJobSpec } from '../api/flink-job-spec.ts';
import { annotations } from '../api/labels.ts';
import type { Revision } from './revision.ts';
import { canonicalJson } from './spec-diff.ts';

/** The revision that a spec asks for. Fields that say when and how to change a running job, and what is kept beside it, are no part of its name. */
export function buildRevision(
  spec: FlinkJobSpec,
  metadata: { readonly annotations?: Readonly<Record<string, string>> | undefined },
): Revision {
  const moduleDigest = metadata.annotations?.[annotations.moduleDigest];
  const workingDirectory = metadata.annotations?.[annotations.workingDirectory];
  const { upgrade: _upgrade, savepoints: _savepoints, recovery: _recovery, ...others } = spec;
  const { ttlSecondsAfterFinished: _ttl, revisionHistoryLimit: _limit, ...rest } = others;
  const { desiredState: _desiredState, ...job } = spec.job;
  const content = canonicalJson({ ...rest, job, moduleDigest, workingDirectory });
  const name = createHash('sha256').update(content).digest('hex').slice(0, 10);
  return { format: 1, name, spec, moduleDigest, workingDirectory };
}
