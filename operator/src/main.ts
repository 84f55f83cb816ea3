#!/usr/bin/env node
import { JobError } from '@flinkjob/runtime/rest';
import { pino } from 'pino';
import { helpText, type KubernetesConfig, type ProcessConfig, readConfig } from './config.ts';
import type { Log } from './log.ts';

/** `flinkjob-operator`: the controller, over local processes or in a Kubernetes cluster. Ends at SIGINT or SIGTERM; jobs run on. */
async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(helpText());
    return 0;
  }
  const config = readConfig(args, process.env);
  const log = pino({ level: config.logLevel });
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => abort.abort());
  }
  return config.platform === 'kubernetes' ? runInCluster(config, log, abort.signal) : runOverProcesses(config, log, abort.signal);
}

// Each is loaded when it is used: memory that the other one needs is not taken.

async function runOverProcesses({ workDirectory }: ProcessConfig, log: Log, signal: AbortSignal): Promise<number> {
  const { openLocalOperator } = await import('./local-operator.ts');
  const operator = await openLocalOperator({ workDirectory, log });
  log.info({ workDirectory, pid: process.pid }, 'controller started');
  await operator.run(signal);
  log.info({}, 'controller stopped');
  return 0;
}

async function runInCluster(config: KubernetesConfig, log: Log, signal: AbortSignal): Promise<number> {
  const { runClusterOperator } = await import('./cluster-operator.ts');
  log.info({ namespaces: config.namespaces ?? 'all' }, 'operator started');
  const outcome = await runClusterOperator({ config, log, signal });
  log.info({ outcome }, 'operator stopped');
  return outcome === 'Stopped' ? 0 : 1;
}

main(process.argv.slice(2)).then(
  // At once: without the lease nothing that is still under way may come to its end.
  (code) => process.exit(code),
  (error: unknown) => {
    const text = error instanceof JobError ? `${error.code}: ${error.message}\n${error.remedy ?? ''}` : error;
    console.error(text);
    process.exit(error instanceof JobError && error.retry === 'never' ? 2 : 1);
  },
);
