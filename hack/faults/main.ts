/**
 * Real processes, RocksDB, checkpoints on an S3 server, and everything that can go wrong with them: `npm run faults -- [options]`. docs/testing.md says what
 * is judged. Progress goes to standard error, one line for each scenario to standard output; the exit code is 1 when one failed.
 */
import { parseArgs } from 'node:util';
import { Interrupted, interruptionSignal } from '../bench/processes/interruption.ts';
import { buildS3Server } from '../s3-server/build-s3-server.ts';
import { type FaultSettings, FaultyStorage } from './fault-scene.ts';
import { formatPlayed, type Played, playScenario } from './play-scenarios.ts';
import { scenarios } from './scenarios.ts';

const usage = `Use: npm run faults -- [--state-mib 1024] [--kills 20] [--only NAME] [--seed 1]
Scenarios: ${scenarios.map(({ name }) => name).join(', ')}`;

process.exitCode = await run();

async function run(): Promise<number> {
  const signal = interruptionSignal();
  try {
    const { chosen, settings } = readArguments();
    await buildS3Server();
    await using storage = await FaultyStorage.start();
    const all: Played[] = [];
    for (const scenario of chosen) {
      const played = await playScenario(scenario, { storage, settings, signal });
      console.log(formatPlayed(played));
      all.push(played);
    }
    const count = (result: Played['result']) => all.filter((played) => played.result === result).length;
    console.log(`${count('Passed')} passed, ${count('Failed')} failed, ${count('Skipped')} skipped`);
    return count('Failed') > 0 || count('Passed') === 0 ? 1 : 0;
  } catch (error) {
    if (signal.reason instanceof Interrupted) {
      return 130;
    }
    throw error;
  }
}

function readArguments(): { readonly chosen: typeof scenarios; readonly settings: FaultSettings } {
  const { values } = parseArgs({
    options: {
      'state-mib': { type: 'string', default: '1024' },
      kills: { type: 'string', default: '20' },
      only: { type: 'string' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const chosen = scenarios.filter(({ name }) => values.only === undefined || name === values.only);
  const numbers = { stateMebibytes: Number(values['state-mib']), kills: Number(values.kills), seed: Number(values.seed) };
  const isUsable = chosen.length > 0 && Object.values(numbers).every((number) => Number.isInteger(number) && number > 0);
  if (values.help === true || !isUsable) {
    console.error(usage);
    process.exit(values.help === true ? 0 : 2);
  }
  return {
    chosen,
    settings: {
      ...numbers,
      ...{ faultSeconds: 30, slowSeconds: [2, 10], checkpointIntervalSeconds: 2, updatesPerSecond: 5_000 },
      deadlineMs: 10 * 60_000,
    },
  };
}
