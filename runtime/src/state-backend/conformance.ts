import { describe } from 'node:test';
import { BackendFixture } from './conformance-backends.ts';
import { testBatches } from './conformance-batches.ts';
import type { BackendUnderTest } from './conformance-fixtures.ts';
import { testHandles } from './conformance-handles.ts';
import { testRefusals } from './conformance-refusals.ts';
import { testSnapshots } from './conformance-snapshots.ts';
import { testTimeToLive } from './conformance-time-to-live.ts';
import { testTimers } from './conformance-timers.ts';

/**
 * What every state backend must do, run by each against itself. Behaviour is first told one by one, then compared with a plain model
 * over random programs; all backends side by side run many more of those in test/state-programs.
 */
export function testKeyedStateBackend(backend: BackendUnderTest): void {
  describe(`the ${backend.name} state backend`, () => {
    const fixture = new BackendFixture(backend);
    testHandles(fixture);
    testBatches(fixture);
    testTimers(fixture);
    testTimeToLive(fixture);
    testSnapshots(fixture);
    testRefusals(fixture);
  });
}
