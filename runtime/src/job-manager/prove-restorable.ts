import type { CheckpointManifest, StateBackendType } from '../core/checkpoint/manifest.ts';
import { type ErrorInfo, toErrorInfo } from '../core/job-error.ts';
import type { JobGraph } from '../core/job-graph/job-graph.ts';
import type { CheckpointRecord } from '../core/lineage/entries.ts';
import type { AllowedStateChanges, RestoreProblem } from '../core/restore/check-compatibility.ts';
import { planRestore, type RestorePlan } from '../core/restore/plan-restore.ts';
import type { CompletedCheckpoint } from './checkpointing.ts';
import { findDamagedFiles, type ManifestPorts, readManifest } from './manifest-store.ts';

export interface Restorable {
  /** Undefined: the job starts empty. */
  readonly checkpoint: CompletedCheckpoint | undefined;
  readonly plan: RestorePlan;
  /** Empty when the job can start from here; each names what, where and what to do. */
  readonly errors: readonly ErrorInfo[];
}

/**
 * Can this graph be started from this checkpoint? Reads the manifest and looks at the files that it names; changes nothing. The same for a
 * start and for `plan`. Throws a `JobError` when the manifest cannot be had.
 */
export async function proveRestorable(
  ports: ManifestPorts,
  options: {
    readonly record: CheckpointRecord | undefined;
    readonly graph: JobGraph;
    readonly allowed: AllowedStateChanges;
    /** The checkpoint that the lineage was closed with last, if it ever was. */
    readonly closedWith: number | undefined;
    readonly stateBackend: StateBackendType;
  },
): Promise<Restorable> {
  const { record, closedWith } = options;
  const manifest = record === undefined ? undefined : await readManifest(ports, record.manifest);
  const isOutputCommitted = record !== undefined && record.checkpointId === closedWith;
  const { plan, errors } = await proveManifest(ports, { ...options, manifest, isOutputCommitted });
  const checkpoint = record === undefined || manifest === undefined ? undefined : { record, manifest, isOutputCommitted };
  return { checkpoint, plan, errors };
}

/** The same of a manifest that is at hand, whose paths count from the root of `ports.storage`; undefined: the job starts empty. */
export async function proveManifest(
  ports: ManifestPorts,
  options: {
    readonly manifest: CheckpointManifest | undefined;
    readonly isOutputCommitted: boolean;
    readonly graph: JobGraph;
    readonly allowed: AllowedStateChanges;
    readonly stateBackend: StateBackendType;
  },
): Promise<Omit<Restorable, 'checkpoint'>> {
  const { manifest, isOutputCommitted, graph, allowed, stateBackend } = options;
  const plan = planRestore({ manifest, graph, allowed, isOutputCommitted, stateBackend, discoveredSplits: new Map() });
  const damaged = manifest === undefined ? [] : await findDamagedFiles(ports, manifest);
  return { plan, errors: [...plan.problems.map(incompatible), ...damaged.map((error) => toErrorInfo(error))] };
}

function incompatible({ code, message, remedy }: RestoreProblem): ErrorInfo {
  return { code, message, domain: 'user', retry: 'never', remedy };
}

/** Several errors as one: the first one's code, everybody's words. */
export function joinErrors(errors: readonly [ErrorInfo, ...ErrorInfo[]]): ErrorInfo {
  const [first] = errors;
  return {
    ...first,
    message: errors.map(({ message }) => message).join('; '),
    remedy: [...new Set(errors.flatMap(({ remedy }) => remedy ?? []))].join(' '),
  };
}
