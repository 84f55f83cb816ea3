import { describe, test } from 'node:test';
import { randomProgram } from '../../test/state-programs/random-program.ts';
import { runStateProgram } from '../../test/state-programs/run-program.ts';
import { BackendFixture } from './conformance-backends.ts';
import { testBatches } from './conformance-batches.ts';
import { testEvolution } from './conformance-evolution.ts';
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
    testEvolution(fixture);
    testPrograms(fixture);
  });

  describe(`the ${backend.name} state backend, restored from canonical parts`, () => {
    const fixture = new BackendFixture(backend, 'Canonical');
    testHandles(fixture);
    testTimers(fixture);
    testTimeToLive(fixture);
    testSnapshots(fixture);
    testRefusals(fixture);
    testEvolution(fixture);
  });
}

function testPrograms(fixture: BackendFixture): void {
  for (const firstSeed of [1, 11, 21, 31]) {
    test(`gives in random programs what a plain model gives (seeds ${firstSeed} to ${firstSeed + 9})`, async () => {
      const contestant = { name: fixture.name, createBackend: fixture.createBackend };
      for (let seed = firstSeed; seed < firstSeed + 10; seed++) {
        await runStateProgram(randomProgram(seed), [contestant], fixture.directories);
      }
    });
  }
}
