/**
 * A TaskManager's right to act: it ends `durationMs` after the last word from the JobManager, by a clock that never goes back. A
 * TaskManager without it stops its sinks and cancels its tasks, because its JobManager may have been replaced.
 */
export interface Lease {
  readonly durationMs: number;
  readonly renewedAtMs: number;
}

export function renewLease(lease: Lease, nowMs: number): Lease {
  return { ...lease, renewedAtMs: Math.max(lease.renewedAtMs, nowMs) };
}

export function leaseExpiresAtMs(lease: Lease): number {
  return lease.renewedAtMs + lease.durationMs;
}

export function leaseExpired(lease: Lease, nowMs: number): boolean {
  return nowMs >= leaseExpiresAtMs(lease);
}
