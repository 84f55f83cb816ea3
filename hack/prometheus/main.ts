/** `npm run test:monitoring`: alerts and dashboards of the chart, with promtool and the query engine of Prometheus, which it builds if they are not there. */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { GoProgramBuildError } from '../build-go-program.ts';
import { buildPrometheus } from './build-prometheus.ts';

try {
  await buildPrometheus();
  const files = globSync('operator/test/monitoring/**/*.test.ts').toSorted();
  const args = ['--test', '--test-concurrency=1', '--test-reporter=./hack/test-reporter.ts', ...files];
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;
} catch (error) {
  if (!(error instanceof GoProgramBuildError)) {
    throw error;
  }
  console.error(`promtool cannot be built: ${error.message}`);
  process.exitCode = 1;
}
