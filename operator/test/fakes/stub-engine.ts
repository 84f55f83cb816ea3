import { fileURLToPath } from 'node:url';
import type { Engine, RenderedProcess } from '../../src/engine/engine.ts';
import type { Revision } from '../../src/flink-job/revision.ts';
import { JobManagerClient } from '../../src/job-manager-client/job-manager-client.ts';

const script = fileURLToPath(new URL('./stub-process.mjs', import.meta.url));

/** Processes of a few lines instead of the runtime. `spec.job.args` of the revision say how each role behaves. */
export const stubEngine: Engine = {
  name: 'TypeScript',
  renderJobManager: ({ revision, podUid, addressFile }) => render('job-manager', revision, { podUid, addressFile }),
  renderTaskManager: ({ revision, taskManagerId }) => render('task-manager', revision, { taskManagerId }),
  renderPreFlight: ({ revision }) => render('plan', revision, {}),
  renderPurge: ({ revision }) => render('purge', revision, {}),
  renderSavepointTask: ({ revision }) => render('savepoint-task', revision, {}),
  client: (address, credentials) => new JobManagerClient(address, credentials),
};

function render(role: string, revision: Revision, more: object): RenderedProcess {
  return {
    nodeOptions: [],
    program: () => script,
    args: (configPath) => [role, configPath],
    config: { behaviour: revision.spec.job.args[role] ?? 'run', ...more },
  };
}
