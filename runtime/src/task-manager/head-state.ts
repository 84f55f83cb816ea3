import type { OperatorListsPart, WatermarkFloor } from '../core/checkpoint/manifest.ts';
import type { OperatorDescription } from '../core/job-graph/job-graph.ts';
import type { OperatorSubtaskState } from '../core/protocol/messages.ts';
import type { KeyedStateBackend, KeyedStateSnapshot, SnapshotTarget, WrittenState } from '../state-backend/state-backend.ts';
import type { BroadcastState } from './broadcast-state.ts';
import type { KeyedProcessStage } from './chain/keyed-process-stage.ts';
import { countElements, encodeFixed, type FixedOperatorLists, type OperatorLists } from './operator-lists.ts';
import type { SharedFiles } from './shared-files.ts';
import type { SnapshotPlace } from './state-files.ts';

export interface KeyedOperator {
  readonly operator: OperatorDescription;
  readonly backend: KeyedStateBackend;
  readonly stage: KeyedProcessStage;
  readonly keyGroups: { readonly first: number; readonly last: number };
}

export interface BroadcastOperator {
  readonly operator: OperatorDescription;
  readonly state: BroadcastState;
}

export interface OperatorListsOperator {
  readonly operator: OperatorDescription;
  readonly lists: OperatorLists;
}

export interface HeadStateOptions {
  /** The chain's first operator, if it is keyed: no other can be. */
  readonly keyed: KeyedOperator | undefined;
  /** The chain's first operator, if it has a broadcast input. */
  readonly broadcast: BroadcastOperator | undefined;
  /** The chain's first operator, if it has operator state. */
  readonly operatorLists: OperatorListsOperator | undefined;
  readonly place: Pick<SnapshotPlace, 'subtaskIndex' | 'executionAttempt'>;
  readonly snapshotTarget: (place: SnapshotPlace) => SnapshotTarget;
  /** Of the keyed operator. */
  readonly sharedFiles: SharedFiles | undefined;
}

/** State as of a barrier. */
export interface FixedHeadState {
  readonly snapshot: KeyedStateSnapshot | undefined;
  readonly watermarkFloors: readonly WatermarkFloor[] | undefined;
  readonly broadcast: Uint8Array | undefined;
  readonly operatorLists: FixedOperatorLists | undefined;
}

interface WrittenHeadState {
  /** Undefined of an operator without such state. */
  readonly state: OperatorSubtaskState | undefined;
  readonly uploadedSizeBytes: number;
}

/** The state of a chain's first operator, which alone can be keyed, have a broadcast input or operator state, and its snapshots. */
export class HeadState {
  readonly #options: HeadStateOptions;
  /** Taken and not yet written, with their checkpoints. */
  readonly #open = new Map<KeyedStateSnapshot, number>();
  #isClosed = false;

  constructor(options: HeadStateOptions) {
    this.#options = options;
  }

  /** While it is false the task may change nothing. */
  get hasRoom(): boolean {
    return this.#options.keyed?.backend.hasRoom ?? true;
  }

  get sizeBytes(): number {
    const { keyed, broadcast, operatorLists } = this.#options;
    return (keyed?.backend.sizeBytes() ?? 0) + (broadcast?.state.sizeBytes ?? 0) + (operatorLists?.lists.sizeBytes ?? 0);
  }

  fix({ checkpointId, format }: Pick<SnapshotPlace, 'checkpointId' | 'format'>): FixedHeadState {
    const { keyed, broadcast, operatorLists, place } = this.#options;
    const watermarkFloors = keyed?.stage.watermarkFloors();
    // All subtasks hold the same after the same barrier; one of them keeps it for all.
    const encoded = place.subtaskIndex === 0 ? broadcast?.state.encode() : undefined;
    const lists = operatorLists?.lists.fix();
    // Last: what is open must be known, and nothing may fail in between.
    const snapshot = keyed?.backend.snapshot(format);
    if (snapshot !== undefined) {
      this.#open.set(snapshot, checkpointId);
    }
    return { snapshot, watermarkFloors, broadcast: encoded, operatorLists: lists };
  }

  /**
   * Where it goes, and how it is written, is the checkpoint's. To be followed by `settled` when the checkpoint is acknowledged or never will be: until
   * then what it names is kept.
   */
  async write(
    fixed: FixedHeadState,
    { checkpointId, directory, format }: Pick<SnapshotPlace, 'checkpointId' | 'directory' | 'format'>,
  ): Promise<WrittenHeadState> {
    const { keyed, broadcast, operatorLists, place, snapshotTarget } = this.#options;
    const uid = (keyed ?? broadcast ?? operatorLists)?.operator.id;
    if (uid === undefined) {
      return { state: undefined, uploadedSizeBytes: 0 };
    }
    let uploadedSizeBytes = 0;
    const onUploaded = (sizeBytes: number): void => {
      uploadedSizeBytes += sizeBytes;
    };
    const { snapshot, watermarkFloors } = fixed;
    const target = snapshotTarget({ ...place, checkpointId, directory, uid, format, onUploaded });
    const written = snapshot === undefined ? undefined : await this.#write(snapshot, target);
    const state: OperatorSubtaskState = {
      uid,
      keyed: keyed === undefined || written === undefined ? undefined : { keyGroups: keyed.keyGroups, ...written },
      splits: undefined,
      committables: undefined,
      ...(watermarkFloors === undefined || watermarkFloors.length === 0 ? {} : { watermarkFloors }),
      ...(fixed.broadcast === undefined ? {} : { broadcast: await target.putBytes('broadcast', fixed.broadcast) }),
      ...(fixed.operatorLists === undefined ? {} : { operatorLists: await writeLists(fixed.operatorLists, target) }),
    };
    return { state, uploadedSizeBytes };
  }

  settled(checkpointId: number): void {
    this.#options.sharedFiles?.settled(checkpointId);
  }

  /** Puts files ahead of the next checkpoint, which then waits for less; gives way to it between two files. */
  async putAhead(): Promise<void> {
    const { keyed, sharedFiles } = this.#options;
    const mayGoOn = () => this.#open.size === 0 && !this.#isClosed;
    if (sharedFiles === undefined || !mayGoOn()) {
      return;
    }
    await keyed?.backend.putAhead?.(
      (name, localPath, { sha256 }) =>
        sharedFiles.put({ name, localPath, sha256, checkpointId: undefined, onUploaded: () => {} }),
      mayGoOn,
    );
  }

  /** Of checkpoints that are over; a snapshot that is being written ends with an error that nobody needs. */
  discard(checkpointId: number): void {
    for (const [snapshot, id] of this.#open) {
      if (id <= checkpointId) {
        this.#open.delete(snapshot);
        snapshot.discard();
      }
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#options.keyed?.backend.close();
  }

  async #write(snapshot: KeyedStateSnapshot, target: SnapshotTarget): Promise<WrittenState> {
    try {
      return await snapshot.write(target);
    } finally {
      this.#open.delete(snapshot);
    }
  }
}

async function writeLists(lists: FixedOperatorLists, target: SnapshotTarget): Promise<OperatorListsPart> {
  return { handle: await target.putBytes('operator-lists', encodeFixed(lists)), elementCounts: countElements(lists) };
}
