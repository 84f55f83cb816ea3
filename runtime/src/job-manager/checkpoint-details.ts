import { manifestFiles } from '../core/checkpoint/assemble-manifest.ts';
import type { PendingCheckpoint, SubtaskAcknowledgement } from '../core/checkpoint/checkpoint-coordinator.ts';
import type { CheckpointManifest } from '../core/checkpoint/manifest.ts';
import { subtaskSizes } from '../core/checkpoint/subtask-sizes.ts';
import type { SubtaskCheckpointRecord } from './job-history.ts';

/** What the subtasks said of one checkpoint, without the state itself, which is large. */
export class CheckpointDetails {
  readonly #known: ReadonlySet<string>;
  readonly #records = new WeakMap<SubtaskAcknowledgement, SubtaskCheckpointRecord>();

  /** `previous`: of the newest completed checkpoint at the trigger. */
  constructor(previous: CheckpointManifest | undefined) {
    this.#known = new Set(previous === undefined ? [] : manifestFiles(previous).map(({ path }) => path));
  }

  of({ acknowledgements }: PendingCheckpoint): readonly SubtaskCheckpointRecord[] {
    return [...acknowledgements.values()].map((acknowledgement) => {
      const record = this.#records.get(acknowledgement) ?? this.#recordOf(acknowledgement);
      this.#records.set(acknowledgement, record);
      return record;
    });
  }

  #recordOf({ task, operators, statistics }: SubtaskAcknowledgement): SubtaskCheckpointRecord {
    return { task, ...subtaskSizes(operators, (path) => this.#known.has(path)), ...(statistics ?? noStatistics) };
  }
}

const noStatistics = {
  ...{ acknowledgedAtMs: 0, syncDurationMs: 0, asyncDurationMs: 0, alignmentDurationMs: 0, uploadedSizeBytes: 0 },
};
