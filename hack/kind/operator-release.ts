/** The operator in the cluster, as a release of its chart. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { clusterEnvironment } from './cluster.ts';
import { run } from './command.ts';
import { binDirectory } from './paths.ts';

export const operatorNamespace = 'flinkjob-system';
const chart = fileURLToPath(new URL('../../charts/flinkjob-operator', import.meta.url));
const release = 'flinkjob';
const timeoutMs = 5 * 60_000;

/** Or upgrades what is there to just this. Until all its pods are ready; those before it may still end. `values` are those of `--set`; without any they are the chart's. */
export async function installOperator(
  options: { readonly chart?: string; readonly values?: readonly string[] } = {},
): Promise<void> {
  const values = (options.values ?? []).flatMap((value) => ['--set', value]);
  const upgrade = ['upgrade', '--install', release, options.chart ?? chart, '--reset-values', ...values];
  await helm(...upgrade, '--wait', '--timeout', '4m');
}

/** Does nothing when it is not there. The definitions stay, and with them all FlinkJobs. */
export async function uninstallOperator(): Promise<void> {
  await helm('uninstall', release, '--ignore-not-found', '--wait', '--timeout', '2m');
}

async function helm(...args: readonly string[]): Promise<void> {
  await run(join(binDirectory, 'helm'), [...args, '--namespace', operatorNamespace], { env: clusterEnvironment, timeoutMs });
}
