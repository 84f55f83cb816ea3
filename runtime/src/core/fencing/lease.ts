/**
 * A TaskManager's right to act: it ends `durationMs` after the last word from the JobManager, by a clock that never goes back. A
 * TaskManager without it stops its sinks and cancels its tasks, because its JobManager may have been replaced.
 */
export interface Lease {
  readonly durationMs: number;
  readonly renewedAtMs: number;
}

/** One that has ended stays so: a word that lay in a socket while the process slept says nothing of now. Registering gives a new one. */
export function renewLease(lease: Lease, nowMs: number): Lease {
  return leaseExpired(lease, nowMs) ? lease : { ...lease, renewedAtMs: Math.max(lease.renewedAtMs, nowMs) };
}

export function leaseExpiresAtMs(lease: Lease): number {
  return lease.renewedAtMs + lease.durationMs;
}

export function leaseExpired(lease: Lease, nowMs: number): boolean {
  return nowMs >= leaseExpiresAtMs(lease);
}
