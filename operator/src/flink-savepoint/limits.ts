/** Every bound of the decisions about savepoints, with its reason. */
export interface SavepointLimits {
  /** Without its FlinkJob a savepoint is given up after this: both may come in one `kubectl apply`, in any order. */
  readonly jobMissingTimeoutMs: number;
  /** Beyond the time-out of the job's checkpoints, within which the JobManager itself gives a savepoint up: for its answer to arrive. */
  readonly takeSlackMs: number;
  /** For a task that looks something up: an image may have to be pulled. */
  readonly findTimeoutMs: number;
  /** For a copy of foreign state; a longer one is a sign of a network that needs a person. */
  readonly importTimeoutMs: number;
  /** For reading all state once. */
  readonly drillTimeoutMs: number;
  /** For a removal from storage, tries and waits included: past it the resource goes, and an event names what is left. */
  readonly deletionTimeoutMs: number;
  /** How long a JobManager that should run may be silent before a task does the removal beside it. */
  readonly jobManagerSilentMs: number;
  /** Between tries: the first and the longest wait. Doubled each time. */
  readonly retryDelayFirstMs: number;
  readonly retryDelayMaxMs: number;
  /** What a drill that gave no answer is worth; one that said no is not repeated. */
  readonly drillTriesMax: number;
  /** Between looks while something is under way, and while nothing is. Hints come sooner. */
  readonly busyPollMs: number;
  readonly idlePollMs: number;
  /** Between looks while every savepoint is done with: watches tell of all that may happen to them, and each look is two requests to the API server. */
  readonly restPollMs: number;
}

export const defaultSavepointLimits: SavepointLimits = {
  jobMissingTimeoutMs: 300_000,
  takeSlackMs: 60_000,
  findTimeoutMs: 900_000,
  importTimeoutMs: 6 * 3_600_000,
  drillTimeoutMs: 6 * 3_600_000,
  deletionTimeoutMs: 1_800_000,
  jobManagerSilentMs: 120_000,
  retryDelayFirstMs: 5_000,
  retryDelayMaxMs: 300_000,
  drillTriesMax: 3,
  busyPollMs: 1_000,
  idlePollMs: 300_000,
  restPollMs: 7_200_000,
};

/** Wait before try `count + 1`, after `count` failures. */
export function retryDelayMs(limits: SavepointLimits, count: number): number {
  return Math.min(limits.retryDelayMaxMs, limits.retryDelayFirstMs * 2 ** Math.min(count - 1, 30));
}
