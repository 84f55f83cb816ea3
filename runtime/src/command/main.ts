import { exitCodes } from '../api/process-config.ts';
import { reportError } from './report-error.ts';

type CommandFunction = (argv: readonly string[]) => Promise<number>;

interface CommandEntry {
  readonly summary: string;
  /** Loaded when it is called, so that `lineage` does not load gRPC. */
  readonly load: () => Promise<CommandFunction>;
}

const commands: Readonly<Record<string, CommandEntry>> = {
  run: {
    summary: 'run MODULE: a whole job in this process',
    load: async () => (await import('./run.ts')).runCommand,
  },
  plan: {
    summary: 'plan --config FILE [--json] [--result-file FILE]: would this job start, and from what?',
    load: async () => (await import('./plan.ts')).planCommand,
  },
  lineage: {
    summary: 'lineage DIR: what the checkpoint storage of a job says; lineage check DIR: is it all there, and nothing else?',
    load: async () => (await import('./lineage.ts')).lineageCommand,
  },
  janitor: {
    summary: 'janitor DIR [--delete]: what every object in checkpoint storage is there for, of one job or of many',
    load: async () => (await import('./janitor.ts')).janitorCommand,
  },
  savepoint: {
    summary: 'savepoint ls|export|release|import PLACE: savepoints in checkpoint storage, whether or not the job runs',
    load: async () => (await import('./savepoint.ts')).savepointCommand,
  },
  purge: {
    summary: 'purge --config FILE [--json] [--result-file FILE]: delete all that the lineage of a job holds, for good',
    load: async () => (await import('./purge.ts')).purgeCommand,
  },
  'savepoint-task': {
    summary:
      'savepoint-task --config FILE [--json] [--result-file FILE]: find, import, dispose or drill one savepoint of a platform',
    load: async () => (await import('./savepoint-task.ts')).savepointTaskCommand,
  },
  state: {
    summary: 'state ls|get|scan|export SNAPSHOT: what is in a checkpoint or savepoint, row by row',
    load: async () => (await import('./state.ts')).stateCommand,
  },
  token: {
    summary: 'token --credentials FILE: the header that authorises one request to the REST of a JobManager',
    load: async () => (await import('./token.ts')).tokenCommand,
  },
  'job-manager': {
    summary: 'job-manager --config FILE [--credentials FILE]: the JobManager process of a platform',
    load: async () => (await import('./job-manager.ts')).jobManagerCommand,
  },
  'task-manager': {
    summary: 'task-manager --config FILE [--credentials FILE] [--wait-when-job-is-over]: a TaskManager process of a platform',
    load: async () => (await import('./task-manager.ts')).taskManagerCommand,
  },
};

/** `flinkjob-runtime COMMAND …`; resolves to the exit code and never rejects. */
export async function main(argv: readonly string[]): Promise<number> {
  const [name = 'help', ...rest] = argv;
  if (name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(usage());
    return exitCodes.ok;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    const meant = Object.keys(commands).find((candidate) => isSlip(name, candidate));
    const suggestion = meant === undefined ? '' : ` Did you mean "${meant}"?`;
    process.stderr.write(`flinkjob-runtime: there is no command "${name}".${suggestion}\n\n${usage()}`);
    return exitCodes.unusable;
  }
  try {
    const run = await command.load();
    return await run(rest);
  } catch (error) {
    return reportError(error);
  }
}

/** The beginning of the word, or one letter missing, too many or wrong, or two in the wrong order. */
function isSlip(typed: string, meant: string): boolean {
  if (typed.length >= 2 && meant.startsWith(typed)) {
    return true;
  }
  let head = 0;
  while (head < meant.length && typed[head] === meant[head]) {
    head++;
  }
  const a = typed.slice(head);
  const b = meant.slice(head);
  return (
    a.slice(1) === b ||
    a === b.slice(1) ||
    a.slice(1) === b.slice(1) ||
    (a[0] === b[1] && a[1] === b[0] && a.slice(2) === b.slice(2))
  );
}

function usage(): string {
  const lines = Object.values(commands).map(({ summary }) => `  ${summary}\n`);
  return `Usage: flinkjob-runtime COMMAND\n\n${lines.join('')}`;
}

if (import.meta.main) {
  // Not just an exit code: a job module may have left a timer or a socket behind that would keep the process for ever.
  process.exit(await main(process.argv.slice(2)));
}
