/**
 * What can go wrong with checkpoints in S3, played in short on real processes: in the end every record is committed once, the whole state is right, and the
 * bucket holds what the manifests name and nothing else. In full, with a gigabyte of state: `npm run faults`.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type FaultSettings, FaultyStorage } from '../../../hack/faults/fault-scene.ts';
import { playScenario } from '../../../hack/faults/play-scenarios.ts';
import { scenarios } from '../../../hack/faults/scenarios.ts';
import { whyNoS3Server } from '../../../hack/s3-server/s3-server.ts';

const addons = fileURLToPath(new URL('../../../.cache/native/', import.meta.url));
const whyNot = existsSync(addons) ? whyNoS3Server : 'the RocksDB addon is not built';

const settings: FaultSettings = {
  stateMebibytes: 8,
  kills: 3,
  faultSeconds: 2,
  slowSeconds: [0.2, 0.6],
  checkpointIntervalSeconds: 0.5,
  updatesPerSecond: 2_000,
  seed: Number(process.env['FLINKJOB_FAULT_SEED'] ?? 20261121),
  deadlineMs: 120_000,
};

let storage: FaultyStorage | undefined;
before(async () => {
  storage = whyNot === false ? await FaultyStorage.start() : undefined;
});
after(() => storage?.[Symbol.asyncDispose]());

for (const scenario of scenarios) {
  test(`output, state and bucket are exact after: ${scenario.about}`, {
    skip: whyNot || scenario.whyNot || false,
    timeout: 300_000,
  }, async (t) => {
    assert.ok(storage !== undefined);
    t.diagnostic(`seed ${settings.seed} (FLINKJOB_FAULT_SEED)`);
    const { result, says } = await playScenario(scenario, { storage, settings, signal: t.signal });
    assert.equal(result, 'Passed', says);
    t.diagnostic(says);
  });
}
