import { randomUUID } from 'node:crypto';
import type { Log } from '../log.ts';
import { type ApiConnection, connectToApi } from './api-connection.ts';
import { createApiAccess } from './api-object-client.ts';
import type { ClusterAccess } from './cluster-access.ts';
import { defaultLeaseLimits, LeaderLease, type LeaseLimits } from './leader-lease.ts';
import { startLeaseWatchdog } from './lease-watchdog.ts';
import type { Metrics } from './metrics.ts';

/** The leader lease with all that keeps two replicas from acting at the same time. */
export interface Leadership {
  readonly lease: LeaderLease;
  /** For everything that acts: nothing but reads goes through it while this process does not lead. */
  readonly connection: ApiConnection;
  /** To be called when nothing acts any more: the next leader begins at once. */
  end(): Promise<void>;
}

export function prepareLeadership(options: {
  readonly access: ClusterAccess;
  readonly namespace: string;
  readonly name: string;
  /** This process, for people: its pod's name. */
  readonly instance: string;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly limits?: LeaseLimits;
}): Leadership {
  const { access, instance, limits = defaultLeaseLimits, ...rest } = options;
  // The lease itself is written while this process does not lead yet.
  const unguarded = connectToApi(access);
  const watchdog = startLeaseWatchdog({ graceMs: (limits.leaseMs - limits.giveUpAfterMs) / 2 });
  const { paths } = createApiAccess({ connection: unguarded, metrics: options.metrics });
  const lease = new LeaderLease({
    ...{ ...rest, limits, paths, connection: unguarded },
    // A container that restarts keeps its pod's name.
    identity: `${instance}_${randomUUID()}`,
    onHeldFor: (heldForMs) => watchdog.heldFor(heldForMs),
  });
  return {
    lease,
    connection: connectToApi(access, () => lease.isHeld()),
    async end() {
      await lease.release();
      await watchdog.stop();
    },
  };
}
