import type { StateTtl } from '../core/job-graph/job-graph.ts';

/**
 * Time to live as every backend counts it. A value, an element of a list or an entry of a map is dead from `deathMs` on: no read gives
 * it, `has` denies it, and a later write begins anew. With `ReadAndWrite` what `get`, `has` or an iteration gives has its full time
 * again; what is dead stays dead. Each operation goes by the clock of its own moment, a restore by the clock of the restore.
 */
export function deathMsOf(ttl: StateTtl, nowMs: number): number {
  return nowMs + ttl.ttlMs;
}

export function isDead(deathMs: number, nowMs: number): boolean {
  return nowMs >= deathMs;
}
