/** Every bound of the JobManager that is not configuration, with its reason. */
export const limits = {
  /** Between looks at the log's head (lineage protocol, rule 10): how long a superseded JobManager may go on unawares. */
  headWatchIntervalMs: 3_000,
  /**
   * How long a JobManager that has just started waits for TaskManagers that have the state on their disks, once others offer enough slots: they all
   * look for it every 200 ms.
   */
  registrationPatienceMs: 500,
  /** For tasks to end after `Cancel`; a TaskManager that needs longer is hung and loses its connection. */
  cancelTimeoutMs: 10_000,
  /** For all tasks to load their state; generous, because silence of a process is noticed by its heartbeat. */
  deployTimeoutMs: 600_000,
  /** For sinks to commit the final checkpoint of a job that is not under a deadline; then the tasks start anew and commit again. */
  commitTimeoutMs: 60_000,
  /** Tries of a storage call that is safe to repeat, before its caller is told. */
  storageAttemptCountMax: 5,
  /** Pause between them, doubled each time. */
  storageRetryDelayMs: 200,
  /** Between attempts to append an entry without which the job cannot go on. */
  appendRetryDelayMs: 1_000,
  /** Between attempts to open a lineage whose storage does not answer; doubled up to the maximum. */
  openRetryDelayMs: 1_000,
  openRetryDelayMaxMs: 10_000,
  /** How often the head may move between proving that it can be restored and opening; only a live predecessor moves it. */
  openAttemptCountMax: 20,
  /** Between lines about how far an import has come; the status document always says it. */
  importLogIntervalMs: 10_000,
  /** For a source to say what its splits are. */
  discoverSplitsTimeoutMs: 60_000,
  /** Between runs of housekeeping when no checkpoint completes; condemned files wait at most so much longer than their grace. */
  housekeepingIntervalMs: 30_000,
  /** Between looks at the whole directory for files that no checkpoint names. */
  sweepIntervalMs: 600_000,
  /** For TaskManagers to say which files they have forgotten; what they leave open waits for the next time. */
  forgetTimeoutMs: 10_000,
  /** From the end of a lost TaskManager's lease to the end of what it may still be writing: it gives its threads 5 s, and a call of the system may be under way. */
  lostTaskManagerMarginMs: 20_000,
  /** Between attempts to take the final checkpoint of a finished job. */
  finalCheckpointRetryMs: 1_000,
  /** Savepoints asked for and not yet taken. */
  pendingSavepointCountMax: 16,
  /** Operations kept in memory for the status document; older outcomes stay in the lineage. */
  operationCountMax: 50,
  /** Connections that have not registered yet. */
  unregisteredConnectionCountMax: 256,
} as const;
