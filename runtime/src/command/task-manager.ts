import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { exitCodes, TaskManagerProcessConfig } from '../api/process-config.ts';
import { JobError } from '../core/job-error.ts';
import type { JobGraph } from '../core/job-graph/job-graph.ts';
import { subtaskSamples, taskManagerSamples } from '../core/metrics/metric-samples.ts';
import { bringJobModule } from '../job-loading/bring-job-module.ts';
import { jobGraphHash } from '../job-loading/job-graph-hash.ts';
import { loadJob } from '../job-loading/load-job.ts';
import { jobIdOf } from '../job-manager/job-id.ts';
import { prometheusRoute } from '../job-manager/rest/prometheus-route.ts';
import { type RestServer, startRestServer } from '../job-manager/rest/rest-server.ts';
import type { Log } from '../log.ts';
import { TaskManager } from '../task-manager/task-manager.ts';
import { connectToJobManager } from '../transport/control.ts';
import { tcpDataTransportWith } from '../transport/data/tcp-data-transport.ts';
import { readJobManagerAddress } from './job-manager-address.ts';
import { openCredentials } from './open-credentials.ts';
import { readProcessConfig } from './read-process-config.ts';
import { reportError } from './report-error.ts';
import { createRootLog } from './root-log.ts';

/**
 * `task-manager --config FILE [--credentials FILE] [--wait-when-job-is-over]`: runs until the JobManager says that the job is over, or a signal comes; with the last option until a signal
 * comes.
 */
export async function taskManagerCommand(argv: readonly string[]): Promise<number> {
  try {
    // `taskManagerNodeOptions` limit the heap of this thread, which has been made. For threads to come they would take precedence over the limits
    // that each is given.
    setFlagsFromString('--max-semi-space-size=0');
    const config = await readProcessConfig(TaskManagerProcessConfig, argv);
    if ((config.addressFile === undefined) === (config.jobManagerAddress === undefined)) {
      throw new JobError('the configuration has to say either addressFile or jobManagerAddress', {
        ...{ domain: 'user', retry: 'never', code: 'ConfigurationInvalid' },
        remedy: 'Give the one that tells where the JobManager is found.',
      });
    }
    const log = createRootLog({ process: 'task-manager', taskManagerId: config.taskManagerId });
    const credentials = openCredentials('TaskManager', argv, log);
    const job = await bringJobModule(config.job, log);
    const { graph } = await loadJob(job);
    const taskManager = new TaskManager({
      config: { ...config, job },
      graph,
      jobGraphHash: jobGraphHash(graph),
      connect: async () => connectToJobManager(await jobManagerAddress(config), credentials),
      transport: tcpDataTransportWith(credentials),
      waitsWhenJobIsOver: waitsWhenJobIsOver(argv),
      log,
    });
    process.once('SIGTERM', () => taskManager.leave());
    process.once('SIGINT', () => taskManager.stop());
    const metricsServer = await serveMetrics({ config, graph, taskManager, log });
    const end = await taskManager.run().finally(() => metricsServer?.close());
    log.info({ end: end.type }, 'the TaskManager ends');
    return 'error' in end ? reportError(end.error) : exitCodes.ok;
  } catch (error) {
    return reportError(error);
  }
}

/** An option and no field of the configuration, like `--credentials`: an older runtime passes over it, and ends. */
function waitsWhenJobIsOver(argv: readonly string[]): boolean {
  const { values } = parseArgs({ args: [...argv], options: { 'wait-when-job-is-over': { type: 'boolean' } }, strict: false });
  return values['wait-when-job-is-over'] === true;
}

/** Asked anew before every attempt: the file's content changes with the JobManager, a Service's name stays and leads to the new one. */
async function jobManagerAddress({ addressFile, jobManagerAddress: fixed }: TaskManagerProcessConfig): Promise<string> {
  return fixed ?? (await readJobManagerAddress(addressFile ?? '')).rpc;
}

/** Throws `PortInUse`. */
async function serveMetrics(options: {
  readonly config: TaskManagerProcessConfig;
  readonly graph: JobGraph;
  readonly taskManager: TaskManager;
  readonly log: Log;
}): Promise<RestServer | undefined> {
  const { config, graph, taskManager, log } = options;
  const { metrics, taskManagerId, lineage } = config;
  if (metrics === undefined) {
    return undefined;
  }
  const jobId = jobIdOf(lineage);
  const samples = () => [
    ...taskManagerSamples(taskManagerId, taskManager.processMetrics()),
    ...subtaskSamples(
      { jobId, graph },
      taskManager.subtaskMetrics().map((window) => ({ taskManagerId, window })),
    ),
  ];
  const routes = [prometheusRoute('/metrics', samples)];
  const server = await startRestServer({ ...metrics, log, routes: () => ({ jobId, routes }) });
  log.info({ metrics: server.address }, 'metrics are served');
  return server;
}
