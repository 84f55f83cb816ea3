import { setFlagsFromString } from 'node:v8';
import { exitCodes, TaskManagerProcessConfig } from '../api/process-config.ts';
import { jobGraphHash } from '../job-loading/job-graph-hash.ts';
import { loadJob } from '../job-loading/load-job.ts';
import { TaskManager } from '../task-manager/task-manager.ts';
import { connectToJobManager } from '../transport/control.ts';
import { tcpDataTransport } from '../transport/data/tcp-data-transport.ts';
import { readJobManagerAddress } from './job-manager-address.ts';
import { readProcessConfig } from './read-process-config.ts';
import { reportError } from './report-error.ts';
import { createRootLog } from './root-log.ts';

/** `task-manager --config FILE`: runs until the JobManager says that the job is over, or a signal comes. */
export async function taskManagerCommand(argv: readonly string[]): Promise<number> {
  try {
    // `taskManagerNodeOptions` limit the heap of this thread, which has been made. For threads to come they would take precedence over the limits
    // that each is given.
    setFlagsFromString('--max-semi-space-size=0');
    const config = await readProcessConfig(TaskManagerProcessConfig, argv);
    const log = createRootLog({ process: 'task-manager', taskManagerId: config.taskManagerId });
    const { graph } = await loadJob(config.job);
    const taskManager = new TaskManager({
      config,
      graph,
      jobGraphHash: jobGraphHash(graph),
      connect: async () => connectToJobManager((await readJobManagerAddress(config.addressFile)).rpc),
      transport: tcpDataTransport,
      log,
    });
    const stop = () => taskManager.stop();
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
    const end = await taskManager.run();
    log.info({ end: end.type }, 'the TaskManager ends');
    return 'error' in end ? reportError(end.error) : exitCodes.ok;
  } catch (error) {
    return reportError(error);
  }
}
