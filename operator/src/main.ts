#!/usr/bin/env node
import { JobError } from '@flinkjob/runtime/rest';
import { pino } from 'pino';
import { readConfig } from './config.ts';
import { openLocalOperator } from './local-operator.ts';

/** `flinkjob-operator`: a controller over local processes, without a terminal. Ends at SIGINT or SIGTERM; jobs run on. */
async function main(): Promise<void> {
  const config = readConfig(process.argv.slice(2));
  const log = pino({ level: config.logLevel });
  const operator = await openLocalOperator({ workDirectory: config.workDirectory, log });
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => abort.abort());
  }
  log.info({ workDirectory: config.workDirectory, pid: process.pid }, 'controller started');
  await operator.run(abort.signal);
  log.info({}, 'controller stopped');
}

main().catch((error: unknown) => {
  const text = error instanceof JobError ? `${error.code}: ${error.message}\n${error.remedy ?? ''}` : error;
  console.error(text);
  process.exitCode = error instanceof JobError && error.retry === 'never' ? 2 : 1;
});
