/** Every bound of the controller's decisions, with its reason. Tests and `flinkjob dev` may set others. */
export interface DecideLimits {
  /** For a pre-flight: loading a large module and listing a long lineage take seconds; an image pull comes before it. */
  readonly preFlightTimeoutMs: number;
  /** Between tries of a blocked or failed step: the first and the longest wait. Doubled each time. */
  readonly retryDelayFirstMs: number;
  readonly retryDelayMaxMs: number;
  /** How long a job may not be Running before an upgrade takes its last completed checkpoint instead of a savepoint. */
  readonly notRunningGraceMs: number;
  /** Beyond the deadline that the JobManager itself keeps: for its answer to arrive. */
  readonly stopSlackMs: number;
  /** For a cancel to be carried out before processes are ended instead. */
  readonly cancelTimeoutMs: number;
  /** Until Running, before a start is called late; it goes on after that. */
  readonly startTimeoutMs: number;
  /** Tries of a pre-flight while nothing runs, before the last stable revision is taken instead: two pauses, 15 s in all. */
  readonly blockedTriesWhileDown: number;
  /** Silence of a JobManager whose process lives, before another takes its place. A blocked event loop is rarely longer. */
  readonly unresponsiveMs: number;
  /** The same, just after its start: the module is being loaded. */
  readonly unresponsiveAtStartMs: number;
  /**
   * How long a TaskManager whose process lives may not be registered with a JobManager that answers, before its process is replaced: it hangs, or is
   * stopped. One that lost its connection is back after its tasks have ended, which takes up to five seconds.
   */
  readonly unregisteredMs: number;
  /** It is not looked at before its process is that old: its module is being loaded. */
  readonly unregisteredAtStartMs: number;
  /** How long a replaced JobManager is left to end itself by its fence before it is killed. */
  readonly replacedGraceMs: number;
  /** From the polite to the forced end of a process. */
  readonly terminateGraceMs: number;
  /** For ending the processes in a deletion: past it the resource goes, whatever is left. */
  readonly deletionTimeoutMs: number;
  /** Between looks at a job that changes, and at one that does not. Hints of platform and store come sooner. */
  readonly busyPollMs: number;
  /** While a revision has to become stable: of its checkpoints only those count that are seen one by one. */
  readonly stabilizingPollMs: number;
  readonly idlePollMs: number;
  /** How old the recorded checkpoint may be while the job completes newer ones and nothing else changes. */
  readonly checkpointRecordMaxMs: number;
}

const lingeringPollDivisor = 10;

/** Processes that do not end are looked at ten times in the time that they have lingered so far: each time later. That one has gone is heard of. */
export function lingeringPollMs({ busyPollMs, idlePollMs }: DecideLimits, lingersMs: number): number {
  return Math.min(idlePollMs, Math.max(busyPollMs, lingersMs / lingeringPollDivisor));
}

export const defaultLimits: DecideLimits = {
  preFlightTimeoutMs: 120_000,
  retryDelayFirstMs: 5_000,
  retryDelayMaxMs: 300_000,
  notRunningGraceMs: 30_000,
  stopSlackMs: 15_000,
  cancelTimeoutMs: 10_000,
  startTimeoutMs: 300_000,
  blockedTriesWhileDown: 3,
  unresponsiveMs: 15_000,
  unresponsiveAtStartMs: 60_000,
  unregisteredMs: 10_000,
  unregisteredAtStartMs: 60_000,
  replacedGraceMs: 60_000,
  terminateGraceMs: 10_000,
  deletionTimeoutMs: 60_000,
  busyPollMs: 200,
  stabilizingPollMs: 1_000,
  idlePollMs: 1_000,
  // A file costs nothing, and a terminal shows it.
  checkpointRecordMaxMs: 0,
};

/** Wait before try `count + 1`, after `count` failures. */
export function retryDelayMs(limits: DecideLimits, count: number): number {
  return Math.min(limits.retryDelayMaxMs, limits.retryDelayFirstMs * 2 ** Math.min(count - 1, 30));
}
