import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { ApiAccess } from './api-object-client.ts';
import type { Metrics } from './metrics.ts';
import type { ReflectorLimits } from './reflector.ts';

/** What whoever keeps mirrors of objects in many namespaces is given. */
export interface MirrorOptions {
  readonly access: ApiAccess;
  /** The only ones that are listed and watched; all of them when absent. */
  readonly namespaces?: readonly string[] | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly watchLimits?: Partial<ReflectorLimits>;
}
