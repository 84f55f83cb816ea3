/** Bounds of what a TaskManager keeps on its local disk beside its working state, each with its reason. */
export const localRecoveryLimits = {
  /** Of what an earlier process left: a job that did not run for so long is restored from storage, and the disk is free for others. */
  leftPartAgeMsMax: 24 * 3_600_000,
  /**
   * Of the disk's room, what files may take that only the kept parts still have: beyond it they are given up, because a full disk stops the
   * job and a missing local copy only delays its next restart.
   */
  diskShareMax: 0.5,
  /** Of bringing files to a TaskManager that may need them: less than what the tasks of others need of the storage. */
  prefetchBytesPerSecondMax: 100 * 1024 * 1024,
  /** Between looks for parts that have become too old, and for what others left; theirs stays at least so long. */
  sweepIntervalMs: 600_000,
  /** Of verifying in the background: a fraction of what a disk gives, so that the job does not feel it. */
  verifyBytesPerSecondMax: 100 * 1024 * 1024,
} as const;
