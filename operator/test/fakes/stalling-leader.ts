import type { LeaseLimits } from '../../src/kubernetes/leader-lease.ts';
import { prepareLeadership } from '../../src/kubernetes/leadership.ts';
import { Metrics } from '../../src/kubernetes/metrics.ts';
import { silentLog } from '../../src/log.ts';

/** A process that becomes the leader, says so, and never comes back to its event loop. */
const [, , url = '', limitsText = ''] = process.argv;
const { lease } = prepareLeadership({
  access: { server: new URL(url), namespace: 'default', credentials: async () => ({ headers: {}, connection: {} }) },
  ...{ namespace: 'default', name: 'controller', instance: 'stalling', log: silentLog, metrics: new Metrics() },
  limits: JSON.parse(limitsText) as LeaseLimits,
});
await lease.acquire(new AbortController().signal);
process.stdout.write('leading\n', () => {
  for (;;) {
    // Work that never ends.
  }
});
