import type { CheckpointSummary, JobAttempt, JobStatusDocument, OperationStatus } from '@flinkjob/runtime/rest';
import type { RestoreRequest } from '../../../src/platform/platform.ts';

export interface SimulatedCheckpoint extends CheckpointSummary {
  /** How far the job had come; what a restore goes on from. */
  readonly position: number;
}

export type OpenOutcome =
  | { readonly type: 'Refused'; readonly code: 'AttemptSuperseded' | 'AttemptTaken' | 'AttemptClosed' | 'PodSuperseded' }
  | { readonly type: 'Opened'; readonly epoch: number; readonly position: number; readonly restored: Restored };

type Restored = NonNullable<JobStatusDocument['restored']>;

export interface Opening {
  readonly attempt: JobAttempt;
  /** Of the FlinkJob. */
  readonly uid: string;
  readonly restore: RestoreRequest;
  readonly restored: Restored;
}

/** What happens to a lineage, for the oracle. */
export interface LineageObserver {
  opened(lineage: SimulatedLineage, opening: Opening): void;
  purged(lineage: SimulatedLineage): void;
  /** By whatever operation; a savepoint that is released goes when no start would restore it any more. */
  released(lineage: SimulatedLineage, location: string, operationId: string): void;
}

/** A savepoint stays until it is released, whatever becomes of checkpoints. */
interface KeptSavepoint {
  readonly checkpoint: SimulatedCheckpoint;
  /** That took it; a stop's or a FlinkSavepoint's. */
  readonly operationId: string | undefined;
  isReleased: boolean;
}

/**
 * The durable truth of one job, as the lineage protocol has it, seen from far: epochs, attempts, stops, restore tokens, outcomes of operations. That its real
 * form keeps these rules is tested by the simulation of the runtime; here they hold, and the operator has to live with them.
 */
export class SimulatedLineage {
  readonly path: string;
  readonly #observer: LineageObserver;
  epoch = 0;
  attempt: JobAttempt | undefined;
  closed: JobStatusDocument['closed'];
  stopping: { readonly operationId: string; readonly deadlineMs: number } | undefined;
  operations: OperationStatus[] = [];
  checkpoints: SimulatedCheckpoint[] = [];
  /** Of the FlinkJob that opened it last. */
  openedFor: string | undefined;
  readonly #savepoints = new Map<string, KeptSavepoint>();
  readonly #imports = new Map<string, SimulatedCheckpoint>();
  #count = 0;
  #openedBy: string | undefined;
  readonly #superseded = new Set<string>();
  readonly #honoured = new Set<string>();
  #emptied = false;

  constructor(path: string, observer: LineageObserver) {
    this.path = path;
    this.#observer = observer;
  }

  /** What a start goes on from. */
  get head(): SimulatedCheckpoint | undefined {
    return this.checkpoints.at(-1);
  }

  /** Explicit requests see past a start from nothing; a start with Latest does not. */
  find(path: string): SimulatedCheckpoint | undefined {
    return this.#savepoints.get(path)?.checkpoint ?? this.checkpoints.find((it) => it.path === path);
  }

  /** As a FlinkSavepoint has it: the URL of its folder. */
  locationOf({ path }: SimulatedCheckpoint): string {
    return `${this.path}/${path}`;
  }

  has(location: string): boolean {
    return this.find(location.slice(this.path.length + 1)) !== undefined;
  }

  /** Those that nobody has given free. */
  get keptSavepoints(): readonly { readonly location: string; readonly operationId: string | undefined }[] {
    return [...this.#savepoints.values()]
      .filter(({ isReleased }) => !isReleased)
      .map(({ checkpoint, operationId }) => ({ location: this.locationOf(checkpoint), operationId }));
  }

  /** What one of these operations took, or what the lineage was closed with. */
  takenBy(operationIds: readonly string[]): SimulatedCheckpoint | undefined {
    const taken = [...this.#savepoints.values()].find(
      ({ operationId }) => operationId !== undefined && operationIds.includes(operationId),
    );
    return taken?.checkpoint ?? (this.closed !== undefined && this.head?.id === this.closed.checkpointId ? this.head : undefined);
  }

  /** False when the lineage has no such savepoint. */
  release(location: string, operationId: string): boolean {
    const kept = this.#savepoints.get(location.slice(this.path.length + 1));
    if (kept === undefined) {
      return false;
    }
    this.#observer.released(this, location, operationId);
    kept.isReleased = true;
    this.#forgetReleased();
    return true;
  }

  /** Foreign state, before the first start; the same token again finds what it has brought. Undefined: the lineage is in use. */
  importOnce(token: string, nowMs: number): SimulatedCheckpoint | undefined {
    const known = this.#imports.get(token);
    if (known !== undefined || this.head !== undefined || this.attempt !== undefined) {
      return known;
    }
    this.attempt = { number: 1, token };
    this.epoch += 1;
    const made = this.complete('Checkpoint', { position: 1_000, nowMs });
    this.#imports.set(token, made);
    return made;
  }

  /** The outcome of an operation that is no stop; it outlives the JobManager. */
  settle(type: 'Savepoint' | 'Release', operationId: string, made: SimulatedCheckpoint | undefined): void {
    const isDone = made !== undefined || type === 'Release';
    const outcome = operation(operationId, isDone ? 'Completed' : 'Failed', type);
    const taken = made === undefined ? {} : { checkpointId: made.id, location: this.locationOf(made) };
    this.operations = [...this.operations.slice(-operationsKept), { ...outcome, ...taken }];
  }

  open(by: {
    readonly attempt: JobAttempt;
    readonly uid: string;
    readonly podUid: string;
    readonly restore: RestoreRequest;
    readonly nowMs: number;
  }): OpenOutcome {
    const { attempt, podUid, restore, nowMs } = by;
    const code = this.#refusalOf(attempt, podUid);
    if (code !== undefined) {
      return { type: 'Refused', code };
    }
    if (this.attempt?.number === attempt.number && this.#openedBy !== undefined && this.#openedBy !== podUid) {
      this.#superseded.add(this.#openedBy);
    } else if (this.attempt?.number !== attempt.number) {
      this.#superseded.clear();
    }
    this.attempt = attempt;
    this.#openedBy = podUid;
    this.openedFor = by.uid;
    this.closed = undefined;
    this.epoch += 1;
    if (this.stopping !== undefined && nowMs >= this.stopping.deadlineMs) {
      this.abortStop();
    }
    const restored = this.#restore(restore);
    this.#observer.opened(this, { attempt, uid: by.uid, restore, restored });
    return { type: 'Opened', epoch: this.epoch, position: this.head?.position ?? 0, restored };
  }

  complete(
    kind: 'Checkpoint' | 'Savepoint',
    { position, nowMs, operationId }: { readonly position: number; readonly nowMs: number; readonly operationId?: string },
  ): SimulatedCheckpoint {
    this.#count += 1;
    const path = kind === 'Savepoint' ? `savepoints/${this.#count}` : `chk-${this.#count}-e${this.epoch}`;
    const made = { id: this.#count, kind, path, position, triggeredAtMs: nowMs, completedAtMs: nowMs, sizeBytes: 1 };
    this.checkpoints = [...this.checkpoints.slice(-2), made];
    if (kind === 'Savepoint') {
      this.#savepoints.set(path, { checkpoint: made, operationId, isReleased: false });
    }
    this.#forgetReleased();
    return made;
  }

  /** What a start would restore stays until there is something newer. */
  #forgetReleased(): void {
    for (const [path, { isReleased }] of this.#savepoints) {
      if (isReleased && this.head?.path !== path) {
        this.#savepoints.delete(path);
        this.checkpoints = this.checkpoints.filter((it) => it.path !== path);
      }
    }
  }

  beginStop(operationId: string, deadlineMs: number): void {
    this.stopping = { operationId, deadlineMs };
    this.operations = [...this.operations.slice(-operationsKept), operation(operationId, 'InProgress')];
  }

  abortStop(): void {
    const id = this.stopping?.operationId;
    this.operations = this.operations.map((it) => (it.operationId === id ? operation(it.operationId, 'Failed') : it));
    this.stopping = undefined;
  }

  finish(checkpointId: number): void {
    this.closed = { reason: 'Finished', checkpointId, operationId: undefined };
    this.stopping = undefined;
  }

  close(checkpointId: number): void {
    const { stopping } = this;
    this.operations = this.operations.map((it) =>
      it.operationId === stopping?.operationId ? operation(it.operationId, 'Completed') : it,
    );
    this.closed = { reason: 'StoppedWithSavepoint', checkpointId, operationId: stopping?.operationId };
    this.stopping = undefined;
  }

  /** Fences who is left, and leaves nothing to restore. False when somebody newer has opened it. */
  purge(attemptNumber: number): boolean {
    const { number = 0, token = purgeToken } = this.attempt ?? {};
    if (number > attemptNumber || (number === attemptNumber && token !== purgeToken)) {
      return false;
    }
    this.#observer.purged(this);
    this.attempt = { number: attemptNumber, token: purgeToken };
    this.epoch += 1;
    this.checkpoints = [];
    this.#savepoints.clear();
    this.stopping = undefined;
    this.closed = undefined;
    this.#emptied = true;
    return true;
  }

  #refusalOf(attempt: JobAttempt, podUid: string): Extract<OpenOutcome, { type: 'Refused' }>['code'] | undefined {
    const head = this.attempt;
    if (head === undefined || attempt.number > head.number) {
      return undefined;
    }
    if (attempt.number < head.number) {
      return 'AttemptSuperseded';
    }
    if (attempt.token !== head.token) {
      return 'AttemptTaken';
    }
    if (this.closed !== undefined) {
      return 'AttemptClosed';
    }
    return this.#superseded.has(podUid) ? 'PodSuperseded' : undefined;
  }

  #restore(request: RestoreRequest): Restored {
    const isNew = request.from !== 'Latest' && !this.#honoured.has(request.token);
    const note = request.from === 'Latest' || isNew ? undefined : 'honoured before';
    if (request.from === 'None' && isNew) {
      this.#honoured.add(request.token);
      this.checkpoints = [];
      this.#emptied = true;
      return { source: 'Nothing', checkpointId: undefined, path: undefined, reason: 'RequestedNone', note };
    }
    const found = request.from === 'Path' && isNew ? this.find(request.path) : undefined;
    if (request.from === 'Path' && found !== undefined) {
      this.#honoured.add(request.token);
      this.checkpoints = [...this.checkpoints.filter((it) => it !== found), found];
      return { source: found.kind, checkpointId: found.id, path: found.path, reason: 'Requested', note };
    }
    const { head } = this;
    return head === undefined
      ? { source: 'Nothing', checkpointId: undefined, path: undefined, reason: this.#emptied ? 'Latest' : 'Empty', note }
      : { source: head.kind, checkpointId: head.id, path: head.path, reason: 'Latest', note };
  }
}

const purgeToken = 'purge';
/** A log is trimmed; outcomes of long ago go. */
const operationsKept = 40;

export function operation(
  operationId: string,
  state: OperationStatus['state'],
  type: OperationStatus['type'] = 'Stop',
): OperationStatus {
  const error =
    state === 'Failed'
      ? ({ code: 'SavepointFailed', message: 'no savepoint could be taken', domain: 'external', retry: 'backoff' } as const)
      : undefined;
  return { operationId, type, state, checkpointId: undefined, location: undefined, error };
}
